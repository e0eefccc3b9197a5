//! The probe process: it runs in the namespace of one end of a link.

use std::collections::HashSet;
use std::io::{self, BufRead, Write};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use super::frame::{HEADER, Probe, Purpose, SHORTEST};
use super::plan::{Answer, Order};
use super::socket::FrameSocket;

/// Bulk frames go out in groups, one per this time.
const GROUP: Duration = Duration::from_millis(1);
/// Frames of one size that are sent to see whether that size passes.
const LONG_FRAMES: u32 = 20;
/// Points kept of a bulk transfer.
const BULK_POINTS: usize = 4_096;
/// No frame is longer.
const LONGEST: usize = 65_535 + HEADER;

const EXIT_FAILED: i32 = 5;

/// The probe process: takes orders, one JSON document per line, from standard input and answers each on standard output.
/// Ends with the end of its input. Returns the process' exit code.
pub fn probe_main() -> i32 {
    let mut output = io::stdout().lock();
    let mut probe: Option<Prober> = None;
    for line in io::stdin().lock().lines() {
        let Ok(line) = line else { break };
        let answer = match serde_json::from_str::<Order>(&line) {
            Ok(order) => carry_out(order, &mut probe),
            Err(error) => Answer::Failed {
                reason: format!("not an order: {error}"),
            },
        };
        let written = serde_json::to_writer(&mut output, &answer)
            .map_err(io::Error::from)
            .and_then(|()| output.write_all(b"\n"))
            .and_then(|()| output.flush());
        if written.is_err() {
            return EXIT_FAILED;
        }
    }
    0
}

fn carry_out(order: Order, probe: &mut Option<Prober>) -> Answer {
    match (order, probe) {
        (Order::Open { interface, end }, probe) => match Prober::open(&interface, end) {
            Ok(opened) => {
                *probe = Some(opened);
                Answer::Ready
            }
            Err(reason) => Answer::Failed { reason },
        },
        (_, None) => Answer::Failed {
            reason: "no interface is open".to_owned(),
        },
        (Order::Begin { round }, Some(probe)) => {
            probe.round.store(round, Ordering::Relaxed);
            *lock(&probe.seen) = Seen::default();
            Answer::Ready
        }
        (
            Order::Probes {
                count,
                interval,
                bytes,
            },
            Some(probe),
        ) => probe.probes(count, interval, bytes),
        (
            Order::Bulk {
                rate,
                duration,
                bytes,
            },
            Some(probe),
        ) => probe.bulk(rate, duration, bytes),
        (Order::Long { bytes }, Some(probe)) => probe.long(bytes),
        (Order::Tell, Some(probe)) => lock(&probe.seen).tell(),
    }
}

/// One open interface and what came over it.
struct Prober {
    socket: Arc<FrameSocket>,
    end: u8,
    round: Arc<AtomicU32>,
    seen: Arc<Mutex<Seen>>,
}

/// What came from the other end.
#[derive(Default)]
struct Seen {
    delays: Vec<i64>,
    numbers: HashSet<u32>,
    repeated: u32,
    bulk_bytes: u64,
    bulk: Vec<(u64, u64)>,
    long: u32,
}

impl Seen {
    fn take(&mut self, probe: &Probe, length: usize, came: u64) {
        match probe.purpose {
            Purpose::Probe if self.numbers.insert(probe.number) => {
                self.delays
                    .push(came.cast_signed().wrapping_sub(probe.sent.cast_signed()));
            }
            Purpose::Probe => self.repeated += 1,
            Purpose::Bulk => {
                self.bulk_bytes += length as u64;
                self.bulk.push((came, self.bulk_bytes));
            }
            Purpose::Long => self.long += 1,
        }
    }

    fn tell(&self) -> Answer {
        let first = self.bulk.first().map_or(0, |(time, _)| *time);
        let step = self.bulk.len().div_ceil(BULK_POINTS).max(1);
        Answer::Received {
            delays: self.delays.clone(),
            repeated: self.repeated,
            bulk: self
                .bulk
                .iter()
                .step_by(step)
                .map(|(time, bytes)| (time.saturating_sub(first), *bytes))
                .collect(),
            long: self.long,
        }
    }
}

impl Prober {
    fn open(interface: &str, end: u8) -> Result<Prober, String> {
        let prober = Prober {
            socket: Arc::new(FrameSocket::open(interface)?),
            end,
            round: Arc::default(),
            seen: Arc::default(),
        };
        let (socket, round, seen) = (
            Arc::clone(&prober.socket),
            Arc::clone(&prober.round),
            Arc::clone(&prober.seen),
        );
        std::thread::Builder::new()
            .name("probe-receive".to_owned())
            .spawn(move || {
                let mut buffer = [0; SHORTEST];
                loop {
                    let Some((length, came)) = socket.receive(&mut buffer) else {
                        continue;
                    };
                    // What this end sends passes here too.
                    let probe = Probe::read(&buffer[..length.min(SHORTEST)]);
                    if let Some(probe) =
                        probe.filter(|probe| probe.end != end && probe.round == round.load(Ordering::Relaxed))
                    {
                        lock(&seen).take(&probe, length, came);
                    }
                }
            })
            .map_err(|error| format!("cannot start a thread: {error}"))?;
        Ok(prober)
    }

    fn send(&self, purpose: Purpose, number: u32, buffer: &mut [u8]) -> bool {
        let probe = Probe {
            end: self.end,
            purpose,
            number,
            sent: now(),
            round: self.round.load(Ordering::Relaxed),
        };
        probe.write(self.socket.address, buffer);
        self.socket.send(buffer)
    }

    fn probes(&self, count: u32, interval: u64, bytes: usize) -> Answer {
        let mut buffer = vec![0; bytes.clamp(SHORTEST, LONGEST)];
        let begin = Instant::now();
        let mut sent = 0;
        for number in 0..count {
            let due = Duration::from_nanos(interval.saturating_mul(u64::from(number)));
            std::thread::sleep(due.saturating_sub(begin.elapsed()));
            sent += u32::from(self.send(Purpose::Probe, number, &mut buffer));
        }
        Answer::Sent {
            count: sent,
            refused: count - sent,
        }
    }

    fn bulk(&self, rate: u64, duration: u64, bytes: usize) -> Answer {
        let mut buffer = vec![0; bytes.clamp(SHORTEST, LONGEST)];
        let duration = Duration::from_nanos(duration);
        let begin = Instant::now();
        let (mut count, mut refused, mut number) = (0, 0, 0);
        while begin.elapsed() < duration {
            let due = (begin.elapsed().as_secs_f64() * rate as f64 / 8.0) as u64 / buffer.len() as u64;
            while u64::from(number) < due && begin.elapsed() < duration {
                match self.send(Purpose::Bulk, number, &mut buffer) {
                    true => count += 1,
                    false => refused += 1,
                }
                number += 1;
            }
            std::thread::sleep(GROUP);
        }
        Answer::Sent { count, refused }
    }

    fn long(&self, bytes: usize) -> Answer {
        let mut buffer = vec![0; bytes.clamp(SHORTEST, LONGEST)];
        let mut count = 0;
        for number in 0..LONG_FRAMES {
            count += u32::from(self.send(Purpose::Long, number, &mut buffer));
            std::thread::sleep(GROUP);
        }
        Answer::Sent {
            count,
            refused: LONG_FRAMES - count,
        }
    }
}

fn now() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_nanos()).unwrap_or(u64::MAX)
}

/// What a thread that panicked had seen is still right.
fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
