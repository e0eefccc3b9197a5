//! Making a running HAProxy take a new configuration.

use super::ProxyError;
use super::socket::CommandSocket;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;
use tokio::process::Command;
use tokio::time::Instant;

/// Loading a configuration takes a second at most; a reload command of the original's kind may be slower.
const CHECK_PATIENCE: Duration = Duration::from_secs(30);

/// Between two questions what became of a reload.
pub(super) const POLL: Duration = Duration::from_millis(20);

/// State of the master process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct MasterState {
    /// Reloads since it was started, failed ones included.
    reloads: u64,
    /// Failed ones since the last that succeeded.
    failed: u64,
}

/// Has the master process reload, and waits for its verdict.
///
/// # Errors
/// When it does not answer, or goes on with the configuration before.
pub(crate) async fn reload(master: &CommandSocket, deadline: Instant) -> Result<(), ProxyError> {
    let before = master_state(master).await?;
    // It begins by replacing itself, which may cut its answer short; its state tells what came of it.
    if let Err(error) = master.ask("reload").await {
        tracing::debug!(%error, "no answer to the reload");
    }
    loop {
        match master_state(master).await {
            Ok(state) if state.reloads > before.reloads => {
                return if state.failed == 0 {
                    Ok(())
                } else {
                    Err(ProxyError::ReloadFailed)
                };
            }
            Err(error) if Instant::now() >= deadline => return Err(error),
            Ok(_) if Instant::now() >= deadline => return Err(ProxyError::ReloadFailed),
            _ => tokio::time::sleep(POLL).await,
        }
    }
}

/// Asks the master what it did.
async fn master_state(master: &CommandSocket) -> Result<MasterState, ProxyError> {
    let text = master.ask("show proc").await?;
    parse_master(&text).ok_or_else(|| ProxyError::Command {
        command: "show proc".to_owned(),
        answer: text,
    })
}

/// The master's line: `26191  master  6 [failed: 1]  0d00h00m13s  2.6.12`.
pub(super) fn parse_master(text: &str) -> Option<MasterState> {
    let line = text
        .lines()
        .find(|line| line.split_whitespace().nth(1) == Some("master"))?;
    let mut words = line.split_whitespace().skip(2);
    let reloads = words.next()?.parse().ok()?;
    let failed = match (words.next(), words.next()) {
        (Some("[failed:"), Some(count)) => count.trim_end_matches(']').parse().ok()?,
        _ => 0,
    };
    Some(MasterState { reloads, failed })
}

/// Has HAProxy check a configuration file without using it.
pub(crate) async fn check(executable: &Path, file: &Path) -> Result<(), ProxyError> {
    let mut command = Command::new(executable);
    command.arg("-c").arg("-f").arg(file);
    let output = finish(command).await.map_err(|source| ProxyError::CheckNotRun {
        path: executable.to_owned(),
        source,
    })?;
    if output.status.success() {
        return Ok(());
    }
    let text = String::from_utf8_lossy(&output.stderr);
    let alerts: Vec<&str> = text.lines().filter(|line| line.starts_with("[ALERT]")).collect();
    let complaint = if alerts.is_empty() {
        text.trim().to_owned()
    } else {
        alerts.join("; ")
    };
    Err(ProxyError::Refused { complaint })
}

/// Runs the user's own reload command.
pub(crate) async fn run_update_command(shell_text: &str) -> Result<(), ProxyError> {
    let mut command = Command::new("/bin/sh");
    command.arg("-c").arg(shell_text);
    let failed = |status: String, complaint: String| ProxyError::UpdateCommand { status, complaint };
    let output = finish(command)
        .await
        .map_err(|error| failed("not run".to_owned(), error.to_string()))?;
    if output.status.success() {
        return Ok(());
    }
    Err(failed(
        output.status.to_string(),
        String::from_utf8_lossy(&output.stderr).trim().to_owned(),
    ))
}

async fn finish(mut command: Command) -> std::io::Result<std::process::Output> {
    command.stdin(Stdio::null()).kill_on_drop(true);
    tokio::time::timeout(CHECK_PATIENCE, command.output())
        .await
        .unwrap_or_else(|_| Err(std::io::Error::from(std::io::ErrorKind::TimedOut)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn as_haproxy_2_6_prints_it() {
        let text = "#<PID>          <type>          <reloads>       <uptime>        <version>      \n\
            26191           master          6 [failed: 1]   0d00h00m13s     2.6.12-1+deb12u4\n\
            # workers\n8264            worker          1               0d00h00m03s     2.6.12-1+deb12u4\n# programs\n\n";
        assert_eq!(
            parse_master(text),
            Some(MasterState {
                reloads: 6,
                failed: 1
            })
        );
        assert_eq!(parse_master("Unknown command"), None);
    }
}
