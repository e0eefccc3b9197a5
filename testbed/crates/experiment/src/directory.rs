use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use crate::error::ExperimentError;

/// Where the results of the next run go: `given`, which must be empty or not exist yet, else a new directory
/// `<parent>/<date>-<scenario>-<n>` whose n nobody has taken, starting at 1. The directory exists afterwards.
///
/// Two runs that start at the same moment get two directories. The date is that of `now` in UTC.
///
/// # Errors
/// [`ExperimentError::NotEmpty`] when `given` holds something, otherwise what the file system says.
pub fn prepare_run_directory(
    given: Option<&Path>,
    parent: &Path,
    scenario: &str,
    now: jiff::Timestamp,
) -> Result<PathBuf, ExperimentError> {
    if let Some(path) = given {
        create_all(path)?;
        let mut entries = fs::read_dir(path).map_err(|error| ExperimentError::write(path, error))?;
        return match entries.next() {
            None => Ok(path.to_owned()),
            Some(_) => Err(ExperimentError::NotEmpty {
                path: path.to_owned(),
            }),
        };
    }
    create_all(parent)?;
    let prefix = format!("{}-{}", now.strftime("%Y-%m-%d"), file_name(scenario));
    let mut number = 1u64;
    loop {
        let path = parent.join(format!("{prefix}-{number}"));
        match fs::create_dir(&path) {
            Ok(()) => return Ok(path),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => number += 1,
            Err(error) => return Err(ExperimentError::write(&path, error)),
        }
    }
}

fn create_all(path: &Path) -> Result<(), ExperimentError> {
    fs::create_dir_all(path).map_err(|error| ExperimentError::write(path, error))
}

/// A text as part of a file name: what could leave the directory or trouble a shell becomes `-`.
pub(crate) fn file_name(text: &str) -> String {
    let name: String = text
        .chars()
        .map(|letter| {
            if letter.is_alphanumeric() || "._-".contains(letter) {
                letter
            } else {
                '-'
            }
        })
        .collect();
    if name.trim_matches('.').is_empty() {
        "run".to_owned()
    } else {
        name
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn now() -> jiff::Timestamp {
        "2026-11-23T23:59:59Z".parse().unwrap()
    }

    #[test]
    fn numbers_count_up_per_day_and_scenario() {
        let folder = tempfile::tempdir().unwrap();
        let parent = folder.path().join("runs");
        let next = |scenario| prepare_run_directory(None, &parent, scenario, now()).unwrap();
        assert_eq!(next("figure"), parent.join("2026-11-23-figure-1"));
        assert_eq!(next("figure"), parent.join("2026-11-23-figure-2"));
        assert_eq!(next("other"), parent.join("2026-11-23-other-1"));
        assert!(parent.join("2026-11-23-figure-2").is_dir());
    }

    #[test]
    fn many_at_once_get_one_each() {
        let folder = tempfile::tempdir().unwrap();
        let paths: std::collections::BTreeSet<PathBuf> = std::thread::scope(|scope| {
            let prepare = || prepare_run_directory(None, folder.path(), "figure", now()).unwrap();
            let threads: Vec<_> = (0..8).map(|_| scope.spawn(prepare)).collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).collect()
        });
        assert_eq!(paths.len(), 8);
        assert!(paths.contains(&folder.path().join("2026-11-23-figure-8")));
    }

    #[test]
    fn a_given_directory_is_made_but_never_overwritten() {
        let folder = tempfile::tempdir().unwrap();
        let given = folder.path().join("a/b");
        let prepare = || prepare_run_directory(Some(&given), folder.path(), "figure", now());
        assert_eq!(prepare().unwrap(), given);
        assert_eq!(prepare().unwrap(), given, "still empty");
        fs::write(given.join("summary.json"), "{}").unwrap();
        assert!(matches!(prepare(), Err(ExperimentError::NotEmpty { path }) if path == given));
    }

    #[test]
    fn a_parent_that_cannot_be_made_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("file");
        fs::write(&file, "").unwrap();
        let error = prepare_run_directory(None, &file.join("runs"), "figure", now()).unwrap_err();
        assert!(error.to_string().contains("file/runs"), "{error}");
    }

    #[test]
    fn names_stay_inside_the_directory() {
        assert_eq!(file_name("cloudnet21-figure"), "cloudnet21-figure");
        assert_eq!(file_name("../../etc/passwd"), "..-..-etc-passwd");
        assert_eq!(file_name(".."), "run");
        assert_eq!(file_name(""), "run");
    }
}
