//! One process of a function, in its own process group, with pipes for everything.

use std::ffi::OsString;
use std::io::{self, PipeWriter, Write};
use std::os::fd::OwnedFd;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{ExitStatus, Stdio};

use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;
use tokio::net::unix::pipe;

use crate::function::Function;

/// What surely fits in a new pipe, even where the kernel gives each only one page.
const SMALLEST_PIPE: usize = 4096;

/// A started process.
pub(super) struct Process {
    child: tokio::process::Child,
    group: Option<Pid>,
    /// Open as long as something has to be written.
    pub(super) stdin: Option<pipe::Sender>,
    /// Standard output, with standard error in it if the function wants that.
    pub(super) stdout: Option<pipe::Receiver>,
    /// Standard error when it is separate.
    pub(super) stderr: Option<pipe::Receiver>,
}

/// What the process reads first.
pub(super) enum Input {
    /// This and then the end.
    Whole(Vec<u8>),
    /// Whatever is written to [`Process::stdin`].
    Stream,
}

impl Input {
    /// The largest body that may be given as a whole.
    pub(super) const LARGEST_WHOLE: usize = SMALLEST_PIPE;
}

impl Process {
    /// Starts the function's program at `path`. Must run inside the runtime.
    ///
    /// No closure runs between fork and exec, so the standard library takes its `posix_spawn` path: several
    /// times faster than a fork of a process with this many pages.
    pub(super) fn spawn(
        function: &Function,
        path: &Path,
        request: &[(OsString, OsString)],
        input: Input,
    ) -> io::Result<Self> {
        let settings = &function.settings;
        let (output_reader, output_writer) = io::pipe()?;
        let mut error_reader = None;
        let error_writer = if settings.combine_output {
            output_writer.try_clone()?
        } else {
            let (reader, writer) = io::pipe()?;
            error_reader = Some(receiver(reader.into())?);
            writer
        };
        let (input_reader, stdin) = input_pipe(input)?;
        let mut command = std::process::Command::new(path);
        command
            .arg0(settings.command.first().map_or("", String::as_str))
            .args(settings.command.iter().skip(1))
            .env_clear()
            .envs(function.environment.iter().map(|(name, value)| (name, value)))
            .envs(request.iter().map(|(name, value)| (name, value)))
            .current_dir("/")
            .process_group(0)
            .stdin(input_reader)
            .stdout(output_writer)
            .stderr(error_writer);
        let mut command = tokio::process::Command::from(command);
        // The writers of the pipes live in `command`: it must go before anybody waits for their end.
        let child = command.kill_on_drop(true).spawn()?;
        drop(command);
        Ok(Process {
            group: child
                .id()
                .and_then(|id| i32::try_from(id).ok())
                .map(Pid::from_raw),
            child,
            stdin,
            stdout: Some(receiver(output_reader.into())?),
            stderr: error_reader,
        })
    }

    /// The end of the process. What is left of its group then is killed: a call's processes end with it.
    pub(super) async fn wait(&mut self) -> io::Result<ExitStatus> {
        let status = self.child.wait().await;
        self.kill_group();
        status
    }

    fn kill_group(&mut self) {
        if let Some(group) = self.group.take() {
            // Fails only when nobody is left, which is the aim.
            let _ = killpg(group, Signal::SIGKILL);
        }
    }
}

/// A process that has not been waited for is killed with its group, then reaped by the runtime. Its number is
/// still its own here.
impl Drop for Process {
    fn drop(&mut self) {
        self.kill_group();
    }
}

fn receiver(descriptor: OwnedFd) -> io::Result<pipe::Receiver> {
    pipe::Receiver::from_owned_fd(descriptor)
}

fn input_pipe(input: Input) -> io::Result<(Stdio, Option<pipe::Sender>)> {
    let (reader, mut writer): (_, PipeWriter) = io::pipe()?;
    let sender = match input {
        Input::Whole(content) => {
            writer.write_all(&content)?;
            None
        }
        Input::Stream => Some(pipe::Sender::from_owned_fd(writer.into())?),
    };
    Ok((reader.into(), sender))
}
