//! YAML files to topology, scenario and plan; pure.
