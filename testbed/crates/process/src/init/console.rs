//! What init and its services say, on the standard output of a container.

use std::io::{self, Write};

use crate::message::Notice;
use crate::spec::Event;

/// Longest line that is kept for its end; a longer one is printed in pieces.
const LONGEST_LINE: usize = 16 << 10;

/// Prints what happens to services, as a line of init's own.
pub(super) fn print(notice: &Notice) {
    let text = match notice {
        Notice::Event(Event::ServiceStarted {
            name,
            inner_pid,
            restarts,
            ..
        }) => match restarts {
            0 => format!("{name} started (process {inner_pid})"),
            _ => format!("{name} started again (process {inner_pid}, {restarts} times so far)"),
        },
        Notice::Event(Event::ServiceExited {
            name,
            status,
            will_restart_in,
        }) => match will_restart_in {
            Some(wait) => format!("{name} ended ({status}), starts again in {} ms", wait.as_millis()),
            None => format!("{name} ended ({status})"),
        },
        Notice::Event(Event::Warning { text }) => text.clone(),
        _ => return,
    };
    write_line("init", text.as_bytes());
}

/// Cuts a service's output into lines, each with the service's name before it.
pub(super) struct Lines {
    service: String,
    begun: Vec<u8>,
}

impl Lines {
    pub(super) fn new(service: &str) -> Self {
        Self {
            service: service.to_owned(),
            begun: Vec::new(),
        }
    }

    pub(super) fn print(&mut self, bytes: &[u8]) {
        for piece in bytes.split_inclusive(|byte| *byte == b'\n') {
            self.begun.extend_from_slice(piece);
            if piece.ends_with(b"\n") || self.begun.len() >= LONGEST_LINE {
                let line = self.begun.strip_suffix(b"\n").unwrap_or(&self.begun);
                write_line(&self.service, line);
                self.begun.clear();
            }
        }
    }
}

/// One write, so that lines of several services do not mix. Nobody may be listening, which is no reason to end.
fn write_line(who: &str, line: &[u8]) {
    let mut whole = format!("{who} | ").into_bytes();
    whole.extend_from_slice(line);
    whole.push(b'\n');
    _ = io::stdout().write_all(&whole);
}
