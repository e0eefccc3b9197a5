//! Labs with `dfaas` nodes, and scenarios on them: the whole chain, and its bad days.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod support;

use std::path::Path;
use std::process::Command;

use nix::sys::signal::Signal;
use support::{Lab, TESTBED, federation, is_running, kill, text, wait_for};

const TWO_NODES: &str = "
name: NAME
defaults:
  dfaas:
    agent: { recalc_period: 2s }
    functions: { figlet: { maxrate: 10 } }
nodes:
  n1: { kind: dfaas }
  n2: { kind: dfaas }
  user: { kind: client }
  s1: { kind: switch }
links:
  - { endpoints: [n1, s1], delay: 2ms }
  - { endpoints: [n2, s1] }
  - { endpoints: [user, s1] }
";

#[test]
fn a_federation_serves_requests_logs_and_goes_without_a_trace() {
    if !federation() {
        return;
    }
    let lab = Lab::new(TWO_NODES);
    lab.up();
    let banner = lab.ok(&["invoke", "n1", "figlet", "-d", "Hi"]);
    assert!(banner.contains("_   _ _"), "figlet's banner: {banner}");
    let unknown = lab.run(&["invoke", "n1", "nosuch", "-d", "x"]);
    assert_eq!(unknown.status.code(), Some(5), "{}", text(&unknown));

    // Over the network, as a user of another machine would.
    let response = lab.ok(&[
        "exec",
        "user",
        "--",
        "curl",
        "-s",
        "-i",
        "http://n2/function/figlet",
        "-d",
        "Hello",
    ]);
    assert!(response.starts_with("HTTP/1.1 200"), "{response}");
    let detail = lab.json(&["inspect", "--json"]);
    let peer = detail["nodes"][1]["peer_id"].as_str().unwrap();
    assert!(
        response.contains(peer),
        "the DFaaS-Node-ID header names n2: {response}"
    );

    for service in ["haproxy", "faas", "agent"] {
        let services = detail["nodes"][0]["services"].as_array().unwrap();
        assert!(
            services
                .iter()
                .any(|it| it["name"] == service && it["state"] == "running" && it["restarts"] == 0)
        );
    }
    assert!(!lab.ok(&["logs", "n1", "agent"]).is_empty());
    assert!(
        lab.ok(&["logs", "n1"]).contains("faas"),
        "all services, each behind its name"
    );
    let wrong = lab.run(&["logs", "n1", "agnet"]);
    assert_eq!(wrong.status.code(), Some(2), "{}", text(&wrong));

    let processes = lab.processes();
    lab.ok(&["down"]);
    lab.assert_gone(&processes);
}

#[test]
fn peer_ids_come_from_the_seed() {
    if !federation() {
        return;
    }
    let topology = "name: NAME\nseed: 7\nnodes: { n1: { kind: dfaas, functions: { env: {} } } }\n";
    let peer_id = || {
        let lab = Lab::new(topology);
        lab.up();
        let detail = lab.json(&["inspect", "--json"]);
        detail["nodes"][0]["peer_id"].as_str().unwrap().to_owned()
    };
    assert_eq!(peer_id(), peer_id());
}

#[test]
fn a_killed_supervisor_takes_the_services_with_it() {
    if !federation() {
        return;
    }
    let lab = Lab::new(TWO_NODES);
    lab.up();
    let processes = lab.processes();
    assert!(
        processes.len() > 8,
        "two nodes with an init and three services each: {processes:?}"
    );
    kill(lab.supervisor_pid(), Signal::SIGKILL);
    wait_for("all processes end", || {
        processes.iter().all(|pid| !is_running(*pid))
    });
    lab.ok(&["down"]);
    lab.assert_gone(&processes);
}

#[test]
fn a_service_that_dies_at_start_is_named_with_its_last_words() {
    if !federation() {
        return;
    }
    let lab = Lab::new("name: NAME\nnodes:\n  n1: { kind: dfaas, agent: { binary: /bin/false } }\n");
    let output = lab.run(&["up", lab.file().to_str().unwrap()]);
    assert_eq!(output.status.code(), Some(5), "{}", text(&output));
    let message = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(
        message.contains("node `n1`: service `agent` ended while it started (exit code 1)"),
        "{message}"
    );
    lab.assert_gone(&Default::default());
}

#[test]
fn a_missing_haproxy_is_named_with_the_remedy() {
    if !federation() {
        return;
    }
    let lab = Lab::new(TWO_NODES);
    // In a mount namespace of its own, something that cannot be run lies over HAProxy.
    let output = Command::new("unshare")
        .args([
            "--mount",
            "sh",
            "-c",
            "mount --bind /dev/null /usr/sbin/haproxy && exec \"$0\" up \"$1\"",
            TESTBED,
        ])
        .arg(lab.file())
        .env("DFAAS_TESTBED_STATE", lab.state())
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(3), "{}", text(&output));
    assert!(
        String::from_utf8_lossy(&output.stderr).contains("apt install haproxy"),
        "{}",
        text(&output)
    );
    lab.assert_gone(&Default::default());
}

#[test]
fn published_ports_lead_into_the_node() {
    if !federation() {
        return;
    }
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = free.local_addr().unwrap().port();
    drop(free);
    let lab = Lab::new(&format!(
        "name: NAME\nnodes:\n  n1: {{ kind: dfaas, functions: {{ figlet: {{ maxrate: 10 }} }}, ports: [\"{port}:80\"] }}\n"
    ));
    lab.up();
    let url = format!("http://127.0.0.1:{port}/function/figlet");
    let output = Command::new("curl")
        .args(["-s", "-d", "Hi", &url])
        .output()
        .unwrap();
    assert!(
        String::from_utf8_lossy(&output.stdout).contains("_   _ _"),
        "{}",
        text(&output)
    );
}

#[test]
fn credentials_of_the_file_are_asked_for_and_known_to_the_agent() {
    if !federation() {
        return;
    }
    let lab = Lab::new(
        "name: NAME\nnodes:\n  n1: { kind: dfaas, faas: { basic_auth: { user: admin, password: secret } }, functions: { env: { maxrate: 10 } } }\n",
    );
    lab.up(); // ready: the agent has read the list of functions
    let list = |credentials: &[&str]| {
        let mut arguments = vec![
            "exec",
            "n1",
            "--",
            "curl",
            "-s",
            "-o",
            "/dev/null",
            "-w",
            "%{http_code}",
        ];
        arguments.extend(credentials);
        arguments.push("http://127.0.0.1:8080/system/functions");
        lab.ok(&arguments)
    };
    assert_eq!(list(&[]), "401");
    assert_eq!(list(&["-u", "admin:secret"]), "200");
}

const SCENARIO: &str = "
topology: topology.yaml
seed: 3
load:
  - { name: users, from: user, to: n1, function: figlet, body: Hi, rate: 5/s, start: 0s, duration: 4s }
expect:
  - { metric: served_by, of: users, node: n1, at_least: RATE }
";

fn scenario(lab: &Lab, least: &str) -> String {
    let path = lab.directory.path().join("scenario.yaml");
    std::fs::write(&path, SCENARIO.replace("RATE", least)).unwrap();
    path.to_str().unwrap().to_owned()
}

#[test]
fn a_scenario_passes_or_fails_by_its_expectations() {
    if !federation() {
        return;
    }
    let lab = Lab::new(TWO_NODES);
    let out = lab.directory.path().join("out");
    let file = scenario(&lab, "4.9/s");
    let output = lab.run(&["run", &file, "--out", out.to_str().unwrap()]);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output));
    let summary: serde_json::Value =
        serde_json::from_str(&std::fs::read_to_string(out.join("summary.json")).unwrap()).unwrap();
    assert_eq!(summary["verdict"], "pass");
    assert_eq!(
        summary["cells"][0]["repetitions"][0]["load"]["users"]["requests"],
        20
    );
    assert_eq!(
        summary["cells"][0]["repetitions"][0]["load"]["users"]["by_code"]["200"],
        20
    );
    let page = std::fs::read_to_string(out.join("report.html")).unwrap();
    assert!(page.contains("<svg"), "the report has a figure");

    std::fs::remove_file(out.join("report.html")).unwrap();
    lab.ok(&["report", out.to_str().unwrap()]);
    assert_eq!(
        std::fs::read_to_string(out.join("report.html")).unwrap(),
        page,
        "the same files, the same report"
    );

    let output = lab.run(&["run", &file, "--out", out.to_str().unwrap()]);
    assert_eq!(
        output.status.code(),
        Some(2),
        "a run never overwrites another: {}",
        text(&output)
    );

    let file = scenario(&lab, "50/s");
    let second = lab.directory.path().join("second");
    let output = lab.run(&["run", &file, "--out", second.to_str().unwrap()]);
    assert_eq!(output.status.code(), Some(1), "{}", text(&output));
    lab.assert_gone(&Default::default());
}

#[test]
fn ctrl_c_during_a_run_takes_the_lab_down() {
    if !federation() {
        return;
    }
    let lab = Lab::new(TWO_NODES);
    let out = lab.directory.path().join("out");
    let file = scenario(&lab, "4/s");
    let run = lab.spawn(&["run", &file, "--out", out.to_str().unwrap()]);
    let rows = out.join("cells/0/0/requests.jsonl");
    wait_for("the load runs", || {
        std::fs::metadata(&rows).is_ok_and(|it| it.len() > 0)
    });
    let processes = lab.processes();
    kill(i32::try_from(run.id()).unwrap(), Signal::SIGINT);
    let output = run.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(130), "{}", text(&output));
    lab.assert_gone(&processes);
}

#[test]
fn a_full_disk_in_the_run_folder_ends_the_run_cleanly() {
    if !federation() {
        return;
    }
    let lab = Lab::new(TWO_NODES);
    let out = lab.directory.path().join("out");
    std::fs::create_dir(&out).unwrap();
    let file = scenario(&lab, "4/s");
    let script = "mount -t tmpfs -o size=16k none \"$2\" && exec \"$0\" run \"$1\" --out \"$2/run\"";
    let output = Command::new("unshare")
        .args(["--mount", "sh", "-c", script, TESTBED, &file])
        .arg(&out)
        .env("DFAAS_TESTBED_STATE", lab.state())
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(5), "{}", text(&output));
    let message = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(message.contains("no space left on the disk"), "{message}");
    assert!(!Path::new(&lab.state().join(&lab.name)).exists());
    lab.assert_gone(&Default::default());
}
