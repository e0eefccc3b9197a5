//! A number of clients, each on a connection of its own, that send the next request when they have the last reply: the
//! load with which the real platform was measured. Prints one line as that measurement did.
//!
//! `closed_loop ADDRESS load PATH CLIENTS SECONDS BODY`. `closed_loop ADDRESS idle COUNT` opens connections, asks once on
//! each, and tells how many still answer after a while. `closed_loop ADDRESS cold COUNT` deploys functions one by one and
//! tells how long it takes from the request for a deployment to the first reply of the function.

// A program for measurements: it speaks to whoever runs it, and a failure is its end.
#![allow(clippy::print_stdout, clippy::unwrap_used)]

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::{Method, Request};
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    match arguments.as_slice() {
        [address, "idle", count] => {
            runtime.block_on(idle(address.parse().unwrap(), count.parse().unwrap()));
        }
        [address, "cold", count] => {
            runtime.block_on(cold(address.parse().unwrap(), count.parse().unwrap()));
        }
        [address, "load", path, clients, seconds, body] => {
            let time = Duration::from_secs_f64(seconds.parse().unwrap());
            let (address, clients) = (address.parse().unwrap(), clients.parse().unwrap());
            runtime.block_on(load(address, path, clients, time, body));
        }
        _ => panic!("expected ADDRESS and load PATH CLIENTS SECONDS BODY, idle COUNT or cold COUNT"),
    }
}

async fn connect(address: SocketAddr) -> SendRequest<Full<Bytes>> {
    let stream = TcpStream::connect(address).await.unwrap();
    stream.set_nodelay(true).unwrap();
    let (sender, connection) = http1::handshake(TokioIo::new(stream)).await.unwrap();
    tokio::spawn(connection);
    sender
}

fn request(method: Method, path: &str, body: Bytes) -> Request<Full<Bytes>> {
    let mut request = Request::new(Full::new(body));
    *request.method_mut() = method;
    *request.uri_mut() = path.parse().unwrap();
    request.headers_mut().insert("host", "bench".parse().unwrap());
    request
}

/// The status of a reply that has been read to its end.
async fn ask(sender: &mut SendRequest<Full<Bytes>>, request: Request<Full<Bytes>>) -> u16 {
    let reply = sender.send_request(request).await.unwrap();
    let status = reply.status().as_u16();
    reply.into_body().collect().await.unwrap();
    status
}

async fn load(address: SocketAddr, path: &str, clients: usize, time: Duration, body: &str) {
    let (end, body) = (Instant::now() + time, Bytes::from(body.to_owned()));
    let client = |path: String, body: Bytes| async move {
        let mut sender = connect(address).await;
        let mut replies = Vec::new();
        while replies.is_empty() || Instant::now() < end {
            let asked = Instant::now();
            let status = ask(&mut sender, request(Method::POST, &path, body.clone())).await;
            replies.push((asked.elapsed(), status));
        }
        replies
    };
    let started = Instant::now();
    let tasks: Vec<_> = (0..clients)
        .map(|_| tokio::spawn(client(path.to_owned(), body.clone())))
        .collect();
    let mut replies = Vec::new();
    for task in tasks {
        replies.extend(task.await.unwrap());
    }
    let taken = started.elapsed().as_secs_f64();
    replies.sort_unstable();
    let at = |share: f64| {
        let index = ((replies.len() - 1) as f64 * share) as usize;
        replies[index].0.as_secs_f64() * 1e3
    };
    println!(
        "c={clients}: req={} non2xx={} p50={:.1}ms p90={:.1}ms p99={:.1}ms max={:.1}ms rps={:.1}",
        replies.len(),
        replies
            .iter()
            .filter(|(_, status)| !(200..300).contains(status))
            .count(),
        at(0.5),
        at(0.9),
        at(0.99),
        at(1.0),
        replies.len() as f64 / taken
    );
}

async fn idle(address: SocketAddr, count: usize) {
    let mut senders = Vec::with_capacity(count);
    for _ in 0..count {
        let mut sender = connect(address).await;
        ask(&mut sender, request(Method::GET, "/healthz", Bytes::new())).await;
        senders.push(sender);
    }
    tokio::time::sleep(Duration::from_secs(2)).await;
    let mut alive = 0;
    for sender in &mut senders {
        alive += usize::from(ask(sender, request(Method::GET, "/healthz", Bytes::new())).await == 200);
    }
    println!("{alive} of {count} idle connections answer");
}

async fn cold(address: SocketAddr, count: usize) {
    let mut taken = Vec::with_capacity(count);
    for number in 0..count {
        let mut sender = connect(address).await;
        let body = format!(r#"{{"service":"cold{number}","image":"cat"}}"#);
        let asked = Instant::now();
        let deployed = ask(
            &mut sender,
            request(Method::POST, "/system/functions", body.into()),
        )
        .await;
        assert_eq!(deployed, 200);
        let path = format!("/function/cold{number}");
        assert_eq!(
            ask(&mut sender, request(Method::POST, &path, Bytes::from("x"))).await,
            200
        );
        taken.push(asked.elapsed().as_secs_f64() * 1e3);
    }
    taken.sort_by(f64::total_cmp);
    println!(
        "from deployment to the first reply: median {:.1} ms, max {:.1} ms of {count}",
        taken[count / 2],
        taken[count - 1]
    );
}
