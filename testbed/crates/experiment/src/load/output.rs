use std::io::{self, BufWriter, Write};
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};

use super::row::{LoadMessage, LoadRow};

/// Longest time a row waits in the buffer.
const FLUSH_INTERVAL: Duration = Duration::from_millis(50);

/// Writes rows as JSON lines until the last sender is gone, then the closing line.
///
/// Runs on its own thread: a slow reader must not delay the next request. `interrupted` is asked at the end.
pub(super) fn write_rows(
    rows: &Receiver<LoadRow>,
    output: impl Write,
    interrupted: impl FnOnce() -> bool,
) -> io::Result<()> {
    let mut output = BufWriter::with_capacity(1 << 16, output);
    let mut requests = 0;
    let mut oldest: Option<Instant> = None;
    loop {
        let wait = oldest.map_or(FLUSH_INTERVAL, |since| {
            FLUSH_INTERVAL.saturating_sub(since.elapsed())
        });
        match rows.recv_timeout(wait) {
            Ok(row) => {
                write_line(&mut output, &LoadMessage::Row(row))?;
                requests += 1;
                oldest.get_or_insert_with(Instant::now);
            }
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => break,
        }
        if oldest.is_some_and(|since| since.elapsed() >= FLUSH_INTERVAL) {
            output.flush()?;
            oldest = None;
        }
    }
    write_line(
        &mut output,
        &LoadMessage::Finished {
            requests,
            interrupted: interrupted(),
        },
    )?;
    output.flush()
}

/// Writes one message and its line end.
pub(super) fn write_line(output: &mut impl Write, message: &LoadMessage) -> io::Result<()> {
    serde_json::to_writer(&mut *output, message)?;
    output.write_all(b"\n")
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::channel;

    use super::*;

    #[test]
    fn rows_come_in_order_and_the_last_line_counts_them() {
        let (sender, receiver) = channel();
        for seq in 0..3 {
            sender
                .send(LoadRow {
                    seq,
                    code: 200,
                    ..LoadRow::default()
                })
                .unwrap();
        }
        drop(sender);
        let mut written = Vec::new();
        write_rows(&receiver, &mut written, || true).unwrap();
        let lines: Vec<LoadMessage> = String::from_utf8(written)
            .unwrap()
            .lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect();
        assert_eq!(lines.len(), 4);
        assert!(matches!(&lines[2], LoadMessage::Row(row) if row.seq == 2 && row.code == 200));
        assert_eq!(
            lines[3],
            LoadMessage::Finished {
                requests: 3,
                interrupted: true
            }
        );
    }

    #[test]
    fn a_row_is_flushed_soon_even_if_no_other_follows() {
        let (reader, writer) = io::pipe().unwrap();
        let (sender, receiver) = channel();
        let thread = std::thread::spawn(move || write_rows(&receiver, writer, || false));
        sender.send(LoadRow::default()).unwrap();
        let begin = Instant::now();
        let mut line = String::new();
        io::BufRead::read_line(&mut io::BufReader::new(reader), &mut line).unwrap();
        assert!(line.starts_with("{\"row\""), "{line}");
        assert!(
            begin.elapsed() < Duration::from_millis(500),
            "{:?}",
            begin.elapsed()
        );
        drop(sender);
        // The reader is gone by now: the closing line must fail, not hang.
        assert_eq!(
            thread.join().unwrap().unwrap_err().kind(),
            io::ErrorKind::BrokenPipe
        );
    }
}
