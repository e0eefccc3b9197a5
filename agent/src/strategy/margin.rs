//! The node margin strategy: nodes tell each other how much of them is left, by a forecast of what their load makes
//! them use; an overloaded node hands requests to neighbours until it is not, or until they have no margin left.

mod transfer;

use super::forecast::{BuiltInForecaster, Groups, Load, NodeType, Question, Usage};
use super::interface::{OwnWeights, Reception, Routing, Strategy, TableView, View, Word};
use super::percent::{WHOLE, shares};
use super::portions::{Decided, Portions};
use super::{Compatibility, FunctionName, Need, NodeId, PeerAddress, Table};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;
use transfer::{Target, Transfer};

/// An entry lives this many periods after the peer's last message.
const VALIDITY_PERIODS: u32 = 2;

/// What a node is configured with.
#[derive(Clone, Debug, PartialEq)]
pub struct MarginSettings {
    /// This node's type.
    pub node_type: NodeType,
    /// Usage above which it is overloaded.
    pub thresholds: Usage,
    /// Groups of functions.
    pub groups: Groups,
    /// Whether a service forecasts; otherwise the table that is built in.
    pub service: bool,
}

/// What a peer said.
#[derive(Clone, Debug, Default, PartialEq)]
struct Known {
    node_type: i64,
    maxima: Usage,
    functions: BTreeSet<FunctionName>,
    margin: f64,
    load: Load,
}

/// State of the strategy on one node.
#[derive(Debug)]
pub struct Margin {
    settings: MarginSettings,
    compatibility: Compatibility,
    table: Table<Known>,
    decided: Decided,
    /// Functions that are deployed here, while the node is overloaded.
    overloaded: BTreeSet<FunctionName>,
    /// The last words about the margin.
    said: Option<Word>,
}

/// Answers to forecasts, and those that are missing.
struct Forecasts<'a> {
    service: bool,
    answers: &'a BTreeMap<Question, Usage>,
}

impl Forecasts<'_> {
    /// All answers, or a need for those that are missing.
    fn ask<const N: usize>(&self, questions: [(i64, Load); N]) -> Result<[Usage; N], Need> {
        let mut usages = [Usage::default(); N];
        let mut missing = Vec::new();
        for (usage, (node_type, load)) in usages.iter_mut().zip(questions) {
            if self.service {
                let question = Question::new(node_type, load);
                match self.answers.get(&question) {
                    Some(answer) => *usage = *answer,
                    None => missing.push(question),
                }
            } else {
                // A type that a newer original may have is taken for a light one: it is given the least.
                let node_type = NodeType::from_number(node_type).unwrap_or(NodeType::Light);
                *usage = BuiltInForecaster.forecast(node_type, load);
            }
        }
        if missing.is_empty() {
            Ok(usages)
        } else {
            Err(Need::Forecasts(missing))
        }
    }
}

/// How much of a node is used, in percent: the mean over what it may use.
fn used_percent(usage: Usage, maxima: Usage) -> f64 {
    let parts = [
        (usage.cpu, maxima.cpu),
        (usage.ram, maxima.ram),
        (usage.power, maxima.power),
    ];
    let percents = parts.map(|(used, most)| if most > 0.0 { 100.0 * used / most } else { 100.0 });
    percents.iter().sum::<f64>() / percents.len() as f64
}

fn exceeds(usage: Usage, maxima: Usage) -> bool {
    usage.cpu > maxima.cpu || usage.ram > maxima.ram || usage.power > maxima.power
}

impl Margin {
    /// A node that knows nobody, with a step every `period`.
    #[must_use]
    pub fn new(settings: MarginSettings, period: Duration, compatibility: Compatibility) -> Self {
        Self {
            settings,
            compatibility,
            table: Table::new(period * VALIDITY_PERIODS),
            decided: Decided::default(),
            overloaded: BTreeSet::new(),
            said: None,
        }
    }

    fn load(&self, view: &View<'_>) -> Load {
        let mut load = Load::default();
        for (function, rate) in view.user_rates {
            if let Some(group) = self
                .settings
                .groups
                .of(function)
                .filter(|_| view.functions.contains_key(function))
            {
                *load.group_mut(group) += rate;
            }
        }
        load.clean()
    }

    /// Neighbours with a function in common.
    fn common<'a>(&'a self, view: &'a View<'_>) -> impl Iterator<Item = (&'a NodeId, &'a Known)> {
        let shares = |known: &Known| view.functions.keys().any(|own| known.functions.contains(own));
        self.table
            .iter()
            .map(|(peer, entry)| (peer, &entry.known))
            .filter(move |(_, known)| shares(known))
    }

    /// What is left of this node for each of its neighbours, and whether it is overloaded.
    fn own_margin(&self, usage: Usage, neighbours: usize) -> f64 {
        if exceeds(usage, self.settings.thresholds) || neighbours == 0 {
            return 0.0;
        }
        let left = (100.0 - used_percent(usage, self.settings.thresholds)) / neighbours as f64;
        if left.is_finite() { left.max(0.0) } else { 0.0 }
    }

    fn targets(&self, view: &View<'_>) -> Vec<Target> {
        let target = |(peer, known): (&NodeId, &Known)| Target {
            peer: peer.clone(),
            node_type: known.node_type,
            maxima: known.maxima,
            margin: known.margin,
            load: known.load,
            functions: view
                .functions
                .keys()
                .filter(|function| known.functions.contains(*function))
                .cloned()
                .collect(),
        };
        self.common(view)
            .filter(|(_, known)| known.margin > 0.0)
            .map(target)
            .collect()
    }

    /// Weights from what stays and what goes.
    fn weigh(&self, maintained: f64, forwarded: &BTreeMap<NodeId, f64>) -> Portions {
        let total: f64 = maintained + forwarded.values().sum::<f64>();
        let portions = |local, peers| Portions {
            own: OwnWeights { local, reject: 0 },
            peers,
        };
        if total <= 0.0 || !total.is_finite() {
            let peers = forwarded.keys().map(|peer| (peer.clone(), 0));
            return portions(WHOLE, peers.collect());
        }
        let rounded = |amount: f64| (amount / total * 100.0).round().clamp(0.0, 100.0) as u32;
        if self.compatibility == Compatibility::Upstream {
            let peers = forwarded
                .iter()
                .map(|(peer, amount)| (peer.clone(), rounded(*amount)));
            return portions(rounded(maintained), peers.collect());
        }
        let amounts: Vec<f64> = std::iter::once(maintained)
            .chain(forwarded.values().copied())
            .collect();
        let mut weights = shares(&amounts).into_iter();
        let local = weights.next().unwrap_or(0);
        portions(local, forwarded.keys().cloned().zip(weights).collect())
    }

    /// Functions that only neighbours have, shared in proportion to margins, equally when there is none. The original
    /// does not forward them.
    fn remote_only(&self, view: &View<'_>) -> BTreeMap<FunctionName, Portions> {
        let mut owners: BTreeMap<&FunctionName, Vec<(&NodeId, f64)>> = BTreeMap::new();
        if self.compatibility == Compatibility::Ours {
            for (peer, entry) in self.table.iter() {
                let theirs = entry.known.functions.iter();
                for function in theirs.filter(|function| !view.functions.contains_key(*function)) {
                    owners
                        .entry(function)
                        .or_default()
                        .push((peer, entry.known.margin));
                }
            }
        }
        let weights = |owners: Vec<(&NodeId, f64)>| {
            let margins: Vec<f64> = owners.iter().map(|(_, margin)| *margin).collect();
            let mut weights = shares(&margins);
            if weights.iter().all(|weight| *weight == 0) {
                weights = shares(&vec![1.0; owners.len()]);
            }
            let peers = owners.into_iter().map(|(peer, _)| peer.clone());
            Portions {
                own: OwnWeights::default(),
                peers: peers.zip(weights).collect(),
            }
        };
        owners
            .into_iter()
            .map(|(function, owners)| (function.clone(), weights(owners)))
            .collect()
    }

    fn node_word(&self, view: &View<'_>) -> Word {
        Word::Node {
            node_type: self.settings.node_type.number(),
            maxima: self.settings.thresholds,
            functions: view.functions.keys().cloned().collect(),
        }
    }

    fn hear_margin(&mut self, from: &str, margin: f64, load: Load) -> Reception {
        // Before its first word about itself, or after it was forgotten, a margin alone means nothing.
        let Some(entry) = self.table.get_mut(from) else {
            return Reception::NotForUs;
        };
        entry.known.margin = if margin.is_finite() {
            margin.clamp(0.0, 100.0)
        } else {
            0.0
        };
        let load = load.clean();
        entry.known.load = match self.compatibility {
            Compatibility::Ours => load,
            // The original's handler takes the low rate for the medium one and forgets the low one.
            Compatibility::Upstream => Load {
                medium: load.low,
                low: 0.0,
                ..load
            },
        };
        Reception::Updated
    }
}

impl Strategy for Margin {
    fn step1(&mut self, view: &View<'_>) -> Result<Vec<Word>, Need> {
        self.table.purge(view.now);
        let forecasts = Forecasts {
            service: self.settings.service,
            answers: &view.answers.forecasts,
        };
        let own_type = self.settings.node_type.number();
        let load = self.load(view);
        let [usage] = forecasts.ask([(own_type, load)])?;
        let neighbours = self.common(view).count();
        let overloaded = exceeds(usage, self.settings.thresholds);
        let rates = view.functions.keys().map(|function| {
            let rate = view.user_rates.get(function).copied().unwrap_or(0.0);
            (
                function.clone(),
                if rate.is_finite() { rate.max(0.0) } else { 0.0 },
            )
        });
        let mut transfer = Transfer::new(rates.collect(), load, self.compatibility);
        if overloaded {
            transfer.run(self.targets(view), &self.settings, &forecasts)?;
        }
        let mut portions = self.remote_only(view);
        let known: BTreeMap<&NodeId, &Known> = self.common(view).collect();
        for (function, maintained) in &transfer.maintained {
            let owners = known
                .iter()
                .filter(|(_, known)| known.functions.contains(function));
            let forwarded = owners.map(|(peer, _)| ((*peer).clone(), transfer.forwarded(peer, function)));
            portions.insert(function.clone(), self.weigh(*maintained, &forwarded.collect()));
        }
        let margin = self.own_margin(usage, neighbours);
        self.decided = Decided::new(view, portions);
        self.overloaded = view.functions.keys().filter(|_| overloaded).cloned().collect();
        self.said = (neighbours > 0).then_some(Word::Margin {
            margin,
            load: if margin > 0.0 { load } else { Load::default() },
        });
        Ok(self.introduction(view))
    }

    fn receive(&mut self, now: Duration, from: &str, address: Option<PeerAddress>, word: &Word) -> Reception {
        self.table.purge(now);
        match (word, address) {
            (Word::Margin { margin, load }, _) => self.hear_margin(from, *margin, *load),
            (
                Word::Node {
                    node_type,
                    maxima,
                    functions,
                },
                Some(address),
            ) => match self.table.enter(from, now, address) {
                None => Reception::NoRoom,
                Some((entry, new)) => {
                    entry.known.node_type = *node_type;
                    entry.known.maxima = *maxima;
                    entry.known.functions.clone_from(functions);
                    if new {
                        Reception::NewPeer
                    } else {
                        Reception::Updated
                    }
                }
            },
            _ => Reception::NotForUs,
        }
    }

    fn introduction(&self, view: &View<'_>) -> Vec<Word> {
        std::iter::once(self.node_word(view))
            .chain(self.said.clone())
            .collect()
    }

    fn purge(&mut self, now: Duration) {
        self.table.purge(now);
    }

    fn forget(&mut self, peer: &str) {
        self.table.remove(peer);
        self.decided.remove(peer);
    }

    fn routing(&self, view: &View<'_>) -> Routing {
        self.decided
            .routing(view, |peer| self.table.get(peer).map(|entry| entry.address))
    }

    fn overloaded(&self) -> BTreeSet<FunctionName> {
        self.overloaded.clone()
    }

    fn table(&self) -> TableView {
        let peers = self.table.iter();
        self.decided
            .table_view(peers.map(|(peer, entry)| (peer, entry.address, &entry.known.functions)))
    }
}

#[cfg(test)]
mod tests;
