//! Starting, changing, losing interfaces, stopping, and what is left behind: nothing.

#![allow(clippy::unwrap_used)]

mod support;

use std::time::{Duration, Instant};

use dfaas_wire::{Direction, Engine, Impairment, Loss, WireError};
use support::{Namespace, Network, eventually, may_make_namespaces, receive_numbered, send_numbered};

fn passes(network: &Network, link: usize) -> bool {
    let (sender, receiver) = network.udp_pair(link);
    send_numbered(sender, 5, 100, Duration::ZERO).join().unwrap();
    receive_numbered(&receiver, 5).len() == 5
}

#[test]
fn links_come_and_go() {
    if !may_make_namespaces() {
        return;
    }
    let network = Network::new(2);
    let link = |number| network.link(number, Impairment::default(), Impairment::default());
    let engine = Engine::start(network.sockets(1), 1, vec![link(0)]).unwrap();
    assert!(passes(&network, 0) && !passes(&network, 1));
    engine.add_link(link(1)).unwrap();
    assert!(passes(&network, 1));
    assert!(matches!(
        engine.add_link(link(1)),
        Err(WireError::DuplicateLink { .. })
    ));
    let mut same_interface = link(1);
    same_interface.name = "other".to_owned();
    assert!(matches!(
        engine.add_link(same_interface),
        Err(WireError::SharedInterface { .. })
    ));
    engine.remove_link("link0").unwrap();
    assert!(!passes(&network, 0) && passes(&network, 1));
    assert_eq!(engine.statistics().len(), 1);
    assert!(matches!(
        engine.remove_link("link0"),
        Err(WireError::UnknownLink { .. })
    ));
    let set = engine.set("link0", Direction::Forward, Impairment::default());
    assert_eq!(set.unwrap_err().to_string(), "the engine has no link `link0`");
}

#[test]
fn impossible_links_are_refused_before_anything_starts() {
    if !may_make_namespaces() {
        return;
    }
    let network = Network::new(1);
    let good = network.link(0, Impairment::default(), Impairment::default());
    let wrong = Impairment {
        loss: Loss::Independent(2.0),
        ..Impairment::default()
    };
    let lossy = network.link(0, Impairment::default(), wrong);
    let message = Engine::start(network.sockets(1), 1, vec![lossy])
        .unwrap_err()
        .to_string();
    assert_eq!(
        message,
        "link `link0` backward: loss 2 is not a probability between 0 and 1"
    );
    let twice = Engine::start(network.sockets(1), 1, vec![good.clone(), good.clone()]);
    assert!(matches!(twice, Err(WireError::DuplicateLink { .. })));
    let mut looped = good;
    looped.interfaces[1] = looped.interfaces[0];
    let looped = Engine::start(network.sockets(1), 1, vec![looped]);
    assert!(matches!(looped, Err(WireError::SharedInterface { .. })));
}

#[test]
fn an_interface_may_go_down_or_vanish() {
    if !may_make_namespaces() {
        return;
    }
    let network = Network::new(2);
    let slow = Impairment::delayed(Duration::from_millis(50));
    let engine = network.start(1, &slow, &slow);
    let interface_drops = |engine: &Engine| {
        engine
            .statistics()
            .iter()
            .map(|link| link.forward.drops.interface)
            .sum::<u64>()
    };
    let (sender, receiver) = network.udp_pair(0);
    drop(receiver);
    send_numbered(sender.try_clone().unwrap(), 5, 100, Duration::ZERO)
        .join()
        .unwrap();
    network.wire.ip("link set b0 down\n");
    assert!(eventually(Duration::from_secs(2), || interface_drops(&engine) == 5));
    network.wire.ip("link set b0 up\n");
    network
        .right
        .ip("neigh replace 10.0.0.1 lladdr 02:00:00:00:00:01 dev e0\n");
    assert!(passes(&network, 0), "it works again when the interface is up");
    send_numbered(sender, 5, 100, Duration::ZERO).join().unwrap();
    network.wire.ip("link del b0\n");
    assert!(eventually(Duration::from_secs(2), || interface_drops(&engine) == 10));
    assert!(passes(&network, 1), "other links do not notice");
    engine.remove_link("link0").unwrap();
    engine.stop();
}

#[test]
fn nothing_is_left_and_stopping_is_quick() {
    if !may_make_namespaces() {
        return;
    }
    let watcher = Namespace::new();
    let network = Network::new(20);
    network.wire.ip(&format!(
        "link add gone type veth peer name watched netns {}\n",
        watcher.path()
    ));
    let slow = Impairment::delayed(Duration::from_millis(5));
    let engine = network.start(1, &slow, &slow);
    assert!(passes(&network, 3));
    let stopping = Instant::now();
    engine.stop();
    // A packet socket takes 12 ms to close on an idle machine; forty of them one after the other would be 0.5 s.
    assert!(
        stopping.elapsed() < Duration::from_millis(400),
        "{:?}",
        stopping.elapsed()
    );
    assert!(watcher.has_interface("watched"));
    drop(network);
    // The veth ends with the wire namespace, and that only when no socket holds it any more.
    assert!(eventually(Duration::from_secs(5), || !watcher.has_interface("watched")));
}
