//! Every topology and scenario in the repository can be read and planned.

use std::path::{Path, PathBuf};

use dfaas_model::{Loader, Override, load_topology, plan};

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

fn rendered(error: &dfaas_model::ModelError) -> String {
    let mut text = String::new();
    let handler = miette::GraphicalReportHandler::new_themed(miette::GraphicalTheme::unicode_nocolor());
    handler.render_report(&mut text, error).unwrap();
    text
}

#[test]
fn every_topology_plans() {
    let files = yaml_files(&repository().join("topologies"));
    assert!(files.len() >= 2, "{files:?}");
    for file in files {
        let topology = load_topology(&file, &Files, &[]).unwrap_or_else(|error| panic!("{}", rendered(&error)));
        let plan = plan(&topology).unwrap_or_else(|error| panic!("{file}: {}", rendered(&error)));
        assert!(plan.steps().count() > topology.nodes.len(), "{file}");
    }
}

#[test]
fn the_paper_star_has_the_addresses_of_the_manual() {
    let file = repository().join("topologies/paper-star.yaml");
    let set = Override { path: "defaults.dfaas.agent.recalc_period".to_owned(), value: "60s".to_owned() };
    let topology = load_topology(file.to_str().unwrap(), &Files, &[set]).unwrap();
    assert_eq!(topology.nodes["n1"].agent.env["AGENT_RECALC_PERIOD"], "1m");
    let plan = plan(&topology).unwrap();
    let addresses: Vec<String> = plan
        .nodes()
        .filter_map(|node| Some(format!("{}={}", node.name, node.address?)))
        .collect();
    assert_eq!(addresses, ["n1=10.0.0.1", "n2=10.0.0.2", "n3=10.0.0.3", "user1=10.0.0.4"]);
    println!("{plan}");
}
