//! What topology files mean.

use std::time::Duration;

use dfaas_model::{
    Backend, ContainerImage, GilbertElliott, Impairment, ImpairmentChange, JitterDistribution, LossModel,
    NodeKind, QueueLimit, Topology, load_topology, plan,
};

use proptest::prelude::*;

use crate::common::{files, rendered, set, topology};

const EXAMPLE: &str = r#"
name: paper-star
seed: 42
defaults:
  dfaas:
    driver: native
    agent: { strategy: recalcstrategy, recalc_period: 5s }
    functions:
      figlet: { maxrate: 10 }
nodes:
  n1: { kind: dfaas, functions: { figlet: { maxrate: 10 } }, ports: ["8081:80"] }
  n2: { kind: dfaas, functions: { figlet: { maxrate: 20 } }, cpus: 0.5, memory: 512MiB }
  n3: { kind: dfaas }
  s1: { kind: switch }
  user1: { kind: client }
links:
  - { endpoints: [n1, s1], delay: 5ms, jitter: 1ms, rate: 100mbit }
  - { endpoints: [n2, s1], delay: 10ms, loss: 0.5% }
  - endpoints: [n3:eth0, s1]
    forward:  { delay: 20ms, rate: 20mbit }
    backward: { delay: 20ms, rate: 100mbit }
  - { endpoints: [user1, n1] }
"#;

#[test]
fn the_manual_s_example_means_what_it_says() {
    let lab = topology(EXAMPLE);
    assert_eq!((lab.name.as_str(), lab.seed), ("paper-star", 42));
    assert_eq!(
        lab.nodes.keys().collect::<Vec<_>>(),
        ["n1", "n2", "n3", "s1", "user1"]
    );
    assert_eq!(lab.nodes["n2"].limits.memory_bytes, Some(512 << 20));
    assert_eq!(lab.nodes["n3"].functions["figlet"].maxrate, Some(10));
    assert_eq!(lab.nodes["n1"].agent.env["AGENT_STRATEGY"], "recalcstrategy");
    assert_eq!(lab.nodes["n1"].agent.recalc_period, Duration::from_secs(5));
    assert_eq!(lab.nodes["n1"].ports[0].to_string(), "127.0.0.1:8081 → 80");
    let names: Vec<&str> = lab.links.iter().map(|link| link.name.as_str()).collect();
    assert_eq!(names, ["n1--s1", "n2--s1", "n3--s1", "user1--n1"]);
    let [first, second, third, _] = lab.links.as_slice() else {
        panic!()
    };
    assert_eq!(first.forward, first.backward);
    assert_eq!(first.forward.to_string(), "delay 5ms, jitter 1ms, rate 100mbit");
    assert_eq!(second.backward.loss, 0.005);
    assert_eq!(
        (third.forward.rate, third.backward.rate),
        (Some(20_000_000), Some(100_000_000))
    );
    assert_eq!(lab.links[3].endpoints[1].interface, "eth1");
    assert_eq!(lab.link("s1--n2"), lab.link("n2--s1"));
    assert!(lab.link("n2--s1").is_some());
    assert!(lab.link("n2--s2").is_none());
}

#[test]
fn a_node_s_own_keys_win_over_defaults_key_by_key() {
    let lab = topology(
        "defaults:
  dfaas:
    functions: { figlet: { maxrate: 10, env: { A: 1, B: 2 } }, shasum: {} }
    env: { LANG: C }
  link: { delay: 5ms, mtu: 9000 }
nodes:
  n1:
    kind: dfaas
    functions: { figlet: { env: { B: true } } }
    env:
  h1: { kind: host }
links:
  - { endpoints: [n1, h1], mtu: 1400 }
  - { endpoints: [n1, h1], name: second, backward: { delay: 1ms } }
",
    );
    let node = &lab.nodes["n1"];
    assert_eq!(node.functions.len(), 2);
    let figlet = &node.functions["figlet"];
    assert_eq!(figlet.maxrate, Some(10));
    assert_eq!(
        (figlet.env["A"].as_str(), figlet.env["B"].as_str()),
        ("1", "true")
    );
    assert_eq!(node.env["LANG"], "C", "a key without a value leaves the default");
    assert!(lab.nodes["h1"].functions.is_empty(), "defaults are per kind");
    assert_eq!((lab.links[0].mtu, lab.links[1].mtu), (Some(1400), Some(9000)));
    assert_eq!(lab.links[0].forward.delay, Duration::from_millis(5));
    assert_eq!(lab.links[1].forward.delay, Duration::from_millis(5));
    assert_eq!(lab.links[1].backward.delay, Duration::from_millis(1));
}

#[test]
fn the_period_is_always_said_to_the_agent() {
    let lab = topology("nodes:\n  n1: { kind: dfaas }\n");
    assert_eq!(lab.nodes["n1"].agent.env["AGENT_RECALC_PERIOD"], "1m");
    let lab =
        topology("nodes:\n  n1: { kind: dfaas, agent: { env: { AGENT_RECALC_PERIOD: 7s, OTHER: x } } }\n");
    assert_eq!(lab.nodes["n1"].agent.recalc_period, Duration::from_secs(7));
    assert_eq!(lab.nodes["n1"].agent.env["OTHER"], "x");
}

#[test]
fn another_agent_may_have_any_setting_and_strategy() {
    let lab = topology(
        "nodes:\n  n1: { kind: dfaas, agent: { binary: /opt/agent, strategy: mine, listen: [a, b], depth: 3 } }\n",
    );
    let agent = &lab.nodes["n1"].agent;
    assert_eq!(agent.binary.as_deref(), Some("/opt/agent"));
    assert_eq!(agent.env["AGENT_STRATEGY"], "mine");
    assert_eq!(agent.env["AGENT_LISTEN"], "a,b");
    assert_eq!(agent.env["AGENT_DEPTH"], "3");
}

#[test]
fn counts_make_like_nodes_and_links() {
    let lab = topology(
        r#"
nodes:
  s: { kind: switch }
  h{i}: { kind: host, count: 3, ports: ["80{i+80}:80"], env: { NEXT: "h{i+1}" }, labels: { "rack{i}": a } }
links:
  - { endpoints: ["h{i}", s], count: 3, delay: "{i}ms" }
"#,
    );
    assert_eq!(lab.nodes.keys().collect::<Vec<_>>(), ["s", "h1", "h2", "h3"]);
    assert_eq!(lab.nodes["h2"].ports[0].host_port, 8082);
    assert_eq!(lab.nodes["h3"].env["NEXT"], "h4");
    assert_eq!(lab.nodes["h3"].labels["rack3"], "a");
    assert_eq!(lab.links[1].name, "h2--s");
    assert_eq!(lab.links[2].forward.delay, Duration::from_millis(3));
    assert_eq!(lab.nodes["h1"].kind, NodeKind::Host);
}

#[test]
fn impairments_of_every_supported_kind_arrive() {
    let lab = topology(
        "nodes:\n  a: { kind: host }\n  b: { kind: host }\nlinks:\n  - endpoints: [a, b]\n    delay: 5ms\n    \
         jitter: 1ms\n    distribution: normal\n    ordered: true\n    loss: 1%\n    rate: 10mbit\n    \
         queue: 50packets\n    backend: wire\n    backward: { queue: 20ms, distribution: uniform }\n",
    );
    let link = &lab.links[0];
    assert_eq!(link.backend, Backend::Wire);
    assert_eq!(link.forward.distribution, JitterDistribution::Normal);
    assert_eq!(link.forward.queue, Some(QueueLimit::Packets(50)));
    assert_eq!(
        link.backward.queue,
        Some(QueueLimit::Time(Duration::from_millis(20)))
    );
    assert_eq!(link.backward.distribution, JitterDistribution::Uniform);
    assert_eq!(
        link.backward.to_string(),
        "delay 5ms, jitter 1ms, loss 1%, rate 10mbit, queue 20ms"
    );
}

#[test]
fn every_impairment_arrives_and_a_direction_has_its_own_way_of_losing() {
    let lab = topology(
        "nodes:\n  a: { kind: host }\n  b: { kind: host }\nlinks:\n  - endpoints: [a, b]\n    delay: 5ms\n    \
         jitter: 1ms\n    distribution: paretonormal\n    delay_correlation: 25%\n    ordered: false\n    \
         loss: 1%\n    loss_burst: 5\n    duplicate: 1%\n    corrupt: 2%\n    reorder: 3%\n    \
         reorder_correlation: 50%\n    rate: 10mbit\n    burst: 4kB\n    overhead: 24\n    \
         queue_discipline: codel\n    ecn: true\n    forward: { gilbert_elliott: { p: 1%, r: 25% } }\n    \
         backward: { loss: 2%, blackhole: true }\n",
    );
    let link = &lab.links[0];
    assert_eq!(
        link.forward.to_string(),
        "delay 5ms, jitter 1ms, distribution paretonormal, delay_correlation 25%, ordered false, \
         gilbert_elliott { p: 1%, r: 25%, bad: 100%, good: 0% }, duplicate 1%, corrupt 2%, reorder 3%, \
         reorder_correlation 50%, rate 10mbit, burst 4kB, overhead 24, queue_discipline codel, ecn"
    );
    let LossModel::GilbertElliott(bursts) = link.backward.loss_model() else {
        panic!("bursts are a channel");
    };
    assert!((bursts.mean_loss() - 0.02).abs() < 1e-12 && bursts.r == 0.2);
    assert!(link.backward.blackhole && !link.forward.blackhole);
}

#[test]
fn a_table_of_jitter_lies_beside_the_topology() {
    let files = files(&[
        (
            "labs/lab.yaml",
            "nodes:\n  a: { kind: host }\n  b: { kind: host }\nlinks:\n  - endpoints: [a, b]\n    delay: 5ms\n    \
             jitter: 1ms\n    distribution_table: tables/wifi.dist\n    backward: { distribution: normal }\n    \
             flap: { up: 2s, down: 500ms }\n",
        ),
        ("labs/tables/wifi.dist", "# measured\n-8192 0\n8192 16384\n"),
    ]);
    let lab =
        load_topology("labs/lab.yaml", &files, &[]).unwrap_or_else(|error| panic!("{}", rendered(&error)));
    let link = &lab.links[0];
    let table = link.forward.distribution.table().unwrap();
    assert_eq!(&**table.values(), [-8192, 0, 8192, 16384]);
    assert_eq!(link.backward.distribution, JitterDistribution::Normal);
    let flap = link.flap.unwrap();
    assert_eq!(
        (flap.up, flap.down),
        (Duration::from_secs(2), Duration::from_millis(500))
    );
    let text = serde_json::to_string(link).unwrap();
    assert_eq!(&serde_json::from_str::<dfaas_model::Link>(&text).unwrap(), link);
}

#[test]
fn a_change_of_loss_replaces_the_way_it_was_lost_before() {
    let channel = GilbertElliott {
        p: 0.1,
        r: 0.5,
        bad: 1.0,
        good: 0.0,
    };
    let bursty = Impairment {
        loss: 0.01,
        loss_burst: Some(4.0),
        ..Impairment::default()
    };
    let with_channel = ImpairmentChange {
        gilbert_elliott: Some(channel),
        ..ImpairmentChange::default()
    };
    let after = with_channel.applied_to(&bursty);
    assert_eq!(
        (after.loss, after.loss_burst, after.gilbert_elliott),
        (0.0, None, Some(channel))
    );
    let with_loss = ImpairmentChange {
        loss: Some(0.02),
        ..ImpairmentChange::default()
    };
    assert_eq!(
        with_loss.applied_to(&after).loss_model(),
        LossModel::Independent(0.02)
    );
    let still_bursty = with_loss.applied_to(&bursty);
    assert_eq!((still_bursty.loss, still_bursty.loss_burst), (0.02, Some(4.0)));
    let without = ImpairmentChange {
        loss: Some(0.0),
        ..ImpairmentChange::default()
    }
    .applied_to(&bursty);
    assert!(without.is_none() && without.contradictions(None, None).is_empty());
}

#[test]
fn included_files_come_first_and_are_overridden_key_by_key() {
    let files = files(&[
        (
            "labs/lab.yaml",
            "name: mine\ninclude: [parts/base.yaml]\ndefaults: { host: { pids: 9 } }\nnodes:\n  b: { kind: host }\nlinks:\n  - endpoints: [a, b]\n",
        ),
        (
            "labs/parts/base.yaml",
            "name: base\nseed: 9\ndefaults: { host: { pids: 5, cpus: 2 } }\nnodes:\n  a: { kind: host }\n  s: { kind: switch }\nlinks:\n  - endpoints: [a, s]\n",
        ),
    ]);
    let lab =
        load_topology("labs/lab.yaml", &files, &[]).unwrap_or_else(|error| panic!("{}", rendered(&error)));
    assert_eq!((lab.name.as_str(), lab.seed), ("mine", 9));
    assert_eq!(lab.nodes.keys().collect::<Vec<_>>(), ["a", "s", "b"]);
    assert_eq!(lab.links[0].name, "a--s");
    assert_eq!(
        (lab.nodes["a"].limits.pids, lab.nodes["a"].limits.cpus),
        (Some(9), Some(2.0))
    );
}

fn overridden(arguments: &[&str]) -> Topology {
    let text = "nodes:
  n1: { kind: dfaas, functions: { figlet: { labels: { a.b: c } } } }
  h{i}: { kind: host, count: 2 }
links:
  - { endpoints: [n1, h1], delay: 5ms }
  - { name: spare, endpoints: [n1, h2] }
";
    let loaded = load_topology("lab.yaml", &files(&[("lab.yaml", text)]), &set(arguments));
    loaded.unwrap_or_else(|error| panic!("{}", rendered(&error)))
}

#[test]
fn overrides_reach_every_place() {
    let lab = overridden(&[
        "name=other",
        "defaults.host.cpus=0.5",
        "nodes.n1.functions.figlet.maxrate=7",
        "nodes.n1.functions.figlet.labels.\"a.b\"=d",
        "nodes.n1.agent={strategy: recalcstrategy}",
        "nodes.h2.memory=1GiB",
        "links.h1--n1.loss=2%",
        "links.spare.forward.delay=9ms",
        "links.0.mtu=1400",
    ]);
    assert_eq!(lab.name, "other");
    assert_eq!(lab.nodes["h1"].limits.cpus, Some(0.5));
    assert_eq!(lab.nodes["n1"].functions["figlet"].maxrate, Some(7));
    assert_eq!(lab.nodes["n1"].functions["figlet"].labels["a.b"], "d");
    assert_eq!(lab.nodes["n1"].agent.env["AGENT_STRATEGY"], "recalcstrategy");
    assert_eq!(
        (
            lab.nodes["h1"].limits.memory_bytes,
            lab.nodes["h2"].limits.memory_bytes
        ),
        (None, Some(1 << 30))
    );
    assert_eq!(lab.links[0].forward.loss, 0.02);
    assert_eq!(lab.links[1].forward.delay, Duration::from_millis(9));
    assert_eq!(lab.links[0].mtu, Some(1400));
}

#[test]
fn a_count_can_be_overridden() {
    let text = "nodes:\n  h{i}: { kind: host, count: 2 }\n";
    let lab = load_topology(
        "lab.yaml",
        &files(&[("lab.yaml", text)]),
        &set(&["nodes.h{i}.count=5"]),
    )
    .unwrap();
    assert_eq!(lab.nodes.len(), 5);
}

#[test]
fn nodes_of_every_kind_may_have_no_links() {
    let lab = topology(
        "nodes:\n  a: { kind: dfaas }\n  b: { kind: host }\n  c: { kind: client }\n  d: { kind: switch }\n  e: { kind: router }\n",
    );
    let plan = plan(&lab).unwrap();
    assert!(
        plan.nodes()
            .all(|node| node.address.is_none() && node.interfaces.is_empty())
    );
    assert!(plan.hosts.is_empty());
}

#[test]
fn volumes_are_relative_to_the_topology_file() {
    let text = "nodes:\n  a: { kind: host, volumes: [\"../data:/data:ro\", \"/srv:/srv\"] }\n";
    let lab = load_topology("labs/x/lab.yaml", &files(&[("labs/x/lab.yaml", text)]), &[]).unwrap();
    let [first, second] = lab.nodes["a"].volumes.as_slice() else {
        panic!()
    };
    assert_eq!(
        (first.source.as_str(), first.target.as_str(), first.read_only),
        ("labs/data", "/data", true)
    );
    assert_eq!((second.source.as_str(), second.read_only), ("/srv", false));
}

#[test]
fn a_file_without_a_name_gives_its_own() {
    assert_eq!(topology("nodes:\n  a: { kind: host }\n").name, "lab");
}

proptest! {
    #[test]
    fn no_file_makes_the_model_panic(start in 0_usize..700, length in 0_usize..20, text in "[ -~\n\u{e9}]{0,12}") {
        let mut file: Vec<char> = EXAMPLE.chars().collect();
        let start = start.min(file.len());
        let end = (start + length).min(file.len());
        file.splice(start..end, text.chars());
        let file: String = file.into_iter().collect();
        match load_topology("lab.yaml", &files(&[("lab.yaml", &file)]), &[]) {
            Ok(lab) => drop(plan(&lab)),
            Err(error) => prop_assert!(!rendered(&error).is_empty()),
        }
    }
}

#[test]
fn a_topology_survives_json() {
    let lab = topology(
        "nodes:
  n1: { kind: dfaas, functions: { figlet: { maxrate: 10, timeout: 1.5s } }, ports: [\"[::1]:8081:80\"],
        cpus: 0.1, volumes: [\"./a:/b:ro\"], exec: [\"true\"],
        faas: { basic_auth: { user: u, password: p }, identity: native },
        interfaces: { eth0: { addresses: [10.9.0.1/24, \"fd09::1/64\"], mac: \"02:00:00:00:00:09\" } } }
  b: { kind: host }
links:
  - { endpoints: [n1, b], delay: 1.234567ms, loss: 0.3%, rate: 1.5mbit, queue: 64KiB }
monitoring: { prometheus: true, scrape_interval: 250ms }
",
    );
    let interval = lab.monitoring.map(|monitoring| monitoring.scrape_interval);
    assert_eq!(interval, Some(Duration::from_millis(250)));
    assert!(lab.nodes["n1"].faas.native);
    let text = serde_json::to_string(&lab).unwrap();
    assert_eq!(serde_json::from_str::<Topology>(&text).unwrap(), lab);
    let plan = plan(&lab).unwrap();
    let text = serde_json::to_string(&plan).unwrap();
    assert_eq!(serde_json::from_str::<dfaas_model::Plan>(&text).unwrap(), plan);
}

#[test]
fn uplinks_name_a_port_of_the_node_and_a_place_outside() {
    let lab = topology(
        "nodes: { a: { kind: host, uplink: ['5432', '8000:80', '53:192.0.2.7:5353', '54:[2001:db8::1]:53'] }, b: { kind: host } }",
    );
    let uplinks: Vec<String> = lab.nodes["a"].uplink.iter().map(ToString::to_string).collect();
    let expected = [
        "5432 → 127.0.0.1:5432",
        "8000 → 127.0.0.1:80",
        "53 → 192.0.2.7:5353",
        "54 → [2001:db8::1]:53",
    ];
    assert_eq!(uplinks, expected);
    assert_eq!(lab.nodes["b"].uplink, []);
    let printed = plan(&lab).unwrap().to_string();
    assert!(printed.contains("a  8000 → 127.0.0.1:80"), "{printed}");
}

const CONTAINERS: &str = r#"
name: containers
defaults:
  host: { driver: docker, build: ../images/edge, oci_runtime: sysbox-runc, fallback: privileged }
nodes:
  a:
    kind: host
    command: [sleep, infinity]
    tmpfs: [/scratch, "/run:size=64m,mode=755"]
    devices: [/dev/kvm, "/dev/ttyUSB0:/dev/modem"]
    capabilities: [CAP_NET_ADMIN, sys_time]
    sysctls: { net.core.somaxconn: 1024 }
    health: { command: test -e /well, retries: 5 }
  b: { kind: host, driver: native }
"#;

#[test]
fn a_container_is_what_its_keys_and_the_defaults_say() {
    let loader = files(&[("labs/containers.yaml", CONTAINERS)]);
    let lab = load_topology("labs/containers.yaml", &loader, &[]).unwrap();
    let settings = lab.nodes["a"].driver.container().unwrap();
    assert_eq!(settings.image, ContainerImage::Folder("images/edge".to_owned()));
    assert_eq!(settings.oci_runtime.as_deref(), Some("sysbox-runc"));
    assert!(settings.fallback_privileged && !settings.privileged);
    assert_eq!(settings.command.as_deref().unwrap(), ["sleep", "infinity"]);
    let pairs = |map: &indexmap::IndexMap<String, String>| format!("{map:?}");
    assert_eq!(
        pairs(&settings.tmpfs),
        r#"{"/scratch": "", "/run": "size=64m,mode=755"}"#
    );
    assert_eq!(
        pairs(&settings.devices),
        r#"{"/dev/kvm": "/dev/kvm", "/dev/ttyUSB0": "/dev/modem"}"#
    );
    assert_eq!(settings.capabilities, ["NET_ADMIN", "SYS_TIME"]);
    assert_eq!(pairs(&settings.sysctls), r#"{"net.core.somaxconn": "1024"}"#);
    let health = settings.health.as_ref().unwrap();
    assert_eq!((health.interval, health.retries), (Duration::from_secs(1), 5));
    assert!(
        lab.nodes["b"].driver.container().is_none(),
        "a node can leave the default"
    );
}
