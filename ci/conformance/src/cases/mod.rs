//! The table of cases.

mod carrier;
mod delay;
mod fates;
mod loss;
mod queue;
mod rate;
mod replay;

use crate::bench::{Bench, Refusal};
use crate::table::Row;

/// What is shown of one parameter.
pub(crate) struct Case {
    pub(crate) name: &'static str,
    pub(crate) run: fn(&Bench) -> Result<Vec<Row>, Refusal>,
}

/// All cases; `full` adds those that need a machine with nothing else to do.
pub(crate) fn all(full: bool) -> Vec<Case> {
    let case = |name, run| Case { name, run };
    let mut all = vec![
        case(
            "delay",
            delay::constant as fn(&Bench) -> Result<Vec<Row>, Refusal>,
        ),
        case("jitter uniform", delay::uniform),
        case("jitter normal", delay::normal),
        case("jitter pareto", delay::pareto),
        case("jitter paretonormal", delay::paretonormal),
        case("jitter correlated", delay::correlated),
        case("jitter ordered", delay::ordered),
        case("loss independent", loss::independent),
        case("loss correlated", loss::correlated),
        case("loss bursts", loss::bursts),
        case("loss gilbert-elliott", loss::gilbert_elliott),
        case("seed", loss::seed),
        case("duplicate", fates::duplicate),
        case("corrupt", fates::corrupt),
        case("reorder", fates::reorder),
        case("reorder correlated", fates::reorder_correlated),
        case("rate 1mbit", rate::slow),
        case("rate 10mbit", rate::medium),
        case("rate and delay", rate::transmission_time),
        case("burst", rate::burst),
        case("overhead", rate::overhead),
        case("overload", rate::overload),
        case("queue packets", queue::packets),
        case("queue bytes", queue::bytes),
        case("queue time", queue::time),
        case("queue tcp", queue::tcp_fills_it),
        case("codel tcp", queue::codel_keeps_it_short),
        case("ecn", queue::marks),
        case("ecn incapable", queue::no_marks),
        case("pattern", replay::pattern),
        case("trace", replay::deliveries),
        case("blackhole", carrier::blackhole),
        case("down", carrier::down),
        case("mtu", carrier::mtu),
    ];
    if full {
        all.push(case("rate 100mbit", rate::fast));
        all.push(case("rate 1gbit", rate::fastest));
    }
    all
}
