use clap::Args;
use dfaas_lab::{StateDirectory, take_down};
use serde_json::json;

use super::{LabChoice, block_on, print, print_json};
use crate::error::CliError;
use crate::style::Style;

#[derive(Debug, Args)]
pub(crate) struct DownArguments {
    #[command(flatten)]
    lab: LabChoice,
    /// Take all labs of this machine down
    #[arg(long, conflicts_with = "lab")]
    all: bool,
    /// Print what was taken down as JSON
    #[arg(long)]
    json: bool,
}

pub(crate) fn run(arguments: &DownArguments) -> Result<u8, CliError> {
    let labs = if arguments.all {
        StateDirectory::all()?
    } else {
        vec![dfaas_lab::choose(arguments.lab.lab.as_deref())?]
    };
    let mut first_error = None;
    let mut gone = Vec::new();
    for lab in &labs {
        match block_on(take_down(lab))? {
            Ok(()) => gone.push(lab.name()),
            Err(error) => {
                let error = CliError::from(error);
                error.print();
                first_error.get_or_insert(error.exit_code);
            }
        }
    }
    if arguments.json {
        print_json(&json!({ "down": gone }))?;
    } else {
        let mark = Style::for_stdout().good("✔");
        for name in &gone {
            print(&format!("{mark} {name} is down\n"))?;
        }
        if labs.is_empty() {
            print("no lab is running\n")?;
        }
    }
    Ok(first_error.unwrap_or(0))
}
