//! First things: what `up` says to try, and the first packets between nodes.

use std::time::Duration;

use crate::support::{Lab, root, wait_for};

#[test]
fn what_up_says_to_try_works() {
    if !root() {
        return;
    }
    let lab = Lab::new(
        "
name: NAME
nodes: { s: { kind: switch }, a: { kind: host }, b: { kind: host }, t: { kind: switch } }
links: [{ endpoints: [s, a] }, { endpoints: [s, b] }, { endpoints: [s, t] }]
",
    );
    let said = lab.ok(&["up", lab.file().to_str().unwrap()]);
    let hint = said
        .lines()
        .find_map(|line| line.strip_prefix("try   dfaas-testbed "));
    let words: Vec<&str> = hint.unwrap_or_else(|| panic!("{said}")).split(' ').collect();
    assert_eq!(words, ["exec", "a", "--", "ping", "-c", "3", "b"]);
    assert!(lab.ok(&words).contains(" 0% packet loss"));
    lab.ok(&["down"]);
}

#[test]
fn first_packets_are_nobody_elses_business() {
    if !root() {
        return;
    }
    // More than know each other by ARP entries; the client and the router do.
    let lab = Lab::new(
        "
name: NAME
nodes:
  s: { kind: switch }
  h{i}: { kind: host, count: 70 }
  user: { kind: client }
  edge: { kind: router }
links:
  - { endpoints: [\"h{i}\", s], count: 70 }
  - { endpoints: [user, s], delay: 1ms }
  - { endpoints: [edge, s] }
",
    );
    lab.up();
    let heard = || {
        let file = "/sys/class/net/eth0/statistics/rx_packets";
        lab.ok(&["exec", "h1", "--", "cat", file])
    };
    // Reports of multicast groups, from when the nodes were made.
    wait_for("silence", || {
        let before = heard();
        std::thread::sleep(Duration::from_millis(300));
        heard() == before
    });
    let before = heard();
    let times = lab.ping("user", "edge", 3);
    assert_eq!(times.len(), 3);
    assert_eq!(heard(), before, "neither ARP nor a search for the router's port");
    // Hosts ask for each other, and the switch answers.
    assert_eq!(lab.ping("h2", "h3", 3).len(), 3);
    assert_eq!(heard(), before, "nobody else is asked");
    lab.ok(&["down"]);
}
