//! What `dfaas-agent dataplane` is configured by.

use super::reader::Reader;
use super::{ConfigError, Environment, HostPort, LogConfig};
use dfaas_agent_api::environment::names;
use std::path::PathBuf;

/// The Data Plane API in front of a HAProxy. It reads few of the agent's variables, so that the environment of another agent
/// does for it.
#[derive(Clone, Debug, PartialEq)]
pub struct DataplaneConfig {
    /// What to log, and how.
    pub log: LogConfig,
    /// Where to listen.
    pub listen: HostPort,
    /// Who may ask.
    pub user: String,
    /// With which password.
    pub password: String,
    /// HAProxy's configuration file.
    pub configuration: PathBuf,
    /// The program that checks it.
    pub executable: Option<PathBuf>,
    /// Socket of the master process.
    pub master_socket: PathBuf,
    /// Shell command that reloads it.
    pub update_command: Option<String>,
}

impl DataplaneConfig {
    /// Reads the configuration; what is not set has its default.
    ///
    /// # Errors
    /// When values are wrong: all of them at once, each with its variable and the remedy.
    pub fn read(environment: &dyn Environment) -> Result<Self, ConfigError> {
        let mut reader = Reader::new(environment);
        let update_command = reader.text(names::HAPROXY_CONFIG_UPDATE_COMMAND);
        let config = Self {
            log: LogConfig::read(&mut reader),
            listen: reader.host_port(names::DATAPLANEAPI_HOST, names::DATAPLANEAPI_PORT),
            user: reader.required_text(names::DATAPLANEAPI_USER),
            password: reader.required_text(names::DATAPLANEAPI_PASSWORD),
            configuration: reader.path(names::HAPROXY_CONFIG_FILE),
            executable: reader.optional_path(names::HAPROXY_EXECUTABLE),
            master_socket: reader.socket(names::HAPROXY_MASTER_SOCK_PATH),
            update_command: (!update_command.is_empty()).then_some(update_command),
        };
        reader.finish(config)
    }
}
