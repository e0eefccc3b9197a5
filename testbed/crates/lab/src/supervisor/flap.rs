//! Links that lose their carrier in turns.

use std::sync::Arc;
use std::time::Duration;

use dfaas_model::{Flap, Link};
use tokio::time::{Instant, sleep_until};

use crate::supervisor::lab::Lab;
use crate::supervisor::tasks;

/// Lets those of the links that flap do so from now on, until the lab or the link ends.
pub(crate) fn start<'a>(lab: &Arc<Lab>, links: impl IntoIterator<Item = &'a Link>) {
    let origin = Instant::now();
    for link in links {
        if let Some(flap) = link.flap {
            let turns = keep_on(Arc::clone(lab), link.name.clone(), flap, origin);
            lab.tasks.spawn(&tasks::of_link(&link.name), "flap", turns);
        }
    }
}

async fn keep_on(lab: Arc<Lab>, link: String, flap: Flap, origin: Instant) {
    let turns = async {
        for turn in 1.. {
            let (after, up) = moment(flap, turn);
            sleep_until(origin + after).await;
            let (lab, name) = (Arc::clone(&lab), link.clone());
            let changed = tokio::task::spawn_blocking(move || lab.flap_link(&name, up)).await;
            match changed {
                Ok(Ok(())) => {}
                Ok(Err(error)) => return tracing::warn!(%error, link, "the link flaps no more"),
                Err(error) => return tracing::warn!(%error, link, "the link flaps no more"),
            }
        }
    };
    tokio::select! {
        () = turns => {}
        () = lab.shutdown_requested() => {}
    }
}

/// When turn number `turn` begins, counted from 1, and whether it has a carrier. Counted from the beginning, so that
/// lateness does not add up.
fn moment(flap: Flap, turn: u32) -> (Duration, bool) {
    let whole = flap.up.saturating_add(flap.down).saturating_mul(turn / 2);
    let is_up = turn.is_multiple_of(2);
    (
        if is_up {
            whole
        } else {
            whole.saturating_add(flap.up)
        },
        is_up,
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn turns_follow_each_other_without_drift() {
        let flap = Flap {
            up: Duration::from_secs(3),
            down: Duration::from_secs(1),
        };
        let turns: Vec<(u64, bool)> = (1..=5)
            .map(|turn| moment(flap, turn))
            .map(|(after, up)| (after.as_secs(), up))
            .collect();
        assert_eq!(turns, [(3, false), (4, true), (7, false), (8, true), (11, false)]);
    }
}
