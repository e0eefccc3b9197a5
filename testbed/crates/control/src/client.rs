use std::path::{Path, PathBuf};

use bytes::Bytes;
use http::Response;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper_util::rt::TokioIo;
use serde::de::DeserializeOwned;
use tokio::net::UnixStream;
use tokio::task::JoinHandle;

use crate::stream::ReplyStream;
use crate::{ErrorBody, LabDetail, LinkChange, LinkInfo, paths};

/// The task that keeps a call's connection going.
type Connection = JoinHandle<Result<(), hyper::Error>>;

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

    /// The whole lab as it was sent: for those who read little of it, often.
    ///
    /// # Errors
    /// When the supervisor does not answer.
    pub async fn lab_unread(&self) -> Result<serde_json::Value, ControlError> {
        self.json("GET", paths::LAB, None).await
    }

    /// The lab without its links, whose statistics are most of what [`Client::lab`] has to gather and send.
    ///
    /// # Errors
    /// When the supervisor does not answer.
    pub async fn lab_without_links(&self) -> Result<LabDetail, ControlError> {
        self.json("GET", &format!("{}?links=false", paths::LAB), None)
            .await
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

    /// One link.
    ///
    /// # Errors
    /// Unknown link, or the supervisor does not answer.
    pub async fn link(&self, link: &str) -> Result<LinkInfo, ControlError> {
        self.json("GET", &format!("{}/{}", paths::LINKS, segment(link)), None)
            .await
    }

    /// Changes a running link and returns it.
    ///
    /// # Errors
    /// Unknown link, bad value, or a value that the link's backend cannot do.
    pub async fn change_link(&self, link: &str, change: &LinkChange) -> Result<LinkInfo, ControlError> {
        let path = format!("{}/{}", paths::LINKS, segment(link));
        self.json("PATCH", &path, self.body(change)?).await
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

    pub(crate) async fn json<T: DeserializeOwned>(
        &self,
        method: &str,
        path: &str,
        body: Option<Bytes>,
    ) -> Result<T, ControlError> {
        let reply = self.checked(method, path, body).await?;
        serde_json::from_slice(&reply.body).map_err(|source| self.decode(source))
    }

    /// A value as the body of a request.
    pub(crate) fn body(&self, value: &impl serde::Serialize) -> Result<Option<Bytes>, ControlError> {
        let body = serde_json::to_vec(value).map_err(|source| self.decode(source))?;
        Ok(Some(body.into()))
    }

    async fn checked(&self, method: &str, path: &str, body: Option<Bytes>) -> Result<Reply, ControlError> {
        let headers = match body {
            Some(_) => vec![("content-type".to_owned(), "application/json".to_owned())],
            None => Vec::new(),
        };
        let reply = self
            .send(method, path, &headers, body.unwrap_or_default())
            .await?;
        self.accepted(method, path, reply)
    }

    /// The reply, or the supervisor's reason why it refused.
    fn accepted(&self, method: &str, path: &str, reply: Reply) -> Result<Reply, ControlError> {
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

    /// A GET request whose answer has no end in sight.
    pub(crate) async fn stream(&self, path: &str) -> Result<ReplyStream, ControlError> {
        let (response, connection) = self.respond("GET", path, &[], Bytes::new()).await?;
        let status = response.status().as_u16();
        if (200..300).contains(&status) {
            let socket = self.socket.clone();
            return Ok(ReplyStream::new(response.into_body(), connection, socket));
        }
        let reply = self.collected(response, connection).await?;
        Err(match self.accepted("GET", path, reply) {
            Err(error) => error,
            Ok(_) => self.broken(&"its status changed on the way"),
        })
    }

    async fn send(
        &self,
        method: &str,
        path: &str,
        headers: &[(String, String)],
        body: Bytes,
    ) -> Result<Reply, ControlError> {
        let (response, connection) = self.respond(method, path, headers, body).await?;
        self.collected(response, connection).await
    }

    async fn respond(
        &self,
        method: &str,
        path: &str,
        headers: &[(String, String)],
        body: Bytes,
    ) -> Result<(Response<Incoming>, Connection), ControlError> {
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
        Ok((response, connection))
    }

    async fn collected(
        &self,
        response: Response<Incoming>,
        connection: Connection,
    ) -> Result<Reply, ControlError> {
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
        connection.abort();
        Ok(Reply {
            status,
            headers,
            body,
        })
    }

    fn broken(&self, error: &dyn std::fmt::Display) -> ControlError {
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
pub(crate) fn segment(text: &str) -> String {
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
