//! The DFaaS agent: peer-to-peer overlay, load balancing strategies and HAProxy steering.

pub mod config;
pub mod metrics;
pub mod p2p;
pub mod proxy;
pub mod strategy;
