//! Functions that serve HTTP themselves, for of-watchdog's mode `http`.

use std::convert::Infallible;
use std::error::Error;
use std::net::Ipv4Addr;

use http::{Request, Response};
use hyper::body::{Body, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;

use super::variable;

/// Where it listens unless the variable `port` says otherwise.
const PORT: u16 = 8082;

/// Answers every request on the port of the function's environment.
pub(super) fn serve<F, A, B>(answer: F) -> Result<String, String>
where
    F: Fn(Request<Incoming>) -> A + Copy + Send + 'static,
    A: Future<Output = Result<Response<B>, Infallible>> + Send + 'static,
    B: Body<Data: Send, Error: Into<Box<dyn Error + Send + Sync>>> + Send + 'static,
{
    let text = variable("port");
    let port: u16 = match text.as_str() {
        "" => PORT,
        text => text
            .parse()
            .map_err(|_| format!("port {text:?}: expected a number up to 65535"))?,
    };
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| error.to_string())?;
    runtime.block_on(async {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port))
            .await
            .map_err(|error| format!("cannot listen on 127.0.0.1:{port}: {error}"))?;
        loop {
            // Out of descriptors or of luck: the next one may go better.
            let Ok((stream, _)) = listener.accept().await else {
                continue;
            };
            tokio::spawn(async move {
                // Whoever went away is no trouble of ours.
                let _ = http1::Builder::new()
                    .serve_connection(TokioIo::new(stream), service_fn(answer))
                    .await;
            });
        }
    })
}
