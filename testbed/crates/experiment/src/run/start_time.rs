use std::time::Duration;

use jiff::Timestamp;

/// Traffic that tests whether a lab is ready must be this long over before load starts.
const QUIET: Duration = Duration::from_secs(1);
/// Time the load processes need between getting their plan and the first request.
const PREPARATION: Duration = Duration::from_millis(200);

/// The instant t = 0, in nanoseconds since the Unix epoch: the first wall-clock multiple of `period` that leaves the
/// lab quiet for a second and the load processes time to prepare. Strategies act on such multiples, so repetitions
/// that all begin on one do not differ by where in a period they began.
pub(super) fn start_time(ready: Timestamp, now: Timestamp, period: Duration) -> i64 {
    let period = i128::try_from(period.as_nanos()).unwrap_or(i128::MAX).max(1);
    let nanoseconds = |duration: Duration| duration.as_nanos() as i128;
    let earliest =
        (ready.as_nanosecond() + nanoseconds(QUIET)).max(now.as_nanosecond() + nanoseconds(PREPARATION));
    let periods = earliest.div_euclid(period) + i128::from(earliest.rem_euclid(period) != 0);
    i64::try_from(periods.saturating_mul(period)).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Timestamp {
        format!("2026-11-23T10:00:{text}Z").parse().unwrap()
    }

    fn start(ready: &str, now: &str, period: Duration) -> Timestamp {
        Timestamp::from_nanosecond(start_time(at(ready), at(now), period).into()).unwrap()
    }

    #[test]
    fn it_is_the_first_multiple_at_least_a_second_after_the_lab_is_ready() {
        let five = Duration::from_secs(5);
        assert_eq!(start("01.0", "01.0", five), at("05"));
        assert_eq!(
            start("04.0", "04.0", five),
            at("05"),
            "exactly a second is enough"
        );
        assert_eq!(start("04.000000001", "04.1", five), at("10"));
        assert_eq!(start("05.0", "05.0", five), at("10"));
    }

    #[test]
    fn slow_load_processes_move_it() {
        let five = Duration::from_secs(5);
        assert_eq!(start("01.0", "04.8", five), at("05"));
        assert_eq!(start("01.0", "04.9", five), at("10"));
    }

    #[test]
    fn multiples_count_from_the_epoch_also_for_periods_that_divide_no_minute() {
        let period = Duration::from_millis(700);
        let start = start_time(at("01.0"), at("01.0"), period);
        assert_eq!(start % 700_000_000, 0);
        let distance = i128::from(start) - at("02.0").as_nanosecond();
        assert!((0..700_000_000).contains(&distance), "{distance}");
        assert_eq!(
            start_time(at("01.0"), at("01.0"), Duration::ZERO),
            at("02").as_nanosecond() as i64
        );
    }
}
