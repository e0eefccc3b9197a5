use super::Names;
use super::sample::Sample;

/// Within this time of its intended instant nearly every request (99 %) must have been sent, in microseconds.
const ALLOWED_LATENESS: u32 = 10_000;

/// Reasons to doubt what was measured, from the generator's own behaviour; none means that the load was as asked.
pub(crate) fn assess(samples: &[Sample], names: &Names) -> Vec<String> {
    let mut reasons = Vec::new();
    for (index, flow) in names.flows.iter().enumerate() {
        let not_sent = samples
            .iter()
            .filter(|sample| usize::from(sample.flow) == index && !sample.sent)
            .count();
        if not_sent > 0 {
            reasons.push(format!(
                "flow `{flow}`: {not_sent} requests were not sent, too many were under way"
            ));
        }
    }
    let mut lateness: Vec<u32> = samples.iter().map(|sample| sample.sent_after).collect();
    if lateness.is_empty() {
        return reasons;
    }
    // Nearest rank: the smallest value that 99 % of all do not exceed.
    let rank = (lateness.len() * 99).div_ceil(100) - 1;
    let (_, p99, _) = lateness.select_nth_unstable(rank);
    if *p99 > ALLOWED_LATENESS {
        reasons.push(format!(
            "the load generator was late: 99 % of the requests were sent within {:.1} ms of their time, {:.0} ms are allowed",
            f64::from(*p99) / 1e3,
            f64::from(ALLOWED_LATENESS) / 1e3,
        ));
    }
    reasons
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::measure::test_sample;

    fn late(count: usize) -> Vec<Sample> {
        let mut samples = vec![test_sample(); 100];
        for sample in samples.iter_mut().take(count) {
            sample.sent_after = 14_200;
        }
        samples
    }

    #[test]
    fn one_late_request_in_a_hundred_is_tolerated_and_two_are_not() {
        let names = Names {
            flows: vec!["users".into()],
            nodes: Vec::new(),
        };
        assert!(assess(&late(1), &names).is_empty());
        let reasons = assess(&late(2), &names);
        assert_eq!(reasons.len(), 1);
        assert!(reasons[0].contains("within 14.2 ms"), "{}", reasons[0]);
        assert!(assess(&[], &names).is_empty());
    }

    #[test]
    fn a_request_that_was_not_sent_is_named_with_its_flow() {
        let names = Names {
            flows: vec!["quiet".into(), "users".into()],
            nodes: Vec::new(),
        };
        let samples = [
            test_sample(),
            Sample {
                flow: 1,
                sent: false,
                code: 0,
                ..test_sample()
            },
        ];
        let reasons = assess(&samples, &names);
        assert_eq!(
            reasons,
            ["flow `users`: 1 requests were not sent, too many were under way"]
        );
    }
}
