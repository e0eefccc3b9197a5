//! The JSON schemas in the repository are those of the types.
//!
//! `DFAAS_WRITE_SCHEMAS=1 cargo test -p dfaas-model schemas` writes them anew.

use std::path::Path;

use dfaas_model::{scenario_schema, topology_schema};
use serde_json::Value;

fn check(path: &str, schema: &Value) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../..").join(path);
    let text = format!("{}\n", serde_json::to_string_pretty(schema).unwrap());
    if std::env::var_os("DFAAS_WRITE_SCHEMAS").is_some() {
        std::fs::write(&path, &text).unwrap();
    }
    let stored = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        stored == text,
        "{} is out of date; see the head of this test",
        path.display()
    );
}

#[test]
fn the_topology_schema_is_up_to_date() {
    check("topologies/topology.schema.json", &topology_schema());
}

#[test]
fn the_scenario_schema_is_up_to_date() {
    check("scenarios/scenario.schema.json", &scenario_schema());
}

#[test]
fn every_key_is_described() {
    fn walk(schema: &Value, path: &str, undescribed: &mut Vec<String>) {
        if let Some(properties) = schema.get("properties").and_then(Value::as_object) {
            for (name, property) in properties {
                let path = format!("{path}.{name}");
                if property.get("description").is_none() {
                    undescribed.push(path.clone());
                }
                walk(property, &path, undescribed);
            }
        }
        for (name, definition) in schema
            .get("$defs")
            .and_then(Value::as_object)
            .into_iter()
            .flatten()
        {
            walk(definition, name, undescribed);
        }
    }
    let mut undescribed = Vec::new();
    walk(&topology_schema(), "topology", &mut undescribed);
    walk(&scenario_schema(), "scenario", &mut undescribed);
    assert!(undescribed.is_empty(), "{undescribed:?}");
}
