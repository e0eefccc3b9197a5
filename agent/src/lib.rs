//! The DFaaS agent: peer-to-peer overlay, load balancing strategies and HAProxy steering.

pub mod strategy;
