//! The end of a lab: every step undone, all errors collected.

use std::sync::Arc;
use std::time::{Duration, Instant};

use dfaas_control::LabState;
use futures::future::join_all;
use nix::mount::{MntFlags, umount2};

use crate::fault;
use crate::supervisor::containers;
use crate::supervisor::lab::Lab;

/// How long services may take to end after SIGTERM.
const GRACE: Duration = Duration::from_secs(2);
/// How long the kernel may take to remove all devices. It does so in the background; 1000 nodes take about half a second.
const DEVICE_LIMIT: Duration = Duration::from_secs(20);

/// Takes everything down and returns what is left, in words.
pub(crate) async fn take_down(lab: &Arc<Lab>) -> Vec<String> {
    lab.set_state(LabState::Stopping);
    fault::step("end begun");
    let began = Instant::now();
    lab.tasks.end_all().await;
    let nodes = lab.nodes();
    let mut left: Vec<String> = join_all(nodes.iter().map(|node| node.stop(GRACE)))
        .await
        .into_iter()
        .flatten()
        .collect();
    left.extend(containers::remove(lab, GRACE).await);
    tracing::debug!(elapsed = ?began.elapsed(), "nodes ended");
    fault::step("nodes ended");
    let _building = lab.building.lock().await;
    let (network, links) = lab.release_network();
    let closing = tokio::task::spawn_blocking(move || {
        if let Some(links) = links {
            links.stop();
            tracing::debug!(elapsed = ?began.elapsed(), "link engine ended");
            fault::step("link engine ended");
        }
        match Arc::try_unwrap(network?) {
            Ok(network) => network.close(DEVICE_LIMIT).err().map(|error| error.to_string()),
            // A connection into a node is still being made; the network goes with it, and with this process at the latest.
            Err(shared) => {
                drop(shared);
                None
            }
        }
    });
    match closing.await {
        Ok(None) => {}
        Ok(Some(error)) => left.push(error),
        Err(error) => left.push(format!("network: {error}")),
    }
    tracing::debug!(elapsed = ?began.elapsed(), "network gone");
    fault::step("network gone");
    if left.is_empty() {
        left.extend(remove_state(lab));
    }
    left
}

/// The scratch tmpfs first: it is a mount inside the directory. Whoever has removed the directory has removed the mount
/// with it, and may have made another lab's in its place.
fn remove_state(lab: &Lab) -> Option<String> {
    if !lab.state_directory.belongs_to(lab.identity) {
        return None;
    }
    let scratch = lab.state_directory.scratch();
    if let Err(errno) = umount2(&scratch, MntFlags::MNT_DETACH) {
        return Some(format!("{}: {}", scratch.display(), errno.desc()));
    }
    fault::step("scratch unmounted");
    let removed = lab.state_directory.remove();
    fault::step("state removed");
    removed.err().map(|error| error.to_string())
}
