//! What a person sees while a scenario runs: one row per second.

use std::sync::Mutex;
use std::time::Duration;

use dfaas_experiment::{Observer, Position, RepetitionSummary, SecondRow};
use dfaas_model::Experiment;
use indexmap::IndexMap;
use indicatif::{ProgressBar, ProgressStyle};
use jiff::Timestamp;

use crate::cli::print;
use crate::cli::up::duration_text;
use crate::style::Style;

/// Statuses with a column of their own: denied, over a peer's limit, no peer. All other errors share one.
const STATUSES: [u16; 3] = [403, 429, 503];

/// The live table.
pub(super) struct Screen {
    /// Nodes that can serve, in the order of the topology.
    nodes: Vec<String>,
    style: Style,
    bar: ProgressBar,
    quiet: bool,
    heading_due: Mutex<bool>,
}

impl Screen {
    pub(super) fn new(experiment: &Experiment, quiet: bool) -> Self {
        let topology = experiment.cells.first().and_then(|cell| cell.repetitions.first());
        let nodes = topology.map(|repetition| &repetition.topology.nodes);
        let serving = nodes
            .into_iter()
            .flatten()
            .filter(|(_, node)| !node.functions.is_empty());
        let bar = ProgressBar::new(0); // hides itself where stderr is no terminal
        bar.set_style(
            ProgressStyle::with_template("  {bar:40} {msg}").unwrap_or_else(|_| ProgressStyle::default_bar()),
        );
        Self {
            nodes: serving.map(|(name, _)| name.clone()).collect(),
            style: Style::for_stdout(),
            bar,
            quiet,
            heading_due: Mutex::new(true),
        }
    }

    pub(super) fn title(&self, experiment: &Experiment) {
        let mut parts = vec![format!("seed {}", experiment.seed)];
        if let [cell] = &experiment.cells[..] {
            parts.extend(
                cell.params
                    .iter()
                    .map(|(name, value)| format!("{name} = {value}")),
            );
        } else {
            parts.push(format!("{} cells", experiment.cells.len()));
        }
        parts.push(match experiment.repeat {
            1 => "1 repetition".to_owned(),
            count => format!("{count} repetitions"),
        });
        self.line(&format!(
            "{}   {}",
            self.style.strong(&experiment.title),
            parts.join(" · ")
        ));
    }

    pub(super) fn lab_progress(&self, milestone: &dfaas_lab::Progress) {
        match milestone {
            dfaas_lab::Progress::Warning { message } => self.aside(&format!("warning: {message}")),
            dfaas_lab::Progress::Network { .. } => self.bar.set_message("starting services"),
            dfaas_lab::Progress::Ready { milliseconds, .. } => {
                self.aside(&format!("lab ready after {}", duration_text(*milliseconds)));
            }
            _ => {}
        }
    }

    pub(super) fn finish(&self) {
        self.bar.finish_and_clear();
    }

    /// A row of the table, on stdout.
    fn line(&self, text: &str) {
        if !self.quiet {
            // A reader that has gone away is no reason to end an experiment.
            self.bar.suspend(|| drop(print(&format!("{text}\n"))));
        }
    }

    /// A remark for people, on stderr.
    #[expect(clippy::print_stderr, reason = "progress is for people")]
    fn aside(&self, text: &str) {
        self.bar
            .suspend(|| eprintln!("  {}", Style::for_stderr().faint(text)));
    }

    fn heading(&self) -> String {
        let mut heading = format!("{:>6}", "t");
        for node in &self.nodes {
            heading.push_str(&format!("  {node:>width$}", width = column_width(node)));
        }
        for status in STATUSES {
            heading.push_str(&format!("  {status:>5}"));
        }
        heading.push_str(&format!("  {:>5}  {:>8}", "other", "p95"));
        heading
    }

    fn row(&self, row: &SecondRow) -> String {
        let mut text = format!("{:>4} s", row.second + 1);
        for node in &self.nodes {
            let served = row.served_by.get(node).copied().unwrap_or(0);
            text.push_str(&format!("  {served:>width$}", width = column_width(node)));
        }
        for status in STATUSES {
            text.push_str(&format!(
                "  {:>5}",
                row.by_code.get(&status).copied().unwrap_or(0)
            ));
        }
        let other: u64 = row
            .by_code
            .iter()
            .filter(|(code, _)| !(200..400).contains(*code) && !STATUSES.contains(*code))
            .map(|(_, count)| count)
            .sum();
        let p95 = row
            .latency_p95_ms
            .map_or("-".to_owned(), |value| format!("{value:.0} ms"));
        text.push_str(&format!("  {other:>5}  {p95:>8}"));
        text
    }
}

fn column_width(node: &str) -> usize {
    node.chars().count().max(4)
}

impl Observer for Screen {
    fn repetition_started(&self, position: Position, params: &IndexMap<String, String>, seed: u64) {
        *self
            .heading_due
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner) = true;
        self.bar.reset();
        self.bar.set_message("starting the lab");
        if position.cells > 1 || position.repetitions > 1 {
            let params: Vec<String> = params
                .iter()
                .map(|(name, value)| format!("{name} = {value}"))
                .collect();
            self.line(&format!(
                "\n{} · cell {} of {} · repetition {} of {} · seed {seed}",
                params.join(" · "),
                position.cell + 1,
                position.cells,
                position.repetition + 1,
                position.repetitions
            ));
        }
    }

    fn lab_ready(&self, _position: Position, _lab: &str, start: Timestamp) {
        let wait = start.duration_since(Timestamp::now());
        self.bar
            .set_message(format!("load starts in {:.1} s", wait.as_secs_f64()));
    }

    fn second(&self, row: &SecondRow) {
        if row.requests == 0 && Duration::from_secs(row.second) >= row.duration {
            return; // only waiting for answers that are late
        }
        let mut heading_due = self
            .heading_due
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        if std::mem::take(&mut *heading_due) {
            self.line(&self.style.faint(self.heading()));
        }
        drop(heading_due);
        self.line(&self.row(row));
        let seconds = row.duration.as_secs_f64().ceil();
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a run lasts less than 2^53 s"
        )]
        self.bar.set_length(seconds as u64);
        self.bar.set_position(row.second + 1);
        self.bar
            .set_message(format!("{} s / {seconds} s", row.second + 1));
    }

    fn event(&self, _position: Position, what: &str, achieved: Duration, outcome: &Result<(), String>) {
        let outcome = match outcome {
            Ok(()) => String::new(),
            Err(reason) => format!(": failed: {reason}"),
        };
        self.line(&format!("{:>6.2} s  {what}{outcome}", achieved.as_secs_f64()));
    }

    fn repetition_finished(&self, _position: Position, _summary: &RepetitionSummary) {
        self.bar.set_message("taking the lab down");
    }
}
