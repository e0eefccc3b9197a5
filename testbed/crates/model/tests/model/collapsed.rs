//! `mode: collapsed`: what a path becomes, and what cannot become one.

use std::time::Duration;

use dfaas_model::{JitterDistribution, Topology, plan};
use insta::assert_snapshot;

use crate::common::{topology, topology_error};

/// a - s - r - b, and c on s.
fn chain(keys: &str, links: [&str; 4]) -> String {
    let [one, two, three, four] = links;
    format!(
        "{keys}nodes:\n  a: {{ kind: host }}\n  b: {{ kind: client }}\n  c: {{ kind: host }}\n  s: {{ kind: switch }}\n  \
         r: {{ kind: router }}\nlinks:\n  - {{ endpoints: [a, s], {one} }}\n  - {{ endpoints: [s, r], {two} }}\n  \
         - {{ endpoints: [r, b], {three} }}\n  - {{ endpoints: [c, s], {four} }}\n"
    )
}

const FULL: [&str; 4] = [
    "delay: 5ms, jitter: 3ms, loss: 1%, rate: 100mbit",
    "delay: 10ms, jitter: 4ms, loss: 2%, rate: 10mbit, queue: 50 packets, mtu: 1400",
    "forward: { delay: 20ms }, backward: { delay: 40ms, loss: 10% }",
    "delay: 1ms",
];

fn link<'a>(topology: &'a Topology, name: &str) -> &'a dfaas_model::Link {
    topology.link(name).unwrap_or_else(|| panic!("no link {name}"))
}

#[test]
fn a_path_is_the_sum_of_its_links() {
    let topology = topology(&chain("mode: collapsed\n", FULL));
    assert_eq!(topology.nodes.keys().collect::<Vec<_>>(), ["a", "b", "c"]);
    let names: Vec<&str> = topology.links.iter().map(|link| link.name.as_str()).collect();
    assert_eq!(names, ["a--b", "a--c", "b--c"]);
    let path = link(&topology, "a--b");
    assert_eq!(path.forward.delay, Duration::from_millis(35));
    assert_eq!(path.backward.delay, Duration::from_millis(55));
    assert_eq!(
        path.forward.jitter,
        Duration::from_millis(5),
        "3 and 4 at right angles"
    );
    assert_eq!(path.forward.distribution, JitterDistribution::Uniform);
    assert!((path.forward.loss - (1.0 - 0.99 * 0.98)).abs() < 1e-12);
    assert!((path.backward.loss - (1.0 - 0.99 * 0.98 * 0.9)).abs() < 1e-12);
    assert_eq!(path.forward.rate, Some(10_000_000));
    assert_eq!(
        path.forward.queue.map(|queue| queue.to_string()).as_deref(),
        Some("50packets")
    );
    assert_eq!(path.mtu, Some(1400));
    let short = link(&topology, "a--c");
    assert_eq!((short.forward.delay, short.mtu), (Duration::from_millis(6), None));
    assert_eq!(short.forward.rate, Some(100_000_000));
    let plan = plan(&topology).unwrap();
    assert_eq!(plan.node("a").unwrap().interfaces.len(), 2);
    assert_eq!(plan.node("a").unwrap().interfaces[1].name, "eth1");
}

#[test]
fn one_normal_jitter_makes_the_sum_normal() {
    let mut links = FULL;
    links[1] = "delay: 10ms, jitter: 4ms, distribution: normal";
    let topology = topology(&chain("mode: collapsed\n", links));
    let path = link(&topology, "a--b");
    assert_eq!(path.forward.distribution, JitterDistribution::Normal);
    // 4² + 3²/3 = 19.
    assert_eq!(path.forward.jitter, Duration::from_micros(4_359));
}

#[test]
fn a_group_of_links_can_be_composed_alone() {
    let text = "nodes:\n  a: { kind: host }\n  b: { kind: host }\n  c: { kind: host }\n  s1: { kind: switch }\n  s2: { kind: switch }\n\
                links:\n  - { endpoints: [a, s1], delay: 2ms, mode: collapsed }\n  - { endpoints: [b, s1], delay: 3ms, mode: collapsed }\n  \
                - { endpoints: [a, s2], delay: 7ms }\n  - { endpoints: [c, s2], delay: 7ms }\n";
    let topology = topology(text);
    let names: Vec<String> = topology
        .links
        .iter()
        .map(|link| format!("{} {}", link.name, link.endpoints[0]))
        .collect();
    assert_eq!(names, ["a--s2 a:eth1", "c--s2 c:eth0", "a--b a:eth0"]);
    assert!(topology.nodes.contains_key("s2") && !topology.nodes.contains_key("s1"));
    plan(&topology).unwrap();
}

#[test]
fn the_way_is_the_one_of_least_delay_and_hosts_without_one_stay_apart() {
    let text = "mode: collapsed\nnodes:\n  a: { kind: host }\n  b: { kind: host }\n  c: { kind: host }\n  d: { kind: host }\n  \
                r{i}: { kind: router, count: 3 }\nlinks:\n  - { endpoints: [a, r1], delay: 1ms }\n  - { endpoints: [r1, b], delay: 9ms }\n  \
                - { endpoints: [r1, r2], delay: 2ms }\n  - { endpoints: [r2, b], delay: 2ms }\n  - { endpoints: [c, r3] }\n  - { endpoints: [d, r3] }\n";
    let topology = topology(text);
    assert_eq!(link(&topology, "a--b").forward.delay, Duration::from_millis(5));
    assert!(topology.link("c--d").is_some() && topology.link("a--c").is_none());
}

/// One snapshot per file that cannot be composed.
macro_rules! wrong {
    ($($name:ident: $text:expr;)*) => {$(
        #[test]
        fn $name() {
            assert_snapshot!(topology_error($text));
        }
    )*};
}

wrong! {
    a_switch_with_a_link_in_full: "nodes:\n  a: { kind: host }\n  b: { kind: host }\n  s: { kind: switch }\nlinks:\n  - { endpoints: [a, s], mode: collapsed }\n  - { endpoints: [b, s] }\n";
    a_trace_on_a_path: "mode: collapsed\nnodes:\n  a: { kind: host }\n  b: { kind: host }\n  s: { kind: switch }\nlinks:\n  - { endpoints: [a, s], pattern: { every: 1s, steps: [{ at: 0s, loss: 1% }] } }\n  - { endpoints: [b, s] }\n";
    a_fixed_address_on_a_path: "mode: collapsed\nnodes:\n  a: { kind: host, interfaces: { eth0: { addresses: [10.1.0.1/24] } } }\n  b: { kind: host }\n  s: { kind: switch }\nlinks:\n  - { endpoints: [a, s] }\n  - { endpoints: [b, s] }\n";
    a_router_that_does_something: "mode: collapsed\nnodes:\n  a: { kind: host }\n  b: { kind: host }\n  r: { kind: router, exec: [\"true\"] }\nlinks:\n  - { endpoints: [a, r] }\n  - { endpoints: [b, r] }\n";
    too_many_pairs: "mode: collapsed\ngenerate: { shape: star, count: 300 }\n";
    an_unknown_mode: "mode: colapsed\nnodes:\n  a: { kind: host }\n";
}
