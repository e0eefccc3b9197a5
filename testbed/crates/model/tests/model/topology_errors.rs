//! What people see when a topology file is wrong. Each message has its snapshot, as the command line renders it.

use crate::common::{files, rendered, set, topology_error};
use dfaas_model::load_topology;
use insta::assert_snapshot;

/// One snapshot per case: name and file.
macro_rules! cases {
    ($($name:ident: $text:expr;)*) => {$(
        #[test]
        fn $name() {
            assert_snapshot!(topology_error($text));
        }
    )*};
}

cases! {
    bad_uplink: "nodes:\n  n1: { kind: host, uplink: [internet] }\n";
    uplink_to_no_port: "nodes:\n  n1: { kind: host, uplink: [\"80:10.0.0.1\", \"0:80\"] }\n";
    uplink_twice: "nodes:\n  n1: { kind: host, uplink: [\"80\", \"80:8080\"] }\n";
    uplink_of_a_switch: "nodes:\n  s1: { kind: switch, uplink: [\"80\"] }\n";
    scraped_too_often: "nodes:\n  n1: { kind: dfaas }\nmonitoring: { prometheus: true, scrape_interval: 50ms }\n";
    unknown_monitoring: "nodes:\n  n1: { kind: dfaas }\nmonitoring: { grafana: true }\n";
    not_yaml: "nodes:\n  n1: { kind: host\n";
    not_a_mapping: "- n1\n- n2\n";
    empty_file: "";
    no_nodes: "name: empty\nnodes: {}\n";
    nodes_are_a_list: "nodes: [n1, n2]\n";
    duplicate_node: "nodes:\n  n1: { kind: host }\n  n2: { kind: host }\n  n1: { kind: client }\n";
    duplicate_key: "nodes:\n  n1: { kind: host, cpus: 1, cpus: 2 }\n";
    unknown_key: "nodes:\n  n1: { kind: host, memroy: 512MiB }\n";
    unknown_section: "nodes:\n  n1: { kind: host }\nlinkz: []\n";
    unknown_kind: "nodes:\n  n1: { kind: swicth }\n";
    no_kind: "nodes:\n  n1: { cpus: 1 }\n";
    null_node: "nodes:\n  n1:\n";
    unknown_strategy: "nodes:\n  n1:\n    kind: dfaas\n    agent: { strategy: recalcstrateg }\n";
    unknown_agent_setting: "nodes:\n  n1:\n    kind: dfaas\n    agent: { recalc_perod: 5s }\n";
    bad_recalc_period: "nodes:\n  n1:\n    kind: dfaas\n    agent: { recalc_period: 5 }\n";
    dangling_endpoint: "nodes:\n  n1: { kind: host }\n  n3: { kind: host }\n  s1: { kind: switch }\nlinks:\n  - { endpoints: [n1, s1] }\n  - { endpoints: [n4, s1], delay: 5ms }\n";
    three_endpoints: "nodes:\n  a: { kind: host }\n  b: { kind: host }\n  c: { kind: host }\nlinks:\n  - endpoints: [a, b, c]\n";
    no_endpoints: "nodes:\n  a: { kind: host }\nlinks:\n  - { delay: 5ms }\n";
    link_to_itself: "nodes:\n  a: { kind: host }\nlinks:\n  - endpoints: [a, a:eth1]\n";
    two_links_on_one_interface: "nodes:\n  a: { kind: host }\n  b: { kind: host }\n  c: { kind: host }\nlinks:\n  - endpoints: [a:eth0, b]\n  - endpoints: [c, a:eth0]\n";
    long_interface_name: "nodes:\n  a: { kind: host }\n  b: { kind: host }\nlinks:\n  - endpoints: [\"a:uplink-to-the-world\", b]\n";
    bad_interface_name: "nodes:\n  a: { kind: host }\n  b: { kind: host }\nlinks:\n  - endpoints: [a:lo, b]\n";
    parallel_links: "nodes:\n  a: { kind: host }\n  b: { kind: host }\nlinks:\n  - endpoints: [a, b]\n  - endpoints: [b, a]\n";
    loop_of_switches: "nodes:\n  s1: { kind: switch }\n  s2: { kind: switch }\n  s3: { kind: switch }\nlinks:\n  - endpoints: [s1, s2]\n  - endpoints: [s2, s3]\n  - endpoints: [s3, s1]\n";
    bad_unit: "nodes:\n  a: { kind: host }\n  b: { kind: host }\nlinks:\n  - { endpoints: [a, b], delay: 10msec }\n";
    no_unit: "nodes:\n  a: { kind: host }\n  b: { kind: host }\nlinks:\n  - { endpoints: [a, b], rate: 100 }\n";
    bad_percent: "nodes:\n  a: { kind: host }\n  b: { kind: host }\nlinks:\n  - { endpoints: [a, b], loss: 150% }\n";
    jitter_over_delay: "nodes:\n  a: { kind: host }\n  b: { kind: host }\nlinks:\n  - { endpoints: [a, b], delay: 5ms, jitter: 8ms }\n";
    small_mtu: "nodes:\n  a: { kind: host }\n  b: { kind: host }\nlinks:\n  - { endpoints: [a, b], mtu: 576 }\n";
    table_without_a_file: "nodes:\n  a: { kind: host }\n  b: { kind: host }\nlinks:\n  - { endpoints: [a, b], delay: 5ms, jitter: 1ms, distribution: table }\n";
    table_and_another_shape: "nodes:\n  a: { kind: host }\n  b: { kind: host }\nlinks:\n  - { endpoints: [a, b], delay: 5ms, jitter: 1ms, distribution: normal, distribution_table: x.dist }\n";
    missing_table: "nodes:\n  a: { kind: host }\n  b: { kind: host }\nlinks:\n  - { endpoints: [a, b], delay: 5ms, jitter: 1ms, distribution_table: x.dist }\n";
    flap_of_no_length: "nodes:\n  a: { kind: host }\n  b: { kind: host }\nlinks:\n  - { endpoints: [a, b], flap: { up: 1s, down: 0s } }\n";
    flap_and_down: "nodes:\n  a: { kind: host }\n  b: { kind: host }\nlinks:\n  - { endpoints: [a, b], down: true, flap: { up: 1s, down: 1s } }\n";
    unused_default_without_preset: "defaults:\n  link: { preset: ltf }\nnodes:\n  a: { kind: host }\n";
    loss_in_two_ways: "nodes:\n  a: { kind: host }\n  b: { kind: host }\nlinks:\n  - { endpoints: [a, b], loss: 1%, gilbert_elliott: { p: 1%, r: 10% } }\n";
    burst_without_loss: "nodes:\n  a: { kind: host }\n  b: { kind: host }\nlinks:\n  - { endpoints: [a, b], loss_burst: 5 }\n";
    impossible_bursts: "nodes:\n  a: { kind: host }\n  b: { kind: host }\nlinks:\n  - { endpoints: [a, b], loss: 80%, loss_burst: 2 }\n";
    correlation_of_nothing: "nodes:\n  a: { kind: host }\n  b: { kind: host }\nlinks:\n  - { endpoints: [a, b], delay: 5ms, delay_correlation: 25% }\n";
    nothing_to_overtake: "nodes:\n  a: { kind: host }\n  b: { kind: host }\nlinks:\n  - { endpoints: [a, b], reorder: 5% }\n";
    marks_without_codel: "nodes:\n  a: { kind: host }\n  b: { kind: host }\nlinks:\n  - { endpoints: [a, b], rate: 10mbit, ecn: true }\n";
    burst_below_a_frame: "nodes:\n  a: { kind: host }\n  b: { kind: host }\nlinks:\n  - { endpoints: [a, b], rate: 10mbit, burst: 1kB }\n";
    overhead_without_rate: "nodes:\n  a: { kind: host }\n  b: { kind: host }\nlinks:\n  - { endpoints: [a, b], overhead: 24 }\n";
    container_without_image: "nodes:\n  n1: { kind: host, driver: docker }\n";
    container_with_two_images: "nodes:\n  n1: { kind: host, driver: docker, image: debian, build: ./node }\n";
    container_keys_on_a_native_node: "nodes:\n  n1: { kind: host, image: debian, tmpfs: [/scratch] }\n";
    container_that_is_a_client: "nodes:\n  c1: { kind: client, driver: docker, image: debian }\n";
    container_fallback_without_runtime: "nodes:\n  n1: { kind: host, driver: docker, image: debian, fallback: privileged }\n";
    container_with_a_bad_tmpfs_and_device: "nodes:\n  n1: { kind: host, driver: docker, image: debian, tmpfs: [scratch], devices: [kvm] }\n";
    functions_on_a_host: "nodes:\n  h1:\n    kind: host\n    functions: { figlet: { maxrate: 1 } }\n";
    limits_on_a_switch: "nodes:\n  s1: { kind: switch, cpus: 1 }\n";
    router_that_does_not_forward: "nodes:\n  r1: { kind: router, forward: false }\n";
    bad_node_name: "nodes:\n  Node_1: { kind: host }\n";
    reserved_node_name: "nodes:\n  wire: { kind: host }\n";
    long_node_name: "nodes:\n  a-very-long-name-for-a-node-in-a-lab: { kind: host }\n";
    bad_lab_name: "name: My Lab\nnodes:\n  a: { kind: host }\n";
    bad_function_name: "nodes:\n  n1: { kind: dfaas, functions: { Fig_let: {} } }\n";
    bad_maxrate: "nodes:\n  n1: { kind: dfaas, functions: { figlet: { maxrate: 10/s } } }\n";
    bad_limits: "nodes:\n  h1: { kind: host, cpus: 0, memory: 5kB, pids: 0 }\n";
    bad_port: "nodes:\n  h1: { kind: host, ports: [\"80\"] }\n";
    port_clash: "nodes:\n  a: { kind: host, ports: [\"8080:80\"] }\n  b: { kind: host, ports: [\"0.0.0.0:8080:80\"] }\n";
    bad_volume: "nodes:\n  a: { kind: host, volumes: [\"data:data\"] }\n";
    count_without_index: "nodes:\n  h: { kind: host, count: 3 }\n";
    count_that_clashes: "nodes:\n  h2: { kind: host }\n  h{i}: { kind: host, count: 3 }\n";
    too_many: "nodes:\n  h{i}: { kind: host, count: 1000000 }\n";
    too_much: &format!("nodes:\n  h{{i}}: {{ kind: host, count: 20000, exec: [{}] }}\n", vec!["a"; 210].join(","));
    too_deep: &format!("nodes: {}{}\n", "[".repeat(70), "]".repeat(70));
    bad_address: "nodes:\n  a: { kind: host, interfaces: { eth0: { addresses: [10.0.0.1] } } }\n  b: { kind: host }\nlinks:\n  - endpoints: [a, b]\n";
    network_as_address: "nodes:\n  a: { kind: host, interfaces: { eth0: { addresses: [10.0.0.0/24] } } }\n  b: { kind: host }\nlinks:\n  - endpoints: [a, b]\n";
    address_clash: "nodes:\n  a: { kind: host, interfaces: { eth0: { addresses: [10.1.0.1/24] } } }\n  b: { kind: host, interfaces: { eth0: { addresses: [10.1.0.1/24] } } }\nlinks:\n  - endpoints: [a, b]\n";
    foreign_address: "nodes:\n  a: { kind: host, interfaces: { eth0: { addresses: [10.1.0.1/24] } } }\n  b: { kind: host, interfaces: { eth0: { addresses: [10.2.0.1/24] } } }\nlinks:\n  - endpoints: [a, b]\n";
    overlapping_segments: "nodes:\n  a: { kind: host, interfaces: { eth0: { addresses: [10.1.0.1/16] } } }\n  b: { kind: host }\n  c: { kind: host, interfaces: { eth0: { addresses: [10.1.7.1/24] } } }\n  d: { kind: host }\nlinks:\n  - endpoints: [a, b]\n  - endpoints: [c, d]\n";
    no_room: "nodes:\n  a: { kind: host, interfaces: { eth0: { addresses: [10.1.0.1/30] } } }\n  b: { kind: host }\n  c: { kind: host }\n  s: { kind: switch }\nlinks:\n  - endpoints: [a, s]\n  - endpoints: [b, s]\n  - endpoints: [c, s]\n";
    mac_clash: "nodes:\n  a: { kind: host, interfaces: { eth0: { mac: \"02:00:00:00:00:01\" } } }\n  b: { kind: host, interfaces: { eth0: { mac: \"02:00:00:00:00:01\" } } }\nlinks:\n  - endpoints: [a, b]\n";
    bad_mac: "nodes:\n  a: { kind: host, interfaces: { eth0: { mac: \"03:00:00:00:00:01\" } } }\n  b: { kind: host }\nlinks:\n  - endpoints: [a, b]\n";
    interface_without_link: "nodes:\n  a: { kind: host, interfaces: { eth1: { addresses: [10.1.0.1/24] } } }\n  b: { kind: host }\nlinks:\n  - endpoints: [a, b]\n";
    missing_include: "include: [nowhere.yaml]\nnodes:\n  a: { kind: host }\n";
    several_at_once: "nodes:\n  a: { kind: hots }\n  b: { kind: host, cpu: 1 }\nlinks:\n  - { endpoints: [a, c], delay: 5 }\n";
}

#[test]
fn aliases_cannot_fill_the_memory() {
    let aliases = vec!["*b"; 100_000].join(", ");
    let text = format!("nodes:\n  a: &a [x, x, x, x, x]\n  b: &b [*a, *a, *a, *a]\n  c: [{aliases}]\n");
    let error = load_topology("lab.yaml", &files(&[("lab.yaml", &text)]), &[]).unwrap_err();
    assert!(error.to_string().contains("too many aliases"), "{error}");
    assert_eq!(error.position().map(|(_, line, _)| line), Some(4));
}

#[test]
fn cyclic_include() {
    let files = files(&[
        (
            "labs/a.yaml",
            "include: [parts/b.yaml]\nnodes:\n  a: { kind: host }\n",
        ),
        (
            "labs/parts/b.yaml",
            "include: ../a.yaml\nnodes:\n  b: { kind: host }\n",
        ),
    ]);
    assert_snapshot!(rendered(&load_topology("labs/a.yaml", &files, &[]).unwrap_err()));
}

#[test]
fn an_error_in_an_included_file_names_that_file() {
    let files = files(&[
        ("lab.yaml", "include: nodes.yaml\nlinks:\n  - endpoints: [a, b]\n"),
        (
            "nodes.yaml",
            "nodes:\n  a: { kind: host }\n  b: { kind: hosst }\n",
        ),
    ]);
    assert_snapshot!(rendered(&load_topology("lab.yaml", &files, &[]).unwrap_err()));
}

#[test]
fn a_node_in_two_files_is_shown_in_both() {
    let files = files(&[
        ("lab.yaml", "include: nodes.yaml\nnodes:\n  a: { kind: host }\n"),
        ("nodes.yaml", "nodes:\n  a: { kind: host }\n"),
    ]);
    assert_snapshot!(rendered(&load_topology("lab.yaml", &files, &[]).unwrap_err()));
}

fn overridden(arguments: &[&str]) -> String {
    let text = "nodes:\n  n1: { kind: dfaas, functions: { figlet: { maxrate: 10 } } }\n  s1: { kind: switch }\n\
                links:\n  - { endpoints: [n1, s1] }\n";
    rendered(&load_topology("lab.yaml", &files(&[("lab.yaml", text)]), &set(arguments)).unwrap_err())
}

#[test]
fn an_error_in_an_override_names_the_override() {
    assert_snapshot!(overridden(&["nodes.n1.functions.figlet.maxrate=many"]));
}

#[test]
fn an_override_of_an_unknown_node() {
    assert_snapshot!(overridden(&["nodes.n2.cpus=1"]));
}

#[test]
fn an_override_of_an_unknown_key() {
    assert_snapshot!(overridden(&["defaults.dfas.cpus=1"]));
}

#[test]
fn an_override_of_an_unknown_link() {
    assert_snapshot!(overridden(&["links.n1--s2.delay=5ms"]));
}

#[test]
fn an_override_into_a_value() {
    assert_snapshot!(overridden(&["nodes.n1.kind.colour=red"]));
}

#[test]
fn a_missing_file_has_no_place_to_show() {
    let error = load_topology("lab.yaml", &files(&[]), &[]).unwrap_err();
    assert_eq!(error.to_string(), "cannot read lab.yaml: no such file");
    assert_eq!(error.position(), None);
}

#[test]
fn the_position_is_that_of_the_word() {
    let text = "nodes:\n  a: { kind: host }\nlinks:\n  - { endpoints: [a, b] } # é\n";
    let error = load_topology("lab.yaml", &files(&[("lab.yaml", text)]), &[]).unwrap_err();
    assert_eq!(error.position(), Some(("lab.yaml", 4, 22)));
}
