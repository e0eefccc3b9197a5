//! Nothing leaks: a supervisor is killed at every step of its life and at moments of no one's choosing, and the next command leaves
//! no process, interface, mount, control group or file behind. The tests of this file run one after the other.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod support;

use std::hash::{BuildHasher, RandomState};
use std::process::Output;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use nix::sys::signal::Signal;
use support::{Lab, federation, kill, root, text, wait_for};

/// Everything a supervisor makes: links of both backends, control groups, inits, a command in a node.
const HOSTS: &str = "
name: NAME
nodes:
  a: { kind: host, exec: [\"true\"] }
  b: { kind: host, exec: [\"true\"], env: { X: y } }
  s: { kind: switch }
links:
  - { endpoints: [a, s], delay: 1ms }
  - { endpoints: [b, s], rate: 100mbit }
";

const FEDERATION: &str = "
name: NAME
defaults: { dfaas: { agent: { recalc_period: 1s }, functions: { figlet: { maxrate: 10 } } } }
nodes:
  n1: { kind: dfaas }
  user: { kind: client }
links:
  - { endpoints: [n1, user], delay: 1ms }
";

const SCENARIO: &str = "
topology: topology.yaml
load:
  - { name: users, from: user, to: n1, function: figlet, body: x, rate: 10/s, duration: 1s }
";

/// Counting what the whole machine has needs one test at a time.
fn alone() -> MutexGuard<'static, ()> {
    static TURN: Mutex<()> = Mutex::new(());
    TURN.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What a verb does whose supervisor dies at a step, and notes the steps it passes in a file; 0: it lives.
fn mortal(lab: &Lab, arguments: &[&str], step: usize, steps: &std::path::Path) -> Output {
    lab.command()
        .args(arguments)
        .env("DFAAS_TESTBED_DIE_AT", step.to_string())
        .env("DFAAS_TESTBED_STEPS", steps)
        .output()
        .unwrap()
}

/// The next command after the supervisor's death at a step: nothing is left.
fn take_down(lab: &Lab, step: usize) {
    let down = lab.run(&["down", "--all"]);
    assert!(down.status.success(), "step {step}: {}", text(&down));
    lab.assert_gone(&Default::default());
}

/// The steps noted in a file; the last one is the one of that number, at which it died.
fn passed(steps: &std::path::Path, number: usize) -> Vec<String> {
    let noted = std::fs::read_to_string(steps).unwrap();
    assert_eq!(noted.lines().count(), number, "it died at another step: {noted}");
    noted.lines().map(str::to_owned).collect()
}

/// One life of a lab. Returns what `up` said.
fn life_that_ends_at(lab: &Lab, step: usize, steps: &std::path::Path) -> Output {
    let up = mortal(lab, &["up", lab.file().to_str().unwrap()], step, steps);
    take_down(lab, step);
    up
}

#[test]
fn a_supervisor_may_die_at_every_step() {
    if !root() {
        return;
    }
    let _alone = alone();
    let lab = Lab::new(HOSTS);
    let notes = |name: &str| lab.directory.path().join(name);
    let whole = life_that_ends_at(&lab, 0, &notes("whole"));
    assert!(whole.status.success(), "{}", text(&whole));
    let steps = std::fs::read_to_string(notes("whole")).unwrap();
    let steps: Vec<&str> = steps.lines().collect();
    for expected in [
        "after a ledger entry",
        "init started",
        "ready",
        "link engine ended",
        "state removed",
    ] {
        assert!(steps.contains(&expected), "no step `{expected}` in {steps:?}");
    }
    for number in 1..=steps.len() {
        let file = notes(&format!("to-{number}"));
        let up = life_that_ends_at(&lab, number, &file);
        if !passed(&file, number).iter().any(|step| step == "ready") {
            assert_eq!(up.status.code(), Some(5), "step {number}: {}", text(&up));
        }
    }
}

/// Everything that a changed file may ask for, from [`HOSTS`].
fn changed(text: &str) -> String {
    let text = text.replace(
        "  b: { kind: host, exec: [\"true\"], env: { X: y } }\n",
        "  c: { kind: host, exec: [\"true\"] }\n",
    );
    let text = text.replace("[b, s], rate: 100mbit", "[c, s], delay: 2ms");
    let text = text.replace(
        "exec: [\"true\"] }\n  c",
        "exec: [\"true\"], env: { X: z }, forward: true }\n  c",
    );
    text.replace("delay: 1ms", "delay: 1ms, mtu: 1400")
}

#[test]
fn a_supervisor_may_die_at_every_step_of_apply() {
    if !root() {
        return;
    }
    let _alone = alone();
    let lab = Lab::new(HOSTS);
    let notes = |name: &str| lab.directory.path().join(name);
    let file = notes("changed.yaml");
    let hosts = std::fs::read_to_string(lab.file()).unwrap();
    std::fs::write(&file, changed(&hosts)).unwrap();
    let life = |step: usize, steps: &std::path::Path| {
        let up = mortal(&lab, &["up", lab.file().to_str().unwrap()], step, steps);
        assert!(up.status.success(), "step {step}: {}", text(&up));
        let before = std::fs::read_to_string(steps).unwrap().lines().count();
        (before, lab.run(&["apply", file.to_str().unwrap()]))
    };
    let (first, apply) = life(0, &notes("whole"));
    assert!(apply.status.success(), "{}", text(&apply));
    let steps = std::fs::read_to_string(notes("whole")).unwrap();
    let steps: Vec<&str> = steps.lines().skip(first).collect();
    take_down(&lab, 0);
    for expected in [
        "forwarding set",
        "links detached",
        "network withdrawn",
        "network extended",
        "node removed",
        "after a ledger entry",
        "new nodes started",
        "applied",
    ] {
        assert!(steps.contains(&expected), "no step `{expected}` in {steps:?}");
    }
    for step in first + 1..=first + steps.len() {
        let file = notes(&format!("to-{step}"));
        let (_, apply) = life(step, &file);
        assert_ne!(apply.status.code(), Some(0), "step {step}: {}", text(&apply));
        passed(&file, step);
        take_down(&lab, step);
    }
}

#[test]
fn a_supervisor_may_die_at_any_moment() {
    if !federation() {
        return;
    }
    let _alone = alone();
    let lab = Lab::new(FEDERATION);
    let moments = std::env::var("DFAAS_TEST_MOMENTS").map_or(20, |count| count.parse().unwrap());
    for _ in 0..moments {
        let moment = Duration::from_micros(RandomState::new().hash_one(0) % 1_500_000);
        let mut up = lab.spawn(&["up", lab.file().to_str().unwrap()]);
        std::thread::sleep(moment);
        if lab.state().join(&lab.name).join("supervisor.json").exists() {
            kill_supervisor(&lab);
        }
        let code = up.wait().unwrap().code();
        let down = lab.run(&["down", "--all"]);
        assert!(
            down.status.success(),
            "after {moment:?}, `up` {code:?}: {}",
            text(&down)
        );
        lab.assert_gone(&Default::default());
    }
}

/// One run whose supervisor dies at a step; 0: it lives. Returns what the run said and the file of its steps, which goes
/// with the lab.
fn run_that_dies_at(step: usize) -> (Lab, Output, std::path::PathBuf) {
    let lab = Lab::new(FEDERATION);
    let scenario = lab.directory.path().join("scenario.yaml");
    std::fs::write(&scenario, SCENARIO).unwrap();
    let [out, steps] = ["run", "steps"].map(|name| lab.directory.path().join(name));
    let arguments = ["run", scenario.to_str().unwrap(), "--out", out.to_str().unwrap()];
    let run = mortal(&lab, &arguments, step, &steps);
    take_down(&lab, step);
    (lab, run, steps)
}

/// Most of a run's time is spent waiting, so some lives go on side by side.
#[test]
fn a_supervisor_may_die_at_every_step_of_a_run() {
    if !federation() {
        return;
    }
    let _alone = alone();
    let (_lab, run, steps) = run_that_dies_at(0);
    assert!(run.status.success(), "{}", text(&run));
    let steps = std::fs::read_to_string(steps).unwrap();
    assert!(steps.contains("service started"), "{steps}");
    let next = AtomicUsize::new(1);
    let lives = || {
        loop {
            let number = next.fetch_add(1, Ordering::Relaxed);
            if number > steps.lines().count() {
                return;
            }
            let (_lab, run, file) = run_that_dies_at(number);
            // From there on it is the run itself that cleans up, and nothing is missed.
            let is_over = passed(&file, number).iter().any(|step| step == "end begun");
            assert!(is_over || !run.status.success(), "step {number}: {}", text(&run));
        }
    };
    std::thread::scope(|scope| (0..4).for_each(|_| drop(scope.spawn(lives))));
}

/// Kills the supervisor, if it has not ended just now.
fn kill_supervisor(lab: &Lab) {
    let pid = lab.supervisor_pid();
    if support::is_running(pid) {
        kill(pid, Signal::SIGKILL);
    }
}

/// Network namespaces the kernel has in memory; `None` where it does not say.
fn kernel_namespaces() -> Option<usize> {
    let slabs = std::fs::read_to_string("/proc/slabinfo").ok()?;
    let line = slabs.lines().find(|line| line.starts_with("net_namespace "))?;
    line.split_whitespace().nth(1)?.parse().ok()
}

#[test]
fn thirty_lives_leave_no_namespace_in_the_kernel() {
    if !root() {
        return;
    }
    let _alone = alone();
    let lab = Lab::new(HOSTS);
    lab.up();
    lab.ok(&["down"]);
    let Some(before) = kernel_namespaces() else {
        support::have("slabinfo", false);
        return;
    };
    for _ in 0..30 {
        lab.up();
        lab.ok(&["down"]);
    }
    // What is freed is counted a little later. A single namespace kept by each life would be thirty.
    wait_for("namespaces are freed", || {
        kernel_namespaces().unwrap() < before + 30
    });
    lab.assert_gone(&Default::default());
}

#[test]
fn equal_labs_do_not_see_each_other() {
    if !root() {
        return;
    }
    let _alone = alone();
    let first = Lab::new(HOSTS);
    let second = Lab::new(HOSTS);
    first.up();
    second.up();
    let addresses = |lab: &Lab| lab.ok(&["exec", "b", "--", "ip", "-brief", "address", "show", "eth0"]);
    assert_eq!(
        addresses(&first),
        addresses(&second),
        "the same addresses in both"
    );
    let ping = |lab: &Lab| lab.run(&["exec", "a", "--", "ping", "-c", "2", "-i", "0.1", "-W", "1", "b"]);
    second.ok(&["exec", "b", "--", "ip", "link", "set", "eth0", "down"]);
    let output = ping(&second);
    assert_eq!(
        output.status.code(),
        Some(1),
        "`b` of the other lab must not answer: {}",
        text(&output)
    );
    let output = ping(&first);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output));
    second.ok(&["down"]);
    let output = ping(&first);
    assert_eq!(
        output.status.code(),
        Some(0),
        "one lab's end is not another's: {}",
        text(&output)
    );
}
