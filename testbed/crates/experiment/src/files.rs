//! Writing into the run directory; every error names the file.

use std::fs::{self, File};
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

use serde::Serialize;

use crate::error::ExperimentError;

/// Creates a directory and those above it.
pub(crate) fn create_directory(path: &Path) -> Result<(), ExperimentError> {
    fs::create_dir_all(path).map_err(|error| ExperimentError::write(path, error))
}

/// Writes a whole file. Readers see the old text or the new one, never a part, also when the disk is full.
pub(crate) fn write_text(path: &Path, text: &str) -> Result<(), ExperimentError> {
    let mut partial = path.as_os_str().to_owned();
    partial.push(".partial");
    let written = fs::write(&partial, text).and_then(|()| fs::rename(&partial, path));
    written.map_err(|error| {
        // The error that counts is the first one.
        let _ = fs::remove_file(&partial);
        ExperimentError::write(path, error)
    })
}

/// Writes a value as JSON that people can read too.
pub(crate) fn write_json(path: &Path, value: &impl Serialize) -> Result<(), ExperimentError> {
    let failed = |error: serde_json::Error| ExperimentError::write(path, error.into());
    let mut text = serde_json::to_string_pretty(value).map_err(failed)?;
    text.push('\n');
    write_text(path, &text)
}

/// A file of JSON lines that grows while a repetition runs.
pub(crate) struct LinesFile {
    path: PathBuf,
    output: BufWriter<File>,
}

impl LinesFile {
    pub(crate) fn create(path: PathBuf) -> Result<LinesFile, ExperimentError> {
        let file = File::create_new(&path).map_err(|error| ExperimentError::write(&path, error))?;
        Ok(LinesFile {
            path,
            output: BufWriter::with_capacity(1 << 16, file),
        })
    }

    pub(crate) fn append(&mut self, value: &impl Serialize) -> Result<(), ExperimentError> {
        let written = serde_json::to_writer(&mut self.output, value)
            .map_err(std::io::Error::from)
            .and_then(|()| self.output.write_all(b"\n"));
        written.map_err(|error| ExperimentError::write(&self.path, error))
    }

    /// Hands everything to the system, so that an interrupted run loses nothing.
    pub(crate) fn flush(&mut self) -> Result<(), ExperimentError> {
        self.output
            .flush()
            .map_err(|error| ExperimentError::write(&self.path, error))
    }
}

/// Copies a directory of log files with everything below it. A source that is not there is no error: a lab that did
/// not come far has no logs. Anything but plain files and directories is left out.
pub(crate) fn copy_tree(from: &Path, to: &Path) -> Result<(), ExperimentError> {
    let Ok(entries) = fs::read_dir(from) else {
        return Ok(());
    };
    create_directory(to)?;
    for entry in entries.flatten() {
        let (source, target) = (entry.path(), to.join(entry.file_name()));
        match entry.file_type() {
            Ok(kind) if kind.is_dir() => copy_tree(&source, &target)?,
            Ok(kind) if kind.is_file() => copy_file(&source, &target)?,
            _ => {}
        }
    }
    Ok(())
}

fn copy_file(from: &Path, to: &Path) -> Result<(), ExperimentError> {
    // A log may vanish while it is copied; only trouble at our own end is worth ending a run for.
    let Ok(mut source) = File::open(from) else {
        return Ok(());
    };
    let failed = |error| ExperimentError::write(to, error);
    let mut target = File::create(to).map_err(failed)?;
    std::io::copy(&mut source, &mut target).map_err(failed)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn copies_directories_and_files_and_tolerates_a_missing_source() {
        let folder = tempfile::tempdir().unwrap();
        let (from, to) = (folder.path().join("lab"), folder.path().join("run"));
        create_directory(&from.join("n1")).unwrap();
        write_text(&from.join("n1/agent.log"), "one\ntwo\n").unwrap();
        std::os::unix::fs::symlink("/etc/hostname", from.join("n1/link")).unwrap();
        copy_tree(&from, &to).unwrap();
        assert_eq!(fs::read_to_string(to.join("n1/agent.log")).unwrap(), "one\ntwo\n");
        assert!(!to.join("n1/link").exists());
        copy_tree(&folder.path().join("nothing"), &folder.path().join("nowhere")).unwrap();
        assert!(!folder.path().join("nowhere").exists());
    }

    #[test]
    fn a_full_disk_is_told_apart_and_the_file_named() {
        // The kernel's own always-full device, in the place of the file that rows are appended to.
        let path = PathBuf::from("/dev/full");
        let file = File::options().write(true).open(&path).unwrap();
        let mut lines = LinesFile {
            path,
            output: BufWriter::new(file),
        };
        lines.append(&"row").unwrap();
        let error = lines.flush().unwrap_err();
        assert!(
            matches!(&error, ExperimentError::DiskFull { path } if path.ends_with("full")),
            "{error}"
        );
        assert!(
            error.to_string().contains("ENOSPC") && error.to_string().contains("/dev/full"),
            "{error}"
        );
        let error = write_text(Path::new("/dev/null/file"), "text").unwrap_err();
        assert!(matches!(&error, ExperimentError::Write { .. }), "{error}");
        assert!(
            error.to_string().starts_with("cannot write /dev/null/file: "),
            "{error}"
        );
    }

    #[test]
    fn writing_replaces_a_file_and_leaves_no_other() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("summary.json");
        write_json(&path, &serde_json::json!({ "a": 1 })).unwrap();
        write_json(&path, &serde_json::json!({ "a": 2 })).unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "{\n  \"a\": 2\n}\n");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }
}
