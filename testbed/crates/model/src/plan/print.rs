//! A plan for people.

use std::fmt;

use super::Plan;
use super::step::Step;

/// The steps under a heading per kind, in the order in which the kinds first occur.
impl fmt::Display for Plan {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(formatter, "{}  seed {}  {} steps", self.lab, self.seed, self.steps.len())?;
        let mut groups: indexmap::IndexMap<&str, Vec<&Step>> = indexmap::IndexMap::new();
        for step in &self.steps {
            groups.entry(step.action.group()).or_default().push(step);
        }
        for (group, steps) in groups {
            writeln!(formatter, "\n{group} ({})", steps.len())?;
            for step in steps {
                writeln!(formatter, "  {}", step.action)?;
            }
        }
        Ok(())
    }
}
