//! What HAProxy with the agent's configuration adds to a request, over calling the platform directly: a server that
//! answers at once, keep-alive connections, direct and proxied requests in turn.

#![expect(clippy::print_stdout, reason = "the measurement's result")]

use dfaas_agent::proxy::{Desired, Mode, NodeSettings, Proxy, ProxyPaths, Reload};
use dfaas_agent::strategy::OwnWeights;
use dfaas_agent_api::{InitialSettings, initial_haproxy_configuration};
use std::collections::BTreeMap;
use std::error::Error;
use std::net::{IpAddr, Ipv4Addr};
use std::process::Command;
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

const REQUESTS: usize = 3000;
const ANSWER: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\ndone\n";
const HOST: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let platform = TcpListener::bind((HOST, 0)).await?;
    let platform_port = platform.local_addr()?.port();
    tokio::spawn(answer(platform));
    for (name, mode) in [
        ("overflow", Mode::Overflow),
        (
            "split",
            Mode::Split {
                names_origin: false,
                stages: false,
            },
        ),
    ] {
        measure(name, mode, platform_port).await?;
    }
    Ok(())
}

async fn measure(name: &str, mode: Mode, platform: u16) -> Result<(), Box<dyn Error>> {
    let directory = std::env::temp_dir().join(format!("dfaas-added-latency-{}-{name}", std::process::id()));
    std::fs::create_dir_all(&directory)?;
    let path = |file: &str| directory.join(file).to_string_lossy().into_owned();
    let port = TcpListener::bind((HOST, 0)).await?.local_addr()?.port();
    let metrics = TcpListener::bind((HOST, 0)).await?.local_addr()?.port();
    let initial = InitialSettings {
        runtime_socket: path("admin.sock"),
        binds: vec![format!("{HOST}:{port}")],
        metrics_bind: format!("{HOST}:{metrics}"),
    };
    std::fs::write(path("haproxy.cfg"), initial_haproxy_configuration(&initial))?;
    let master = format!("{},level,admin", path("master.sock"));
    let mut haproxy = Command::new("haproxy");
    haproxy.args(["-W", "-db", "-S", &master, "-f", &path("haproxy.cfg")]);
    let mut haproxy = haproxy
        .stdout(std::process::Stdio::null())
        .stderr(std::process::Stdio::null())
        .spawn()?;
    tokio::time::sleep(Duration::from_millis(500)).await;
    let settings = NodeSettings {
        mode,
        own_id: "me".to_owned(),
        address: HOST,
        binds: initial.binds.clone(),
        metrics_bind: initial.metrics_bind.clone(),
        peers_bind: None,
        runtime_socket: path("admin.sock"),
        threads: 1,
        enforce_limits: true,
        log_requests: false,
        functions: format!("{HOST}:{platform}"),
        agent: format!("{HOST}:1"),
    };
    let paths = ProxyPaths {
        configuration: directory.join("haproxy.cfg"),
        executable: None,
        reload: Reload::Master(directory.join("master.sock")),
    };
    let own = OwnWeights {
        local: 100,
        reject: 0,
    };
    let desired = Desired {
        functions: BTreeMap::from([("figlet".to_owned(), 1_000_000)]),
        own: BTreeMap::from([("figlet".to_owned(), own)]),
        ..Desired::default()
    };
    let loaded = Proxy::new(settings, paths, 1).apply(&desired).await;
    let result = match loaded {
        Ok(_) => compare(platform, port).await,
        Err(error) => Err(error.into()),
    };
    haproxy.kill()?;
    haproxy.wait()?;
    std::fs::remove_dir_all(&directory)?;
    let (direct, proxied) = result?;
    println!(
        "{name:<9} p50 {direct:.3} ms direct, {proxied:.3} ms through HAProxy: {:.3} ms added ({REQUESTS} requests each)",
        proxied - direct
    );
    Ok(())
}

/// Medians in milliseconds.
async fn compare(platform: u16, proxy: u16) -> Result<(f64, f64), Box<dyn Error>> {
    let mut streams = [
        TcpStream::connect((HOST, platform)).await?,
        TcpStream::connect((HOST, proxy)).await?,
    ];
    let mut times = [Vec::new(), Vec::new()];
    for _ in 0..REQUESTS {
        for (stream, times) in streams.iter_mut().zip(&mut times) {
            stream.set_nodelay(true)?;
            let begun = Instant::now();
            stream
                .write_all(b"GET /function/figlet HTTP/1.1\r\nHost: node\r\n\r\n")
                .await?;
            let mut seen = Vec::new();
            let mut buffer = [0; 2048];
            while !seen.ends_with(b"done\n") {
                let count = stream.read(&mut buffer).await?;
                if count == 0 {
                    return Err("the connection was closed".into());
                }
                seen.extend_from_slice(&buffer[..count]);
            }
            if !seen.starts_with(b"HTTP/1.1 200") {
                return Err("not answered with 200".into());
            }
            times.push(begun.elapsed().as_secs_f64() * 1e3);
        }
    }
    let [direct, proxied] = times.map(|mut times: Vec<f64>| {
        times.sort_by(f64::total_cmp);
        times[times.len() / 2]
    });
    Ok((direct, proxied))
}

async fn answer(listener: TcpListener) {
    while let Ok((mut stream, _)) = listener.accept().await {
        tokio::spawn(async move {
            let mut seen = Vec::new();
            let mut buffer = [0; 4096];
            while let Ok(count @ 1..) = stream.read(&mut buffer).await {
                seen.extend_from_slice(&buffer[..count]);
                while let Some(end) = seen.windows(4).position(|window| window == b"\r\n\r\n") {
                    seen.drain(..end + 4);
                    if stream.write_all(ANSWER).await.is_err() {
                        return;
                    }
                }
            }
        });
    }
}
