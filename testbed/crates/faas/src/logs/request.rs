//! `GET /system/logs`.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use jiff::{SignedDuration, Timestamp};
use serde::Serialize;
use tokio::sync::mpsc;
use tokio::time::{Instant, timeout_at};

use super::journal::{Journal, Line};
use crate::json;
use crate::route::query_value;

/// How far back a request looks that does not say.
const WINDOW: SignedDuration = SignedDuration::from_mins(5);

/// What is asked for.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct LogRequest {
    pub(crate) name: String,
    pub(crate) namespace: String,
    pub(crate) follow: bool,
    /// Most lines from the past; the original counts from the beginning of the window, not from its end.
    tail: Option<usize>,
    since: Timestamp,
}

impl LogRequest {
    /// Reads a query.
    ///
    /// # Errors
    /// A sentence for a value that cannot be read.
    pub(crate) fn from_query(query: Option<&str>, now: Timestamp) -> Result<Self, String> {
        let tail = match query_value(query, "tail").as_str() {
            "" => None,
            text => match text.parse::<i64>() {
                Ok(number) => usize::try_from(number).ok().filter(|number| *number > 0),
                Err(_) => return Err(format!("strconv.Atoi: parsing {text:?}: invalid syntax")),
            },
        };
        let since = match query_value(query, "since").as_str() {
            "" => None,
            text => Some(text.parse::<Timestamp>().map_err(|error| error.to_string())?),
        };
        // One in the future is as good as none.
        let since = since.filter(|since| *since < now);
        Ok(LogRequest {
            name: query_value(query, "name"),
            namespace: query_value(query, "namespace"),
            follow: matches!(
                query_value(query, "follow").as_str(),
                "1" | "t" | "T" | "true" | "TRUE" | "True"
            ),
            tail,
            since: since.unwrap_or_else(|| now.saturating_sub(WINDOW).unwrap_or(Timestamp::MIN)),
        })
    }

    /// The lines of the past, encoded, and the number of the next.
    pub(crate) fn past(&self, journal: &Journal) -> (Vec<Bytes>, u64) {
        let mut lines = journal.read(self.since, 0);
        let next = lines.last().map_or(0, |line| line.number + 1);
        lines.truncate(self.tail.unwrap_or(usize::MAX));
        (lines.iter().filter_map(|line| self.encode(line)).collect(), next)
    }

    fn encode(&self, line: &Line) -> Option<Bytes> {
        #[derive(Serialize)]
        struct Message<'a> {
            name: &'a str,
            namespace: &'a str,
            instance: String,
            timestamp: String,
            text: &'a str,
        }
        let message = Message {
            name: &self.name,
            namespace: &self.namespace,
            instance: line.instance.to_string(),
            timestamp: line.timestamp.to_string(),
            text: &line.text,
        };
        let mut encoded = json::to_bytes(&message).ok()?;
        encoded.push(b'\n');
        Some(encoded.into())
    }
}

/// Sends lines as they come until the reader has gone or `patience` is over, which ends the stream.
pub(crate) async fn stream(
    request: LogRequest,
    journal: Arc<Journal>,
    patience: Duration,
    parts: mpsc::Sender<io::Result<Bytes>>,
) {
    let deadline = Instant::now() + patience;
    let mut more = journal.follow();
    let (past, mut next) = request.past(&journal);
    for line in past {
        if parts.send(Ok(line)).await.is_err() {
            return;
        }
    }
    loop {
        let newer = more.wait_for(|number| *number > next);
        let arrived = tokio::select! {
            arrived = timeout_at(deadline, newer) => arrived.ok().and_then(Result::ok).map(|number| *number),
            () = parts.closed() => None,
        };
        let Some(arrived) = arrived else {
            return;
        };
        for line in journal.read(request.since, next) {
            next = line.number + 1;
            let Some(encoded) = request.encode(&line) else {
                continue;
            };
            if parts.send(Ok(encoded)).await.is_err() {
                return;
            }
        }
        // Not those that have come since: they were not among the lines read.
        next = next.max(arrived);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use jiff::Timestamp;
    use tokio::sync::mpsc;

    use super::{LogRequest, stream};
    use crate::logs::Journal;

    #[tokio::test(flavor = "multi_thread")]
    async fn a_follower_misses_no_line() {
        const LINES: usize = 2000; // as many as are kept for sure
        let journal = Arc::new(Journal::default());
        let request = LogRequest::from_query(Some("name=a&follow=true"), Timestamp::now()).unwrap();
        let (parts, mut lines) = mpsc::channel(16);
        let patience = Duration::from_secs(10);
        tokio::spawn(stream(request, journal.clone(), patience, parts));
        let speaking = std::thread::spawn(move || (0..LINES).for_each(|it| journal.log(1, &it.to_string())));
        for number in 0..LINES {
            let line = lines.recv().await.expect("a line").unwrap();
            let line = String::from_utf8(line.to_vec()).unwrap();
            assert!(line.ends_with(&format!(" {number}\"}}\n")), "{number}: {line}");
        }
        speaking.join().unwrap();
    }

    #[test]
    fn queries_are_read_as_the_original_reads_them() {
        let now: Timestamp = "2026-11-23T03:41:08Z".parse().unwrap();
        let read = |query: &str| LogRequest::from_query(Some(query), now);
        let plain = read("name=cat").unwrap();
        assert_eq!(plain.since.to_string(), "2026-11-23T03:36:08Z");
        assert_eq!((plain.tail, plain.follow), (None, false));
        let full = read("follow=true&name=a&since=2026-11-23T03%3A40%3A08Z&tail=2").unwrap();
        assert_eq!(full.since.to_string(), "2026-11-23T03:40:08Z");
        assert_eq!((full.tail, full.follow), (Some(2), true));
        assert_eq!(read("tail=-1").unwrap().tail, None);
        assert!(read("tail=x").is_err() && read("since=bad").is_err());
        assert_eq!(read("since=2036-01-01T00:00:00Z").unwrap().since, plain.since);
    }

    #[test]
    fn tail_takes_the_first_lines_of_the_window() {
        let journal = Journal::default();
        for text in ["one", "two", "three"] {
            journal.log(7, text);
        }
        let request = LogRequest::from_query(Some("name=f&namespace=n&tail=2"), Timestamp::now()).unwrap();
        let (lines, next) = request.past(&journal);
        assert_eq!((lines.len(), next), (2, 3));
        let first = String::from_utf8(lines[0].to_vec()).unwrap();
        assert!(
            first.starts_with(r#"{"name":"f","namespace":"n","instance":"7","timestamp":""#)
                && first.ends_with(" one\"}\n"),
            "{first}"
        );
    }
}
