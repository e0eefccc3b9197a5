//! `import:`: topologies that other tools wrote.

mod geography;
mod gml;
mod graph;
mod graphml;
mod matrix;
mod names;

use super::Made;
use crate::document::reader::Reader;
use crate::document::tree::Tree;
use crate::error::{Fault, Problem, Problems};
use crate::topology::file::{ImportFile, ImportFormatFile, KindFile};

pub(super) fn make(
    file: &ImportFile,
    keys: Option<&Tree>,
    reader: &mut Reader<'_>,
    made: &mut Made,
    problems: &mut Problems,
) {
    let Some(format) = problems.keep(format(file)) else {
        return;
    };
    let Some((text, source)) = reader.text(&file.file.value, file.file.span, problems) else {
        return;
    };
    let kind = file.kind.as_ref().map(|kind| kind.value);
    let result = match format {
        ImportFormatFile::Rtt => matrix::read(&text, source, kind.unwrap_or(KindFile::Host), keys, made),
        ImportFormatFile::Graphml => graphml::read(&text, source)
            .and_then(|graph| graph.make(kind.unwrap_or(KindFile::Router), keys, made)),
        ImportFormatFile::Gml => gml::read(&text, source)
            .and_then(|graph| graph.make(kind.unwrap_or(KindFile::Router), keys, made)),
    };
    problems.keep(result);
}

fn format(file: &ImportFile) -> Result<ImportFormatFile, Problem> {
    if let Some(format) = &file.format {
        return Ok(format.value);
    }
    let extension = file
        .file
        .value
        .rsplit_once('.')
        .map(|(_, extension)| extension.to_ascii_lowercase());
    match extension.as_deref() {
        Some("graphml") => Ok(ImportFormatFile::Graphml),
        Some("gml") => Ok(ImportFormatFile::Gml),
        Some("csv") => Ok(ImportFormatFile::Rtt),
        _ => {
            let fault = Fault::MissingKey {
                key: "format".to_owned(),
            };
            Err(Problem::new(fault, file.file.span)
                .label("its name does not end with .graphml, .gml or .csv")
                .help("add `format: graphml`, `gml` or `rtt`"))
        }
    }
}
