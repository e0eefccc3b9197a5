//! The tables of functions and namespaces on disk, so that a restart of the platform finds its functions again.

use std::fs;
use std::io::{self, Write};
use std::path::Path;

use jiff::Timestamp;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::error::FaasError;
use crate::function::Function;
use crate::types::FunctionDeployment;

/// Names of the files in the state directory.
pub(crate) const FUNCTIONS: &str = "functions.json";
pub(crate) const NAMESPACES: &str = "namespaces.json";

/// One function as it is kept.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Saved {
    #[serde(flatten)]
    pub(crate) deployment: FunctionDeployment,
    pub(crate) created_at: Timestamp,
    pub(crate) replicas: u64,
}

impl Saved {
    pub(crate) fn of(function: &Function) -> Self {
        Saved {
            deployment: function.deployment.clone(),
            created_at: function.created_at,
            replicas: function.wanted_replicas(),
        }
    }
}

/// What was kept; nothing when there is no file.
pub(crate) fn load<T: DeserializeOwned>(file: &Path) -> Result<Vec<T>, FaasError> {
    let content = match fs::read(file) {
        Ok(content) => content,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(source) => {
            return Err(FaasError::Read {
                path: file.to_owned(),
                source,
            });
        }
    };
    serde_json::from_slice(&content).map_err(|error| FaasError::DeploymentFile {
        path: file.to_owned(),
        reason: error.to_string(),
    })
}

/// Replaces the file in one step, so that a crash leaves the old or the new one.
pub(crate) fn save<T: Serialize>(file: &Path, entries: &[T]) -> Result<(), FaasError> {
    let failed = |source| FaasError::State {
        path: file.to_owned(),
        source,
    };
    let content = serde_json::to_vec_pretty(entries).map_err(|error| failed(error.into()))?;
    let fresh = file.with_extension("json.new");
    let written = fs::File::create(&fresh)
        .and_then(|mut target| target.write_all(&content).and_then(|()| target.sync_all()))
        .and_then(|()| fs::rename(&fresh, file));
    written.map_err(|source| {
        // Half a file is of no use; that it cannot be removed either is the lesser news.
        let _ = fs::remove_file(&fresh);
        failed(source)
    })
}

#[cfg(test)]
mod tests {
    use super::{FUNCTIONS, Saved, load, save};
    use crate::types::FunctionDeployment;

    #[test]
    fn what_is_saved_is_loaded() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join(FUNCTIONS);
        assert!(load::<Saved>(&file).unwrap().is_empty(), "no file is no function");
        let deployment = FunctionDeployment {
            service: "cat".to_owned(),
            image: "cat".to_owned(),
            labels: [("a".to_owned(), "b".to_owned())].into(),
            ..FunctionDeployment::default()
        };
        let created_at = "2026-11-23T03:35:12.047915387Z".parse().unwrap();
        save(
            &file,
            &[Saved {
                deployment: deployment.clone(),
                created_at,
                replicas: 0,
            }],
        )
        .unwrap();
        let loaded: Vec<Saved> = load(&file).unwrap();
        assert_eq!(loaded.len(), 1);
        assert_eq!(
            (&loaded[0].deployment, loaded[0].created_at, loaded[0].replicas),
            (&deployment, created_at, 0)
        );
        std::fs::write(&file, b"[{").unwrap();
        assert!(load::<Saved>(&file).unwrap_err().to_string().contains(FUNCTIONS));
        let nowhere = directory.path().join("gone").join(FUNCTIONS);
        assert_eq!(save::<Saved>(&nowhere, &[]).unwrap_err().exit_code(), 5);
    }
}
