//! From a node of the topology to the container an engine makes.

use std::collections::BTreeMap;
use std::path::PathBuf;

use dfaas_docker::{ContainerSpec, Device, Health, Limits, Volume};
use dfaas_model::{ContainerSettings, Node};

use crate::supervisor::containers::provision::Runtime;

/// The container of a node, without its names and limits. `environment` is what the lab adds to the node's own.
pub(super) fn container(
    lab: &str,
    node: &Node,
    settings: &ContainerSettings,
    runtime: &Runtime,
    environment: BTreeMap<String, String>,
) -> ContainerSpec {
    let own = node.env.iter().map(|(key, value)| (key.clone(), value.clone()));
    ContainerSpec {
        lab: lab.to_owned(),
        node: node.name.clone(),
        command: settings.command.clone(),
        environment: environment.into_iter().chain(own).collect(),
        oci_runtime: runtime.name.clone(),
        privileged: runtime.privileged,
        volumes: node
            .volumes
            .iter()
            .map(|volume| Volume {
                source: PathBuf::from(&volume.source),
                target: PathBuf::from(&volume.target),
                read_only: volume.read_only,
            })
            .collect(),
        tmpfs: settings.tmpfs.clone().into_iter().collect(),
        devices: settings
            .devices
            .iter()
            .map(|(source, target)| Device {
                source: PathBuf::from(source),
                target: PathBuf::from(target),
            })
            .collect(),
        capabilities: settings.capabilities.clone(),
        sysctls: settings.sysctls.clone().into_iter().collect(),
        health: settings.health.as_ref().map(|health| Health {
            command: health.command.clone(),
            interval: health.interval,
            timeout: health.timeout,
            retries: health.retries,
        }),
        ..ContainerSpec::default()
    }
}

pub(super) fn limits(limits: &dfaas_model::Limits) -> Limits {
    Limits {
        cpus: limits.cpus,
        memory_bytes: limits.memory_bytes,
        pids: limits.pids,
    }
}
