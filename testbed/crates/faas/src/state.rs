//! The table of functions on disk, so that a restart of the platform finds its functions again.

use std::fs;
use std::io::{self, Write};
use std::path::Path;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::error::FaasError;
use crate::function::Function;
use crate::types::FunctionDeployment;

/// Name of the file in the state directory.
pub(crate) const FILE_NAME: &str = "functions.json";

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
            replicas: u64::from(!function.is_scaled_to_zero()),
        }
    }
}

/// What was kept; nothing when there is no file.
pub(crate) fn load(file: &Path) -> Result<Vec<Saved>, FaasError> {
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
pub(crate) fn save(file: &Path, functions: &[Saved]) -> Result<(), FaasError> {
    let failed = |source| FaasError::State {
        path: file.to_owned(),
        source,
    };
    let content = serde_json::to_vec_pretty(functions).map_err(|error| failed(error.into()))?;
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
    use super::{FILE_NAME, Saved, load, save};
    use crate::types::FunctionDeployment;

    #[test]
    fn what_is_saved_is_loaded() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join(FILE_NAME);
        assert!(load(&file).unwrap().is_empty(), "no file is no function");
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
        let loaded = load(&file).unwrap();
        assert_eq!(loaded.len(), 1);
        assert_eq!(
            (&loaded[0].deployment, loaded[0].created_at, loaded[0].replicas),
            (&deployment, created_at, 0)
        );
        std::fs::write(&file, b"[{").unwrap();
        assert!(load(&file).unwrap_err().to_string().contains(FILE_NAME));
        let nowhere = directory.path().join("gone").join(FILE_NAME);
        assert_eq!(save(&nowhere, &[]).unwrap_err().exit_code(), 5);
    }
}
