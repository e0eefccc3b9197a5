//! The names that a container knows, while it runs.
//!
//! An engine writes `/etc/hosts` once, when a container starts, into a file of its own on this machine, and a container that
//! joined a network holder sees the holder's. There is no call to change it, so the file is written here, in place: it is
//! mounted into the containers, and another file of that name would not be.

use std::fs::File;
use std::io::{self, Read, Write};
use std::net::IpAddr;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use crate::engine::Engine;
use crate::error::{DockerError, words};

impl Engine {
    /// Replaces names in the `/etc/hosts` of a network holder and of all that joined it: the lines of `before` go, those of
    /// `after` come last, and what else somebody has written there stays.
    ///
    /// # Errors
    /// When the holder is gone, or its engine's file cannot be written from here.
    pub async fn set_hosts(
        &self,
        holder: &str,
        before: &[(IpAddr, String)],
        after: &[(IpAddr, String)],
    ) -> Result<(), DockerError> {
        let failed = |reason| DockerError::Container {
            operation: "tell names to",
            container: holder.to_owned(),
            reason,
        };
        let found = self.docker.inspect_container(holder, None).await;
        let path = found.map_err(|error| failed(words(error)))?.hosts_path;
        let Some(path) = path.filter(|path| !path.is_empty()) else {
            return Err(failed(
                "the engine does not say where its `/etc/hosts` is".to_owned(),
            ));
        };
        let path = PathBuf::from(path);
        let (file, before, after) = (path.clone(), before.to_vec(), after.to_vec());
        let written = tokio::task::spawn_blocking(move || rewrite(&file, &before, &after)).await;
        written
            .map_err(|error| failed(error.to_string()))?
            .map_err(|source| DockerError::System {
                operation: format!("write {}", path.display()),
                source,
            })
    }
}

/// In place, and never shorter than one of the two while it is being written: a reader may see lines of both.
fn rewrite(path: &Path, before: &[(IpAddr, String)], after: &[(IpAddr, String)]) -> io::Result<()> {
    let mut file = File::options().read(true).write(true).open(path)?;
    let mut text = String::new();
    file.read_to_string(&mut text)?;
    let text = replaced(&text, before, after);
    file.write_all_at(text.as_bytes(), 0)?;
    file.set_len(u64::try_from(text.len()).unwrap_or(u64::MAX))?;
    file.flush()
}

fn replaced(text: &str, before: &[(IpAddr, String)], after: &[(IpAddr, String)]) -> String {
    let line = |(address, name): &(IpAddr, String)| format!("{address}\t{name}");
    let ours: Vec<String> = before.iter().chain(after).map(line).collect();
    let others = text.lines().filter(|it| !ours.iter().any(|own| own == it));
    let lines = others.map(str::to_owned).chain(after.iter().map(line));
    lines.map(|line| line + "\n").collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hosts(lines: &[(&str, &str)]) -> Vec<(IpAddr, String)> {
        let host = |(address, name): &(&str, &str)| (address.parse().unwrap(), (*name).to_owned());
        lines.iter().map(host).collect()
    }

    #[test]
    fn names_that_go_and_come_leave_all_other_lines_alone() {
        let before = hosts(&[("10.0.0.1", "a"), ("10.0.0.2", "b")]);
        let after = hosts(&[("10.0.0.1", "a"), ("fd00::3", "c")]);
        let text = "127.0.0.1\tlocalhost\n10.0.0.1\ta\n10.0.0.2\tb\n# mine\n10.0.0.2\tb.example\n";
        let expected = "127.0.0.1\tlocalhost\n# mine\n10.0.0.2\tb.example\n10.0.0.1\ta\nfd00::3\tc\n";
        assert_eq!(replaced(text, &before, &after), expected);
        assert_eq!(replaced(expected, &after, &after), expected);
    }

    #[test]
    fn the_file_stays_the_same_one() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("hosts");
        std::fs::write(&path, "10.0.0.1\ta\n10.0.0.2\tlonger-name\n").unwrap();
        let mut seen = File::open(&path).unwrap();
        let before = hosts(&[("10.0.0.1", "a"), ("10.0.0.2", "longer-name")]);
        rewrite(&path, &before, &hosts(&[("10.0.0.1", "a")])).unwrap();
        let mut text = String::new();
        seen.read_to_string(&mut text).unwrap();
        assert_eq!(text, "10.0.0.1\ta\n");
    }
}
