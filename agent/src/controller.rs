//! The agent's main loop: clock, network and platform in, proxy and messages out.

mod clock;
mod inputs;
mod steps;

use crate::config::{RateSource, StrategyConfig};
use crate::metrics::Metrics;
use crate::p2p::Overlay;
use crate::platform::{Functions, Platform};
use crate::proxy::{Change, Desired, Proxy};
use crate::status::{NodeStatus, Status};
use crate::strategy::{FunctionName, LimitsIn, NodeId, PeerAddress, RateMeter, Recalc, Schedule, Weights};
use clock::Clock;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{oneshot, watch};
use tokio::time::Instant;

/// Changes that come together are applied together.
const GATHER: Duration = Duration::from_millis(200);
/// How often the platform is asked for its functions, unless the period is shorter.
const FUNCTIONS_PAUSE: Duration = Duration::from_secs(5);
/// The same while it does not answer.
const FUNCTIONS_RETRY: Duration = Duration::from_millis(500);
/// Least time between reloads, and what it grows to while they keep coming: of fifty nodes that start together and name
/// different functions, none must reload fifty times.
const SHORT_RELOAD_PAUSE: Duration = Duration::from_millis(500);
const LONG_RELOAD_PAUSE: Duration = Duration::from_secs(4);
/// After this long without a reload the pause is short again.
const CALM: Duration = Duration::from_secs(15);
const FIRST_RETRY: Duration = Duration::from_millis(500);
const LONGEST_RETRY: Duration = Duration::from_secs(15);

/// What the controller is made of.
#[derive(Debug)]
pub struct Parts {
    /// This node.
    pub node: NodeStatus,
    /// How to balance.
    pub strategy: StrategyConfig,
    /// HAProxy.
    pub proxy: Proxy,
    /// The functions platform.
    pub platform: Platform,
    /// The network.
    pub overlay: Overlay,
    /// Where to count.
    pub metrics: Arc<Metrics>,
    /// Where to tell.
    pub status: watch::Sender<Status>,
}

/// The main loop's state.
#[derive(Debug)]
pub struct Controller {
    parts: Parts,
    strategy: Recalc,
    meter: RateMeter,
    clock: Clock,
    functions: Functions,
    /// Connected agents this node deals with.
    connected: BTreeSet<NodeId>,
    /// Weights in force since the last step 2.
    weights: Weights,
    /// Limits before the last step 1, until step 2.
    limits_before: LimitsIn,
    /// Users' rates at the last step 1.
    rates: BTreeMap<FunctionName, f64>,
    /// When to bring HAProxy into the desired state, if something changed.
    apply_at: Option<Instant>,
    last_reload: Option<Instant>,
    reload_pause: Duration,
    retry_pause: Duration,
    last_failure: Option<String>,
    functions_at: Instant,
    platform_failed: bool,
    /// When to introduce this node to peers that have just come.
    introduce_at: Option<Instant>,
    step1_duration: Duration,
}

impl Controller {
    /// A controller that has done nothing yet.
    #[must_use]
    pub fn new(parts: Parts) -> Self {
        let config = &parts.strategy;
        let window = match config.rate {
            RateSource::Window(window) => window,
            RateSource::LastSecond => config.period / 2,
        };
        let now = Instant::now();
        Self {
            strategy: Recalc::new(parts.node.id.clone(), config.period, config.compatibility),
            meter: RateMeter::default(),
            clock: Clock::new(Schedule::new(config.period, window), config.period),
            functions: Functions::default(),
            connected: BTreeSet::new(),
            weights: Weights::new(),
            limits_before: LimitsIn::new(),
            rates: BTreeMap::new(),
            apply_at: Some(now),
            last_reload: None,
            reload_pause: SHORT_RELOAD_PAUSE,
            retry_pause: FIRST_RETRY,
            last_failure: None,
            functions_at: now,
            platform_failed: false,
            introduce_at: None,
            step1_duration: Duration::ZERO,
            parts,
        }
    }

    /// Runs until `stopped` says so, or its sender is gone.
    pub async fn run(mut self, mut stopped: oneshot::Receiver<()>) {
        // Functions first, so that one load of HAProxy does; without them at once, to be replaced soon.
        self.read_functions().await;
        self.apply().await;
        loop {
            let far = Instant::now() + Duration::from_secs(3600);
            tokio::select! {
                _ = &mut stopped => break,
                () = self.clock.wait() => self.tick().await,
                changed = self.parts.overlay.peers.changed() => match changed {
                    Ok(()) => self.on_peers(),
                    Err(_) => {
                        tracing::error!("the overlay network's task is gone");
                        break;
                    }
                },
                Some(message) = self.parts.overlay.messages.recv() => self.on_message(&message),
                () = tokio::time::sleep_until(self.functions_at) => self.read_functions().await,
                () = tokio::time::sleep_until(self.introduce_at.unwrap_or(far)) => self.introduce(),
                () = tokio::time::sleep_until(self.apply_at.unwrap_or(far)) => self.apply().await,
            }
        }
        self.parts.overlay.stop().await;
    }

    /// Remembers that HAProxy's state is no longer the desired one.
    fn changed(&mut self) {
        let soon = Instant::now() + GATHER;
        let soon = self
            .last_reload
            .map_or(soon, |last| soon.max(last + self.reload_pause));
        // A pending retry keeps its time.
        self.apply_at = Some(self.apply_at.map_or(soon, |at| at.min(soon)));
    }

    /// Brings HAProxy into the desired state; a failure is tried again after a growing pause.
    async fn apply(&mut self) {
        self.apply_at = None;
        let desired = self.desired();
        match self.parts.proxy.apply(&desired).await {
            Ok(change) => {
                self.note_change(change);
                self.retry_pause = FIRST_RETRY;
                if self.last_failure.take().is_some() {
                    tracing::info!("HAProxy is in the desired state again");
                }
            }
            Err(error) => {
                self.parts.metrics.proxy_failures.inc();
                let text = error.to_string();
                if self.last_failure.as_ref() != Some(&text) {
                    tracing::warn!("{text}");
                    self.last_failure = Some(text);
                }
                self.apply_at = Some(Instant::now() + self.retry_pause);
                self.retry_pause = (self.retry_pause * 2).min(LONGEST_RETRY);
            }
        }
        self.tell();
    }

    fn note_change(&mut self, change: Change) {
        match change {
            Change::None => {}
            Change::Commands(count) => {
                self.parts
                    .metrics
                    .runtime_commands
                    .inc_by(u64::try_from(count).unwrap_or(u64::MAX));
                tracing::debug!(count, "HAProxy changed without a reload");
            }
            Change::Reloaded(counters) => {
                if let Some(counters) = counters {
                    self.meter.read_last(&counters.counts);
                }
                self.pace_reloads();
                self.parts.metrics.reloads.inc();
                tracing::info!(
                    functions = self.functions.balanced.len(),
                    peers = self.connected.len(),
                    "HAProxy reloaded"
                );
            }
        }
    }

    fn pace_reloads(&mut self) {
        let now = Instant::now();
        let busy = self.last_reload.is_some_and(|last| now - last < CALM);
        self.reload_pause = if busy {
            (self.reload_pause * 2).min(LONG_RELOAD_PAUSE)
        } else {
            SHORT_RELOAD_PAUSE
        };
        self.last_reload = Some(now);
    }

    /// The state HAProxy should be in.
    fn desired(&self) -> Desired {
        let mut peers: BTreeMap<NodeId, Option<PeerAddress>> =
            self.connected.iter().map(|peer| (peer.clone(), None)).collect();
        let mut weights = Weights::new();
        for (peer, entry) in self.strategy.table().iter() {
            peers.insert(peer.clone(), Some(entry.address));
            for function in entry.functions.keys() {
                let weight = self
                    .weights
                    .get(function)
                    .and_then(|peers| peers.get(peer))
                    .copied()
                    .unwrap_or(0);
                weights
                    .entry(function.clone())
                    .or_default()
                    .insert(peer.clone(), weight);
            }
        }
        Desired {
            functions: self.functions.balanced.clone(),
            peers,
            limits: self.limits(),
            weights,
        }
    }

    /// Limits in force: between the steps the higher of old and new, because peers go on with the old weights until
    /// step 2 and may begin with new ones a moment before this node gets there.
    fn limits(&self) -> LimitsIn {
        let mut limits = self.strategy.limits_in();
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

    /// Publishes what `/peers` shows.
    fn tell(&self) {
        let overloaded = self.strategy.overloaded();
        let functions = self.functions.balanced.iter().map(|(name, &maxrate)| {
            let user_rate = self.rates.get(name).copied();
            let overloaded = overloaded.contains(name);
            (
                name.clone(),
                crate::status::FunctionStatus {
                    maxrate,
                    user_rate,
                    overloaded,
                },
            )
        });
        self.parts.status.send_replace(Status {
            node: Some(self.parts.node.clone()),
            functions: functions.collect(),
            peers: Status::peers(&self.strategy, &self.connected),
        });
    }
}
