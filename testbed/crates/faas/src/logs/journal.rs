//! One function's recent lines. They outlive the function, as those of the original's journal do.

use std::collections::{BTreeMap, VecDeque};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use jiff::Timestamp;
use tokio::sync::watch;

/// Text that is kept of one function, in bytes; older lines go first.
const KEPT: usize = 256 * 1024;
/// Functions whose lines are kept; those that were silent for longest go first.
const FUNCTIONS: usize = 256;
/// What a line costs besides its text.
const PER_LINE: usize = 48;

/// A line of a log.
#[derive(Clone, Debug)]
pub(crate) struct Line {
    pub(crate) number: u64,
    pub(crate) timestamp: Timestamp,
    /// Which run of the function said it.
    pub(crate) instance: u32,
    pub(crate) text: Arc<str>,
}

/// The lines of one function.
#[derive(Debug)]
pub(crate) struct Journal {
    lines: Mutex<Lines>,
    /// The number of the next line, for those who wait for it.
    next: watch::Sender<u64>,
}

#[derive(Debug, Default)]
struct Lines {
    kept: VecDeque<Line>,
    size: usize,
    next: u64,
}

impl Default for Journal {
    fn default() -> Self {
        Journal {
            lines: Mutex::default(),
            next: watch::Sender::new(0),
        }
    }
}

impl Journal {
    /// Adds a line as a Go program logs it: time in front, to the second.
    pub(crate) fn log(&self, instance: u32, text: &str) {
        let now = Timestamp::now();
        self.add(
            now,
            instance,
            format!("{} {text}", now.strftime("%Y/%m/%d %H:%M:%S")),
        );
    }

    fn add(&self, timestamp: Timestamp, instance: u32, text: String) {
        let next = {
            let mut lines = self.lines();
            let number = lines.next;
            lines.next += 1;
            lines.size += text.len() + PER_LINE;
            lines.kept.push_back(Line {
                number,
                timestamp,
                instance,
                text: text.into(),
            });
            while lines.size > KEPT && lines.kept.len() > 1 {
                let oldest = lines.kept.pop_front();
                lines.size -= oldest.map_or(0, |line| line.text.len() + PER_LINE);
            }
            lines.next
        };
        self.next.send_replace(next);
    }

    /// Lines not older than `since`, from number `from` on.
    pub(crate) fn read(&self, since: Timestamp, from: u64) -> Vec<Line> {
        let lines = self.lines();
        let wanted = |line: &&Line| line.number >= from && line.timestamp >= since;
        lines.kept.iter().filter(wanted).cloned().collect()
    }

    /// Tells when there are more lines.
    pub(crate) fn follow(&self) -> watch::Receiver<u64> {
        self.next.subscribe()
    }

    fn lines(&self) -> MutexGuard<'_, Lines> {
        self.lines.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The journals of all functions, by their full names.
#[derive(Debug)]
pub(crate) struct Journals {
    all: Mutex<BTreeMap<String, (u64, Arc<Journal>)>>,
    /// The original names a run by a process number.
    instances: AtomicU32,
}

impl Default for Journals {
    fn default() -> Self {
        Journals {
            all: Mutex::default(),
            instances: AtomicU32::new(std::process::id()),
        }
    }
}

impl Journals {
    /// The journal of a function that is about to speak.
    pub(crate) fn open(&self, full_name: &str) -> Arc<Journal> {
        let mut all = self.all.lock().unwrap_or_else(PoisonError::into_inner);
        let use_number = all.values().map(|(used, _)| used + 1).max().unwrap_or_default();
        if let Some((used, journal)) = all.get_mut(full_name) {
            *used = use_number;
            return journal.clone();
        }
        if all.len() >= FUNCTIONS {
            let oldest = all.iter().min_by_key(|(_, (used, _))| *used);
            if let Some(name) = oldest.map(|(name, _)| name.clone()) {
                all.remove(&name);
            }
        }
        let journal = Arc::new(Journal::default());
        all.insert(full_name.to_owned(), (use_number, journal.clone()));
        journal
    }

    /// The journal of a function, if it ever spoke.
    pub(crate) fn find(&self, full_name: &str) -> Option<Arc<Journal>> {
        let all = self.all.lock().unwrap_or_else(PoisonError::into_inner);
        all.get(full_name).map(|(_, journal)| journal.clone())
    }

    /// A number for a new run of a function.
    pub(crate) fn next_instance(&self) -> u32 {
        self.instances.fetch_add(1, Ordering::Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::{FUNCTIONS, Journal, Journals, KEPT};

    #[test]
    fn old_lines_make_room() {
        let journal = Journal::default();
        for _ in 0..100 {
            journal.log(1, &"x".repeat(8000));
        }
        let kept = journal.read(Timestamp::MIN, 0);
        assert!(kept.len() < 100 && kept.len() * 8000 <= KEPT, "{}", kept.len());
        assert_eq!(kept.last().map(|line| line.number), Some(99));
        assert_eq!(journal.read(Timestamp::MIN, 98).len(), 2);
        assert_eq!(*journal.follow().borrow(), 100);
    }

    #[test]
    fn old_functions_make_room() {
        let journals = Journals::default();
        journals.open("first").log(1, "x");
        for number in 0..FUNCTIONS {
            journals.open(&number.to_string());
        }
        assert!(journals.find("first").is_none());
        assert!(journals.find("0").is_some());
    }
}
