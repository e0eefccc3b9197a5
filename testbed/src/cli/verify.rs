use std::path::PathBuf;

use clap::Args;
use dfaas_control::{LabDetail, LinkInfo};
use dfaas_experiment::fidelity::{
    Asked, DirectionReport, Fidelity, LinkReport, LinkUnderTest, ParameterReport, ParameterVerdict,
};

use super::run::factory::node_command;
use super::{LabChoice, block_on, print, print_json};
use crate::error::CliError;
use crate::style::Style;
use crate::table::{columns, counted};

#[derive(Debug, Args)]
pub(crate) struct VerifyArguments {
    /// Links to measure [default: all]
    links: Vec<String>,
    #[command(flatten)]
    lab: LabChoice,
    /// Where the result goes, as JSON
    #[arg(short, long, value_name = "FILE", default_value = "fidelity.json")]
    output: PathBuf,
    /// Print the result as JSON
    #[arg(long)]
    json: bool,
}

pub(crate) fn run(arguments: &VerifyArguments) -> Result<u8, CliError> {
    let (_, client) = dfaas_lab::connect(arguments.lab.lab.as_deref())?;
    let detail = block_on(client.lab())??;
    let links = chosen(&detail, &arguments.links)?
        .into_iter()
        .map(under_test)
        .collect::<Result<Vec<LinkUnderTest>, CliError>>()?;
    let command = |node: &str, arguments: &[String]| node_command(&detail.name, node, arguments);
    let fidelity = block_on(dfaas_experiment::fidelity::verify(
        &detail.name,
        &links,
        &command,
        &mut |_| {},
    ))?;
    let mut text = serde_json::to_string_pretty(&fidelity).map_err(CliError::failed)?;
    text.push('\n');
    std::fs::write(&arguments.output, text)
        .map_err(|error| CliError::failed(format!("cannot write {}: {error}", arguments.output.display())))?;
    if arguments.json {
        print_json(&fidelity)?;
    } else {
        print(&table(&fidelity))?;
        print(&verdict(&fidelity, arguments))?;
    }
    Ok(u8::from(!fidelity.good))
}

fn chosen<'a>(detail: &'a LabDetail, names: &[String]) -> Result<Vec<&'a LinkInfo>, CliError> {
    if names.is_empty() {
        return Ok(detail.links.iter().collect());
    }
    let find = |name: &String| {
        let swapped = name
            .split_once("--")
            .map(|(left, right)| format!("{right}--{left}"));
        let is_meant = |link: &&LinkInfo| link.name == *name || Some(&link.name) == swapped.as_ref();
        detail.links.iter().find(is_meant).ok_or_else(|| {
            let known = detail.links.iter().map(|link| link.name.as_str());
            let hint = match dfaas_model::closest(name, known) {
                Some(similar) => format!("; did you mean `{similar}`?"),
                None => String::new(),
            };
            CliError::input(format!("lab `{}` has no link `{name}`{hint}", detail.name))
        })
    };
    names.iter().map(find).collect()
}

fn under_test(link: &LinkInfo) -> Result<LinkUnderTest, CliError> {
    let asked = |impairment| {
        Asked::read(impairment).map_err(|reason| CliError::failed(format!("link {}: {reason}", link.name)))
    };
    Ok(LinkUnderTest {
        name: link.name.clone(),
        backend: link.backend.clone(),
        ends: link
            .endpoints
            .each_ref()
            .map(|end| (end.node.clone(), end.interface.clone())),
        mtu: link.mtu,
        asked: [asked(&link.forward)?, asked(&link.backward)?],
        skip: (!link.up).then(|| "it is down".to_owned()),
    })
}

fn table(fidelity: &Fidelity) -> String {
    let heading = ["LINK", "DIRECTION", "", "ASKED", "MEASURED", "ERROR", ""];
    let mut rows = vec![heading.map(str::to_owned).to_vec()];
    for link in &fidelity.links {
        rows.extend(link_rows(link));
    }
    columns(&rows)
}

fn link_rows(link: &LinkReport) -> Vec<Vec<String>> {
    if let Some(reason) = &link.skipped {
        let cells = [link.link.as_str(), "", "", "", "", "", reason];
        return vec![cells.map(str::to_owned).to_vec()];
    }
    let mut rows = Vec::new();
    for direction in &link.directions {
        for (number, parameter) in direction.parameters.iter().enumerate() {
            let name = if rows.is_empty() {
                link.link.clone()
            } else {
                String::new()
            };
            let way = if number == 0 {
                way(direction)
            } else {
                String::new()
            };
            rows.push(parameter_row(name, way, parameter));
        }
    }
    rows
}

fn way(direction: &DirectionReport) -> String {
    format!("{} → {}", direction.from, direction.to)
}

fn parameter_row(link: String, way: String, parameter: &ParameterReport) -> Vec<String> {
    let number = |value: f64| {
        let text = format!("{value:.3}");
        text.trim_end_matches('0').trim_end_matches('.').to_owned()
    };
    let unit = &parameter.unit;
    let measured = match (parameter.measured, parameter.low, parameter.high) {
        (Some(value), Some(low), Some(high)) => {
            format!("{} {unit} ({} to {})", number(value), number(low), number(high))
        }
        (Some(value), ..) => format!("{} {unit}", number(value)),
        (None, ..) => String::new(),
    };
    let error = match (parameter.asked, parameter.measured) {
        (Some(asked), Some(measured)) => format!("{:+.3} {unit}", measured - asked),
        _ => String::new(),
    };
    let verdict = match parameter.verdict {
        ParameterVerdict::Good => "good",
        ParameterVerdict::Off => "OFF",
        ParameterVerdict::NotJudged => "not judged",
    };
    let note = if parameter.note.is_empty() {
        verdict.to_owned()
    } else {
        format!("{verdict} ({})", parameter.note)
    };
    let asked = parameter
        .asked
        .map_or_else(String::new, |asked| format!("{} {unit}", number(asked)));
    vec![link, way, parameter.name.clone(), asked, measured, error, note]
}

fn verdict(fidelity: &Fidelity, arguments: &VerifyArguments) -> String {
    let style = Style::for_stdout();
    let skipped = fidelity
        .links
        .iter()
        .filter(|link| link.skipped.is_some())
        .count();
    let word = match fidelity.good {
        true => style.good("as asked"),
        false => style.bad("not as asked"),
    };
    let mut text = format!("\n{}: {word}", counted(fidelity.links.len() - skipped, "link"));
    if skipped > 0 {
        text.push_str(&format!(", {} not measured", counted(skipped, "link")));
    }
    text.push_str(&format!("\nresult  {}\n", arguments.output.display()));
    text
}
