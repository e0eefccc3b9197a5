//! What is remembered of the authors of messages: how much each may still say, and which of its messages were heard.
//!
//! The library drops what it has seen within a minute; an older message whose signature is good would pass again, and
//! with it an offer that its author has long withdrawn. So sequence numbers are kept: they begin at the author's clock
//! in nanoseconds and grow by one (in this library as in go-libp2p-pubsub).

use libp2p::PeerId;
use std::collections::HashMap;
use std::time::Duration;
use tokio::time::Instant;

/// As many as the strategies' tables hold; a bound against somebody who invents identities.
const MAXIMUM_AUTHORS: usize = 1024;
/// Messages per second, and as many at once. The shortest period with the most talkative strategy is half of it.
const RATE: f64 = 40.0;
const BURST: f64 = 100.0;
/// A long message counts for one more for each of these bytes.
const BYTES_PER_TOKEN: f64 = 16_384.0;
/// An author silent for this long makes room for another.
const SILENCE: Duration = Duration::from_secs(180);

/// An author's faults are told once in this time.
const COMPLAINT_PAUSE: Duration = Duration::from_secs(60);

/// What becomes of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// It is new.
    Fresh,
    /// It was heard before, or is older than what was.
    Replayed,
    /// Its author says too much.
    TooMany,
    /// There are too many authors.
    TooManyAuthors,
}

/// All authors that spoke lately.
#[derive(Debug, Default)]
pub(super) struct Authors {
    authors: HashMap<PeerId, Author>,
}

#[derive(Debug)]
struct Author {
    heard: Heard,
    tokens: f64,
    last: Instant,
    complained: Option<Instant>,
}

impl Authors {
    /// Judges a message of `length` bytes, and remembers it.
    pub(super) fn judge(&mut self, author: PeerId, sequence: u64, length: usize, now: Instant) -> Verdict {
        if !self.authors.contains_key(&author) && !self.make_room(now) {
            return Verdict::TooManyAuthors;
        }
        let author = self.authors.entry(author).or_insert(Author {
            heard: Heard::default(),
            tokens: BURST,
            last: now,
            complained: None,
        });
        let earned = (now - author.last).as_secs_f64() * RATE;
        author.tokens = (author.tokens + earned).min(BURST);
        author.last = now;
        let price = 1.0 + (length as f64 / BYTES_PER_TOKEN).floor();
        if author.tokens < price {
            return Verdict::TooMany;
        }
        author.tokens -= price;
        if author.heard.note(sequence) {
            Verdict::Fresh
        } else {
            Verdict::Replayed
        }
    }

    /// An author has connected anew, and proven who it is: it may have restarted with a clock that was set back.
    pub(super) fn connected(&mut self, author: &PeerId) {
        if let Some(author) = self.authors.get_mut(author) {
            author.heard = Heard::default();
        }
    }

    /// Whether to tell of a fault of this author: a log is not to be flooded either.
    pub(super) fn complain(&mut self, author: &PeerId, now: Instant) -> bool {
        let Some(author) = self.authors.get_mut(author) else {
            return false;
        };
        let told = author.complained.is_some_and(|then| now - then < COMPLAINT_PAUSE);
        if !told {
            author.complained = Some(now);
        }
        !told
    }

    fn make_room(&mut self, now: Instant) -> bool {
        if self.authors.len() >= MAXIMUM_AUTHORS {
            self.authors.retain(|_, author| now - author.last < SILENCE);
        }
        self.authors.len() < MAXIMUM_AUTHORS
    }
}

/// A window over sequence numbers (RFC 6479 does the same for IPsec): messages that overtake each other by a little all
/// pass, once.
#[derive(Debug, Default)]
struct Heard {
    highest: u64,
    /// Bit n: the highest less n was heard. Zero: nothing was.
    before: u64,
}

impl Heard {
    /// Whether this number is new.
    fn note(&mut self, sequence: u64) -> bool {
        if self.before == 0 || sequence > self.highest {
            let ahead = sequence.saturating_sub(self.highest);
            let shifted = u32::try_from(ahead)
                .ok()
                .and_then(|ahead| self.before.checked_shl(ahead));
            self.before = shifted.unwrap_or(0) | 1;
            self.highest = sequence;
            return true;
        }
        let behind = u32::try_from(self.highest - sequence).ok();
        let Some(bit) = behind.and_then(|behind| 1_u64.checked_shl(behind)) else {
            return false;
        };
        let new = self.before & bit == 0;
        self.before |= bit;
        new
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    #[test]
    fn a_replayed_message_is_told_from_one_that_was_overtaken() {
        let (mut authors, author, now) = (Authors::default(), PeerId::random(), Instant::now());
        let mut judge = |sequence| authors.judge(author, sequence, 10, now);
        assert_eq!(judge(1_000_000), Verdict::Fresh);
        assert_eq!(judge(1_000_002), Verdict::Fresh);
        assert_eq!(judge(1_000_001), Verdict::Fresh, "overtaken");
        for sequence in [1_000_000, 1_000_001, 1_000_002, 1_000_002 - 64, 0] {
            assert_eq!(judge(sequence), Verdict::Replayed, "{sequence}");
        }
        assert_eq!(judge(u64::MAX), Verdict::Fresh);
        // The author itself, back with a clock that was set back.
        authors.connected(&author);
        assert_eq!(authors.judge(author, 5, 10, now), Verdict::Fresh);
        assert_eq!(authors.judge(author, 5, 10, now), Verdict::Replayed);
    }

    #[test]
    fn one_author_cannot_take_the_time_of_others() {
        let (mut authors, now) = (Authors::default(), Instant::now());
        let (loud, other) = (PeerId::random(), PeerId::random());
        let passed = |authors: &mut Authors, from, now, length| {
            let verdicts = (from..from + 1000).map(|sequence| authors.judge(loud, sequence, length, now));
            verdicts.filter(|verdict| *verdict == Verdict::Fresh).count()
        };
        assert_eq!(passed(&mut authors, 1, now, 100), 100);
        assert!(
            authors.complain(&loud, now) && !authors.complain(&loud, now),
            "told once"
        );
        assert_eq!(authors.judge(other, 1, 100, now), Verdict::Fresh);
        let later = now + Duration::from_secs(1);
        assert_eq!(passed(&mut authors, 2000, later, 100), 40);
        let later = later + Duration::from_secs(60);
        assert_eq!(
            passed(&mut authors, 4000, later, 1 << 20),
            1,
            "a long one costs more"
        );
    }

    #[test]
    fn invented_identities_find_no_room() {
        let (mut authors, now) = (Authors::default(), Instant::now());
        for _ in 0..MAXIMUM_AUTHORS {
            assert_eq!(authors.judge(PeerId::random(), 1, 10, now), Verdict::Fresh);
        }
        assert_eq!(
            authors.judge(PeerId::random(), 1, 10, now),
            Verdict::TooManyAuthors
        );
        let later = now + SILENCE;
        assert_eq!(authors.judge(PeerId::random(), 1, 10, later), Verdict::Fresh);
    }

    proptest! {
        /// Numbers close together are all heard once, in whatever order they come.
        #[test]
        fn each_number_passes_once(numbers in prop::collection::vec(1000_u64..1064, 0..200)) {
            let (mut heard, mut model) = (Heard::default(), BTreeSet::new());
            for number in numbers {
                prop_assert_eq!(heard.note(number), model.insert(number));
            }
        }
    }
}
