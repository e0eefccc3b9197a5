//! Files in memory, and errors as a person sees them.

use std::collections::HashMap;

use dfaas_model::{Experiment, Loader, ModelError, Override, Topology, load_scenario, load_topology};

/// Files by path.
pub(crate) struct Files(HashMap<String, String>);

impl Loader for Files {
    fn load(&self, path: &str) -> Result<String, String> {
        self.0.get(path).cloned().ok_or_else(|| "no such file".to_owned())
    }
}

pub(crate) fn files(list: &[(&str, &str)]) -> Files {
    Files(
        list.iter()
            .map(|(path, text)| ((*path).to_owned(), (*text).to_owned()))
            .collect(),
    )
}

pub(crate) fn set(list: &[&str]) -> Vec<Override> {
    list.iter()
        .map(|argument| {
            let (path, value) = argument.split_once('=').unwrap();
            Override {
                path: path.to_owned(),
                value: value.to_owned(),
            }
        })
        .collect()
}

/// As the command line shows it, without colours.
pub(crate) fn rendered(error: &ModelError) -> String {
    let mut text = String::new();
    let handler = miette::GraphicalReportHandler::new_themed(miette::GraphicalTheme::unicode_nocolor());
    handler.with_width(110).render_report(&mut text, error).unwrap();
    text
}

pub(crate) fn topology(text: &str) -> Topology {
    let loaded = load_topology("lab.yaml", &files(&[("lab.yaml", text)]), &[]);
    loaded.unwrap_or_else(|error| panic!("{}", rendered(&error)))
}

pub(crate) fn topology_error(text: &str) -> String {
    rendered(&load_topology("lab.yaml", &files(&[("lab.yaml", text)]), &[]).unwrap_err())
}

/// A scenario `run.yaml` on a topology `lab.yaml`.
pub(crate) fn scenario(text: &str, topology: &str, overrides: &[&str]) -> Result<Experiment, ModelError> {
    let files = files(&[("run.yaml", text), ("lab.yaml", topology)]);
    load_scenario("run.yaml", &files, &set(overrides))
}
