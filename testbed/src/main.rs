//! The dfaas-testbed command.

fn main() {}
