//! What a running lab says it does to the packets of one direction.

use std::time::Duration;

use dfaas_model::{BitRate, Percent, TimeSpan};
use serde_json::{Map, Value};

/// What was asked of one direction, as far as it can be measured.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Asked {
    /// Time each packet is held.
    pub delay: Duration,
    /// How far it strays.
    pub jitter: Duration,
    /// How jitter is distributed; `uniform` when absent.
    pub distribution: Option<String>,
    /// Share of packets lost, 0 to 1.
    pub loss: f64,
    /// Bit/s.
    pub rate: Option<u64>,
    /// Further keys, which are not measured.
    pub others: Vec<String>,
}

impl Asked {
    /// Reads the keys and values of a topology file, as the control API gives them. The error is one sentence.
    pub fn read(impairment: &Map<String, Value>) -> Result<Asked, String> {
        let mut asked = Asked::default();
        for (key, value) in impairment {
            let text = match value {
                Value::String(text) => text.clone(),
                other => other.to_string(),
            };
            let unreadable = |error: String| format!("cannot read `{key}: {text}`: {error}");
            match key.as_str() {
                "delay" => asked.delay = parse::<TimeSpan>(&text).map_err(unreadable)?.0,
                "jitter" => asked.jitter = parse::<TimeSpan>(&text).map_err(unreadable)?.0,
                "distribution" => asked.distribution = Some(text),
                "loss" => asked.loss = parse::<Percent>(&text).map_err(unreadable)?.fraction(),
                "rate" => asked.rate = Some(parse::<BitRate>(&text).map_err(unreadable)?.0),
                // It shows only in what the rate drops.
                "queue" => {}
                _ => asked.others.push(key.clone()),
            }
        }
        Ok(asked)
    }

    /// Standard deviation of the delay, in seconds; none for a distribution whose deviation is not known here.
    pub(super) fn deviation(&self) -> Option<f64> {
        let jitter = self.jitter.as_secs_f64();
        match self.distribution.as_deref() {
            None | Some("uniform") => Some(jitter / 3.0_f64.sqrt()),
            Some("normal") => Some(jitter),
            Some(_) if self.jitter.is_zero() => Some(0.0),
            Some(_) => None,
        }
    }

    /// The delay that 99 % of the packets do not exceed, in seconds.
    pub(super) fn delay_p99(&self) -> Option<f64> {
        let (delay, jitter) = (self.delay.as_secs_f64(), self.jitter.as_secs_f64());
        match self.distribution.as_deref() {
            None | Some("uniform") => Some(delay + 0.98 * jitter),
            Some("normal") => Some(delay + 2.326_348 * jitter),
            Some(_) if self.jitter.is_zero() => Some(delay),
            Some(_) => None,
        }
    }
}

fn parse<T: std::str::FromStr>(text: &str) -> Result<T, String>
where
    T::Err: std::fmt::Display,
{
    text.parse().map_err(|error: T::Err| error.to_string())
}
