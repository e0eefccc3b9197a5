//! A disk that fills up during a run: a tiny tmpfs in a mount namespace of its own.

use std::fs;
use std::path::Path;
use std::time::Duration;

use dfaas_experiment::{ExperimentError, run};
use nix::mount::{MsFlags, mount};
use nix::sched::{CloneFlags, unshare};

use super::block_on;
use super::fake_lab::{FakeLabs, Watcher};
use super::results::{federation, options};
use super::scenario::{experiment, flow};

pub(crate) const TESTS: &[super::Test] =
    &[("disk_full::a_full_disk_is_named_and_the_lab_stopped", a_full_disk)];

fn a_full_disk() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().to_owned();
    // The mount namespace belongs to this one thread and goes away with it.
    let outcome = std::thread::spawn(move || on_a_small_disk(&path)).join();
    if let Err(panic) = outcome {
        std::panic::resume_unwind(panic);
    }
    assert_eq!(
        fs::read_dir(folder.path()).unwrap().count(),
        0,
        "the tmpfs was never visible outside"
    );
}

fn on_a_small_disk(path: &Path) {
    if let Err(error) = mount_small(path) {
        let required = std::env::var("DFAAS_REQUIRE").unwrap_or_default();
        assert!(
            !required.split(',').any(|one| one == "root"),
            "root is required: {error}"
        );
        eprintln!("skipped: cannot mount a tmpfs in a mount namespace of its own: {error}");
        return;
    }
    let server = federation();
    let users = flow(
        "users",
        "user1",
        server.address.port(),
        500.0,
        Duration::from_secs(20),
    );
    let experiment = experiment(vec![users], Vec::new());
    let (labs, watcher) = (FakeLabs::new(), Watcher::new());
    let error = block_on(run(&experiment, &labs, options(path, &watcher), &watcher)).unwrap_err();
    assert!(matches!(error, ExperimentError::DiskFull { .. }), "{error}");
    let file = path.join("cells/0/0/requests.jsonl");
    assert_eq!(
        error.to_string(),
        format!(
            "no space left on the disk (ENOSPC) while writing {}",
            file.display()
        )
    );
    assert_eq!(labs.calls(), ["start fake", "load on user1", "stop fake"]);
    assert!(
        fs::metadata(&file).unwrap().len() > 100_000,
        "rows were written while there was room"
    );
}

fn mount_small(path: &Path) -> nix::Result<()> {
    unshare(CloneFlags::CLONE_NEWNS)?;
    mount(
        None::<&str>,
        "/",
        None::<&str>,
        MsFlags::MS_REC | MsFlags::MS_PRIVATE,
        None::<&str>,
    )?;
    mount(
        Some("tmpfs"),
        path,
        Some("tmpfs"),
        MsFlags::empty(),
        Some("size=512k"),
    )
}
