//! A function that serves HTTP itself, for of-watchdog's mode `http`.

use std::convert::Infallible;
use std::net::Ipv4Addr;

use dfaas_faas::parse_duration;
use http::{HeaderValue, Request, Response};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;

use super::variable;

/// Answers every request on `port` with its body, its path and query (`X-Path`) and the number of this process
/// (`X-Process`), after the time in the request's header `X-Delay`.
pub(super) fn serve() -> Result<String, String> {
    let text = variable("port");
    let port: u16 = match text.as_str() {
        "" => 8082,
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

async fn answer(request: Request<Incoming>) -> Result<Response<Incoming>, Infallible> {
    let delay = request
        .headers()
        .get("x-delay")
        .and_then(|text| text.to_str().ok());
    if let Some(delay) = delay.and_then(parse_duration) {
        tokio::time::sleep(delay).await;
    }
    let path = HeaderValue::from_str(&request.uri().to_string());
    let mut response = Response::new(request.into_body());
    if let Ok(path) = path {
        response.headers_mut().insert("x-path", path);
    }
    response
        .headers_mut()
        .insert("x-process", std::process::id().into());
    Ok(response)
}
