//! Process 1 of a container: keeps the services of a file running.
//!
//! ```json
//! [{"name": "web", "command": ["/usr/bin/web", "--port", "80"], "environment": {"KEY": "value"}}]
//! ```
//!
//! A service gets the container's environment, with its own values winning.
#![expect(clippy::print_stderr, reason = "the program speaks to whoever starts it")]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use dfaas_process::{Restart, ServiceSpec, run_services};
use serde::Deserialize;

const LOG_DIRECTORY: &str = "/var/log/dfaas";
const USAGE: &str = "usage: dfaas-init SERVICES.json [LOG-DIRECTORY]";
const BAD_INPUT: u8 = 2;
const FAILED: u8 = 5;

/// One service as written.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct ServiceFile {
    name: String,
    command: Vec<String>,
    #[serde(default)]
    environment: BTreeMap<String, String>,
}

fn main() -> ExitCode {
    let mut arguments = std::env::args_os().skip(1);
    let (path, logs, rest) = (arguments.next(), arguments.next(), arguments.next());
    let (Some(path), None) = (path.map(PathBuf::from), rest) else {
        eprintln!("dfaas-init: {USAGE}");
        return ExitCode::from(BAD_INPUT);
    };
    let logs = logs.map_or_else(|| PathBuf::from(LOG_DIRECTORY), PathBuf::from);
    let services = match read(&path) {
        Ok(services) => services,
        Err(reason) => {
            eprintln!("dfaas-init: {}: {reason}", path.display());
            return ExitCode::from(BAD_INPUT);
        }
    };
    if let Err(error) = std::fs::create_dir_all(&logs) {
        eprintln!("dfaas-init: cannot make directory {}: {error}", logs.display());
        return ExitCode::from(FAILED);
    }
    match run_services(services, &logs) {
        Ok(code) => ExitCode::from(u8::try_from(code).unwrap_or(FAILED)),
        Err(error) => {
            eprintln!("dfaas-init: {error}");
            ExitCode::from(FAILED)
        }
    }
}

fn read(path: &Path) -> Result<Vec<ServiceSpec>, String> {
    let text = std::fs::read(path).map_err(|error| format!("cannot be read: {error}"))?;
    let files: Vec<ServiceFile> = serde_json::from_slice(&text).map_err(|error| error.to_string())?;
    if files.is_empty() {
        return Err("it has no service".to_owned());
    }
    Ok(files.into_iter().map(service).collect())
}

fn service(file: ServiceFile) -> ServiceSpec {
    let mut env: BTreeMap<String, String> = std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
        .collect();
    env.extend(file.environment);
    ServiceSpec {
        name: file.name,
        command: file.command,
        env,
        directory: "/".into(),
        restart: Restart::Always,
        files: Vec::new(),
    }
}
