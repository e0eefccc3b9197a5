//! Labs of hosts and switches: they come up, do what the file says, and leave nothing behind, however they end.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

#[path = "labs/first.rs"]
mod first;
mod support;

use std::collections::BTreeSet;
use std::process::Child;

use nix::sys::signal::Signal;
use support::{Lab, as_root, is_running, kill, ordinary_user, root, text, wait_for};

const PAIR: &str = "
name: NAME
nodes:
  a: { kind: host }
  b: { kind: host }
  s: { kind: switch }
links:
  - { endpoints: [a, s], delay: 10ms }
  - { endpoints: [b, s], delay: 5ms }
";

#[test]
fn a_lab_has_the_delays_of_its_file_and_leaves_nothing_behind() {
    if !root() {
        return;
    }
    let lab = Lab::new(PAIR);
    lab.up();
    let times = lab.ping("a", "b", 10); // by name, from /etc/hosts
    assert_eq!(times.len(), 10, "no packet is lost");
    let fastest = times.iter().copied().fold(f64::INFINITY, f64::min);
    assert!(
        (30.0..36.0).contains(&fastest),
        "2 × (10 ms + 5 ms), measured {times:?}"
    );

    let detail = lab.json(&["inspect", "-l", &lab.name, "--json"]);
    assert_eq!(detail["state"], "ready");
    assert_eq!(detail["links"][0]["name"], "a--s");
    let backend = detail["links"][0]["backend"].as_str().unwrap();
    assert!(["wire", "tc"].contains(&backend), "{backend}");

    let listed = lab.json(&["ls", "--json"]);
    assert_eq!(listed[0]["name"], lab.name.as_str());
    assert_eq!(listed[0]["pid"], lab.supervisor_pid());
    assert_eq!(listed[0]["state"], "ready");
    assert_eq!(listed[0]["nodes"], 3);

    let processes = lab.processes();
    assert!(
        processes.len() >= 2,
        "the supervisor and the init that exec needed: {processes:?}"
    );
    lab.ok(&["down"]);
    lab.assert_gone(&processes);
}

#[test]
fn loss_and_rate_reach_the_traffic() {
    if !root() {
        return;
    }
    let lab = Lab::new(
        "
name: NAME
nodes: { a: { kind: host }, b: { kind: host } }
links:
  - { endpoints: [a, b], forward: { loss: 100% } }
",
    );
    lab.up();
    let output = lab.run(&[
        "exec", "-l", &lab.name, "a", "--", "ping", "-c", "2", "-W", "1", "-i", "0.1", "b",
    ]);
    assert_eq!(
        output.status.code(),
        Some(1),
        "ping's own code: {}",
        text(&output)
    );
    assert!(
        String::from_utf8_lossy(&output.stdout).contains("100% packet loss"),
        "{}",
        text(&output)
    );
}

#[test]
fn exec_passes_the_commands_own_code_on() {
    if !root() {
        return;
    }
    let lab = Lab::new("name: NAME\nnodes: { lonely: { kind: host } }\n");
    lab.up();
    let code = |argv: &[&str]| {
        let mut arguments = vec!["exec", "lonely", "--"];
        arguments.extend(argv);
        lab.run(&arguments).status.code()
    };
    assert_eq!(code(&["true"]), Some(0));
    assert_eq!(code(&["sh", "-c", "exit 42"]), Some(42));
    assert_eq!(code(&["sh", "-c", "kill -TERM $$"]), Some(143));
    assert_eq!(code(&["/no/such/program"]), Some(127));
    assert_eq!(code(&["/etc/hosts"]), Some(126));
    let missing = lab.run(&["exec", "lonely", "--", "iperf9"]);
    assert_eq!(
        String::from_utf8_lossy(&missing.stderr),
        "error: node `lonely`: cannot run `iperf9`: No such file or directory (os error 2)\n"
    );
    let unknown = lab.run(&["exec", "lonly", "--", "true"]);
    assert_eq!(unknown.status.code(), Some(125));
    assert!(
        String::from_utf8_lossy(&unknown.stderr).contains("did you mean `lonely`?"),
        "{}",
        text(&unknown)
    );
    assert_eq!(lab.ok(&["exec", "lonely", "--", "hostname"]), "lonely\n");
    assert_eq!(
        lab.ok(&["exec", "lonely", "--", "sh", "-c", "ls /sys/class/net"]),
        "lo\n",
        "no link, no interface"
    );
}

#[test]
fn a_node_cannot_change_the_hosts_files() {
    if !root() {
        return;
    }
    let lab = Lab::new("name: NAME\nnodes: { a: { kind: host } }\n");
    lab.up();
    let mark = format!("/usr/{}", lab.name);
    lab.run(&["exec", "a", "--", "touch", &mark]);
    lab.run(&[
        "exec",
        "a",
        "--",
        "sh",
        "-c",
        &format!("echo x >> /etc/hosts; touch /tmp/{0} /run/{0}", lab.name),
    ]);
    assert!(!std::path::Path::new(&mark).exists());
    assert!(!std::path::Path::new(&format!("/tmp/{}", lab.name)).exists());
    assert!(!std::path::Path::new(&format!("/run/{}", lab.name)).exists());
}

#[test]
fn a_killed_supervisor_takes_the_lab_with_it_and_down_removes_the_rest() {
    if !root() {
        return;
    }
    let lab = Lab::new(PAIR);
    lab.up();
    lab.ok(&["exec", "a", "--", "true"]);
    let mut sleeper = lab.spawn(&["exec", "b", "--", "sleep", "300"]);
    wait_for("both nodes have an init", || lab.processes().len() >= 3);
    let processes = lab.processes();
    kill(lab.supervisor_pid(), Signal::SIGKILL);
    wait_for("all processes end", || {
        processes.iter().all(|pid| !is_running(*pid))
    });
    assert_ne!(sleeper.wait().unwrap().code(), Some(0), "exec ends with its node");
    assert_eq!(lab.json(&["ls", "--json"])[0]["state"], "dead");
    let output = lab.run(&["exec", "a", "--", "true"]);
    assert_eq!(output.status.code(), Some(125), "{}", text(&output));
    lab.ok(&["down"]);
    lab.assert_gone(&processes);
}

#[test]
fn a_signal_or_the_loss_of_its_directory_ends_a_lab_in_good_order() {
    if !root() {
        return;
    }
    let lab = Lab::new(PAIR);
    for (remove_directory, signal) in [
        (false, Some(Signal::SIGTERM)),
        (true, Some(Signal::SIGTERM)),
        (true, None),
    ] {
        lab.up();
        lab.ok(&["exec", "a", "--", "true"]);
        let processes = lab.processes();
        let supervisor = lab.supervisor_pid();
        if remove_directory {
            std::fs::remove_dir_all(lab.state().join(&lab.name)).unwrap();
        }
        if let Some(signal) = signal {
            kill(supervisor, signal);
        }
        wait_for("the supervisor ends", || !is_running(supervisor));
        lab.assert_gone(&processes);
    }
}

#[test]
fn up_after_a_killed_supervisor_cleans_up_first() {
    if !root() {
        return;
    }
    let lab = Lab::new(PAIR);
    lab.up();
    let processes = lab.processes();
    kill(lab.supervisor_pid(), Signal::SIGKILL);
    wait_for("the supervisor ends", || {
        processes.iter().all(|pid| !is_running(*pid))
    });
    lab.up();
    assert_eq!(lab.json(&["ls", "--json"])[0]["state"], "ready");
}

#[test]
fn a_name_can_run_once() {
    if !root() {
        return;
    }
    let lab = Lab::new(PAIR);
    lab.up();
    let output = lab.run(&["up", lab.file().to_str().unwrap()]);
    assert_eq!(output.status.code(), Some(2), "{}", text(&output));
    assert!(
        String::from_utf8_lossy(&output.stderr).contains("is running already"),
        "{}",
        text(&output)
    );
    assert_eq!(
        lab.json(&["ls", "--json"])[0]["state"],
        "ready",
        "the first one is not disturbed"
    );
}

#[test]
fn two_labs_run_side_by_side_and_must_be_named() {
    if !root() {
        return;
    }
    let lab = Lab::new(PAIR);
    lab.up();
    let second = format!("{}-second", lab.name);
    let file = lab.directory.path().join("second.yaml");
    std::fs::write(&file, PAIR.replace("NAME", &second)).unwrap();
    lab.ok(&["up", file.to_str().unwrap()]);
    let output = lab.run(&["inspect"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(
        String::from_utf8_lossy(&output.stderr).contains("choose one with `-l NAME`"),
        "{}",
        text(&output)
    );
    lab.ok(&["inspect", "-l", &second]);
    lab.ok(&["down", "--all"]);
    assert_eq!(lab.json(&["ls", "--json"]), serde_json::json!([]));
    lab.assert_gone(&Default::default());
}

#[test]
fn nothing_to_take_down_is_said() {
    let lab = Lab::new(PAIR);
    let output = lab.run(&["down"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(
        String::from_utf8_lossy(&output.stderr).contains("no lab is running"),
        "{}",
        text(&output)
    );
    assert_eq!(lab.run(&["down", "--all"]).status.code(), Some(0));
    assert_eq!(
        lab.run(&["exec", "../../x", "--", "true"]).status.code(),
        Some(125)
    );
    assert_eq!(lab.run(&["inspect", "-l", "../x"]).status.code(), Some(2));
}

/// A lab whose `up` is under way, and its processes: a command that never ends keeps it from becoming ready.
fn in_the_middle_of_up() -> (Lab, Child, BTreeSet<i32>) {
    let lab = Lab::new("name: NAME\nnodes:\n  a: { kind: host, exec: [\"sleep 300\"] }\n");
    let up = lab.spawn(&["up", lab.file().to_str().unwrap()]);
    wait_for("the command runs", || {
        lab.state().join(&lab.name).join("supervisor.json").exists() && lab.processes().len() >= 3
    });
    let processes = lab.processes();
    (lab, up, processes)
}

#[test]
fn ctrl_c_during_up_undoes_everything() {
    if !root() {
        return;
    }
    let (lab, up, processes) = in_the_middle_of_up();
    kill(i32::try_from(up.id()).unwrap(), Signal::SIGINT);
    let output = up.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(130), "{}", text(&output));
    lab.assert_gone(&processes);
}

#[test]
fn a_killed_up_undoes_everything() {
    if !root() {
        return;
    }
    let (lab, mut up, processes) = in_the_middle_of_up();
    up.kill().unwrap();
    up.wait().unwrap();
    wait_for("the supervisor undoes all", || {
        !lab.state().join(&lab.name).exists()
    });
    wait_for("the supervisor ends", || {
        processes.iter().all(|pid| !is_running(*pid))
    });
    lab.assert_gone(&processes);
}

#[test]
fn a_supervisor_killed_during_up_is_reported_and_cleaned_up() {
    if !root() {
        return;
    }
    let (lab, up, processes) = in_the_middle_of_up();
    kill(lab.supervisor_pid(), Signal::SIGKILL);
    let output = up.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(5), "{}", text(&output));
    assert!(
        String::from_utf8_lossy(&output.stderr).contains("ended unexpectedly"),
        "{}",
        text(&output)
    );
    wait_for("all processes end", || {
        processes.iter().all(|pid| !is_running(*pid))
    });
    lab.assert_gone(&processes);
}

#[test]
fn a_taken_port_is_named_and_nothing_is_left() {
    if !root() {
        return;
    }
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port();
    let lab = Lab::new(&format!(
        "name: NAME\nnodes:\n  a: {{ kind: host, ports: [\"{port}:80\"] }}\n"
    ));
    let output = lab.run(&["up", lab.file().to_str().unwrap()]);
    assert_eq!(output.status.code(), Some(5), "{}", text(&output));
    let message = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(
        message.contains(&format!("node `a`: cannot listen on 127.0.0.1:{port}")),
        "{message}"
    );
    lab.assert_gone(&Default::default());
}

#[test]
fn a_failing_command_shows_its_words_and_keep_leaves_the_lab() {
    if !root() {
        return;
    }
    let lab =
        Lab::new("name: NAME\nnodes:\n  a: { kind: host, exec: [\"echo broken by design; exit 3\"] }\n");
    let output = lab.run(&["up", lab.file().to_str().unwrap()]);
    assert_eq!(output.status.code(), Some(5), "{}", text(&output));
    assert!(
        String::from_utf8_lossy(&output.stderr).contains("broken by design"),
        "{}",
        text(&output)
    );
    lab.assert_gone(&Default::default());

    let output = lab.run(&["up", "--keep", lab.file().to_str().unwrap()]);
    assert_eq!(output.status.code(), Some(5), "{}", text(&output));
    assert_eq!(lab.json(&["ls", "--json"])[0]["state"], "failed");
    assert_eq!(lab.ok(&["exec", "a", "--", "hostname"]), "a\n");
    lab.end();
}

#[test]
fn an_ordinary_user_is_told_what_is_missing() {
    let Some(user) = ordinary_user() else { return };
    let lab = Lab::new(
        "name: NAME\nnodes: { a: { kind: host, memory: 64MiB }, b: { kind: host } }\nlinks: [{ endpoints: [a, b], delay: 1ms }]\n",
    );
    let started = lab.run(&["up", lab.file().to_str().unwrap()]);
    assert!(started.status.success(), "{}", text(&started));
    assert!(text(&started).contains("not root"), "{}", text(&started));
    lab.ok(&["exec", "a", "--", "true"]);
    let detail = lab.json(&["inspect", "--json"]);
    let warnings = detail["warnings"].to_string();
    for what in ["not root", "SCHED_FIFO", "memory"] {
        assert!(warnings.contains(what), "{what}: {warnings}");
    }
    assert_eq!(detail["engine_scheduling"], "normal", "without SCHED_FIFO");
    let owner = lab.ok(&["exec", "a", "--", "cat", "/proc/1/uid_map"]);
    let owner: Vec<&str> = owner.split_whitespace().collect();
    assert_eq!(
        owner,
        ["0", &user.to_string(), "1"],
        "root of the node is the user"
    );
    let findings = lab.json(&["doctor", "--json"])["findings"].clone();
    let privileges = findings
        .as_array()
        .unwrap()
        .iter()
        .find(|it| it["what"] == "privileges")
        .unwrap();
    assert_eq!(privileges["verdict"], "limited", "{privileges}");
    let containers = Lab::new("name: NAME\nnodes: { c: { kind: host, driver: docker, image: x } }\n");
    let refused = containers.run(&["up", containers.file().to_str().unwrap()]);
    assert_eq!(refused.status.code(), Some(3), "{}", text(&refused));
    assert!(
        text(&refused).contains("driver `docker`, which needs root"),
        "{}",
        text(&refused)
    );
}

#[test]
fn where_user_namespaces_are_forbidden_a_user_is_told_so() {
    let Some(user) = ordinary_user() else { return };
    let lab = Lab::new(PAIR);
    // The kernel makes no user namespace for a process whose root is not that of its mounts.
    let jail = tempfile::tempdir().unwrap();
    let script = "mount --make-rprivate / && mount --rbind / \"$1\" && exec chroot --userspec=\"$2:$2\" \"$1\" \"$3\" up \"$4\"";
    let command = lab.command();
    let program = command.get_args().last().unwrap().to_owned();
    let output = std::process::Command::new("unshare")
        .args(["--mount", "sh", "-c", script, "sh"])
        .arg(jail.path())
        .arg(user.to_string())
        .arg(program)
        .arg(lab.file())
        .env("DFAAS_TESTBED_STATE", lab.state())
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(3), "{}", text(&output));
    let message = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(message.contains("cannot make a user namespace"), "{message}");
    assert!(message.contains("run as root"), "{message}");
    lab.assert_gone(&Default::default());
}

#[test]
fn without_a_runtime_directory_the_place_of_the_state_is_said() {
    let Some(user) = ordinary_user() else { return };
    let lab = Lab::new("name: NAME\nnodes: { a: { kind: host } }\n");
    let run = |arguments: &[&str]| {
        let mut command = lab.command();
        command
            .env_remove("DFAAS_TESTBED_STATE")
            .env_remove("XDG_RUNTIME_DIR");
        command
            .env("TMPDIR", lab.directory.path())
            .args(arguments)
            .output()
            .unwrap()
    };
    let place = lab.directory.path().join(format!("dfaas-testbed-{user}"));
    let output = run(&["up", lab.file().to_str().unwrap()]);
    assert!(output.status.success(), "{}", text(&output));
    let message = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(message.contains(place.to_str().unwrap()), "{message}");
    let output = run(&["down"]);
    assert!(output.status.success(), "{}", text(&output));
    // A directory that somebody else has put there is not used.
    std::os::unix::fs::chown(&place, Some(0), Some(0)).unwrap();
    let output = run(&["up", lab.file().to_str().unwrap()]);
    assert_eq!(output.status.code(), Some(3), "{}", text(&output));
    let message = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(message.contains("belongs to another user"), "{message}");
}

#[test]
fn limits_hold_for_what_exec_starts() {
    if !as_root() {
        return;
    }
    let lab = Lab::new("name: NAME\nnodes: { a: { kind: host, memory: 64MiB, pids: 20 } }\n");
    lab.up();
    let groups = lab.ok(&[
        "exec",
        "a",
        "--",
        "sh",
        "-c",
        "cat /proc/1/cgroup; cat /proc/self/cgroup",
    ]);
    assert!(!groups.is_empty());
    // `tail` keeps a text without line ends in memory.
    let hungry = lab.run(&["exec", "a", "--", "sh", "-c", "head -c 200M /dev/zero | tail"]);
    assert_eq!(
        hungry.status.code(),
        Some(137),
        "killed for its memory: {}",
        hungry.status
    );
    let modest = lab.run(&[
        "exec",
        "a",
        "--",
        "sh",
        "-c",
        "head -c 5M /dev/zero | tail | wc -c",
    ]);
    assert_eq!(
        String::from_utf8_lossy(&modest.stdout).trim(),
        "5242880",
        "{}",
        text(&modest)
    );
    let detail = lab.json(&["inspect", "--json"]);
    assert_eq!(
        detail["warnings"],
        serde_json::json!([]),
        "every limit could be set"
    );
    lab.end();
}

#[test]
fn a_shell_runs_on_the_callers_terminal() {
    if !root() {
        return;
    }
    let lab = Lab::new("name: NAME\nnodes: { lonely: { kind: host } }\n");
    lab.up();
    // `script` gives the command a terminal of its own.
    let command = lab.command();
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    let words: Vec<&str> = words.map(|word| word.to_str().unwrap()).collect();
    let command = format!("{} shell lonely", words.join(" "));
    let mut session = std::process::Command::new("script")
        .args(["--quiet", "--return", "--command", &command, "/dev/null"])
        .env("DFAAS_TESTBED_STATE", lab.state())
        .env("SHELL", "/bin/sh")
        .stdin(std::process::Stdio::piped())
        .stdout(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    use std::io::Write;
    session
        .stdin
        .as_mut()
        .unwrap()
        .write_all(b"test -t 0 && test -t 1 && echo \"terminal on $(hostname)\"; exit 7\n")
        .unwrap();
    let output = session.wait_with_output().unwrap();
    let shown = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(shown.contains("terminal on lonely"), "{shown}");
    assert_eq!(output.status.code(), Some(7), "{shown}");
}
