use std::net::{IpAddr, SocketAddr};

use dfaas_agent_api::headers::{FORWARDED_TO, NODE_ID, SERVER};
use dfaas_model::{Arrivals, Flow, RateStage};
use indexmap::IndexMap;

use crate::factory::RunningLab;
use crate::load::{self, DEFAULT_IN_FLIGHT_LIMIT, LoadError, LoadFlow, LoadPlan};

/// How long a function took by the platform's own account.
const PLATFORM_DURATION: &str = "X-Duration-Seconds";
const HTTP_PORT: u16 = 80;

/// The part of the load that one client node sends.
#[derive(Debug)]
pub(super) struct ClientLoad {
    /// Name of the client node.
    pub(super) node: String,
    /// Indexes, in the cell, of the plan's flows.
    pub(super) flows: Vec<usize>,
    /// What its load process is given.
    pub(super) plan: LoadPlan,
}

/// Checks that all flows can be sent, before there is a lab.
pub(super) fn check(flows: &[Flow]) -> Result<(), LoadError> {
    let anywhere = IpAddr::from([127, 0, 0, 1]);
    let flows = flows.iter().map(|flow| load_flow(flow, anywhere, 0)).collect();
    load::check(&LoadPlan {
        start_unix_nanoseconds: 0,
        in_flight_limit: 1,
        flows,
    })
}

/// Divides a cell's flows among their client nodes. `seed` is that of the repetition. The start time is filled in later.
///
/// # Errors
/// One sentence when a flow goes to a node of which the lab knows no address.
pub(super) fn divide(flows: &[Flow], lab: &RunningLab, seed: u64) -> Result<Vec<ClientLoad>, String> {
    let mut clients: IndexMap<&str, ClientLoad> = IndexMap::new();
    for (index, flow) in flows.iter().enumerate() {
        let address = lab
            .addresses
            .get(&flow.to)
            .ok_or_else(|| format!("flow `{}`: node `{}` has no address", flow.name, flow.to))?;
        let client = clients.entry(&flow.from).or_insert_with(|| ClientLoad {
            node: flow.from.clone(),
            flows: Vec::new(),
            plan: LoadPlan {
                start_unix_nanoseconds: 0,
                in_flight_limit: DEFAULT_IN_FLIGHT_LIMIT,
                flows: Vec::new(),
            },
        });
        client.flows.push(index);
        client.plan.flows.push(load_flow(flow, *address, seed));
    }
    Ok(clients.into_values().collect())
}

/// Host and port as a URL has them; the usual port is left out.
pub(super) fn authority(address: IpAddr, port: u16) -> String {
    let host = match address {
        IpAddr::V4(address) => address.to_string(),
        IpAddr::V6(address) => format!("[{address}]"),
    };
    if port == HTTP_PORT {
        host
    } else {
        format!("{host}:{port}")
    }
}

fn load_flow(flow: &Flow, address: IpAddr, seed: u64) -> LoadFlow {
    LoadFlow {
        name: flow.name.clone(),
        target: SocketAddr::new(address, flow.port),
        host: authority(address, flow.port),
        path: flow.path.clone(),
        method: flow.method.clone(),
        headers: flow
            .headers
            .iter()
            .map(|(name, value)| (name.clone(), value.clone()))
            .collect(),
        body: flow.body.clone(),
        start: flow.start,
        duration: flow.duration,
        arrivals: arrivals(flow, seed),
        timeout: flow.timeout,
        max_connections: None,
        recorded_headers: [SERVER, NODE_ID, FORWARDED_TO, PLATFORM_DURATION]
            .map(str::to_owned)
            .to_vec(),
    }
}

/// `seed` is that of the repetition: each has its own times, and each flow too.
fn arrivals(flow: &Flow, seed: u64) -> load::Arrivals {
    let seed = seed ^ fnv1a(&flow.name);
    match &flow.arrivals {
        Arrivals::Constant { per_second } => load::Arrivals::Constant {
            per_second: *per_second,
        },
        Arrivals::Poisson { per_second } => load::Arrivals::Poisson {
            per_second: *per_second,
            seed,
        },
        Arrivals::Stages { stages, poisson } => load::Arrivals::Stages {
            stages: stages.iter().map(stage).collect(),
            seed: poisson.then_some(seed),
        },
        Arrivals::Trace { times } => load::Arrivals::Trace {
            times: times.to_vec(),
        },
    }
}

fn stage(stage: &RateStage) -> load::Stage {
    load::Stage {
        from: stage.from,
        to: stage.to,
        duration: stage.duration,
    }
}

/// FNV-1a with 64 bits (draft-eastlake-fnv): a flow's times depend on its name, not on which other flows there are.
fn fnv1a(text: &str) -> u64 {
    let bytes = text.bytes();
    bytes.fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
    })
}
