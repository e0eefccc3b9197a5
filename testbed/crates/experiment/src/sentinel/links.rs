//! The links of a lab, as the control API describes them.

use std::collections::{BTreeMap, HashSet};

use serde_json::Value;

use super::verdict::{Lateness, SentinelSummary};

/// What every link does, and what was counted.
pub(super) struct LinkStates {
    links: BTreeMap<String, LinkState>,
    /// Of the lab's histograms of lateness.
    bounds: Vec<u64>,
}

struct LinkState {
    up: bool,
    forward: Value,
    backward: Value,
    /// A digest of what the kernel itself says of the link's queues.
    queues: Value,
    statistics: Value,
}

impl LinkStates {
    /// From the description of a lab; none if it has no links that can be told.
    pub(super) fn read(mut detail: Value) -> Option<LinkStates> {
        let states = detail.get_mut("links")?.as_array_mut()?.iter_mut();
        let links = states.filter_map(|link| {
            let mut part = |key: &str| link.get_mut(key).map(Value::take).unwrap_or_default();
            let state = LinkState {
                forward: part("forward"),
                backward: part("backward"),
                queues: part("queues"),
                statistics: part("statistics"),
                up: link.get("up")?.as_bool()?,
            };
            Some((link.get("name")?.as_str()?.to_owned(), state))
        });
        let links = links.collect();
        let bounds = detail.get("lateness_bounds").and_then(Value::as_array);
        Some(LinkStates {
            links,
            bounds: bounds.into_iter().flatten().filter_map(Value::as_u64).collect(),
        })
    }

    /// How many links there are.
    pub(super) fn count(&self) -> u32 {
        u32::try_from(self.links.len()).unwrap_or(u32::MAX)
    }

    /// What is not as it was, one sentence per link. Those that flap may be up or down.
    pub(super) fn differences(&self, before: &LinkStates, flapping: &HashSet<String>) -> Vec<String> {
        let changed = |(name, now): (&String, &LinkState)| {
            let old = before.links.get(name)?;
            let what = if now.up != old.up && !flapping.contains(name) {
                format!("is {}", if now.up { "up" } else { "down" })
            } else if now.forward != old.forward {
                format!("is {} forward, not {}", text(&now.forward), text(&old.forward))
            } else if now.backward != old.backward {
                format!("is {} backward, not {}", text(&now.backward), text(&old.backward))
            } else if now.queues != old.queues && !now.queues.is_null() && !old.queues.is_null() {
                "has other queues in the kernel than the lab gave it".to_owned()
            } else {
                return None;
            };
            Some(format!("link {name} {what}"))
        };
        let gone = before.links.keys();
        let gone = gone.filter(|name| !self.links.contains_key(*name));
        self.links
            .iter()
            .filter_map(changed)
            .chain(gone.map(|name| format!("link {name} is gone")))
            .collect()
    }

    /// Takes the counters of the engine over; they only grow.
    pub(super) fn engine(&self, summary: &mut SentinelSummary) {
        let mut lateness = Lateness::with_bounds(&self.bounds);
        let (mut memory, mut refused, mut queue) = (0, 0, 0);
        for state in self.links.values() {
            for direction in ["forward", "backward"] {
                let Some(counters) = state.statistics.get(direction) else {
                    continue;
                };
                lateness.add(counters.get("lateness"));
                let drops = |cause: &str| {
                    let count = counters.get("drops").and_then(|drops| drops.get(cause));
                    count.and_then(Value::as_u64).unwrap_or(0)
                };
                memory += drops("memory");
                refused += drops("refused");
                queue += drops("queue");
            }
        }
        summary.take_engine(&lateness, memory, refused, queue);
    }
}

fn text(impairment: &Value) -> String {
    let parts: Vec<String> = impairment
        .as_object()
        .into_iter()
        .flatten()
        .map(|(key, value)| {
            format!(
                "{key} {}",
                value.as_str().map_or_else(|| value.to_string(), str::to_owned)
            )
        })
        .collect();
    if parts.is_empty() {
        "unimpaired".to_owned()
    } else {
        parts.join(", ")
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn lab(delay: &str, up: bool) -> LinkStates {
        LinkStates::read(json!({ "links": [
            { "name": "a--b", "up": up, "forward": { "delay": delay }, "backward": {} },
            { "name": "b--c", "up": true, "forward": {}, "backward": {} },
        ]}))
        .unwrap()
    }

    #[test]
    fn a_change_is_told_with_what_was() {
        let told = |now: &LinkStates, before: &LinkStates| now.differences(before, &HashSet::new());
        assert!(told(&lab("5ms", true), &lab("5ms", true)).is_empty());
        assert_eq!(
            told(&lab("6ms", true), &lab("5ms", true)),
            ["link a--b is delay 6ms forward, not delay 5ms"]
        );
        assert_eq!(told(&lab("5ms", false), &lab("5ms", true)), ["link a--b is down"]);
        let none = LinkStates::read(json!({ "links": [] })).unwrap();
        assert_eq!(told(&none, &lab("5ms", true)).len(), 2);
        assert!(LinkStates::read(json!({ "name": "a lab of another kind" })).is_none());
    }

    #[test]
    fn what_the_kernel_says_counts_also_where_the_lab_knows_of_nothing() {
        let lab = |queues: &str| {
            let link = json!({ "name": "a--b", "up": true, "forward": {}, "backward": {}, "queues": queues });
            LinkStates::read(json!({ "links": [link] })).unwrap()
        };
        let none = HashSet::new();
        assert!(lab("12").differences(&lab("12"), &none).is_empty());
        assert_eq!(
            lab("13").differences(&lab("12"), &none),
            ["link a--b has other queues in the kernel than the lab gave it"]
        );
    }

    #[test]
    fn a_link_that_flaps_may_be_down() {
        let flapping = HashSet::from(["a--b".to_owned()]);
        assert!(
            lab("5ms", false)
                .differences(&lab("5ms", true), &flapping)
                .is_empty()
        );
        assert_eq!(
            lab("6ms", false).differences(&lab("5ms", true), &flapping).len(),
            1
        );
    }
}
