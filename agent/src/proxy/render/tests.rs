use super::*;
use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::path::PathBuf;

fn node() -> NodeSettings {
    NodeSettings {
        mode: Mode::Overflow,
        own_id: "12D3KooWOne".to_owned(),
        address: IpAddr::V4(Ipv4Addr::new(10, 0, 0, 1)),
        binds: vec!["*:80".to_owned(), "[::]:30080".to_owned()],
        metrics_bind: "*:8405".to_owned(),
        peers_bind: Some("127.0.0.1:8406".to_owned()),
        runtime_socket: "/run/haproxy/admin.sock".to_owned(),
        threads: 1,
        enforce_limits: true,
        log_requests: false,
        functions: "127.0.0.1:8080".to_owned(),
        agent: "127.0.0.1:8008".to_owned(),
    }
}

fn federation() -> Desired {
    let address = |host| Some(PeerAddress { host, port: 80 });
    Desired {
        functions: BTreeMap::from([("figlet".to_owned(), 10), ("image-class_v1.2".to_owned(), 3)]),
        peers: BTreeMap::from([
            (
                "12D3KooWTwo".to_owned(),
                address(IpAddr::V4(Ipv4Addr::new(10, 0, 0, 2))),
            ),
            (
                "12D3KooWThree".to_owned(),
                address(IpAddr::V6(Ipv6Addr::LOCALHOST)),
            ),
            ("12D3KooWSilent".to_owned(), None),
        ]),
        limits: BTreeMap::from([(
            "12D3KooWTwo".to_owned(),
            BTreeMap::from([("figlet".to_owned(), 5)]),
        )]),
        weights: BTreeMap::from([
            (
                "figlet".to_owned(),
                BTreeMap::from([("12D3KooWTwo".to_owned(), 40), ("12D3KooWThree".to_owned(), 60)]),
            ),
            (
                "only-there".to_owned(),
                BTreeMap::from([("12D3KooWTwo".to_owned(), 100)]),
            ),
        ]),
        own: BTreeMap::from([("figlet".to_owned(), OwnWeights { local: 70, reject: 5 })]),
        timeouts: BTreeMap::from([("figlet".to_owned(), 7000)]),
    }
}

/// Every variant of the configuration that a switch makes.
fn variants() -> Vec<(&'static str, String)> {
    let text = |node: &NodeSettings, desired: &Desired| {
        render(
            node,
            &MapPaths::in_directory(Path::new("/run/haproxy")),
            desired,
            7,
        )
        .unwrap()
    };
    let bare = NodeSettings {
        enforce_limits: false,
        peers_bind: None,
        log_requests: true,
        ..node()
    };
    let split = |names_origin, stages| NodeSettings {
        mode: Mode::Split { names_origin, stages },
        ..node()
    };
    vec![
        ("split", text(&split(false, false), &federation())),
        ("split_original_headers", text(&split(true, false), &federation())),
        ("split_stages", text(&split(true, true), &federation())),
        ("alone", text(&node(), &Desired::default())),
        ("federation", text(&node(), &federation())),
        ("not_enforced", text(&bare, &federation())),
    ]
}

#[test]
fn texts() {
    for (name, text) in variants() {
        insta::assert_snapshot!(name, text);
    }
}

/// A snapshot proves "unchanged", not "valid": HAProxy itself has to agree.
#[test]
fn haproxy_accepts_every_variant() {
    let executable = PathBuf::from("/usr/sbin/haproxy");
    if !executable.exists() {
        let required = std::env::var("DFAAS_REQUIRE").unwrap_or_default();
        assert!(
            !required.split(',').any(|word| word == "haproxy"),
            "haproxy is required and not installed"
        );
        eprintln!("skipped: no /usr/sbin/haproxy");
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    let here = directory.path().to_str().unwrap();
    for map in ["capacity", "peers", "limits", "timeouts"] {
        std::fs::write(directory.path().join(format!("dfaas-{map}.map")), "").unwrap();
    }
    let mut all = variants();
    all.push((
        "initial",
        dfaas_agent_api::initial_haproxy_configuration(&dfaas_agent_api::InitialSettings::default()),
    ));
    for (name, text) in all {
        let file = directory.path().join(name);
        std::fs::write(&file, text.replace("/run/haproxy", here)).unwrap();
        let output = std::process::Command::new(&executable)
            .arg("-c")
            .arg("-f")
            .arg(&file)
            .output()
            .unwrap();
        let complaint = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{name}: {complaint}");
        assert!(!complaint.contains("[WARNING]"), "{name}: {complaint}");
    }
}
