//! A function with a given service time, for experiments where its work does not matter.

use std::time::{Duration, Instant};

use dfaas_faas::{parse_duration, parse_quantity};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use sha2::{Digest, Sha256};

use super::{header, memory, variable};

/// Takes the time that `service_time` describes, waiting or computing as `work` says, and holds as much memory as
/// `memory` describes for as long.
pub(super) fn model() -> Result<String, String> {
    let started = Instant::now();
    let mut random = random(&variable("seed"), header("X_Call_Id").as_deref());
    let wrong = |name: &str, text: &str, what: &str| {
        format!(
            "{name} {text:?}: expected {what}, \"uniform LEAST MOST\", \"exponential MEAN\" or \"normal MEAN DEVIATION\""
        )
    };
    let text = variable("service_time");
    let seconds = |text: &str| parse_duration(text).map(|time| time.as_secs_f64());
    let time = draw(&text, seconds, &mut random)
        .and_then(|seconds| Duration::try_from_secs_f64(seconds).ok())
        .ok_or_else(|| wrong("service_time", &text, "a time"))?;
    let text = variable("memory");
    let bytes = match text.as_str() {
        "" => 0.0,
        text => draw(
            text,
            |text| parse_quantity(text).map(|bytes| bytes as f64),
            &mut random,
        )
        .ok_or_else(|| wrong("memory", text, "a quantity such as 64Mi"))?,
    };
    let _held = memory::hold(bytes as u64)?;
    match variable("work").as_str() {
        "cpu" => {
            while started.elapsed() < time {
                std::hint::spin_loop();
            }
        }
        "sleep" | "" => std::thread::sleep(time.saturating_sub(started.elapsed())),
        other => return Err(format!("work {other:?}: expected \"sleep\" or \"cpu\"")),
    }
    Ok(format!("{:.6}\n", time.as_secs_f64()))
}

/// The random numbers of one request. With a seed they follow from it and from the request's identifier, whatever other
/// requests there are and in which order they come.
fn random(seed: &str, call_id: Option<&str>) -> ChaCha8Rng {
    if seed.is_empty() {
        return ChaCha8Rng::from_seed(rand::rng().random());
    }
    let key = Sha256::digest(format!("{seed}\n{}", call_id.unwrap_or_default()));
    ChaCha8Rng::from_seed(key.into())
}

/// A value from its distribution; `number` reads the words.
fn draw(text: &str, number: impl Fn(&str) -> Option<f64>, random: &mut ChaCha8Rng) -> Option<f64> {
    let words: Vec<&str> = text.split_whitespace().collect();
    let time = number;
    // All draws are in (0, 1], so that their logarithm exists.
    let mut random = || 1.0 - random.random::<f64>();
    let value = match words.as_slice() {
        [constant] => time(constant)?,
        ["uniform", least, most] => {
            let (least, most) = (time(least)?, time(most)?);
            least + (most - least) * random()
        }
        ["exponential", mean] => -time(mean)? * random().ln(),
        // Box and Muller; neither time nor memory may be negative.
        ["normal", mean, deviation] => {
            let angle = (std::f64::consts::TAU * random()).cos();
            let draw = time(mean)? + time(deviation)? * (-2.0 * random().ln()).sqrt() * angle;
            draw.max(0.0)
        }
        _ => return None,
    };
    Some(value)
}

#[cfg(test)]
mod tests {
    use dfaas_faas::parse_duration;

    use super::{draw, random};

    fn seconds(text: &str) -> Option<f64> {
        parse_duration(text).map(|time| time.as_secs_f64())
    }

    fn mean(text: &str) -> f64 {
        let draws = 20_000;
        let mut random = random("7", None);
        (0..draws)
            .map(|_| draw(text, seconds, &mut random).unwrap())
            .sum::<f64>()
            / f64::from(draws)
    }

    #[test]
    fn distributions_have_their_means() {
        // Four standard errors of the mean of 20 000 draws.
        for (text, expected, error) in [
            ("20ms", 0.020, 1e-9),
            ("uniform 10ms 30ms", 0.020, 0.000_17),
            ("exponential 20ms", 0.020, 0.000_57),
            ("normal 20ms 5ms", 0.020, 0.000_15),
        ] {
            assert!((mean(text) - expected).abs() <= error, "{text}: {}", mean(text));
        }
    }

    #[test]
    fn a_seed_and_a_request_fix_the_draw() {
        let drawn =
            |seed: &str, id: &str| draw("exponential 1s", seconds, &mut random(seed, Some(id))).unwrap();
        assert_eq!(drawn("1", "a"), drawn("1", "a"));
        assert_ne!(drawn("1", "a"), drawn("1", "b"));
        assert_ne!(drawn("1", "a"), drawn("2", "a"));
        assert_ne!(drawn("", "a"), drawn("", "a"));
    }

    #[test]
    fn nonsense_is_no_distribution() {
        let mut random = random("", None);
        for text in ["", "uniform 1ms", "exponential x", "poisson 3ms"] {
            assert!(draw(text, seconds, &mut random).is_none(), "{text}");
        }
        assert!(
            draw("uniform 3s 1", seconds, &mut random).is_some(),
            "bounds in either order"
        );
    }
}
