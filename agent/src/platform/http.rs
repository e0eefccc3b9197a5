//! One GET request at a time, bounded in time and size.

use http_body_util::{BodyExt as _, Empty, Limited};
use hyper::body::Bytes;
use hyper::{Request, header};
use hyper_util::rt::TokioIo;
use std::time::Duration;
use tokio::net::TcpStream;

const PATIENCE: Duration = Duration::from_secs(5);
/// Ten thousand functions' worth of list.
const MAXIMUM_BODY: usize = 8 << 20;

/// Status and body of `GET http://authority/path`, or why there is none.
pub(super) async fn get(
    authority: &str,
    path: &str,
    credentials: Option<&(String, String)>,
) -> Result<(u16, Vec<u8>), String> {
    let request = exchange(authority, path, credentials);
    tokio::time::timeout(PATIENCE, request)
        .await
        .unwrap_or_else(|_| Err(format!("nothing for {} s", PATIENCE.as_secs())))
}

async fn exchange(
    authority: &str,
    path: &str,
    credentials: Option<&(String, String)>,
) -> Result<(u16, Vec<u8>), String> {
    let stream = TcpStream::connect(authority)
        .await
        .map_err(|error| error.to_string())?;
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream))
        .await
        .map_err(|error| error.to_string())?;
    let mut request = Request::get(path)
        .header(header::HOST, authority)
        .header(header::CONNECTION, "close");
    if let Some((user, password)) = credentials {
        let encoded = base64::Engine::encode(
            &base64::engine::general_purpose::STANDARD,
            format!("{user}:{password}"),
        );
        request = request.header(header::AUTHORIZATION, format!("Basic {encoded}"));
    }
    let request = request
        .body(Empty::<Bytes>::new())
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
