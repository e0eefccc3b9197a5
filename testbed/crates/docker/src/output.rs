//! What a container prints, into a log file.

use std::path::Path;
use std::pin::Pin;

use bollard::container::LogOutput;
use bollard::query_parameters::AttachContainerOptions;
use futures::{Stream, StreamExt};
use tokio::fs::File;
use tokio::io::AsyncWriteExt;

use crate::error::{DockerError, words};
use crate::node::NodeContainer;

/// What a container prints in its next life, both streams in the order in which the engine passes them on.
pub struct ContainerOutput {
    container: String,
    pieces: Pin<Box<dyn Stream<Item = Result<LogOutput, bollard::errors::Error>> + Send>>,
}

impl std::fmt::Debug for ContainerOutput {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("ContainerOutput")
            .field("container", &self.container)
            .finish_non_exhaustive()
    }
}

impl NodeContainer {
    /// Listens to a container that does not run yet, so that nothing it prints is missed and nothing of a life before is
    /// heard again.
    ///
    /// # Errors
    /// When the engine refuses.
    pub async fn listen(&self) -> Result<ContainerOutput, DockerError> {
        let options = AttachContainerOptions {
            stdout: true,
            stderr: true,
            stream: true,
            ..AttachContainerOptions::default()
        };
        let attached = self
            .docker()
            .attach_container(self.name(), Some(options))
            .await
            .map_err(|error| failed(self.name(), error))?;
        Ok(ContainerOutput {
            container: self.name().to_owned(),
            pieces: attached.output,
        })
    }
}

impl ContainerOutput {
    /// Appends what is printed to a file until the container ends.
    ///
    /// # Errors
    /// When the engine does not give it out or the file cannot be written.
    pub async fn copy_to(mut self, path: &Path) -> Result<(), DockerError> {
        let write_error = |source| DockerError::System {
            operation: format!("write {}", path.display()),
            source,
        };
        let mut file = File::options()
            .create(true)
            .append(true)
            .open(path)
            .await
            .map_err(write_error)?;
        while let Some(piece) = self.pieces.next().await {
            let piece = piece.map_err(|error| failed(&self.container, error))?;
            file.write_all(&piece.into_bytes()).await.map_err(write_error)?;
            file.flush().await.map_err(write_error)?;
        }
        Ok(())
    }
}

fn failed(container: &str, error: bollard::errors::Error) -> DockerError {
    DockerError::Container {
        operation: "read the output of",
        container: container.to_owned(),
        reason: words(error),
    }
}
