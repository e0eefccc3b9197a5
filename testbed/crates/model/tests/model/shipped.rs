//! Every topology and scenario in the repository can be read and planned.

use std::path::{Path, PathBuf};
use std::time::Duration;

use dfaas_model::{Arrivals, Bound, Loader, Metric, load_scenario, load_topology, plan};

use crate::common::{rendered, set};

struct Files;

impl Loader for Files {
    fn load(&self, path: &str) -> Result<String, String> {
        std::fs::read_to_string(path).map_err(|error| error.to_string())
    }
}

fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../..")
}

fn yaml_files(directory: &Path) -> Vec<String> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(yaml_files(&path));
        } else if path.extension().is_some_and(|extension| extension == "yaml") {
            found.push(path.to_str().unwrap().to_owned());
        }
    }
    found.sort();
    found
}

#[test]
fn every_topology_plans() {
    let files = yaml_files(&repository().join("topologies"));
    assert!(files.len() >= 2, "{files:?}");
    for file in files {
        let topology =
            load_topology(&file, &Files, &[]).unwrap_or_else(|error| panic!("{}", rendered(&error)));
        let plan = plan(&topology).unwrap_or_else(|error| panic!("{file}: {}", rendered(&error)));
        assert!(plan.steps().count() > topology.nodes.len(), "{file}");
    }
}

#[test]
fn the_paper_star_has_the_addresses_of_the_manual() {
    let file = repository().join("topologies/paper-star.yaml");
    let overrides = set(&["defaults.dfaas.agent.recalc_period=60s"]);
    let topology = load_topology(file.to_str().unwrap(), &Files, &overrides).unwrap();
    assert_eq!(topology.nodes["n1"].agent.env["AGENT_RECALC_PERIOD"], "1m");
    let plan = plan(&topology).unwrap();
    let addresses: Vec<String> = plan
        .nodes()
        .filter_map(|node| Some(format!("{}={}", node.name, node.address?)))
        .collect();
    assert_eq!(
        addresses,
        ["n1=10.0.0.1", "n2=10.0.0.2", "n3=10.0.0.3", "user1=10.0.0.4"]
    );
}

#[test]
fn every_scenario_resolves_and_plans() {
    let files = yaml_files(&repository().join("scenarios"));
    assert!(files.len() >= 3, "{files:?}");
    for file in files {
        let experiment =
            load_scenario(&file, &Files, &[]).unwrap_or_else(|error| panic!("{}", rendered(&error)));
        for cell in &experiment.cells {
            assert!(!cell.expectations.is_empty(), "{file} can never fail");
            for repetition in &cell.repetitions {
                plan(&repetition.topology).unwrap_or_else(|error| panic!("{file}: {}", rendered(&error)));
            }
        }
    }
}

fn paper_figure(overrides: &[&str]) -> dfaas_model::Cell {
    let file = repository().join("scenarios/paper/cloudnet21-figure.yaml");
    let experiment = load_scenario(file.to_str().unwrap(), &Files, &set(overrides)).unwrap();
    let reference = experiment.reference.unwrap();
    assert!(
        Path::new(&reference).ends_with("scenarios/reference/cloudnet21.csv"),
        "{reference}"
    );
    assert!(Path::new(&reference).exists());
    assert_eq!(experiment.cells.len(), 1);
    experiment.cells.into_iter().next().unwrap()
}

#[test]
fn the_paper_figure_is_short_by_default() {
    let cell = paper_figure(&[]);
    assert_eq!(cell.recalc_period, Duration::from_secs(5));
    assert_eq!(cell.duration, Duration::from_secs(25));
    let flow = &cell.flows[0];
    assert_eq!(flow.arrivals, Arrivals::Constant { per_second: 50.0 });
    assert_eq!(
        (flow.method.as_str(), flow.path.as_str()),
        ("POST", "/function/figlet")
    );
    assert_eq!(flow.body, b"Hello DFaaS world!");
    let nodes = &cell.repetitions[0].topology.nodes;
    assert_eq!(nodes["n2"].functions["figlet"].maxrate, Some(20));
    assert_eq!(nodes["n3"].agent.env["AGENT_LIMITIN_ENFORCE"], "false");
    let before = &cell.expectations[0];
    assert_eq!(
        (before.metric, before.node.as_deref()),
        (Metric::ServedBy, Some("n1"))
    );
    assert_eq!(
        (before.from, before.to),
        (Duration::from_secs(1), Some(Duration::from_secs(6)))
    );
    assert_eq!(before.bound, Bound::Between(9.0, 11.0));
}

#[test]
fn one_override_restores_the_period_and_the_five_minutes_of_the_paper() {
    let cell = paper_figure(&["T=60s"]);
    assert_eq!(cell.recalc_period, Duration::from_secs(60));
    assert_eq!(cell.duration, Duration::from_secs(300));
    assert_eq!(cell.expectations[2].from, Duration::from_secs(120));
    assert_eq!(
        cell.repetitions[0].topology.nodes["n1"].agent.env["AGENT_RECALC_PERIOD"],
        "1m"
    );
}
