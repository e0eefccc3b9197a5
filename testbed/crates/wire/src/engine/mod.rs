//! The engine's handle: starts the threads, knows the links, passes on what is asked.

mod clock;
mod inbox;
mod scheduling;
mod worker;

use std::collections::{BTreeMap, HashSet};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;

use inbox::{Command, Inbox, Report};
use worker::Worker;

use crate::path::Path;
use crate::socket::Sockets;
use crate::statistics::{EngineStatistics, LinkStatistics};
use crate::{Direction, Impairment, Replay, WireError};

pub use scheduling::{Scheduling, real_time_allowed};

/// What all packets on the way may hold, in bytes. A long fat network (10 Gbit/s over 200 ms) just fits.
const MEMORY: usize = 512 << 20;

/// A link as the engine is told of it.
#[derive(Debug, Clone, PartialEq)]
pub struct LinkSpec {
    /// Its name: for [`Engine::set`], statistics, and the key of its random streams.
    pub name: String,
    /// Interface indexes of its two midpoints, in the namespace where the sockets were opened.
    pub interfaces: [u32; 2],
    /// What happens to packets that come from the first interface.
    pub forward: Impairment,
    /// What happens to packets that come from the second interface.
    pub backward: Impairment,
    /// How that changes by itself, forward and backward. A replay begins when the link is added.
    pub replays: [Option<Replay>; 2],
}

impl LinkSpec {
    fn impairment(&self, direction: Direction) -> &Impairment {
        match direction {
            Direction::Forward => &self.forward,
            Direction::Backward => &self.backward,
        }
    }

    fn replay(&self, direction: Direction) -> Option<&Replay> {
        self.replays[direction.source()].as_ref()
    }

    fn check(&self) -> Result<(), WireError> {
        Direction::BOTH.into_iter().try_for_each(|direction| {
            let impairment = self.impairment(direction);
            check(&self.name, direction, impairment.check())?;
            let replay = self
                .replay(direction)
                .map_or(Ok(()), |replay| replay.check(impairment));
            check(&self.name, direction, replay)
        })
    }
}

/// One thread, seen from outside.
#[derive(Debug)]
struct Shard {
    inbox: Arc<Inbox>,
    thread: Option<JoinHandle<()>>,
}

/// The links an engine has, by name, with their interfaces.
type Links = BTreeMap<String, [u32; 2]>;

/// The running engine. All methods may be called from any thread; each waits for the engine, which answers
/// within about a millisecond. Dropping it stops it.
#[derive(Debug)]
pub struct Engine {
    seed: u64,
    shards: Vec<Shard>,
    scheduling: Scheduling,
    links: Mutex<Links>,
    /// Dropped last: the threads use them.
    sockets: Sockets,
}

impl Engine {
    /// Starts the engine's threads and lets packets pass.
    ///
    /// A packet's fate depends on `seed`, the link's name, the direction and how many packets came before it.
    ///
    /// # Errors
    /// If a name or an interface is used twice, an impairment is impossible, or the system refuses a thread or
    /// a socket option.
    pub fn start(sockets: Sockets, seed: u64, links: Vec<LinkSpec>) -> Result<Engine, WireError> {
        check_all(&links)?;
        let mut engine = Engine {
            seed,
            shards: Vec::new(),
            scheduling: Scheduling::Fifo,
            links: Mutex::default(),
            sockets,
        };
        for number in 0..engine.sockets.shards() {
            let (shard, scheduling) = engine.start_thread(number)?;
            engine.shards.push(shard);
            if scheduling == Scheduling::Normal {
                engine.scheduling = Scheduling::Normal;
            }
        }
        let mut waiting = Vec::new();
        for link in links {
            waiting.extend(engine.hand_over(&link));
            waiting.extend(engine.hand_over_replays(&link));
            engine.lock_links().insert(link.name, link.interfaces);
        }
        await_all(waiting)?;
        engine.sockets.bind()?;
        engine.hear_links(&engine.lock_links())?;
        Ok(engine)
    }

    fn start_thread(&self, number: usize) -> Result<(Shard, Scheduling), WireError> {
        let failed = |source| WireError::Thread {
            shard: number,
            source,
        };
        let inbox = Arc::new(Inbox::new().map_err(failed)?);
        let (started, scheduling) = channel();
        let lanes = self.sockets.lanes_of(number);
        let memory = MEMORY / self.sockets.shards();
        let may_leave_unread = self.sockets.has_large_buffers();
        let its_inbox = Arc::clone(&inbox);
        let thread = std::thread::Builder::new()
            .name(format!("wire-{number}"))
            .spawn(move || {
                let scheduling = scheduling::become_punctual();
                // If nobody waits for this any more, a command to stop is on its way.
                let _ = started.send(scheduling);
                Worker::new(lanes, its_inbox, memory, may_leave_unread, scheduling).run();
            })
            .map_err(failed)?;
        let scheduling = scheduling
            .recv()
            .map_err(|_| WireError::Stopped { shard: number })?;
        Ok((
            Shard {
                inbox,
                thread: Some(thread),
            },
            scheduling,
        ))
    }

    /// Adds a link while the engine runs.
    ///
    /// # Errors
    /// As [`Engine::start`].
    pub fn add_link(&self, link: LinkSpec) -> Result<(), WireError> {
        link.check()?;
        let mut links = self.lock_links();
        let used: HashSet<u32> = links.values().flatten().copied().collect();
        if links.contains_key(&link.name) {
            return Err(WireError::DuplicateLink { link: link.name });
        }
        check_interfaces(&link, |interface| used.contains(&interface))?;
        await_all(self.hand_over(&link))?;
        await_all(self.hand_over_replays(&link))?;
        links.insert(link.name, link.interfaces);
        self.hear_links(&links)
    }

    /// Removes a link and drops the packets on it. Its interfaces may be gone already.
    ///
    /// # Errors
    /// If no link has this name.
    pub fn remove_link(&self, link: &str) -> Result<(), WireError> {
        let mut links = self.lock_links();
        let unknown = || WireError::UnknownLink {
            link: link.to_owned(),
        };
        let interfaces = links.remove(link).ok_or_else(unknown)?;
        self.hear_links(&links)?;
        await_all(interfaces.map(|source| self.ask(source, |done| Command::Remove { source, done })))
    }

    /// Changes one direction of a link from now on. No packet is dropped by that: those waiting for the rate
    /// go on at the new one, those past it arrive when they were due.
    ///
    /// # Errors
    /// If no link has this name, or the impairment is impossible.
    pub fn set(&self, link: &str, direction: Direction, impairment: Impairment) -> Result<(), WireError> {
        check(link, direction, impairment.check())?;
        let source = self.source_of(link, direction)?;
        await_all([self.ask(source, |done| Command::Set {
            source,
            impairment,
            done,
        })])
    }

    /// Begins a replay on one direction of a link now, in place of the one there may be; None ends that.
    ///
    /// # Errors
    /// If no link has this name, or the replay is impossible.
    pub fn replay(&self, link: &str, direction: Direction, replay: Option<Replay>) -> Result<(), WireError> {
        if let Some(replay) = &replay {
            check(link, direction, replay.check(&Impairment::default()))?;
        }
        let source = self.source_of(link, direction)?;
        await_all([self.ask(source, |done| Command::Replay { source, replay, done })])
    }

    /// The interface that packets of a direction come from.
    fn source_of(&self, link: &str, direction: Direction) -> Result<u32, WireError> {
        let interfaces = self.lock_links().get(link).copied();
        let unknown = || WireError::UnknownLink {
            link: link.to_owned(),
        };
        Ok(interfaces.ok_or_else(unknown)?[direction.source()])
    }

    /// Counters of all links, ordered by name. A thread that has ended contributes zeros.
    pub fn statistics(&self) -> Vec<LinkStatistics> {
        let mut report = self.report();
        let links = self.lock_links();
        let link = |(name, interfaces): (&String, &[u32; 2])| {
            let [forward, backward] =
                interfaces.map(|source| report.directions.remove(&source).unwrap_or_default());
            LinkStatistics {
                name: name.clone(),
                forward,
                backward,
            }
        };
        links.iter().map(link).collect()
    }

    /// Counters that belong to no single link.
    pub fn engine_statistics(&self) -> EngineStatistics {
        self.report().engine
    }

    fn report(&self) -> Report {
        let asked: Vec<Receiver<Report>> = (self.shards.iter())
            .map(|shard| {
                let (answer, report) = channel();
                shard.inbox.put(Command::Report { answer });
                report
            })
            .collect();
        let mut whole = Report::default();
        for report in asked.into_iter().filter_map(|report| report.recv().ok()) {
            whole.directions.extend(report.directions);
            whole.engine.merge(&report.engine);
        }
        whole
    }

    /// How the threads are scheduled; `Normal` if any of them is.
    pub fn scheduling(&self) -> Scheduling {
        self.scheduling
    }

    /// Stops the threads and closes the sockets; packets on the way are dropped. Takes some 20 ms, the grace
    /// period in which the kernel lets go of the sockets.
    pub fn stop(self) {
        drop(self);
    }

    fn lock_links(&self) -> MutexGuard<'_, Links> {
        self.links.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn hear_links(&self, links: &Links) -> Result<(), WireError> {
        let interfaces: Vec<u32> = links.values().flatten().copied().collect();
        self.sockets.hear_only(&interfaces)
    }

    fn hand_over(&self, link: &LinkSpec) -> [(usize, Receiver<()>); 2] {
        Direction::BOTH.map(|direction| {
            let source = link.interfaces[direction.source()];
            let output = link.interfaces[1 - direction.source()];
            let impairment = link.impairment(direction).clone();
            let path = Box::new(Path::new(self.seed, &link.name, direction, impairment));
            self.ask(source, |done| Command::Add {
                source,
                output,
                path,
                done,
            })
        })
    }

    fn hand_over_replays(&self, link: &LinkSpec) -> Vec<(usize, Receiver<()>)> {
        let directions = Direction::BOTH.into_iter();
        let begin = |direction: Direction| {
            let source = link.interfaces[direction.source()];
            let replay = Some(link.replay(direction)?.clone());
            Some(self.ask(source, |done| Command::Replay { source, replay, done }))
        };
        directions.filter_map(begin).collect()
    }

    /// Sends a command to the thread that hears an interface.
    fn ask(&self, interface: u32, command: impl FnOnce(Sender<()>) -> Command) -> (usize, Receiver<()>) {
        let number = self.sockets.shard_of(interface);
        let (done, answer) = channel();
        if let Some(shard) = self.shards.get(number) {
            shard.inbox.put(command(done));
        }
        (number, answer)
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        for shard in &self.shards {
            shard.inbox.put(Command::Stop);
        }
        for thread in self.shards.iter_mut().filter_map(|shard| shard.thread.take()) {
            // A thread that panicked has already said so.
            let _ = thread.join();
        }
    }
}

fn await_all(answers: impl IntoIterator<Item = (usize, Receiver<()>)>) -> Result<(), WireError> {
    let await_one =
        |(shard, answer): (usize, Receiver<()>)| answer.recv().map_err(|_| WireError::Stopped { shard });
    answers.into_iter().try_for_each(await_one)
}

fn check(link: &str, direction: Direction, found: Result<(), String>) -> Result<(), WireError> {
    let invalid = |reason| WireError::InvalidImpairment {
        link: link.to_owned(),
        direction,
        reason,
    };
    found.map_err(invalid)
}

fn check_all(links: &[LinkSpec]) -> Result<(), WireError> {
    let mut names = HashSet::new();
    let mut used = HashSet::new();
    for link in links {
        link.check()?;
        if !names.insert(link.name.as_str()) {
            return Err(WireError::DuplicateLink {
                link: link.name.clone(),
            });
        }
        check_interfaces(link, |interface| used.contains(&interface))?;
        used.extend(link.interfaces);
    }
    Ok(())
}

fn check_interfaces(link: &LinkSpec, is_used: impl Fn(u32) -> bool) -> Result<(), WireError> {
    let [first, second] = link.interfaces;
    for interface in link.interfaces {
        if first == second || is_used(interface) {
            return Err(WireError::SharedInterface {
                link: link.name.clone(),
                interface,
            });
        }
    }
    Ok(())
}
