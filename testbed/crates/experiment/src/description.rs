use std::fs;
use std::path::Path;

use dfaas_model::Experiment;
use jiff::Timestamp;
use serde::Serialize;

use crate::error::ExperimentError;
use crate::files::write_json;
use crate::run::RunOptions;
use crate::summary::SCHEMA;

/// The content of `run.json`: under which circumstances the run took place.
#[derive(Debug, Serialize)]
pub(crate) struct Description {
    schema: u32,
    name: String,
    title: String,
    started: String,
    tool_version: String,
    /// Empty when the system does not tell.
    kernel: String,
    cpus: Option<usize>,
    memory_bytes: Option<u64>,
    seed: u64,
    command: Vec<String>,
    reference: Option<&'static str>,
}

impl Description {
    pub(crate) fn new(experiment: &Experiment, started: Timestamp, options: &RunOptions) -> Description {
        Description {
            schema: SCHEMA,
            name: experiment.name.clone(),
            title: experiment.title.clone(),
            started: started.to_string(),
            tool_version: options.tool_version.clone(),
            kernel: fs::read_to_string("/proc/sys/kernel/osrelease")
                .map(|text| text.trim().to_owned())
                .unwrap_or_default(),
            cpus: std::thread::available_parallelism().ok().map(usize::from),
            memory_bytes: fs::read_to_string("/proc/meminfo")
                .ok()
                .and_then(|text| total_memory(&text)),
            seed: experiment.seed,
            command: options.command.clone(),
            reference: experiment.reference.as_ref().map(|_| "reference.csv"),
        }
    }

    pub(crate) fn write(&self, directory: &Path) -> Result<(), ExperimentError> {
        write_json(&directory.join("run.json"), self)
    }
}

/// `MemTotal` of a text in the form of `/proc/meminfo`, in bytes.
fn total_memory(text: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix("MemTotal:"))?;
    line.trim()
        .strip_suffix("kB")?
        .trim()
        .parse::<u64>()
        .ok()?
        .checked_mul(1024)
}

#[cfg(test)]
mod tests {
    use super::total_memory;

    #[test]
    fn memory_is_read_in_bytes() {
        assert_eq!(
            total_memory("MemTotal:       24576 kB\nMemFree: 1 kB\n"),
            Some(25_165_824)
        );
        assert_eq!(total_memory("MemFree: 1 kB\n"), None);
        assert_eq!(total_memory("MemTotal: many\n"), None);
    }
}
