//! The fuzz targets on the stable toolchain: every stored input, and changed copies of it.

#![expect(clippy::unwrap_used, reason = "a test that cannot read its corpus has failed")]

use std::path::{Path, PathBuf};
use std::time::Duration;

use dfaas_fuzz::Target;
use nix::sys::resource::{Resource, setrlimit};
use nix::time::{ClockId, clock_gettime};
use proptest::prelude::*;
use proptest::sample::Index;
use proptest::test_runner::{Config, FileFailurePersistence, TestRunner};

/// What one input may take of a processor, unoptimised. What grows faster than its input takes minutes.
const LONGEST: Duration = Duration::from_secs(10);
/// The address space that this process may have: an input that makes it ask for more ends the test.
const MEMORY: u64 = 3 << 30;
/// Changed copies per target; a fuzzer does millions.
const CASES: u32 = 100;
/// The longest changed copy, so that copies of copies stay small.
const LENGTH: usize = 64 * 1024;

/// What tends to break parsers, besides the words of the corpus itself.
const WORDS: &[&str] = &[
    "0",
    "-1",
    "1e308",
    "99999999999999999999",
    "18446744073709551615",
    "4294967295",
    "NaN",
    "0.0000001",
    "~",
    "null",
    "true",
    "&a",
    "*a",
    "<<: *a",
    "!!binary",
    "? ",
    "- ",
    ": ",
    "{",
    "}",
    "[",
    "]",
    "|",
    ">",
    "'",
    "\"",
    "\\",
    "#",
    "\n",
    "\t",
    "\r",
    "\u{0}",
    "\u{feff}",
    "ÿ",
    "{i}",
    "count: 1000000",
    "include: lab.yaml",
    "100%",
    "1e9gbit",
    "9999999h",
    "10.0.0.1/0",
    "key=",
    "http_req_cnt=",
    "gpt0=",
    "# table:",
    "function_",
    "value=<",
    "AGENT_",
    "=",
    ",",
    "\\u0000",
    "::/0",
];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../..")
}

/// Every file below a directory; none when there is no such directory.
fn files(directory: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(directory).into_iter().flatten() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files(&path));
        } else {
            let bytes = std::fs::read(&path).unwrap();
            found.push((path, bytes));
        }
    }
    found.sort();
    found
}

fn corpus(target: Target) -> Vec<(PathBuf, Vec<u8>)> {
    let mut inputs = files(&root().join("fuzz/corpus").join(target.name()));
    match target {
        Target::Topology => inputs.extend(files(&root().join("topologies"))),
        Target::Scenario => inputs.extend(files(&root().join("scenarios"))),
        Target::Manifest => inputs.extend(files(&root().join("images/functions"))),
        Target::Message => inputs.extend(messages()),
        Target::Trace
        | Target::Netlink
        | Target::Document
        | Target::RequestTarget
        | Target::Words
        | Target::Haproxy
        | Target::Environment => {}
    }
    assert!(!inputs.is_empty(), "no corpus for {}", target.name());
    inputs
}

/// The messages whose fate the agent's own tests tell, one a line.
fn messages() -> Vec<(PathBuf, Vec<u8>)> {
    let path = root().join("agent/src/reception/corpus.txt");
    let text = std::fs::read_to_string(&path).unwrap();
    let lines = text.lines().filter_map(|line| line.split_once(": "));
    lines
        .map(|(_, message)| (path.clone(), message.as_bytes().to_vec()))
        .collect()
}

fn limit_memory() {
    setrlimit(Resource::RLIMIT_AS, MEMORY, MEMORY).unwrap();
}

/// Runs an input and says how long a processor was busy with it, whatever else the machine does.
fn timed(target: Target, input: &[u8]) -> Duration {
    let clock = || Duration::from(clock_gettime(ClockId::CLOCK_THREAD_CPUTIME_ID).unwrap());
    let start = clock();
    target.run(input);
    clock() - start
}

#[test]
fn every_stored_input_is_taken_or_refused_in_time() {
    limit_memory();
    for target in Target::ALL {
        for (path, input) in corpus(target) {
            let elapsed = timed(target, &input);
            assert!(elapsed < LONGEST, "{} took {elapsed:?}", path.display());
        }
    }
}

/// One change of an input.
#[derive(Debug, Clone)]
enum Change {
    Overwrite(Index, u8),
    Cut(Index, Index),
    Repeat(Index, Index, u8),
    Insert(Index, &'static str),
    Splice(Index, Index, Index),
}

fn change() -> impl Strategy<Value = Change> {
    let place = any::<Index>;
    prop_oneof![
        (place(), any::<u8>()).prop_map(|(at, byte)| Change::Overwrite(at, byte)),
        (place(), place()).prop_map(|(from, to)| Change::Cut(from, to)),
        (place(), place(), 1..20_u8).prop_map(|(from, to, times)| Change::Repeat(from, to, times)),
        (place(), proptest::sample::select(WORDS)).prop_map(|(at, word)| Change::Insert(at, word)),
        (place(), place(), place()).prop_map(|(at, from, to)| Change::Splice(at, from, to)),
    ]
}

fn range(length: usize, from: &Index, to: &Index) -> std::ops::Range<usize> {
    let (from, to) = (from.index(length + 1), to.index(length + 1));
    from.min(to)..from.max(to)
}

impl Change {
    /// `other` is another input of the same kind.
    fn apply(&self, input: &mut Vec<u8>, other: &[u8]) {
        let length = input.len();
        match self {
            Change::Overwrite(at, byte) if length > 0 => input[at.index(length)] = *byte,
            Change::Overwrite(..) => {}
            Change::Cut(from, to) => drop(input.drain(range(length, from, to))),
            Change::Repeat(from, to, times) => {
                let range = range(length, from, to);
                let part = input[range.clone()].repeat(usize::from(*times));
                input.splice(range.end..range.end, part);
            }
            Change::Insert(at, word) => {
                let at = at.index(length + 1);
                input.splice(at..at, word.bytes());
            }
            Change::Splice(at, from, to) => {
                let at = at.index(length + 1);
                input.splice(at..at, other[range(other.len(), from, to)].iter().copied());
            }
        }
        input.truncate(LENGTH);
    }
}

fn changed_copies(target: Target) {
    limit_memory();
    let inputs = corpus(target);
    let config = Config {
        cases: CASES,
        // What fails is to be put into `fuzz/corpus` by hand, with a name that says what it is.
        failure_persistence: None::<Box<FileFailurePersistence>>.map(|it| it as _),
        max_shrink_iters: 2000,
        ..Config::default()
    };
    let input = (
        any::<Index>(),
        any::<Index>(),
        prop::collection::vec(change(), 1..8),
    );
    let outcome = TestRunner::new(config).run(&input, |(first, second, changes)| {
        let mut input = first.get(&inputs).1.clone();
        for change in &changes {
            change.apply(&mut input, &second.get(&inputs).1);
        }
        let elapsed = timed(target, &input);
        prop_assert!(
            elapsed < LONGEST,
            "{elapsed:?} for {:?}",
            String::from_utf8_lossy(&input)
        );
        Ok(())
    });
    outcome.unwrap_or_else(|error| panic!("{}: {error}", target.name()));
}

#[test]
fn changed_topologies_are_taken_or_refused() {
    changed_copies(Target::Topology);
}

#[test]
fn changed_scenarios_are_taken_or_refused() {
    changed_copies(Target::Scenario);
}

#[test]
fn changed_traces_are_taken_or_refused() {
    changed_copies(Target::Trace);
}

#[test]
fn changed_answers_of_the_kernel_are_taken_or_refused() {
    changed_copies(Target::Netlink);
}

#[test]
fn changed_requests_to_the_platform_are_taken_or_refused() {
    changed_copies(Target::Document);
    changed_copies(Target::RequestTarget);
    changed_copies(Target::Words);
}

#[test]
fn changed_manifests_are_taken_or_refused() {
    changed_copies(Target::Manifest);
}

#[test]
fn changed_messages_of_agents_are_taken_or_refused() {
    changed_copies(Target::Message);
}

#[test]
fn changed_answers_of_haproxy_are_taken_or_refused() {
    changed_copies(Target::Haproxy);
}

#[test]
fn changed_environments_are_taken_or_refused() {
    changed_copies(Target::Environment);
}
