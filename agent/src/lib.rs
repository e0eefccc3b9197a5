//! The DFaaS agent: peer-to-peer overlay, load balancing strategies and HAProxy steering.
//!
//! ```text
//!            platform (OpenFaaS)        peers (GossipSub)
//!                  │ functions, rates        ▲ │ offers
//!                  ▼                         │ ▼
//!   clock ────▶ controller ◀──────────▶ strategy (pure)
//!                  │ capacities, limits, weights
//!                  ▼
//!               HAProxy  ◀──── users' and forwarded requests
//! ```

pub mod agent;
pub mod config;
pub mod controller;
pub mod dataplane;
mod http;
pub mod identity_file;
pub mod metrics;
mod neighbours;
pub mod p2p;
pub mod platform;
pub mod proxy;
pub mod reception;
pub mod server;
pub mod services;
pub mod status;
pub mod strategy;
mod words;
