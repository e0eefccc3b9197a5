//! A client that keeps its connections, as browsers and load generators do.

use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::TcpStream;
use tokio::sync::Mutex;
use tokio::time::Instant;

/// What became of a load.
#[derive(Debug, Default)]
pub(crate) struct Outcome {
    pub(crate) sent: u32,
    /// Answers 200, by X-Server.
    pub(crate) served: BTreeMap<String, u32>,
    /// Anything else, by status or reason.
    pub(crate) failures: BTreeMap<String, u32>,
}

type Idle = Arc<Mutex<Vec<BufReader<TcpStream>>>>;

/// Sends `rate` requests per second for `length`, whatever the answers do, over connections that are used again.
pub(crate) async fn sustain(address: SocketAddr, path: &'static str, rate: u32, length: Duration) -> Outcome {
    let idle = Idle::default();
    let outcome = Arc::new(Mutex::new(Outcome::default()));
    let begun = Instant::now();
    let count = rate * u32::try_from(length.as_secs()).unwrap();
    let mut tasks = Vec::new();
    for number in 0..count {
        tokio::time::sleep_until(begun + Duration::from_secs(1) * number / rate).await;
        let (idle, outcome) = (Arc::clone(&idle), Arc::clone(&outcome));
        tasks.push(tokio::spawn(async move {
            let answer = tokio::time::timeout(Duration::from_secs(10), request(&idle, address, path)).await;
            let mut outcome = outcome.lock().await;
            outcome.sent += 1;
            let kind = match answer {
                Ok(Ok((200, server))) => {
                    *outcome.served.entry(server).or_insert(0) += 1;
                    return;
                }
                Ok(Ok((status, body))) => format!("{status} {body}"),
                Ok(Err(error)) => error.to_string(),
                Err(_) => "no answer".to_owned(),
            };
            *outcome.failures.entry(kind).or_insert(0) += 1;
        }));
    }
    for task in tasks {
        task.await.unwrap();
    }
    Arc::into_inner(outcome).unwrap().into_inner()
}

/// Status and X-Server of one answer; its text instead when it is not 200.
async fn request(idle: &Idle, address: SocketAddr, path: &str) -> io::Result<(u16, String)> {
    // A kept connection that breaks under a request counts as a failure: a client may repeat a GET then (RFC 9110, 9.2.2),
    // but not a POST.
    let kept = idle.lock().await.pop();
    let mut stream = match kept {
        Some(stream) => stream,
        None => BufReader::new(TcpStream::connect(address).await?),
    };
    let (answer, keep) = exchange(&mut stream, path).await?;
    if keep {
        idle.lock().await.push(stream);
    }
    Ok(answer)
}

async fn exchange(stream: &mut BufReader<TcpStream>, path: &str) -> io::Result<((u16, String), bool)> {
    let request = format!("GET {path} HTTP/1.1\r\nHost: node\r\n\r\n");
    stream.get_mut().write_all(request.as_bytes()).await?;
    let mut line = String::new();
    if stream.read_line(&mut line).await? == 0 {
        return Err(io::Error::other("closed without an answer"));
    }
    answer(stream, &line).await
}

async fn answer(stream: &mut BufReader<TcpStream>, first: &str) -> io::Result<((u16, String), bool)> {
    let bad = || io::Error::other("not an HTTP answer");
    let status = first
        .split(' ')
        .nth(1)
        .and_then(|word| word.parse().ok())
        .ok_or_else(bad)?;
    let (mut server, mut length, mut keep) = (String::new(), None, true);
    loop {
        let mut line = String::new();
        if stream.read_line(&mut line).await? == 0 {
            return Err(io::Error::from(io::ErrorKind::UnexpectedEof));
        }
        let Some((name, value)) = line.trim_end().split_once(": ") else {
            break;
        };
        match name.to_ascii_lowercase().as_str() {
            "x-server" => server = value.to_owned(),
            "content-length" => length = value.parse::<usize>().ok(),
            "connection" => keep = !value.eq_ignore_ascii_case("close"),
            _ => {}
        }
    }
    let mut body = vec![0; length.ok_or_else(bad)?];
    stream.read_exact(&mut body).await?;
    let told = if status == 200 {
        server
    } else {
        String::from_utf8_lossy(&body).into_owned()
    };
    Ok(((status, told), keep))
}
