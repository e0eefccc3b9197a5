use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Args;

use super::{LabChoice, print};
use crate::error::CliError;

#[derive(Debug, Args)]
pub(crate) struct LogsArguments {
    #[command(flatten)]
    lab: LabChoice,
    /// The node
    node: String,
    /// One service, such as `agent` [default: all, each line after the service's name]
    service: Option<String>,
    /// Go on printing what is logged, until interrupted
    #[arg(short, long)]
    follow: bool,
    /// Only the last N lines of each service
    #[arg(short = 'n', long, value_name = "N")]
    lines: Option<usize>,
}

pub(crate) fn run(arguments: &LogsArguments) -> Result<u8, CliError> {
    // A lab that failed with `--keep`, or whose supervisor was killed, still has its logs.
    let state = dfaas_lab::choose(arguments.lab.lab.as_deref())?;
    let directory = state.logs().join(&arguments.node);
    let all = services(&state.logs(), &directory, &arguments.node)?;
    let chosen: Vec<&String> = match &arguments.service {
        None => all.iter().collect(),
        Some(name) => match all.iter().find(|service| *service == name) {
            Some(service) => vec![service],
            None => {
                let known = all.join(", ");
                return Err(CliError::input(format!(
                    "node `{}` has no service `{name}`; it has: {known}",
                    arguments.node
                )));
            }
        },
    };
    let width = chosen.iter().map(|name| name.len()).max().unwrap_or(0);
    let prefixed = arguments.service.is_none();
    let mut tails: Vec<Tail> = chosen
        .iter()
        .map(|name| Tail {
            path: directory.join(format!("{name}.log")),
            prefix: if prefixed {
                format!("{name:<width$} │ ")
            } else {
                String::new()
            },
            position: 0,
            rest: Vec::new(),
        })
        .collect();
    for tail in &mut tails {
        let text = tail.read()?;
        print(&last_lines(&text, arguments.lines))?;
    }
    if !arguments.follow {
        return Ok(0);
    }
    loop {
        std::thread::sleep(Duration::from_millis(100));
        for tail in &mut tails {
            let text = tail.read()?;
            print(&text)?;
        }
        if !state.exists() {
            return Ok(0); // the lab has been taken down
        }
    }
}

/// The services of a node that have logged something, by name.
fn services(logs: &Path, directory: &Path, node: &str) -> Result<Vec<String>, CliError> {
    let names = |path: &Path| -> Vec<String> {
        let mut names: Vec<String> = std::fs::read_dir(path)
            .map(|entries| {
                entries
                    .flatten()
                    .map(|it| it.file_name().to_string_lossy().into_owned())
                    .collect()
            })
            .unwrap_or_default();
        names.sort();
        names
    };
    let services: Vec<String> = names(directory)
        .iter()
        .filter_map(|name| name.strip_suffix(".log"))
        .map(str::to_owned)
        .collect();
    if node.contains('/') || services.is_empty() {
        let known = names(logs);
        let known = if known.is_empty() {
            "no node has".to_owned()
        } else {
            format!("these have: {}", known.join(", "))
        };
        return Err(CliError::input(format!("node `{node}` has no logs; {known}")));
    }
    Ok(services)
}

/// A log file that is read on from where it was left.
struct Tail {
    path: PathBuf,
    prefix: String,
    position: u64,
    /// The beginning of a line whose end is not written yet.
    rest: Vec<u8>,
}

impl Tail {
    /// What has been added in whole lines, each behind the prefix. A file that became shorter was rotated: from its start.
    fn read(&mut self) -> Result<String, CliError> {
        let problem =
            |error: std::io::Error| CliError::failed(format!("cannot read {}: {error}", self.path.display()));
        let mut file = match File::open(&self.path) {
            Ok(file) => file,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(String::new()),
            Err(error) => return Err(problem(error)),
        };
        let length = file.metadata().map_err(problem)?.len();
        if length < self.position {
            self.position = 0;
        }
        file.seek(SeekFrom::Start(self.position)).map_err(problem)?;
        let mut bytes = std::mem::take(&mut self.rest);
        let before = bytes.len();
        file.read_to_end(&mut bytes).map_err(problem)?;
        self.position += u64::try_from(bytes.len() - before).unwrap_or(0);
        let end = bytes
            .iter()
            .rposition(|byte| *byte == b'\n')
            .map_or(0, |index| index + 1);
        self.rest = bytes.split_off(end);
        let text = String::from_utf8_lossy(&bytes);
        Ok(text
            .lines()
            .map(|line| format!("{}{line}\n", self.prefix))
            .collect())
    }
}

fn last_lines(text: &str, count: Option<usize>) -> String {
    let Some(count) = count else {
        return text.to_owned();
    };
    let lines: Vec<&str> = text.split_inclusive('\n').collect();
    lines[lines.len().saturating_sub(count)..].concat()
}

#[cfg(test)]
mod tests {
    use super::last_lines;

    #[test]
    fn the_last_lines_are_whole() {
        assert_eq!(last_lines("a\nb\nc\n", Some(2)), "b\nc\n");
        assert_eq!(last_lines("a\n", Some(5)), "a\n");
        assert_eq!(last_lines("a\nb\n", None), "a\nb\n");
        assert_eq!(last_lines("a\nb\n", Some(0)), "");
    }
}
