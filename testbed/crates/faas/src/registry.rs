//! All deployed functions, and the rules for deploying, updating, scaling and removing them.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use http::StatusCode;
use indexmap::IndexMap;
use jiff::Timestamp;
use serde::Serialize;
use tracing::{info, warn};

use crate::catalogue::{Catalogue, Image};
use crate::error::FaasError;
use crate::function::{Function, SEARCH_PATH, full_name};
use crate::identity::Identity;
use crate::logs::Journals;
use crate::namespaces::{Namespaces, is_identifier};
use crate::runtime::Runtime;
use crate::secrets::Secrets;
use crate::state::{self, Saved};
use crate::types::FunctionDeployment;
use crate::{reference, watchdog};

/// Why a request about functions is refused; the text goes to the client.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// 400
    Invalid(String),
    /// 404
    NotFound(String),
    /// 409
    Conflict(String),
    /// 500
    Failed(String),
}

impl Refusal {
    pub(crate) fn text(&self) -> &str {
        match self {
            Refusal::Invalid(text)
            | Refusal::NotFound(text)
            | Refusal::Conflict(text)
            | Refusal::Failed(text) => text,
        }
    }

    pub(crate) fn status(&self) -> StatusCode {
        match self {
            Refusal::Invalid(_) => StatusCode::BAD_REQUEST,
            Refusal::NotFound(_) => StatusCode::NOT_FOUND,
            Refusal::Conflict(_) => StatusCode::CONFLICT,
            Refusal::Failed(_) => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }
}

/// A function's namespace and name.
type Key = (String, String);

/// The platform's table of functions.
#[derive(Debug)]
pub(crate) struct Registry {
    catalogue: Catalogue,
    identity: Identity,
    pub(crate) namespaces: Namespaces,
    pub(crate) secrets: Secrets,
    pub(crate) journals: Journals,
    pub(crate) runtime: Runtime,
    functions: RwLock<IndexMap<Key, Arc<Function>>>,
    /// Where the tables are kept, if anywhere.
    state_directory: Option<PathBuf>,
    /// Held while a file is written: the last change has to be the last on disk.
    saving: Mutex<()>,
}

impl Registry {
    /// A table with the functions of the last time, if there is a state directory.
    pub(crate) fn open(
        catalogue: Catalogue,
        identity: Identity,
        runtime: Runtime,
        secrets: Secrets,
        state_directory: Option<PathBuf>,
    ) -> Result<Self, FaasError> {
        let saved = |file| state_directory.as_deref().map(|directory| directory.join(file));
        let namespaces = saved(state::NAMESPACES)
            .map(|file| state::load(&file))
            .transpose()?;
        let functions: Option<Vec<Saved>> = saved(state::FUNCTIONS)
            .map(|file| state::load(&file))
            .transpose()?;
        let registry = Registry {
            catalogue,
            identity,
            namespaces: Namespaces::new(namespaces.unwrap_or_default()),
            secrets,
            journals: Journals::default(),
            runtime,
            functions: RwLock::default(),
            state_directory,
            saving: Mutex::default(),
        };
        for mut function in functions.unwrap_or_default() {
            let name = function.deployment.service.clone();
            let built = registry
                .settle(&mut function.deployment)
                .and_then(|()| registry.build(function.deployment, function.created_at));
            match built {
                Ok(built) => {
                    let built = Arc::new(built);
                    built.scale(function.replicas);
                    if let Err(reason) = built.fill(&registry.runtime) {
                        warn!("{name}: {reason}");
                    }
                    registry.write().insert(built.key(), built);
                }
                Err(refusal) => warn!("{name}: not restored: {}", refusal.text()),
            }
        }
        Ok(registry)
    }

    /// Deploys what the operator's file asks for. A function that is there already, just so, stays as it is.
    pub(crate) fn adopt(&self, mut deployment: FunctionDeployment) -> Result<(), FaasError> {
        let name = deployment.service.clone();
        let refused = |refusal: Refusal| FaasError::Deploy {
            function: name.clone(),
            reason: refusal.text().to_owned(),
        };
        self.settle(&mut deployment).map_err(refused)?;
        let present = self.find(&deployment.namespace, &name);
        if present
            .as_ref()
            .is_some_and(|function| function.deployment == deployment)
        {
            return Ok(());
        }
        let outcome = if present.is_some() {
            self.update(deployment)
        } else {
            self.deploy(deployment)
        };
        outcome.map_err(refused)
    }

    /// Fills in the namespace of a deployment.
    fn settle(&self, deployment: &mut FunctionDeployment) -> Result<(), Refusal> {
        deployment.namespace = self.namespaces.resolve(&deployment.namespace)?.to_owned();
        Ok(())
    }

    /// `POST /system/functions`. Blocks while the function is started.
    pub(crate) fn deploy(&self, mut deployment: FunctionDeployment) -> Result<(), Refusal> {
        self.settle(&mut deployment)?;
        let name = deployment.service.clone();
        let function = Arc::new(self.build(deployment, Timestamp::now())?);
        let container =
            |reason: String| Refusal::Invalid(format!("unable to create container: {name}, error: {reason}"));
        let taken = || container(format!("snapshot \"{name}-snapshot\": already exists"));
        if self.read().contains_key(&function.key()) {
            return Err(taken());
        }
        check_name(&name).map_err(container)?;
        self.start(&function)?;
        {
            let mut functions = self.write();
            // Somebody else was faster meanwhile.
            if functions.contains_key(&function.key()) {
                return Err(taken());
            }
            self.announce(&function, "deployed");
            functions.insert(function.key(), function);
        }
        self.save_functions();
        Ok(())
    }

    /// `PUT /system/functions`. Requests in flight end with the function as it was.
    pub(crate) fn update(&self, mut deployment: FunctionDeployment) -> Result<(), Refusal> {
        self.settle(&mut deployment)?;
        let Some(before) = self.find(&deployment.namespace, &deployment.service) else {
            return Err(not_found(&deployment.service));
        };
        let function = Arc::new(self.build(deployment, Timestamp::now())?);
        self.start(&function)?;
        {
            let mut functions = self.write();
            // Removed meanwhile: an update does not bring it back.
            let Some(present) = functions.get_mut(&function.key()) else {
                return Err(not_found(function.name()));
            };
            before.say_goodbye();
            self.announce(&function, "updated");
            *present = function;
        }
        self.save_functions();
        Ok(())
    }

    fn start(&self, function: &Arc<Function>) -> Result<(), Refusal> {
        function.fill(&self.runtime).map_err(|reason| {
            warn!("{}: {reason}", function.name());
            Refusal::Failed(reason)
        })
    }

    /// `DELETE /system/functions`. Requests in flight still end.
    pub(crate) fn remove(&self, namespace: &str, name: &str) -> Result<(), Refusal> {
        let key = (namespace.to_owned(), name.to_owned());
        let removed = self.write().shift_remove(&key).ok_or_else(|| not_found(name))?;
        removed.say_goodbye();
        info!("{name}: removed");
        self.save_functions();
        Ok(())
    }

    /// Sets the number of replicas. In faasd that is none or one, and more are accepted and change nothing. Blocks while
    /// some are started.
    pub(crate) fn scale(&self, namespace: &str, name: &str, replicas: u64) -> Result<(), Refusal> {
        let function = self.find(namespace, name).ok_or_else(|| not_found(name))?;
        function.scale(replicas);
        self.start(&function)?;
        info!("{name}: scaled to {}", function.replicas());
        self.save_functions();
        Ok(())
    }

    /// Every function ends, though it stays in the table on disk.
    pub(crate) fn end_all(&self) {
        let functions = std::mem::take(&mut *self.write());
        for function in functions.values() {
            function.end();
        }
    }

    pub(crate) fn find(&self, namespace: &str, name: &str) -> Option<Arc<Function>> {
        self.read().get(&(namespace.to_owned(), name.to_owned())).cloned()
    }

    pub(crate) fn all(&self) -> Vec<Arc<Function>> {
        self.read().values().cloned().collect()
    }

    pub(crate) fn has_functions(&self, namespace: &str) -> bool {
        self.read().keys().any(|(of, _)| of == namespace)
    }

    fn build(&self, deployment: FunctionDeployment, created_at: Timestamp) -> Result<Function, Refusal> {
        let secret = |name: &String| {
            let file = self.secrets.file(&deployment.namespace, name)?;
            Ok((name.clone(), file))
        };
        let secrets: Vec<_> = deployment
            .secrets
            .iter()
            .map(secret)
            .collect::<Result<_, Refusal>>()?;
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
        let journal = self
            .journals
            .open(&full_name(&deployment.service, &deployment.namespace));
        Ok(Function::new(
            deployment,
            reference.to_string(),
            image,
            created_at,
            self.identity,
            journal,
            secrets,
        ))
    }

    fn announce(&self, function: &Function, event: &str) {
        info!(
            "{}: {event}, image {}, {}",
            function.name(),
            function.image,
            function.settings
        );
        function.begin(self.journals.next_instance());
        if !function.can_run() {
            warn!("{}: has no fprocess, so it cannot serve", function.name());
        }
    }

    fn save_functions(&self) {
        self.save(state::FUNCTIONS, || {
            let functions = self.read();
            functions.values().map(|function| Saved::of(function)).collect()
        });
    }

    /// Keeps the table of namespaces after a change.
    pub(crate) fn save_namespaces(&self) {
        self.save(state::NAMESPACES, || self.namespaces.all());
    }

    fn save<T: Serialize>(&self, file: &str, entries: impl FnOnce() -> Vec<T>) {
        let Some(directory) = &self.state_directory else {
            return;
        };
        let _order = self.saving.lock().unwrap_or_else(PoisonError::into_inner);
        if let Err(error) = state::save(&directory.join(file), &entries()) {
            warn!("{error}; the last change will be lost at the next start");
        }
    }

    fn read(&self) -> RwLockReadGuard<'_, IndexMap<Key, Arc<Function>>> {
        self.functions.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, IndexMap<Key, Arc<Function>>> {
        self.functions.write().unwrap_or_else(PoisonError::into_inner)
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
    if is_identifier(name) {
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
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::{Refusal, Registry, check_name};
    use crate::catalogue::Catalogue;
    use crate::identity::Identity;
    use crate::runtime::{Apart, Runtime};
    use crate::secrets::Secrets;
    use crate::types::{FunctionDeployment, NAMESPACE};

    fn registry() -> Registry {
        let runtime = Runtime::new(Some("/nonexistent".into()), Apart::None).unwrap();
        let secrets = Secrets::temporary("/nonexistent/secrets".into());
        let catalogue = Catalogue::built_in().unwrap();
        Registry::open(catalogue, Identity::Faasd, runtime, secrets, None).unwrap()
    }

    fn figlet() -> FunctionDeployment {
        FunctionDeployment {
            service: "figlet".to_owned(),
            // Without a command there is nothing to start.
            image: "ghcr.io/openfaas/alpine:latest".to_owned(),
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
        let created = registry.find(NAMESPACE, "figlet").unwrap().created_at;
        registry.adopt(figlet()).unwrap();
        assert_eq!(registry.find(NAMESPACE, "figlet").unwrap().created_at, created);
        let labels = BTreeMap::from([("dfaas.maxrate".to_owned(), "5".to_owned())]);
        registry
            .adopt(FunctionDeployment {
                labels: labels.clone(),
                ..figlet()
            })
            .unwrap();
        assert_eq!(
            registry.find(NAMESPACE, "figlet").unwrap().deployment.labels,
            labels
        );
        let wrong = FunctionDeployment {
            image: "A B".to_owned(),
            ..figlet()
        };
        assert_eq!(registry.adopt(wrong).unwrap_err().exit_code(), 2);
    }
}
