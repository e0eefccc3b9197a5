use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use crate::{ReportError, Run, export, page};

/// Where the parts of a report are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Written {
    /// The page.
    pub html: PathBuf,
    /// One line per cell, repetition, flow and second.
    pub csv: PathBuf,
    /// The verdict for CI.
    pub junit: PathBuf,
    /// A short summary for CI.
    pub markdown: PathBuf,
}

/// Writes all parts of a report into `directory`.
pub(crate) fn write(run: &Run, directory: &Path) -> Result<Written, ReportError> {
    let html = page::render(run)?;
    Ok(Written {
        html: replace(directory.join("report.html"), |file| {
            file.write_all(html.as_bytes())
        })?,
        csv: replace(directory.join("series.csv"), |file| export::csv(run, file))?,
        junit: replace(directory.join("junit.xml"), |file| {
            file.write_all(export::junit(run).as_bytes())
        })?,
        markdown: replace(directory.join("summary.md"), |file| {
            file.write_all(export::markdown(run).as_bytes())
        })?,
    })
}

/// Writes beside the file and renames, so that a full disk never leaves half a report.
fn replace(
    path: PathBuf,
    fill: impl FnOnce(&mut dyn Write) -> io::Result<()>,
) -> Result<PathBuf, ReportError> {
    let mut partial = path.clone().into_os_string();
    partial.push(".partial");
    let partial = PathBuf::from(partial);
    let written = File::create(&partial).and_then(|file| {
        let mut file = BufWriter::new(file);
        fill(&mut file)?;
        file.flush()
    });
    match written.and_then(|()| fs::rename(&partial, &path)) {
        Ok(()) => Ok(path),
        Err(source) => {
            // Its own failure would only hide the reason.
            let _ = fs::remove_file(&partial);
            Err(ReportError::Write { path, source })
        }
    }
}
