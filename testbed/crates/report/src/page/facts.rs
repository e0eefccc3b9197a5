use super::format::{bytes, count, milliseconds};
use crate::chart::link_text;
use crate::run::{Run, RunInfo};

/// One line of the table of links.
#[derive(Debug, Clone)]
pub(super) struct LinkRow {
    pub(super) name: String,
    pub(super) backend: String,
    pub(super) what: Vec<String>,
}

/// Seeds of one cell.
#[derive(Debug, Clone)]
pub(super) struct SeedRow {
    pub(super) cell: String,
    pub(super) seeds: String,
}

/// The small line above the title.
pub(super) fn eyebrow(run: &Run) -> String {
    let info = run.info.as_ref();
    let name = info.map_or("", |info| info.name.as_str());
    let started = info.map_or_else(String::new, |info| date(&info.started));
    let parts = ["dfaas-testbed run", name, &started];
    let parts: Vec<&str> = parts.into_iter().filter(|part| !part.is_empty()).collect();
    parts.join(" · ")
}

/// `23 November 2026, 10:12 UTC`; a time that cannot be understood is shown as it is.
pub(crate) fn date(text: &str) -> String {
    match text.parse::<jiff::Timestamp>() {
        Ok(time) => time.strftime("%-d %B %Y, %H:%M UTC").to_string(),
        Err(_) => text.to_owned(),
    }
}

/// The few numbers at the top.
pub(super) fn headline(run: &Run) -> Vec<(String, String)> {
    let repetitions: Vec<_> = run.cells.iter().flat_map(|cell| &cell.repetitions).collect();
    let requests: u64 = repetitions
        .iter()
        .map(|repetition| repetition.traffic.requests())
        .sum();
    let several = |number: usize, one: &str| {
        let name = if number == 1 {
            one.to_owned()
        } else {
            format!("{one}s")
        };
        (name, number.to_string())
    };
    let mut facts = vec![("requests".to_owned(), count(requests))];
    if run.cells.len() > 1 {
        facts.push(several(run.cells.len(), "cell"));
    }
    facts.push(several(repetitions.len(), "repetition"));
    if let Some(seed) = run.info.as_ref().and_then(|info| info.seed) {
        facts.push(("seed".to_owned(), seed.to_string()));
    }
    let latest = repetitions
        .iter()
        .filter_map(|repetition| repetition.traffic.latest_send)
        .fold(None, |latest: Option<f64>, value| {
            Some(latest.map_or(value, |latest| latest.max(value)))
        });
    if let Some(late) = latest {
        facts.push((
            "latest departure of a request".to_owned(),
            format!("{} late", milliseconds(late * 1000.0)),
        ));
    }
    facts
}

/// What one needs to know to run it again.
pub(super) fn facts(run: &Run) -> Vec<(String, String)> {
    let mut facts = Vec::new();
    let mut add = |name: &str, value: String| {
        if !value.is_empty() {
            facts.push((name.to_owned(), value));
        }
    };
    if let Some(info) = &run.info {
        add("Scenario", info.name.clone());
        add("Started", info.started.clone());
        add("dfaas-testbed", info.tool_version.clone());
        add("Machine", machine(info));
        add("Kernel", info.kernel.clone());
        add(
            "Seed",
            info.seed.map_or_else(String::new, |seed| seed.to_string()),
        );
    }
    let labs = run
        .cells
        .iter()
        .flat_map(|cell| &cell.repetitions)
        .filter_map(|one| one.lab.as_ref());
    let mut scheduling: Vec<&str> = labs.filter_map(|lab| lab.engine_scheduling.as_deref()).collect();
    scheduling.sort_unstable();
    scheduling.dedup();
    add("Link engine scheduling", scheduling.join(", "));
    add("Parameters", super::cell::common_parameters(run).join(", "));
    facts
}

fn machine(info: &RunInfo) -> String {
    let cpus = info.cpus.map(|cpus| match cpus {
        1 => "1 processor".to_owned(),
        cpus => format!("{cpus} processors"),
    });
    let memory = info
        .memory_bytes
        .map(|memory| format!("{} of memory", bytes(memory)));
    let parts: Vec<String> = cpus.into_iter().chain(memory).collect();
    parts.join(", ")
}

/// The command line, quoted for a shell.
pub(crate) fn command(run: &Run) -> String {
    let plain = |character: char| character.is_ascii_alphanumeric() || "-_./=:,@%+".contains(character);
    let words = run.info.iter().flat_map(|info| &info.command).map(|word| {
        if !word.is_empty() && word.chars().all(plain) {
            word.clone()
        } else {
            format!("'{}'", word.replace('\'', r"'\''"))
        }
    });
    words.collect::<Vec<_>>().join(" ")
}

/// Seeds of every repetition.
pub(super) fn seeds(run: &Run) -> Vec<SeedRow> {
    let rows = run.cells.iter().enumerate().map(|(index, cell)| {
        let seeds: Vec<String> = cell
            .repetitions
            .iter()
            .map(|repetition| {
                repetition
                    .seed
                    .map_or_else(|| "unknown".to_owned(), |seed| seed.to_string())
            })
            .collect();
        SeedRow {
            cell: super::cell::heading(run, index),
            seeds: seeds.join(", "),
        }
    });
    rows.collect()
}

/// Links of the first lab that is known.
pub(super) fn links(run: &Run) -> Vec<LinkRow> {
    let mut repetitions = run.cells.iter().flat_map(|cell| &cell.repetitions);
    let lab = repetitions.find_map(|repetition| repetition.lab.as_ref());
    lab.map_or_else(Vec::new, |lab| {
        lab.links
            .iter()
            .map(|link| LinkRow {
                name: link.name.clone(),
                backend: link.backend.clone(),
                what: match link_text(link) {
                    lines if lines.is_empty() => vec!["unimpaired".to_owned()],
                    lines => lines,
                },
            })
            .collect()
    })
}
