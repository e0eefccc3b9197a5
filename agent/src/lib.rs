//! The DFaaS agent: peer-to-peer overlay, load balancing strategies and HAProxy steering.

pub mod config;
pub mod proxy;
pub mod strategy;
