//! Which images there are: each is a manifest that says what stands for it on this machine.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use serde::Deserialize;

use crate::error::FaasError;
use crate::reference;

/// The manifests this program carries, by image name.
const BUILT_IN: &[(&str, &str)] = &[
    (
        "alpine",
        include_str!("../../../../images/functions/alpine/image.yaml"),
    ),
    ("cat", include_str!("../../../../images/functions/cat/image.yaml")),
    (
        "curl",
        include_str!("../../../../images/functions/curl/image.yaml"),
    ),
    (
        "eat-memory",
        include_str!("../../../../images/functions/eat-memory/image.yaml"),
    ),
    (
        "echo",
        include_str!("../../../../images/functions/echo/image.yaml"),
    ),
    ("env", include_str!("../../../../images/functions/env/image.yaml")),
    (
        "figlet",
        include_str!("../../../../images/functions/figlet/image.yaml"),
    ),
    (
        "imagemagick",
        include_str!("../../../../images/functions/imagemagick/image.yaml"),
    ),
    (
        "model",
        include_str!("../../../../images/functions/model/image.yaml"),
    ),
    (
        "nodeinfo",
        include_str!("../../../../images/functions/nodeinfo/image.yaml"),
    ),
    ("ocr", include_str!("../../../../images/functions/ocr/image.yaml")),
    (
        "sentimentanalysis",
        include_str!("../../../../images/functions/sentimentanalysis/image.yaml"),
    ),
    (
        "shasum",
        include_str!("../../../../images/functions/shasum/image.yaml"),
    ),
    (
        "sleep",
        include_str!("../../../../images/functions/sleep/image.yaml"),
    ),
];

/// One image: what the file `image.yaml` in its folder says.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Image {
    /// One line for people.
    pub description: String,
    /// Repositories this manifest answers for, besides its own name, without tag; any tag is served.
    #[serde(default)]
    pub references: Vec<String>,
    /// How requests reach the program.
    pub watchdog: WatchdogMode,
    /// Programs it needs, with the distribution's package that has them.
    #[serde(default)]
    pub programs: BTreeMap<String, String>,
    /// Which network its functions have.
    #[serde(default)]
    pub network: Network,
    /// Where the manifest was read from: its functions see this directory, read-only, at `/home/app/function`.
    #[serde(skip)]
    pub directory: Option<PathBuf>,
    /// The image's environment; `fprocess` is the command to run.
    #[serde(default)]
    pub environment: BTreeMap<String, String>,
}

/// How requests reach a function's program.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum WatchdogMode {
    /// One process per request: body on its standard input, reply on its standard output.
    Classic,
    /// As the variable `mode` says: `http` (the process serves HTTP at `upstream_url`), `streaming`, `serializing` or
    /// `static`.
    OfWatchdog,
}

/// Which network a function has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Network {
    /// A loopback of its own, and nothing else.
    #[default]
    Own,
    /// That of the node.
    Node,
}

/// All images, found by their references.
#[derive(Clone, Debug)]
pub struct Catalogue {
    images: BTreeMap<String, Image>,
    /// Full repository → name in `images`.
    repositories: BTreeMap<String, String>,
}

impl Catalogue {
    /// The images this program carries.
    ///
    /// # Errors
    /// [`FaasError::Manifest`] names a manifest that is wrong.
    pub fn built_in() -> Result<Self, FaasError> {
        let mut catalogue = Catalogue {
            images: BTreeMap::new(),
            repositories: BTreeMap::new(),
        };
        for (name, manifest) in BUILT_IN {
            catalogue.add(name, manifest, name)?;
        }
        Ok(catalogue)
    }

    /// Adds the images of `directory`: each folder with an `image.yaml` is one, named like the folder, and
    /// replaces a built-in image of that name.
    ///
    /// # Errors
    /// [`FaasError::Read`] and [`FaasError::Manifest`] name the file.
    pub fn add_directory(&mut self, directory: &Path) -> Result<(), FaasError> {
        let unreadable = |source| FaasError::Read {
            path: directory.to_owned(),
            source,
        };
        for entry in fs::read_dir(directory).map_err(unreadable)? {
            let entry = entry.map_err(unreadable)?;
            let path = entry.path().join("image.yaml");
            if !path.is_file() {
                continue;
            }
            let manifest = fs::read_to_string(&path).map_err(|source| FaasError::Read {
                path: path.clone(),
                source,
            })?;
            let name = entry.file_name().to_string_lossy().into_owned();
            self.add(&name, &manifest, &path.display().to_string())?;
            if let Some(image) = self.images.get_mut(&name) {
                image.directory = Some(std::path::absolute(entry.path()).map_err(unreadable)?);
            }
        }
        Ok(())
    }

    fn add(&mut self, name: &str, manifest: &str, origin: &str) -> Result<(), FaasError> {
        let wrong = |reason: String| FaasError::Manifest {
            origin: origin.to_owned(),
            reason,
        };
        let image: Image = serde_yaml::from_str(manifest).map_err(|error| wrong(error.to_string()))?;
        self.repositories.retain(|_, of| of != name);
        for text in image.references.iter().map(String::as_str).chain([name]) {
            let reference = reference::parse(text).map_err(|reason| wrong(format!("{reason}: {text:?}")))?;
            self.repositories.insert(reference.repository, name.to_owned());
        }
        self.images.insert(name.to_owned(), image);
        Ok(())
    }

    /// The image of a full repository name.
    pub(crate) fn find(&self, repository: &str) -> Option<&Image> {
        self.images.get(self.repositories.get(repository)?)
    }

    /// Names and images, sorted by name.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Image)> {
        self.images.iter().map(|(name, image)| (name.as_str(), image))
    }
}

#[cfg(test)]
mod tests {
    use super::Catalogue;
    use crate::reference;

    fn fprocess(catalogue: &Catalogue, image: &str) -> Option<String> {
        let found = catalogue.find(&reference::parse(image).unwrap().repository)?;
        found.environment.get("fprocess").cloned()
    }

    #[test]
    fn built_in_images_answer_to_their_references() {
        let catalogue = Catalogue::built_in().unwrap();
        assert_eq!(
            fprocess(&catalogue, "ghcr.io/openfaas/figlet:latest").as_deref(),
            Some("figlet")
        );
        assert_eq!(fprocess(&catalogue, "shasum").as_deref(), Some("sha512sum"));
        assert_eq!(
            fprocess(&catalogue, "viveksyngh/openfaas-ocr:0.3.0").as_deref(),
            Some("tesseract stdin stdout -l eng")
        );
        let alpine = reference::parse("functions/alpine").unwrap();
        assert!(catalogue.find(&alpine.repository).is_some());
        assert!(catalogue.find("ghcr.io/nope/none").is_none());
        for (name, image) in catalogue.iter() {
            assert!(!image.description.is_empty(), "{name}");
            let command = image.environment.get("fprocess").cloned();
            assert_eq!(
                fprocess(&catalogue, &format!("ghcr.io/openfaas/{name}:latest")),
                command,
                "{name}"
            );
        }
    }

    #[test]
    fn a_directory_overrides_and_adds() {
        let directory = tempfile::tempdir().unwrap();
        for (name, command) in [("figlet", "tac"), ("mine", "rev")] {
            std::fs::create_dir(directory.path().join(name)).unwrap();
            let manifest = format!(
                "description: mine\nreferences: [example.org/{name}]\nwatchdog: classic\nenvironment: {{ fprocess: {command} }}\n"
            );
            std::fs::write(directory.path().join(name).join("image.yaml"), manifest).unwrap();
        }
        let mut catalogue = Catalogue::built_in().unwrap();
        catalogue.add_directory(directory.path()).unwrap();
        assert_eq!(fprocess(&catalogue, "figlet").as_deref(), Some("tac"));
        assert_eq!(fprocess(&catalogue, "example.org/mine:3").as_deref(), Some("rev"));
        assert!(
            fprocess(&catalogue, "ghcr.io/openfaas/figlet").is_none(),
            "the old references are gone"
        );
    }

    #[test]
    fn a_wrong_manifest_is_named() {
        let directory = tempfile::tempdir().unwrap();
        std::fs::create_dir(directory.path().join("broken")).unwrap();
        std::fs::write(
            directory.path().join("broken/image.yaml"),
            "description: x\ncommand: y\n",
        )
        .unwrap();
        let error = Catalogue::built_in()
            .unwrap()
            .add_directory(directory.path())
            .unwrap_err();
        assert!(error.to_string().contains("broken/image.yaml"), "{error}");
        assert_eq!(error.exit_code(), 2);
    }
}
