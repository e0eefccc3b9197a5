//! A proxy under sustained load while it is changed and reloaded.

use crate::backend::Backend;
use crate::haproxy::{Haproxy, own_address, turn_alone};
use crate::keepalive::{Outcome, sustain};
use crate::node::{Node, one};
use dfaas_agent::proxy::{Change, Desired, Mode};
use dfaas_agent::strategy::{OwnWeights, PeerAddress};
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

const RATE: u32 = 1000;
const LENGTH: Duration = Duration::from_secs(10);
const RELOADS: u32 = 10;
/// From one reload to the next: the last one is done before the load ends.
const BETWEEN_RELOADS: Duration = Duration::from_millis(900);

/// figlet split between this node and the peer, by weights that differ at every step, and `more` other functions.
fn state(mode: Mode, node: &Node, peer: &Node, step: u32, more: u32) -> Desired {
    let address = PeerAddress {
        host: peer.host(),
        port: Haproxy::PORT,
    };
    let there = step % 100 + 1;
    let mut functions = one("figlet", if mode == Mode::Overflow { 200 + step } else { 10 });
    let names = (0..more).map(|number| format!("more{number}"));
    functions.extend(names.map(|name| (name, 1)));
    let local = OwnWeights {
        local: 101 - there,
        reject: 0,
    };
    let own = functions.keys().map(|name| (name.clone(), local));
    Desired {
        own: if mode == Mode::Overflow {
            BTreeMap::new()
        } else {
            own.collect()
        },
        functions,
        peers: BTreeMap::from([(peer.id(), Some(address)), (node.id(), None)]),
        limits: one(&peer.id(), one("figlet", 100_000)),
        weights: one("figlet", one(&peer.id(), there)),
        ..Desired::default()
    }
}

async fn quick_node(mode: Mode) -> Node {
    let host = own_address();
    let backend = Backend::quick(host).await;
    Node::with_backend(host, backend, |settings| settings.mode = mode).await
}

async fn changes_and_reloads_lose_nothing(mode: Mode) {
    let [mut node, mut peer] = [quick_node(mode).await, quick_node(mode).await];
    let at_peer = Desired {
        functions: one("figlet", 100_000),
        peers: one(&node.id(), None),
        limits: one(&node.id(), one("figlet", 100_000)),
        own: one(
            "figlet",
            OwnWeights {
                local: 100,
                reject: 0,
            },
        ),
        ..Desired::default()
    };
    peer.proxy.apply(&at_peer).await.unwrap();
    let mut more = 0;
    node.proxy
        .apply(&state(mode, &node, &peer, 0, more))
        .await
        .unwrap();
    let started = Instant::now();
    let load = tokio::spawn(sustain(node.haproxy.address(), "/function/figlet", RATE, LENGTH));
    let (mut reloads, mut changed) = (0, 0);
    let steps = u32::try_from(LENGTH.as_millis() / 100).unwrap();
    for step in 1..steps {
        tokio::time::sleep(Duration::from_millis(100)).await;
        // Another function takes a reload, another weight does not.
        if more < RELOADS && started.elapsed() >= BETWEEN_RELOADS * (more + 1) {
            more += 1;
        }
        match node
            .proxy
            .apply(&state(mode, &node, &peer, step, more))
            .await
            .unwrap()
        {
            Change::Reloaded(_) => reloads += 1,
            Change::Commands(_) => changed += 1,
            Change::None => {}
        }
        if load.is_finished() {
            break;
        }
    }
    let outcome: Outcome = load.await.unwrap();
    let (own, theirs) = (node.host().to_string(), peer.host().to_string());
    assert_eq!(
        outcome.failures,
        BTreeMap::new(),
        "{reloads} reloads, {changed} changes"
    );
    let served = |server: &String| outcome.served.get(server).copied().unwrap_or(0);
    assert_eq!(served(&own) + served(&theirs), outcome.sent);
    assert_eq!(outcome.sent, RATE * u32::try_from(LENGTH.as_secs()).unwrap());
    assert!(
        served(&own) > 500 && served(&theirs) > 500,
        "both take part: {:?}",
        outcome.served
    );
    assert!(
        reloads >= RELOADS && changed >= 10,
        "{reloads} reloads, {changed} changes"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn split_requests_survive_changes_and_reloads() {
    let Some(_turn) = turn_alone().await else { return };
    let mode = Mode::Split {
        names_origin: false,
        stages: false,
    };
    changes_and_reloads_lose_nothing(mode).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn overflowing_requests_survive_changes_and_reloads() {
    let Some(_turn) = turn_alone().await else { return };
    changes_and_reloads_lose_nothing(Mode::Overflow).await;
}
