//! An HTTP client that opens a connection per request, and load at a constant rate.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::Instant;

/// An answer. Status 0 means there was none.
#[derive(Clone, Debug, Default)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: BTreeMap<String, String>,
    pub(crate) body: String,
}

/// `GET path` with these headers.
pub(crate) async fn get(address: SocketAddr, path: &str, headers: &[(&str, &str)]) -> Answer {
    request(address, "GET", path, headers, "").await
}

/// `METHOD path` with these headers and this body.
pub(crate) async fn request(
    address: SocketAddr,
    method: &str,
    path: &str,
    headers: &[(&str, &str)],
    body: &str,
) -> Answer {
    let exchange = exchange(address, method, path, headers, body);
    let text = tokio::time::timeout(Duration::from_secs(5), exchange).await;
    text.ok()
        .and_then(Result::ok)
        .and_then(|text| parse(&text))
        .unwrap_or_default()
}

async fn exchange(
    address: SocketAddr,
    method: &str,
    path: &str,
    headers: &[(&str, &str)],
    body: &str,
) -> std::io::Result<String> {
    let mut stream = TcpStream::connect(address).await?;
    let extra: String = headers
        .iter()
        .map(|(name, value)| format!("{name}: {value}\r\n"))
        .collect();
    let length = match body.len() {
        0 => String::new(),
        length => format!("Content-Length: {length}\r\n"),
    };
    let request =
        format!("{method} {path} HTTP/1.1\r\nHost: node\r\nConnection: close\r\n{extra}{length}\r\n{body}");
    stream.write_all(request.as_bytes()).await?;
    let mut text = String::new();
    stream.read_to_string(&mut text).await?;
    Ok(text)
}

fn parse(text: &str) -> Option<Answer> {
    let (head, body) = text.split_once("\r\n\r\n")?;
    let mut lines = head.lines();
    let status = lines.next()?.split(' ').nth(1)?.parse().ok()?;
    let headers = lines.filter_map(|line| line.split_once(": "));
    let headers = headers
        .map(|(name, value)| (name.to_ascii_lowercase(), value.to_owned()))
        .collect();
    Some(Answer {
        status,
        headers,
        body: body.to_owned(),
    })
}

/// What became of a load: answers per second of intended sending, by who served or by status.
#[derive(Debug, Default)]
pub(crate) struct Outcome {
    pub(crate) seconds: Vec<BTreeMap<String, u32>>,
}

impl Outcome {
    /// Mean per second of this kind over the seconds `from..`.
    pub(crate) fn mean(&self, kind: &str, from: usize) -> f64 {
        let seconds = &self.seconds[from..];
        let total: u32 = seconds.iter().filter_map(|second| second.get(kind)).sum();
        f64::from(total) / seconds.len() as f64
    }

    /// Number of answers of this kind.
    pub(crate) fn total(&self, kind: &str) -> u32 {
        self.seconds.iter().filter_map(|second| second.get(kind)).sum()
    }
}

/// Sends `rate` requests per second for `seconds`, never waiting for answers.
pub(crate) async fn load(
    address: SocketAddr,
    path: &'static str,
    headers: &'static [(&'static str, &'static str)],
    rate: u32,
    seconds: u32,
) -> Outcome {
    let begun = Instant::now();
    let mut tasks = Vec::new();
    for number in 0..rate * seconds {
        let offset = Duration::from_secs(1) * number / rate;
        tokio::time::sleep_until(begun + offset).await;
        let second = usize::try_from(number / rate).unwrap();
        tasks.push((second, tokio::spawn(get(address, path, headers))));
    }
    let mut outcome = Outcome {
        seconds: vec![BTreeMap::new(); seconds as usize],
    };
    for (second, task) in tasks {
        let answer = task.await.unwrap();
        let kind = match answer.status {
            200 => answer
                .headers
                .get("x-server")
                .cloned()
                .unwrap_or_else(|| "nobody".to_owned()),
            status => status.to_string(),
        };
        *outcome.seconds[second].entry(kind).or_insert(0) += 1;
    }
    outcome
}

/// Whether a rate is the expected one, but for what a machine busy with other things makes of it: the shares that are
/// told apart here differ by more.
pub(crate) fn near(measured: f64, expected: f64) -> bool {
    (measured - expected).abs() <= 2.0
}
