//! Nodes that are containers: on links like any other node, through stops and restarts, and gone when the lab is.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

#[path = "containers/changes.rs"]
mod changes;
#[path = "containers/registry.rs"]
mod registry;
mod support;

use std::io::Write;
use std::process::{Command, Stdio};
use std::sync::{Mutex, MutexGuard, PoisonError};

use nix::sys::signal::Signal;
use support::{Lab, as_root, have, kill, text, wait_for};

/// Where the engine of the tests listens.
const SOCKET: &str = "/var/run/docker.sock";
/// The image of the tests, made by `ci/docker.sh`: busybox and nothing else.
const IMAGE: &str = "dfaas-testbed-tests/busybox:1";

/// A container and a native node on one switch.
const MIXED: &str = "
name: NAME
nodes:
  c:
    kind: host
    driver: docker
    image: IMAGE
    command: [sh, -c, 'trap \"echo ending; exit\" TERM; echo begins; httpd -p 8000; while :; do sleep 0.05; done']
    env: { WORD: from-the-file }
    exec: ['cat /v/word > /heard']
    volumes: ['VOLUME:/v:ro']
    tmpfs: ['/scratch:size=1m']
    devices: ['/dev/zero:/dev/noughts']
    capabilities: [NET_ADMIN]
    sysctls: { net.ipv4.ip_default_ttl: 99 }
    health: { command: 'echo >> /checks; [ $(wc -l < /checks) -ge 3 ]', interval: 100ms }
    ports: ['PORT:8000']
    memory: 64MiB
    pids: 50
  h: { kind: host }
  s: { kind: switch }
links:
  - { endpoints: [c, s], delay: 10ms }
  - { endpoints: [h, s], delay: 5ms }
";

/// An answer of the engine. Asked without the crate under test.
fn engine(path: &str) -> Option<serde_json::Value> {
    let output = Command::new("curl")
        .args([
            "-fsS",
            "--unix-socket",
            SOCKET,
            &format!("http://localhost/{path}"),
        ])
        .stderr(Stdio::null())
        .output()
        .unwrap();
    serde_json::from_slice(&output.stdout).ok()
}

fn docker() -> bool {
    as_root() && have("docker", engine(&format!("images/{IMAGE}/json")).is_some())
}

/// Counting the mounts of the machine, of which each container has some, needs one test at a time.
fn alone() -> MutexGuard<'static, ()> {
    static TURN: Mutex<()> = Mutex::new(());
    TURN.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Names of the containers of a lab, whatever their state.
fn containers_of(lab: &Lab) -> Vec<String> {
    let label = format!("%5B%22dfaas-testbed.lab%3D{}%22%5D", lab.name);
    let listed = engine(&format!(
        "containers/json?all=1&filters=%7B%22label%22%3A{label}%7D"
    ))
    .unwrap();
    let containers = listed.as_array().unwrap().iter();
    containers
        .map(|it| it["Names"][0].as_str().unwrap().to_owned())
        .collect()
}

/// A command that ends when it is asked to, as process 1 does not by itself.
const FOREVER: &str = "[sh, -c, 'trap exit TERM; while :; do sleep 0.05; done']";

fn lab(topology: &str) -> Lab {
    Lab::new(&topology.replace("IMAGE", IMAGE).replace("FOREVER", FOREVER))
}

/// One node, a container that runs this command.
fn single(keys: &str) -> Lab {
    lab(&format!(
        "name: NAME\nnodes:\n  c: {{ kind: host, driver: docker, {keys} }}\n"
    ))
}

fn free_port() -> u16 {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap().port()
}

#[test]
fn a_container_is_a_node_like_any_other() {
    if !docker() {
        return;
    }
    let _alone = alone();
    let volume = tempfile::tempdir().unwrap();
    std::fs::write(volume.path().join("word"), "volume\n").unwrap();
    let port = free_port();
    let text_of_file = MIXED
        .replace("VOLUME", volume.path().to_str().unwrap())
        .replace("PORT", &port.to_string());
    let lab = lab(&text_of_file);
    lab.up();
    it_is_reached_over_its_links(&lab);
    it_is_what_its_file_says(&lab, port);
    its_limits_change(&lab);
    it_stands_still_when_it_is_paused(&lab);
    its_links_outlive_it(&lab);
    its_end_by_itself_is_told(&lab);
    let processes = lab.processes();
    lab.ok(&["down"]);
    lab.assert_gone(&processes);
    assert_eq!(containers_of(&lab), Vec::<String>::new());
}

fn fastest(times: &[f64]) -> f64 {
    times.iter().copied().fold(f64::INFINITY, f64::min)
}

fn it_is_reached_over_its_links(lab: &Lab) {
    for (from, to) in [("h", "c"), ("c", "h")] {
        let times = lab.ping(from, to, 5); // by name
        assert_eq!(times.len(), 5, "no packet is lost");
        assert!(
            (30.0..36.0).contains(&fastest(&times)),
            "2 × (10 ms + 5 ms) from {from}, measured {times:?}"
        );
    }
}

fn inside(lab: &Lab, command: &str) -> String {
    lab.ok(&["exec", "c", "--", "sh", "-c", command])
}

fn it_is_what_its_file_says(lab: &Lab, port: u16) {
    assert_eq!(inside(lab, "hostname"), "c\n");
    assert_eq!(inside(lab, "echo $WORD"), "from-the-file\n");
    assert_eq!(
        inside(lab, "cat /heard"),
        "volume\n",
        "the command of `exec:` has run"
    );
    assert_eq!(
        inside(lab, "touch /v/new 2>/dev/null || echo read-only"),
        "read-only\n"
    );
    assert_eq!(inside(lab, "mount | grep -c ' /scratch '"), "1\n");
    let checks = inside(lab, "wc -l < /checks");
    assert!(
        checks.trim().parse::<u32>().unwrap() >= 3,
        "ready before it was healthy: {checks}"
    );
    assert_eq!(
        inside(
            lab,
            "busybox head -c 3 /dev/noughts | busybox hexdump -e '3/1 \"%d\"'"
        ),
        "000"
    );
    inside(lab, "ip link set lo mtu 1400"); // NET_ADMIN
    assert_eq!(inside(lab, "cat /proc/sys/net/ipv4/ip_default_ttl"), "99\n");
    let refused = lab.run(&["exec", "c", "--", "mount", "-t", "tmpfs", "x", "/tmp"]);
    assert!(!refused.status.success(), "no more power than the container has");
    assert_eq!(lab.ok(&["logs", "c", "container"]), "begins\n");
    inside(lab, "echo served > /index.html");
    let page = Command::new("curl")
        .args(["-fsS", &format!("http://127.0.0.1:{port}/index.html")])
        .output()
        .unwrap();
    assert_eq!(
        String::from_utf8_lossy(&page.stdout),
        "served\n",
        "{}",
        text(&page)
    );
    let mut shell = lab
        .command()
        .args(["shell", "c"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    shell
        .stdin
        .take()
        .unwrap()
        .write_all(b"echo $WORD in a shell\nexit 3\n")
        .unwrap();
    let output = shell.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(3));
    assert_eq!(
        String::from_utf8_lossy(&output.stdout),
        "from-the-file in a shell\n"
    );
    let node = &lab.json(&["inspect", "--json"])["nodes"][0];
    assert_eq!(
        (node["driver"].as_str(), node["state"].as_str()),
        (Some("docker"), Some("running"))
    );
    assert_eq!(node["services"][0]["name"], "container");
    let pid = node["pid"].as_i64().unwrap();
    assert_eq!(
        engine(&format!("containers/{}/json", node_container(lab))).unwrap()["State"]["Pid"],
        pid
    );
}

/// The container of the node, not the one that holds its network.
fn node_container(lab: &Lab) -> String {
    let names = containers_of(lab);
    let name = names.iter().find(|name| !name.ends_with("-network")).unwrap();
    name.trim_start_matches('/').to_owned()
}

fn its_limits_change(lab: &Lab) {
    let limits = || {
        let host = engine(&format!("containers/{}/json", node_container(lab))).unwrap()["HostConfig"].take();
        ["Memory", "CpuQuota", "PidsLimit"].map(|key| host[key].as_i64().unwrap())
    };
    assert_eq!(limits(), [64 << 20, 0, 50]);
    lab.ok(&["limits", "c", "memory=128MiB", "cpus=0.5"]);
    assert_eq!(limits(), [128 << 20, 50_000, 50]);
    lab.ok(&["limits", "c", "cpus=none", "pids=none"]);
    let [memory, quota, pids] = limits();
    assert!(
        memory == 128 << 20 && quota <= 0 && pids <= 0,
        "{memory} {quota} {pids}"
    );
    let refused = lab.run(&["limits", "c", "memory=none"]);
    assert!(!refused.status.success());
    assert!(
        text(&refused).contains("cannot take the memory limit"),
        "{}",
        text(&refused)
    );
}

fn state(lab: &Lab) -> String {
    lab.json(&["inspect", "--json"])["nodes"][0]["state"]
        .as_str()
        .unwrap()
        .to_owned()
}

fn it_stands_still_when_it_is_paused(lab: &Lab) {
    lab.ok(&["node", "c", "pause"]);
    assert_eq!(state(lab), "paused");
    let refused = lab.run(&["exec", "c", "--", "true"]);
    assert!(text(&refused).contains("it is paused"), "{}", text(&refused));
    lab.ok(&["node", "c", "resume"]);
    assert_eq!(state(lab), "running");
    assert_eq!(inside(lab, "echo on"), "on\n");
}

fn its_links_outlive_it(lab: &Lab) {
    inside(lab, "echo kept > /kept");
    lab.ok(&["node", "c", "stop"]);
    assert_eq!(state(lab), "stopped");
    let refused = lab.run(&["exec", "c", "--", "true"]);
    assert!(text(&refused).contains("it is stopped"), "{}", text(&refused));
    // The kernel answers for the namespace, which the network holder keeps.
    assert_eq!(lab.ping("h", "c", 2).len(), 2);
    lab.ok(&["node", "c", "start"]);
    assert_eq!(
        inside(lab, "cat /kept"),
        "kept\n",
        "a file system outlives a stop, as a disk does"
    );
    lab.ok(&["node", "c", "restart"]);
    lab.ok(&["node", "c", "pause"]);
    lab.ok(&["node", "c", "kill"]);
    assert_eq!(state(lab), "stopped");
    lab.ok(&["node", "c", "start"]);
    it_is_reached_over_its_links(lab);
    let logged = lab.ok(&["logs", "c", "container"]);
    // The kill left no time for a last word.
    assert_eq!(logged, "begins\nending\nbegins\nending\nbegins\nbegins\n");
}

fn its_end_by_itself_is_told(lab: &Lab) {
    let pid = lab.json(&["inspect", "--json"])["nodes"][0]["pid"]
        .as_i64()
        .unwrap();
    kill(i32::try_from(pid).unwrap(), Signal::SIGKILL);
    wait_for("the container's end", || state(lab) == "stopped");
    let refused = lab.run(&["exec", "c", "--", "true"]);
    assert!(
        text(&refused).contains("its container has ended (exit code 137)"),
        "{}",
        text(&refused)
    );
}

#[test]
fn what_a_machine_does_not_have_is_told_before_anything_is_made() {
    if !docker() {
        return;
    }
    let _alone = alone();
    for (keys, code, part) in [
        (
            "image: IMAGE, oci_runtime: no-such-runtime",
            3,
            "has no runtime `no-such-runtime`",
        ),
        (
            "image: 'dfaas-testbed-tests/none:1'",
            5,
            "dfaas-testbed-tests/none:1",
        ),
        ("build: ./none", 5, "the folder has no `Dockerfile`"),
        (
            "image: IMAGE, command: [sh, -c, 'echo last words; exit 7'], health: { command: 'false' }",
            5,
            "last words",
        ),
        ("image: IMAGE, command: [no-such-program]", 5, "no-such-program"),
        (
            "image: IMAGE, command: FOREVER, exec: ['echo why; exit 4']",
            5,
            "`echo why; exit 4` failed (exit code 4); its last words:\nwhy",
        ),
    ] {
        let lab = single(keys);
        let output = lab.run(&["up", lab.file().to_str().unwrap()]);
        assert_eq!(output.status.code(), Some(code), "{keys}: {}", text(&output));
        let said = text(&output);
        assert!(said.contains(part), "{keys}: {said}");
        assert_eq!(containers_of(&lab), Vec::<String>::new(), "{keys}");
        lab.assert_gone(&Default::default());
    }
}

/// Whether an engine that this process starts may give a container everything.
fn all_capabilities() -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let last = std::fs::read_to_string("/proc/sys/kernel/cap_last_cap").unwrap();
    let bounding = status
        .lines()
        .find_map(|line| line.strip_prefix("CapBnd:"))
        .unwrap();
    let all = (1 << (last.trim().parse::<u32>().unwrap() + 1)) - 1;
    u64::from_str_radix(bounding.trim(), 16).unwrap() == all
}

/// Some machines lack capabilities, and so their engines cannot run privileged containers; `ci/guest.sh privileged` can.
#[test]
fn a_missing_runtime_makes_way_for_a_privileged_container() {
    if !docker() || !have("privileged", all_capabilities()) {
        return;
    }
    let _alone = alone();
    let lab = single("image: IMAGE, command: FOREVER, oci_runtime: no-such-runtime, fallback: privileged");
    let output = lab.run(&["up", lab.file().to_str().unwrap()]);
    let said = text(&output);
    assert!(output.status.success(), "{said}");
    assert!(said.contains("it runs privileged under `runc`"), "{said}");
    let container = engine(&format!("containers/{}/json", node_container(&lab))).unwrap();
    assert_eq!(container["HostConfig"]["Privileged"], true);
    inside(&lab, "mount -t tmpfs none /tmp"); // nobody else may
    lab.end();
    assert_eq!(containers_of(&lab), Vec::<String>::new());
}

#[test]
fn an_image_is_built_from_a_folder() {
    if !docker() {
        return;
    }
    let _alone = alone();
    let lab = single("build: node, command: FOREVER");
    let folder = lab.directory.path().join("node");
    std::fs::create_dir(&folder).unwrap();
    std::fs::write(folder.join("word"), "built\n").unwrap();
    std::fs::write(
        folder.join("Dockerfile"),
        format!("FROM {IMAGE}\nCOPY word /word\n"),
    )
    .unwrap();
    lab.up();
    assert_eq!(inside(&lab, "cat /word"), "built\n");
    // Made from something else, it is another container.
    inside(&lab, "echo x > /written");
    let file = std::fs::read_to_string(lab.file()).unwrap();
    std::fs::write(lab.file(), file.replace("driver:", "env: { NEW: new }, driver:")).unwrap();
    lab.ok(&["apply", lab.file().to_str().unwrap()]);
    assert_eq!(
        inside(&lab, "echo $NEW; cat /word; test -e /written || echo fresh"),
        "new\nbuilt\nfresh\n"
    );
}

/// A supervisor that dies leaves its containers behind; the next command finds them in the ledger.
#[test]
fn containers_of_a_dead_supervisor_are_removed_by_the_next_command() {
    if !docker() {
        return;
    }
    let _alone = alone();
    let lab = single("image: IMAGE, command: FOREVER");
    let steps = lab.directory.path().join("steps");
    let life = |last: usize| {
        lab.command()
            .args(["up", lab.file().to_str().unwrap()])
            .env("DFAAS_TESTBED_DIE_AT", last.to_string())
            .env("DFAAS_TESTBED_STEPS", &steps)
            .output()
            .unwrap()
    };
    assert!(life(0).status.success());
    kill(lab.supervisor_pid(), Signal::SIGKILL);
    assert_eq!(
        containers_of(&lab).len(),
        2,
        "Docker keeps what it was asked to keep"
    );
    lab.ok(&["down", "--all"]);
    assert_eq!(containers_of(&lab), Vec::<String>::new());
    let noted = std::fs::read_to_string(&steps).unwrap();
    for wanted in ["network holder started", "container made", "container started"] {
        let number = 1 + noted.lines().position(|step| step == wanted).unwrap();
        let died = life(number);
        assert!(!died.status.success(), "{wanted}: {}", text(&died));
        lab.ok(&["down", "--all"]);
        assert_eq!(containers_of(&lab), Vec::<String>::new(), "{wanted}");
        lab.assert_gone(&Default::default());
    }
}
