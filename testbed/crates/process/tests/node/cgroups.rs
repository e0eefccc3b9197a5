//! Limits, freezing and killing with this machine's cgroups.

use std::fs;
use std::process::{Command, ExitCode};
use std::time::{Duration, Instant};

use dfaas_process::{
    Cgroup, CgroupReference, Event, ExitStatus, Hierarchies, Hierarchy, Limits, Privileges, Restart,
    execute_in, process_alive, remove_cgroup_tree, start_time,
};

use crate::fixture::{LONG, Place, cgroup_top, command, eventually, shell};

pub(crate) const TESTS: &[crate::Test] = &[
    (
        "cgroups::a_node_and_its_visitors_belong_to_its_cgroup",
        membership,
    ),
    ("cgroups::a_trusted_node_limits_what_it_starts", limited_inside),
    (
        "cgroups::too_much_memory_kills_a_service_and_not_the_node",
        memory,
    ),
    ("cgroups::processor_time_is_limited", processor_time),
    ("cgroups::processes_are_counted", processes),
    ("cgroups::freeze_and_thaw", freeze),
    ("cgroups::kill_all_and_remove", kill_all),
    ("cgroups::every_way_to_freeze", freeze_variants),
    ("cgroups::a_ledger_can_remove_them_later", ledger),
    ("cgroups::a_limit_that_the_kernel_refuses_is_named", refused),
];

fn create(name: &str, limits: &Limits) -> Cgroup {
    let (cgroup, not_applied) = Cgroup::create(&format!("{}/{name}", cgroup_top()), limits).expect("cgroup");
    assert_eq!(not_applied, []);
    assert!(!cgroup.reference().directories.is_empty());
    cgroup
}

fn membership() {
    let place = Place::new();
    let cgroup = create(
        "n1",
        &Limits {
            memory_bytes: Some(64 << 20),
            ..Limits::default()
        },
    );
    let mut spec = place.spec("n1");
    spec.cgroup = Some(cgroup.reference().clone());
    let node = place.ready(spec);
    node.init
        .start_service(shell("sleeps", "exec sleep 60", Restart::Never))
        .expect("service");
    let pid = node.wait_for(|event| match event {
        Event::ServiceStarted { pid, .. } => Some(*pid),
        _ => None,
    });
    for directory in &cgroup.reference().directories {
        let list = fs::read_to_string(directory.path.join("cgroup.procs")).expect("list");
        for pid in [node.init.pid(), pid] {
            assert!(
                list.lines().any(|line| line == pid.to_string()),
                "{pid} is not in {}",
                directory.path.display()
            );
        }
    }
    // As programs look for their limits.
    let script = "cat /sys/fs/cgroup/memory/memory.limit_in_bytes /sys/fs/cgroup/memory.max 2> /dev/null; \
        cat /proc/self/cgroup | cut -d: -f2,3";
    let (_, text) = node.script("look", script);
    assert!(text.starts_with(&format!("{}\n", 64 << 20)), "{text}");
    assert!(text.contains("memory:/\n") || text.ends_with(":/\n"), "{text}");
    let code = execute_in(
        &node.init.reference(),
        &command(&["sh", "-c", "grep -q 'memory:/$\\|^0::/$' /proc/self/cgroup"]),
    );
    assert_eq!(code.expect("an exit code"), 0);
    drop(node);
    drop(place);
    cgroup.remove().expect("removed");
}

/// What a service of a node does that limits others: runs in a cgroup below that of the node.
pub(crate) fn limit_inside() -> ExitCode {
    let limits = Limits {
        memory_bytes: Some(32 << 20),
        cpus: Some(0.5),
        pids: Some(100),
    };
    let (cgroup, not_applied) = Cgroup::create("inner/function", &limits).expect("cgroup");
    assert_eq!(not_applied, []);
    cgroup.join(std::process::id() as i32).expect("joined");
    print!(
        "{}",
        fs::read_to_string("/proc/self/cgroup").expect("own cgroups")
    );
    ExitCode::SUCCESS
}

fn limited_inside() {
    let place = Place::new();
    // Without limits of its own.
    let cgroup = create("n1", &Limits::default());
    cgroup.hand_down();
    let mut spec = place.spec("n1");
    spec.cgroup = Some(cgroup.reference().clone());
    spec.privileges = Privileges::Namespaces;
    let node = place.ready(spec);
    let program = std::env::current_exe().expect("own path");
    let name = program
        .file_name()
        .and_then(|name| name.to_str())
        .expect("a name");
    // On version 2 this moves the node's own processes aside, and visitors follow them.
    let (status, text) = node.script("limiter", &format!("/run/dfaas/bin/{name} --as-limiter"));
    assert!(status.success() && text.contains(":/inner/function\n"), "{text}");
    let limit = cgroup.reference().directories.iter().find_map(|directory| {
        let inner = directory.path.join("inner/function");
        let files = ["memory.limit_in_bytes", "memory.max"].map(|file| fs::read_to_string(inner.join(file)));
        files.into_iter().find_map(Result::ok)
    });
    assert_eq!(limit.as_deref(), Some("33554432\n"));
    let code = execute_in(&node.init.reference(), &command(&["sh", "-c", "exit 3"]));
    assert_eq!(code.expect("an exit code"), 3);
    assert_eq!(node.script("after", "exit 4").0, ExitStatus::Code(4));
    drop(node);
    drop(place);
    cgroup.kill_all().expect("empty");
    cgroup.remove().expect("removed, with what the node has made");
}

fn memory() {
    let place = Place::new();
    let cgroup = create(
        "n1",
        &Limits {
            memory_bytes: Some(48 << 20),
            ..Limits::default()
        },
    );
    let mut spec = place.spec("n1");
    spec.cgroup = Some(cgroup.reference().clone());
    let node = place.ready(spec);
    let within = "dd if=/dev/zero of=/dev/null bs=16M count=1";
    assert_eq!(node.script("modest", within).0, ExitStatus::Code(0));
    let greedy = "exec dd if=/dev/zero of=/dev/null bs=200M count=1";
    node.init
        .start_service(shell("greedy", greedy, Restart::Always))
        .expect("service");
    assert_eq!(node.exit_of("greedy").0, ExitStatus::Signal(9));
    node.init
        .stop_service("greedy")
        .expect("init is there and answers");
    drop(node);
    drop(place);
    cgroup.remove().expect("removed");
}

fn processor_time() {
    let place = Place::new();
    let cgroup = create(
        "n1",
        &Limits {
            cpus: Some(0.2),
            ..Limits::default()
        },
    );
    let mut spec = place.spec("n1");
    spec.cgroup = Some(cgroup.reference().clone());
    let node = place.ready(spec);
    let began = Instant::now();
    // Counts processor time, not iterations: the shell's own `times`.
    node.script("busy", "timeout 1 sh -c 'while :; do :; done'; times");
    let text = node.log("busy");
    let children = text.lines().nth(1).expect("times of children");
    let used: f64 = children
        .split_whitespace()
        .map(|part| {
            part.trim_start_matches("0m")
                .trim_end_matches('s')
                .parse::<f64>()
                .expect("seconds")
        })
        .sum();
    let share = used / began.elapsed().as_secs_f64();
    assert!(share < 0.35, "0.2 processors were allowed, {share:.2} were used");
    drop(node);
    drop(place);
    cgroup.remove().expect("removed");
}

fn processes() {
    let place = Place::new();
    let cgroup = create(
        "n1",
        &Limits {
            pids: Some(8),
            ..Limits::default()
        },
    );
    let mut spec = place.spec("n1");
    spec.cgroup = Some(cgroup.reference().clone());
    let node = place.ready(spec);
    let (_, text) = node.script(
        "forks",
        "for i in 1 2 3 4 5 6 7 8 9 10 11 12; do sleep 5 & done; echo $i",
    );
    assert!(text.to_lowercase().contains("fork"), "{text}");
    drop(node);
    drop(place);
    cgroup.remove().expect("removed");
}

fn freeze() {
    let place = Place::new();
    let cgroup = create("n1", &Limits::default());
    let mut spec = place.spec("n1");
    spec.cgroup = Some(cgroup.reference().clone());
    let node = place.ready(spec);
    let script = "while :; do echo tick; sleep 0.01; done";
    node.init
        .start_service(shell("ticks", script, Restart::Never))
        .expect("service");
    eventually("it ticks", LONG, || node.log("ticks").len() > 20);
    cgroup.freeze().expect("frozen");
    let before = node.log("ticks").len();
    std::thread::sleep(Duration::from_millis(100));
    assert_eq!(node.log("ticks").len(), before);
    cgroup.thaw().expect("thawed");
    eventually("it ticks again", LONG, || node.log("ticks").len() > before);
    cgroup.freeze().expect("frozen");
    cgroup.kill_all().expect("frozen processes die too");
    assert_eq!(node.init.wait_exit(LONG), Some(ExitStatus::Signal(9)));
    cgroup.remove().expect("removed");
}

fn sleeping() -> (std::process::Child, i32, u64) {
    let child = Command::new("sh")
        .args(["-c", "sleep 60 & sleep 60"])
        .spawn()
        .expect("shell");
    let pid = child.id() as i32;
    (child, pid, start_time(pid).expect("it runs"))
}

/// Runs with all hierarchies of this machine, as with version 1 alone, without a freezer, and with version 2 alone.
fn variants(test: impl Fn(&Cgroup)) {
    use Hierarchy::{Cpu, Freezer, Memory, Pids, Unified};
    let all = [Unified, Cpu, Memory, Pids, Freezer];
    for kept in [
        &all[..],
        &[Cpu, Memory, Pids, Freezer],
        &[Cpu, Memory, Pids],
        &[Unified],
    ] {
        let mut hierarchies = Hierarchies::detect().expect("hierarchies");
        hierarchies.bases.retain(|hierarchy, _| kept.contains(hierarchy));
        if hierarchies.bases.is_empty() {
            eprintln!("  skipped: this machine has none of {kept:?}");
            continue;
        }
        let path = format!("{}/variant", cgroup_top());
        let (cgroup, _) = Cgroup::create_in(&hierarchies, &path, &Limits::default()).expect("cgroup");
        test(&cgroup);
        cgroup.remove().expect("removed");
    }
}

fn kill_all() {
    variants(|cgroup| {
        let (mut child, pid, start) = sleeping();
        cgroup.join(pid).expect("joined");
        assert!(process_alive(pid, start));
        cgroup.kill_all().expect("killed");
        assert!(!process_alive(pid, start));
        child.wait().expect("ended");
    });
}

fn freeze_variants() {
    variants(|cgroup| {
        let can = |hierarchy| {
            cgroup
                .reference()
                .directories
                .iter()
                .any(|it| it.hierarchy == hierarchy)
        };
        if !can(Hierarchy::Unified) && !can(Hierarchy::Freezer) {
            return;
        }
        let mut child = Command::new("sh")
            .args(["-c", "while :; do :; done"])
            .spawn()
            .expect("shell");
        let pid = child.id() as i32;
        cgroup.join(pid).expect("joined");
        let used = || {
            let stat = fs::read_to_string(format!("/proc/{pid}/stat")).expect("it runs");
            stat.split_whitespace()
                .nth(13)
                .expect("processor time")
                .to_owned()
        };
        cgroup.freeze().expect("frozen");
        let before = used();
        std::thread::sleep(Duration::from_millis(60));
        assert_eq!(used(), before, "a frozen process uses no processor time");
        cgroup.thaw().expect("thawed");
        eventually("it goes on", LONG, || used() != before);
        cgroup.kill_all().expect("killed");
        child.wait().expect("ended");
    });
}

fn ledger() {
    let cgroup = create(
        "lab/node",
        &Limits {
            pids: Some(10),
            ..Limits::default()
        },
    );
    let text = serde_json::to_string(cgroup.reference()).expect("a line of a ledger");
    let (mut child, pid, start) = sleeping();
    cgroup.join(pid).expect("joined");
    drop(cgroup);
    let reference: CgroupReference = serde_json::from_str(&text).expect("the same");
    remove_cgroup_tree(&reference).expect("removed with what was left in it");
    assert!(!process_alive(pid, start));
    child.wait().expect("ended");
    assert!(
        reference
            .directories
            .iter()
            .all(|directory| !directory.path.exists())
    );
    remove_cgroup_tree(&reference).expect("gone already is no error");
}

fn refused() {
    let limits = Limits {
        cpus: Some(-1.0),
        pids: Some(10),
        ..Limits::default()
    };
    let (cgroup, not_applied) =
        Cgroup::create(&format!("{}/refused", cgroup_top()), &limits).expect("cgroup");
    assert_eq!(not_applied.len(), 1);
    assert!(
        not_applied[0].to_string().starts_with("limit cpus not applied: "),
        "{}",
        not_applied[0]
    );
    cgroup.remove().expect("removed");
}
