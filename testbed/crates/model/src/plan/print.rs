//! A plan for people.

use std::fmt;

use super::Plan;
use super::step::Step;

/// Headings, in the order of the work.
const GROUPS: [&str; 13] = [
    "namespaces",
    "links",
    "addresses",
    "routes",
    "neighbours",
    "bridges",
    "impairments",
    "limits",
    "nodes",
    "commands",
    "services",
    "ports",
    "ready",
];

/// The steps under a heading per kind.
impl fmt::Display for Plan {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            formatter,
            "{}  seed {}  {} steps",
            self.lab,
            self.seed,
            self.steps.len()
        )?;
        for group in GROUPS {
            let steps: Vec<&Step> = self
                .steps
                .iter()
                .filter(|step| step.action.group() == group)
                .collect();
            if steps.is_empty() {
                continue;
            }
            writeln!(formatter, "\n{group} ({})", steps.len())?;
            for step in steps {
                writeln!(formatter, "  {}", step.action)?;
            }
        }
        Ok(())
    }
}
