//! Many agents started at once on loopback addresses: how long until all know each other and have heard each other,
//! what memory and processor time each takes then. For `ci/bench.sh`.
//!
//! Usage: `crowd AGENT COUNT SECONDS PERIOD`, with the agent's program, the seconds to watch and the time between two
//! recalculations, for example `5s`.

#![expect(clippy::print_stdout, reason = "this is what it is for")]

use dfaas_agent_api::Identity;
use std::error::Error;
use std::fs::{self, File};
use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, TcpStream};
use std::path::Path;
use std::process::{Child, Command};
use std::time::{Duration, Instant};

const OVERLAY_PORT: u16 = 26_300;
const SERVER_PORT: u16 = 27_308;
/// Clock ticks per second in `/proc/PID/stat`; the same on every Linux that this project knows.
const TICKS: f64 = 100.0;

type Outcome<T> = Result<T, Box<dyn Error>>;

fn main() -> Outcome<()> {
    let mut words = std::env::args().skip(1);
    let (Some(program), Some(count), Some(seconds), Some(period)) =
        (words.next(), words.next(), words.next(), words.next())
    else {
        return Err("usage: crowd AGENT COUNT SECONDS PERIOD".into());
    };
    let (count, watch) = (count.parse()?, Duration::from_secs(seconds.parse()?));
    let directory = std::env::temp_dir().join(format!("dfaas-crowd-{}", std::process::id()));
    let begun = Instant::now();
    let crowd = Crowd {
        agents: (0..count)
            .map(|number| start(&program, &period, number, count, &directory))
            .collect::<Outcome<_>>()?,
    };
    let started = begun.elapsed();
    let connected = wait_for_all(&crowd, begun, "know", connected_peers)?;
    let heard = wait_for_all(&crowd, begun, "have heard", peers_in_table)?;
    println!(
        "{count} agents: started after {:.1} s, all know all after {:.1} s, all tables are full after {:.1} s",
        started.as_secs_f64(),
        connected.as_secs_f64(),
        heard.as_secs_f64()
    );
    std::thread::sleep(Duration::from_secs(10));
    let before = ticks(&crowd)?;
    std::thread::sleep(watch);
    let spent = (ticks(&crowd)? - before) / TICKS / watch.as_secs_f64() / f64::from(count) * 100.0;
    for (field, meaning) in [
        ("VmRSS", "resident"),
        ("RssAnon", "of which own"),
        ("RssFile", "of which the program and its libraries"),
    ] {
        let mut sizes = crowd
            .agents
            .iter()
            .map(|agent| memory(agent, field))
            .collect::<Outcome<Vec<u64>>>()?;
        sizes.sort_unstable();
        let (median, most) = (sizes[sizes.len() / 2], sizes[sizes.len() - 1]);
        println!("  {meaning}: median {median} KiB, most {most} KiB");
    }
    println!("  {spent:.2} % of a core each, over {seconds} s");
    drop(crowd);
    fs::remove_dir_all(&directory)?;
    Ok(())
}

/// Running agents; they end when dropped.
struct Crowd {
    agents: Vec<Child>,
}

impl Drop for Crowd {
    fn drop(&mut self) {
        for agent in &mut self.agents {
            // One that has ended needs no end.
            let _ = agent.kill();
            let _ = agent.wait();
        }
    }
}

fn host(number: u8) -> Ipv4Addr {
    Ipv4Addr::new(127, 99, 0, number + 1)
}

fn identity(number: u8) -> Identity {
    Identity::from_seed(&[number; 32])
}

/// Everyone is told of everyone, as a lab does.
fn start(program: &str, period: &str, number: u8, count: u8, directory: &Path) -> Outcome<Child> {
    let directory = directory.join(number.to_string());
    fs::create_dir_all(&directory)?;
    let path = |name: &str| directory.join(name).to_string_lossy().into_owned();
    fs::write(path("key.pem"), identity(number).to_pem()?)?;
    let others: Vec<String> = (0..count)
        .filter(|other| *other != number)
        .map(|other| {
            format!(
                "/ip4/{}/tcp/{OVERLAY_PORT}/p2p/{}",
                host(other),
                identity(other).peer_id()
            )
        })
        .collect();
    let host = host(number).to_string();
    let environment = [
        ("AGENT_NODE_IP", host.clone()),
        ("AGENT_PRIVATE_KEY_FILE", path("key.pem")),
        ("AGENT_LISTEN", format!("/ip4/{host}/tcp/{OVERLAY_PORT}")),
        ("AGENT_BOOTSTRAP_NODES_LIST", others.join(",")),
        ("AGENT_RECALC_PERIOD", period.to_owned()),
        ("AGENT_HAPROXY_CONFIG_FILE", path("haproxy.cfg")),
        ("AGENT_HAPROXY_EXECUTABLE", String::new()),
        ("AGENT_HAPROXY_SOCK_PATH", path("admin.sock")),
        ("AGENT_HAPROXY_MASTER_SOCK_PATH", path("master.sock")),
        ("AGENT_OPENFAAS_PORT", "1".to_owned()),
        ("AGENT_HTTPSERVER_HOST", host),
        ("AGENT_HTTPSERVER_PORT", SERVER_PORT.to_string()),
    ];
    let log = File::create(path("log"))?;
    Ok(Command::new(program).envs(environment).stderr(log).spawn()?)
}

/// Waits until every agent counts all others: until the first does, then the next. Asking all of them all the time would
/// take the processors from what is measured.
fn wait_for_all(
    crowd: &Crowd,
    begun: Instant,
    what: &str,
    count: fn(u8) -> Option<usize>,
) -> Outcome<Duration> {
    let others = crowd.agents.len().saturating_sub(1);
    for number in 0..u8::try_from(crowd.agents.len())? {
        while count(number).is_none_or(|count| count < others) {
            if begun.elapsed() > Duration::from_secs(120) {
                return Err(format!("agent {number} does not {what} all others").into());
            }
            std::thread::sleep(Duration::from_millis(50));
        }
    }
    Ok(begun.elapsed())
}

/// Peers that an agent is connected to.
fn connected_peers(number: u8) -> Option<usize> {
    let answer = get(number, "/metrics")?;
    let line = answer
        .lines()
        .find_map(|line| line.strip_prefix("dfaas_agent_peers "))?;
    line.parse().ok()
}

/// Peers that have told an agent where their proxy is: the entries of the strategy's table.
fn peers_in_table(number: u8) -> Option<usize> {
    let answer = get(number, "/peers")?;
    let (_, body) = answer.split_once("\r\n\r\n")?;
    let status: serde_json::Value = serde_json::from_str(body).ok()?;
    let peers = status["peers"].as_object()?.values();
    Some(
        peers
            .filter(|peer| peer["connected"] == true && peer["proxy"].is_string())
            .count(),
    )
}

fn get(number: u8, path: &str) -> Option<String> {
    let mut stream = TcpStream::connect((host(number), SERVER_PORT)).ok()?;
    let request = format!("GET {path} HTTP/1.1\r\nHost: agent\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).ok()?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).ok()?;
    Some(answer)
}

fn memory(agent: &Child, field: &str) -> Outcome<u64> {
    let text = fs::read_to_string(format!("/proc/{}/status", agent.id()))?;
    let line = text
        .lines()
        .find(|line| line.starts_with(field))
        .ok_or("no such field")?;
    Ok(line.split_whitespace().nth(1).ok_or("no number")?.parse()?)
}

/// Processor time of all agents so far.
fn ticks(crowd: &Crowd) -> Outcome<f64> {
    let mut sum = 0.0;
    for agent in &crowd.agents {
        let text = fs::read_to_string(format!("/proc/{}/stat", agent.id()))?;
        let (_, rest) = text.rsplit_once(") ").ok_or("not a stat line")?;
        let fields: Vec<&str> = rest.split(' ').collect();
        sum += fields[11].parse::<f64>()? + fields[12].parse::<f64>()?;
    }
    Ok(sum)
}
