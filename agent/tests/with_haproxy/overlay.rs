//! The overlay network on loopback addresses, and an agent that has nothing but it.

use crate::client::get;
use crate::haproxy::own_address;
use dfaas_agent::agent::Agent;
use dfaas_agent::config::Config;
use dfaas_agent::metrics::Metrics;
use dfaas_agent::p2p::{Overlay, OverlaySettings};
use dfaas_agent::strategy::Compatibility;
use dfaas_agent_api::Identity;
use futures::StreamExt as _;
use libp2p::gossipsub::{self, IdentTopic, MessageAuthenticity};
use libp2p::swarm::SwarmEvent;
use libp2p::{Multiaddr, SwarmBuilder, noise, tcp, yamux};
use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

const PORT: u16 = 26_100;
const TOPIC: &str = "/dfaasagent/1.0.0";

/// A node that speaks the overlay's protocols and nothing else.
struct Node {
    host: IpAddr,
    identity: Identity,
}

impl Node {
    fn new(number: u8) -> Self {
        Self {
            host: own_address(),
            identity: Identity::from_seed(&[number; 32]),
        }
    }

    fn id(&self) -> String {
        self.identity.peer_id()
    }

    fn multiaddress(&self) -> String {
        format!("/ip4/{}/tcp/{PORT}", self.host)
    }

    fn start(&self, bootstrap: &[&Node]) -> Overlay {
        self.start_on(TOPIC, bootstrap)
    }

    fn start_on(&self, topic: &str, bootstrap: &[&Node]) -> Overlay {
        self.start_counting(topic, bootstrap).0
    }

    fn start_counting(&self, topic: &str, bootstrap: &[&Node]) -> (Overlay, Arc<Metrics>) {
        let node = |node: &&Node| (node.id().parse().unwrap(), node.multiaddress().parse().unwrap());
        let settings = OverlaySettings {
            identity: self.identity.clone(),
            listen: vec![self.multiaddress().parse().unwrap()],
            advertised: self.host,
            bootstrap: bootstrap.iter().map(node).collect(),
            bootstrap_force: true,
            rendezvous: "dfaasagent".to_owned(),
            lookup_pause: Duration::from_secs(60),
            mdns: false,
            topic: topic.to_owned(),
            compatibility: Compatibility::Ours,
        };
        let metrics = Arc::new(Metrics::new());
        (Overlay::start(&settings, Arc::clone(&metrics)).unwrap(), metrics)
    }
}

/// Waits until a node is connected to exactly these.
async fn await_peers(overlay: &mut Overlay, expected: &[&Node]) {
    let expected: BTreeSet<String> = expected.iter().map(|node| node.id()).collect();
    let reached = overlay.peers.wait_for(|peers| *peers == expected);
    let reached = tokio::time::timeout(Duration::from_secs(20), reached)
        .await
        .is_ok();
    assert!(
        reached,
        "expected {expected:?}, got {:?}",
        overlay.peers.borrow().clone()
    );
}

#[tokio::test]
async fn agents_find_each_other_through_one_they_know() {
    let nodes = [11, 12, 13].map(Node::new);
    let [a, b, c] = &nodes;
    let (mut at_a, mut at_b, mut at_c) = (a.start(&[]), b.start(&[a]), c.start(&[a]));
    await_peers(&mut at_a, &[b, c]).await;
    await_peers(&mut at_b, &[a, c]).await;
    await_peers(&mut at_c, &[a, b]).await;

    at_b.publish(b"hello".to_vec());
    for overlay in [&mut at_a, &mut at_c] {
        let message = tokio::time::timeout(Duration::from_secs(5), overlay.messages.recv())
            .await
            .unwrap()
            .unwrap();
        assert_eq!((message.from, message.data), (b.id(), b"hello".to_vec()));
    }
    let known = at_b.links.wait_for(|links| {
        let link = links.get(&a.id()).copied().unwrap_or_default();
        link.address == Some(a.host) && link.round_trip.is_some_and(|time| !time.is_zero())
    });
    assert!(
        tokio::time::timeout(Duration::from_secs(5), known).await.is_ok(),
        "nothing is known of the link"
    );
    // A goodbye is heard at once.
    at_c.stop().await;
    await_peers(&mut at_a, &[b]).await;
    await_peers(&mut at_b, &[a]).await;
}

#[tokio::test]
async fn a_lost_bootstrap_node_is_found_again() {
    let nodes = [14, 15].map(Node::new);
    let [a, b] = &nodes;
    // Not there yet.
    let mut at_b = b.start(&[a]);
    tokio::time::sleep(Duration::from_millis(300)).await;
    let mut at_a = a.start(&[]);
    await_peers(&mut at_b, &[a]).await;
    await_peers(&mut at_a, &[b]).await;
    drop(at_a);
    await_peers(&mut at_b, &[]).await;
    let _at_a = a.start(&[]);
    await_peers(&mut at_b, &[a]).await;
}

#[tokio::test]
async fn a_connected_node_that_is_no_agent_is_no_peer() {
    let nodes = [16, 17, 18].map(Node::new);
    let [a, b, stranger] = &nodes;
    let mut at_a = a.start(&[]);
    let _at_stranger = stranger.start_on("/something/else", &[a]);
    let _at_b = b.start(&[a, stranger]);
    await_peers(&mut at_a, &[b]).await;
    tokio::time::sleep(Duration::from_millis(500)).await;
    await_peers(&mut at_a, &[b]).await;
}

/// The fourth ping would come after fifteen seconds, were the first as far apart as later ones.
#[tokio::test]
async fn how_far_a_new_peer_is_is_known_soon() {
    let nodes = [23, 24].map(Node::new);
    let [a, b] = &nodes;
    let (at_a, at_b) = (a.start(&[]), b.start(&[a]));
    let pinged = async |overlay: &Overlay, peer: &Node| {
        let (mut links, peer) = (overlay.links.clone(), peer.id());
        let pings = async {
            let first =
                links.wait_for(|links| links.get(&peer).is_some_and(|link| link.round_trip.is_some()));
            drop(first.await.unwrap());
            for _ in 0..3 {
                links.changed().await.unwrap();
            }
        };
        tokio::time::timeout(Duration::from_secs(9), pings).await.is_ok()
    };
    let both = tokio::join!(pinged(&at_a, b), pinged(&at_b, a));
    assert_eq!(both, (true, true), "pinged too few times");
}

/// A node that puts another's name on what it says: it cannot sign for it.
async fn forge(author: &Node, at: &Node) {
    let config = gossipsub::ConfigBuilder::default()
        .validation_mode(gossipsub::ValidationMode::None)
        .build()
        .unwrap();
    let authenticity = MessageAuthenticity::Author(author.id().parse().unwrap());
    let gossip: gossipsub::Behaviour = gossipsub::Behaviour::new(authenticity, config).unwrap();
    let mut swarm = SwarmBuilder::with_new_identity()
        .with_tokio()
        .with_tcp(tcp::Config::default(), noise::Config::new, yamux::Config::default)
        .unwrap()
        .with_behaviour(|_| gossip)
        .unwrap()
        .build();
    let topic = IdentTopic::new(TOPIC);
    swarm.behaviour_mut().subscribe(&topic).unwrap();
    swarm
        .dial(at.multiaddress().parse::<Multiaddr>().unwrap())
        .unwrap();
    loop {
        if let SwarmEvent::Behaviour(gossipsub::Event::Subscribed { .. }) = swarm.select_next_some().await {
            swarm
                .behaviour_mut()
                .publish(topic.hash(), b"forged".to_vec())
                .unwrap();
        }
    }
}

#[tokio::test]
async fn a_forged_author_is_not_believed() {
    let nodes = [21, 22].map(Node::new);
    let [agent, author] = &nodes;
    let (mut at_agent, metrics) = agent.start_counting(TOPIC, &[]);
    let mut at_author = author.start(&[agent]);
    await_peers(&mut at_author, &[agent]).await;
    let counted = async {
        let line = format!("dfaas_agent_gossip_invalid_messages_per_topic_total{{hash=\"{TOPIC}\"}} 1\n");
        while !metrics.text().unwrap().contains(&line) {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::select! {
        () = forge(author, agent) => {}
        counted = tokio::time::timeout(Duration::from_secs(20), counted) => {
            assert!(counted.is_ok(), "{}", metrics.text().unwrap());
        }
    }
    // The author itself is still heard, and its words come first.
    at_author.publish(b"true".to_vec());
    let message = tokio::time::timeout(Duration::from_secs(5), at_agent.messages.recv()).await;
    assert_eq!(message.unwrap().unwrap().data, b"true");
}

/// Without HAProxy and without functions, an agent runs, says what is missing, and survives what peers send.
#[tokio::test]
async fn bad_messages_are_counted_and_survived() {
    const SERVER_PORT: u16 = 27_108;
    let (agent, peer) = (Node::new(19), Node::new(20));
    let directory = tempfile::tempdir().unwrap();
    let path = |name: &str| directory.path().join(name).to_str().unwrap().to_owned();
    std::fs::write(path("key.pem"), agent.identity.to_pem().unwrap()).unwrap();
    let environment: BTreeMap<String, String> = [
        ("AGENT_NODE_IP", agent.host.to_string()),
        ("AGENT_PRIVATE_KEY_FILE", path("key.pem")),
        ("AGENT_LISTEN", agent.multiaddress()),
        ("AGENT_HAPROXY_CONFIG_FILE", path("haproxy.cfg")),
        ("AGENT_HAPROXY_SOCK_PATH", path("admin.sock")),
        ("AGENT_HAPROXY_MASTER_SOCK_PATH", path("master.sock")),
        ("AGENT_OPENFAAS_PORT", "1".to_owned()),
        ("AGENT_HTTPSERVER_HOST", agent.host.to_string()),
        ("AGENT_HTTPSERVER_PORT", SERVER_PORT.to_string()),
    ]
    .map(|(name, value)| (name.to_owned(), value))
    .into();
    let running = Agent::start(Config::read(&environment).unwrap()).await.unwrap();
    let server = SocketAddr::new(agent.host, SERVER_PORT);

    let mut at_peer = peer.start(&[&agent]);
    await_peers(&mut at_peer, &[&agent]).await;
    let own = agent.id();
    for message in [
        "{".to_owned(),
        r#"{"MsgType":"heartbeat"}"#.to_owned(),
        format!(
            r#"{{"MsgType":"nodeinfoRecalc","HAProxyHost":"x y","HAProxyPort":80,"FuncLimits":{{"{own}":{{}}}}}}"#
        ),
        format!(
            r#"{{"MsgType":"nodeinfoRecalc","HAProxyHost":"10.0.0.9","HAProxyPort":80,"FuncLimits":{{"{own}":{{"a\nb":1}}}}}}"#
        ),
        format!(
            r#"{{"MsgType":"nodeinfoRecalc","HAProxyHost":"10.0.0.9","HAProxyPort":80,"FuncLimits":{{"{own}":{{"figlet":7.5}}}}}}"#
        ),
    ] {
        at_peer.publish(message.into_bytes());
    }
    let mut text = String::new();
    for _ in 0..100 {
        text = get(server, "/metrics", &[]).await.body;
        if text.contains("dfaas_agent_messages_received_total{type=\"nodeinfoRecalc\"} 1")
            && text.contains("bad function name")
        {
            break;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    for reason in [
        "not a message",
        "unknown type",
        "bad address",
        "bad function name",
    ] {
        let line = format!("dfaas_agent_messages_bad_total{{reason=\"{reason}\"}} 1\n");
        assert!(text.contains(&line), "{line} is missing from {text}");
    }
    assert!(
        text.contains("dfaas_agent_messages_received_total{type=\"nodeinfoRecalc\"} 1"),
        "{text}"
    );
    assert!(text.contains("dfaas_agent_peers 1\n"), "{text}");

    let health = get(server, "/healthz", &[]).await;
    assert_eq!(health.status, 503);
    assert!(
        health
            .body
            .starts_with("DFaaS Node running.\nHAProxy status: down"),
        "{}",
        health.body
    );
    assert!(health.body.contains("OpenFaaS status: down"), "{}", health.body);
    running.stop().await;
}
