//! One running instance of a function: its sandbox, for the asynchronous world.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use dfaas_process::{Answer, Cgroup, Request, Sandbox, Usage};
use tokio::io::Interest;
use tokio::net::UnixStream;
use tokio::sync::oneshot;
use tracing::{debug, warn};

/// An instance. Dropping it kills every process in it.
#[derive(Debug)]
pub(crate) struct Instance {
    shared: Arc<Shared>,
    next: AtomicU64,
}

#[derive(Debug)]
struct Shared {
    sandbox: Option<Sandbox>,
    /// Its socket, to wait for.
    socket: UnixStream,
    waiting: Mutex<BTreeMap<u64, oneshot::Sender<Answer>>>,
    has_ended: AtomicBool,
    cgroup: Mutex<Option<Cgroup>>,
    /// Dropped last of all.
    _alive: Arc<()>,
}

/// A started program.
#[derive(Debug)]
pub(crate) struct Running {
    instance: Arc<Shared>,
    id: u64,
    end: Option<oneshot::Receiver<Answer>>,
}

impl Instance {
    /// Takes care of a sandbox. Must run inside the runtime.
    pub(crate) fn new(sandbox: Sandbox, alive: Arc<()>) -> io::Result<Self> {
        // No stream, but that makes no difference for waiting.
        let socket = std::os::unix::net::UnixStream::from(sandbox.control().try_clone_to_owned()?);
        socket.set_nonblocking(true)?;
        let shared = Arc::new(Shared {
            sandbox: Some(sandbox),
            socket: UnixStream::from_std(socket)?,
            waiting: Mutex::default(),
            has_ended: AtomicBool::new(false),
            cgroup: Mutex::default(),
            _alive: alive,
        });
        tokio::spawn(read_answers(shared.clone()));
        Ok(Instance {
            shared,
            next: AtomicU64::new(1),
        })
    }

    /// The cgroup that goes with it.
    pub(crate) fn with_cgroup(self, cgroup: Option<Cgroup>) -> Self {
        *self.shared.cgroup.lock().unwrap_or_else(PoisonError::into_inner) = cgroup;
        self
    }

    /// What it uses; `None` without a cgroup.
    pub(crate) fn usage(&self) -> Option<Usage> {
        let cgroup = self.shared.cgroup.lock().unwrap_or_else(PoisonError::into_inner);
        cgroup.as_ref().map(Cgroup::usage)
    }

    pub(crate) fn has_ended(&self) -> bool {
        self.shared.has_ended.load(Ordering::Relaxed)
    }

    /// Starts a program with these `NAME=value` besides the function's environment.
    pub(crate) async fn run(
        &self,
        arguments: &[&OsStr],
        environment: &[&OsStr],
        streams: [OwnedFd; 3],
    ) -> io::Result<Running> {
        let (id, end) = self.expect();
        let running = Running {
            instance: self.shared.clone(),
            id,
            end: Some(end),
        };
        let [input, output, error] = &streams;
        let request = Request::Run {
            id,
            arguments,
            environment,
            streams: [input.as_fd(), output.as_fd(), error.as_fd()],
        };
        self.shared.send(&request).await?;
        Ok(running)
    }

    /// A TCP socket in the function's network that is not connected yet.
    pub(crate) async fn socket(&self, version_6: bool) -> io::Result<OwnedFd> {
        let (id, answer) = self.expect();
        self.shared.send(&Request::Socket { id, version_6 }).await?;
        descriptor(answer).await
    }

    /// Opens a file of the function for reading.
    pub(crate) async fn open(&self, path: &OsStr) -> io::Result<OwnedFd> {
        let (id, answer) = self.expect();
        self.shared.send(&Request::Open { id, path }).await?;
        descriptor(answer).await
    }

    fn expect(&self) -> (u64, oneshot::Receiver<Answer>) {
        let id = self.next.fetch_add(1, Ordering::Relaxed);
        let (sender, receiver) = oneshot::channel();
        self.shared.waiting().insert(id, sender);
        if self.has_ended() {
            self.shared.waiting().remove(&id);
        }
        (id, receiver)
    }
}

impl Drop for Instance {
    fn drop(&mut self) {
        if let Some(sandbox) = &self.shared.sandbox {
            sandbox.kill();
        }
    }
}

async fn descriptor(answer: oneshot::Receiver<Answer>) -> io::Result<OwnedFd> {
    match answer.await {
        Ok(Answer::Descriptor { descriptor, .. }) => Ok(descriptor),
        Ok(Answer::Refused { code, .. }) => Err(io::Error::from_raw_os_error(code)),
        _ => Err(gone()),
    }
}

fn gone() -> io::Error {
    io::Error::new(io::ErrorKind::BrokenPipe, "the function has ended")
}

impl Shared {
    async fn send(&self, request: &Request<'_>) -> io::Result<()> {
        let sandbox = self.sandbox.as_ref().ok_or_else(gone)?;
        loop {
            self.socket.writable().await?;
            match self.socket.try_io(Interest::WRITABLE, || sandbox.send(request)) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                other => return other,
            }
        }
    }

    fn waiting(&self) -> MutexGuard<'_, BTreeMap<u64, oneshot::Sender<Answer>>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn take(&self, answer: Answer) {
        let (Answer::Exited { id, .. }
        | Answer::NotFound { id }
        | Answer::Refused { id, .. }
        | Answer::Descriptor { id, .. }) = answer;
        if let Some(waiting) = self.waiting().remove(&id) {
            // Whoever asked may have gone.
            let _ = waiting.send(answer);
        }
    }
}

/// Kills what is left and waits for its end, which takes the kernel a moment.
impl Drop for Shared {
    fn drop(&mut self) {
        drop(self.sandbox.take());
        let cgroup = self
            .cgroup
            .get_mut()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        if let Some(Err(error)) = cgroup.as_ref().map(Cgroup::remove) {
            warn!("{error}");
        }
    }
}

/// Hands out answers until the launcher ends.
async fn read_answers(shared: Arc<Shared>) {
    while let Some(sandbox) = &shared.sandbox {
        match shared.socket.try_io(Interest::READABLE, || sandbox.receive()) {
            Ok(Some(answer)) => shared.take(answer),
            Ok(None) => break,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                if let Err(error) = shared.socket.readable().await {
                    warn!("an instance is not followed any more: {error}");
                    break;
                }
            }
            Err(error) => {
                debug!("an instance ended: {error}");
                break;
            }
        }
    }
    shared.has_ended.store(true, Ordering::Relaxed);
    // Those who wait see their end.
    shared.waiting().clear();
    // The last owner waits for the kernel; that must not be this thread.
    drop(tokio::task::spawn_blocking(move || drop(shared)));
}

impl Running {
    /// The end of the program, or why it was not started.
    pub(crate) async fn end(&mut self) -> io::Result<Answer> {
        let Some(end) = &mut self.end else {
            return Err(gone());
        };
        let answer = end.await;
        self.end = None;
        answer.map_err(|_| gone())
    }

    /// Sends a signal to the program and its group.
    pub(crate) fn signal(&self, signal: i32) {
        let Some(sandbox) = &self.instance.sandbox else {
            return;
        };
        let request = Request::Signal { id: self.id, signal };
        if let Err(error) = sandbox.send(&request)
            && error.kind() == io::ErrorKind::WouldBlock
        {
            let (instance, id) = (self.instance.clone(), self.id);
            tokio::spawn(async move { instance.send(&Request::Signal { id, signal }).await });
        }
    }
}

/// A program whose end nobody waited for is killed.
impl Drop for Running {
    fn drop(&mut self) {
        if self.end.is_some() {
            self.signal(nix::libc::SIGKILL);
        }
    }
}
