//! The steps as a directed graph: an edge from each step to those that need it.

use petgraph::graph::{DiGraph, NodeIndex};
use petgraph::visit::EdgeRef;

use super::step::{Action, Step};

/// The only machine there is today.
const LOCAL: &str = "local";

/// A step that was added already. Only such a step can be waited for, so a plan cannot have a cycle.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct StepId(NodeIndex);

/// Puts steps together.
#[derive(Debug, Default)]
pub(super) struct Graph {
    graph: DiGraph<Action, ()>,
}

impl Graph {
    /// Adds a step that waits for `after`.
    pub(super) fn add(&mut self, action: Action, after: impl IntoIterator<Item = StepId>) -> StepId {
        let id = self.graph.add_node(action);
        for StepId(before) in after {
            self.graph.add_edge(before, id, ());
        }
        StepId(id)
    }

    /// The steps in the order they were added, which is one in which they can be done.
    pub(super) fn into_steps(self) -> Vec<Step> {
        let mut after: Vec<Vec<usize>> = vec![Vec::new(); self.graph.node_count()];
        for edge in self.graph.edge_references() {
            after[edge.target().index()].push(edge.source().index());
        }
        let (actions, _) = self.graph.into_nodes_edges();
        actions
            .into_iter()
            .zip(after)
            .enumerate()
            .map(|(id, (action, mut after))| {
                after.sort_unstable();
                after.dedup();
                Step {
                    id,
                    machine: LOCAL.to_owned(),
                    action: action.weight,
                    after,
                }
            })
            .collect()
    }
}
