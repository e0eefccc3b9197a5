//! The recalc strategy: the algorithm of "DFaaS: Decentralized Function-as-a-Service for Federated Edge Computing"
//! (CloudNet 2021).
//!
//! Every period, step 1 compares each function's user rate with the rate the node is made for (`dfaas.maxrate`). A
//! node below it divides what is left among its peers and tells them (*LimitIn* here, *LimitOut* there); half a period
//! later, step 2 of a node above it spreads its excess over its peers in proportion to what they offered.
//!
//! `latencyawarestrategy` differs in that last step only: it fills the nearest peers first.

mod strategy;

use super::nearest::{self, Candidate};
use super::percent::shares;
use super::{Entry, FunctionName, LimitsIn, NodeId, Peer, PeerAddress, Reception, Share, Table, Weights};
use dfaas_agent_api::message::FunctionLimits;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// An entry lives this many periods after the peer's last message: one message may come late, not be lost twice.
const VALIDITY_PERIODS: f64 = 1.2;
/// The least a message may be late. The original, whose periods are minutes, has no such bound.
const LEAST_LATENESS: Duration = Duration::from_secs(1);

/// Whose behaviour is reproduced where the original has a known fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Compatibility {
    /// This project's: own functions are always published, to peers that were silent so far with real limits;
    /// functions that only peers have are forwarded to them.
    Ours,
    /// The original's, faults included: a peer that spoke is told only about the functions it named itself, one that
    /// was silent gets zeros, and functions without a local copy are never forwarded.
    Upstream,
}

/// How the excess of an overloaded node is spread over its peers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Spread {
    /// In proportion to their offers.
    Proportional,
    /// To the nearest ones that have room.
    Nearest,
}

/// What step 1 is computed from.
#[derive(Clone, Copy, Debug)]
pub struct Step1Inputs<'a> {
    /// Agents connected at the moment.
    pub peers: &'a BTreeSet<NodeId>,
    /// Local functions and the requests per second each is made for.
    pub functions: &'a BTreeMap<FunctionName, u32>,
    /// Measured user requests per second; forwarded ones are not in it. A missing function counts as 0.
    pub user_rates: &'a BTreeMap<FunctionName, f64>,
}

/// What step 1 decides.
#[derive(Clone, Debug, PartialEq)]
pub struct Step1Outputs {
    /// To be published: what this node offers to each connected peer.
    pub offers: FunctionLimits,
    /// Local functions whose users ask for more than they are made for.
    pub overloaded: BTreeSet<FunctionName>,
}

/// State of the strategy on one node.
#[derive(Clone, Debug)]
pub struct Recalc {
    own_id: NodeId,
    compatibility: Compatibility,
    spread: Spread,
    table: Table<BTreeMap<FunctionName, Share>>,
    functions: BTreeSet<FunctionName>,
    overloaded: BTreeSet<FunctionName>,
    /// Functions without a local copy that users asked this node for.
    wanted: BTreeSet<FunctionName>,
    /// Limits of connected peers that have not spoken yet.
    silent: LimitsIn,
    /// Connected peers that spoke and did not name this node: it is no neighbour of theirs.
    strangers: BTreeSet<NodeId>,
    /// Requests per second beyond what this node serves, at the last step 1.
    excess: BTreeMap<FunctionName, f64>,
    /// Weights in force since the last step 2.
    in_force: Weights,
    /// Limits before the last step 1, until step 2.
    limits_before: LimitsIn,
}

impl Recalc {
    /// A node that knows nobody, with steps every `period`.
    #[must_use]
    pub fn new(own_id: NodeId, period: Duration, compatibility: Compatibility) -> Self {
        let validity = period.mul_f64(VALIDITY_PERIODS).max(period + LEAST_LATENESS);
        Self {
            own_id,
            compatibility,
            spread: Spread::Proportional,
            table: Table::new(validity),
            functions: BTreeSet::new(),
            overloaded: BTreeSet::new(),
            wanted: BTreeSet::new(),
            silent: LimitsIn::new(),
            strangers: BTreeSet::new(),
            excess: BTreeMap::new(),
            in_force: Weights::new(),
            limits_before: LimitsIn::new(),
        }
    }

    /// The same with another way to spread an excess.
    #[must_use]
    pub fn spreading(self, spread: Spread) -> Self {
        Self { spread, ..self }
    }

    /// What is known of the peers.
    #[must_use]
    pub fn peers(&self) -> &Table<BTreeMap<FunctionName, Share>> {
        &self.table
    }

    /// Measures, divides what is left among the peers, and says what to publish.
    pub fn divide(&mut self, now: Duration, inputs: Step1Inputs<'_>) -> Step1Outputs {
        self.table.purge(now);
        self.limits_before = self.limits_in_force();
        self.strangers.retain(|peer| inputs.peers.contains(peer));
        self.functions = inputs.functions.keys().cloned().collect();
        self.overloaded.clear();
        self.silent = self.silent_peers(inputs.peers);
        self.wanted = self.wanted_functions(inputs.user_rates);
        self.excess = self
            .wanted
            .iter()
            .filter_map(|function| Some((function.clone(), *inputs.user_rates.get(function)?)))
            .collect();
        for (function, &maximum) in inputs.functions {
            let rate = inputs.user_rates.get(function).copied();
            if let Some(rate) = rate.filter(|rate| *rate >= f64::from(maximum)) {
                self.overloaded.insert(function.clone());
                self.excess.insert(function.clone(), rate - f64::from(maximum));
                self.set_limits(function, 0);
            } else {
                // Whole requests, as in the original: 9.5 asked of 20 leaves 11.
                let asked = rate.unwrap_or(0.0).max(0.0).floor() as u32;
                self.share_out(function, maximum.saturating_sub(asked));
            }
        }
        Step1Outputs {
            offers: self.offers(inputs.peers),
            overloaded: self.overloaded.clone(),
        }
    }

    /// Takes what `from` offers to this node.
    pub fn hear(
        &mut self,
        now: Duration,
        from: &str,
        address: PeerAddress,
        offers: &FunctionLimits,
    ) -> Reception {
        self.table.purge(now);
        let Some(offered) = offers.get(&self.own_id) else {
            if self.compatibility == Compatibility::Ours && self.strangers.len() < Table::<()>::MOST {
                self.strangers.insert(from.to_owned());
                self.silent.remove(from);
            }
            return Reception::NotForUs;
        };
        self.strangers.remove(from);
        let given = self.silent.remove(from).unwrap_or_default();
        let Some((entry, new)) = self.table.enter(from, now, address) else {
            return Reception::NoRoom;
        };
        entry.known.retain(|function, _| offered.contains_key(function));
        for (function, &limit) in offered {
            let share = entry.known.entry(function.clone()).or_insert_with(|| Share {
                limit_in: given.get(function).copied().unwrap_or(0),
                ..Share::default()
            });
            share.limit_out = if limit.is_finite() { limit.max(0.0) } else { 0.0 };
        }
        if new {
            Reception::NewPeer
        } else {
            Reception::Updated
        }
    }

    /// Spreads the excess of overloaded functions over the peers in proportion to their offers.
    ///
    /// Weights are floors of percentages; they may sum to less than 100, which HAProxy does not mind.
    pub fn weigh(&mut self, now: Duration, peers: &BTreeMap<NodeId, Peer>) -> Weights {
        self.table.purge(now);
        self.limits_before.clear();
        for function in self.forwarded() {
            if self.spread == Spread::Nearest {
                self.weigh_by_distance(&function, peers);
                continue;
            }
            let entries = self.table.iter();
            let limits: Vec<f64> = entries
                .filter_map(|(_, entry)| limit_out(entry, &function))
                .collect();
            let weights = self.in_proportion(&limits);
            for (share, weight) in self.shares_of(&function).zip(weights) {
                share.weight = weight;
            }
        }
        self.in_force = self.weights();
        self.in_force.clone()
    }

    fn in_proportion(&self, limits: &[f64]) -> Vec<u32> {
        let total: f64 = limits.iter().sum();
        let total = if total > 0.0 { total } else { 1.0 };
        let percent = |limit: &f64| (limit * 100.0 / total).floor().clamp(0.0, 100.0) as u32;
        let weights: Vec<u32> = limits.iter().map(percent).collect();
        // Of more than a hundred like peers each gets less than one percent, and the original forwards nothing.
        if self.compatibility == Compatibility::Ours && weights.iter().all(|weight| *weight == 0) {
            return shares(limits);
        }
        weights
    }

    fn weigh_by_distance(&mut self, function: &str, peers: &BTreeMap<NodeId, Peer>) {
        let sharers = self.table.iter().filter_map(|(peer, entry)| {
            Some(Candidate {
                limit: limit_out(entry, function)?,
                round_trip: peers.get(peer).and_then(|peer| peer.round_trip),
            })
        });
        let excess = self.excess.get(function).copied().unwrap_or(0.0);
        let weights = nearest::spread(&sharers.collect::<Vec<_>>(), excess);
        for (share, weight) in self.shares_of(function).zip(weights) {
            share.weight = weight;
        }
    }

    /// What this node offers to each of these peers at the moment, for publishing.
    #[must_use]
    pub fn offers(&self, peers: &BTreeSet<NodeId>) -> FunctionLimits {
        peers
            .iter()
            .map(|peer| (peer.clone(), self.offer(peer)))
            .collect()
    }

    /// Limits in force: between the steps the higher of old and new, because peers go on with the old weights until
    /// step 2 and may begin with new ones a moment before this node gets there.
    fn limits_in_force(&self) -> LimitsIn {
        let mut limits = self.limits_in();
        for (peer, functions) in &mut limits {
            let Some(before) = self.limits_before.get(peer) else {
                continue;
            };
            for (function, limit) in functions {
                *limit = (*limit).max(before.get(function).copied().unwrap_or(0));
            }
        }
        limits
    }

    /// The limits by this node's own reckoning, of every peer.
    fn limits_in(&self) -> LimitsIn {
        let mut limits = self.silent.clone();
        for (peer, entry) in self.table.iter() {
            let own = entry
                .known
                .iter()
                .filter(|(function, _)| self.functions.contains(*function));
            limits.insert(
                peer.clone(),
                own.map(|(name, share)| (name.clone(), share.limit_in)).collect(),
            );
        }
        limits
    }

    /// The weights by function and peer, of every function a peer named.
    fn weights(&self) -> Weights {
        let mut weights = Weights::new();
        for (peer, entry) in self.table.iter() {
            for (function, share) in &entry.known {
                weights
                    .entry(function.clone())
                    .or_default()
                    .insert(peer.clone(), share.weight);
            }
        }
        weights
    }

    fn offer(&self, peer: &str) -> BTreeMap<FunctionName, f64> {
        let entry = self.table.get(peer);
        if let (Compatibility::Upstream, Some(entry)) = (self.compatibility, entry) {
            return entry
                .known
                .iter()
                .map(|(name, share)| (name.clone(), f64::from(share.limit_in)))
                .collect();
        }
        let limit = |function: &FunctionName| match entry {
            Some(entry) => entry.known.get(function).map_or(0, |share| share.limit_in),
            None => self
                .silent
                .get(peer)
                .and_then(|limits| limits.get(function))
                .copied()
                .unwrap_or(0),
        };
        let own = self
            .functions
            .iter()
            .map(|function| (function.clone(), f64::from(limit(function))));
        // Naming a function with 0 asks its owners for a share without offering one.
        own.chain(self.wanted.iter().map(|function| (function.clone(), 0.0)))
            .collect()
    }

    /// Connected peers without an entry; the original gives them nothing before they speak.
    fn silent_peers(&self, peers: &BTreeSet<NodeId>) -> LimitsIn {
        if self.compatibility == Compatibility::Upstream {
            return LimitsIn::new();
        }
        let silent = peers
            .iter()
            .filter(|peer| self.table.get(peer).is_none() && !self.strangers.contains(*peer));
        silent.map(|peer| (peer.clone(), BTreeMap::new())).collect()
    }

    fn wanted_functions(&self, user_rates: &BTreeMap<FunctionName, f64>) -> BTreeSet<FunctionName> {
        if self.compatibility == Compatibility::Upstream {
            return BTreeSet::new();
        }
        let asked = user_rates
            .iter()
            .filter(|&(_, &rate)| rate > 0.0)
            .map(|(function, _)| function);
        asked
            .filter(|function| !self.functions.contains(*function))
            .cloned()
            .collect()
    }

    /// Divides `margin` equally, in whole requests, among the peers that take part in `function`.
    fn share_out(&mut self, function: &str, margin: u32) {
        let sharers = self.shares_of(function).count() + self.silent.len();
        let limit = u32::try_from(sharers)
            .ok()
            .and_then(|sharers| margin.checked_div(sharers))
            .unwrap_or(0);
        self.set_limits(function, limit);
        self.shares_of(function).for_each(|share| share.weight = 0);
    }

    fn set_limits(&mut self, function: &str, limit: u32) {
        self.shares_of(function).for_each(|share| share.limit_in = limit);
        for limits in self.silent.values_mut() {
            limits.insert(function.to_owned(), limit);
        }
    }

    fn shares_of<'a>(&'a mut self, function: &'a str) -> impl Iterator<Item = &'a mut Share> {
        self.table
            .values_mut()
            .filter_map(move |entry| entry.known.get_mut(function))
    }

    /// Functions whose requests go to peers: overloaded ones, and (not in the original) those that only peers have.
    fn forwarded(&self) -> BTreeSet<FunctionName> {
        let mut forwarded = self.overloaded.clone();
        if self.compatibility == Compatibility::Ours {
            let named = self.table.iter().flat_map(|(_, entry)| entry.known.keys());
            forwarded.extend(
                named
                    .filter(|function| !self.functions.contains(*function))
                    .cloned(),
            );
        }
        forwarded
    }
}

fn limit_out(entry: &Entry<BTreeMap<FunctionName, Share>>, function: &str) -> Option<f64> {
    entry.known.get(function).map(|share| share.limit_out)
}

#[cfg(test)]
mod replay;
#[cfg(test)]
mod tests;
