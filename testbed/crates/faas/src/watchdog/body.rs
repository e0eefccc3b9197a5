//! A request's body on its way to a process: small ones are read before the process starts, large ones flow
//! while it runs, so that no body has to fit in memory.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http_body_util::BodyExt;
use indexmap::IndexMap;
use serde::Serialize;
use tokio::io::AsyncWriteExt;
use tokio::net::unix::pipe;
use tokio::time::{Instant, timeout_at};

use super::Invocation;
use super::environment::passed_headers;
use crate::call::RequestBody;

/// What is read before the process starts: what one pipe holds.
const READ_AHEAD: usize = 64 * 1024;

/// A body of which the first part is here.
pub(super) struct Body {
    read: Vec<Bytes>,
    rest: Option<RequestBody>,
    /// When the body has to be complete.
    deadline: Option<Instant>,
}

impl Body {
    /// Reads the first part of the body, or all of it when it is small.
    ///
    /// # Errors
    /// The watchdog's sentence when the body breaks off or is late.
    pub(super) async fn begin(incoming: RequestBody, deadline: Option<Instant>) -> Result<Self, String> {
        let mut body = Body {
            read: Vec::new(),
            rest: Some(incoming),
            deadline,
        };
        let mut length = 0;
        while length < READ_AHEAD {
            let Some(chunk) = body.next().await? else { break };
            length += chunk.len();
            body.read.push(chunk);
        }
        Ok(body)
    }

    /// No body at all.
    pub(super) fn empty() -> Self {
        Body {
            read: Vec::new(),
            rest: None,
            deadline: None,
        }
    }

    /// The whole body, when it is complete and at most `limit` bytes.
    pub(super) fn complete_within(&self, limit: usize) -> Option<Vec<u8>> {
        let length: usize = self.read.iter().map(Bytes::len).sum();
        (self.rest.is_none() && length <= limit).then(|| self.read.concat())
    }

    /// The next part that has not been read yet.
    async fn next(&mut self) -> Result<Option<Bytes>, String> {
        loop {
            let Some(incoming) = &mut self.rest else {
                return Ok(None);
            };
            let frame = match self.deadline {
                None => incoming.frame().await,
                Some(deadline) => timeout_at(deadline, incoming.frame())
                    .await
                    .map_err(|_| "read of the request's body: i/o timeout".to_owned())?,
            };
            match frame {
                None => self.rest = None,
                Some(Err(error)) => return Err(format!("read of the request's body: {error}")),
                Some(Ok(frame)) => {
                    if let Ok(data) = frame.into_data() {
                        return Ok(Some(data));
                    }
                }
            }
        }
    }

    /// Writes the body to the process and closes its standard input. A process that stops reading is no
    /// error: the rest is then read and thrown away, so that the client can finish sending.
    ///
    /// # Errors
    /// The watchdog's sentence when the body breaks off or is late.
    pub(super) async fn feed(mut self, mut stdin: pipe::Sender) -> Result<(), String> {
        let mut reading = true;
        for chunk in std::mem::take(&mut self.read) {
            reading = reading && stdin.write_all(&chunk).await.is_ok();
        }
        while let Some(chunk) = self.next().await? {
            reading = reading && stdin.write_all(&chunk).await.is_ok();
        }
        Ok(())
    }

    /// Reads the whole body, at most `limit` bytes.
    ///
    /// # Errors
    /// A sentence when it is longer, breaks off or is late.
    async fn collect(mut self, limit: usize) -> Result<Vec<u8>, String> {
        let mut whole = self.read.concat();
        while let Some(chunk) = self.next().await? {
            whole.extend_from_slice(&chunk);
            if whole.len() > limit {
                return Err(format!("request body larger than {limit} bytes"));
            }
        }
        Ok(whole)
    }

    /// Headers and body as the one JSON document that `marshal_request` asks for.
    ///
    /// # Errors
    /// As [`Body::collect`].
    pub(super) async fn marshal(self, invocation: &Headers, limit: usize) -> Result<Self, String> {
        #[derive(Serialize)]
        struct Document<'a> {
            header: &'a IndexMap<String, Vec<String>>,
            body: Raw,
        }
        #[derive(Serialize)]
        struct Raw {
            raw: String,
        }
        let raw = STANDARD.encode(self.collect(limit).await?);
        let document = Document {
            header: &invocation.0,
            body: Raw { raw },
        };
        let document = crate::json::to_bytes(&document).map_err(|error| error.to_string())?;
        Ok(Body {
            read: vec![document.into()],
            rest: None,
            deadline: None,
        })
    }
}

/// The headers of a request for [`Body::marshal`], sorted by name.
pub(super) struct Headers(IndexMap<String, Vec<String>>);

impl Headers {
    pub(super) fn of(invocation: &Invocation) -> Self {
        let text = |value: Vec<u8>| String::from_utf8_lossy(&value).into_owned();
        let mut headers: IndexMap<_, _> = passed_headers(invocation)
            .into_iter()
            .map(|(name, values)| (name, values.into_iter().map(text).collect()))
            .collect();
        headers.sort_unstable_keys();
        Headers(headers)
    }
}
