//! Files of `/etc` that differ from node to node.

use std::fmt::Write;
use std::fs;
use std::io;
use std::net::IpAddr;
use std::path::Path;

use super::surroundings::{attach, make_directory};
use crate::error::{Cannot, ProcessError};
use crate::message::Configuration;
use crate::sys;

pub(super) fn write(configuration: &Configuration) -> Result<(), ProcessError> {
    put("hosts", &hosts(&configuration.hosts))?;
    put("hostname", &format!("{}\n", configuration.node))?;
    put("resolv.conf", &configuration.resolv_conf)
}

/// In place: the file may be a mount, and who has it open goes on with it.
pub(super) fn rewrite_hosts(entries: &[(IpAddr, String)]) -> io::Result<()> {
    fs::write("/etc/hosts", hosts(entries))
}

fn hosts(entries: &[(IpAddr, String)]) -> String {
    let mut text = String::from("127.0.0.1\tlocalhost\n::1\tlocalhost ip6-localhost ip6-loopback\n");
    for (address, name) in entries {
        // Writing to a string cannot fail.
        _ = writeln!(text, "{address}\t{name}");
    }
    text
}

fn put(name: &str, text: &str) -> Result<(), ProcessError> {
    let path = Path::new("/etc").join(name);
    match replace(&path, text) {
        // Without an overlay over /etc.
        Err(error) if error.kind() == io::ErrorKind::ReadOnlyFilesystem => cover(&path, name, text),
        other => other.cannot(|| format!("write {}", path.display())),
    }
}

/// The host's file may be a link to a place that the node does not have, so it is removed first.
fn replace(path: &Path, text: &str) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    fs::write(path, text)
}

/// Mounts a file of the node's own `/run` over the path; through a link, over what the link names.
fn cover(path: &Path, name: &str, text: &str) -> Result<(), ProcessError> {
    let directory = Path::new("/run/dfaas/etc");
    make_directory(directory)?;
    let source = directory.join(name);
    fs::write(&source, text).cannot(|| format!("write {}", source.display()))?;
    if let Ok(link) = fs::read_link(path) {
        let target = Path::new("/etc").join(link);
        if let Some(above) = target.parent() {
            // A place that cannot be made is named by the next step.
            _ = make_directory(above);
        }
    }
    let tree = sys::open_tree(&source, false).cannot(|| format!("open {}", source.display()))?;
    attach(&tree, false, path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_node_has_a_line() {
        let entries = [
            ([10, 0, 0, 1].into(), "n1".to_owned()),
            ([10, 0, 0, 2].into(), "n2".to_owned()),
        ];
        let text = hosts(&entries);
        assert!(text.starts_with("127.0.0.1\tlocalhost\n"));
        assert!(text.ends_with("10.0.0.1\tn1\n10.0.0.2\tn2\n"), "{text}");
    }
}
