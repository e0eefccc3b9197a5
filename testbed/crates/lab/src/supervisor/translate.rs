//! One direction's impairments in the words of the file and of the engine; those of the kernel are in `kernel`.

use dfaas_model::units::{ByteSize, QueueLimit};
use dfaas_model::{
    GilbertElliott, Impairment, Limits, LossModel, Playback, QueueDiscipline, Trace, TraceStep,
};
use dfaas_wire::{Replay, ReplayStep};
use serde_json::{Map, Value, json};

/// Bytes of a full Ethernet frame, for a queue that is given in packets and kept in bytes.
const FULL_FRAME: u64 = 1514;
pub(crate) fn for_engine(impairment: &Impairment) -> dfaas_wire::Impairment {
    dfaas_wire::Impairment {
        blackhole: impairment.blackhole,
        loss: match impairment.loss_model() {
            LossModel::Independent(loss) => dfaas_wire::Loss::Independent(loss),
            LossModel::GilbertElliott(GilbertElliott { p, r, bad, good }) => {
                dfaas_wire::Loss::GilbertElliott(dfaas_wire::GilbertElliott { p, r, bad, good })
            }
        },
        duplicate: impairment.duplicate,
        corrupt: impairment.corrupt,
        queue: impairment.queue.map(|queue| match queue {
            QueueLimit::Packets(packets) => {
                dfaas_wire::QueueLimit::Packets(u32::try_from(packets).unwrap_or(u32::MAX))
            }
            QueueLimit::Bytes(bytes) => dfaas_wire::QueueLimit::Bytes(bytes),
            QueueLimit::Time(time) => dfaas_wire::QueueLimit::Time(time),
        }),
        queue_discipline: match impairment.queue_discipline {
            QueueDiscipline::Droptail => dfaas_wire::QueueDiscipline::DropTail,
            QueueDiscipline::Codel => dfaas_wire::QueueDiscipline::CoDel { ecn: impairment.ecn },
        },
        rate: impairment.rate,
        burst: impairment.burst,
        overhead: impairment.overhead,
        reorder: impairment.reorder,
        reorder_correlation: impairment.reorder_correlation,
        delay: impairment.delay,
        jitter: impairment.jitter,
        jitter_distribution: match impairment.distribution.table() {
            None => dfaas_wire::JitterDistribution::Uniform,
            Some(table) => dfaas_wire::JitterDistribution::Table(table.values().clone()),
        },
        delay_correlation: impairment.delay_correlation,
        ordered: impairment.ordered,
    }
}

/// A trace in the words of the engine.
pub(crate) fn replay(trace: &Trace) -> Replay {
    let step = |step: &TraceStep| ReplayStep {
        at: step.at,
        delay: step.delay,
        rate: step.rate,
        loss: step.loss.map(dfaas_wire::Loss::Independent),
    };
    Replay {
        period: trace.period,
        playback: match &trace.playback {
            Playback::Steps(steps) => dfaas_wire::Playback::Steps(steps.iter().map(step).collect()),
            Playback::Deliveries(times) => dfaas_wire::Playback::Deliveries(times.as_slice().into()),
        },
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
    let settings = impairment.settings();
    settings
        .into_iter()
        .map(|(key, value)| (key.to_owned(), json!(value)))
        .collect()
}

/// Limits by the keys of a topology file; what is not limited is left out.
pub(crate) fn limits_for_people(limits: &Limits) -> Map<String, Value> {
    let mut map = Map::new();
    if let Some(cpus) = limits.cpus {
        map.insert("cpus".to_owned(), json!(cpus));
    }
    if let Some(bytes) = limits.memory_bytes {
        map.insert("memory".to_owned(), json!(ByteSize(bytes).to_string()));
    }
    if let Some(pids) = limits.pids {
        map.insert("pids".to_owned(), json!(pids));
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
        assert_eq!(queue_bytes(&impairment), Some(50_000));
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
