//! What the tests share: the engine, names that no other run has, and a look at what is left.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicU32, Ordering};

use dfaas_docker::{ContainerOutput, ContainerSpec, Engine, Holder, HolderSpec, NodeContainer};

/// The image of the tests, made by `ci/docker.sh`: busybox and nothing else.
pub(crate) const IMAGE: &str = "dfaas-testbed-tests/busybox";
/// Its tag.
pub(crate) const TAG: &str = "1";

static COUNTER: AtomicU32 = AtomicU32::new(0);

/// The engine with the tests' image, or why there is none.
pub(crate) async fn engine() -> Result<Engine, String> {
    let engine = Engine::connect().await.map_err(|error| error.to_string())?;
    let image = format!("{IMAGE}:{TAG}");
    match engine.has_image(&image).await {
        Ok(true) => Ok(engine),
        Ok(false) => Err(format!("image `{image}` is missing; run ci/docker.sh")),
        Err(error) => Err(error.to_string()),
    }
}

/// A container name that no other test and no other run has.
pub(crate) fn name(what: &str) -> String {
    let number = COUNTER.fetch_add(1, Ordering::Relaxed);
    format!("{}{number}-{what}", prefix())
}

fn prefix() -> String {
    format!("dfaas-test-{}-", std::process::id())
}

/// Names of the containers of this run, whatever their state.
pub(crate) async fn containers() -> BTreeSet<String> {
    let docker = bollard::Docker::connect_with_local_defaults().unwrap();
    let options = bollard::query_parameters::ListContainersOptions {
        all: true,
        ..Default::default()
    };
    let listed = docker.list_containers(Some(options)).await.unwrap();
    let names = listed.into_iter().flat_map(|it| it.names.unwrap_or_default());
    names
        .map(|name| name.trim_start_matches('/').to_owned())
        .filter(|name| name.starts_with(&prefix()))
        .collect()
}

/// After a failed test: its containers must not disturb the next one.
pub(crate) async fn remove_all_of_this_run(engine: &Engine) {
    for name in containers().await {
        engine.remove_container(&name).await.unwrap();
    }
}

/// A node with a holder of its own, running `command`.
pub(crate) struct Node {
    pub(crate) holder: Holder,
    pub(crate) container: NodeContainer,
}

impl Node {
    pub(crate) async fn create(
        engine: &Engine,
        command: &str,
        change: impl FnOnce(&mut ContainerSpec),
    ) -> Self {
        let holder = HolderSpec {
            name: name("net"),
            lab: "tests".to_owned(),
            node: "n1".to_owned(),
            hosts: vec![("10.9.8.7".parse().unwrap(), "n2".to_owned())],
            oci_runtime: None,
        };
        let holder = engine.start_holder(&holder).await.unwrap();
        let mut specification = ContainerSpec {
            name: name("node"),
            lab: "tests".to_owned(),
            node: "n1".to_owned(),
            image: format!("{IMAGE}:{TAG}"),
            holder: holder.name.clone(),
            command: Some(["sh", "-c", command].map(str::to_owned).to_vec()),
            ..ContainerSpec::default()
        };
        change(&mut specification);
        let container = engine.create_node(&specification).await.unwrap();
        Self { holder, container }
    }

    pub(crate) async fn remove(self, engine: &Engine) {
        self.container.remove().await.unwrap();
        engine.remove_container(&self.holder.name).await.unwrap();
    }

    /// Starts the container and returns what it prints until it ends.
    pub(crate) async fn output(&self) -> String {
        let output = self.container.listen().await.unwrap();
        self.container.start().await.unwrap();
        written(output).await
    }
}

/// What a container prints until it ends.
pub(crate) async fn written(output: ContainerOutput) -> String {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("container.log");
    output.copy_to(&path).await.unwrap();
    std::fs::read_to_string(path).unwrap()
}

/// The network namespace a process is in.
pub(crate) fn network_of(pid: i32) -> String {
    std::fs::read_link(format!("/proc/{pid}/ns/net"))
        .unwrap()
        .display()
        .to_string()
}
