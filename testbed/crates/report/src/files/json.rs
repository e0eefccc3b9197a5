use std::fs::File;
use std::io::{BufReader, ErrorKind, Read};
use std::path::Path;

use serde::de::DeserializeOwned;

use crate::ReportError;

/// What became of reading one JSON file.
pub(super) enum Document<T> {
    /// All of it was there.
    Whole(T),
    /// No such file.
    Missing,
    /// It ends before it is complete.
    CutShort,
}

/// Reads one JSON file.
pub(super) fn read<T: DeserializeOwned>(path: &Path) -> Result<Document<T>, ReportError> {
    let failed = |source| ReportError::Read {
        path: path.to_owned(),
        source,
    };
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Document::Missing),
        Err(error) => return Err(failed(error)),
    };
    let mut text = Vec::new();
    BufReader::new(file).read_to_end(&mut text).map_err(failed)?;
    match serde_json::from_slice(&text) {
        Ok(value) => Ok(Document::Whole(value)),
        // A crash leaves either a prefix or, on some file systems, a tail of zero bytes.
        Err(error) if error.is_eof() || text.last().is_none_or(|byte| *byte == 0) => Ok(Document::CutShort),
        Err(error) => Err(ReportError::Malformed {
            path: path.to_owned(),
            line: error.line(),
            reason: reason(&error),
        }),
    }
}

/// The parser's sentence without its own "at line … column …", of which only the column is news.
pub(super) fn reason(error: &serde_json::Error) -> String {
    let text = error.to_string();
    let tail = format!(" at line {} column {}", error.line(), error.column());
    match text.strip_suffix(&tail) {
        Some(head) => format!("{head} (column {})", error.column()),
        None => text,
    }
}
