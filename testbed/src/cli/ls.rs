use clap::Args;

use super::{block_on, print, print_json};
use crate::error::CliError;
use crate::table;

#[derive(Debug, Args)]
pub(crate) struct LsArguments {
    /// Print an array of {name, pid, state, nodes}
    #[arg(long)]
    json: bool,
}

pub(crate) fn run(arguments: &LsArguments) -> Result<u8, CliError> {
    let rows = block_on(dfaas_lab::list())??;
    if arguments.json {
        print_json(&rows)?;
        return Ok(0);
    }
    if rows.is_empty() {
        print("no lab is running\n")?;
        return Ok(0);
    }
    let mut cells = vec![
        ["LAB", "STATE", "NODES", "SUPERVISOR"]
            .map(str::to_owned)
            .to_vec(),
    ];
    for row in &rows {
        cells.push(vec![
            row.name.clone(),
            row.state.clone(),
            row.nodes.map_or("-".to_owned(), |count| count.to_string()),
            row.pid.map_or("-".to_owned(), |pid| pid.to_string()),
        ]);
    }
    print(&table::columns(&cells))?;
    for row in rows.iter().filter(|row| row.state == "dead") {
        print(&format!(
            "\nthe supervisor of `{0}` was killed: `dfaas-testbed down -l {0}` removes the rest\n",
            row.name
        ))?;
    }
    Ok(0)
}
