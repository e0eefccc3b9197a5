//! One process of a function, in its own process group, with pipes for everything.

use std::ffi::{OsStr, OsString};
use std::io::{self, PipeReader, PipeWriter, Write};
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStringExt;
use std::os::unix::process::ExitStatusExt;
use std::process::ExitStatus;

use dfaas_process::Answer;
use tokio::net::unix::pipe;

use super::program;
use crate::function::Function;
use crate::runtime::{Instance, Running};

/// What surely fits in a new pipe, even where the kernel gives each only one page.
const SMALLEST_PIPE: usize = 4096;

/// A process that was asked for. Dropping it before its end kills it.
pub(crate) struct Process {
    running: Running,
    name: String,
    /// Open as long as something has to be written.
    pub(super) stdin: Option<pipe::Sender>,
    /// Standard output, with standard error in it if the function wants that.
    pub(crate) stdout: Option<pipe::Receiver>,
    /// Standard error when it is separate.
    pub(crate) stderr: Option<pipe::Receiver>,
}

/// What the process reads first.
pub(crate) enum Input {
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
    /// Asks for the function's command, with these `NAME=value` besides the function's environment. Whether there is
    /// such a program shows at its end.
    ///
    /// # Errors
    /// Go's sentence when it cannot be asked for.
    pub(crate) async fn spawn(
        function: &Function,
        instance: &Instance,
        request: &[OsString],
        input: Input,
        combine_output: bool,
    ) -> Result<Self, String> {
        let command = &function.settings.command;
        let name = command.first().cloned().unwrap_or_default();
        let failed = |error: io::Error| program::spawn_failure(name.as_ref(), &error);
        let (output, output_writer) = io::pipe().map_err(failed)?;
        let (error, error_writer) = if combine_output {
            (None, output_writer.try_clone().map_err(failed)?)
        } else {
            let (reader, writer) = io::pipe().map_err(failed)?;
            (Some(reader), writer)
        };
        let (input, stdin) = input_pipe(input).map_err(failed)?;
        let arguments: Vec<&OsStr> = command.iter().map(OsStr::new).collect();
        let environment: Vec<&OsStr> = request.iter().map(OsString::as_os_str).collect();
        let streams = [input.into(), output_writer.into(), error_writer.into()];
        let running = instance
            .run(&arguments, &environment, streams)
            .await
            .map_err(failed)?;
        Ok(Process {
            running,
            stdin,
            stdout: Some(receiver(output).map_err(failed)?),
            stderr: error.map(receiver).transpose().map_err(failed)?,
            name,
        })
    }

    /// The end of the process, by which everything else of its group has been killed.
    ///
    /// # Errors
    /// Go's sentence when there was no process.
    pub(crate) async fn wait(&mut self) -> Result<ExitStatus, String> {
        match self.running.end().await {
            Ok(Answer::Exited { status, .. }) => Ok(ExitStatus::from_raw(status)),
            Ok(Answer::NotFound { .. }) => Err(program::not_found(&self.name)),
            Ok(Answer::Refused { code, path, .. }) => {
                let path = OsString::from_vec(path);
                Err(program::spawn_failure(
                    path.as_ref(),
                    &io::Error::from_raw_os_error(code),
                ))
            }
            Ok(Answer::Descriptor { .. }) => Err("wait: no answer".to_owned()),
            Err(error) => Err(format!("wait: {error}")),
        }
    }

    /// Asks the process to end.
    pub(crate) fn signal(&self, signal: i32) {
        self.running.signal(signal);
    }
}

fn receiver(reader: PipeReader) -> io::Result<pipe::Receiver> {
    pipe::Receiver::from_owned_fd(OwnedFd::from(reader))
}

fn input_pipe(input: Input) -> io::Result<(PipeReader, Option<pipe::Sender>)> {
    let (reader, mut writer): (_, PipeWriter) = io::pipe()?;
    let sender = match input {
        Input::Whole(content) => {
            writer.write_all(&content)?;
            None
        }
        Input::Stream => Some(pipe::Sender::from_owned_fd(writer.into())?),
    };
    Ok((reader, sender))
}
