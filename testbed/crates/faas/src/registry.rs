//! All deployed functions, and the rules for deploying, updating, scaling and removing them.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use indexmap::IndexMap;
use jiff::Timestamp;
use tracing::{info, warn};

use crate::catalogue::{Catalogue, Image};
use crate::error::FaasError;
use crate::function::{Function, SEARCH_PATH};
use crate::state::{self, Saved};
use crate::types::{FunctionDeployment, NAMESPACE};
use crate::{reference, watchdog};

/// Why a request about functions is refused; the text goes to the client.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// 400
    Invalid(String),
    /// 404
    NotFound(String),
}

impl Refusal {
    pub(crate) fn text(&self) -> &str {
        match self {
            Refusal::Invalid(text) | Refusal::NotFound(text) => text,
        }
    }
}

/// The platform's table of functions.
#[derive(Debug)]
pub(crate) struct Registry {
    catalogue: Catalogue,
    functions: RwLock<IndexMap<String, Arc<Function>>>,
    /// Where the table is kept, if anywhere.
    state_file: Option<PathBuf>,
    /// Held while the file is written: the last change has to be the last on disk.
    saving: Mutex<()>,
}

impl Registry {
    /// A table with the functions of the last time, if there is a state file.
    pub(crate) fn open(catalogue: Catalogue, state_file: Option<PathBuf>) -> Result<Self, FaasError> {
        let saved = state_file
            .as_deref()
            .map(state::load)
            .transpose()?
            .unwrap_or_default();
        let registry = Registry {
            catalogue,
            functions: RwLock::default(),
            state_file,
            saving: Mutex::default(),
        };
        for function in saved {
            let name = function.deployment.service.clone();
            let created = function.created_at;
            match registry.build(function.deployment, created) {
                Ok(built) => {
                    built.scale(function.replicas);
                    registry.write().insert(name, Arc::new(built));
                }
                Err(refusal) => warn!("{name}: not restored: {}", refusal.text()),
            }
        }
        Ok(registry)
    }

    /// Deploys what the operator's file asks for. A function that is there already, just so, stays as it is.
    pub(crate) fn adopt(&self, deployment: FunctionDeployment) -> Result<(), FaasError> {
        let present = self.find(&deployment.service);
        if present
            .as_ref()
            .is_some_and(|function| function.deployment == deployment)
        {
            return Ok(());
        }
        let name = deployment.service.clone();
        let outcome = if present.is_some() {
            self.update(deployment)
        } else {
            self.deploy(deployment)
        };
        outcome.map_err(|refusal| FaasError::Deploy {
            function: name,
            reason: refusal.text().to_owned(),
        })
    }

    /// `POST /system/functions`.
    pub(crate) fn deploy(&self, deployment: FunctionDeployment) -> Result<(), Refusal> {
        check_namespace(&deployment.namespace)?;
        check_secrets(&deployment)?;
        let name = deployment.service.clone();
        let function = self.build(deployment, Timestamp::now())?;
        let container =
            |reason: String| Refusal::Invalid(format!("unable to create container: {name}, error: {reason}"));
        let mut functions = self.write();
        if functions.contains_key(&name) {
            return Err(container(format!("snapshot \"{name}-snapshot\": already exists")));
        }
        check_name(&name).map_err(container)?;
        self.announce(&function, "deployed");
        functions.insert(name, Arc::new(function));
        drop(functions);
        self.save();
        Ok(())
    }

    /// `PUT /system/functions`. Requests in flight end with the function as it was.
    pub(crate) fn update(&self, deployment: FunctionDeployment) -> Result<(), Refusal> {
        check_namespace(&deployment.namespace)?;
        let name = deployment.service.clone();
        if self.find(&name).is_none() {
            return Err(not_found(&name));
        }
        check_secrets(&deployment)?;
        let function = self.build(deployment, Timestamp::now())?;
        self.announce(&function, "updated");
        self.write().insert(name, Arc::new(function));
        self.save();
        Ok(())
    }

    /// `DELETE /system/functions`. Requests in flight still end.
    pub(crate) fn remove(&self, name: &str) -> Result<(), Refusal> {
        self.write().shift_remove(name).ok_or_else(|| not_found(name))?;
        info!("{name}: removed");
        self.save();
        Ok(())
    }

    /// Scales to zero or to one: more replicas are accepted and change nothing, as in faasd.
    pub(crate) fn scale(&self, name: &str, replicas: u64) -> Result<(), Refusal> {
        let function = self.find(name).ok_or_else(|| not_found(name))?;
        function.scale(replicas);
        info!("{name}: scaled to {}", function.replicas());
        self.save();
        Ok(())
    }

    pub(crate) fn find(&self, name: &str) -> Option<Arc<Function>> {
        self.read().get(name).cloned()
    }

    pub(crate) fn all(&self) -> Vec<Arc<Function>> {
        self.read().values().cloned().collect()
    }

    fn build(&self, deployment: FunctionDeployment, created_at: Timestamp) -> Result<Function, Refusal> {
        let reference = reference::parse(&deployment.image).map_err(Refusal::Invalid)?;
        let Some(image) = self.catalogue.find(&reference.repository) else {
            let known: Vec<&str> = self.catalogue.iter().map(|(name, _)| name).collect();
            info!(
                "{}: no image {reference}; there are {}",
                deployment.service,
                known.join(", ")
            );
            return Err(Refusal::Invalid(format!(
                "unable to pull image {reference}: cannot pull: failed to resolve reference \"{reference}\": \
                 {reference}: not found"
            )));
        };
        warn_about(&deployment, image);
        Ok(Function::new(
            deployment,
            reference.to_string(),
            image,
            created_at,
        ))
    }

    fn announce(&self, function: &Function, event: &str) {
        info!(
            "{}: {event}, image {}, {}",
            function.name(),
            function.image,
            function.settings
        );
        if !function.can_run() {
            warn!("{}: has no fprocess, so it cannot serve", function.name());
        }
    }

    fn save(&self) {
        let Some(file) = &self.state_file else { return };
        let _order = self.saving.lock().unwrap_or_else(PoisonError::into_inner);
        let saved: Vec<Saved> = self.read().values().map(|function| Saved::of(function)).collect();
        if let Err(error) = state::save(file, &saved) {
            warn!("{error}; functions will be lost at the next start");
        }
    }

    fn read(&self) -> RwLockReadGuard<'_, IndexMap<String, Arc<Function>>> {
        self.functions.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, IndexMap<String, Arc<Function>>> {
        self.functions.write().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Only [`NAMESPACE`] exists; empty means it.
pub(crate) fn check_namespace(namespace: &str) -> Result<(), Refusal> {
    if namespace.is_empty() || namespace == NAMESPACE {
        return Ok(());
    }
    Err(Refusal::Invalid("namespace not valid".to_owned()))
}

/// There are no secrets in this version, so any that is asked for is missing.
fn check_secrets(deployment: &FunctionDeployment) -> Result<(), Refusal> {
    match deployment.secrets.first() {
        None => Ok(()),
        Some(secret) => Err(Refusal::Invalid(format!("unable to find secret: {secret}"))),
    }
}

/// A function's name is a containerd identifier: words of letters and digits joined by single `.`, `_`, `-`.
fn check_name(name: &str) -> Result<(), String> {
    const LONGEST: usize = 76;
    let failure = "create container failed validation: container.ID: identifier";
    if name.is_empty() {
        return Err(format!("{failure} must not be empty: invalid argument"));
    }
    if name.len() > LONGEST {
        return Err(format!(
            "{failure} \"{name}\" greater than maximum length ({LONGEST} characters): invalid argument"
        ));
    }
    let word = |word: &str| !word.is_empty() && word.bytes().all(|byte| byte.is_ascii_alphanumeric());
    if name.split(['.', '_', '-']).all(word) {
        return Ok(());
    }
    Err(format!(
        "{failure} \"{name}\" must match ^[A-Za-z0-9]+(?:[._-](?:[A-Za-z0-9]+))*$: invalid argument"
    ))
}

fn not_found(name: &str) -> Refusal {
    Refusal::NotFound(format!("service {name} not found"))
}

fn warn_about(deployment: &FunctionDeployment, image: &Image) {
    let name = &deployment.service;
    let given = deployment
        .env_vars
        .get("PATH")
        .or_else(|| image.environment.get("PATH"));
    let search_path = given.map_or(SEARCH_PATH, String::as_str);
    for (program, package) in &image.programs {
        if watchdog::find_program(program, search_path).is_err() {
            warn!("{name}: program {program} is missing on this machine (package {package})");
        }
    }
    if deployment
        .limits
        .as_ref()
        .is_some_and(|limits| !limits.memory.is_empty())
    {
        warn!("{name}: the memory limit is shown, not enforced");
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::{Refusal, Registry, check_name};
    use crate::catalogue::Catalogue;
    use crate::types::FunctionDeployment;

    fn registry() -> Registry {
        Registry::open(Catalogue::built_in().unwrap(), None).unwrap()
    }

    fn figlet() -> FunctionDeployment {
        FunctionDeployment {
            service: "figlet".to_owned(),
            image: "ghcr.io/openfaas/figlet:latest".to_owned(),
            ..FunctionDeployment::default()
        }
    }

    #[test]
    fn names_are_identifiers() {
        for good in ["a", "figlet", "a-b.c_d", "0x"] {
            assert_eq!(check_name(good), Ok(()), "{good}");
        }
        for bad in [
            "",
            "a--b",
            "-a",
            "a-",
            "Bad_Name!",
            "a b",
            "a/b",
            "\u{e9}",
            &"a".repeat(77),
        ] {
            assert!(check_name(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn unknown_image_is_refused_as_by_the_real_platform() {
        let deployment = FunctionDeployment {
            image: "ghcr.io/nope/none".to_owned(),
            ..figlet()
        };
        assert_eq!(
            registry().deploy(deployment).unwrap_err(),
            Refusal::Invalid(
                "unable to pull image ghcr.io/nope/none:latest: cannot pull: failed to resolve reference \
                 \"ghcr.io/nope/none:latest\": ghcr.io/nope/none:latest: not found"
                    .to_owned()
            )
        );
    }

    #[test]
    fn adopting_twice_changes_nothing() {
        let registry = registry();
        registry.adopt(figlet()).unwrap();
        let created = registry.find("figlet").unwrap().created_at;
        registry.adopt(figlet()).unwrap();
        assert_eq!(registry.find("figlet").unwrap().created_at, created);
        let labels = BTreeMap::from([("dfaas.maxrate".to_owned(), "5".to_owned())]);
        registry
            .adopt(FunctionDeployment {
                labels: labels.clone(),
                ..figlet()
            })
            .unwrap();
        assert_eq!(registry.find("figlet").unwrap().deployment.labels, labels);
        let wrong = FunctionDeployment {
            image: "A B".to_owned(),
            ..figlet()
        };
        assert_eq!(registry.adopt(wrong).unwrap_err().exit_code(), 2);
    }
}
