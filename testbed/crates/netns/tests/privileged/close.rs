//! The end of a network.

use std::time::{Duration, Instant};

use dfaas_netns::{NetnsError, Network};

use crate::support::{SOON, privileged, star, udp};

#[test]
fn closing_waits_for_what_is_still_in_use() {
    let Some(_guard) = privileged() else { return };
    let network = Network::create(&star(2)).unwrap();
    let held = network.namespace("wire").unwrap();
    let start = Instant::now();
    let error = network.close(Duration::from_millis(300)).unwrap_err();
    assert!(matches!(error, NetnsError::StillInUse { .. }), "{error}");
    assert!(start.elapsed() >= Duration::from_millis(300));
    drop(held);
}

#[test]
fn a_node_that_is_still_in_use_loses_its_interfaces_all_the_same() {
    let Some(_guard) = privileged() else { return };
    let network = Network::create(&star(2)).unwrap();
    let socket = udp(&network, "n1", "10.0.0.1");
    network.close(SOON).unwrap();
    // Its address is gone with the interface, so there is no way out any more.
    let error = socket.send_to(b"ping", "10.0.0.2:9").unwrap_err();
    assert_eq!(error.raw_os_error(), Some(libc::ENETUNREACH), "{error}");
}

#[test]
fn dropping_is_closing_without_waiting() {
    let Some(_guard) = privileged() else { return };
    drop(Network::create(&star(2)).unwrap());
}

#[test]
fn many_networks_can_exist_side_by_side() {
    let Some(_guard) = privileged() else { return };
    let networks: Vec<Network> = (0..3).map(|_| Network::create(&star(2)).unwrap()).collect();
    drop(networks[0].namespace("n1").unwrap());
    for network in networks {
        network.close(SOON).unwrap();
    }
}
