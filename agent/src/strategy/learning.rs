//! The reinforcement learning strategy: a model that runs elsewhere is told what this node measured, and answers how
//! each function's requests are to be shared out.
//!
//! A load generator that sends `DFaaS-K6-Stage: n` steers it, as in the original: in stages 0 and 1 (mod 4) everything
//! is served here, in stages 2 and 3 the model decides once, from what was measured since. Without that header the
//! model is asked once per period.

mod action;
mod observation;

pub use action::{Action, ActionError};
pub use observation::{FunctionSample, Observed, ServerSample};

use super::directory::{Directory, Original};
use super::interface::{OwnWeights, View, Word};
use super::percent::shares;
use super::portions::{Decided, Portions};
use super::sharing::{Shares, Sharing};
use super::{Compatibility, FunctionName, Need};
use std::collections::BTreeMap;
use std::time::Duration;

/// What such a node is configured with.
#[derive(Clone, Debug)]
pub struct LearningSettings {
    /// PeerId of this node.
    pub own_id: String,
    /// Whether the model may try actions out.
    pub explore: bool,
    /// How often it is asked when no load generator says in which stage it is.
    pub period: Duration,
    /// Port of the proxies of peers that never say theirs.
    pub port: u16,
    /// Whose behaviour is reproduced.
    pub compatibility: Compatibility,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    AllLocal,
    Model,
}

impl Phase {
    fn of_stage(stage: u32) -> Self {
        if stage % 4 < 2 {
            Self::AllLocal
        } else {
            Self::Model
        }
    }
}

/// State of the strategy on one node.
#[derive(Debug)]
pub struct Learning {
    settings: LearningSettings,
    sharing: Sharing,
    phase: Option<Phase>,
    /// Where the window before the current one begins.
    earlier: Option<Observed>,
    /// Where the current window begins.
    begun: Option<Observed>,
    /// When the model is asked next without stages, and when peers are told about this node.
    act_at: Option<Duration>,
    say_at: Option<Duration>,
}

impl Learning {
    /// How often the stage is looked at.
    pub const TICK: Duration = Duration::from_secs(1);

    /// A node that knows nobody.
    #[must_use]
    pub fn new(settings: LearningSettings) -> Self {
        let period = settings.period.max(Self::TICK);
        let directory = Directory::new(period, settings.compatibility, Original::Silent, settings.port);
        Self {
            sharing: Sharing::new(directory),
            settings: LearningSettings { period, ..settings },
            phase: None,
            earlier: None,
            begun: None,
            act_at: None,
            say_at: None,
        }
    }

    /// What is to be done now.
    fn due(&self, now: Duration, stage: Option<u32>) -> Option<Phase> {
        match stage.map(Phase::of_stage) {
            Some(phase) if self.phase == Some(phase) => None,
            // A run begins by serving everything here.
            Some(Phase::Model) if self.phase.is_none() => None,
            Some(phase) => Some(phase),
            None if self.phase.is_some() => None,
            None => match self.act_at {
                Some(at) if now < at => None,
                _ => Some(Phase::Model),
            },
        }
    }

    /// Names of the servers that an action may name, without this node's own.
    fn peers(&self, view: &View<'_>, function: &str) -> Vec<String> {
        let candidates = self.sharing.directory.candidates(view, function);
        candidates.into_iter().map(|candidate| candidate.peer).collect()
    }

    fn questions(&self, view: &View<'_>, now: &Observed) -> Vec<(FunctionName, serde_json::Value)> {
        let windows = observation::Windows {
            earlier: self.earlier.as_ref(),
            begun: self.begun.as_ref(),
            now,
        };
        let several = view.functions.len() > 1;
        view.functions
            .keys()
            .map(|function| {
                let peers = self.peers(view, function);
                let observation = windows.observation(&self.settings.own_id, function, &peers);
                let mut parameters = serde_json::json!({ "explore": self.settings.explore });
                if several {
                    // The original has one function at most; with more, the model has to know which.
                    parameters["function"] = function.as_str().into();
                }
                let question =
                    serde_json::json!({ "observation": observation, "agent_parameters": parameters });
                (function.clone(), question)
            })
            .collect()
    }

    fn portions(&self, action: &Action, peers: &[String]) -> Portions {
        let amount = |peer: &String| action.peers.get(peer).copied().unwrap_or(0.0);
        let amounts: Vec<f64> = [action.local, action.reject]
            .into_iter()
            .chain(peers.iter().map(amount))
            .collect();
        let weights = match self.settings.compatibility {
            Compatibility::Ours => shares(&amounts),
            Compatibility::Upstream => amounts.iter().map(|part| (part * 100.0).round() as u32).collect(),
        };
        let mut weights = weights.into_iter();
        let own = OwnWeights {
            local: weights.next().unwrap_or(0),
            reject: weights.next().unwrap_or(0),
        };
        Portions {
            own,
            peers: peers.iter().cloned().zip(weights).collect(),
        }
    }

    fn serve_here(&mut self, view: &View<'_>, observed: &Observed) {
        let here = |function: &FunctionName| (function.clone(), Portions::here());
        self.sharing.decided = Decided::new(view, view.functions.keys().map(here).collect());
        self.phase = Some(Phase::AllLocal);
        self.begun = Some(observed.clone());
    }

    fn act(&mut self, view: &View<'_>, observed: &Observed) -> Result<(), Need> {
        let asked = view
            .functions
            .keys()
            .all(|function| view.answers.actions.contains_key(function));
        if !asked {
            return Err(Need::Actions(self.questions(view, observed)));
        }
        let decided: BTreeMap<FunctionName, Portions> = view
            .functions
            .keys()
            .filter_map(|function| {
                let action = view.answers.actions.get(function)?;
                Some((
                    function.clone(),
                    self.portions(action, &self.peers(view, function)),
                ))
            })
            .collect();
        self.sharing.decided = Decided::new(view, decided);
        if observed.stage.is_some() {
            self.phase = Some(Phase::Model);
            self.earlier = Some(observed.clone());
        } else {
            self.earlier = self.begun.replace(observed.clone());
            self.act_at = Some(view.now + self.settings.period);
        }
        Ok(())
    }

    fn words(&mut self, view: &View<'_>) -> Vec<Word> {
        if self.say_at.is_some_and(|at| view.now < at) {
            return Vec::new();
        }
        self.say_at = Some(view.now + self.settings.period);
        self.sharing.directory.words(view)
    }
}

impl Shares for Learning {
    fn sharing(&self) -> &Sharing {
        &self.sharing
    }

    fn sharing_mut(&mut self) -> &mut Sharing {
        &mut self.sharing
    }

    fn decide(&mut self, view: &View<'_>) -> Result<Vec<Word>, Need> {
        let observed = view.answers.observed.as_ref().ok_or(Need::Observation)?;
        match self.due(view.now, observed.stage) {
            None => {}
            Some(Phase::AllLocal) => self.serve_here(view, observed),
            Some(Phase::Model) => self.act(view, observed)?,
        }
        Ok(self.words(view))
    }
}

#[cfg(test)]
mod tests;
