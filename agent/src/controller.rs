//! The agent's main loop: clock, network and platform in, proxy and messages out.

mod clock;
mod inputs;
mod observe;
mod pace;
mod steps;
mod strategy;

pub(crate) use strategy::mode;

use crate::config::{RateSource, StrategyConfig};
use crate::metrics::Metrics;
use crate::p2p::Overlay;
use crate::platform::{Functions, Platform, PlatformError};
use crate::proxy::{Change, Desired, Proxy};
use crate::status::{NodeStatus, Status};
use crate::strategy::{
    Answers, FunctionName, NodeId, Peer, PeerAddress, RateMeter, Schedule, Strategy, View,
};
use clock::Clock;
use pace::Pace;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;
use strategy::Services;
use tokio::sync::{oneshot, watch};
use tokio::task::JoinSet;
use tokio::time::Instant;

/// Changes that come together are applied together.
const GATHER: Duration = Duration::from_millis(200);
/// How often round trip times are taken from the connections at most.
const LINKS_PAUSE: Duration = Duration::from_secs(1);
/// How often the platform is asked for its functions, unless the period is shorter.
const FUNCTIONS_PAUSE: Duration = Duration::from_secs(5);
/// The same while it does not answer.
const FUNCTIONS_RETRY: Duration = Duration::from_millis(500);
/// Least time between reloads, and what it grows to while they keep coming: of fifty nodes that start together and name
/// different functions, none must reload fifty times.
const SHORT_RELOAD_PAUSE: Duration = Duration::from_millis(500);
const LONG_RELOAD_PAUSE: Duration = Duration::from_secs(4);
/// Least time between introductions, and what it grows to while peers keep coming: everyone hears each, and of fifty
/// agents that start together much of the time went into hearing the same of the others again and again.
const SHORT_INTRODUCTION_PAUSE: Duration = Duration::from_millis(500);
const LONG_INTRODUCTION_PAUSE: Duration = Duration::from_secs(2);
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
    strategy: Box<dyn Strategy>,
    services: Services,
    meter: RateMeter,
    clock: Clock,
    functions: Functions,
    /// Connected agents.
    connected: BTreeSet<NodeId>,
    /// Those of them that this node exchanges load with.
    neighbours: BTreeMap<NodeId, Peer>,
    /// Users' rates at the last step 1.
    rates: BTreeMap<FunctionName, f64>,
    /// When to bring HAProxy into the desired state, if something changed.
    apply_at: Option<Instant>,
    reloads: Pace,
    retry_pause: Duration,
    last_failure: Option<String>,
    /// Why the strategy could not take its last step.
    step_failure: Option<String>,
    /// When to ask the platform for its functions, unless it has been asked.
    functions_at: Option<Instant>,
    asked: JoinSet<Result<Functions, PlatformError>>,
    /// Why it did not answer the last time.
    platform_failure: Option<String>,
    /// When to introduce this node to peers that have just come.
    introduce_at: Option<Instant>,
    introductions: Pace,
    /// When to look at the connections, about which something is new.
    links_at: Option<Instant>,
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
        let rhythm = strategy::rhythm(config);
        Self {
            strategy: strategy::start(config, &parts.node.id, parts.node.port),
            services: Services::new(&config.kind, &parts.node.id),
            meter: RateMeter::default(),
            clock: Clock::new(Schedule::new(rhythm, window), rhythm),
            functions: Functions::default(),
            connected: BTreeSet::new(),
            neighbours: BTreeMap::new(),
            rates: BTreeMap::new(),
            apply_at: Some(now),
            reloads: Pace::new(SHORT_RELOAD_PAUSE, LONG_RELOAD_PAUSE),
            retry_pause: FIRST_RETRY,
            last_failure: None,
            step_failure: None,
            functions_at: None,
            asked: JoinSet::new(),
            platform_failure: None,
            introduce_at: None,
            introductions: Pace::new(SHORT_INTRODUCTION_PAUSE, LONG_INTRODUCTION_PAUSE),
            links_at: None,
            step1_duration: Duration::ZERO,
            parts,
        }
    }

    /// Runs until `stopped` says so, or its sender is gone.
    pub async fn run(mut self, mut stopped: oneshot::Receiver<()>) {
        // Functions first, so that one load of HAProxy does; without them at once, to be replaced soon.
        let answer = self.parts.platform.functions().await;
        self.on_functions(answer);
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
                Ok(()) = self.parts.overlay.links.changed() => self.links_changed(),
                () = tokio::time::sleep_until(self.links_at.unwrap_or(far)) => self.on_links(),
                Some(message) = self.parts.overlay.messages.recv() => self.on_message(&message),
                () = tokio::time::sleep_until(self.functions_at.unwrap_or(far)) => self.ask_for_functions(),
                Some(Ok(answer)) = self.asked.join_next() => self.on_functions(answer),
                () = tokio::time::sleep_until(self.introduce_at.unwrap_or(far)) => self.introduce(),
                () = tokio::time::sleep_until(self.apply_at.unwrap_or(far)) => self.apply().await,
            }
        }
        self.parts.overlay.stop().await;
    }

    /// Remembers that HAProxy's state is no longer the desired one.
    fn changed(&mut self) {
        let soon = self.reloads.soonest(Instant::now() + GATHER);
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
                self.reloads.done(Instant::now());
                self.parts.metrics.reloads.inc();
                tracing::info!(
                    functions = self.functions.balanced.len(),
                    peers = self.connected.len(),
                    "HAProxy reloaded"
                );
            }
        }
    }

    /// What the strategy sees at the moment.
    fn view<'a>(&'a self, answers: &'a Answers) -> View<'a> {
        View {
            now: self.clock.monotonic(),
            peers: &self.neighbours,
            functions: &self.functions.balanced,
            user_rates: &self.rates,
            answers,
        }
    }

    /// The state HAProxy should be in.
    fn desired(&self) -> Desired {
        let routing = self.strategy.routing(&self.view(&Answers::default()));
        let mut peers: BTreeMap<NodeId, Option<PeerAddress>> =
            self.connected.iter().map(|peer| (peer.clone(), None)).collect();
        peers.extend(
            routing
                .addresses
                .into_iter()
                .map(|(peer, address)| (peer, Some(address))),
        );
        let timeouts = self.functions.timeouts.iter();
        Desired {
            functions: self.functions.balanced.clone(),
            peers,
            limits: routing.limits,
            weights: routing.weights,
            own: routing.own,
            timeouts: timeouts
                .map(|(function, timeout)| (function.clone(), *timeout))
                .collect(),
        }
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
            peers: Status::peers(&self.strategy.table(), &self.connected),
        });
    }
}
