use super::*;
use crate::strategy::Compatibility;
use std::collections::BTreeMap;

fn read(values: &[(&str, &str)]) -> Result<Config, ConfigError> {
    let environment: BTreeMap<String, String> = values
        .iter()
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
        .collect();
    Config::read(&environment)
}

/// The only complaint about these values.
fn complaint(values: &[(&str, &str)]) -> String {
    let error = read(values).expect_err("the values are wrong");
    assert_eq!(error.0.len(), 1, "{error}");
    error.to_string()
}

const PEER: &str = "12D3KooWGC6TvWhfapngX6wvJHMYvKpDMXPb3ZnCZ6dMoaMtimQ5";

#[test]
fn defaults_are_valid() {
    let config = read(&[]).unwrap();
    assert_eq!(config.strategy.period, Duration::from_secs(60));
    assert_eq!(config.strategy.rate, RateSource::Window(Duration::from_secs(30)));
    assert_eq!(config.strategy.compatibility, Compatibility::Ours);
    assert!(config.strategy.enforce_limits);
    assert_eq!(config.proxy.binds, ["*:80", "*:30080"]);
    assert_eq!(
        config.proxy.runtime_socket,
        PathBuf::from("/run/haproxy/admin.sock")
    );
    assert_eq!(config.http_server.to_string(), "127.0.0.1:8008");
    assert_eq!(config.platform.credentials, None);
    assert_eq!(config.overlay.topic, "/dfaasagent/1.0.0");
}

#[test]
fn advertised_address() {
    assert_eq!(
        read(&[("AGENT_HAPROXY_HOST", "10.0.0.1")])
            .unwrap()
            .node
            .address
            .to_string(),
        "10.0.0.1"
    );
    let both = [
        ("AGENT_HAPROXY_HOST", "haproxy.local"),
        ("AGENT_NODE_IP", "10.0.0.2"),
    ];
    assert_eq!(read(&both).unwrap().node.address.to_string(), "10.0.0.2");
    let text = complaint(&both[..1]);
    assert!(
        text.contains("AGENT_HAPROXY_HOST=\"haproxy.local\"") && text.contains("AGENT_NODE_IP"),
        "{text}"
    );
}

#[test]
fn compatibility_switches() {
    let with = |value| {
        read(&[("AGENT_COMPAT", value), ("AGENT_RECALC_PERIOD", "10s")])
            .unwrap()
            .strategy
    };
    assert_eq!(with("upstream").rate, RateSource::LastSecond);
    assert_eq!(with("upstream").compatibility, Compatibility::Upstream);
    assert_eq!(
        with("upstream-2021").rate,
        RateSource::Window(Duration::from_secs(5))
    );
    assert_eq!(with("upstream-2021").compatibility, Compatibility::Upstream);
    let text = complaint(&[("AGENT_COMPAT", "2020")]);
    assert!(text.contains("upstream-2021, upstream"), "{text}");
}

#[test]
fn every_wrong_value_is_named_with_its_remedy() {
    for (name, value, remedy) in [
        ("AGENT_RECALC_PERIOD", "5", "500ms"),
        ("AGENT_RECALC_PERIOD", "1ms", "100ms"),
        ("AGENT_RATE_WINDOW", "2m", "AGENT_RECALC_PERIOD"),
        ("AGENT_HAPROXY_PORT", "99999", "65535"),
        ("AGENT_LIMITIN_ENFORCE", "maybe", "true or false"),
        ("AGENT_STRATEGY", "bestStrategy", "recalcstrategy"),
        ("AGENT_LISTEN", "/ip4/0.0.0.0/udp/6000", "/tcp/6000"),
        ("AGENT_LISTEN", "0.0.0.0:6000", "/tcp/6000"),
        ("AGENT_BOOTSTRAP_NODES_LIST", "/ip4/10.0.0.2/tcp/6000", "/p2p/"),
        ("AGENT_BOOTSTRAP_NODES_FILE", "/nonexistent/list", "readable file"),
        ("AGENT_NEIGHBOURS", "n2", "PeerIds"),
        ("AGENT_NEIGHBOURS", "20", "20ms"),
        ("AGENT_HAPROXY_BIND", "*:80 ssl", "ADDRESS:PORT"),
        ("AGENT_HAPROXY_BIND", "", "ADDRESS:PORT"),
        ("AGENT_HAPROXY_CONFIG_FILE", "haproxy.cfg", "absolute"),
        ("AGENT_HAPROXY_SOCK_PATH", "127.0.0.1:9999", "unix:///"),
        ("AGENT_HAPROXY_THREADS", "0", "1 to 64"),
        ("AGENT_OPENFAAS_HOST", "a b", "host name"),
        ("AGENT_PUBSUB_TOPIC", "", "default"),
    ] {
        let text = complaint(&[(name, value)]);
        assert!(
            text.contains(name) && text.contains(value) && text.contains(remedy),
            "{text}"
        );
    }
}

#[test]
fn all_complaints_come_at_once() {
    let error = read(&[("AGENT_DEBUG", "x"), ("AGENT_HAPROXY_PORT", "y")]).unwrap_err();
    assert_eq!(error.to_string().lines().count(), 2);
}

#[test]
fn bootstrap_nodes_from_list_and_file() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("nodes");
    std::fs::write(
        &path,
        format!("# ours\n/ip4/10.0.0.3/tcp/6000/p2p/{PEER} # n3\n\n"),
    )
    .unwrap();
    let list = format!("/ip4/10.0.0.2/tcp/6000/p2p/{PEER}");
    let values = [
        ("AGENT_BOOTSTRAP_NODES_LIST", list.as_str()),
        ("AGENT_BOOTSTRAP_NODES_FILE", path.to_str().unwrap()),
    ];
    let nodes = read(&values).unwrap().overlay.bootstrap;
    let addresses: Vec<String> = nodes.iter().map(|(_, address)| address.to_string()).collect();
    assert_eq!(addresses, ["/ip4/10.0.0.2/tcp/6000", "/ip4/10.0.0.3/tcp/6000"]);
    assert!(nodes.iter().all(|(peer, _)| peer.to_string() == PEER));
    let off = [values[0], values[1], ("AGENT_BOOTSTRAP_NODES", "false")];
    assert!(read(&off).unwrap().overlay.bootstrap.is_empty());
}

#[test]
fn variables_without_effect_are_reported() {
    let environment: BTreeMap<String, String> = [
        "AGENT_PROMETHEUS_HOST",
        "AGENT_RECALC_PERIODE",
        "AGENT_DEBUG",
        "PATH",
    ]
    .map(|name| (name.to_owned(), String::new()))
    .into();
    let names: Vec<String> = reader::without_effect(&environment)
        .into_iter()
        .map(|(name, _)| name)
        .collect();
    assert_eq!(names, ["AGENT_PROMETHEUS_HOST", "AGENT_RECALC_PERIODE"]);
}

#[test]
fn a_file_wins_over_the_process() {
    let map = |value: &str| BTreeMap::from([("AGENT_RENDEZVOUS".to_owned(), value.to_owned())]);
    let config = Config::read(&(map("file"), map("process"))).unwrap();
    assert_eq!(config.overlay.rendezvous, "file");
}

#[test]
fn neighbours() {
    let with = |value| read(&[("AGENT_NEIGHBOURS", value)]).unwrap().strategy.neighbours;
    assert_eq!(with("all"), Neighbours::All);
    assert_eq!(with("linked"), Neighbours::Linked);
    assert_eq!(with("20ms"), Neighbours::Within(Duration::from_millis(20)));
    assert_eq!(with(PEER), Neighbours::Listed([PEER.to_owned()].into()));
}

#[test]
fn every_strategy_can_be_chosen_and_what_it_needs_is_checked() {
    for name in dfaas_agent_api::environment::STRATEGIES {
        read(&[("AGENT_STRATEGY", name)]).unwrap();
    }
    for (strategy, name, value, remedy) in [
        ("nodemarginstrategy", "AGENT_NODE_TYPE", "3", "2 (light)"),
        (
            "nodemarginstrategy",
            "AGENT_NMS_CPU_THRESHOLD",
            "-1",
            "percentage",
        ),
        ("nodemarginstrategy", "AGENT_NMS_RAM_THRESHOLD", "NaN", "bytes"),
        (
            "nodemarginstrategy",
            "AGENT_GROUP_LIST_FILE_NAME",
            "/nonexistent",
            "list of groups",
        ),
        ("randomstrategy", "AGENT_RANDOM_SEED", "x", "whole number"),
        (
            "latency-threshold",
            "AGENT_LATENCY_THRESHOLD_MS",
            "inf",
            "milliseconds",
        ),
        ("rlagentstrategy", "AGENT_RLMODEL_HOST", "a b", "host name"),
    ] {
        let text = complaint(&[("AGENT_STRATEGY", strategy), (name, value)]);
        assert!(text.contains(name) && text.contains(remedy), "{text}");
    }
}
