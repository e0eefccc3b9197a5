//! Files of environment variables (`--config FILE`).

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use thiserror::Error;

/// A configuration file that cannot be used.
#[derive(Debug, Error)]
pub enum ConfigFileError {
    /// It cannot be read.
    #[error("cannot read the configuration file `{}`: {source}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// The kernel's reason.
        source: std::io::Error,
    },
    /// A line is neither a comment nor an assignment.
    #[error("`{}`, line {line}: `{text}` is not NAME=VALUE", path.display())]
    NotAnAssignment {
        /// The file.
        path: PathBuf,
        /// From 1.
        line: usize,
        /// The line.
        text: String,
    },
}

/// Reads `NAME=VALUE` lines. `#` begins a comment line, `export` before a name and quotes around a value are allowed.
///
/// # Errors
/// When the file cannot be read or a line is something else.
pub fn read_file(path: &Path) -> Result<BTreeMap<String, String>, ConfigFileError> {
    let text = std::fs::read_to_string(path).map_err(|source| ConfigFileError::Unreadable {
        path: path.to_owned(),
        source,
    })?;
    parse_file(path, &text)
}

/// The same of a file's text; `path` is for the error.
///
/// # Errors
/// When a line is something else.
pub fn parse_file(path: &Path, text: &str) -> Result<BTreeMap<String, String>, ConfigFileError> {
    let mut values = BTreeMap::new();
    for (index, line) in text.lines().enumerate() {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let assignment = line.strip_prefix("export ").unwrap_or(line);
        let Some((name, value)) = assignment.split_once('=') else {
            let (path, text) = (path.to_owned(), line.to_owned());
            return Err(ConfigFileError::NotAnAssignment {
                path,
                line: index + 1,
                text,
            });
        };
        values.insert(name.trim().to_owned(), unquoted(value.trim()).to_owned());
    }
    Ok(values)
}

fn unquoted(value: &str) -> &str {
    for quote in ['"', '\''] {
        if let Some(inner) = value
            .strip_prefix(quote)
            .and_then(|rest| rest.strip_suffix(quote))
        {
            return inner;
        }
    }
    value
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn assignments_comments_and_quotes() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("agent.env");
        std::fs::write(
            &path,
            "# comment\n\nAGENT_DEBUG=true\nexport AGENT_RENDEZVOUS=\"a = b\"\nAGENT_COMPAT=''\n",
        )
        .unwrap();
        let values = read_file(&path).unwrap();
        assert_eq!(values["AGENT_DEBUG"], "true");
        assert_eq!(values["AGENT_RENDEZVOUS"], "a = b");
        assert_eq!(values["AGENT_COMPAT"], "");
    }

    #[test]
    fn errors_name_file_and_line() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("agent.env");
        std::fs::write(&path, "AGENT_DEBUG=true\nnonsense\n").unwrap();
        let error = read_file(&path).unwrap_err().to_string();
        assert!(
            error.contains("agent.env") && error.contains("line 2") && error.contains("nonsense"),
            "{error}"
        );
        let error = read_file(&directory.path().join("none")).unwrap_err().to_string();
        assert!(error.contains("none"), "{error}");
    }
}
