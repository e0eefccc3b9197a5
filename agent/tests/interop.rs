//! Real agents beside a real go-libp2p (`ci/interop`), the library that the original agent is made of.
//!
//! Without Go these tests say so and pass, unless `DFAAS_REQUIRE` names `go`; those with a network of their own need root.

#![expect(
    clippy::unwrap_used,
    clippy::print_stderr,
    reason = "helpers of tests may panic and speak as tests do"
)]

#[path = "interop/agent.rs"]
mod agent;
#[path = "interop/peer.rs"]
mod peer;
#[path = "interop/segment.rs"]
mod segment;

use agent::{Agent, Gateway};
use peer::{Peer, build};
use segment::Segment;
use serde_json::Value;

/// What go-libp2p calls the ways of encryption.
const NOISE: &str = "/noise";
const TLS: &str = "/tls/1.0.0";

/// The message a Go peer hears of an agent that has figlet (10 requests per second) and no other peer.
fn expected_offer(agent: &Agent, peer: &Peer) -> String {
    format!(
        r#"{{"MsgType":"nodeinfoRecalc","HAProxyHost":"{}","HAProxyPort":80,"FuncLimits":{{"{}":{{"figlet":10}}}}}}"#,
        agent.host, peer.id
    )
}

/// Offers cross in both directions, and each side understands the other's.
fn offers_cross(agent: &Agent, peer: &mut Peer) {
    let expected = expected_offer(agent, peer);
    peer.wait("message", |event| {
        event["peer"] == agent.id() && event["data"] == expected
    });
    let status = agent.wait_for_peers(|peers| !peers[&peer.id]["functions"]["figlet"].is_null());
    let heard = &status[&peer.id];
    assert_eq!(heard["connected"], true, "{heard}");
    assert_eq!(heard["proxy"], "10.9.9.9:80", "{heard}");
    assert_eq!(heard["functions"]["figlet"]["limit_out"], 7.5, "{heard}");
    assert_eq!(heard["functions"]["shasum"]["limit_out"], 10.0, "{heard}");
}

fn go_calls(security: &str, protocol: &str) {
    if !build() {
        return;
    }
    let gateway = Gateway::start();
    let agent = Agent::start(&gateway, &[]);
    let listen = format!("/ip4/{}/tcp/0", agent.host);
    let mut peer = Peer::start(&[
        "-security",
        security,
        "-listen",
        &listen,
        "-connect",
        &agent.multiaddress(),
    ]);
    let connected = peer.wait("connected", |event| event["peer"] == agent.id());
    assert_eq!(connected["security"], protocol, "{connected}");
    offers_cross(&agent, &mut peer);
}

fn go_is_called(security: &str, protocol: &str) {
    if !build() {
        return;
    }
    let gateway = Gateway::start();
    let mut peer = Peer::start(&["-security", security]);
    let agent = Agent::start(&gateway, &[&peer.multiaddress()]);
    let connected = peer.wait("connected", |event| event["peer"] == agent.id());
    assert_eq!(connected["security"], protocol, "{connected}");
    offers_cross(&agent, &mut peer);
}

#[test]
fn go_calls_with_noise() {
    go_calls("noise", NOISE);
}

#[test]
fn go_calls_with_tls() {
    go_calls("tls", TLS);
}

#[test]
fn go_is_called_with_noise() {
    go_is_called("noise", NOISE);
}

#[test]
fn go_is_called_with_tls() {
    go_is_called("tls", TLS);
}

/// A Go peer and an agent that both know only another agent find each other under the rendezvous.
#[test]
fn kademlia_leads_to_one_another() {
    if !build() {
        return;
    }
    let gateway = Gateway::start();
    let known = Agent::start(&gateway, &[]);
    let other = Agent::start(&gateway, &[&known.multiaddress()]);
    other.wait_for_peers(|peers| peers[known.id()]["connected"] == true);
    // It connects to nobody it finds, so the other agent must have found it.
    let listen = format!("/ip4/{}/tcp/0", known.host);
    let mut peer = Peer::start(&[
        "-kademlia",
        "-passive",
        "-rendezvous",
        Agent::RENDEZVOUS,
        "-listen",
        &listen,
        "-connect",
        &known.multiaddress(),
    ]);
    let found = peer.wait("kademlia", |event| event["peer"] == other.id());
    let addresses = found["addresses"].as_array().unwrap();
    assert!(addresses.contains(&Value::from(other.address())), "{found}");
    peer.wait("connected", |event| event["peer"] == other.id());
    other.wait_for_peers(|peers| !peers[&peer.id]["functions"]["figlet"].is_null());
}

/// Two agents, cut off from each other for longer than either takes to notice, and joined again.
#[test]
fn a_parted_federation_heals() {
    let Some(segment) = Segment::make() else { return };
    let one = Agent::start_at(&segment, 0, &[]);
    let known = ("AGENT_BOOTSTRAP_NODES_LIST", one.multiaddress());
    let other = Agent::start_at(&segment, 1, &[known]);
    let both = [(&one, other.id()), (&other, one.id())];
    let wait = |connected: bool| {
        for (agent, peer) in &both {
            agent.wait_for_peers(|peers| peers[peer]["connected"].as_bool().unwrap_or_default() == connected);
        }
    };
    wait(true);
    segment.cut();
    wait(false);
    segment.mend();
    wait(true);
}

/// A Go peer and an agent on one network segment, each knowing nothing but the word.
#[test]
fn multicast_leads_to_one_another() {
    if !build() {
        return;
    }
    let Some(segment) = Segment::make() else { return };
    let agent = Agent::start_at(&segment, 0, &[("AGENT_MDNS_ENABLED", "true".to_owned())]);
    let listen = format!("/ip4/{}/tcp/0", segment.host(1));
    let arguments = [
        "-mdns",
        "-passive",
        "-rendezvous",
        Agent::RENDEZVOUS,
        "-listen",
        &listen,
    ];
    let mut peer = Peer::start_by(&segment.entry(1), &arguments);
    let found = peer.wait("mdns", |event| event["peer"] == agent.id());
    let addresses = found["addresses"].as_array().unwrap();
    assert!(addresses.contains(&Value::from(agent.address())), "{found}");
    // It connects to nobody it finds, so the agent must have found it.
    peer.wait("connected", |event| event["peer"] == agent.id());
    peer.wait("message", |event| event["peer"] == agent.id());
}
