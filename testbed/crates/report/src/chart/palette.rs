use std::collections::BTreeMap;

use crate::run::{Names, Outcome, OutcomeId, Run};

/// Colours for nodes that the style sheet has; of more nodes, the busiest get one and the others are drawn together.
const NODE_COLOURS: usize = 8;
/// Statuses with a colour of their own in the style sheet.
const STATUS_CLASSES: [(u16, &str); 3] = [(403, "c403"), (429, "c429"), (503, "c503")];

/// Gives each outcome of a run one class, the same in every figure.
#[derive(Debug, Clone, Default)]
pub(crate) struct Palette {
    nodes: Vec<OutcomeId>,
}

impl Palette {
    /// Colours go to the busiest nodes, in natural order of their names.
    pub(crate) fn new(run: &Run) -> Palette {
        let mut served: BTreeMap<OutcomeId, u64> = BTreeMap::new();
        for repetition in run.cells.iter().flat_map(|cell| &cell.repetitions) {
            for (key, tally) in &repetition.traffic.tallies {
                *served.entry(key.outcome).or_default() += tally.count;
            }
        }
        let mut nodes = run.names.ordered();
        nodes.retain(|id| matches!(run.names.outcome(*id), Outcome::Served(_)));
        if nodes.len() > NODE_COLOURS {
            let mut busiest = nodes.clone();
            busiest.sort_by_key(|id| std::cmp::Reverse(served.get(id).copied().unwrap_or(0)));
            busiest.truncate(NODE_COLOURS - 1);
            nodes.retain(|id| busiest.contains(id));
        }
        Palette { nodes }
    }

    /// True for a node that shares its line with others.
    pub(crate) fn is_merged(&self, names: &Names, id: OutcomeId) -> bool {
        matches!(names.outcome(id), Outcome::Served(_)) && !self.nodes.contains(&id)
    }

    /// Class of a line or label: `s0` to `s7` for nodes, by code for statuses.
    pub(crate) fn class(&self, names: &Names, id: OutcomeId) -> String {
        match names.outcome(id) {
            Outcome::Served(_) => match self.nodes.iter().position(|node| *node == id) {
                Some(index) => format!("s{index}"),
                None => "rest".to_owned(),
            },
            Outcome::ServedByUnknown => "rest".to_owned(),
            Outcome::Status(code) => STATUS_CLASSES
                .iter()
                .find(|(known, _)| known == code)
                .map_or("cother", |(_, class)| class)
                .to_owned(),
            Outcome::NoAnswer => "cnone".to_owned(),
        }
    }

    /// Class of the n-th flow in figures that compare flows. They take colours from the other end, so that a flow
    /// rarely looks like a node.
    pub(crate) fn flow_class(index: usize) -> String {
        match (NODE_COLOURS - 1).checked_sub(index) {
            Some(colour) => format!("s{colour}"),
            None => "rest".to_owned(),
        }
    }
}
