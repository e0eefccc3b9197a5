use clap::Args;
use dfaas_control::Partition;

use super::{LabChoice, block_on, print, print_json};
use crate::error::CliError;

/// Nodes of different groups cannot reach each other, over whatever path; all other paths stay, also those that share
/// a switch or a link with a path that is cut. Nodes in no group reach all. Several partitions add up.
#[derive(Debug, Args)]
#[command(
    after_help = "Example: dfaas-testbed partition n1,n2 / n3     n1 and n2 reach each other, but not n3, nor n3 them"
)]
pub(crate) struct PartitionArguments {
    #[command(flatten)]
    lab: LabChoice,
    /// Groups of nodes: names joined by commas, groups parted by a slash [default: show what is cut]
    #[arg(value_name = "A,B / C,D")]
    groups: Vec<String>,
    /// Print the partitions in force as JSON
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct HealArguments {
    #[command(flatten)]
    lab: LabChoice,
    /// The partition to end, written as for `partition` [default: all]
    #[arg(value_name = "A,B / C,D")]
    groups: Vec<String>,
    /// Print the partitions still in force as JSON
    #[arg(long)]
    json: bool,
}

pub(crate) fn run(arguments: &PartitionArguments) -> Result<u8, CliError> {
    let (_, client) = dfaas_lab::connect(arguments.lab.lab.as_deref())?;
    let in_force = match parse(&arguments.groups) {
        None => block_on(client.partitions())??,
        Some(partition) => block_on(client.partition(&partition))??,
    };
    show(&in_force, arguments.json)
}

pub(crate) fn run_heal(arguments: &HealArguments) -> Result<u8, CliError> {
    let (_, client) = dfaas_lab::connect(arguments.lab.lab.as_deref())?;
    let one = parse(&arguments.groups);
    if let Some(one) = &one
        && !block_on(client.partitions())??.contains(one)
    {
        return Err(CliError::input(format!(
            "there is no partition {one}; `dfaas-testbed partition` shows those in force"
        )));
    }
    show(&block_on(client.heal(one.as_ref()))??, arguments.json)
}

/// The groups in `a,b / c`, with spaces wherever they are; nothing for no words. What is no partition the lab refuses.
fn parse(words: &[String]) -> Option<Partition> {
    if words.is_empty() {
        return None;
    }
    let text = words.join(" ");
    let names = |group: &str| {
        group
            .split([',', ' '])
            .filter(|name| !name.is_empty())
            .map(str::to_owned)
            .collect()
    };
    let groups = text.split('/').map(names).collect();
    Some(Partition { groups })
}

fn show(in_force: &[Partition], json: bool) -> Result<u8, CliError> {
    if json {
        print_json(&in_force)?;
    } else if in_force.is_empty() {
        print("no partition\n")?;
    } else {
        let lines: Vec<String> = in_force.iter().map(|it| format!("{it}\n")).collect();
        print(&lines.concat())?;
    }
    Ok(0)
}

#[cfg(test)]
mod tests {
    use super::parse;

    #[test]
    fn spaces_may_be_anywhere() {
        let groups = |text: &str| {
            let words: Vec<String> = text.split('|').map(str::to_owned).collect();
            parse(&words).unwrap().groups
        };
        let expected = vec![vec!["a".to_owned(), "b".to_owned()], vec!["c".to_owned()]];
        for text in ["a,b|/|c", "a,b / c", "a,|b/c", "a|b|/|c", "a, b/|c"] {
            assert_eq!(groups(text), expected, "{text}");
        }
        assert!(parse(&[]).is_none());
        assert_eq!(groups("a|/"), [vec!["a".to_owned()], vec![]]);
    }
}
