//! HAProxy's command sockets: one line in, text out, closed.

use super::ProxyError;
use std::io;
use std::path::PathBuf;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;

/// HAProxy answers from its event loop; longer means it hangs.
const PATIENCE: Duration = Duration::from_secs(3);
/// Nothing we ask for comes near this.
const MAXIMUM_ANSWER: u64 = 4 << 20;
/// HAProxy reads a command line into one buffer of 16 KiB.
const MAXIMUM_LINE: usize = 8 << 10;

/// The one command of ours that has something to say.
const ADDED: &str = "New server registered.";

/// One of HAProxy's sockets.
#[derive(Clone, Debug)]
pub struct CommandSocket {
    path: PathBuf,
}

impl CommandSocket {
    /// The socket at this path; nothing is opened yet.
    #[must_use]
    pub fn new(path: PathBuf) -> Self {
        Self { path }
    }

    /// The answer to one line.
    ///
    /// # Errors
    /// When nobody answers in time.
    pub async fn ask(&self, line: &str) -> Result<String, ProxyError> {
        let answer = tokio::time::timeout(PATIENCE, self.exchange(line)).await;
        answer
            .unwrap_or_else(|_| Err(io::Error::from(io::ErrorKind::TimedOut)))
            .map_err(|source| ProxyError::Socket {
                path: self.path.clone(),
                source,
            })
    }

    /// Runs commands that say nothing of interest when they succeed, as few lines as possible.
    pub(super) async fn run(&self, commands: &[String]) -> Result<(), ProxyError> {
        for line in join(commands) {
            let answer = self.ask(&line).await?;
            let complaints: Vec<&str> = answer
                .lines()
                .map(str::trim)
                .filter(|line| !line.is_empty() && *line != ADDED)
                .collect();
            if !complaints.is_empty() {
                let command = line.chars().take(200).collect();
                return Err(ProxyError::Command {
                    command,
                    answer: complaints.join("; "),
                });
            }
        }
        Ok(())
    }

    async fn exchange(&self, line: &str) -> io::Result<String> {
        let mut stream = UnixStream::connect(&self.path).await?;
        stream.write_all(line.as_bytes()).await?;
        stream.write_all(b"\n").await?;
        // The master process (2.6) answers at once but hangs up only after its client has.
        stream.shutdown().await?;
        let mut answer = Vec::new();
        stream.take(MAXIMUM_ANSWER).read_to_end(&mut answer).await?;
        Ok(String::from_utf8_lossy(&answer).into_owned())
    }
}

/// Commands joined by semicolons into lines that HAProxy can take.
fn join(commands: &[String]) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for command in commands {
        match lines.last_mut() {
            Some(line) if line.len() + command.len() < MAXIMUM_LINE => {
                line.push(';');
                line.push_str(command);
            }
            _ => lines.push(command.clone()),
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_fit_into_haproxys_buffer() {
        let commands: Vec<String> = (0..1000)
            .map(|number| format!("set map /m key{number} 1"))
            .collect();
        let lines = join(&commands);
        assert!(
            lines.iter().all(|line| line.len() <= MAXIMUM_LINE),
            "{}",
            lines.len()
        );
        assert_eq!(lines.join(";").split(';').count(), 1000);
    }
}
