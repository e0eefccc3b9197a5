//! Secrets: files of the platform's own, one per secret in a directory per namespace, that functions see read-only.

use std::fs::{self, DirBuilder, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::Serialize;

use crate::error::FaasError;
use crate::json::{Fields, parse};
use crate::registry::Refusal;

/// Where the original keeps them, for the sentences that name a file.
const ORIGINAL_PLACE: &str = "/var/lib/faasd-provider/secrets";

/// A secret of a request.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Secret {
    name: String,
    namespace: String,
    content: Vec<u8>,
}

impl Secret {
    /// Reads a request body; what is wrong with its form is 500, what is wrong with its name 400, as in the original.
    pub(crate) fn from_body(body: &[u8]) -> Result<Self, Refusal> {
        let value = parse(body).map_err(Refusal::Failed)?;
        let fields = Fields::of(&value, "types", "Secret").map_err(Refusal::Failed)?;
        let text = |name| fields.string(name).map_err(Refusal::Failed);
        let raw = STANDARD.decode(text("rawValue")?.replace(['\r', '\n'], ""));
        let raw = raw.map_err(|error| Refusal::Failed(base64_sentence(&error)))?;
        let content = if raw.is_empty() {
            text("value")?.into_bytes()
        } else {
            raw
        };
        let secret = Secret {
            name: text("name")?,
            namespace: text("namespace")?,
            content,
        };
        if secret.name.is_empty() {
            return Err(Refusal::Invalid("non-empty name is required".to_owned()));
        }
        if secret.name.contains('/') || secret.name.contains("..") {
            return Err(Refusal::Invalid("directory traversal found in name".to_owned()));
        }
        Ok(secret)
    }

    /// The namespace the request names; empty when it names none.
    pub(crate) fn namespace(&self) -> &str {
        &self.namespace
    }
}

/// Go's sentence for what is no base64.
fn base64_sentence(error: &base64::DecodeError) -> String {
    let at = match error {
        base64::DecodeError::InvalidByte(at, _) | base64::DecodeError::InvalidLastSymbol(at, _) => *at,
        base64::DecodeError::InvalidLength(length) => length.saturating_sub(length % 4),
        base64::DecodeError::InvalidPadding => 0,
    };
    format!("illegal base64 data at input byte {at}")
}

/// A secret as it is listed: its content is never told.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Listed {
    name: String,
    namespace: String,
}

/// All secrets.
#[derive(Debug)]
pub(crate) struct Secrets {
    directory: PathBuf,
    /// Whether the directory goes with the platform.
    temporary: bool,
}

impl Secrets {
    /// Secrets below the state directory.
    ///
    /// # Errors
    /// [`FaasError::State`] when their directory cannot be made.
    pub(crate) fn kept(state_directory: &Path) -> Result<Self, FaasError> {
        let directory = state_directory.join("secrets");
        make_directory(&directory).map_err(|source| FaasError::State {
            path: directory.clone(),
            source,
        })?;
        Ok(Secrets {
            directory,
            temporary: false,
        })
    }

    /// Secrets in a directory that is made for the first of them and goes with the platform.
    pub(crate) fn temporary(directory: PathBuf) -> Self {
        Secrets {
            directory,
            temporary: true,
        }
    }

    /// The secrets of a namespace, sorted by name.
    pub(crate) fn list(&self, namespace: &str) -> Result<Vec<Listed>, Refusal> {
        let entries = match fs::read_dir(self.directory.join(namespace)) {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(failed("open", namespace, "", &error)),
        };
        let mut names: Vec<String> = entries
            .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
            .collect();
        names.sort();
        let listed = |name| Listed {
            name,
            namespace: namespace.to_owned(),
        };
        Ok(names.into_iter().map(listed).collect())
    }

    /// Writes a secret, over one of the same name.
    pub(crate) fn put(&self, namespace: &str, secret: &Secret) -> Result<(), Refusal> {
        let directory = self.directory.join(namespace);
        let name = secret.name.as_str();
        // In place, because functions see this very file.
        let written = make_directory(&directory).and_then(|()| {
            let mut file = OpenOptions::new()
                .write(true)
                .create(true)
                .truncate(true)
                .mode(0o644)
                .open(directory.join(name))?;
            file.write_all(&secret.content)
        });
        written.map_err(|error| failed("open", namespace, name, &error))
    }

    pub(crate) fn remove(&self, namespace: &str, secret: &Secret) -> Result<(), Refusal> {
        let name = secret.name.as_str();
        let removed = fs::remove_file(self.directory.join(namespace).join(name));
        removed.map_err(|error| failed("remove", namespace, name, &error))
    }

    /// The file of a secret that a function asks for.
    pub(crate) fn file(&self, namespace: &str, name: &str) -> Result<PathBuf, Refusal> {
        let missing = || Refusal::Invalid(format!("unable to find secret: {name}"));
        if name.is_empty() || name.contains('/') || name.contains("..") {
            return Err(missing());
        }
        let path = self.directory.join(namespace).join(name);
        if path.is_file() { Ok(path) } else { Err(missing()) }
    }
}

impl Drop for Secrets {
    fn drop(&mut self) {
        if self.temporary {
            // At the end of the platform there is nobody left to tell.
            let _ = fs::remove_dir_all(&self.directory);
        }
    }
}

/// Nobody but the platform looks in; functions get the single files they ask for.
fn make_directory(path: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(path)
}

fn failed(operation: &str, namespace: &str, name: &str, error: &io::Error) -> Refusal {
    let reason = match error.kind() {
        io::ErrorKind::InvalidInput => "invalid argument".to_owned(),
        _ => crate::watchdog::sentence(error),
    };
    Refusal::Failed(format!(
        "{operation} {ORIGINAL_PLACE}/{namespace}/{name}: {reason}"
    ))
}

#[cfg(test)]
mod tests {
    use super::{Secret, Secrets};
    use crate::registry::Refusal;

    #[test]
    fn raw_values_win_and_names_stay_inside() {
        let secret = |body: &str| Secret::from_body(body.as_bytes());
        assert_eq!(
            secret(r#"{"name":"s","value":"v","rawValue":"AAEC"}"#)
                .unwrap()
                .content,
            [0, 1, 2]
        );
        assert_eq!(secret(r#"{"name":"s","value":"v"}"#).unwrap().content, b"v");
        for name in ["../x", "a/b", "..", "/etc/x"] {
            let refusal = secret(&format!(r#"{{"name":"{name}"}}"#)).unwrap_err();
            assert_eq!(
                refusal,
                Refusal::Invalid("directory traversal found in name".to_owned())
            );
        }
        assert_eq!(
            secret(r#"{"name":"s","rawValue":"%"}"#).unwrap_err().status(),
            500
        );
    }

    #[test]
    fn secrets_are_files_that_go_with_the_platform() {
        let directory = tempfile::tempdir().unwrap();
        let secrets = Secrets::temporary(directory.path().join("secrets"));
        let secret = Secret::from_body(br#"{"name":"s","value":"v"}"#).unwrap();
        assert!(secrets.list("openfaas-fn").unwrap().is_empty());
        secrets.put("openfaas-fn", &secret).unwrap();
        let file = secrets.file("openfaas-fn", "s").unwrap();
        assert_eq!(std::fs::read(&file).unwrap(), b"v");
        assert!(secrets.file("other", "s").is_err());
        secrets.remove("openfaas-fn", &secret).unwrap();
        assert_eq!(
            secrets.remove("openfaas-fn", &secret).unwrap_err(),
            Refusal::Failed(
                "remove /var/lib/faasd-provider/secrets/openfaas-fn/s: no such file or directory".to_owned()
            )
        );
        let long = format!(r#"{{"name":"{}"}}"#, "x".repeat(300));
        let long = Secret::from_body(long.as_bytes()).unwrap();
        assert_eq!(secrets.put("openfaas-fn", &long).unwrap_err().status(), 500);
        drop(secrets);
        assert!(!directory.path().join("secrets").exists());
    }
}
