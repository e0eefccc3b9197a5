//! Programs that come into a node from outside.

use std::fs;
use std::io::{Read, Write};
use std::os::fd::AsRawFd;
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, ExitCode, ExitStatus, Stdio};
use std::thread;
use std::time::Duration;

use dfaas_process::{NodeReference, ProcessError, Restart, execute_in, process_alive, start_time};

use crate::fixture::{LONG, Place, command, eventually, shell};

pub(crate) const TESTS: &[crate::Test] = &[
    ("execute::exit_codes", exit_codes),
    ("execute::the_program_is_inside", inside),
    ("execute::programs_are_looked_up_inside", lookup),
    ("execute::many_threads_at_once", many_threads),
    ("execute::the_program_ends_with_its_caller", ends_with_caller),
    ("execute::signals_reach_the_program", signals),
    ("execute::an_interactive_shell_has_job_control", interactive),
    ("execute::a_node_that_has_ended_is_not_entered", ended_node),
];

/// Started as a process of its own: `--as-caller <reference as JSON> <program> <argument>…`.
pub(crate) fn execute(arguments: &[String]) -> ExitCode {
    let reference: NodeReference = serde_json::from_str(&arguments[0]).expect("a reference");
    let argv: Vec<&str> = arguments[1..].iter().map(String::as_str).collect();
    let mut command = command(&argv);
    command.env.insert("TERM".into(), "dumb".into());
    let code = execute_in(&reference, &command).unwrap_or(125);
    // Proves that the terminal belongs to this process again.
    if std::io::IsTerminal::is_terminal(&std::io::stdin()) {
        let own = nix::unistd::tcgetpgrp(std::io::stdin()).ok() == Some(nix::unistd::getpgrp());
        println!("terminal {}", if own { "back" } else { "lost" });
    }
    ExitCode::from(code as u8)
}

fn start(reference: &NodeReference, argv: &[&str]) -> Command {
    let mut command = Command::new(std::env::current_exe().expect("own path"));
    command
        .arg("--as-caller")
        .arg(serde_json::to_string(reference).expect("a reference"))
        .args(argv);
    // Who runs the tests in the background of a script has them ignore SIGINT, which a caller hands on.
    // SAFETY: system calls only, and the default action is valid for each signal.
    unsafe {
        command.pre_exec(|| {
            for signal in [libc::SIGHUP, libc::SIGINT, libc::SIGTERM] {
                libc::signal(signal, libc::SIG_DFL);
            }
            Ok(())
        })
    };
    command
}

fn output(reference: &NodeReference, argv: &[&str]) -> (Option<i32>, String) {
    let output = start(reference, argv).output().expect("output");
    (
        output.status.code(),
        String::from_utf8_lossy(&output.stdout).into_owned(),
    )
}

/// What `exec` would exit with; a program that cannot be run is named.
fn shell_code(node: &NodeReference, command: &dfaas_process::Command) -> i32 {
    execute_in(node, command).unwrap_or_else(|error| {
        let message = error.to_string();
        let expected = format!("cannot run `{}`: ", command.argv[0]);
        assert!(message.starts_with(&expected), "{message}");
        error.shell_code().expect("an exit code").into()
    })
}

fn exit_codes() {
    let place = Place::new();
    let node = place.node("n1").init;
    let node = &node.reference();
    let code = |argv: &[&str]| shell_code(node, &command(argv));
    assert_eq!(code(&["true"]), 0);
    assert_eq!(code(&["sh", "-c", "exit 3"]), 3);
    assert_eq!(code(&["sh", "-c", "kill -KILL $$"]), 137);
    assert_eq!(code(&["no-such-program"]), 127);
    assert_eq!(code(&["/no/such/program"]), 127);
    assert_eq!(code(&[""]), 127);
    assert_eq!(code(&["/etc/hosts"]), 126);
    assert_eq!(code(&["/etc"]), 126);
    assert!(matches!(
        execute_in(node, &command(&[])),
        Err(ProcessError::EmptyCommand)
    ));
    let mut elsewhere = command(&["true"]);
    elsewhere.directory = "/no/such/directory".into();
    let message = execute_in(node, &elsewhere)
        .expect_err("no directory")
        .to_string();
    assert!(message.contains("working directory"), "{message}");
}

fn inside() {
    let place = Place::new();
    let node = place.node("n1");
    let reference = node.init.reference();
    let script = "hostname; echo $PPID; cat /proc/1/comm; readlink /proc/self/ns/net; grep CapBnd /proc/self/status; \
        ls /proc/self/fd | tr '\\n' ' '; ls /proc/1/root/ 2>&1 | grep -c denied; env | wc -l";
    let (code, text) = output(&reference, &["sh", "-c", script]);
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(code, Some(0), "{text}");
    assert_eq!(lines[0], "n1");
    assert_eq!(lines[1], "0", "its parent is outside");
    let namespace = fs::read_link(format!("/proc/{}/ns/net", node.init.pid())).expect("namespace");
    assert_eq!(lines[3], namespace.to_str().expect("text"));
    let (_, service) = node.script("look", "grep CapBnd /proc/self/status");
    assert_eq!(lines[4], service.trim_end(), "as a service of the node");
    assert_eq!(
        lines[5].split(' ').take(4).collect::<Vec<_>>()[..3],
        ["0", "1", "2"]
    );
    assert!(
        !lines[5].contains('4'),
        "no other descriptor than that of the listing itself: {text}"
    );
}

fn lookup() {
    let place = Place::new();
    let node = place.node("n1");
    let script =
        "mkdir /opt/only && printf '#!/bin/sh\\necho found\\n' > /opt/only/here && chmod +x /opt/only/here";
    assert!(node.script("make", script).0.success());
    let mut here = command(&["here"]);
    here.env
        .insert("PATH".into(), "/nowhere:/opt/only:/usr/bin".into());
    let node = &node.init.reference();
    assert_eq!(shell_code(node, &here), 0);
    assert_eq!(shell_code(node, &command(&["here"])), 127);
}

fn many_threads() {
    let place = Place::new();
    let node = place.node("n1");
    let reference = node.init.reference();
    let began = std::time::Instant::now();
    thread::scope(|scope| {
        for number in 0..8 {
            let reference = &reference;
            scope.spawn(move || {
                for round in 0..12 {
                    let wanted = number * 12 + round;
                    let code = execute_in(reference, &command(&["sh", "-c", &format!("exit {wanted}")]));
                    assert_eq!(code.expect("an exit code"), wanted);
                }
            });
        }
    });
    println!(
        "  96 programs, 8 at a time: {:.0} ms",
        began.elapsed().as_secs_f64() * 1e3
    );
}

/// How many programs named `sleep` run in the node. One that has ended may wait a while for this machine's process 1.
fn sleeps(init: i32) -> usize {
    let inside = fs::read_link(format!("/proc/{init}/ns/pid")).expect("namespace");
    let numbers = fs::read_dir("/proc").expect("/proc").flatten();
    let pids = numbers.filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok());
    pids.filter(|pid| fs::read_link(format!("/proc/{pid}/ns/pid")).is_ok_and(|path| path == inside))
        .filter(|pid| fs::read_to_string(format!("/proc/{pid}/comm")).is_ok_and(|name| name == "sleep\n"))
        .filter(|pid| start_time(*pid).is_ok_and(|start| process_alive(*pid, start)))
        .count()
}

fn ends_with_caller() {
    let place = Place::new();
    let node = place.node("n1");
    let mut caller = start(&node.init.reference(), &["sleep", "1000"])
        .spawn()
        .expect("caller");
    eventually("the program runs", LONG, || sleeps(node.init.pid()) == 1);
    caller.kill().expect("killed");
    caller.wait().expect("ended");
    eventually("the program is gone", Duration::from_secs(1), || {
        sleeps(node.init.pid()) == 0
    });
}

fn wait_for_line(child: &mut Child, wanted: &str) {
    let mut seen = Vec::new();
    let output = child.stdout.as_mut().expect("output");
    let mut byte = [0];
    while !seen.ends_with(wanted.as_bytes()) {
        assert_eq!(
            output.read(&mut byte).expect("output"),
            1,
            "{}",
            String::from_utf8_lossy(&seen)
        );
        seen.push(byte[0]);
    }
}

fn signals() {
    let place = Place::new();
    let node = place.node("n1");
    for (signal, name) in [
        (libc::SIGTERM, "TERM"),
        (libc::SIGINT, "INT"),
        (libc::SIGHUP, "HUP"),
    ] {
        let script = format!("trap 'exit 9' {name}; echo up; while :; do sleep 0.01; done");
        let mut command = start(&node.init.reference(), &["sh", "-c", &script]);
        let mut caller = command.stdout(Stdio::piped()).spawn().expect("caller");
        wait_for_line(&mut caller, "up\n");
        // The program tells before the caller has begun to wait for it.
        thread::sleep(Duration::from_millis(100));
        let pid = nix::unistd::Pid::from_raw(caller.id() as i32);
        nix::sys::signal::kill(pid, nix::sys::signal::Signal::try_from(signal).expect("signal"))
            .expect("sent");
        assert_eq!(caller.wait().expect("ended").code(), Some(9), "{name}");
    }
}

/// Types into a shell and reads what the terminal shows.
struct Typist {
    terminal: fs::File,
    seen: String,
    child: Child,
}

impl Typist {
    fn start(reference: &NodeReference, argv: &[&str]) -> Self {
        let pty = nix::pty::openpty(None, None).expect("terminal");
        let slave = fs::File::from(pty.slave);
        let mut command = start(reference, argv);
        let stream = || Stdio::from(slave.try_clone().expect("copy"));
        command.stdin(stream()).stdout(stream()).stderr(stream());
        // SAFETY: two system calls.
        unsafe {
            command.pre_exec(|| {
                nix::unistd::setsid()?;
                // SAFETY: standard input is a terminal.
                if libc::ioctl(0, libc::TIOCSCTTY, 0) != 0 {
                    return Err(std::io::Error::last_os_error());
                }
                Ok(())
            })
        };
        let child = command.spawn().expect("caller");
        let terminal = fs::File::from(pty.master);
        let flags = nix::fcntl::FcntlArg::F_SETFL(nix::fcntl::OFlag::O_NONBLOCK);
        nix::fcntl::fcntl(&terminal, flags).expect("non-blocking");
        assert!(terminal.as_raw_fd() > 2);
        Self {
            terminal,
            seen: String::new(),
            child,
        }
    }

    fn type_and_wait(&mut self, text: &str, wanted: &str) {
        self.seen.clear();
        self.terminal.write_all(text.as_bytes()).expect("typed");
        self.wait_for(wanted);
    }

    fn wait_for(&mut self, wanted: &str) {
        let mut bytes = [0; 4096];
        let began = std::time::Instant::now();
        while !self.seen.contains(wanted) {
            assert!(
                began.elapsed() < LONG,
                "{wanted:?} did not come; the terminal shows {:?}",
                self.seen
            );
            match self.terminal.read(&mut bytes) {
                Ok(count) => self.seen.push_str(&String::from_utf8_lossy(&bytes[..count])),
                Err(_) => thread::sleep(Duration::from_millis(5)),
            }
        }
    }

    fn end(mut self) -> ExitStatus {
        self.child.wait().expect("ended")
    }
}

fn interactive() {
    let place = Place::new();
    let node = place.node("n1");
    let mut typist = Typist::start(&node.init.reference(), &["bash", "--norc", "-i"]);
    typist.type_and_wait("PS1='ready> '; echo sum $((40 + 2))\n", "sum 42");
    assert!(!typist.seen.contains("no job control"), "{}", typist.seen);
    typist.type_and_wait("sleep 1000\n", "sleep 1000");
    eventually("the job runs", LONG, || sleeps(node.init.pid()) == 1);
    typist.type_and_wait("\u{3}", "ready> ");
    eventually("Ctrl-C ends the job, not the shell", LONG, || {
        sleeps(node.init.pid()) == 0
    });
    typist.type_and_wait("sleep 1000\n", "sleep 1000");
    eventually("the job runs", LONG, || sleeps(node.init.pid()) == 1);
    typist.type_and_wait("\u{1a}", "Stopped");
    typist.type_and_wait("kill %1; wait; echo back in $(hostname)\n", "back in n1");
    typist.type_and_wait("exit 5\n", "terminal back");
    assert_eq!(typist.end().code(), Some(5));

    // Without a shell in between: the terminal's signal reaches the program, and the caller reports it.
    let typist = &mut Typist::start(&node.init.reference(), &["sh", "-c", "echo up; exec sleep 1000"]);
    typist.wait_for("up");
    thread::sleep(Duration::from_millis(100));
    typist.type_and_wait("\u{3}", "terminal back");
    assert_eq!(typist.child.wait().expect("ended").code(), Some(130));
}

fn ended_node() {
    let place = Place::new();
    let node = place.node("n1");
    let reference = node.init.reference();
    let other = NodeReference {
        start_time: reference.start_time + 1,
        ..reference.clone()
    };
    assert!(matches!(
        execute_in(&other, &command(&["true"])),
        Err(ProcessError::Gone { .. })
    ));
    node.init
        .start_service(shell("any", "sleep 60", Restart::Never))
        .expect("service");
    node.init.kill();
    node.init.wait_exit(LONG).expect("ended");
    assert!(matches!(
        execute_in(&reference, &command(&["true"])),
        Err(ProcessError::Gone { .. })
    ));
}
