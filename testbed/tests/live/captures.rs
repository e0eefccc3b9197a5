//! `capture`: a file that other programs read, of what passes in the middle of a link.

use std::path::Path;
use std::process::Command;

use nix::sys::signal::Signal;

use crate::support::{Lab, have, kill, root, text, wait_for};
use crate::{ping, refused};

const LOSSY: &str = "
name: NAME
nodes: { a: { kind: host }, b: { kind: host } }
links:
  - { endpoints: [a, b], delay: 20ms, backward: { loss: 100% } }
";

/// Records while `act` runs, until Ctrl-C; returns what it said at its end.
fn record(lab: &Lab, file: &Path, options: &[&str], act: impl FnOnce()) -> String {
    let path = file.to_str().unwrap();
    let child = lab.spawn(&[&["capture", "a--b", "-o", path], options].concat());
    // The head of the file is there when it listens.
    wait_for("the capture begins", || {
        std::fs::metadata(file).is_ok_and(|it| it.len() > 0)
    });
    act();
    std::thread::sleep(std::time::Duration::from_millis(200)); // the last packets are on their way
    kill(i32::try_from(child.id()).unwrap(), Signal::SIGINT);
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", text(&output));
    String::from_utf8(output.stderr).unwrap()
}

/// One line per packet: interface name, its time since the one before, protocol.
fn read(file: &Path) -> Vec<(String, f64)> {
    let fields = ["frame.interface_name", "frame.time_delta"];
    let mut command = Command::new("tshark");
    command
        .args(["-n", "-r"])
        .arg(file)
        .args(["-Y", "icmp", "-T", "fields"]);
    for field in fields {
        command.args(["-e", field]);
    }
    let output = command.output().unwrap();
    assert!(output.status.success(), "{}", text(&output));
    String::from_utf8(output.stdout)
        .unwrap()
        .lines()
        .map(|line| {
            let (name, delta) = line.split_once('\t').unwrap();
            (name.to_owned(), delta.parse().unwrap())
        })
        .collect()
}

fn tshark() -> bool {
    have("tshark", Command::new("tshark").arg("-v").output().is_ok())
}

#[test]
fn both_directions_are_named_and_seen_as_they_enter_and_leave() {
    if !root() {
        return;
    }
    let lab = Lab::new(LOSSY);
    lab.up();
    let (exit, both) = (
        lab.directory.path().join("exit"),
        lab.directory.path().join("both"),
    );
    let said = record(&lab, &exit, &[], || {
        assert!(ping(&lab, "a", "b", 3).is_empty(), "every answer is lost");
    });
    assert_eq!(
        said, "3 packets (a->b 3, b->a 0)\n",
        "what is lost does not leave the link"
    );
    let said = record(&lab, &both, &["--at", "both"], || drop(ping(&lab, "a", "b", 3)));
    assert_eq!(said, "9 packets (a->b in 3, a->b out 3, b->a in 3, b->a out 0)\n");
    let message = refused(&lab, 2, &["capture", "a--b", "-o", exit.to_str().unwrap()]);
    assert!(message.contains("exists"), "nothing is overwritten: {message}");
    assert!(refused(&lab, 2, &["capture", "a--x"]).contains("did you mean `a--b`?"));

    if !tshark() {
        return;
    }
    let packets = read(&exit);
    assert_eq!(packets.len(), 3);
    assert!(packets.iter().all(|(name, _)| name == "a->b"), "{packets:?}");
    let packets = read(&both);
    let names: Vec<&str> = packets.iter().map(|(name, _)| name.as_str()).take(3).collect();
    assert_eq!(names, ["a->b in", "a->b out", "b->a in"]);
    let delay = packets[1].1;
    assert!(
        (0.02..0.03).contains(&delay),
        "20 ms from one to the other: {delay}"
    );
}

#[test]
fn a_capture_ends_by_count_and_by_time() {
    if !root() {
        return;
    }
    let lab = Lab::new(LOSSY);
    lab.up();
    let file = lab.directory.path().join("file");
    let path = file.to_str().unwrap();
    let counted = lab.spawn(&["capture", "a--b", "-o", path, "--count", "2"]);
    wait_for("the capture begins", || file.exists());
    drop(ping(&lab, "a", "b", 4));
    let output = counted.wait_with_output().unwrap();
    assert_eq!(
        String::from_utf8_lossy(&output.stderr),
        "2 packets (a->b 2, b->a 0)\n",
        "{}",
        text(&output)
    );
    // To standard output, for another program.
    let output = lab.run(&["capture", "a--b", "--duration", "300ms"]);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output));
    assert_eq!(output.stdout[..4], 0x0a0d_0d0a_u32.to_ne_bytes(), "a pcapng file");
    // And `down` ends one that has no end.
    let endless = lab.spawn(&["capture", "a--b"]);
    std::thread::sleep(std::time::Duration::from_millis(300));
    let processes = lab.processes();
    lab.ok(&["down"]);
    assert_eq!(endless.wait_with_output().unwrap().status.code(), Some(0));
    lab.assert_gone(&processes);
}
