//! One HTTP request at a time, bounded in time and size.

use http_body_util::{BodyExt as _, Full, Limited};
use hyper::body::Bytes;
use hyper::{Method, Request, header};
use hyper_util::rt::TokioIo;
use std::time::Duration;
use tokio::net::TcpStream;

const PATIENCE: Duration = Duration::from_secs(5);
/// Ten thousand functions' worth of list.
const MAXIMUM_BODY: usize = 8 << 20;

/// What to ask.
#[derive(Debug)]
pub(crate) struct Question<'a> {
    pub(crate) method: Method,
    pub(crate) path: &'a str,
    /// User and password for HTTP Basic authentication.
    pub(crate) credentials: Option<&'a (String, String)>,
    /// JSON.
    pub(crate) body: Option<String>,
    pub(crate) patience: Duration,
}

impl<'a> Question<'a> {
    /// `GET path`.
    pub(crate) fn get(path: &'a str) -> Self {
        Self {
            method: Method::GET,
            path,
            credentials: None,
            body: None,
            patience: PATIENCE,
        }
    }
}

/// Status and body of the answer of `authority` (`host:port`), or why there is none.
pub(crate) async fn ask(authority: &str, question: Question<'_>) -> Result<(u16, Vec<u8>), String> {
    let patience = question.patience;
    tokio::time::timeout(patience, exchange(authority, question))
        .await
        .unwrap_or_else(|_| Err(format!("nothing for {} s", patience.as_secs_f64())))
}

async fn exchange(authority: &str, question: Question<'_>) -> Result<(u16, Vec<u8>), String> {
    let stream = TcpStream::connect(authority)
        .await
        .map_err(|error| error.to_string())?;
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream))
        .await
        .map_err(|error| error.to_string())?;
    let mut request = Request::builder()
        .method(question.method)
        .uri(question.path)
        .header(header::HOST, authority)
        .header(header::CONNECTION, "close");
    if let Some((user, password)) = question.credentials {
        let encoded = base64::Engine::encode(
            &base64::engine::general_purpose::STANDARD,
            format!("{user}:{password}"),
        );
        request = request.header(header::AUTHORIZATION, format!("Basic {encoded}"));
    }
    if question.body.is_some() {
        request = request.header(header::CONTENT_TYPE, "application/json");
    }
    let request = request
        .body(Full::new(Bytes::from(question.body.unwrap_or_default())))
        .map_err(|error| error.to_string())?;
    let answer = async {
        let response = sender
            .send_request(request)
            .await
            .map_err(|error| error.to_string())?;
        let status = response.status().as_u16();
        let body = Limited::new(response.into_body(), MAXIMUM_BODY).collect().await;
        let body = body.map_err(|error| error.to_string())?.to_bytes().to_vec();
        Ok((status, body))
    };
    tokio::pin!(answer);
    tokio::select! {
        answer = &mut answer => answer,
        // The connection may end first, with the answer already received.
        ended = connection => match ended {
            Ok(()) => answer.await,
            Err(error) => Err(error.to_string()),
        },
    }
}
