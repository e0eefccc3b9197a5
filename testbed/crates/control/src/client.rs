use std::path::{Path, PathBuf};

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper_util::rt::TokioIo;
use serde::de::DeserializeOwned;
use tokio::net::UnixStream;

use crate::{ErrorBody, LabDetail, LinkChange, LinkInfo, paths};

/// Why a call to a lab's supervisor failed.
#[derive(Debug, thiserror::Error)]
pub enum ControlError {
    /// The socket did not accept a connection: the supervisor is gone or not there yet.
    #[error("no supervisor answers on {path}: {source}")]
    Connect {
        /// The control socket.
        path: PathBuf,
        /// Why the connection was refused.
        source: std::io::Error,
    },
    /// The connection broke in the middle of a call.
    #[error("the supervisor on {path} stopped answering: {reason}")]
    Broken {
        /// The control socket.
        path: PathBuf,
        /// What hyper saw.
        reason: String,
    },
    /// The supervisor refused the call.
    #[error("{message}")]
    Refused {
        /// HTTP status of the answer.
        status: u16,
        /// The supervisor's own sentence.
        message: String,
    },
    /// The answer was not what this version expects.
    #[error("unexpected answer from the supervisor on {path}: {source}")]
    Decode {
        /// The control socket.
        path: PathBuf,
        /// Where decoding stopped.
        source: serde_json::Error,
    },
}

/// A whole HTTP answer.
#[derive(Debug, Clone)]
pub struct Reply {
    /// HTTP status.
    pub status: u16,
    /// Headers in the order received; bytes that are not text are replaced.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: Bytes,
}

/// A client of one lab. Every call opens its own connection: calls are rare and a stale connection is one trouble less.
#[derive(Debug, Clone)]
pub struct Client {
    socket: PathBuf,
}

impl Client {
    /// A client of the supervisor that listens on `socket`. Does not connect yet.
    pub fn new(socket: impl Into<PathBuf>) -> Self {
        Self {
            socket: socket.into(),
        }
    }

    /// The control socket this client talks to.
    pub fn socket(&self) -> &Path {
        &self.socket
    }

    /// The whole lab.
    ///
    /// # Errors
    /// When the supervisor does not answer.
    pub async fn lab(&self) -> Result<LabDetail, ControlError> {
        self.json("GET", paths::LAB, None).await
    }

    /// Asks the supervisor to take the lab down; returns before it is gone.
    ///
    /// # Errors
    /// When the supervisor does not answer.
    pub async fn shut_down(&self) -> Result<(), ControlError> {
        self.checked("DELETE", paths::LAB, None).await.map(drop)
    }

    /// Makes sure that `node` has an init process and returns what another process needs to enter it.
    ///
    /// # Errors
    /// Unknown node, or the init cannot be started.
    pub async fn enter_node<T: DeserializeOwned>(&self, node: &str) -> Result<T, ControlError> {
        self.json("POST", &format!("{}/{}/init", paths::NODES, segment(node)), None)
            .await
    }

    /// Changes a running link and returns it.
    ///
    /// # Errors
    /// Unknown link, bad value, or a value that the link's backend cannot do.
    pub async fn change_link(&self, link: &str, change: &LinkChange) -> Result<LinkInfo, ControlError> {
        let body = serde_json::to_vec(change).map_err(|source| self.decode(source))?;
        self.json(
            "PATCH",
            &format!("{}/{}", paths::LINKS, segment(link)),
            Some(body.into()),
        )
        .await
    }

    /// One HTTP request to a port inside a node, sent by the supervisor: it crosses no link.
    ///
    /// # Errors
    /// When the supervisor does not answer. An answer of the node itself is never an error, whatever its status.
    pub async fn node_request(
        &self,
        node: &str,
        port: u16,
        method: &str,
        path: &str,
        headers: &[(String, String)],
        body: Bytes,
    ) -> Result<Reply, ControlError> {
        let path = format!(
            "{}/{}/ports/{port}/{}",
            paths::NODES,
            segment(node),
            path.trim_start_matches('/')
        );
        self.send(method, &path, headers, body).await
    }

    async fn json<T: DeserializeOwned>(
        &self,
        method: &str,
        path: &str,
        body: Option<Bytes>,
    ) -> Result<T, ControlError> {
        let reply = self.checked(method, path, body).await?;
        serde_json::from_slice(&reply.body).map_err(|source| self.decode(source))
    }

    async fn checked(&self, method: &str, path: &str, body: Option<Bytes>) -> Result<Reply, ControlError> {
        let headers = match body {
            Some(_) => vec![("content-type".to_owned(), "application/json".to_owned())],
            None => Vec::new(),
        };
        let reply = self
            .send(method, path, &headers, body.unwrap_or_default())
            .await?;
        if (200..300).contains(&reply.status) {
            return Ok(reply);
        }
        let message = match serde_json::from_slice::<ErrorBody>(&reply.body) {
            Ok(body) => body.error,
            Err(_) => format!("{method} {path} was answered with status {}", reply.status),
        };
        Err(ControlError::Refused {
            status: reply.status,
            message,
        })
    }

    async fn send(
        &self,
        method: &str,
        path: &str,
        headers: &[(String, String)],
        body: Bytes,
    ) -> Result<Reply, ControlError> {
        let stream = UnixStream::connect(&self.socket)
            .await
            .map_err(|source| ControlError::Connect {
                path: self.socket.clone(),
                source,
            })?;
        let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream))
            .await
            .map_err(|error| self.broken(&error))?;
        let connection = tokio::spawn(connection);
        let mut request = http::Request::builder().method(method).uri(path);
        if !headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("host")) {
            request = request.header("host", "lab");
        }
        for (name, value) in headers {
            request = request.header(name, value);
        }
        let request = request
            .body(Full::new(body))
            .map_err(|error| self.broken(&error))?;
        let response = sender
            .send_request(request)
            .await
            .map_err(|error| self.broken(&error))?;
        let status = response.status().as_u16();
        let headers = response
            .headers()
            .iter()
            .map(|(name, value)| {
                (
                    name.to_string(),
                    String::from_utf8_lossy(value.as_bytes()).into_owned(),
                )
            })
            .collect();
        let body = response
            .into_body()
            .collect()
            .await
            .map_err(|error| self.broken(&error))?
            .to_bytes();
        drop(sender);
        connection.abort();
        Ok(Reply {
            status,
            headers,
            body,
        })
    }

    fn broken(&self, error: &dyn std::error::Error) -> ControlError {
        ControlError::Broken {
            path: self.socket.clone(),
            reason: error.to_string(),
        }
    }

    fn decode(&self, source: serde_json::Error) -> ControlError {
        ControlError::Decode {
            path: self.socket.clone(),
            source,
        }
    }
}

/// One path segment, with everything escaped that would end it.
fn segment(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            escaped.push(char::from(byte));
        } else {
            escaped.push_str(&format!("%{byte:02X}"));
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::segment;

    #[test]
    fn a_segment_cannot_leave_its_place_in_the_path() {
        assert_eq!(segment("n1--s1"), "n1--s1");
        assert_eq!(segment("../lab?x"), "..%2Flab%3Fx");
    }
}
