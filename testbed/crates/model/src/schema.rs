//! JSON schemas of the two file types, for editors. Descriptions are the types' own documentation.

use schemars::generate::SchemaSettings;
use serde_json::Value;

use crate::scenario::file::ScenarioFile;
use crate::topology::TopologyFile;

/// The JSON schema of topology files.
#[must_use]
pub fn topology_schema() -> Value {
    schema::<TopologyFile>("dfaas-testbed topology")
}

/// The JSON schema of scenario files.
#[must_use]
pub fn scenario_schema() -> Value {
    schema::<ScenarioFile>("dfaas-testbed scenario")
}

fn schema<T: schemars::JsonSchema>(title: &str) -> Value {
    let mut schema = SchemaSettings::draft2020_12()
        .into_generator()
        .into_root_schema_for::<T>();
    schema.insert("title".to_owned(), title.into());
    schema.to_value()
}
