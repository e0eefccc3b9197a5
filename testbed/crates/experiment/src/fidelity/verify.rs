//! Measures all links of a lab with a pair of probe processes each.

use std::process::{Command, Stdio};
use std::time::Duration;

use futures::future::join_all;
use jiff::Timestamp;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader, Lines};
use tokio::process::{Child, ChildStdin, ChildStdout};
use tokio::time::{sleep, timeout};

use super::asked::Asked;
use super::frame::HEADER;
use super::judge::{Received, judge};
use super::plan::{Answer, Order};
use super::report::{DirectionReport, Fidelity, LinkReport, ParameterVerdict, SCHEMA};

/// The program's verb that runs a probe process.
const VERB: &str = "probe";
/// Links measured at the same time, while probes are few. Each direction is filled on its own.
const TOGETHER: usize = 8;
/// Probes per direction; fewer on links so slow that they would take too long.
const PROBES: u32 = 1_000;
const FEWEST_PROBES: u32 = 50;
const INTERVAL: Duration = Duration::from_millis(2);
const LONGEST_PROBING: Duration = Duration::from_secs(10);
/// The shortest Ethernet frame, as tc counts it.
const PROBE_BYTES: usize = 60;
/// Probes fill a link to one part in this.
const SHARE_OF_LINK: u64 = 5;
/// A rate is filled for this long, or until [`BULK_FRAMES`] have passed, but not longer than [`LONGEST_BULK`].
const BULK: Duration = Duration::from_secs(1);
const BULK_FRAMES: u64 = 200;
const LONGEST_BULK: Duration = Duration::from_secs(5);
/// One process cannot send more than this, in bit/s.
const FASTEST: u64 = 2_000_000_000;
/// Nothing a probe process does takes longer.
const PATIENCE: Duration = Duration::from_secs(60);

/// Makes a command that runs this program with the given arguments inside a node.
pub type NodeCommand<'a> = dyn Fn(&str, &[String]) -> Command + Sync + 'a;

/// A link and what it should do.
#[derive(Debug, Clone)]
pub struct LinkUnderTest {
    /// Its name.
    pub name: String,
    /// `tc` or `wire`, for the report.
    pub backend: String,
    /// Node and interface of both ends.
    pub ends: [(String, String); 2],
    /// Largest packet, bytes.
    pub mtu: u32,
    /// What was asked from the first end to the second, and back.
    pub asked: [Asked; 2],
    /// Why it cannot be measured, if so.
    pub skip: Option<String>,
}

/// Measures links both ways. `measured` is called with each link's report as soon as there is one.
pub async fn verify(
    lab: &str,
    links: &[LinkUnderTest],
    command: &NodeCommand<'_>,
    measured: &mut dyn FnMut(&LinkReport),
) -> Fidelity {
    let started = Timestamp::now();
    let mut reports = Vec::with_capacity(links.len());
    for group in links.chunks(TOGETHER) {
        let mut pairs = join_all(group.iter().map(|link| Pair::probe(link, command))).await;
        for (link, pair) in group.iter().zip(&mut pairs) {
            if let Ok(pair) = pair {
                let filled = pair.fill(link).await;
                if let Err(reason) = filled {
                    pair.trouble = Some(reason);
                }
            }
        }
        for (link, pair) in group.iter().zip(pairs) {
            let report = report(link, pair).await;
            measured(&report);
            reports.push(report);
        }
    }
    Fidelity {
        schema: SCHEMA,
        lab: lab.to_owned(),
        measured: started.to_string(),
        good: reports.iter().flat_map(|link| &link.directions).all(is_good),
        links: reports,
    }
}

fn is_good(direction: &DirectionReport) -> bool {
    direction
        .parameters
        .iter()
        .all(|one| one.verdict != ParameterVerdict::Off)
}

async fn report(link: &LinkUnderTest, pair: Result<Pair, String>) -> LinkReport {
    let outcome = match pair {
        Ok(pair) => pair.finish().await,
        Err(reason) => Err(reason),
    };
    let (directions, skipped) = match outcome {
        Ok(received) => (directions(link, &received), None),
        Err(reason) => (Vec::new(), Some(reason)),
    };
    LinkReport {
        link: link.name.clone(),
        backend: link.backend.clone(),
        skipped,
        directions,
    }
}

fn directions(link: &LinkUnderTest, received: &[Received; 2]) -> Vec<DirectionReport> {
    let direction = |from: usize| DirectionReport {
        from: link.ends[from].0.clone(),
        to: link.ends[1 - from].0.clone(),
        probes: received[from].sent,
        parameters: judge(&link.asked[from], &received[from]),
    };
    vec![direction(0), direction(1)]
}

/// The probe processes of a link's two ends, and what was found so far, by direction.
struct Pair {
    ends: [ProbeProcess; 2],
    received: [Received; 2],
    round: u32,
    trouble: Option<String>,
}

impl Pair {
    /// Starts both processes and measures all that needs few packets.
    async fn probe(link: &LinkUnderTest, command: &NodeCommand<'_>) -> Result<Pair, String> {
        if let Some(reason) = &link.skip {
            return Err(reason.clone());
        }
        let [first, second] = &link.ends;
        let (first, second) = (
            ProbeProcess::start(first, 0, command),
            ProbeProcess::start(second, 1, command),
        );
        let (first, second) = futures::join!(first, second);
        let mut pair = Pair {
            ends: [first?, second?],
            received: [Received::default(), Received::default()],
            round: 0,
            trouble: None,
        };
        pair.begin().await?;
        let orders = [0, 1].map(|from| probes(&link.asked[from]));
        pair.both(orders).await?;
        sleep(settle(link)).await;
        let told = pair.both([Order::Tell, Order::Tell]).await?;
        for (end, answer) in told.into_iter().enumerate() {
            // What one end received is the other's direction.
            let from = 1 - end;
            if let Answer::Received { delays, .. } = answer {
                pair.received[from].delays = delays;
            }
            pair.received[from].probe_bytes = PROBE_BYTES;
            pair.received[from].mtu = link.mtu;
        }
        pair.long(link).await?;
        Ok(pair)
    }

    /// Whether packets of the MTU pass, and longer ones are refused.
    async fn long(&mut self, link: &LinkUnderTest) -> Result<(), String> {
        let bytes = link.mtu as usize + HEADER;
        self.begin().await?;
        self.both([Order::Long { bytes }, Order::Long { bytes }]).await?;
        sleep(settle(link)).await;
        let told = self.both([Order::Tell, Order::Tell]).await?;
        for (end, answer) in told.into_iter().enumerate() {
            self.received[1 - end].long_arrived = matches!(answer, Answer::Received { long, .. } if long > 0);
        }
        // Four more than the MTU are a VLAN tag, which is no part of the packet.
        let bytes = bytes + 5;
        let sent = self.both([Order::Long { bytes }, Order::Long { bytes }]).await?;
        for (from, answer) in sent.into_iter().enumerate() {
            self.received[from].longer_sent = matches!(answer, Answer::Sent { count, .. } if count > 0);
        }
        Ok(())
    }

    /// Fills each direction that has a rate, one after the other.
    async fn fill(&mut self, link: &LinkUnderTest) -> Result<(), String> {
        for from in [0, 1] {
            let asked = &link.asked[from];
            let Some(rate) = asked.rate.filter(|rate| *rate <= FASTEST) else {
                continue;
            };
            let frame = link.mtu as usize + HEADER;
            let needed = Duration::from_secs_f64(BULK_FRAMES as f64 * frame as f64 * 8.0 / rate as f64);
            let duration = needed.clamp(BULK, LONGEST_BULK);
            // A third more than fits, and what is lost on top.
            let offered = rate as f64 * 1.3 / (1.0 - asked.loss).max(0.05);
            self.begin().await?;
            self.ends[from]
                .order(&Order::Bulk {
                    rate: offered as u64,
                    duration: u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX),
                    bytes: frame,
                })
                .await?;
            sleep(settle(link)).await;
            if let Answer::Received { bulk, .. } = self.ends[1 - from].order(&Order::Tell).await? {
                self.received[from].bulk = Some(bulk);
            }
        }
        Ok(())
    }

    async fn begin(&mut self) -> Result<(), String> {
        self.round += 1;
        let round = self.round;
        self.both([Order::Begin { round }, Order::Begin { round }])
            .await
            .map(drop)
    }

    /// Orders for both ends at once. Remembers how many probes were sent.
    async fn both(&mut self, orders: [Order; 2]) -> Result<[Answer; 2], String> {
        let [first, second] = &mut self.ends;
        let (first, second) = futures::join!(first.order(&orders[0]), second.order(&orders[1]));
        let answers = [first?, second?];
        for from in [0, 1] {
            if let (Order::Probes { .. }, Answer::Sent { count, .. }) = (&orders[from], &answers[from]) {
                self.received[from].sent = *count;
            }
        }
        Ok(answers)
    }

    async fn finish(self) -> Result<[Received; 2], String> {
        let [first, second] = self.ends;
        futures::join!(first.end(), second.end());
        match self.trouble {
            Some(reason) => Err(reason),
            None => Ok(self.received),
        }
    }
}

fn probes(asked: &Asked) -> Order {
    let bits = PROBE_BYTES as u64 * 8 * SHARE_OF_LINK;
    let slow = asked.rate.map_or(Duration::ZERO, |rate| {
        Duration::from_secs_f64(bits as f64 / rate as f64)
    });
    let interval = INTERVAL.max(slow);
    let fit = LONGEST_PROBING.as_secs_f64() / interval.as_secs_f64();
    Order::Probes {
        count: PROBES.min(fit as u32).max(FEWEST_PROBES),
        interval: u64::try_from(interval.as_nanos()).unwrap_or(u64::MAX),
        bytes: PROBE_BYTES,
    }
}

/// After this the last packet has arrived, if it arrives at all.
fn settle(link: &LinkUnderTest) -> Duration {
    let longest = link
        .asked
        .iter()
        .map(|asked| asked.delay + asked.jitter * 4)
        .max();
    longest.unwrap_or_default() + Duration::from_millis(300)
}

/// A process at one end of a link.
struct ProbeProcess {
    node: String,
    child: Child,
    input: ChildStdin,
    output: Lines<BufReader<ChildStdout>>,
}

impl ProbeProcess {
    async fn start(
        (node, interface): &(String, String),
        end: u8,
        command: &NodeCommand<'_>,
    ) -> Result<ProbeProcess, String> {
        let failed = |error: std::io::Error| format!("cannot start a probe on `{node}`: {error}");
        let mut child = tokio::process::Command::from(command(node, &[VERB.to_owned()]))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .map_err(failed)?;
        let (Some(input), Some(output)) = (child.stdin.take(), child.stdout.take()) else {
            return Err(failed(std::io::Error::other("it cannot be talked to")));
        };
        let mut process = ProbeProcess {
            node: node.clone(),
            child,
            input,
            output: BufReader::new(output).lines(),
        };
        let interface = interface.clone();
        process.order(&Order::Open { interface, end }).await?;
        Ok(process)
    }

    async fn order(&mut self, order: &Order) -> Result<Answer, String> {
        match timeout(PATIENCE, self.exchange(order)).await {
            Ok(Ok(Answer::Failed { reason })) => Err(format!("on `{}`: {reason}", self.node)),
            Ok(Ok(answer)) => Ok(answer),
            Ok(Err(reason)) => {
                let words = self.last_words(reason).await;
                Err(format!("the probe on `{}` ended: {words}", self.node))
            }
            Err(_) => Err(format!("the probe on `{}` does not answer", self.node)),
        }
    }

    async fn exchange(&mut self, order: &Order) -> std::io::Result<Answer> {
        let mut text = serde_json::to_vec(order)?;
        text.push(b'\n');
        self.input.write_all(&text).await?;
        self.input.flush().await?;
        let line = self.output.next_line().await?;
        let line = line.ok_or_else(|| std::io::Error::other("no answer"))?;
        Ok(serde_json::from_str(&line)?)
    }

    /// What it said on standard error, if anything.
    async fn last_words(&mut self, error: std::io::Error) -> String {
        let mut text = String::new();
        if let Some(errors) = &mut self.child.stderr {
            let mut errors = errors.take(2_000);
            let read = errors.read_to_string(&mut text);
            let _ = timeout(Duration::from_secs(1), read).await;
        }
        if text.trim().is_empty() {
            error.to_string()
        } else {
            text.trim().to_owned()
        }
    }

    /// Lets it end.
    async fn end(mut self) {
        drop(self.input);
        if timeout(Duration::from_secs(3), self.child.wait()).await.is_err() {
            let _ = self.child.kill().await;
        }
    }
}
