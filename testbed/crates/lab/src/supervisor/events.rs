//! What happens in a lab, kept for a while and told to whoever listens.

use std::collections::{BTreeMap, VecDeque};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use dfaas_control::{Happening, LabEvent, LabState, LinkInfo};
use tokio::sync::{Notify, watch};

use crate::supervisor::lab::{Lab, lock};

/// How many events are kept for those who ask late.
const KEPT: usize = 4096;
/// How often dropped packets are told.
const DROPS_EVERY: Duration = Duration::from_secs(1);

/// The events of a lab.
pub(crate) struct EventLog {
    kept: Mutex<VecDeque<LabEvent>>,
    /// Number of the last event.
    latest: watch::Sender<u64>,
    listeners: Arc<AtomicUsize>,
    /// Somebody has begun to listen.
    begun: Notify,
}

/// One who listens. Knows where it is; what it is too slow for it misses, and is told so.
pub(crate) struct Listener {
    lab: Arc<Lab>,
    latest: watch::Receiver<u64>,
    after: u64,
    listeners: Arc<AtomicUsize>,
}

impl EventLog {
    pub(crate) fn new() -> Self {
        Self {
            kept: Mutex::default(),
            latest: watch::Sender::new(0),
            listeners: Arc::default(),
            begun: Notify::new(),
        }
    }

    pub(crate) fn tell(&self, what: Happening) {
        let mut kept = lock(&self.kept);
        let number = *self.latest.borrow() + 1;
        if kept.len() == KEPT {
            kept.pop_front();
        }
        kept.push_back(LabEvent {
            number,
            time: jiff::Timestamp::now().to_string(),
            what,
        });
        self.latest.send_replace(number); // while locked: numbers and order agree
    }

    /// What is kept of the events after number `after`, behind a note of what is not.
    fn after(&self, after: u64) -> Vec<LabEvent> {
        let kept = lock(&self.kept);
        let mut events: Vec<LabEvent> = kept.iter().filter(|it| it.number > after).cloned().collect();
        if let Some(first) = events.first().filter(|first| first.number > after + 1) {
            let missed = LabEvent {
                number: first.number - 1,
                time: first.time.clone(),
                what: Happening::Missed {
                    count: first.number - 1 - after,
                },
            };
            events.insert(0, missed);
        }
        events
    }
}

impl Listener {
    /// Listens to what comes after event number `after`; to what is new without a number.
    pub(crate) fn new(lab: &Arc<Lab>, after: Option<u64>) -> Self {
        let mut latest = lab.events.latest.subscribe();
        let now = *latest.borrow_and_update();
        lab.events.listeners.fetch_add(1, Ordering::Relaxed);
        lab.events.begun.notify_one();
        Self {
            lab: Arc::clone(lab),
            latest,
            after: after.unwrap_or(now).min(now),
            listeners: Arc::clone(&lab.events.listeners),
        }
    }

    /// The next events, at least one; `None` after the last.
    pub(crate) async fn next(&mut self) -> Option<Vec<LabEvent>> {
        loop {
            let events = self.lab.events.after(self.after);
            if let Some(last) = events.last() {
                self.after = last.number;
                return Some(events);
            }
            // The log lives as long as the lab, so waiting cannot fail.
            self.latest.changed().await.ok()?;
        }
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        self.listeners.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Whether nothing follows this event.
pub(crate) fn is_last(event: &LabEvent) -> bool {
    let state = LabState::Stopping;
    event.what == Happening::Lab { state }
}

/// Tells every second which links dropped how many packets, while somebody listens.
pub(crate) async fn tell_drops(lab: Arc<Lab>) {
    let mut before = BTreeMap::new();
    loop {
        if lab.events.listeners.load(Ordering::Relaxed) == 0 {
            lab.events.begun.notified().await;
            before = counters(&lab).await;
        }
        tokio::time::sleep(DROPS_EVERY).await;
        if lab.events.listeners.load(Ordering::Relaxed) > 0 {
            let now = counters(&lab).await;
            for happening in grown(&before, &now) {
                lab.events.tell(happening);
            }
            before = now;
        }
    }
}

async fn counters(lab: &Arc<Lab>) -> BTreeMap<Counter, u64> {
    let lab = Arc::clone(lab);
    let links = tokio::task::spawn_blocking(move || lab.links()).await;
    drops(&links.unwrap_or_default())
}

/// Link, direction and cause.
type Counter = (String, &'static str, String);

fn drops(links: &[LinkInfo]) -> BTreeMap<Counter, u64> {
    let mut counters = BTreeMap::new();
    for link in links {
        for direction in ["forward", "backward"] {
            let causes = link
                .statistics
                .as_ref()
                .and_then(|statistics| statistics[direction]["drops"].as_object());
            for (cause, count) in causes.into_iter().flatten() {
                let key = (link.name.clone(), direction, cause.clone());
                counters.insert(key, count.as_u64().unwrap_or(0));
            }
        }
    }
    counters
}

/// What has been added, one note per link and direction.
fn grown(before: &BTreeMap<Counter, u64>, now: &BTreeMap<Counter, u64>) -> Vec<Happening> {
    let mut notes: BTreeMap<(String, &'static str), BTreeMap<String, u64>> = BTreeMap::new();
    for (key, count) in now {
        // A link that has moved has a new name and counts anew.
        let more = count.saturating_sub(before.get(key).copied().unwrap_or(0));
        if more > 0 {
            let (link, direction, cause) = key.clone();
            notes.entry((link, direction)).or_default().insert(cause, more);
        }
    }
    let note = |((link, direction), drops): ((String, &str), _)| Happening::Drops {
        link,
        direction: direction.to_owned(),
        drops,
    };
    notes.into_iter().map(note).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn warning(number: usize) -> Happening {
        let message = number.to_string();
        Happening::Warning { message }
    }

    #[test]
    fn numbers_have_no_gap_and_what_is_gone_is_said() {
        let log = EventLog::new();
        for number in 1..=KEPT + 3 {
            log.tell(warning(number));
        }
        let all = log.after(0);
        assert_eq!(all[0].what, Happening::Missed { count: 3 });
        assert_eq!((all[0].number, all[1].number, all.len()), (3, 4, KEPT + 1));
        let rest = log.after(u64::try_from(KEPT).unwrap() + 1);
        assert_eq!(rest.len(), 2);
        assert_eq!(rest[1].what, warning(KEPT + 3));
        assert!(log.after(u64::try_from(KEPT).unwrap() + 3).is_empty());
    }

    #[test]
    fn only_what_grew_is_told() {
        let link = |forward: u64, backward: u64| {
            let name = "a--b".to_owned();
            let statistics = serde_json::json!({
                "forward": { "drops": { "loss": forward, "queue": 7 } },
                "backward": { "drops": { "loss": backward } },
            });
            let info: LinkInfo = serde_json::from_value(serde_json::json!({
                "name": name, "backend": "wire", "mtu": 1500, "up": true, "forward": {}, "backward": {},
                "endpoints": [{ "node": "a", "interface": "eth0" }, { "node": "b", "interface": "eth0" }],
                "statistics": statistics,
            }))
            .unwrap();
            drops(&[info])
        };
        assert_eq!(grown(&link(5, 1), &link(5, 1)), []);
        let told = grown(&link(5, 1), &link(8, 1));
        let expected = Happening::Drops {
            link: "a--b".to_owned(),
            direction: "forward".to_owned(),
            drops: BTreeMap::from([("loss".to_owned(), 3)]),
        };
        assert_eq!(told, [expected]);
    }
}
