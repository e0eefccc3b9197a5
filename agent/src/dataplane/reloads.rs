//! Which reloads were asked for, and what became of them.

use serde::Serialize;
use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

/// How many are remembered.
const KEPT: usize = 100;

/// A reload.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(super) struct Outcome {
    id: String,
    status: &'static str,
    #[serde(skip_serializing_if = "String::is_empty")]
    response: String,
    /// When it ended, in seconds since 1970.
    #[serde(skip_serializing_if = "Option::is_none")]
    reload_timestamp: Option<u64>,
}

impl Outcome {
    fn in_progress(id: &str) -> Self {
        Self {
            id: id.to_owned(),
            status: "in_progress",
            response: String::new(),
            reload_timestamp: None,
        }
    }
}

/// All of them.
#[derive(Debug, Default)]
pub(super) struct Reloads(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    asked: u64,
    wanted: Option<String>,
    current: Option<String>,
    ended: VecDeque<Outcome>,
}

impl Reloads {
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Asks for one; those who ask before it begins share it.
    pub(super) fn want(&self) -> String {
        let mut state = self.state();
        if let Some(id) = &state.wanted {
            return id.clone();
        }
        // Names of one program do not come again in the next.
        let id = format!("{}-{}", now(), state.asked);
        state.asked += 1;
        state.wanted = Some(id.clone());
        id
    }

    /// Begins the one that is wanted, if there is one.
    pub(super) fn begin(&self) -> bool {
        let mut state = self.state();
        state.current = state.wanted.take();
        state.current.is_some()
    }

    /// Ends the one that was begun.
    pub(super) fn end(&self, outcome: Result<(), String>) {
        let mut state = self.state();
        let Some(id) = state.current.take() else { return };
        let (status, response) = match outcome {
            Ok(()) => ("succeeded", String::new()),
            Err(reason) => ("failed", reason),
        };
        if state.ended.len() == KEPT {
            state.ended.pop_front();
        }
        state.ended.push_back(Outcome {
            id,
            status,
            response,
            reload_timestamp: Some(now()),
        });
    }

    /// The last ones, oldest first.
    pub(super) fn all(&self) -> Vec<Outcome> {
        let state = self.state();
        let under_way = [&state.current, &state.wanted].into_iter().flatten();
        let under_way = under_way.map(|id| Outcome::in_progress(id));
        state.ended.iter().cloned().chain(under_way).collect()
    }

    /// One of the last.
    pub(super) fn find(&self, id: &str) -> Option<Outcome> {
        self.all().into_iter().find(|reload| reload.id == id)
    }
}

fn now() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default()
        .as_secs()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn those_who_ask_before_it_begins_share_it() {
        let reloads = Reloads::default();
        assert!(!reloads.begin(), "nobody asked");
        let first = reloads.want();
        assert_eq!(reloads.want(), first);
        assert!(reloads.begin());
        let second = reloads.want();
        assert_ne!(first, second, "the first may have read the file already");
        let status = |id: &str| reloads.find(id).map(|reload| reload.status);
        assert_eq!(
            (status(&first), status(&second)),
            (Some("in_progress"), Some("in_progress"))
        );
        reloads.end(Err("no".to_owned()));
        assert!(reloads.begin());
        reloads.end(Ok(()));
        assert_eq!(
            (status(&first), status(&second)),
            (Some("failed"), Some("succeeded"))
        );
        assert_eq!(status("x"), None);
    }

    #[test]
    fn only_the_last_are_remembered() {
        let reloads = Reloads::default();
        for _ in 0..3 * KEPT {
            reloads.want();
            reloads.begin();
            reloads.end(Ok(()));
        }
        assert_eq!(reloads.all().len(), KEPT);
    }
}
