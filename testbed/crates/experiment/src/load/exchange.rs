use std::collections::BTreeMap;
use std::error::Error;

use http_body_util::BodyExt;

use super::connection::{ConnectError, ConnectionPool};
use super::template::RequestTemplate;

/// A response that was read to its end, or as far as it came.
#[derive(Debug, Default)]
pub(super) struct Answer {
    pub(super) code: u16,
    pub(super) bytes_in: u64,
    pub(super) headers: BTreeMap<String, Vec<String>>,
    pub(super) error: String,
}

impl Answer {
    /// The answer of a request that got no complete response.
    pub(super) fn failed(error: String) -> Answer {
        Answer {
            error,
            ..Answer::default()
        }
    }
}

/// Sends one request and reads the response to its end.
///
/// A connection that turns out to be closed before anything was sent on it is replaced; a request of which the server
/// may have seen a part is never sent twice.
pub(super) async fn exchange(template: &RequestTemplate, pool: &std::sync::Arc<ConnectionPool>) -> Answer {
    let mut request = template.request();
    loop {
        let mut connection = match pool.acquire().await {
            Ok(connection) => connection,
            Err(error) => return Answer::failed(describe_connect(&error)),
        };
        match connection.sender.try_send_request(request).await {
            Ok(response) => {
                let (parts, mut body) = response.into_parts();
                let mut answer = Answer {
                    headers: template.recorded(&parts.headers),
                    ..Answer::default()
                };
                while let Some(frame) = body.frame().await {
                    match frame {
                        Ok(frame) => answer.bytes_in += frame.data_ref().map_or(0, |data| data.len() as u64),
                        Err(error) => {
                            answer.error = format!("read response: {}", chain(&error));
                            return answer;
                        }
                    }
                }
                answer.code = parts.status.as_u16();
                let pool = std::sync::Arc::clone(pool);
                tokio::spawn(async move { pool.release(connection).await });
                return answer;
            }
            Err(mut failure) => match failure.take_message() {
                Some(unsent) if connection.reused => request = unsent,
                _ => return Answer::failed(format!("send request: {}", chain(failure.error()))),
            },
        }
    }
}

fn describe_connect(error: &ConnectError) -> String {
    match error {
        // The operating system's texts carry their number, which says nothing to a reader.
        ConnectError::Tcp { target, source } if source.kind() == std::io::ErrorKind::ConnectionRefused => {
            format!("connect to {target}: connection refused")
        }
        other => other.to_string(),
    }
}

/// An error with its causes, each only once: libraries differ in whether they repeat them.
fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let part = error.to_string();
        if !text.contains(&part) {
            text.push_str(": ");
            text.push_str(&part);
        }
        cause = error.source();
    }
    text
}
