//! What the configuration of strategies that split requests makes a real HAProxy do.

use crate::client::{self, get};
use crate::haproxy::{Haproxy, own_address, turn};
use crate::node::{Node, one};
use dfaas_agent::proxy::{Change, Desired, Mode};
use dfaas_agent::strategy::{OwnWeights, PeerAddress};
use std::collections::BTreeMap;

const SPLIT: Mode = Mode::Split {
    names_origin: false,
    stages: false,
};
const SPLIT_AND_STAGES: Mode = Mode::Split {
    names_origin: true,
    stages: true,
};

/// figlet by these weights, here, rejected and at the peer.
fn desired(peer: &Node, local: u32, reject: u32, there: u32) -> Desired {
    let address = PeerAddress {
        host: peer.host(),
        port: Haproxy::PORT,
    };
    Desired {
        functions: one("figlet", 10),
        peers: one(&peer.id(), Some(address)),
        weights: one("figlet", one(&peer.id(), there)),
        own: one("figlet", OwnWeights { local, reject }),
        ..Desired::default()
    }
}

/// A peer that knows `node` and serves everything itself.
fn at_peer(node: &Node) -> Desired {
    Desired {
        functions: one("figlet", 10),
        peers: one(&node.id(), None),
        own: one(
            "figlet",
            OwnWeights {
                local: 100,
                reject: 0,
            },
        ),
        weights: one("figlet", BTreeMap::new()),
        ..Desired::default()
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn requests_are_split_by_weight_and_forwarded_once() {
    let Some(_turn) = turn().await else { return };
    for mode in [SPLIT, SPLIT_AND_STAGES] {
        let mut node = Node::with(own_address(), |settings| settings.mode = mode).await;
        let mut peer = Node::with(own_address(), |settings| settings.mode = mode).await;
        // The peer would send everything back, were a request forwarded twice.
        let mut back = desired(&node, 0, 0, 100);
        back.peers = one(&node.id(), back.server(&node.id()));
        peer.proxy.apply(&back).await.unwrap();
        node.proxy.apply(&desired(&peer, 50, 25, 25)).await.unwrap();
        let outcome = client::load(node.haproxy.address(), "/function/figlet", &[], 40, 2).await;
        let (own, theirs) = (node.host().to_string(), peer.host().to_string());
        assert_eq!(
            (outcome.total(&own), outcome.total("403"), outcome.total(&theirs)),
            (40, 20, 20),
            "weighted round robin is exact: {outcome:?}"
        );
        // Without a reload: all to the peer, all rejected, all here.
        let before = node.haproxy.reloads();
        for (local, reject, there) in [(0, 0, 100), (0, 100, 0), (100, 0, 0)] {
            let change = node
                .proxy
                .apply(&desired(&peer, local, reject, there))
                .await
                .unwrap();
            assert!(matches!(change, Change::Commands(2 | 3)), "{change:?}");
            let answer = get(node.haproxy.address(), "/function/figlet", &[]).await;
            let header = |name: &str| answer.headers.get(name).cloned().unwrap_or_default();
            if there == 100 {
                let server = if mode == SPLIT { peer.id() } else { node.id() };
                assert_eq!((answer.status, header("x-server")), (200, theirs.clone()));
                assert_eq!(
                    (header("dfaas-node-id"), header("dfaas-forwarded-to")),
                    (server, peer.id())
                );
            } else if local == 100 {
                assert_eq!((answer.status, header("x-server")), (200, own.clone()));
                assert_eq!(header("dfaas-node-id"), node.id());
                assert!(!answer.headers.contains_key("dfaas-forwarded-to"));
            } else {
                assert_eq!(answer.status, 403);
                assert!(
                    answer.body.contains("rejected by the strategy"),
                    "{}",
                    answer.body
                );
                assert!(!answer.headers.contains_key("x-server"));
            }
        }
        assert_eq!(node.haproxy.reloads(), before);
        assert_eq!(node.proxy.user_counters().await.unwrap().counts["figlet"], 83);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn strangers_are_refused_and_a_dead_platform_is_left_out() {
    let Some(_turn) = turn().await else { return };
    let mut node = Node::with(own_address(), |settings| settings.mode = SPLIT).await;
    let mut peer = Node::with(own_address(), |settings| settings.mode = SPLIT).await;
    peer.proxy.apply(&at_peer(&node)).await.unwrap();
    node.proxy.apply(&desired(&peer, 50, 0, 50)).await.unwrap();
    let address = node.haproxy.address();
    let refused = get(address, "/function/figlet", &[("DFaaS-Node-ID", "malicious-id")]).await;
    assert_eq!(refused.status, 403);
    assert_eq!(
        get(address, "/function/figlet2", &[]).await.status,
        200,
        "not balanced: the gateway answers"
    );
    drop(node.backend.take());
    let theirs = peer.host().to_string();
    for _ in 0..100 {
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
        let mut servers = Vec::new();
        for _ in 0..4 {
            let answer = get(address, "/function/figlet", &[]).await;
            servers.push((answer.status, answer.headers.get("x-server").cloned()));
        }
        if servers
            .iter()
            .all(|server| *server == (200, Some(theirs.clone())))
        {
            return;
        }
    }
    panic!("requests still go to a platform that does not answer");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_stage_is_kept_and_servers_are_counted() {
    let Some(_turn) = turn().await else { return };
    let mut node = Node::with(own_address(), |settings| settings.mode = SPLIT_AND_STAGES).await;
    let mut peer = Node::with(own_address(), |settings| settings.mode = SPLIT_AND_STAGES).await;
    peer.proxy.apply(&at_peer(&node)).await.unwrap();
    node.proxy.apply(&desired(&peer, 75, 0, 25)).await.unwrap();
    assert_eq!(node.proxy.stage().await.unwrap(), None);
    for (stage, expected) in [("7", Some(7)), ("x7", Some(7)), ("0", Some(0))] {
        get(
            node.haproxy.address(),
            "/function/figlet",
            &[("DFaaS-K6-Stage", stage)],
        )
        .await;
        assert_eq!(node.proxy.stage().await.unwrap(), expected, "{stage}");
    }
    get(node.haproxy.address(), "/function/figlet", &[]).await;
    let samples = node.proxy.server_samples().await.unwrap();
    let figlet = &samples["figlet"];
    assert_eq!((figlet.local.requests, figlet.local.succeeded), (3, 3));
    let there = figlet.peers[&peer.id()];
    assert_eq!((there.requests, there.succeeded), (1, 1));
}
