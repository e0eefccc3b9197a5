//! Request rates from HAProxy's counters.

use super::FunctionName;
use std::collections::BTreeMap;
use std::time::Duration;

/// Turns readings of ever-growing counters into rates over a window.
///
/// A counter that went down was reset (HAProxy was restarted, or reloaded without its peers section): what it shows
/// then has been counted since.
#[derive(Clone, Debug, Default)]
pub struct RateMeter {
    last: BTreeMap<FunctionName, u64>,
    totals: BTreeMap<FunctionName, u64>,
    mark: Option<(Duration, BTreeMap<FunctionName, u64>)>,
}

impl RateMeter {
    /// Takes a reading without ending or beginning a window.
    fn read(&mut self, counters: &BTreeMap<FunctionName, u64>) {
        for (function, &count) in counters {
            let last = self.last.insert(function.clone(), count).unwrap_or(0);
            let grown = if count >= last { count - last } else { count };
            *self.totals.entry(function.clone()).or_insert(0) += grown;
        }
        // A counter that is gone starts again at zero when it comes back.
        self.last.retain(|function, _| counters.contains_key(function));
    }

    /// Takes the last reading of counters that start again at zero.
    pub fn read_last(&mut self, counters: &BTreeMap<FunctionName, u64>) {
        self.read(counters);
        self.last.clear();
    }

    /// Takes a reading and begins a window.
    pub fn mark(&mut self, now: Duration, counters: &BTreeMap<FunctionName, u64>) {
        self.read(counters);
        self.mark = Some((now, self.totals.clone()));
    }

    /// Takes a reading and gives the rate of each function since the window began, per second; nothing when no
    /// window has begun.
    pub fn rates(
        &mut self,
        now: Duration,
        counters: &BTreeMap<FunctionName, u64>,
    ) -> BTreeMap<FunctionName, f64> {
        self.read(counters);
        let Some((begun, marked)) = &self.mark else {
            return BTreeMap::new();
        };
        let seconds = now.saturating_sub(*begun).as_secs_f64();
        if seconds <= 0.0 {
            return BTreeMap::new();
        }
        let since = |function: &FunctionName, total: u64| total - marked.get(function).copied().unwrap_or(0);
        self.totals
            .iter()
            .map(|(function, &total)| (function.clone(), since(function, total) as f64 / seconds))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counters(count: u64) -> BTreeMap<FunctionName, u64> {
        BTreeMap::from([("figlet".to_owned(), count)])
    }

    fn seconds(value: u64) -> Duration {
        Duration::from_secs(value)
    }

    #[test]
    fn counts_over_the_window_divided_by_its_length() {
        let mut meter = RateMeter::default();
        meter.mark(seconds(30), &counters(1000));
        let rates = meter.rates(seconds(60), &counters(1000 + 1476));
        assert_eq!(rates, BTreeMap::from([("figlet".to_owned(), 49.2)]));
    }

    #[test]
    fn no_window_no_rate() {
        assert!(RateMeter::default().rates(seconds(60), &counters(5)).is_empty());
    }

    #[test]
    fn a_reset_inside_the_window_loses_nothing_that_was_read_before() {
        let mut meter = RateMeter::default();
        meter.mark(seconds(0), &counters(100));
        meter.read(&counters(150));
        assert_eq!(meter.rates(seconds(10), &counters(30))["figlet"], 8.0);
    }

    #[test]
    fn an_announced_reset_is_exact_even_if_the_counter_ends_higher() {
        let mut meter = RateMeter::default();
        meter.mark(seconds(0), &counters(1));
        meter.read_last(&counters(2));
        assert_eq!(meter.rates(seconds(10), &counters(9))["figlet"], 1.0);
    }

    #[test]
    fn a_vanished_counter_starts_again_at_zero() {
        let mut meter = RateMeter::default();
        meter.mark(seconds(0), &counters(100));
        meter.read(&BTreeMap::new());
        assert_eq!(meter.rates(seconds(10), &counters(120))["figlet"], 12.0);
    }
}
