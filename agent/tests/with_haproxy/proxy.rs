//! What the configuration makes a real HAProxy do.

use crate::client::{self, get, near};
use crate::haproxy::{Haproxy, own_address, turn, turn_alone};
use crate::node::{Node, one, settings};
use dfaas_agent::proxy::{Change, Desired, NodeSettings, Proxy, ProxyPaths, Reload};
use dfaas_agent::strategy::PeerAddress;
use std::net::IpAddr;

/// figlet at 10 per second, a peer `n2` whose proxy is `peer` and that may send 5 per second.
fn desired(peer: Option<IpAddr>) -> Desired {
    let address = peer.map(|host| PeerAddress {
        host,
        port: Haproxy::PORT,
    });
    Desired {
        functions: one("figlet", 10),
        peers: one("n2", address),
        limits: one("n2", one("figlet", 5)),
        weights: one("figlet", one("n2", 0)),
        ..Desired::default()
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_is_answered_what() {
    let Some(_turn) = turn().await else { return };
    let mut node = Node::start().await;
    let address = node.haproxy.address();
    assert_eq!(
        get(address, "/function/figlet", &[]).await.status,
        503,
        "not configured yet"
    );
    let change = node.proxy.apply(&desired(None)).await.unwrap();
    assert!(matches!(change, Change::Reloaded(_)));
    let node_id = |id: &'static str| [("dfaas-node-id", id)];

    let served = get(address, "/function/figlet", &[]).await;
    assert_eq!((served.status, served.body.as_str()), (200, "done\n"));
    assert_eq!(served.headers["x-server"], node.host().to_string());
    assert_eq!(served.headers["dfaas-node-id"], format!("id-of-{}", node.host()));
    assert!(!served.headers.contains_key("dfaas-forwarded-to"));

    for path in [
        "/",
        "/function/figlet/some/path?x=1",
        "/function/figlet2",
        "/system/functions",
        "/function/figlet.openfaas-fn",
    ] {
        assert_eq!(get(address, path, &[]).await.status, 200, "{path}");
    }
    for path in [
        "/x",
        "/functions",
        "/system/functions/figlet",
        "//function/figlet",
        "/system/secrets",
    ] {
        assert_eq!(get(address, path, &[]).await.status, 403, "{path}");
    }
    let healthz = get(address, "/healthz", &[]).await;
    assert_eq!(
        healthz.status, 503,
        "the agent's server, which is not there, is asked"
    );

    // Unknown nodes are refused although there is capacity, whatever the function.
    for path in ["/function/figlet", "/function/figlet2", "/system/functions"] {
        let refused = get(address, path, &node_id("malicious-id")).await;
        assert_eq!(refused.status, 403, "{path}");
        assert!(
            !refused.headers.contains_key("x-server"),
            "a refusal is not a service"
        );
    }
    assert_eq!(get(address, "/function/figlet", &node_id("n2")).await.status, 200);
    let metrics = get((node.host(), Haproxy::METRICS_PORT).into(), "/metrics", &[]).await;
    assert!(
        metrics
            .body
            .contains("haproxy_backend_http_requests_total{proxy=\"be_local\"}")
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rates_are_those_configured() {
    let Some(_turn) = turn_alone().await else { return };
    let mut node = Node::start().await;
    node.proxy.apply(&desired(None)).await.unwrap();
    let address = node.haproxy.address();
    let own = node.host().to_string();
    let users = client::load(address, "/function/figlet", &[], 50, 5);
    let unbalanced = client::load(address, "/function/figlet2", &[], 20, 5);
    let (users, unbalanced) = tokio::join!(users, unbalanced);
    assert!(near(users.mean(&own, 0), 10.0), "{users:?}");
    assert_eq!(users.total("503"), 250 - users.total(&own));
    assert_eq!(
        unbalanced.total(&own),
        100,
        "a function without a rate is not limited, whatever its name begins with"
    );
    let counters = node.proxy.user_counters().await.unwrap();
    assert_eq!(counters.counts, one("figlet", 250));

    // A peer has its own limit, and is refused rather than forwarded.
    let peer = client::load(address, "/function/figlet", &[("DFaaS-Node-ID", "n2")], 30, 4).await;
    assert!((4.0..=6.0).contains(&peer.mean(&own, 0)), "{peer:?}");
    assert_eq!(peer.total("429"), 120 - peer.total(&own));
    assert_eq!(
        node.proxy.user_counters().await.unwrap().counts,
        one("figlet", 250),
        "peers are not users"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn limits_are_not_enforced_when_switched_off() {
    let Some(_turn) = turn().await else { return };
    let mut node = Node::with(own_address(), |settings| settings.enforce_limits = false).await;
    node.proxy.apply(&desired(None)).await.unwrap();
    let outcome = client::load(
        node.haproxy.address(),
        "/function/figlet",
        &[("DFaaS-Node-ID", "n2")],
        30,
        2,
    )
    .await;
    assert_eq!(outcome.total(&node.host().to_string()), 60, "{outcome:?}");

    let reloads = node.haproxy.reloads();
    let mut announced = desired(None);
    for limit in [5, 7] {
        announced.limits = one("n2", one("figlet", limit));
        assert_eq!(node.proxy.apply(&announced).await.unwrap(), Change::None);
    }
    assert_eq!(node.haproxy.reloads(), reloads);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn weights_and_limits_change_without_a_reload() {
    let Some(_turn) = turn().await else { return };
    let (mut node, mut peer) = (Node::start().await, Node::start().await);
    let own_id = format!("id-of-{}", node.host());
    let at_peer = Desired {
        functions: one("figlet", 1000),
        peers: one(&own_id, None),
        limits: one(&own_id, one("figlet", 1000)),
        ..Desired::default()
    };
    peer.proxy.apply(&at_peer).await.unwrap();
    let mut wanted = desired(Some(peer.host()));
    wanted.functions = one("figlet", 0);
    node.proxy.apply(&wanted).await.unwrap();
    let address = node.haproxy.address();
    let alone = get(address, "/function/figlet", &[]).await;
    assert_eq!(alone.status, 503);
    assert!(alone.body.contains("figlet is overloaded here"), "{}", alone.body);

    wanted.weights = one("figlet", one("n2", 100));
    let before = (node.haproxy.reloads(), peer.haproxy.reloads());
    assert_eq!(node.proxy.apply(&wanted).await.unwrap(), Change::Commands(1));
    assert_eq!(node.proxy.apply(&wanted).await.unwrap(), Change::None);
    let forwarded = get(address, "/function/figlet", &[]).await;
    assert_eq!(forwarded.status, 200);
    assert_eq!(forwarded.headers["x-server"], peer.host().to_string());
    assert_eq!(
        forwarded.headers["dfaas-forwarded-to"],
        format!("id-of-{}", peer.host())
    );

    // The peer takes less, then forgets this node: 429 and 403 come through.
    for (change, status) in [(0, 429), (1, 403)] {
        let mut less = at_peer.clone();
        if change == 0 {
            less.limits = one(&own_id, one("figlet", 0));
        } else {
            less.peers.clear();
        }
        assert!(matches!(
            peer.proxy.apply(&less).await.unwrap(),
            Change::Commands(_)
        ));
        let refused = get(address, "/function/figlet", &[]).await;
        assert_eq!(refused.status, status);
        assert!(!refused.headers.contains_key("x-server"));
    }
    assert_eq!((node.haproxy.reloads(), peer.haproxy.reloads()), before);

    // The files hold what is in force: somebody else's reload does not lose anything.
    let text = std::fs::read_to_string(node.haproxy.path("haproxy.cfg")).unwrap();
    assert!(text.contains("weight 100 track"), "{text}");
    let map = std::fs::read_to_string(peer.haproxy.path("dfaas-limits.map")).unwrap();
    assert_eq!(map, format!("{own_id}/figlet 1000\n"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn peers_come_and_go_without_a_reload() {
    let Some(_turn) = turn().await else { return };
    let (mut node, mut peer) = (Node::start().await, Node::start().await);
    let own_id = format!("id-of-{}", node.host());
    peer.proxy
        .apply(&Desired {
            peers: one(&own_id, None),
            ..Desired::default()
        })
        .await
        .unwrap();
    let overloaded = |peer| {
        let weights = one("figlet", one("n2", 100));
        Desired {
            functions: one("figlet", 0),
            weights,
            ..desired(peer)
        }
    };
    let (alone, together) = (overloaded(None), overloaded(Some(peer.host())));
    let address = node.haproxy.address();
    node.proxy.apply(&alone).await.unwrap();
    let reloads = node.haproxy.reloads();
    for _ in 0..2 {
        assert!(matches!(
            node.proxy.apply(&together).await.unwrap(),
            Change::Commands(_)
        ));
        assert_eq!(get(address, "/function/figlet", &[]).await.status, 200);
        assert!(matches!(
            node.proxy.apply(&alone).await.unwrap(),
            Change::Commands(_)
        ));
        assert_eq!(get(address, "/function/figlet", &[]).await.status, 503);
    }
    assert_eq!(node.haproxy.reloads(), reloads);

    // A peer that dies is noticed, whether its server was configured or added.
    node.proxy.apply(&together).await.unwrap();
    drop(peer);
    let mut status = 0;
    for _ in 0..100 {
        let answer = get(address, "/function/figlet", &[]).await;
        status = answer.status;
        if answer.body.contains("no other node takes it") {
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    }
    panic!("the dead peer's server is still used, status {status}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn reloads_lose_no_request_and_no_count() {
    let Some(_turn) = turn_alone().await else { return };
    let mut node = Node::start().await;
    let mut wanted = desired(None);
    node.proxy.apply(&wanted).await.unwrap();
    let address = node.haproxy.address();
    let users = tokio::spawn(client::load(address, "/function/figlet", &[], 50, 8));
    let others = tokio::spawn(client::load(address, "/function/other", &[], 200, 8));
    for number in 0..4 {
        tokio::time::sleep(std::time::Duration::from_millis(1500)).await;
        wanted.functions.insert(format!("another{number}"), 1);
        assert!(matches!(
            node.proxy.apply(&wanted).await.unwrap(),
            Change::Reloaded(Some(_))
        ));
    }
    let (users, others) = (users.await.unwrap(), others.await.unwrap());
    let own = node.host().to_string();
    assert_eq!(others.total(&own), 1600, "{others:?}");
    assert_eq!(users.total("503"), 400 - users.total(&own), "{users:?}");
    // The local rate is carried over; without that each reload would let ten more through.
    assert!((9.0..=11.5).contains(&users.mean(&own, 0)), "{users:?}");
    assert_eq!(node.haproxy.reloads(), 5);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_bad_configuration_changes_nothing() {
    let Some(_turn) = turn().await else { return };
    let mut node = Node::start().await;
    let good = desired(None);
    node.proxy.apply(&good).await.unwrap();
    let before = std::fs::read_to_string(node.haproxy.path("haproxy.cfg")).unwrap();
    // A name that the checks for peers would never let through.
    let mut bad = good.clone();
    bad.functions.insert("two words".to_owned(), 1);
    let error = node.proxy.apply(&bad).await.unwrap_err().to_string();
    assert!(error.contains("HAProxy refuses"), "{error}");
    assert_eq!(
        std::fs::read_to_string(node.haproxy.path("haproxy.cfg")).unwrap(),
        before
    );
    assert_eq!(
        get(node.haproxy.address(), "/function/figlet", &[]).await.status,
        200
    );
    assert!(
        matches!(node.proxy.apply(&good).await.unwrap(), Change::Reloaded(_)),
        "and it recovers"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_failed_reload_is_noticed() {
    let Some(_turn) = turn().await else { return };
    let mut node = Node::start().await;
    node.proxy.apply(&desired(None)).await.unwrap();
    let before = std::fs::read_to_string(node.haproxy.path("haproxy.cfg")).unwrap();
    // Without the check beforehand, only the master can tell.
    let unchecked = NodeSettings {
        peers_bind: None,
        ..settings(&node.haproxy)
    };
    let paths = ProxyPaths {
        configuration: node.haproxy.path("haproxy.cfg"),
        executable: None,
        reload: Reload::Master(node.haproxy.path("master.sock")),
    };
    let mut unchecked = Proxy::new(unchecked, paths, 100);
    let mut bad = desired(None);
    bad.functions.insert("two words".to_owned(), 1);
    let error = unchecked.apply(&bad).await.unwrap_err().to_string();
    assert!(error.contains("failed to reload"), "{error}");
    assert_eq!(
        std::fs::read_to_string(node.haproxy.path("haproxy.cfg")).unwrap(),
        before
    );
    assert_eq!(
        get(node.haproxy.address(), "/function/figlet", &[]).await.status,
        200
    );
}
