//! The command line.

use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Parser, Subcommand, ValueEnum};
use dfaas_faas::{
    Apart, Catalogue, Credentials, FaasError, Identity, Options, deployments_from_file, parse_duration,
};
use tracing::level_filters::LevelFilter;

/// An OpenFaaS gateway, provider and watchdog in one program.
///
/// It answers the API of faasd 0.19.0 and runs functions as processes of this machine, one per request. Without
/// credentials everybody who reaches its ports can run programs here: it listens on 127.0.0.1 unless told otherwise.
#[derive(Debug, Parser)]
#[command(version, args_conflicts_with_subcommands = true)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    pub(crate) command: Option<Command>,
    /// Port of the gateway (0: any free one)
    #[arg(long, value_name = "PORT", default_value_t = 8080)]
    gateway_port: u16,
    /// Port of the gateway's metrics
    #[arg(long, value_name = "PORT", default_value_t = 8082)]
    metrics_port: u16,
    /// Port of the provider
    #[arg(long, value_name = "PORT", default_value_t = 8081)]
    provider_port: u16,
    /// Address all three listen on; 0.0.0.0 is every address
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1")]
    bind: IpAddr,
    /// JSON array of function deployments; deployed before anything listens, over what the state directory has
    #[arg(long, value_name = "FILE")]
    deploy: Option<PathBuf>,
    /// Where functions are kept over a restart
    #[arg(long, value_name = "DIRECTORY")]
    state_directory: Option<PathBuf>,
    /// Images that add to the built-in ones or replace them: one folder each, with an image.yaml
    #[arg(long, value_name = "DIRECTORY")]
    images: Option<PathBuf>,
    /// Demand the credentials in the files basic-auth-user and basic-auth-password of this directory
    #[arg(long, value_name = "DIRECTORY")]
    basic_auth_file_directory: Option<PathBuf>,
    /// How much to keep functions apart: auto (what this machine allows), full (that or nothing), none
    #[arg(long, value_name = "ISOLATION", default_value = "auto")]
    isolation: IsolationName,
    /// What to stand for: faasd (one replica, no processor limits), or native (what this program can do besides)
    #[arg(long, value_name = "IDENTITY", default_value = "faasd")]
    identity: IdentityName,
    /// Name of the provider, in place of the identity's
    #[arg(long, value_name = "NAME")]
    provider_name: Option<String>,
    /// Leave out asynchronous calls, as an installation without NATS
    #[arg(long)]
    no_queue: bool,
    /// Longest time for one call; its process is killed then and the answer is 502
    #[arg(long, value_name = "TIME", default_value = "60s", value_parser = duration)]
    service_timeout: Duration,
    /// Time for calls to end after SIGTERM or SIGINT; their processes are killed then
    #[arg(long, value_name = "TIME", default_value = "10s", value_parser = duration)]
    pub(crate) grace: Duration,
    /// Most processes at the same time; further calls wait
    #[arg(long, value_name = "NUMBER", default_value_t = 2048)]
    max_processes: u32,
    /// Longest output of one process in bytes; beyond it the process is killed and the answer is 500
    #[arg(long, value_name = "BYTES", default_value_t = 64 << 20)]
    max_output: usize,
    /// How much to log: error, warn, info or debug (a line per call)
    #[arg(long, value_name = "LEVEL", default_value = "info", value_parser = level)]
    pub(crate) log: LevelFilter,
    /// Set by the program that watches over this one: what it removes at the end
    #[arg(long, value_name = "DIRECTORY", hide = true)]
    pub(crate) guarded: Option<PathBuf>,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum IdentityName {
    Faasd,
    Native,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum IsolationName {
    Auto,
    Full,
    None,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// List the images there are
    Images,
    /// The first process of a function's sandbox; started by this program only
    #[command(hide = true)]
    Launcher,
    /// Run a built-in function once: what some of the images consist of
    Function(Function),
}

/// A built-in function. It reads the request as a function does: standard input and `Http_*` variables.
#[derive(Debug, clap::Args)]
pub(crate) struct Function {
    pub(crate) name: FunctionName,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum FunctionName {
    /// Tells about the machine
    Nodeinfo,
    /// Waits
    Sleep,
    /// Takes a service time from a distribution
    Model,
    /// Takes memory
    EatMemory,
    /// Tells how positive a text is
    Sentiment,
    /// Serves HTTP and answers with what it gets
    Echo,
}

impl Arguments {
    /// The images with the directory of the command line.
    pub(crate) fn catalogue(&self) -> Result<Catalogue, FaasError> {
        let mut catalogue = Catalogue::built_in()?;
        if let Some(directory) = &self.images {
            catalogue.add_directory(directory)?;
        }
        Ok(catalogue)
    }

    /// Reads the files that are named.
    pub(crate) fn options(&self) -> Result<Options, FaasError> {
        let credentials = self.basic_auth_file_directory.as_deref();
        Ok(Options {
            bind: self.bind,
            gateway_port: self.gateway_port,
            provider_port: self.provider_port,
            metrics_port: self.metrics_port,
            deployments: self
                .deploy
                .as_deref()
                .map(deployments_from_file)
                .transpose()?
                .unwrap_or_default(),
            state_directory: self.state_directory.clone(),
            temporary_directory: self.guarded.clone(),
            images: self.images.clone(),
            isolation: match self.isolation {
                IsolationName::Auto => Apart::Auto,
                IsolationName::Full => Apart::Full,
                IsolationName::None => Apart::None,
            },
            identity: match self.identity {
                IdentityName::Faasd => Identity::Faasd,
                IdentityName::Native => Identity::Native,
            },
            provider_name: self.provider_name.clone(),
            queue: !self.no_queue,
            credentials: credentials.map(Credentials::from_directory).transpose()?,
            service_timeout: self.service_timeout,
            max_processes: self.max_processes as usize,
            max_output: self.max_output,
            ..Options::default()
        })
    }
}

fn level(text: &str) -> Result<LevelFilter, String> {
    text.parse()
        .map_err(|_| "expected error, warn, info or debug".to_owned())
}

fn duration(text: &str) -> Result<Duration, String> {
    parse_duration(text).ok_or_else(|| "expected a time such as 500ms, 30s or 1m30s".to_owned())
}
