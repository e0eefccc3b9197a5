//! `apply` on labs with containers.

use crate::support::{Lab, text};
use crate::{FOREVER, IMAGE, alone, containers_of, docker, inside, lab, single};

/// A container and a native node on one switch, that will get company.
const COMPANY: &str = "
name: NAME
nodes:
  a: { kind: host }
  c: { kind: host, driver: docker, image: IMAGE, command: FOREVER }
  s: { kind: switch }
links:
  - { endpoints: [a, s], delay: 2ms }
  - { endpoints: [c, s] }
";
/// One more of each, and a second link to `a`.
const MORE: [(&str, &str); 2] = [
    (
        "  s: ",
        "  d: { kind: host, driver: docker, image: IMAGE, command: FOREVER }\n  h: { kind: host }\n  s: ",
    ),
    (
        "[c, s] }\n",
        "[c, s] }\n  - { endpoints: [d, s] }\n  - { endpoints: [h, s] }\n  - { endpoints: [d, a], name: direct }\n",
    ),
];

/// The lab's file with other words in it.
fn edit(lab: &Lab, replacements: &[(&str, &str)]) -> String {
    let mut text = std::fs::read_to_string(lab.file()).unwrap();
    for (old, new) in replacements {
        let new = new.replace("IMAGE", IMAGE).replace("FOREVER", FOREVER);
        assert!(text.contains(old), "{old}");
        text = text.replace(old, &new);
    }
    let file = lab.directory.path().join("changed.yaml");
    std::fs::write(&file, text).unwrap();
    file.to_str().unwrap().to_owned()
}

/// Process 1 of the container `c` and the network it is in.
fn container_c(lab: &Lab) -> (i64, std::path::PathBuf) {
    let detail = lab.json(&["inspect", "--json"]);
    let node = &detail["nodes"][1];
    assert_eq!(node["name"], "c");
    let pid = node["pid"].as_i64().unwrap();
    (pid, std::fs::read_link(format!("/proc/{pid}/ns/net")).unwrap())
}

fn reaches(lab: &Lab, from: &str, to: &str) {
    assert_eq!(lab.ping(from, to, 2).len(), 2, "{from} to {to}");
}

#[test]
fn containers_come_and_go_and_are_made_anew_by_a_changed_file() {
    if !docker() {
        return;
    }
    let _alone = alone();
    let lab = lab(COMPANY);
    lab.up();
    let before = container_c(&lab);
    what_cannot_be_made_changes_nothing(&lab);
    assert_eq!(container_c(&lab), before);

    let file = edit(&lab, &MORE);
    let plan = "add node d (host)\nadd node h (host)\nadd link d--s (d:eth0 to s:d)\n\
                add link h--s (h:eth0 to s:h)\nadd link direct (d:eth1 to a:eth1)\n5 changes ";
    assert_eq!(lab.ok(&["apply", "--dry-run", &file]), format!("{plan}to make\n"));
    assert_eq!(containers_of(&lab).len(), 2);
    assert_eq!(lab.ok(&["apply", &file]), format!("{plan}made\n"));
    assert_eq!(container_c(&lab), before, "it goes on");
    assert_eq!(containers_of(&lab).len(), 4);
    for (from, to) in [("c", "d"), ("d", "c"), ("c", "h"), ("h", "d"), ("a", "d")] {
        reaches(&lab, from, to); // by the names they were told
    }

    // Those go again, while what `c` is made from changes.
    let anew = edit(&lab, &[("image: ", "env: { NEW: new }, image: ")]);
    inside(&lab, "echo x > /written");
    let said = lab.ok(&["apply", &anew]);
    assert!(
        said.contains("remove node d\n") && said.contains("make the container of c anew: other env\n"),
        "{said}"
    );
    assert_eq!(containers_of(&lab).len(), 2);
    let after = container_c(&lab);
    assert_ne!(after.0, before.0);
    assert_eq!(after.1, before.1, "its links stay");
    assert_eq!(
        inside(
            &lab,
            "echo $NEW; test -e /written || echo fresh; grep -c . /etc/hosts"
        ),
        "new\nfresh\n8\n", // six of the engine, `a` and `c`
    );
    reaches(&lab, "c", "a");

    // Another driver: it goes and comes, with its address.
    let docker = format!("driver: docker, image: {IMAGE}, command: {FOREVER}");
    lab.ok(&["apply", &edit(&lab, &[(&docker, "driver: native")])]);
    assert_eq!(containers_of(&lab), Vec::<String>::new());
    reaches(&lab, "c", "a");
    lab.ok(&["apply", lab.file().to_str().unwrap()]);
    reaches(&lab, "a", "c");
    lab.end();
    assert_eq!(containers_of(&lab), Vec::<String>::new());
}

fn what_cannot_be_made_changes_nothing(lab: &Lab) {
    let refused = |replacements: &[(&str, &str)], code: i32, part: &str| {
        let output = lab.run(&["apply", &edit(lab, replacements)]);
        assert_eq!(output.status.code(), Some(code), "{}", text(&output));
        assert!(text(&output).contains(part), "{}", text(&output));
        assert_eq!(containers_of(lab).len(), 2, "{part}");
        reaches(lab, "a", "c");
    };
    let [(place, nodes), links] = MORE;
    let other = |old: &str, new: &str| nodes.replace(old, new);
    let none = other("IMAGE", "dfaas-testbed-tests/none:1");
    refused(&[(place, &none), links], 5, "dfaas-testbed-tests/none:1");
    let runtime = other("driver:", "oci_runtime: no-such-runtime, driver:");
    refused(&[(place, &runtime), links], 3, "has no runtime `no-such-runtime`");
    // Its network is there already when the kernel refuses a link.
    lab.ok(&[
        "exec", "a", "--", "ip", "link", "add", "eth1", "type", "veth", "peer", "name", "x",
    ]);
    refused(&MORE, 5, "eth1");
    lab.ok(&["exec", "a", "--", "ip", "link", "delete", "eth1"]);
}

#[test]
fn without_an_engine_a_lab_goes_on_without_containers() {
    if !docker() {
        return;
    }
    let _alone = alone();
    let lab = lab(COMPANY);
    let native = edit(
        &lab,
        &[
            ("driver: docker", "driver: native"),
            (&format!(", image: {IMAGE}, command: {FOREVER}"), ""),
        ],
    );
    let up = lab
        .command()
        .args(["up", &native])
        .env("DOCKER_HOST", "unix:///nonexistent")
        .output();
    let up = up.unwrap();
    assert!(up.status.success(), "{}", text(&up));
    for verb in [&["apply", "--dry-run"][..], &["apply"]] {
        let refused = lab.run(&[verb, &[lab.file().to_str().unwrap()]].concat());
        assert_eq!(refused.status.code(), Some(3), "{}", text(&refused));
        let said = text(&refused);
        assert!(
            said.contains("no Docker engine answers at unix:///nonexistent")
                && said.contains("install and start"),
            "{said}"
        );
    }
    reaches(&lab, "a", "c");
    lab.end();
}

/// At steps of `apply` while one container takes the place of another.
#[test]
fn a_supervisor_may_die_while_a_changed_file_makes_and_removes_containers() {
    if !docker() {
        return;
    }
    let _alone = alone();
    let lab = single("image: IMAGE, command: FOREVER");
    let file = edit(&lab, &[("  c: ", "  d: ")]);
    let life = |last: usize, steps: &str| {
        let steps = lab.directory.path().join(steps);
        let mut up = lab.command();
        up.args(["up", lab.file().to_str().unwrap()])
            .env("DFAAS_TESTBED_DIE_AT", last.to_string())
            .env("DFAAS_TESTBED_STEPS", &steps);
        let up = up.output().unwrap();
        assert!(up.status.success(), "{}", text(&up));
        let before = std::fs::read_to_string(&steps).unwrap().lines().count();
        let applied = lab.run(&["apply", &file]);
        assert_eq!(applied.status.success(), last == 0, "{}", text(&applied));
        lab.ok(&["down", "--all"]);
        assert_eq!(containers_of(&lab), Vec::<String>::new());
        lab.assert_gone(&Default::default());
        (before, std::fs::read_to_string(steps).unwrap())
    };
    let (before, noted) = life(0, "whole");
    for wanted in ["network holder started", "node ended", "container started"] {
        let mut steps = noted.lines().skip(before);
        let number = 1 + before + steps.position(|step| step == wanted).unwrap();
        let (_, noted) = life(number, wanted);
        assert_eq!(noted.lines().last(), Some(wanted));
    }
}
