//! Refusals name the thing and carry the kernel's sentence; the guard checks that nothing stays.

use std::time::Duration;

use dfaas_netns::{AddressSpec, KernelImpairment, Network, RouteSpec};

use crate::support::{FIRST_NODE, SOON, midpoint, privileged, star};

#[test]
fn a_duplicate_interface_is_refused_before_anything_is_made() {
    let Some(_guard) = privileged() else { return };
    let mut spec = star(2);
    spec.links[2].near.namespace = FIRST_NODE;
    let error = Network::create(&spec).unwrap_err();
    assert_eq!(
        error.to_string(),
        "interface `eth0` of namespace `n1`: the name is used twice"
    );
}

#[test]
fn an_impossible_mtu_is_the_kernels_refusal() {
    let Some(_guard) = privileged() else { return };
    let mut spec = star(3);
    spec.links[2].near.mtu = 70_000;
    let error = Network::create(&spec).unwrap_err();
    let text = error.to_string();
    assert!(
        text.starts_with("cannot create interface `eth0` with midpoint `n2` in namespace `n2`: "),
        "{text}"
    );
    assert_eq!(error.errno(), Some(libc::EINVAL), "{text}");
}

#[test]
fn an_unreachable_gateway_is_the_kernels_refusal() {
    let Some(_guard) = privileged() else { return };
    let mut spec = star(1);
    let (destination, via) = ("10.9.0.0/16".parse().unwrap(), "10.8.0.1".parse().unwrap());
    spec.routes.push(RouteSpec {
        namespace: FIRST_NODE,
        destination,
        via,
    });
    let text = Network::create(&spec).unwrap_err().to_string();
    assert_eq!(
        text,
        "cannot add route to 10.9.0.0/16 via 10.8.0.1 in namespace `n1`: \
         Nexthop has invalid gateway (Network is unreachable)"
    );
}

#[test]
fn an_address_given_twice_is_the_kernels_refusal() {
    let Some(_guard) = privileged() else { return };
    let mut spec = star(1);
    let again: AddressSpec = spec.addresses[0].clone();
    spec.addresses.push(again);
    let error = Network::create(&spec).unwrap_err();
    assert_eq!(error.errno(), Some(libc::EEXIST));
    let text = error.to_string();
    assert!(
        text.starts_with("cannot add address 10.0.0.1/24 to interface `eth0` in namespace `n1`: "),
        "{text}"
    );
}

#[test]
fn a_missing_queue_is_the_kernels_refusal_and_joins_nothing() {
    let Some(guard) = privileged() else { return };
    if guard.features.netem {
        return; // nothing is missing here
    }
    let network = Network::create(&star(1)).unwrap();
    let delay = KernelImpairment {
        delay: Duration::from_millis(5),
        ..KernelImpairment::default()
    };
    let error = network
        .shape(midpoint("n1"), midpoint("s1"), &delay, &delay)
        .unwrap_err();
    assert_eq!(
        error.to_string(),
        "cannot set delay and loss of midpoint `s1` in namespace `wire`: \
         Specified qdisc kind is unknown (No such file or directory)"
    );
    let queues = network.queue_statistics("wire").unwrap();
    assert!(queues.iter().all(|queue| queue.kind == "noqueue"), "{queues:?}");
    network.close(SOON).unwrap();
}

#[test]
fn midpoints_are_checked() {
    let Some(_guard) = privileged() else { return };
    let network = Network::create(&star(1)).unwrap();
    let nothing = KernelImpairment::default();
    let text = |a, b| network.shape(a, b, &nothing, &nothing).unwrap_err().to_string();
    assert_eq!(
        text(midpoint("n1"), midpoint("n7")),
        "no interface `n7` in namespace `wire`"
    );
    let inside = dfaas_netns::Midpoint {
        namespace: "n1",
        interface: "eth0",
    };
    assert_eq!(
        text(midpoint("n1"), inside),
        "midpoints `n1` and `eth0`: they are in different namespaces, `wire` and `n1`"
    );
    let error = network
        .reshape(midpoint("n1"), midpoint("s1"), &nothing, &nothing)
        .unwrap_err();
    assert_eq!(
        error.to_string(),
        "midpoint `n1` in namespace `wire` is not shaped yet"
    );
    network.close(SOON).unwrap();
}
