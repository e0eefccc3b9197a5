//! What every strategy takes and gives.

use super::learning::{Action, Observed};
use super::{FunctionName, LimitsIn, NodeId, PeerAddress, Question, Share, Usage, Weights};
use dfaas_agent_api::message::FunctionLimits;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Debug;
use std::net::IpAddr;
use std::time::Duration;

/// A connected agent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Peer {
    /// Address of the connection.
    pub address: Option<IpAddr>,
    /// Round trip time by the last pings.
    pub round_trip: Option<Duration>,
}

/// What a strategy sees at the beginning of a step.
#[derive(Clone, Copy, Debug)]
pub struct View<'a> {
    /// The caller's clock; only differences mean something.
    pub now: Duration,
    /// Connected agents that this node exchanges load with.
    pub peers: &'a BTreeMap<NodeId, Peer>,
    /// Local functions and the requests per second each is made for.
    pub functions: &'a BTreeMap<FunctionName, u32>,
    /// Measured user requests per second; forwarded ones are not in it. A missing function counts as 0.
    pub user_rates: &'a BTreeMap<FunctionName, f64>,
    /// What the strategy has asked for so far in this step.
    pub answers: &'a Answers,
}

/// Answers of services that a strategy depends on.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Answers {
    /// What a node of a type would use under a load.
    pub forecasts: BTreeMap<Question, Usage>,
    /// Counters of this node's proxy and platform at this moment.
    pub observed: Option<Observed>,
    /// What the model wants done, by function.
    pub actions: BTreeMap<FunctionName, Action>,
}

/// What a strategy has to know before it can go on; the step is taken again with the answer.
#[derive(Clone, Debug, PartialEq)]
pub enum Need {
    /// Forecasts.
    Forecasts(Vec<Question>),
    /// The state of proxy and platform.
    Observation,
    /// An action for each of these functions, given the observation beside it (JSON of the model's service).
    Actions(Vec<(FunctionName, serde_json::Value)>),
}

/// What nodes tell each other. Where a node's proxy is goes with it, except for [`Word::Margin`].
#[derive(Clone, Debug, PartialEq)]
pub enum Word {
    /// Recalc: what each peer may send.
    Offers(FunctionLimits),
    /// Node margin: what kind of node this is.
    Node {
        /// 0 heavy, 1 mid, 2 light.
        node_type: i64,
        /// Usage at which it is overloaded.
        maxima: Usage,
        /// Its functions.
        functions: BTreeSet<FunctionName>,
    },
    /// Node margin: what is left of a node, in percent, for each neighbour.
    Margin {
        /// The margin.
        margin: f64,
        /// Its load in requests per second and group; zeros when there is no margin.
        load: super::Load,
    },
    /// Static and the others that split: its functions.
    Functions(BTreeSet<FunctionName>),
}

/// What became of a received word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reception {
    /// It says nothing about this node, or is a word of another strategy.
    NotForUs,
    /// The table is full.
    NoRoom,
    /// First word of a peer.
    NewPeer,
    /// A peer's newer word.
    Updated,
}

/// Weights of the servers of a function that are not peers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct OwnWeights {
    /// The local platform.
    pub local: u32,
    /// The rejector, which answers 403.
    pub reject: u32,
}

/// What the proxy has to do.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Routing {
    /// Proxies of peers.
    pub addresses: BTreeMap<NodeId, PeerAddress>,
    /// What each peer may send; only strategies that overflow have limits.
    pub limits: LimitsIn,
    /// Weights of peers; functions that only peers have are among them.
    pub weights: Weights,
    /// Weights of the local platform and the rejector; only strategies that split have them.
    pub own: BTreeMap<FunctionName, OwnWeights>,
}

/// What a strategy knows of a peer, for people.
pub type TableView = BTreeMap<NodeId, (PeerAddress, BTreeMap<FunctionName, Share>)>;

/// A strategy on one node.
pub trait Strategy: Debug + Send + Sync {
    /// At whole multiples of the period: measures, decides, and gives what is to be published. A step that was
    /// answered with a [`Need`] changed nothing that the next call would not do again.
    ///
    /// # Errors
    /// When something has to be asked first.
    fn step1(&mut self, view: &View<'_>) -> Result<Vec<Word>, Need>;

    /// Half a period later.
    fn step2(&mut self, _view: &View<'_>) {}

    /// Takes what a peer says.
    fn receive(&mut self, now: Duration, from: &str, address: Option<PeerAddress>, word: &Word) -> Reception;

    /// What a newcomer should hear before the next step.
    fn introduction(&self, view: &View<'_>) -> Vec<Word>;

    /// Forgets peers that have been silent for too long.
    fn purge(&mut self, now: Duration);

    /// Forgets a peer that is no neighbour any more.
    fn forget(&mut self, peer: &str);

    /// What the proxy has to do now, given the functions and peers of this moment.
    fn routing(&self, view: &View<'_>) -> Routing;

    /// Functions (or, where the strategy judges the node as a whole, all of them) that are asked for too much.
    fn overloaded(&self) -> BTreeSet<FunctionName> {
        BTreeSet::new()
    }

    /// What is known of the peers.
    fn table(&self) -> TableView;
}
