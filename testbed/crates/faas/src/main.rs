//! The embedded OpenFaaS platform as a program.

// This program speaks to people on standard error, and its functions answer on standard output.
#![allow(clippy::print_stderr, clippy::print_stdout)]

mod arguments;
mod functions;

use std::process::ExitCode;

use clap::Parser;
use dfaas_faas::{FaasError, Server, guard};
use tokio::signal::unix::{SignalKind, signal};
use tracing::info;

use arguments::{Arguments, Command};

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let outcome = match &arguments.command {
        Some(Command::Function(function)) => return functions::run(function),
        Some(Command::Launcher) => dfaas_process::sandbox_main(),
        Some(Command::Images) => arguments.catalogue().map(|images| {
            for (name, image) in images.iter() {
                println!("{name:<10} {}", image.description);
            }
            ExitCode::SUCCESS
        }),
        None => serve(&arguments),
    };
    outcome.unwrap_or_else(|error| {
        eprintln!("dfaas-faas: {error}");
        ExitCode::from(error.exit_code())
    })
}

fn serve(arguments: &Arguments) -> Result<ExitCode, FaasError> {
    let options = arguments.options()?;
    if arguments.guarded.is_none() && guard::is_needed() {
        return guard::run("--guarded").map(ExitCode::from);
    }
    tracing_subscriber::fmt()
        .with_max_level(arguments.log)
        .with_writer(std::io::stderr)
        .with_ansi(false)
        .with_target(false)
        .init();
    guard::prepare_server(arguments.guarded.is_some())?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(FaasError::Runtime)?;
    runtime.block_on(async {
        let mut terminate = signal(SignalKind::terminate()).map_err(FaasError::Runtime)?;
        let mut interrupt = signal(SignalKind::interrupt()).map_err(FaasError::Runtime)?;
        let server = Server::start(&options).await?;
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        info!("stopping");
        tokio::select! {
            () = server.shut_down(arguments.grace) => info!("stopped"),
            _ = terminate.recv() => info!("stopped at once"),
            _ = interrupt.recv() => info!("stopped at once"),
        }
        Ok(ExitCode::SUCCESS)
    })
}
