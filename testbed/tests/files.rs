//! The verbs that only read files.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod support;

use support::{Lab, TESTBED, text};

fn run(arguments: &[&str]) -> std::process::Output {
    std::process::Command::new(TESTBED)
        .args(arguments)
        .env("NO_COLOR", "1")
        .output()
        .unwrap()
}

#[test]
fn bad_files_are_refused_with_place_and_code_2() {
    let cases = [
        ("name: x\nnodes: {}\n", "no node"),
        (
            "name: x\nnodes: { a: { kind: host }, a: { kind: host } }\n",
            "`a`",
        ),
        ("name: x\nnodes: { a: { kind: hots } }\n", "host"),
        (
            "name: x\nnodes: { n1: { kind: host } }\nlinks:\n  - { endpoints: [n1, n2] }\n",
            "`n2`",
        ),
    ];
    for (yaml, expected) in cases {
        let lab = Lab::new(yaml);
        for verb in ["check", "plan", "up"] {
            let output = lab.run(&[verb, lab.file().to_str().unwrap()]);
            assert_eq!(output.status.code(), Some(2), "{verb} {yaml}: {}", text(&output));
            let message = String::from_utf8_lossy(&output.stderr).into_owned();
            assert!(
                message.contains("topology.yaml:") && message.contains(expected),
                "{verb} {yaml}: {message}"
            );
        }
    }
    let missing = run(&["check", "/no/such/file.yaml"]);
    assert_eq!(missing.status.code(), Some(2));
    assert!(
        String::from_utf8_lossy(&missing.stderr).contains("no such file"),
        "{}",
        text(&missing)
    );
}

#[test]
fn a_file_of_the_other_kind_is_sent_to_its_verb() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().to_str().unwrap();
    assert!(run(&["init", path]).status.success());
    let [topology, scenario] = ["topology", "scenario"].map(|kind| format!("{path}/{kind}.yaml"));
    let refused = |arguments: &[&str], expected: &str| {
        let output = run(arguments);
        let message = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(2), "{arguments:?}: {message}");
        assert!(message.contains(expected), "{arguments:?}: {message}");
    };
    refused(
        &["run", &topology],
        "topology.yaml is a topology: `dfaas-testbed up`",
    );
    for verb in ["up", "plan", "graph", "apply"] {
        refused(
            &[verb, &scenario],
            "scenario.yaml is a scenario: `dfaas-testbed run`",
        );
    }
    refused(&["check", path], "it is a directory");
    refused(&["check", "."], "cannot read .: it is a directory");
}

#[test]
fn what_init_writes_is_valid_and_is_never_overwritten() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().to_str().unwrap();
    assert!(run(&["init", path]).status.success());
    for file in ["topology.yaml", "scenario.yaml"] {
        let output = run(&["check", &format!("{path}/{file}")]);
        assert!(output.status.success(), "{file}: {}", text(&output));
    }
    let again = run(&["init", path]);
    assert_eq!(again.status.code(), Some(2));
    assert!(
        String::from_utf8_lossy(&again.stderr).contains("exists already"),
        "{}",
        text(&again)
    );
}

#[test]
fn every_shipped_file_is_valid() {
    let root = concat!(env!("CARGO_MANIFEST_DIR"), "/..");
    let mut count = 0;
    for folder in ["topologies", "scenarios/paper", "scenarios/ci"] {
        for entry in std::fs::read_dir(format!("{root}/{folder}")).unwrap() {
            let path = entry.unwrap().path();
            if path.extension().is_some_and(|it| it == "yaml") {
                let output = run(&["check", path.to_str().unwrap()]);
                assert!(output.status.success(), "{}: {}", path.display(), text(&output));
                count += 1;
            }
        }
    }
    assert!(count >= 5, "only {count} files found");
}

#[test]
fn a_check_says_what_presets_stand_for() {
    let lab = Lab::new(
        "
name: NAME
nodes: { a: { kind: host }, b: { kind: host }, c: { kind: host } }
links:
  - { endpoints: [a, b], preset: lan }
  - { endpoints: [a, c], preset: lan, delay: 7ms }
",
    );
    let file = lab.file();
    let said = lab.ok(&["check", file.to_str().unwrap()]);
    let lines: Vec<&str> = said.lines().skip(1).collect();
    assert_eq!(lines.len(), 2, "{said}");
    let of = |link: &str| {
        *lines
            .iter()
            .find(|line| line.ends_with(&format!("({link})")))
            .unwrap()
    };
    assert!(of("a--b").starts_with("  preset lan is delay "), "{said}");
    assert!(of("a--c").contains("delay 7ms"), "what the link adds: {said}");
}

#[test]
fn every_verb_explains_itself() {
    let verbs = [
        "init",
        "check",
        "plan",
        "up",
        "down",
        "ls",
        "inspect",
        "exec",
        "shell",
        "logs",
        "invoke",
        "deploy",
        "undeploy",
        "functions",
        "run",
        "report",
        "doctor",
        "schema",
        "completions",
    ];
    for verb in verbs {
        let output = run(&[verb, "--help"]);
        assert!(output.status.success(), "{verb}: {}", text(&output));
        assert!(
            String::from_utf8_lossy(&output.stdout).contains("Usage: dfaas-testbed"),
            "{verb}"
        );
    }
    assert_eq!(run(&["frobnicate"]).status.code(), Some(2));
    assert_eq!(run(&["up"]).status.code(), Some(2));
    for shell in ["bash", "zsh", "fish"] {
        assert!(!run(&["completions", shell]).stdout.is_empty());
    }
    for file_type in ["topology", "scenario"] {
        let schema: serde_json::Value = serde_json::from_slice(&run(&["schema", file_type]).stdout).unwrap();
        assert!(schema["properties"].is_object(), "{file_type}");
    }
}

#[test]
fn plan_prints_every_step_as_text_and_as_json() {
    let lab = Lab::new(
        "name: NAME\nnodes: { a: { kind: host }, b: { kind: host } }\nlinks: [{ endpoints: [a, b], delay: 5ms }]\n",
    );
    let file = lab.file();
    let printed = lab.ok(&["plan", file.to_str().unwrap()]);
    assert!(
        printed.contains("a--b") && printed.contains("delay 5ms"),
        "{printed}"
    );
    let plan = lab.json(&["plan", file.to_str().unwrap(), "--json"]);
    assert!(plan.to_string().contains("create-namespace"), "{plan}");
    assert!(!lab.state().exists(), "planning touches nothing");
}
