//! A deployed function.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use dfaas_process::Usage;
use jiff::Timestamp;
use tokio::sync::watch;

use crate::catalogue::{Image, Network};
use crate::identity::Identity;
use crate::logs::Journal;
use crate::quantity;
use crate::runtime::{HOME, Instance, Runtime, Surroundings};
use crate::scaling::{self, Bounds};
use crate::types::{FunctionDeployment, FunctionStatus, ResourceLimits};
use crate::watchdog::{Mode, Settings, Upstream, supervise};

/// What every image has in its environment.
pub(crate) const SEARCH_PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// A deployed function: what was asked for, what follows from it, and what runs.
#[derive(Debug)]
pub(crate) struct Function {
    pub(crate) deployment: FunctionDeployment,
    /// The image reference in full.
    pub(crate) image: String,
    /// `name.namespace`: the name in metrics.
    pub(crate) full_name: Arc<str>,
    pub(crate) created_at: Timestamp,
    /// Everything the program sees, `Http_*` aside.
    pub(crate) environment: Vec<(String, String)>,
    pub(crate) settings: Settings,
    identity: Identity,
    pub(crate) memory_limit: Option<u64>,
    surroundings: Surroundings,
    /// How many were asked for.
    wanted: AtomicU64,
    replicas: Mutex<Vec<Arc<Replica>>>,
    /// Which of them is next.
    turn: AtomicUsize,
    /// Held while one is started.
    starting: Mutex<()>,
    in_flight: AtomicUsize,
    journal: Arc<Journal>,
    /// The number of the present run in the journal.
    instance: AtomicU32,
}

impl Function {
    pub(crate) fn new(
        deployment: FunctionDeployment,
        image_name: String,
        image: &Image,
        created_at: Timestamp,
        identity: Identity,
        journal: Arc<Journal>,
        secrets: Vec<(String, PathBuf)>,
    ) -> Self {
        let environment = environment(&deployment, image);
        let memory_limit = deployment
            .limits
            .as_ref()
            .and_then(|limits| quantity::parse(&limits.memory))
            .filter(|bytes| *bytes > 0);
        let cpus = deployment
            .limits
            .as_ref()
            .filter(|_| identity == Identity::Native)
            .and_then(|limits| quantity::amount(&limits.cpu))
            .filter(|cpus| *cpus > 0.0);
        let surroundings = Surroundings {
            full_name: full_name(&deployment.service, &deployment.namespace),
            host_name: deployment.service.chars().take(64).collect(),
            environment: environment.clone(),
            secrets,
            memory: memory_limit,
            cpus,
            shares_network: image.network == Network::Node,
            files: image.directory.clone(),
        };
        Function {
            image: image_name,
            full_name: full_name(&deployment.service, &deployment.namespace).into(),
            created_at,
            settings: Settings::from_environment(&environment, image.watchdog),
            environment,
            identity,
            memory_limit,
            surroundings,
            wanted: AtomicU64::new(match identity {
                Identity::Faasd => 1,
                Identity::Native => Bounds::of(&deployment.labels).least,
            }),
            replicas: Mutex::default(),
            turn: AtomicUsize::new(0),
            starting: Mutex::default(),
            in_flight: AtomicUsize::new(0),
            journal,
            instance: AtomicU32::new(0),
            deployment,
        }
    }

    /// Namespace and name.
    pub(crate) fn key(&self) -> (String, String) {
        (self.deployment.namespace.clone(), self.deployment.service.clone())
    }

    /// A run begins: the watchdog introduces itself.
    pub(crate) fn begin(&self, instance: u32) {
        self.instance.store(instance, Ordering::Relaxed);
        for line in self.settings.introduction() {
            self.say(&line);
        }
    }

    /// Adds a line of the watchdog to the function's log.
    pub(crate) fn say(&self, text: &str) {
        self.journal.log(self.instance.load(Ordering::Relaxed), text);
    }

    pub(crate) fn name(&self) -> &str {
        &self.deployment.service
    }

    /// Whether there is a command to run; without one the real platform's container ends at once.
    pub(crate) fn can_run(&self) -> bool {
        !self.settings.command.is_empty() || self.settings.mode == Mode::Static
    }

    pub(crate) fn is_scaled_to_zero(&self) -> bool {
        self.wanted_replicas() == 0
    }

    /// Sets the number of replicas; too many end. faasd has one, which it stops and lets go on.
    pub(crate) fn scale(&self, replicas: u64) {
        match self.identity {
            Identity::Faasd => self.wanted.store(replicas.min(1), Ordering::Relaxed),
            Identity::Native => {
                let replicas = replicas.min(scaling::LIMIT);
                self.wanted.store(replicas, Ordering::Relaxed);
                let kept = usize::try_from(replicas).unwrap_or(usize::MAX);
                let mut present = self.present();
                let first_too_many = present.len().min(kept);
                let ended = present.split_off(first_too_many);
                drop(present);
                drop(ended);
            }
        }
    }

    /// The number that was asked for.
    pub(crate) fn wanted_replicas(&self) -> u64 {
        self.wanted.load(Ordering::Relaxed)
    }

    /// How many serve. A function that was restored or ended is started by its next call.
    pub(crate) fn replicas(&self) -> u64 {
        let alive = self
            .present()
            .iter()
            .filter(|replica| !replica.has_ended())
            .count();
        self.wanted_replicas().min(alive as u64)
    }

    fn present(&self) -> MutexGuard<'_, Vec<Arc<Replica>>> {
        self.replicas.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A replica that can serve, each in its turn.
    pub(crate) fn replica(&self) -> Option<Arc<Replica>> {
        let present = self.present();
        let turn = self.turn.fetch_add(1, Ordering::Relaxed);
        let in_turn = (0..present.len()).map(|step| &present[(turn + step) % present.len()]);
        in_turn.into_iter().find(|replica| !replica.has_ended()).cloned()
    }

    /// Starts what is missing of the replicas. Blocks; must run inside the runtime.
    ///
    /// # Errors
    /// A sentence for the client.
    pub(crate) fn fill(self: &Arc<Self>, runtime: &Runtime) -> Result<(), String> {
        if !self.can_run() {
            return Ok(());
        }
        let _one_at_a_time = self.starting.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            {
                let mut present = self.present();
                present.retain(|replica| !replica.has_ended());
                if present.len() as u64 >= self.wanted_replicas() {
                    return Ok(());
                }
            }
            let instance = runtime.start(&self.surroundings)?;
            let replica = Arc::new(Replica::new(self, instance));
            if self.settings.mode == Mode::Http {
                tokio::spawn(supervise(self.clone(), replica.clone()));
            }
            self.present().push(replica);
        }
    }

    /// What all its replicas use together; `None` where nobody counts it.
    pub(crate) fn usage(&self) -> Option<Usage> {
        let replicas = self.present().clone();
        let used = replicas.iter().filter_map(|replica| replica.instance.usage());
        used.reduce(|one, other| one.plus(&other))
    }

    /// All replicas end.
    pub(crate) fn end(&self) {
        let ended = std::mem::take(&mut *self.present());
        drop(ended);
    }

    /// The watchdog says that it will end.
    pub(crate) fn say_goodbye(&self) {
        let health = crate::duration::go_text(self.settings.healthcheck_interval);
        self.say(&format!("SIGTERM: no new connections in {health}"));
        self.say("Removing lock-file : /tmp/.lock");
    }

    /// Requests being served.
    pub(crate) fn in_flight(&self) -> usize {
        self.in_flight.load(Ordering::Relaxed)
    }

    /// Takes a place among the requests in flight; `None` beyond `max_inflight`.
    pub(crate) fn admit(self: &Arc<Self>) -> Option<InFlight> {
        let before = self.in_flight.fetch_add(1, Ordering::Relaxed);
        let place = InFlight(self.clone());
        (self.settings.max_in_flight == 0 || before < self.settings.max_in_flight).then_some(place)
    }

    /// The entry of the list of functions.
    pub(crate) fn list_entry(&self, invocations: u64) -> FunctionStatus {
        FunctionStatus {
            limits: self.limits(),
            invocation_count: invocations,
            available_replicas: match self.identity {
                Identity::Faasd => 0,
                Identity::Native => self.replicas(),
            },
            ..self.status_in_short()
        }
    }

    /// The answer to a question for this function alone.
    pub(crate) fn status(&self) -> FunctionStatus {
        FunctionStatus {
            available_replicas: self.replicas(),
            limits: match self.identity {
                Identity::Faasd => None,
                Identity::Native => self.limits(),
            },
            ..self.status_in_short()
        }
    }

    /// The limits in force, as they are shown.
    fn limits(&self) -> Option<ResourceLimits> {
        let limits = ResourceLimits {
            memory: self.memory_limit.map(quantity::format_binary).unwrap_or_default(),
            cpu: match (self.identity, &self.deployment.limits) {
                (Identity::Native, Some(limits)) => limits.cpu.clone(),
                _ => String::new(),
            },
        };
        (limits != ResourceLimits::default()).then_some(limits)
    }

    fn labels(&self) -> BTreeMap<String, String> {
        let mut labels = self.deployment.labels.clone();
        if self.identity == Identity::Native {
            labels.insert("faas_function".to_owned(), self.name().to_owned());
        }
        labels
    }

    fn status_in_short(&self) -> FunctionStatus {
        let hidden = |name: &str| match name {
            "PATH" | "fprocess" => true,
            "HOME" => !self.deployment.env_vars.contains_key(name),
            _ => false,
        };
        FunctionStatus {
            name: self.name().to_owned(),
            image: self.image.clone(),
            namespace: self.deployment.namespace.clone(),
            env_process: self.settings.command.join(" "),
            env_vars: self
                .environment
                .iter()
                .filter(|(name, _)| !hidden(name))
                .map(|(name, value)| (name.clone(), up_to_equals_sign(value)))
                .collect(),
            secrets: self.deployment.secrets.clone(),
            labels: self.labels(),
            annotations: self.deployment.annotations.clone(),
            limits: None,
            invocation_count: 0,
            replicas: self.replicas(),
            available_replicas: 0,
            created_at: self.created_at.to_string(),
        }
    }
}

/// One running copy of a function.
#[derive(Debug)]
pub(crate) struct Replica {
    pub(crate) instance: Arc<Instance>,
    /// The process that serves all requests, for functions that have one.
    pub(crate) upstream: Option<Upstream>,
    /// Turns true when that process has ended.
    has_ended: AtomicBool,
    removed: watch::Sender<bool>,
}

impl Replica {
    fn new(function: &Function, instance: Instance) -> Self {
        let settings = &function.settings;
        Replica {
            instance: Arc::new(instance),
            upstream: (settings.mode == Mode::Http).then(|| Upstream::new(&settings.upstream_url)),
            has_ended: AtomicBool::new(false),
            removed: watch::Sender::new(false),
        }
    }

    /// Tells, by true or by its end, that the replica is to go.
    pub(crate) fn removed(&self) -> watch::Receiver<bool> {
        self.removed.subscribe()
    }

    /// It cannot serve any more.
    pub(crate) fn end(&self) {
        self.has_ended.store(true, Ordering::Relaxed);
    }

    pub(crate) fn has_ended(&self) -> bool {
        self.has_ended.load(Ordering::Relaxed) || self.instance.has_ended()
    }
}

/// A place among a function's requests in flight, given back when dropped.
#[derive(Debug)]
pub(crate) struct InFlight(Arc<Function>);

impl Drop for InFlight {
    fn drop(&mut self) {
        self.0.in_flight.fetch_sub(1, Ordering::Relaxed);
    }
}

/// `name.namespace`.
pub(crate) fn full_name(name: &str, namespace: &str) -> String {
    format!("{name}.{namespace}")
}

/// faasd cuts what it shows of a value at the first equals sign inside it.
fn up_to_equals_sign(value: &str) -> String {
    value.split('=').next().unwrap_or_default().to_owned()
}

/// Image first, deployment over it, `fprocess` and `HOME` last: the order of the real container.
fn environment(deployment: &FunctionDeployment, image: &Image) -> Vec<(String, String)> {
    let mut merged: BTreeMap<&str, &str> = BTreeMap::new();
    for (name, value) in image.environment.iter().chain(&deployment.env_vars) {
        merged.insert(name, value);
    }
    if !deployment.env_process.is_empty() {
        merged.insert("fprocess", &deployment.env_process);
    }
    let path = merged.remove("PATH").unwrap_or(SEARCH_PATH);
    let home = merged.remove("HOME").unwrap_or(HOME);
    let command = merged.remove("fprocess");
    let mut environment = vec![("PATH".to_owned(), path.to_owned())];
    environment.extend(
        merged
            .into_iter()
            .map(|(name, value)| (name.to_owned(), value.to_owned())),
    );
    environment.extend(command.map(|command| ("fprocess".to_owned(), command.to_owned())));
    environment.push(("HOME".to_owned(), home.to_owned()));
    environment
}
