//! The DFaaS agent.

fn main() {}
