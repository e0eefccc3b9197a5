//! Process 1 of a node: makes the node's surroundings, then keeps its services running.

mod backoff;
mod capabilities;
mod channel;
mod console;
pub(crate) mod devices;
mod etc;
mod host_mounts;
mod launch;
mod log;
mod root;
mod service;
mod shutdown;
mod standalone;
mod supervisor;
mod surroundings;

use std::fs::File;
use std::io;
use std::os::fd::{FromRawFd, OwnedFd};
use std::os::unix::net::UnixStream;

use nix::fcntl::{FcntlArg, FdFlag, fcntl};
use nix::unistd::setsid;

use crate::error::{Cannot, ProcessError};
use crate::message::{
    CONFIGURATION_DESCRIPTOR, CONTROL_DESCRIPTOR, Configuration, LIFELINE_DESCRIPTOR, Notice,
};
use crate::spec::Event;
pub use standalone::run_services;

use channel::Channel;
use log::Logs;
use supervisor::Supervisor;
pub(crate) use surroundings::{attach, make_directory};

/// Runs a node. A program started by [`Spawner::spawn_init`](crate::Spawner::spawn_init) calls this first of all, before
/// it starts a thread.
///
/// Started by anything else it ends with code 2.
pub fn init_main() -> ! {
    let code = match descriptors() {
        Ok(descriptors) => run(descriptors),
        Err(error) => {
            complain(&error);
            2
        }
    };
    std::process::exit(code)
}

#[expect(
    clippy::print_stderr,
    reason = "somebody has started init by hand and looks at the terminal"
)]
fn complain(error: &io::Error) {
    eprintln!("this is the first process of a node and is only started by the testbed itself: {error}");
}

struct Descriptors {
    configuration: File,
    lifeline: OwnedFd,
    control: UnixStream,
}

fn descriptors() -> io::Result<Descriptors> {
    Ok(Descriptors {
        configuration: inherited(CONFIGURATION_DESCRIPTOR)?.into(),
        lifeline: inherited(LIFELINE_DESCRIPTOR)?,
        control: inherited(CONTROL_DESCRIPTOR)?.into(),
    })
}

/// Takes over a descriptor that the spawner has left open, and keeps it from the services.
fn inherited(number: i32) -> io::Result<OwnedFd> {
    // SAFETY: `init_main` runs once, at the start of the program; nobody else owns these numbers. Whether the number
    // is open at all is checked by the next call, and one that is not is never closed.
    let descriptor = std::mem::ManuallyDrop::new(unsafe { OwnedFd::from_raw_fd(number) });
    fcntl(&*descriptor, FcntlArg::F_SETFD(FdFlag::FD_CLOEXEC))?;
    Ok(std::mem::ManuallyDrop::into_inner(descriptor))
}

fn run(descriptors: Descriptors) -> i32 {
    let mut channel = match Channel::new(descriptors.control) {
        Ok(channel) => channel,
        Err(_) => return 1,
    };
    match prepare(descriptors.configuration, descriptors.lifeline, &mut channel) {
        Ok(mut supervisor) => supervisor.run(&mut channel),
        Err(error) => {
            channel.send(&Notice::Event(Event::InitFailed {
                reason: error.to_string(),
            }));
            1
        }
    }
}

fn prepare(
    configuration: File,
    lifeline: OwnedFd,
    channel: &mut Channel,
) -> Result<Supervisor, ProcessError> {
    // Ctrl-C in the supervisor's terminal is not meant for nodes. A process that leads a group already needs no session.
    _ = setsid();
    let configuration: Configuration = serde_json::from_reader(io::BufReader::new(configuration))
        .map_err(io::Error::from)
        .cannot(|| "read the configuration".into())?;
    let made = surroundings::make(&configuration)?;
    for text in made.warnings {
        channel.send(&Notice::Event(Event::Warning { text }));
    }
    let logs = Logs::new(made.log_directory, false);
    let supervisor = Supervisor::new(logs, Some(lifeline), channel)?;
    // After everything that needs them: init's own set stays, programs get what the bounding set lets through.
    capabilities::limit(configuration.privileges)?;
    channel.send(&Notice::Event(Event::Ready));
    Ok(supervisor)
}
