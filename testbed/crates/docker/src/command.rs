//! One more program in a running container.

use bollard::exec::StartExecResults;
use bollard::models::ExecConfig;
use futures::StreamExt;

use crate::error::{DockerError, words};
use crate::node::NodeContainer;

/// Most of a program's output that is kept, in bytes: its end.
const KEPT: usize = 16 * 1024;

impl NodeContainer {
    /// Runs a program in the container to its end. Returns its exit code and the end of what it printed, both streams in
    /// the order in which the engine passes them on.
    ///
    /// # Errors
    /// When the container does not run or the engine refuses.
    pub async fn run(&self, command: &[&str]) -> Result<(i64, String), DockerError> {
        let failed = |error| DockerError::Container {
            operation: "run a program in",
            container: self.name().to_owned(),
            reason: words(error),
        };
        let config = ExecConfig {
            attach_stdout: Some(true),
            attach_stderr: Some(true),
            cmd: Some(command.iter().map(|word| (*word).to_owned()).collect()),
            ..ExecConfig::default()
        };
        let created = self
            .docker()
            .create_exec(self.name(), config)
            .await
            .map_err(failed)?;
        let started = self
            .docker()
            .start_exec(&created.id, None)
            .await
            .map_err(failed)?;
        let mut kept = Vec::new();
        if let StartExecResults::Attached { mut output, .. } = started {
            while let Some(piece) = output.next().await {
                kept.extend_from_slice(&piece.map_err(failed)?.into_bytes());
                kept.drain(..kept.len().saturating_sub(KEPT));
            }
        }
        let ended = self.docker().inspect_exec(&created.id).await.map_err(failed)?;
        // Without a code the engine has lost sight of it, which is no success.
        let code = ended.exit_code.unwrap_or(-1);
        Ok((code, String::from_utf8_lossy(&kept).into_owned()))
    }
}
