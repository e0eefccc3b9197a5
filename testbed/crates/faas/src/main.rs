//! The embedded OpenFaaS platform.

fn main() {}
