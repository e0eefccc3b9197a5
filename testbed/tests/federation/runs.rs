//! Scenarios on a federation: verdicts, Ctrl-C, a full disk, a link that somebody else changes.

use std::path::Path;
use std::process::Command;

use nix::sys::signal::Signal;

use crate::TWO_NODES;
use crate::support::{Lab, TESTBED, federation, kill, text, wait_for};

const SCENARIO: &str = "
topology: topology.yaml
seed: 3
load:
  - { name: users, from: user, to: n1, function: figlet, body: Hi, rate: 5/s, start: 0s, duration: 4s }
events:
  - { at: 1s, link: n2--s1, do: down, for: 1s }
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
    // The carrier that it took away itself is no sabotage. That the processors were busy may be said.
    let sentinel = &summary["cells"][0]["repetitions"][0]["sentinel"];
    assert_eq!(sentinel["events"], 2, "{sentinel}");
    assert_eq!(sentinel["changed_links"], serde_json::json!([]));
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

const KERNEL_LINK: &str = "
name: NAME
defaults: { dfaas: { agent: { recalc_period: 1s }, functions: { figlet: { maxrate: 50 } } } }
nodes:
  n1: { kind: dfaas }
  user: { kind: client }
links:
  - { endpoints: [user, n1], rate: 100mbit, backend: tc }
";

/// What `tc` says to somebody who finds the way into the lab's wire namespace.
fn change_rate_behind_the_labs_back(supervisor: i32) -> bool {
    let descriptors = std::fs::read_dir(format!("/proc/{supervisor}/fd")).unwrap();
    let change = "tc qdisc change dev l0b root handle 2: tbf rate 50mbit burst 32kb limit 100kb";
    // Only one of them is a namespace with that interface.
    descriptors.flatten().any(|entry| {
        let mut command = Command::new("nsenter");
        command.arg(format!("--net={}", entry.path().display()));
        let changed = command.args(change.split(' ')).output().unwrap();
        changed.status.success()
    })
}

#[test]
fn a_run_that_must_be_valid_fails_when_a_link_is_changed_behind_its_back() {
    if !federation() {
        return;
    }
    let lab = Lab::new(KERNEL_LINK);
    let file = lab.directory.path().join("scenario.yaml");
    std::fs::write(
        &file,
        "
topology: topology.yaml
load: [{ name: users, from: user, to: n1, function: figlet, body: x, rate: 20/s, duration: 3s }]
expect: [{ metric: success_rate, of: users, at_least: 1% }]
",
    )
    .unwrap();
    let out = lab.directory.path().join("out");
    let (file, directory) = (file.to_str().unwrap(), out.to_str().unwrap());
    let run = lab.spawn(&["run", file, "--out", directory, "--require-valid"]);
    wait_for("load is on", || {
        std::fs::metadata(out.join("cells/0/0/requests.jsonl")).is_ok_and(|file| file.len() > 0)
    });
    std::thread::sleep(std::time::Duration::from_millis(600)); // the sentinel has looked
    let changed = change_rate_behind_the_labs_back(lab.supervisor_pid());
    let output = run.wait_with_output().unwrap();
    assert!(changed, "no namespace of the supervisor has the link");
    assert_eq!(output.status.code(), Some(1), "{}", text(&output));
    let summary = std::fs::read_to_string(out.join("summary.json")).unwrap();
    let summary: serde_json::Value = serde_json::from_str(&summary).unwrap();
    assert_eq!(summary["verdict"], "pass", "only its validity is wanting");
    assert_eq!(summary["validity"], "invalid");
    let reasons = summary["validity_reasons"].to_string();
    assert!(reasons.contains("other queues in the kernel"), "{reasons}");
    lab.assert_gone(&Default::default());
}
