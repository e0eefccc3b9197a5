//! From single requests to rates, shares and percentiles.

mod bins;
mod compare;
mod statistics;
mod totals;
mod traffic;

pub use bins::Bins;
pub use compare::{Comparison, compare};
pub(crate) use compare::{Quantity, is_node};
pub use statistics::{Estimate, percentile_ms};
pub use totals::{FlowTotals, LatencyTotals, NodeTotals, flow_totals, node_totals};
pub(crate) use totals::{every_request_known, outcome_totals};
pub use traffic::{Percentiles, Source, Span, Tally, TallyKey, Traffic};
