//! From the network of one plan to that of another.

use std::collections::HashSet;

use super::{Action, LinkEnd, Plan};

/// The steps that lead from one plan's network to another's.
#[derive(Clone, Debug, Default)]
pub struct Transition {
    /// What the network has and is to lose.
    pub gone: Vec<Action>,
    /// What it is to get.
    pub new: Vec<Action>,
}

impl Transition {
    /// Namespaces, links, addresses, routes, neighbours and forwarding entries in which two plans differ. The links named in `remade` are
    /// made anew even where both plans have the same, with all that is on their interfaces.
    #[must_use]
    pub fn between(before: &Plan, after: &Plan, remade: &HashSet<&str>) -> Transition {
        let (old, new) = (Texts::of(before), Texts::of(after));
        let mut touched = Touched::default();
        for (plan, other) in [(before, &new), (after, &old)] {
            for action in network(plan) {
                if let Action::CreateLink { link, ends } = action {
                    let is_remade = remade.contains(link.as_str());
                    if is_remade || !other.has(action) {
                        touched.links.insert(link);
                    }
                    for end in ends.iter().filter(|end| is_remade || !other.ends.contains(*end)) {
                        touched.interfaces.insert((&end.namespace, &end.interface));
                        touched.namespaces.insert(&end.namespace);
                    }
                }
            }
        }
        let differing = |plan, other: &Texts<'_>| {
            let actions = network(plan).filter(|action| touched.has(action) || !other.has(action));
            actions.cloned().collect()
        };
        Transition {
            gone: differing(before, &new),
            new: differing(after, &old),
        }
    }

    /// The same without the links themselves, for one that is taken from its node and put into another.
    #[must_use]
    pub fn without_links(mut self) -> Transition {
        for actions in [&mut self.gone, &mut self.new] {
            actions.retain(|action| !matches!(action, Action::CreateLink { .. }));
        }
        self
    }
}

fn network(plan: &Plan) -> impl Iterator<Item = &Action> {
    plan.steps().map(|step| &step.action).filter(|action| {
        matches!(
            action,
            Action::CreateNamespace { .. }
                | Action::CreateLink { .. }
                | Action::AddAddress { .. }
                | Action::AddDirectRoute { .. }
                | Action::AddRoute { .. }
                | Action::AddNeighbour { .. }
                | Action::AddForwarding { .. }
        )
    })
}

/// The steps of a plan as texts, to look them up by, and the ends of its links.
struct Texts<'a> {
    all: HashSet<String>,
    ends: HashSet<&'a LinkEnd>,
}

impl Texts<'_> {
    fn of(plan: &Plan) -> Texts<'_> {
        let ends = network(plan).filter_map(|action| match action {
            Action::CreateLink { ends, .. } => Some(ends),
            _ => None,
        });
        Texts {
            all: network(plan).map(text).collect(),
            ends: ends.flatten().collect(),
        }
    }

    fn has(&self, action: &Action) -> bool {
        self.all.contains(&text(action))
    }
}

fn text(action: &Action) -> String {
    format!("{action:?}")
}

/// What is made anew.
#[derive(Default)]
struct Touched<'a> {
    links: HashSet<&'a str>,
    interfaces: HashSet<(&'a str, &'a str)>,
    namespaces: HashSet<&'a str>,
}

impl Touched<'_> {
    fn has(&self, action: &Action) -> bool {
        match action {
            Action::CreateLink { link, .. } => self.links.contains(link.as_str()),
            Action::AddAddress {
                namespace, interface, ..
            }
            | Action::AddDirectRoute {
                namespace, interface, ..
            }
            | Action::AddNeighbour {
                namespace, interface, ..
            }
            | Action::AddForwarding {
                namespace, interface, ..
            } => self
                .interfaces
                .contains(&(namespace.as_str(), interface.as_str())),
            // Which interface a route leads through is the kernel's to know; with an interface its routes go.
            Action::AddRoute { namespace, .. } => self.namespaces.contains(namespace.as_str()),
            _ => false,
        }
    }
}
