//! `apply` and `move`: a running lab becomes another one.

use std::io::Read;

use crate::support::{Lab, federation, kill, root, wait_for};
use crate::{fastest, ping, refused};

const PAIR: &str = "
name: NAME
nodes: { a: { kind: host }, b: { kind: host, pids: 100 }, s: { kind: switch } }
links:
  - { endpoints: [a, s], delay: 5ms }
  - { endpoints: [b, s] }
";

/// The lab's file with other words in it.
fn edit(lab: &Lab, replacements: &[(&str, &str)]) -> String {
    let mut text = std::fs::read_to_string(lab.file()).unwrap();
    for (old, new) in replacements {
        assert!(text.contains(old), "{old}");
        text = text.replace(old, new);
    }
    let file = lab.directory.path().join("changed.yaml");
    std::fs::write(&file, text).unwrap();
    file.to_str().unwrap().to_owned()
}

/// A node as the lab describes it.
fn node(lab: &Lab, name: &str) -> Option<serde_json::Value> {
    let detail = lab.json(&["inspect", "--json"]);
    let nodes = detail["nodes"].as_array().unwrap().clone();
    nodes.into_iter().find(|node| node["name"] == name)
}

#[test]
fn only_what_differs_is_touched() {
    if !root() {
        return;
    }
    let lab = Lab::new(PAIR);
    lab.up();
    lab.ok(&["exec", "b", "--", "true"]);
    let pid = || node(&lab, "b").unwrap()["pid"].clone();
    let before = pid();
    let file = edit(&lab, &[("delay: 5ms", "delay: 20ms"), ("pids: 100", "pids: 200")]);
    let plan =
        "link a--s: → delay 5ms ⇒ delay 20ms; ← delay 5ms ⇒ delay 20ms\nlimits of b: pids 100 ⇒ pids 200\n";
    assert_eq!(
        lab.ok(&["apply", "--dry-run", &file]),
        format!("{plan}2 changes to make\n")
    );
    assert!(fastest(&lab, "a", "b") < 20.0, "nothing has been touched");
    assert_eq!(lab.ok(&["apply", &file]), format!("{plan}2 changes made\n"));
    assert!(fastest(&lab, "a", "b") >= 40.0);
    let detail = lab.json(&["inspect", "--json"]);
    assert_eq!(detail["nodes"][1]["limits"]["pids"], 200);
    assert_eq!(pid(), before, "the node went on");
    assert_eq!(
        lab.ok(&["apply", &file]),
        format!("{} is what the file says\n", lab.name)
    );
    // `reset` goes back to the file that was applied last.
    lab.ok(&["link", "a--s", "set", "delay=1ms"]);
    let link = lab.json(&["link", "--json", "a--s", "reset"]);
    assert_eq!(link["forward"]["delay"], "20ms");
}

#[test]
fn what_cannot_be_changed_is_refused_before_anything_is_touched() {
    if !root() {
        return;
    }
    let lab = Lab::new(PAIR);
    lab.up();
    let file = edit(
        &lab,
        &[
            ("delay: 5ms", "delay: 20ms"),
            ("s: { kind: switch }", "s: { kind: switch }, c: { kind: host }"),
            ("name: ", "seed: 7\nname: "),
        ],
    );
    let message = refused(&lab, 2, &["apply", &file]);
    assert!(message.contains("is left as it is"), "{message}");
    assert!(
        message.contains("its seed changes from 42 to 7") && message.contains("take the lab down, then `up`"),
        "{message}"
    );
    let link = lab.json(&["link", "--json", "a--s"]);
    assert_eq!(link["forward"]["delay"], "5ms");
}

/// Answers each connection with one line.
const ANSWER: &str = "$s = IO::Socket::INET->new(Listen => 5, LocalPort => 7000, ReuseAddr => 1); \
                      while ($c = $s->accept) { print $c \"here\\n\"; close $c }";

/// What a port of this machine says; nothing if nobody listens there or behind it.
fn heard(port: u16) -> String {
    let mut said = String::new();
    if let Ok(mut stream) = std::net::TcpStream::connect(("127.0.0.1", port)) {
        // A connection that ends at once may be reset.
        let _ = stream.read_to_string(&mut said);
    }
    said
}

#[test]
fn ways_in_and_out_open_and_close() {
    if !root() {
        return;
    }
    let lab = Lab::new(PAIR);
    lab.up();
    let server = format!("perl -MIO::Socket::INET -e '{ANSWER}' >/dev/null 2>&1 & sleep 0.2");
    lab.ok(&["exec", "a", "--", "sh", "-c", &server]);
    let outside = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let out = outside.local_addr().unwrap().port();
    let free = || {
        std::net::TcpListener::bind("127.0.0.1:0")
            .unwrap()
            .local_addr()
            .unwrap()
            .port()
    };
    let port = free();
    let (a, b) = ("a: { kind: host }", "b: { kind: host, pids: 100 }");
    let published = format!("a: {{ kind: host, ports: [\"{port}:7000\"] }}");
    let uplink = format!("b: {{ kind: host, pids: 100, uplink: [{out}] }}");
    let file = edit(&lab, &[(a, &published), (b, &uplink)]);
    let plan = format!(
        "ports of a: none ⇒ 127.0.0.1:{port} → 7000\nuplink of b: none ⇒ {out} → 127.0.0.1:{out}\n2 changes made\n"
    );
    assert_eq!(heard(port), "");
    assert_eq!(lab.ok(&["apply", &file]), plan);
    assert_eq!(heard(port), "here\n");
    let call = format!("echo out > /dev/tcp/127.0.0.1/{out}");
    lab.ok(&["exec", "b", "--", "bash", "-c", &call]);
    let mut said = String::new();
    outside.accept().unwrap().0.read_to_string(&mut said).unwrap();
    assert_eq!(said, "out\n");

    // To another port of another node, behind which nobody listens; the one that cannot be had changes nothing.
    let moved = format!("b: {{ kind: host, pids: 100, ports: [\"{port}:7000\"] }}");
    let file = edit(&lab, &[(b, &moved)]);
    lab.ok(&["apply", &file]);
    assert_eq!(heard(port), "");
    let taken = format!("a: {{ kind: host, ports: [\"{port}:7000\", \"{out}:7000\"] }}");
    let file = edit(&lab, &[(a, &taken)]);
    let message = refused(&lab, 5, &["apply", &file]);
    assert!(
        message.contains(&format!("cannot listen on 127.0.0.1:{out}")),
        "{message}"
    );
    let detail = lab.json(&["inspect", "--json"]);
    assert_eq!(detail["nodes"][0]["ports"], serde_json::json!([]));
    assert_eq!(detail["nodes"][1]["ports"][0]["node_port"], 7000);
    assert!(
        std::net::TcpStream::connect(("127.0.0.1", port)).is_ok(),
        "it leads to b again"
    );

    // Its node goes, and in the same moment another one takes its port over.
    let gone = format!("a: {{ kind: host, ports: [\"{port}:7000\"] }}");
    let file = edit(
        &lab,
        &[
            (a, &gone),
            ("b: { kind: host, pids: 100 }, ", ""),
            ("  - { endpoints: [b, s] }\n", ""),
        ],
    );
    assert_eq!(
        lab.ok(&["apply", &file]),
        format!(
            "remove link b--s\nremove node b\nports of a: none ⇒ 127.0.0.1:{port} → 7000\n3 changes made\n"
        )
    );
    assert_eq!(heard(port), "here\n");
    // And to a node that comes.
    lab.ok(&["apply", &edit(&lab, &[(b, &moved)])]);
    assert_eq!(heard(port), "");
    lab.ok(&["apply", lab.file().to_str().unwrap()]);
    assert!(std::net::TcpStream::connect(("127.0.0.1", port)).is_err());
}

const WAYS: &str = "
name: NAME
nodes: { a: { kind: host }, r: { kind: host }, b: { kind: host } }
links:
  - { endpoints: [a, r] }
  - { endpoints: [r, b] }
";

#[test]
fn a_node_begins_to_forward_and_becomes_another_kind() {
    if !root() {
        return;
    }
    let lab = Lab::new(WAYS);
    lab.up();
    lab.ok(&["exec", "a", "--", "true"]);
    let node = |name: &str| node(&lab, name).unwrap();
    let (before, far) = (node("a"), node("b")["addresses"].clone());
    let far: Vec<&str> = far
        .as_array()
        .unwrap()
        .iter()
        .map(|it| it.as_str().unwrap())
        .collect();
    let reached = || {
        let addresses = far.iter().map(|address| address.split('/').next().unwrap());
        addresses
            .map(|address| ping(&lab, "a", address, 1).len())
            .sum::<usize>()
    };
    assert_eq!((far.len(), reached()), (2, 0));
    let router = "r: { kind: host }";
    let forwards = edit(&lab, &[(router, "r: { kind: host, forward: true }")]);
    assert_eq!(
        lab.ok(&["apply", &forwards]),
        "r begins to forward packets\n1 change made\n"
    );
    assert_eq!(reached(), 2);
    let link_local = ["exec", "r", "--", "ip", "-6", "address", "show", "scope", "link"];
    assert!(
        lab.ok(&link_local).contains("fe80::"),
        "it can ask for neighbours"
    );
    lab.ok(&["apply", lab.file().to_str().unwrap()]);
    assert_eq!(reached(), 0);

    // Another kind: it goes and comes, with its address; the others go on.
    let (address, mac) = (node("r")["addresses"].clone(), "02:00:00:00:00:99");
    let fixed = format!("b: {{ kind: host, interfaces: {{ eth0: {{ mac: \"{mac}\" }} }} }}");
    let file = edit(
        &lab,
        &[(router, "r: { kind: router }"), ("b: { kind: host }", &fixed)],
    );
    let plan = "remove link a--r\nremove link r--b\nremove node r\nadd node r (router)\n\
                add link a--r (a:eth0 to r:eth0)\nadd link r--b (r:eth1 to b:eth0)\n6 changes made\n";
    assert_eq!(lab.ok(&["apply", &file]), plan);
    assert_eq!(reached(), 2);
    assert_eq!((node("a"), node("r")["addresses"].clone()), (before, address));
    let shown = lab.ok(&["exec", "b", "--", "cat", "/sys/class/net/eth0/address"]);
    assert_eq!(shown.trim(), mac);
    // Alone, what is fixed about an interface costs its link a moment.
    let other = edit(
        &lab,
        &[
            (router, "r: { kind: router }"),
            ("b: { kind: host }", &fixed.replace("99", "98")),
        ],
    );
    let said = lab.ok(&["apply", &other]);
    assert_eq!(said, "make link r--b anew: other interfaces\n1 change made\n");
    assert_eq!(reached(), 2);
    lab.end();
}

/// Over two routers, so that a new network needs new routes in between.
const CHAIN: &str = "
name: NAME
nodes:
  a: { kind: host }
  r1: { kind: router }
  r2: { kind: router }
  b: { kind: host }
links:
  - { endpoints: [a, r1], delay: 1ms }
  - { endpoints: [r1, r2] }
  - { endpoints: [r2, b] }
";

#[test]
fn nodes_and_links_come_and_go_and_the_rest_goes_on() {
    if !root() {
        return;
    }
    let lab = Lab::new(CHAIN);
    lab.up();
    let node = |name: &str| node(&lab, name);
    for name in ["a", "b"] {
        lab.ok(&["exec", name, "--", "true"]);
    }
    let a = node("a").unwrap();
    let b = i32::try_from(node("b").unwrap()["pid"].as_i64().unwrap()).unwrap();
    // The new link of `r2` comes before those it has.
    let file = edit(
        &lab,
        &[
            (
                "b: { kind: host }",
                "c: { kind: host, exec: [\"ping -c 1 -W 2 a\"] }",
            ),
            ("[r2, b]", "[r2, c], delay: 3ms"),
            ("links:\n", "links:\n  - { endpoints: [c, r1], name: back }\n"),
            ("delay: 1ms", "delay: 1ms, mtu: 1400"),
        ],
    );
    let plan = "remove link r2--b\nremove node b\nadd node c (host)\nadd link back (c:eth0 to r1:eth2)\n\
                add link r2--c (r2:eth1 to c:eth1)\nmake link a--r1 anew: other mtu\n";
    let said = lab.ok(&["apply", "--dry-run", &file]);
    assert_eq!(said, format!("{plan}6 changes to make\n"));
    assert_eq!(ping(&lab, "a", "b", 1).len(), 1, "nothing has been touched");
    assert_eq!(node("c"), None);

    assert_eq!(lab.ok(&["apply", &file]), format!("{plan}6 changes made\n"));
    assert_eq!(node("a").unwrap(), a, "it goes on with its address");
    assert!(!crate::support::is_running(b));
    assert!(fastest(&lab, "a", "c") >= 2.0, "over the link that was made anew");
    let hosts = lab.ok(&["exec", "a", "--", "cat", "/etc/hosts"]);
    assert!(hosts.contains("\tc\n") && !hosts.contains("\tb\n"), "{hosts}");
    // By its other interface, to which only new routes lead.
    let far = node("c").unwrap()["addresses"][2].as_str().unwrap().to_owned();
    let (address, _) = far.split_once('/').unwrap();
    assert_eq!(ping(&lab, "a", address, 1).len(), 1, "{far}");
    let said = lab.ok(&["apply", &file]);
    assert_eq!(said, format!("{} is what the file says\n", lab.name));

    lab.ok(&["apply", lab.file().to_str().unwrap()]);
    assert_eq!(node("c"), None);
    assert_eq!(node("a").unwrap(), a);
    assert_eq!(ping(&lab, "a", "b", 1).len(), 1);
    lab.end();
}

#[test]
fn a_node_whose_functions_differ_is_the_only_one_restarted() {
    if !federation() {
        return;
    }
    let lab = Lab::new(
        "
name: NAME
nodes:
  n1: { kind: dfaas, functions: { figlet: { maxrate: 10 } } }
  n2: { kind: dfaas, functions: { figlet: { maxrate: 10 } } }
links: [{ endpoints: [n1, n2] }]
",
    );
    lab.up();
    let pids = || ["n1", "n2"].map(|name| node(&lab, name).unwrap()["pid"].clone());
    let before = pids();
    let file = edit(
        &lab,
        &[(
            "n2: { kind: dfaas, functions: { figlet",
            "n2: { kind: dfaas, functions: { shasum: {}, figlet",
        )],
    );
    let said = lab.ok(&["apply", &file]);
    assert_eq!(said, "restart n2: other functions\n1 change made\n");
    let after = pids();
    assert_eq!(after[0], before[0], "n1 goes on");
    assert_ne!(after[1], before[1]);
    assert!(!lab.ok(&["invoke", "n2", "shasum", "-d", "x"]).is_empty());

    // Killed in the middle of it, the lab leaves nothing behind.
    let applying = lab.spawn(&["apply", lab.file().to_str().unwrap()]);
    wait_for("the node is being restarted", || pids()[1] != after[1]);
    let processes = lab.processes();
    kill(lab.supervisor_pid(), nix::sys::signal::Signal::SIGKILL);
    applying.wait_with_output().unwrap();
    wait_for("all processes end", || {
        processes.iter().all(|pid| !crate::support::is_running(*pid))
    });
    lab.ok(&["down"]);
    lab.assert_gone(&processes);
}

const ROAMING: &str = "
name: NAME
nodes:
  user: { kind: client }
  far: { kind: host }
  s1: { kind: switch }
  s2: { kind: switch }
  alone: { kind: switch }
links:
  - { endpoints: [user, s1], delay: 1ms }
  - { endpoints: [s1, s2], delay: 10ms }
  - { endpoints: [far, s2] }
";

#[test]
fn a_client_keeps_its_address_at_another_access_point() {
    if !root() {
        return;
    }
    let lab = Lab::new(ROAMING);
    lab.up();
    let address = || {
        lab.ok(&[
            "exec",
            "user",
            "--",
            "sh",
            "-c",
            "cat /sys/class/net/eth0/address; hostname",
        ])
    };
    let before = (
        address(),
        lab.json(&["inspect", "--json"])["nodes"][0]["addresses"].clone(),
    );
    assert!(fastest(&lab, "user", "far") >= 22.0, "over both switches");

    let began = std::time::Instant::now();
    let link = lab.json(&["move", "--json", "user", "s2", "--gap", "300ms"]);
    assert!(began.elapsed().as_millis() >= 300);
    assert_eq!(link["name"], "user--s2");
    assert_eq!(link["forward"]["delay"], "1ms", "it keeps its impairments");
    let near = fastest(&lab, "user", "far");
    assert!((2.0..20.0).contains(&near), "over one switch: {near}");
    // From the other side as well: the switches have learnt the way.
    assert_eq!(ping(&lab, "far", "user", 3).len(), 3);
    let after = (
        address(),
        lab.json(&["inspect", "--json"])["nodes"][0]["addresses"].clone(),
    );
    assert_eq!(after, before);

    // Changes follow it, and it can go back.
    lab.ok(&["link", "user--s2", "set", "delay=5ms"]);
    assert_eq!(
        lab.json(&["move", "--json", "user", "s1"])["forward"]["delay"],
        "5ms"
    );
    assert!(fastest(&lab, "far", "user") >= 30.0);
    assert!(refused(&lab, 5, &["move", "user", "alone"]).contains("another network"));
    lab.end();
}

const TWO_NETWORKS: &str = "
name: NAME
nodes:
  user: { kind: client }
  home: { kind: host }
  far: { kind: host }
  s1: { kind: switch }
  s2: { kind: switch }
  r: { kind: router }
links:
  - { endpoints: [user, s1] }
  - { endpoints: [home, s1] }
  - { endpoints: [s1, r] }
  - { endpoints: [r, s2], delay: 5ms }
  - { endpoints: [far, s2] }
";

/// Answers one connection with what it hears.
const ECHO: &str = "$s = IO::Socket::INET->new(Listen => 1, LocalPort => 7000); $c = $s->accept; \
                    while (<$c>) { print $c $_; $c->flush }";

#[test]
fn a_client_in_another_network_is_reached_by_the_address_it_has() {
    if !root() {
        return;
    }
    let lab = Lab::new(TWO_NETWORKS);
    lab.up();
    // Whoever talks to it goes on: a connection that is there before the move is there afterwards.
    let talk = "exec 3<>/dev/tcp/user/7000; for word in one two; do echo $word >&3; read -t 8 answer <&3; \
                echo $answer; sleep 1; done";
    lab.ok(&[
        "exec",
        "user",
        "--",
        "sh",
        "-c",
        &format!("perl -MIO::Socket::INET -e '{ECHO}' >/dev/null 2>&1 & sleep 0.2"),
    ]);
    let talking = lab.spawn(&["exec", "home", "--", "bash", "-c", talk]);
    std::thread::sleep(std::time::Duration::from_millis(500));
    lab.ok(&["move", "user", "s2"]);
    assert!(fastest(&lab, "far", "user") < 5.0, "over its switch");
    assert!(fastest(&lab, "user", "home") >= 10.0, "over the router");
    assert_eq!(ping(&lab, "home", "user", 1).len(), 1);
    let six = lab.run(&[
        "exec",
        "home",
        "--",
        "ping",
        "-6",
        "-c",
        "1",
        "-W",
        "1",
        "fd00:dfaa:5::1",
    ]);
    assert!(six.status.success(), "{}", crate::support::text(&six));
    let said = talking.wait_with_output().unwrap();
    assert_eq!(
        String::from_utf8_lossy(&said.stdout),
        "one\ntwo\n",
        "{}",
        crate::support::text(&said)
    );

    lab.ok(&["move", "user", "s1"]);
    assert!(fastest(&lab, "user", "far") >= 10.0);
    let route = lab.ok(&["exec", "home", "--", "ip", "route"]);
    assert!(
        !route.contains("10.0.0.1 "),
        "nothing of the visit is left: {route}"
    );
    lab.end();
}
