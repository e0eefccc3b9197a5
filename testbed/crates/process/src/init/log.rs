//! A service's output, from a pipe to a bounded file on the host. A full disk loses lines, it never stops a service.

use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::rc::Rc;

use nix::fcntl::{FcntlArg, OFlag, fcntl, openat, renameat};
use nix::sys::stat::Mode;
use nix::unistd::pipe2;

use super::console::Lines;
use crate::error::{Cannot, ProcessError};

/// A file that would grow beyond this becomes `<service>.log.1`, in place of the one before.
const LONGEST: u64 = 16 << 20;
const CHUNK: usize = 16 << 10;
/// So much is read in one turn, then other services have theirs. More than a pipe holds.
const CHUNKS_PER_TURN: usize = 8;

/// Where the logs of all services go.
#[derive(Clone)]
pub(super) struct Logs {
    directory: Rc<OwnedFd>,
    /// Whether each line is printed too.
    console: bool,
}

impl Logs {
    /// Files in a directory, and lines on the console if wanted.
    pub(super) fn new(directory: OwnedFd, console: bool) -> Self {
        Self {
            directory: Rc::new(directory),
            console,
        }
    }
}

pub(super) struct Log {
    directory: Rc<OwnedFd>,
    console: Option<Lines>,
    name: String,
    longest: u64,
    file: Option<File>,
    size: u64,
    reader: File,
    /// Kept open, so that the pipe outlives every run of the service.
    writer: OwnedFd,
    lost: Lost,
}

#[derive(Default)]
struct Lost {
    lines: u64,
    bytes: u64,
    told: bool,
}

impl Log {
    /// Opens `<service>.log` in the directory, or continues it.
    pub(super) fn open(logs: &Logs, service: &str) -> Result<Self, ProcessError> {
        let (reader, writer) = pipe2(OFlag::O_CLOEXEC).cannot(|| "make a pipe".into())?;
        fcntl(&reader, FcntlArg::F_SETFL(OFlag::O_NONBLOCK)).cannot(|| "set up a pipe".into())?;
        let mut log = Self {
            directory: Rc::clone(&logs.directory),
            console: logs.console.then(|| Lines::new(service)),
            name: format!("{service}.log"),
            longest: LONGEST,
            file: None,
            size: 0,
            reader: reader.into(),
            writer,
            lost: Lost::default(),
        };
        let name = log.name.clone();
        log.open_file().cannot(|| format!("open the log file {name}"))?;
        Ok(log)
    }

    /// The reading end: readable when there is something for [`Log::pump`].
    pub(super) fn as_fd(&self) -> BorrowedFd<'_> {
        self.reader.as_fd()
    }

    /// A writing end for a program.
    pub(super) fn writer(&self) -> io::Result<OwnedFd> {
        self.writer.try_clone()
    }

    /// Moves what the pipe holds to the file.
    pub(super) fn pump(&mut self) {
        let mut chunk = [0; CHUNK];
        for _ in 0..CHUNKS_PER_TURN {
            match self.reader.read(&mut chunk) {
                Ok(count) if count > 0 => self.append(&chunk[..count]),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                _ => return,
            }
        }
    }

    /// Once for each time that the file begins to miss lines.
    pub(super) fn warning(&mut self) -> Option<String> {
        if self.lost.bytes == 0 || self.lost.told {
            return None;
        }
        self.lost.told = true;
        Some(format!("{} misses lines, they cannot be written", self.name))
    }

    /// Adds a line of init's own.
    pub(super) fn note(&mut self, text: &str) {
        self.append(format!("[init] {text}\n").as_bytes());
    }

    /// To the file first: what the console has shown can be read there.
    fn append(&mut self, bytes: &[u8]) {
        self.keep(bytes);
        if let Some(console) = &mut self.console {
            console.print(bytes);
        }
    }

    fn keep(&mut self, bytes: &[u8]) {
        // A new file starts with a whole line.
        let room = self.longest.saturating_sub(self.size) as usize;
        let split = if bytes.len() <= room {
            bytes.len()
        } else {
            line_end(bytes)
        };
        let (old, new) = bytes.split_at(split);
        self.write(old);
        if !new.is_empty() || self.size > self.longest {
            if self.rotate().is_err() {
                return self.lost.add(new);
            }
            self.write(new);
        }
    }

    fn write(&mut self, bytes: &[u8]) {
        if bytes.is_empty() {
            return;
        }
        if self.lost.bytes > 0 {
            let Lost {
                lines, bytes: count, ..
            } = self.lost;
            let note = format!(
                "\n[init] {lines} lines ({count} bytes) are missing here: they could not be written\n"
            );
            if self.write_all(note.as_bytes()).is_err() {
                return self.lost.add(bytes);
            }
            self.lost = Lost::default();
        }
        if let Err(written) = self.write_all(bytes) {
            self.lost.add(&bytes[written..]);
        }
    }

    /// On an error: how much was written.
    fn write_all(&mut self, bytes: &[u8]) -> Result<(), usize> {
        if self.open_file().is_err() {
            return Err(0);
        }
        let Some(file) = &mut self.file else { return Err(0) };
        let mut written = 0;
        while written < bytes.len() {
            match file.write(&bytes[written..]) {
                Ok(count) if count > 0 => written += count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                _ => break,
            }
        }
        self.size += written as u64;
        if written == bytes.len() {
            Ok(())
        } else {
            Err(written)
        }
    }

    fn open_file(&mut self) -> io::Result<()> {
        if self.file.is_none() {
            let flags =
                OFlag::O_CREAT | OFlag::O_APPEND | OFlag::O_WRONLY | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
            let mode = Mode::from_bits_truncate(0o644);
            let file = File::from(openat(&*self.directory, self.name.as_str(), flags, mode)?);
            self.size = file.metadata()?.len();
            self.file = Some(file);
        }
        Ok(())
    }

    fn rotate(&mut self) -> io::Result<()> {
        let old = format!("{}.1", self.name);
        renameat(
            &*self.directory,
            self.name.as_str(),
            &*self.directory,
            old.as_str(),
        )?;
        self.file = None;
        self.open_file()
    }
}

impl Lost {
    fn add(&mut self, bytes: &[u8]) {
        self.bytes += bytes.len() as u64;
        self.lines += bytes.iter().filter(|byte| **byte == b'\n').count() as u64;
    }
}

/// The length of the first line with its end; all if there is no end.
fn line_end(bytes: &[u8]) -> usize {
    bytes
        .iter()
        .position(|byte| *byte == b'\n')
        .map_or(bytes.len(), |position| position + 1)
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;

    use super::*;

    fn log(directory: &Path, longest: u64) -> Log {
        let logs = Logs::new(File::open(directory).expect("directory").into(), false);
        let mut log = Log::open(&logs, "service").expect("log");
        log.longest = longest;
        log
    }

    #[test]
    fn output_reaches_the_file_unchanged() {
        let directory = tempfile::tempdir().expect("temporary directory");
        let mut log = log(directory.path(), LONGEST);
        File::from(log.writer().expect("writer"))
            .write_all(b"one\n\xff two")
            .expect("room in the pipe");
        log.pump();
        assert_eq!(
            fs::read(directory.path().join("service.log")).expect("file"),
            b"one\n\xff two"
        );
    }

    #[test]
    fn a_long_log_rotates_at_the_end_of_a_line_and_stays_bounded() {
        let directory = tempfile::tempdir().expect("temporary directory");
        let mut log = log(directory.path(), 1000);
        for number in 0..1000 {
            log.append(format!("line {number}\n").as_bytes());
        }
        let read = |name: &str| fs::read_to_string(directory.path().join(name)).expect("file");
        let (old, new) = (read("service.log.1"), read("service.log"));
        assert!(
            old.len() <= 1010 && new.len() <= 1010,
            "{} and {}",
            old.len(),
            new.len()
        );
        assert!(old.ends_with('\n') && new.starts_with("line ") && new.ends_with("line 999\n"));
        let last: u32 = old
            .lines()
            .next_back()
            .and_then(|line| line[5..].parse().ok())
            .expect("number");
        assert!(
            new.starts_with(&format!("line {}\n", last + 1)),
            "nothing is lost in between"
        );
        assert_eq!(fs::read_dir(directory.path()).expect("directory").count(), 2);
    }

    #[test]
    fn what_cannot_be_written_is_counted_and_told_later() {
        let directory = tempfile::tempdir().expect("temporary directory");
        let path = directory.path().join("service.log");
        let mut log = log(directory.path(), LONGEST);
        // Every write to this device fails with "no space left".
        log.file = Some(File::options().write(true).open("/dev/full").expect("/dev/full"));
        log.append(b"gone 1\ngone 2\n");
        assert!(log.warning().is_some_and(|text| text.contains("service.log")));
        assert_eq!(log.warning(), None, "told once");
        log.file = None;
        log.append(b"kept\n");
        let text = fs::read_to_string(path).expect("file");
        assert_eq!(
            text,
            "\n[init] 2 lines (14 bytes) are missing here: they could not be written\nkept\n"
        );
    }

    #[test]
    fn a_log_that_exists_is_continued_and_no_link_is_followed() {
        let directory = tempfile::tempdir().expect("temporary directory");
        fs::write(directory.path().join("service.log"), "before\n").expect("file");
        log(directory.path(), LONGEST).append(b"after\n");
        assert_eq!(
            fs::read_to_string(directory.path().join("service.log")).expect("file"),
            "before\nafter\n"
        );
        std::os::unix::fs::symlink("/dev/null", directory.path().join("link.log")).expect("link");
        let logs = Logs::new(File::open(directory.path()).expect("directory").into(), false);
        assert!(Log::open(&logs, "link").is_err());
    }
}
