//! Code inside namespaces.

use std::os::unix::fs::MetadataExt;
use std::sync::Arc;

use dfaas_netns::{NetnsError, Network};

use crate::support::{SOON, privileged, star};

/// The number of the calling thread's namespace.
fn current() -> u64 {
    std::fs::metadata("/proc/thread-self/ns/net").unwrap().ino()
}

fn number(network: &Network, namespace: &str) -> u64 {
    let descriptor = network.namespace(namespace).unwrap();
    std::fs::File::from(descriptor).metadata().unwrap().ino()
}

#[test]
fn closures_run_in_their_namespace_and_callers_stay_outside() {
    let Some(_guard) = privileged() else { return };
    let network = Network::create(&star(2)).unwrap();
    let outside = current();
    for namespace in ["n1", "n2", "wire", "n1"] {
        assert_eq!(
            network.enter(namespace, current).unwrap(),
            number(&network, namespace)
        );
        assert_ne!(number(&network, namespace), outside);
    }
    assert_eq!(current(), outside);
    network.close(SOON).unwrap();
}

#[test]
fn a_panic_is_an_error_and_the_network_stays_usable() {
    let Some(_guard) = privileged() else { return };
    let network = Network::create(&star(1)).unwrap();
    let error = network.enter("n1", || panic!("number {}", 7)).unwrap_err();
    assert_eq!(
        error.to_string(),
        "code running in namespace `n1` panicked: number 7"
    );
    assert_eq!(network.enter("wire", current).unwrap(), number(&network, "wire"));
    network.close(SOON).unwrap();
}

#[test]
fn entering_from_inside_is_refused_instead_of_waiting_forever() {
    let Some(_guard) = privileged() else { return };
    let network = Arc::new(Network::create(&star(1)).unwrap());
    let inner = Arc::clone(&network);
    let nested = network
        .enter("n1", move || inner.enter("wire", current).err())
        .unwrap();
    assert!(matches!(nested, Some(NetnsError::Worker { .. })), "{nested:?}");
    Arc::into_inner(network).unwrap().close(SOON).unwrap();
}

#[test]
fn an_unknown_namespace_is_named() {
    let Some(_guard) = privileged() else { return };
    let network = Network::create(&star(1)).unwrap();
    let error = network.enter("n7", || ()).unwrap_err();
    assert_eq!(error.to_string(), "no namespace `n7` in this network");
    network.close(SOON).unwrap();
}

#[test]
fn the_last_owner_may_be_a_closure() {
    let Some(_guard) = privileged() else { return };
    let network = Arc::new(Network::create(&star(1)).unwrap());
    let inner = Arc::clone(&network);
    let (sender, receiver) = std::sync::mpsc::channel();
    let caller = std::thread::spawn(move || {
        let _ = network.enter("n1", move || {
            receiver.recv().unwrap();
            drop(inner);
        });
        drop(network);
    });
    sender.send(()).unwrap();
    caller.join().unwrap();
}
