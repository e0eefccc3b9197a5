//! Files that the model asks for: it is pure, reading is done here.

use dfaas_model::{Experiment, Loader, Override, Topology};

use crate::error::CliError;

/// Reads from the file system.
pub(crate) struct FileLoader;

/// No topology or scenario is larger; a device file or a core dump is.
const LARGEST_FILE: u64 = 16 * 1024 * 1024;

impl Loader for FileLoader {
    fn load(&self, path: &str) -> Result<String, String> {
        let metadata = std::fs::metadata(path).map_err(|error| reason(&error))?;
        if metadata.is_dir() {
            return Err("it is a directory".to_owned());
        }
        if !metadata.is_file() {
            return Err("it is not a file".to_owned());
        }
        if metadata.len() > LARGEST_FILE {
            return Err(format!(
                "it has {} bytes; {LARGEST_FILE} is the limit",
                metadata.len()
            ));
        }
        std::fs::read_to_string(path).map_err(|error| reason(&error))
    }
}

fn reason(error: &std::io::Error) -> String {
    match error.kind() {
        std::io::ErrorKind::NotFound => "no such file".to_owned(),
        std::io::ErrorKind::PermissionDenied => "permission denied".to_owned(),
        std::io::ErrorKind::InvalidData => "it is not UTF-8 text".to_owned(),
        _ => error.to_string(),
    }
}

/// `KEY=VALUE` as given to `--set`.
pub(crate) fn parse_override(text: &str) -> Result<Override, String> {
    match text.split_once('=') {
        Some((path, value)) if !path.trim().is_empty() => Ok(Override {
            path: path.trim().to_owned(),
            value: value.to_owned(),
        }),
        _ => Err("expected KEY=VALUE, for example `seed=7` or `nodes.n1.cpus=0.5`".to_owned()),
    }
}

pub(crate) fn topology(path: &str, overrides: &[Override]) -> Result<Topology, CliError> {
    if is_scenario(path) {
        let advice = "`dfaas-testbed run` takes it, and this verb the topology that it names";
        return Err(CliError::input(format!("{path} is a scenario: {advice}")));
    }
    Ok(dfaas_model::load_topology(path, &FileLoader, overrides)?)
}

pub(crate) fn scenario(path: &str, overrides: &[Override]) -> Result<Experiment, CliError> {
    if !is_scenario(path) && has_line(path, &["nodes:", "generate:", "import:"]) {
        let advice = "`dfaas-testbed up` takes it, and a scenario names it with `topology:`";
        return Err(CliError::input(format!("{path} is a topology: {advice}")));
    }
    Ok(dfaas_model::load_scenario(path, &FileLoader, overrides)?)
}

/// Whether a file is a scenario: only scenarios have a `topology:` key at the top.
pub(crate) fn is_scenario(path: &str) -> bool {
    has_line(path, &["topology:"])
}

/// Whether a line of a file begins with one of these words.
fn has_line(path: &str, words: &[&str]) -> bool {
    let text = FileLoader.load(path).unwrap_or_default();
    text.lines()
        .any(|line| words.iter().any(|word| line.starts_with(word)))
}
