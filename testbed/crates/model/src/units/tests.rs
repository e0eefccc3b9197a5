use std::time::Duration;

use proptest::prelude::*;

use super::*;

proptest! {
    #[test]
    fn time_spans_survive_printing(nanoseconds in 0_u64..=360_000_000_000_000_000) {
        let span = TimeSpan(Duration::from_nanos(nanoseconds));
        prop_assert_eq!(span.to_string().parse(), Ok(span));
    }

    #[test]
    fn whole_seconds_survive_printing(seconds in 0_u64..=1_000_000) {
        let span = TimeSpan(Duration::from_secs(seconds));
        prop_assert_eq!(span.to_string().parse(), Ok(span));
    }

    #[test]
    fn bit_rates_survive_printing(rate in 1..=u64::MAX) {
        prop_assert_eq!(BitRate(rate).to_string().parse(), Ok(BitRate(rate)));
    }

    #[test]
    fn sizes_survive_printing(bytes: u64) {
        prop_assert_eq!(ByteSize(bytes).to_string().parse(), Ok(ByteSize(bytes)));
    }

    #[test]
    fn percents_survive_printing(hundredths in 0.0_f64..=100.0) {
        let percent: Percent = format!("{hundredths}%").parse().unwrap();
        prop_assert_eq!(percent.hundredths(), hundredths);
        prop_assert_eq!(percent.to_string().parse(), Ok(percent));
    }

    #[test]
    fn request_rates_survive_printing(rate in 0.0_f64..=1e9) {
        prop_assert_eq!(RequestRate(rate).to_string().parse(), Ok(RequestRate(rate)));
    }

    #[test]
    fn queue_sizes_survive_printing(number in 1_u64..=1_000_000_000) {
        for queue in [
            QueueLimit::Packets(number),
            QueueLimit::Bytes(number),
            QueueLimit::Time(Duration::from_nanos(number)),
        ] {
            prop_assert_eq!(queue.to_string().parse(), Ok(queue));
        }
    }

    #[test]
    fn no_text_makes_a_unit_panic(text in "\\PC{0,12}") {
        let _ = text.parse::<TimeSpan>();
        let _ = text.parse::<BitRate>();
        let _ = text.parse::<ByteSize>();
        let _ = text.parse::<QueueLimit>();
        let _ = text.parse::<Percent>();
        let _ = text.parse::<RequestRate>();
    }
}

#[test]
fn time_spans_are_exact_and_short() {
    for (text, nanoseconds, printed) in [
        ("10ms", 10_000_000, "10ms"),
        ("1.5s", 1_500_000_000, "1.5s"),
        ("2m", 120_000_000_000, "2m"),
        ("90s", 90_000_000_000, "90s"),
        ("0.1 ms", 100_000, "100us"),
        ("3600s", 3_600_000_000_000, "1h"),
        ("0", 0, "0s"),
    ] {
        let span: TimeSpan = text.parse().unwrap();
        assert_eq!(span.0, Duration::from_nanos(nanoseconds), "{text}");
        assert_eq!(span.to_string(), printed);
    }
}

#[test]
fn bit_rates_count_in_thousands() {
    assert_eq!("100mbit".parse(), Ok(BitRate(100_000_000)));
    assert_eq!("1.5gbit".parse(), Ok(BitRate(1_500_000_000)));
    assert_eq!(BitRate(1_500_000).to_string(), "1.5mbit");
}

#[test]
fn sizes_are_binary_or_decimal_as_written() {
    assert_eq!("512MiB".parse(), Ok(ByteSize(512 << 20)));
    assert_eq!("64kB".parse(), Ok(ByteSize(64_000)));
}

#[test]
fn shares_and_request_rates() {
    assert_eq!("0.5%".parse::<Percent>().map(Percent::fraction), Ok(0.005));
    assert_eq!("50/s".parse(), Ok(RequestRate(50.0)));
}

#[test]
fn wrong_quantities_say_what_is_wrong() {
    let message = |error: UnitError| format!("{error} ({})", error.help().unwrap_or_default());
    let time = |text: &str| message(text.parse::<TimeSpan>().unwrap_err());
    assert_eq!(
        time("10msec"),
        "unknown unit `msec` in `10msec` (did you mean `ms`?)"
    );
    assert_eq!(time("10"), "`10` has no unit (write a unit, like `10ms`)");
    assert_eq!(
        time("-1s"),
        "`-1s` does not start with a number (write it like `10ms`)"
    );
    assert_eq!(
        time("0.5ns"),
        "`0.5ns` is out of range: from 0s to 100000h, in steps of 1ns ()"
    );
    let rate = |text: &str| message(text.parse::<BitRate>().unwrap_err());
    assert_eq!(
        rate("100Mbit"),
        "unknown unit `Mbit` in `100Mbit` (did you mean `mbit`?)"
    );
    assert_eq!(
        rate("0mbit"),
        "`0mbit` is out of range: a whole number of bit/s, at least 1 ()"
    );
    let size = |text: &str| message(text.parse::<ByteSize>().unwrap_err());
    assert_eq!(
        size("512MB1"),
        "unknown unit `MB1` in `512MB1` (did you mean `MB`?)"
    );
    let share = |text: &str| message(text.parse::<Percent>().unwrap_err());
    assert_eq!(share("101%"), "`101%` is out of range: from 0% to 100% ()");
    assert_eq!(share("0.5"), "`0.5` has no unit (write a unit, like `0.5%`)");
    let requests = |text: &str| message(text.parse::<RequestRate>().unwrap_err());
    assert_eq!(
        requests("50/min"),
        "unknown unit `/min` in `50/min` (known here: `/s`)"
    );
}
