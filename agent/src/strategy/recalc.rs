//! The recalc strategy: the algorithm of "DFaaS: Decentralized Function-as-a-Service for Federated Edge Computing"
//! (CloudNet 2021).
//!
//! Every period, step 1 compares each function's user rate with the rate the node is made for (`dfaas.maxrate`). A
//! node below it divides what is left among its peers and tells them (*LimitIn* here, *LimitOut* there); half a period
//! later, step 2 of a node above it spreads its excess over its peers in proportion to what they offered.
//!
//! `latencyawarestrategy` differs in that last step only: it fills the nearest peers first.

mod before;
mod strategy;

use super::join::{beside, join};
use super::nearest::{self, Candidate};
use super::percent::shares;
use super::{FunctionName, LimitsIn, NodeId, Peer, PeerAddress, Reception, Share, Table, Weights};
use before::LimitsBefore;
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
    /// Connected peers that have not spoken yet.
    silent: BTreeSet<NodeId>,
    /// The limits of each of them.
    silent_limits: BTreeMap<FunctionName, u32>,
    /// Connected peers that spoke and did not name this node: it is no neighbour of theirs.
    strangers: BTreeSet<NodeId>,
    /// Requests per second beyond what this node serves, at the last step 1.
    excess: BTreeMap<FunctionName, f64>,
    /// Weights in force since the last step 2, by peer and function.
    in_force: BTreeMap<NodeId, Vec<(FunctionName, u32)>>,
    /// Limits before the last step 1, until step 2.
    limits_before: LimitsBefore,
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
            silent: BTreeSet::new(),
            silent_limits: BTreeMap::new(),
            strangers: BTreeSet::new(),
            excess: BTreeMap::new(),
            in_force: BTreeMap::new(),
            limits_before: LimitsBefore::default(),
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
        self.limits_before = self.remembered_limits();
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
        let mut limits = Vec::with_capacity(inputs.functions.len());
        for ((function, &maximum), sharers) in inputs.functions.iter().zip(self.sharers()) {
            let rate = inputs.user_rates.get(function).copied();
            limits.push(
                if let Some(rate) = rate.filter(|rate| *rate >= f64::from(maximum)) {
                    self.overloaded.insert(function.clone());
                    self.excess.insert(function.clone(), rate - f64::from(maximum));
                    0
                } else {
                    // Whole requests, as in the original: 9.5 asked of 20 leaves 11.
                    let asked = rate.unwrap_or(0.0).max(0.0).floor() as u32;
                    let margin = maximum.saturating_sub(asked);
                    let share = u32::try_from(sharers)
                        .ok()
                        .and_then(|sharers| margin.checked_div(sharers));
                    share.unwrap_or(0)
                },
            );
        }
        self.set_limits(&limits);
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
        let given = self.silent.remove(from).then_some(&self.silent_limits);
        let Some((entry, new)) = self.table.enter(from, now, address) else {
            return Reception::NoRoom;
        };
        entry.known.retain(|function, _| offered.contains_key(function));
        for (function, &limit) in offered {
            let share = entry.known.entry(function.clone()).or_insert_with(|| Share {
                limit_in: given.and_then(|given| given.get(function)).copied().unwrap_or(0),
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

    /// Spreads the excess of overloaded functions over the peers in proportion to their offers, or to the nearest.
    /// [`weights`](Self::weights) says what came of it.
    ///
    /// Weights are floors of percentages; they may sum to less than 100, which HAProxy does not mind.
    pub fn weigh(&mut self, now: Duration, peers: &BTreeMap<NodeId, Peer>) {
        self.table.purge(now);
        self.limits_before.clear();
        let forwarded = self.forwarded();
        let mut candidates = vec![Vec::new(); forwarded.len()];
        for (peer, entry) in self.table.iter() {
            let round_trip = peers.get(peer).and_then(|peer| peer.round_trip);
            for (candidates, share) in join(forwarded.iter().zip(&mut candidates), &entry.known) {
                candidates.push(Candidate {
                    limit: share.limit_out,
                    round_trip,
                });
            }
        }
        let weights = forwarded
            .iter()
            .zip(&candidates)
            .map(|(function, candidates)| match self.spread {
                Spread::Proportional => self.in_proportion(candidates),
                Spread::Nearest => {
                    nearest::spread(candidates, self.excess.get(function).copied().unwrap_or(0.0))
                }
            });
        let mut weights: Vec<_> = weights.map(Vec::into_iter).collect();
        for entry in self.table.values_mut() {
            for (weights, share) in join(forwarded.iter().zip(&mut weights), &mut entry.known) {
                share.weight = weights.next().unwrap_or(0);
            }
        }
        self.put_in_force();
    }

    /// Weights by function and peer as the last step 2 decided them, for every function that a peer names.
    #[must_use]
    pub fn weights(&self) -> Weights {
        let mut columns: BTreeMap<&FunctionName, Vec<(NodeId, u32)>> = BTreeMap::new();
        let mut new = Vec::new();
        for (peer, entry) in self.table.iter() {
            let decided = self.in_force.get(peer).into_iter().flatten();
            let decided = beside(
                decided.map(|(function, weight)| (function, *weight)),
                &entry.known,
            );
            let decided = decided.map(|(weight, function, _)| (function, weight.unwrap_or(0)));
            let known = columns.iter_mut().map(|(function, column)| (*function, column));
            for (column, function, weight) in beside(known, decided) {
                match column {
                    Some(column) => column.push((peer.clone(), weight)),
                    None => new.push((function, vec![(peer.clone(), weight)])),
                }
            }
            columns.extend(new.drain(..));
        }
        let columns = columns.into_iter();
        columns
            .map(|(function, column)| (function.clone(), column.into_iter().collect()))
            .collect()
    }

    fn in_proportion(&self, candidates: &[Candidate]) -> Vec<u32> {
        let limits: Vec<f64> = candidates.iter().map(|candidate| candidate.limit).collect();
        let total: f64 = limits.iter().sum();
        let total = if total > 0.0 { total } else { 1.0 };
        let percent = |limit: &f64| (limit * 100.0 / total).floor().clamp(0.0, 100.0) as u32;
        let weights: Vec<u32> = limits.iter().map(percent).collect();
        // Of more than a hundred like peers each gets less than one percent, and the original forwards nothing.
        if self.compatibility == Compatibility::Ours && weights.iter().all(|weight| *weight == 0) {
            return shares(&limits);
        }
        weights
    }

    /// What this node offers to each of these peers at the moment, for publishing.
    #[must_use]
    pub fn offers(&self, peers: &BTreeSet<NodeId>) -> FunctionLimits {
        // Naming a function with 0 asks its owners for a share without offering one.
        let named = self.functions.iter().chain(&self.wanted);
        let nothing = named.map(|function| (function.clone(), 0.0)).collect();
        peers
            .iter()
            .map(|peer| (peer.clone(), self.offer(peer, &nothing)))
            .collect()
    }

    /// Limits in force: between the steps the higher of old and new, because peers go on with the old weights until
    /// step 2 and may begin with new ones a moment before this node gets there.
    fn limits_in_force(&self) -> LimitsIn {
        let limits = self.limits_in().into_iter().map(|(peer, limits)| {
            let limits = self.limits_before.raise(peer, limits);
            let limits = limits.map(|(function, limit)| (function.clone(), limit));
            (peer.clone(), limits.collect())
        });
        limits.collect()
    }

    fn remembered_limits(&self) -> LimitsBefore {
        let limits = self.limits_in().into_iter();
        let raised = limits.map(|(peer, limits)| (peer, self.limits_before.raise(peer, limits)));
        LimitsBefore::new(&self.functions, raised)
    }

    /// The limits of own functions by this node's own reckoning, of every peer.
    fn limits_in(&self) -> Vec<(&NodeId, Vec<(&FunctionName, u32)>)> {
        let given = self
            .silent_limits
            .iter()
            .map(|(function, limit)| (function, *limit));
        let given: Vec<_> = given.collect();
        let silent = self.silent.iter().map(|peer| (peer, given.clone()));
        let spoken = self
            .table
            .iter()
            .map(|(peer, entry)| (peer, self.own_limits(&entry.known).collect()));
        silent.chain(spoken).collect()
    }

    /// Limits of the own functions among those that a peer named.
    fn own_limits<'a>(
        &'a self,
        known: &'a BTreeMap<FunctionName, Share>,
    ) -> impl Iterator<Item = (&'a FunctionName, u32)> {
        beside(self.own_functions(), known)
            .filter_map(|(own, function, share)| own.map(|()| (function, share.limit_in)))
    }

    fn own_functions(&self) -> impl Iterator<Item = (&FunctionName, ())> {
        self.functions.iter().map(|function| (function, ()))
    }

    /// What is offered to a peer; `nothing` has all that may be.
    fn offer(&self, peer: &str, nothing: &BTreeMap<FunctionName, f64>) -> BTreeMap<FunctionName, f64> {
        let entry = self.table.get(peer);
        if let (Compatibility::Upstream, Some(entry)) = (self.compatibility, entry) {
            return entry
                .known
                .iter()
                .map(|(name, share)| (name.clone(), f64::from(share.limit_in)))
                .collect();
        }
        let mut offer = nothing.clone();
        if let Some(entry) = entry {
            let limits = self.own_limits(&entry.known);
            join(&mut offer, limits).for_each(|(offer, limit)| *offer = f64::from(limit));
        } else if self.silent.contains(peer) {
            join(&mut offer, &self.silent_limits).for_each(|(offer, limit)| *offer = f64::from(*limit));
        }
        offer
    }

    /// Connected peers without an entry; the original gives them nothing before they speak.
    fn silent_peers(&self, peers: &BTreeSet<NodeId>) -> BTreeSet<NodeId> {
        if self.compatibility == Compatibility::Upstream {
            return BTreeSet::new();
        }
        let silent = peers
            .iter()
            .filter(|peer| self.table.get(peer).is_none() && !self.strangers.contains(*peer));
        silent.cloned().collect()
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

    /// How many peers take part in each own function.
    fn sharers(&self) -> Vec<usize> {
        let mut sharers = vec![self.silent.len(); self.functions.len()];
        for (_, entry) in self.table.iter() {
            for (sharers, _) in join(self.functions.iter().zip(&mut sharers), &entry.known) {
                *sharers += 1;
            }
        }
        sharers
    }

    /// Takes the limits of the own functions, in their order, as those of every peer that takes part. Nobody is
    /// forwarded to any more where there is no overload.
    fn set_limits(&mut self, limits: &[u32]) {
        let Self {
            functions,
            overloaded,
            table,
            ..
        } = self;
        let overloaded = functions.iter().map(|function| overloaded.contains(function));
        let decided: Vec<(u32, bool)> = limits.iter().copied().zip(overloaded).collect();
        for entry in table.values_mut() {
            for (&(limit, overloaded), share) in join(functions.iter().zip(&decided), &mut entry.known) {
                share.limit_in = limit;
                if !overloaded {
                    share.weight = 0;
                }
            }
        }
        self.silent_limits = functions.iter().cloned().zip(limits.iter().copied()).collect();
    }

    /// Functions whose requests go to peers: overloaded ones, and (not in the original) those that only peers have.
    fn forwarded(&self) -> BTreeSet<FunctionName> {
        let mut forwarded = self.overloaded.clone();
        if self.compatibility == Compatibility::Ours {
            for (_, entry) in self.table.iter() {
                let named = beside(self.own_functions(), &entry.known);
                let foreign = named.filter(|(own, ..)| own.is_none());
                forwarded.extend(foreign.map(|(_, function, _)| function.clone()));
            }
        }
        forwarded
    }

    /// Keeps the weights as they are now. Peers mostly name the same functions as before.
    fn put_in_force(&mut self) {
        let Self { table, in_force, .. } = self;
        in_force.retain(|peer, _| table.get(peer).is_some());
        for (peer, entry) in table.iter() {
            let kept = match in_force.get_mut(peer) {
                Some(kept) => kept,
                None => in_force.entry(peer.clone()).or_default(),
            };
            if kept.iter().map(|(function, _)| function).eq(entry.known.keys()) {
                let weights = entry.known.values().map(|share| share.weight);
                kept.iter_mut()
                    .zip(weights)
                    .for_each(|(kept, weight)| kept.1 = weight);
            } else {
                let weights = entry
                    .known
                    .iter()
                    .map(|(function, share)| (function.clone(), share.weight));
                *kept = weights.collect();
            }
        }
    }
}

#[cfg(test)]
mod replay;
#[cfg(test)]
mod tests;
