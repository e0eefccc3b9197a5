//! What goes over the control socket between a [`Spawner`](crate::Spawner) and an init.

use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::cgroup::CgroupReference;
use crate::spec::{Bind, Event, InitSpec, Privileges, ServiceSpec};

/// Descriptors that init finds open, besides the standard three.
pub(crate) const CONFIGURATION_DESCRIPTOR: i32 = 3;
pub(crate) const LIFELINE_DESCRIPTOR: i32 = 4;
pub(crate) const CONTROL_DESCRIPTOR: i32 = 5;

/// What init needs to make the node's surroundings.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Configuration {
    pub(crate) node: String,
    pub(crate) hosts: Vec<(IpAddr, String)>,
    pub(crate) resolv_conf: String,
    pub(crate) scratch: PathBuf,
    pub(crate) binds: Vec<Bind>,
    pub(crate) log_directory: PathBuf,
    pub(crate) cgroup: Option<CgroupReference>,
    pub(crate) privileges: Privileges,
}

impl From<&InitSpec> for Configuration {
    fn from(spec: &InitSpec) -> Self {
        Self {
            node: spec.node.clone(),
            hosts: spec.hosts.clone(),
            resolv_conf: spec.resolv_conf.clone(),
            scratch: spec.scratch.clone(),
            binds: spec.binds.clone(),
            log_directory: spec.log_directory.clone(),
            cgroup: spec.cgroup.clone(),
            privileges: spec.privileges,
        }
    }
}

/// A request to init.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Request {
    /// Comes back in the answer.
    pub(crate) id: u64,
    pub(crate) order: Order,
}

#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum Order {
    StartService(ServiceSpec),
    /// Answered when the service has ended.
    StopService {
        name: String,
        grace: Duration,
    },
    SignalService {
        name: String,
        signal: i32,
    },
    Shutdown {
        grace: Duration,
    },
    /// The lines of `/etc/hosts` from now on.
    SetHosts(Vec<(IpAddr, String)>),
}

/// What init sends.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum Notice {
    /// A step before init's own code failed with this error number. Written by hand in `spawner::child`.
    Failed { step: String, code: i32 },
    /// Something happened.
    Event(Event),
    /// The answer to a request; the text says why it was refused.
    Answer { id: u64, refused: Option<String> },
}

/// Files travel as text in which each character is one byte (Latin-1): compact for what is text anyway, and JSON can
/// carry it.
pub(crate) mod files {
    use std::path::PathBuf;

    use serde::de::Error;
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    pub(crate) fn serialize<S: Serializer>(
        files: &[(PathBuf, Vec<u8>)],
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        let files: Vec<(&PathBuf, String)> = files
            .iter()
            .map(|(path, bytes)| (path, bytes.iter().map(|byte| char::from(*byte)).collect()))
            .collect();
        files.serialize(serializer)
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Vec<(PathBuf, Vec<u8>)>, D::Error> {
        Vec::<(PathBuf, String)>::deserialize(deserializer)?
            .into_iter()
            .map(|(path, text)| {
                let bytes: Result<Vec<u8>, _> = text.chars().map(u8::try_from).collect();
                let bytes =
                    bytes.map_err(|_| D::Error::custom("a character of a file is more than one byte"))?;
                Ok((path, bytes))
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::spec::Restart;

    #[test]
    fn a_service_with_any_bytes_in_its_files_round_trips() {
        let service = ServiceSpec {
            name: "agent".into(),
            command: vec!["dfaas-agent".into()],
            env: [("A".to_owned(), "1".to_owned())].into(),
            directory: "/".into(),
            restart: Restart::Always,
            files: vec![("/etc/key".into(), (0..=255).collect())],
        };
        let text = serde_json::to_string(&service).expect("serializes");
        assert_eq!(
            serde_json::from_str::<ServiceSpec>(&text).expect("parses"),
            service
        );
    }
}
