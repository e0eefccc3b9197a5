use std::time::Duration;

use dfaas_model::{Expectation, Flow, Metric, Statistic};

use crate::measure::{Names, Sample, Tally};
use crate::summary::ExpectationResult;

/// Judges one expectation on the samples of one repetition.
///
/// The window takes requests whose intended send time lies in `from..to`, `to` excluded; without `to` it ends with
/// the flow. It never begins before the warm-up is over. Rates are per second of the window.
pub(crate) fn evaluate(
    expectation: &Expectation,
    flows: &[Flow],
    warmup: Duration,
    samples: &[Sample],
    names: &Names,
) -> ExpectationResult {
    let measured = measure(expectation, flows, warmup, samples, names);
    let (measured, reason) = match measured {
        Ok(value) => (Some(value), None),
        Err(reason) => (None, Some(reason)),
    };
    ExpectationResult {
        text: expectation.text.clone(),
        metric: expectation.metric.as_str().to_owned(),
        of: expectation.of.clone(),
        node: expectation.node.clone(),
        measured,
        mean: None,
        unit: expectation.metric.unit().to_owned(),
        bound: expectation.bound,
        pass: measured.is_some_and(|value| expectation.bound.holds(value)),
        reason,
    }
}

/// Judges the expectations about means, when all repetitions of a cell have ended: `results` has those of each.
pub(crate) fn judge_means(expectations: &[Expectation], results: &mut [&mut Vec<ExpectationResult>]) {
    for (index, expectation) in expectations.iter().enumerate().filter(|(_, one)| one.of_mean) {
        let of_all = results.iter_mut().filter_map(|one| one.get_mut(index));
        let mut of_all: Vec<&mut ExpectationResult> = of_all.collect();
        let values: Option<Vec<f64>> = of_all.iter().map(|one| one.measured).collect();
        // One repetition without a value leaves no mean of all.
        let values = values.filter(|values| !values.is_empty());
        let mean = values.map(|values| values.iter().sum::<f64>() / values.len() as f64);
        for one in &mut of_all {
            one.mean = mean;
            one.pass = mean.is_some_and(|mean| expectation.bound.holds(mean));
            if mean.is_none() && one.reason.is_none() {
                one.reason = Some("another repetition has no such value".to_owned());
            }
        }
    }
}

fn measure(
    expectation: &Expectation,
    flows: &[Flow],
    warmup: Duration,
    samples: &[Sample],
    names: &Names,
) -> Result<f64, String> {
    let of = &expectation.of;
    let index = flows
        .iter()
        .position(|flow| flow.name == *of)
        .ok_or(format!("there is no flow `{of}`"))?;
    let from = expectation.from.max(warmup);
    let to = expectation
        .to
        .unwrap_or_else(|| flows[index].start.saturating_add(flows[index].duration));
    let window = from.as_nanos()..to.as_nanos();
    let place = format!("between {} s and {} s", from.as_secs_f64(), to.as_secs_f64());
    let here: Vec<&Sample> = samples
        .iter()
        .filter(|sample| usize::from(sample.flow) == index && window.contains(&u128::from(sample.offset)))
        .collect();
    if here.is_empty() {
        return Err(format!("no request of `{of}` was due {place}"));
    }
    let node = match &expectation.node {
        Some(name) => Some(node_index(names, name)?),
        None => None,
    };
    let meant = here.into_iter().filter(|sample| {
        node.is_none_or(|node| sample.answered_by == Some(node))
            && expectation.status.is_none_or(|status| sample.code == status)
    });
    let tally = Tally::of(meant);
    let per_second = |count: u64| count as f64 / (to - from).as_secs_f64();
    let nothing = || format!("no such response of `{of}` {place}");
    match expectation.metric {
        Metric::Rate | Metric::Responses => Ok(per_second(tally.requests)),
        Metric::ServedBy => Ok(per_second(tally.served_by.values().sum())),
        Metric::Forwarded => Ok(per_second(tally.forwarded)),
        Metric::SuccessRate => tally.success_rate().ok_or_else(nothing),
        Metric::Latency => latency(&tally, expectation.statistic).ok_or_else(nothing),
    }
}

fn node_index(names: &Names, name: &str) -> Result<u16, String> {
    let index = names.nodes.iter().position(|node| node == name);
    index
        .and_then(|index| u16::try_from(index).ok())
        .ok_or_else(|| format!("there is no node `{name}`"))
}

fn latency(tally: &Tally, statistic: Option<Statistic>) -> Option<f64> {
    match statistic? {
        Statistic::Mean => tally.latency_mean(),
        Statistic::Max => tally.latency_max(),
        other => tally.latency_at(other.quantile()?),
    }
}

#[cfg(test)]
mod tests {
    use dfaas_model::{Arrivals, Bound};
    use indexmap::IndexMap;

    use super::*;
    use crate::measure::test_sample;

    const MILLISECOND: u64 = 1_000_000;

    fn flow(name: &str, start: u64, duration: u64) -> Flow {
        Flow {
            name: name.to_owned(),
            from: "user1".to_owned(),
            to: "n1".to_owned(),
            function: "figlet".to_owned(),
            method: "GET".to_owned(),
            path: "/function/figlet".to_owned(),
            port: 80,
            body: Vec::new(),
            headers: IndexMap::new(),
            start: Duration::from_secs(start),
            duration: Duration::from_secs(duration),
            arrivals: Arrivals::Constant { per_second: 10.0 },
            timeout: Duration::from_secs(5),
        }
    }

    /// Ten requests per second for ten seconds. In the first four n1 serves one of ten and refuses the others with
    /// 503; after that n1 serves two, n2 (forwarded) five, n2 refuses two with 429, and one gets no answer in time.
    fn samples() -> Vec<Sample> {
        let sample = |number: u64| {
            let offset = number * 100 * MILLISECOND;
            let latency = (number + 1) * MILLISECOND;
            let (code, answered_by) = match (number < 40, number % 10) {
                (true, 0) => (200, Some(0)),
                (true, _) => (503, Some(0)),
                (false, 0 | 1) => (200, Some(0)),
                (false, 2..=6) => (200, Some(1)),
                (false, 7 | 8) => (429, Some(1)),
                (false, _) => (0, None),
            };
            let forwarded = code == 200 && answered_by == Some(1);
            Sample {
                offset,
                latency,
                code,
                answered_by,
                forwarded,
                ..test_sample()
            }
        };
        // Another flow's requests must not count.
        (0..100)
            .map(sample)
            .chain([Sample {
                flow: 1,
                ..test_sample()
            }])
            .collect()
    }

    fn expectation(metric: Metric, from: u64, to: Option<u64>) -> Expectation {
        Expectation {
            metric,
            of: "users".to_owned(),
            node: None,
            status: None,
            statistic: None,
            from: Duration::from_millis(from),
            to: to.map(Duration::from_millis),
            bound: Bound::AtLeast(0.0),
            of_mean: false,
            text: "as written".to_owned(),
        }
    }

    fn result(expectation: &Expectation, warmup: u64) -> ExpectationResult {
        let flows = [flow("users", 0, 10), flow("others", 0, 10), flow("silent", 3, 4)];
        let names = Names {
            flows: flows.iter().map(|flow| flow.name.clone()).collect(),
            nodes: vec!["n1".to_owned(), "n2".to_owned()],
        };
        evaluate(
            expectation,
            &flows,
            Duration::from_secs(warmup),
            &samples(),
            &names,
        )
    }

    fn node(name: &str, expectation: Expectation) -> Expectation {
        Expectation {
            node: Some(name.to_owned()),
            ..expectation
        }
    }

    fn status(code: u16, expectation: Expectation) -> Expectation {
        Expectation {
            status: Some(code),
            ..expectation
        }
    }

    #[test]
    fn metrics_are_measured_over_their_window() {
        use Metric::{Forwarded, Rate, Responses, ServedBy, SuccessRate};
        let served_by = |name, from, to| node(name, expectation(ServedBy, from, to));
        let responses = |code, from, to| status(code, expectation(Responses, from, to));
        let cases = [
            (expectation(Rate, 0, None), 10.0),
            (expectation(Rate, 2000, Some(7000)), 10.0),
            (served_by("n1", 0, Some(4000)), 1.0),
            (served_by("n1", 4000, None), 2.0),
            (served_by("n1", 0, None), 1.6),
            (served_by("n2", 0, Some(4000)), 0.0),
            (served_by("n2", 4000, None), 5.0),
            (expectation(Forwarded, 4000, None), 5.0),
            (responses(503, 0, Some(4000)), 9.0),
            (responses(503, 4000, None), 0.0),
            (responses(429, 4000, None), 2.0),
            (responses(0, 4000, None), 1.0),
            (node("n2", responses(200, 4000, None)), 5.0),
            (expectation(SuccessRate, 0, Some(4000)), 10.0),
            (expectation(SuccessRate, 4000, Some(10_000)), 70.0),
            // The window's end does not belong to it, its beginning does.
            (expectation(Rate, 100, Some(200)), 10.0),
            (responses(200, 4000, Some(4100)), 10.0),
            (responses(200, 3900, Some(4000)), 0.0),
        ];
        for (expectation, value) in cases {
            let result = result(&expectation, 0);
            let measured = result.measured.unwrap_or(f64::NAN);
            assert!(
                (measured - value).abs() < 1e-9,
                "{expectation:?}: {result:?}, expected {value}"
            );
        }
    }

    #[test]
    fn latencies_are_in_milliseconds() {
        let cases = [
            (Statistic::P50, 50.0),
            (Statistic::P75, 75.0),
            (Statistic::P90, 90.0),
            (Statistic::P95, 95.0),
            (Statistic::P99, 99.0),
            (Statistic::P999, 100.0),
            (Statistic::Max, 100.0),
            (Statistic::Mean, 50.5),
        ];
        for (statistic, value) in cases {
            let latency = Expectation {
                statistic: Some(statistic),
                ..expectation(Metric::Latency, 0, None)
            };
            let measured = result(&latency, 0).measured.unwrap_or(f64::NAN);
            assert!(
                (measured / value - 1.0).abs() < 1e-3,
                "{statistic:?}: {measured}, expected {value}"
            );
            let only_refused = status(503, latency.clone());
            assert!(
                result(&only_refused, 0)
                    .measured
                    .is_some_and(|value| value <= 40.04)
            );
            assert_eq!(result(&status(418, latency), 0).measured, None);
        }
    }

    #[test]
    fn bounds_include_their_edges() {
        let cases = [
            (Bound::AtLeast(10.0), true),
            (Bound::AtLeast(10.1), false),
            (Bound::AtMost(10.0), true),
            (Bound::AtMost(9.9), false),
            (Bound::Between(10.0, 11.0), true),
            (Bound::Between(9.0, 10.0), true),
            (Bound::Between(10.1, 11.0), false),
            (Bound::Between(9.0, 9.9), false),
        ];
        for (bound, pass) in cases {
            let result = result(
                &Expectation {
                    bound,
                    ..expectation(Metric::Rate, 0, None)
                },
                0,
            );
            assert_eq!(
                (result.measured, result.pass, result.bound),
                (Some(10.0), pass, bound)
            );
            assert_eq!((result.text.as_str(), result.unit.as_str()), ("as written", "/s"));
        }
    }

    #[test]
    fn warm_up_is_not_judged() {
        let rate = status(503, expectation(Metric::Responses, 0, None));
        assert_eq!(result(&rate, 0).measured, Some(3.6));
        assert_eq!(result(&rate, 4).measured, Some(0.0));
        assert_eq!(
            result(&expectation(Metric::Rate, 0, None), 4).measured,
            Some(10.0)
        );
        let over = result(&expectation(Metric::Rate, 0, Some(3000)), 4);
        assert_eq!(
            (over.measured, over.pass),
            (None, false),
            "the window ends before the warm-up does"
        );
    }

    #[test]
    fn nothing_to_measure_fails_with_its_reason() {
        let late = expectation(Metric::Rate, 10_000, Some(12_000));
        let silent = Expectation {
            of: "silent".to_owned(),
            ..expectation(Metric::Rate, 3000, None)
        };
        let unknown = Expectation {
            of: "nobody".to_owned(),
            ..expectation(Metric::Rate, 0, None)
        };
        let nowhere = node("n9", expectation(Metric::ServedBy, 0, None));
        let none_such = status(418, expectation(Metric::SuccessRate, 0, None));
        for (expectation, reason) in [
            (late, "no request of `users` was due between 10 s and 12 s"),
            (silent, "no request of `silent` was due between 3 s and 7 s"),
            (unknown, "there is no flow `nobody`"),
            (nowhere, "there is no node `n9`"),
            (none_such, "no such response of `users` between 0 s and 10 s"),
        ] {
            let result = result(&expectation, 0);
            assert_eq!((result.measured, result.pass), (None, false));
            assert_eq!(result.reason.as_deref(), Some(reason));
        }
    }

    #[test]
    fn a_mean_is_that_of_all_repetitions_or_none() {
        let asked = Expectation {
            bound: Bound::AtLeast(15.0),
            of_mean: true,
            ..expectation(Metric::Rate, 0, None)
        };
        let result = |measured| ExpectationResult {
            measured,
            ..result(&asked, 0)
        };
        let judged = |values: [Option<f64>; 2]| {
            let mut of_each = values.map(|value| vec![result(value)]);
            judge_means(
                std::slice::from_ref(&asked),
                &mut of_each.iter_mut().collect::<Vec<_>>(),
            );
            of_each.map(|mut results| results.remove(0))
        };
        let [low, high] = judged([Some(10.0), Some(20.0)]);
        assert_eq!((low.measured, low.mean, low.pass), (Some(10.0), Some(15.0), true));
        assert_eq!((high.mean, high.pass), (Some(15.0), true));
        let [low, high] = judged([Some(10.0), Some(19.9)]);
        assert_eq!((low.pass, high.pass), (false, false));
        let [some, none] = judged([Some(20.0), None]);
        assert_eq!((some.mean, some.pass, none.pass), (None, false, false));
        assert!(
            some.reason
                .is_some_and(|reason| reason.contains("another repetition"))
        );
    }
}
