use bytes::Bytes;
use http_body_util::BodyExt;
use hyper::body::Incoming;
use tokio::task::JoinHandle;

use crate::{ControlError, LabEvent};

/// The body of an answer, as it comes. Dropping it ends the call.
#[derive(Debug)]
pub struct ReplyStream {
    body: Incoming,
    connection: JoinHandle<Result<(), hyper::Error>>,
    socket: std::path::PathBuf,
}

impl ReplyStream {
    pub(crate) fn new(
        body: Incoming,
        connection: JoinHandle<Result<(), hyper::Error>>,
        socket: std::path::PathBuf,
    ) -> Self {
        Self {
            body,
            connection,
            socket,
        }
    }

    /// The next bytes; `None` at the end. May be cancelled: nothing is lost.
    ///
    /// # Errors
    /// [`ControlError::Broken`] when the connection ends before the body does.
    pub async fn next(&mut self) -> Result<Option<Bytes>, ControlError> {
        loop {
            match self.body.frame().await {
                None => return Ok(None),
                Some(Ok(frame)) => {
                    if let Ok(bytes) = frame.into_data() {
                        return Ok(Some(bytes));
                    }
                }
                Some(Err(error)) => {
                    return Err(ControlError::Broken {
                        path: self.socket.clone(),
                        reason: error.to_string(),
                    });
                }
            }
        }
    }
}

impl Drop for ReplyStream {
    fn drop(&mut self) {
        self.connection.abort();
    }
}

/// What happens in a lab, as it happens.
#[derive(Debug)]
pub struct EventStream {
    reply: ReplyStream,
    rest: Vec<u8>,
}

impl EventStream {
    pub(crate) fn new(reply: ReplyStream) -> Self {
        Self {
            reply,
            rest: Vec::new(),
        }
    }

    /// The next event; `None` when the lab stops. May be cancelled: nothing is lost.
    ///
    /// # Errors
    /// When the supervisor goes away without a word, or says something that is no event.
    pub async fn next(&mut self) -> Result<Option<LabEvent>, ControlError> {
        loop {
            if let Some(end) = self.rest.iter().position(|byte| *byte == b'\n') {
                let line: Vec<u8> = self.rest.drain(..=end).collect();
                let event = serde_json::from_slice(&line).map_err(|source| ControlError::Decode {
                    path: self.reply.socket.clone(),
                    source,
                })?;
                return Ok(Some(event));
            }
            match self.reply.next().await? {
                Some(bytes) => self.rest.extend_from_slice(&bytes),
                None => return Ok(None),
            }
        }
    }
}
