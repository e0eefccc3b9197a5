use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};

use clap::Args;

use super::print;
use crate::error::CliError;

#[derive(Debug, Args)]
pub(crate) struct InitArguments {
    /// Where to write them
    #[arg(default_value = ".")]
    directory: PathBuf,
}

const FILES: [(&str, &str); 2] = [
    ("topology.yaml", include_str!("../../templates/topology.yaml")),
    ("scenario.yaml", include_str!("../../templates/scenario.yaml")),
];

pub(crate) fn run(arguments: &InitArguments) -> Result<u8, CliError> {
    let directory = &arguments.directory;
    let cannot = |action: &str, path: &Path, error: std::io::Error| {
        CliError::failed(format!("cannot {action} {}: {error}", path.display()))
    };
    std::fs::create_dir_all(directory).map_err(|error| cannot("create", directory, error))?;
    if let Some((name, _)) = FILES.iter().find(|(name, _)| directory.join(name).exists()) {
        let path = directory.join(name);
        return Err(CliError::input(format!(
            "{} exists already and is left as it is",
            path.display()
        )));
    }
    for (name, text) in FILES {
        let path = directory.join(name);
        let mut file = File::create_new(&path).map_err(|error| cannot("create", &path, error))?;
        file.write_all(text.as_bytes())
            .map_err(|error| cannot("write", &path, error))?;
        print(&format!("wrote {}\n", path.display()))?;
    }
    print("\ntry   dfaas-testbed up topology.yaml\n      dfaas-testbed run scenario.yaml\n")?;
    Ok(0)
}
