//! Which requests an overloaded node hands to whom, in small portions.

use super::{Forecasts, MarginSettings, exceeds, used_percent};
use crate::strategy::forecast::{Load, Usage};
use crate::strategy::{Compatibility, FunctionName, Need, NodeId};
use std::collections::{BTreeMap, VecDeque};

/// A portion is this part of a function's rate.
const PORTION: f64 = 0.05;
/// The original's portion: this part of what is left, so that it never ends by itself.
const ORIGINAL_PORTION: f64 = 0.01;
/// Portions in one step, at most: each may cost calls of a forecaster.
const MOST_PORTIONS: usize = 1000;

/// A neighbour with margin.
pub(super) struct Target {
    pub(super) peer: NodeId,
    pub(super) node_type: i64,
    pub(super) maxima: Usage,
    pub(super) margin: f64,
    pub(super) load: Load,
    /// Functions in common that it may still take, the next one first.
    pub(super) functions: VecDeque<FunctionName>,
}

/// The state of the distribution.
pub(super) struct Transfer {
    /// Rates that stay here.
    pub(super) maintained: BTreeMap<FunctionName, f64>,
    rates: BTreeMap<FunctionName, f64>,
    forwarded: BTreeMap<NodeId, BTreeMap<FunctionName, f64>>,
    load: Load,
    compatibility: Compatibility,
}

impl Transfer {
    pub(super) fn new(rates: BTreeMap<FunctionName, f64>, load: Load, compatibility: Compatibility) -> Self {
        Self {
            maintained: rates.clone(),
            rates,
            forwarded: BTreeMap::new(),
            load,
            compatibility,
        }
    }

    /// The rate of `function` that goes to `peer`.
    pub(super) fn forwarded(&self, peer: &str, function: &str) -> f64 {
        let functions = self.forwarded.get(peer);
        functions
            .and_then(|functions| functions.get(function))
            .copied()
            .unwrap_or(0.0)
    }

    /// Hands portions to the targets in turn until this node is not overloaded any more or nobody takes more.
    pub(super) fn run(
        &mut self,
        targets: Vec<Target>,
        settings: &MarginSettings,
        forecasts: &Forecasts<'_>,
    ) -> Result<(), Need> {
        let mut targets: VecDeque<Target> = targets.into();
        if self.compatibility == Compatibility::Ours {
            // What the forecast does not depend on cannot relieve this node; the original tries for ever.
            for target in &mut targets {
                target
                    .functions
                    .retain(|function| settings.groups.of(function).is_some());
            }
        }
        targets.retain(|target| !target.functions.is_empty());
        for _ in 0..MOST_PORTIONS {
            let Some(mut target) = targets.pop_front() else {
                break;
            };
            let Some(function) = target.functions.pop_front() else {
                continue;
            };
            let still_overloaded = match self.offer(&target, &function, settings, forecasts)? {
                Taken::Nothing => true,
                Taken::AllOfIt => {
                    for other in &mut targets {
                        other.functions.retain(|name| *name != function);
                    }
                    targets.retain(|target| !target.functions.is_empty());
                    true
                }
                Taken::Portion { still_overloaded } => {
                    target.functions.push_back(function);
                    still_overloaded
                }
            };
            if !still_overloaded {
                break;
            }
            if !target.functions.is_empty() {
                targets.push_back(target);
            }
        }
        Ok(())
    }

    fn portion(&self, function: &str) -> f64 {
        let left = self.maintained.get(function).copied().unwrap_or(0.0);
        match self.compatibility {
            Compatibility::Upstream => left * ORIGINAL_PORTION,
            Compatibility::Ours => (self.rates.get(function).copied().unwrap_or(0.0) * PORTION).min(left),
        }
    }

    fn offer(
        &mut self,
        target: &Target,
        function: &FunctionName,
        settings: &MarginSettings,
        forecasts: &Forecasts<'_>,
    ) -> Result<Taken, Need> {
        let portion = self.portion(function);
        if portion <= f64::EPSILON {
            return Ok(Taken::AllOfIt);
        }
        let group = settings.groups.of(function);
        let (mut theirs, mut ours) = (target.load, self.load);
        for (name, rate) in self.forwarded.get(&target.peer).into_iter().flatten() {
            if let Some(group) = settings.groups.of(name) {
                *theirs.group_mut(group) += rate;
            }
        }
        if let Some(group) = group {
            *theirs.group_mut(group) += portion;
            let own = ours.group_mut(group);
            *own = (*own - portion).max(0.0);
        }
        let own_type = settings.node_type.number();
        let [base, new, relieved] = forecasts.ask([
            (target.node_type, target.load),
            (target.node_type, theirs),
            (own_type, ours),
        ])?;
        if target.margin <= used_percent(new, target.maxima) - used_percent(base, target.maxima) {
            return Ok(Taken::Nothing);
        }
        if let Some(left) = self.maintained.get_mut(function) {
            *left -= portion;
        }
        *self
            .forwarded
            .entry(target.peer.clone())
            .or_default()
            .entry(function.clone())
            .or_insert(0.0) += portion;
        self.load = ours;
        Ok(Taken::Portion {
            still_overloaded: exceeds(relieved, settings.thresholds),
        })
    }
}

/// What came of an offer.
enum Taken {
    /// The target has no margin for this function any more.
    Nothing,
    /// There is nothing left of the function to hand over.
    AllOfIt,
    /// A portion.
    Portion {
        /// Whether more has to go.
        still_overloaded: bool,
    },
}
