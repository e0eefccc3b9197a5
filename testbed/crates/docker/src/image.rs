//! Making sure that an image is there.

use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::{Path, PathBuf};

use bollard::query_parameters::{BuildImageOptions, CreateImageOptions};
use futures::StreamExt;

use crate::archive;
use crate::engine::Engine;
use crate::error::{DockerError, is_missing, words};

/// Where images built from folders are kept on the engine.
const BUILT_REPOSITORY: &str = "dfaas-testbed/built";

/// Where an image comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ImageSource {
    /// By name: the local one if there is one, else pulled from its registry.
    Named(String),
    /// Built from a folder with a `Dockerfile`.
    Folder {
        /// The folder.
        path: PathBuf,
        /// Build arguments.
        arguments: BTreeMap<String, String>,
    },
}

/// What happens to an image, for people who wait.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImageProgress {
    /// The image, or the folder it is built from.
    pub image: String,
    /// One line: a step of the build, or the state of a layer.
    pub text: String,
}

impl Engine {
    /// Makes sure that an image is there and returns the name to create containers from.
    ///
    /// # Errors
    /// [`DockerError::Image`] with the engine's own words.
    pub async fn ensure_image(
        &self,
        source: &ImageSource,
        on_progress: &mut (dyn FnMut(ImageProgress) + Send),
    ) -> Result<String, DockerError> {
        match source {
            ImageSource::Named(name) => {
                if !self.has_image(name).await? {
                    self.pull(name, on_progress).await?;
                }
                Ok(name.clone())
            }
            ImageSource::Folder { path, arguments } => self.build(path, arguments, on_progress).await,
        }
    }

    /// Whether an image is on this machine.
    ///
    /// # Errors
    /// [`DockerError::Image`] when the name is not one.
    pub async fn has_image(&self, name: &str) -> Result<bool, DockerError> {
        match self.docker.inspect_image(name).await {
            Ok(_) => Ok(true),
            Err(error) if is_missing(&error) => Ok(false),
            Err(error) => Err(failed(name, words(error))),
        }
    }

    /// Makes an image out of an archive of its files, as `docker import` does.
    pub(crate) async fn import(
        &self,
        repository: &str,
        tag: &str,
        files: Vec<u8>,
    ) -> Result<(), DockerError> {
        let options = CreateImageOptions {
            from_src: Some("-".to_owned()),
            repo: Some(repository.to_owned()),
            tag: Some(tag.to_owned()),
            ..CreateImageOptions::default()
        };
        let body = bollard::body_full(files.into());
        let mut steps = self.docker.create_image(Some(options), Some(body), None);
        while let Some(step) = steps.next().await {
            step.map_err(|error| failed(repository, words(error)))?;
        }
        Ok(())
    }

    async fn pull(
        &self,
        name: &str,
        on_progress: &mut (dyn FnMut(ImageProgress) + Send),
    ) -> Result<(), DockerError> {
        let options = CreateImageOptions {
            from_image: Some(with_tag(name)),
            ..CreateImageOptions::default()
        };
        let mut steps = self.docker.create_image(Some(options), None, None);
        while let Some(step) = steps.next().await {
            let step = step.map_err(|error| {
                let reason = words(error);
                failed(
                    name,
                    format!("it is not on this machine and cannot be pulled: {reason}"),
                )
            })?;
            if let Some(status) = step.status {
                let text = match step.id {
                    Some(layer) => format!("{layer}: {status}"),
                    None => status,
                };
                on_progress(ImageProgress {
                    image: name.to_owned(),
                    text,
                });
            }
        }
        Ok(())
    }

    async fn build(
        &self,
        path: &Path,
        arguments: &BTreeMap<String, String>,
        on_progress: &mut (dyn FnMut(ImageProgress) + Send),
    ) -> Result<String, DockerError> {
        let subject = path.display().to_string();
        if !path.join("Dockerfile").is_file() {
            return Err(failed(&subject, "the folder has no `Dockerfile`".to_owned()));
        }
        let folder = path.to_owned();
        let context = tokio::task::spawn_blocking(move || archive::folder(&folder)).await;
        let context = context
            .map_err(|error| failed(&subject, error.to_string()))?
            .map_err(|error| failed(&subject, error.to_string()))?;
        let name = built_name(path);
        let options = BuildImageOptions {
            t: Some(name.clone()),
            rm: true,
            forcerm: true,
            buildargs: Some(arguments.clone().into_iter().collect()),
            ..BuildImageOptions::default()
        };
        let body = bollard::body_full(context.into());
        let mut steps = self.docker.build_image(options, None, Some(body));
        while let Some(step) = steps.next().await {
            let step = step.map_err(|error| failed(&subject, words(error)))?;
            if let Some(detail) = step.error_detail {
                return Err(failed(
                    &subject,
                    detail.message.unwrap_or_default().trim().to_owned(),
                ));
            }
            if let Some(text) = step
                .stream
                .as_deref()
                .map(str::trim)
                .filter(|text| !text.is_empty())
            {
                on_progress(ImageProgress {
                    image: subject.clone(),
                    text: text.to_owned(),
                });
            }
        }
        Ok(name)
    }
}

/// The name of the image built from a folder: the same folder always has the same one, so that it replaces itself.
fn built_name(path: &Path) -> String {
    let mut hasher = DefaultHasher::new();
    path.hash(&mut hasher);
    format!("{BUILT_REPOSITORY}:{:016x}", hasher.finish())
}

/// A name without tag and digest would pull every tag there is.
fn with_tag(name: &str) -> String {
    let last = name.rsplit('/').next().unwrap_or(name);
    if last.contains([':', '@']) {
        name.to_owned()
    } else {
        format!("{name}:latest")
    }
}

fn failed(image: &str, reason: String) -> DockerError {
    DockerError::Image {
        image: image.to_owned(),
        reason,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_without_a_tag_means_the_latest() {
        assert_eq!(with_tag("alpine"), "alpine:latest");
        assert_eq!(with_tag("registry:5000/alpine"), "registry:5000/alpine:latest");
        assert_eq!(with_tag("alpine:3"), "alpine:3");
        assert_eq!(with_tag("alpine@sha256:00"), "alpine@sha256:00");
    }
}
