//! One direction's impairments in the words of the file and of the engine; those of the kernel are in `kernel`.

use dfaas_model::units::{BitRate, ByteSize, QueueLimit, TimeSpan};
use dfaas_model::{Impairment, JitterDistribution};
use serde_json::{Map, Value, json};

/// Bytes of a full Ethernet frame, for a queue that is given in packets and kept in bytes.
const FULL_FRAME: u64 = 1514;

pub(crate) fn for_engine(impairment: &Impairment) -> dfaas_wire::Impairment {
    let queue_packets = match impairment.queue {
        Some(QueueLimit::Packets(packets)) => Some(u32::try_from(packets).unwrap_or(u32::MAX)),
        _ => None,
    };
    dfaas_wire::Impairment {
        delay: impairment.delay,
        jitter: impairment.jitter,
        jitter_distribution: match impairment.distribution {
            JitterDistribution::Uniform => dfaas_wire::JitterDistribution::Uniform,
            JitterDistribution::Normal => dfaas_wire::JitterDistribution::Normal,
        },
        loss: impairment.loss,
        rate: impairment.rate,
        queue_bytes: if queue_packets.is_some() {
            None
        } else {
            queue_bytes(impairment)
        },
        queue_packets,
        ..dfaas_wire::Impairment::default()
    }
}

/// The queue limit in bytes; what a time limit means depends on the rate.
pub(crate) fn queue_bytes(impairment: &Impairment) -> Option<u64> {
    match impairment.queue? {
        QueueLimit::Bytes(bytes) => Some(bytes),
        QueueLimit::Packets(packets) => Some(packets.saturating_mul(FULL_FRAME)),
        QueueLimit::Time(time) => {
            let bits = u128::from(impairment.rate?) * time.as_micros() / 1_000_000;
            Some(u64::try_from(bits / 8).unwrap_or(u64::MAX).max(FULL_FRAME))
        }
    }
}

/// The keys and values of a topology file; what is not impaired is left out.
pub fn for_people(impairment: &Impairment) -> Map<String, Value> {
    let mut map = Map::new();
    let mut set = |key: &str, value: String| map.insert(key.to_owned(), json!(value));
    if !impairment.delay.is_zero() {
        set("delay", TimeSpan(impairment.delay).to_string());
    }
    if !impairment.jitter.is_zero() {
        set("jitter", TimeSpan(impairment.jitter).to_string());
    }
    if impairment.distribution == JitterDistribution::Normal {
        set("distribution", "normal".to_owned());
    }
    if impairment.loss > 0.0 {
        // Nine decimal places: what a 32-bit probability in the kernel can hold.
        set("loss", format!("{}%", (impairment.loss * 1e11).round() / 1e9));
    }
    if let Some(rate) = impairment.rate {
        set("rate", BitRate(rate).to_string());
    }
    match impairment.queue {
        Some(QueueLimit::Packets(packets)) => drop(set("queue", format!("{packets} packets"))),
        Some(QueueLimit::Bytes(bytes)) => drop(set("queue", ByteSize(bytes).to_string())),
        Some(QueueLimit::Time(time)) => drop(set("queue", TimeSpan(time).to_string())),
        None => {}
    }
    map
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_queue_in_time_is_what_the_rate_sends_in_it() {
        let impairment = Impairment {
            rate: Some(8_000_000),
            queue: Some(QueueLimit::Time(Duration::from_millis(50))),
            ..Impairment::default()
        };
        assert_eq!(for_engine(&impairment).queue_bytes, Some(50_000));
    }

    #[test]
    fn people_read_the_files_own_words() {
        let impairment = Impairment {
            delay: Duration::from_millis(5),
            loss: 0.005,
            rate: Some(100_000_000),
            ..Impairment::default()
        };
        let text = serde_json::to_string(&for_people(&impairment)).unwrap();
        assert_eq!(text, r#"{"delay":"5ms","loss":"0.5%","rate":"100mbit"}"#);
        assert!(for_people(&Impairment::default()).is_empty());
    }
}
