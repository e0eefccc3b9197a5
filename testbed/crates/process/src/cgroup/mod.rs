//! cgroups, version 1, version 2, and both at once (hybrid: version 1 controllers, and a version 2 hierarchy for
//! `cgroup.kill` and `cgroup.freeze`).

mod create;
mod files;
mod hierarchies;
mod limits;
mod operate;
mod remove;
mod usage;

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

pub use hierarchies::{Hierarchies, Hierarchy, cgroup_of};
pub use limits::{LimitKind, LimitNotApplied, Limits};
pub use remove::remove_cgroup_tree;
pub use usage::Usage;

use crate::error::ProcessError;

/// A cgroup: one directory in each hierarchy of this machine that has something to say about it.
///
/// Dropping it changes nothing on the machine; see [`Cgroup::remove`].
#[derive(Debug)]
pub struct Cgroup {
    reference: CgroupReference,
}

/// The exact directories of a cgroup, for a ledger or another process.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CgroupReference {
    /// Empty where this process may make no cgroup at all.
    pub directories: Vec<CgroupDirectory>,
}

/// One directory of a cgroup.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CgroupDirectory {
    /// What it controls.
    pub hierarchy: Hierarchy,
    /// Where in the hierarchy cgroups were allowed; never removed.
    pub base: PathBuf,
    /// The directory itself, below `base`.
    pub path: PathBuf,
}

/// Where the processes of a version 2 cgroup are that has others below it: with controllers handed down, it may have
/// none itself.
const ASIDE: &str = "processes";

impl CgroupDirectory {
    /// The directory whose `cgroup.procs` takes processes in.
    pub(crate) fn entrance(&self) -> PathBuf {
        let aside = self.path.join(ASIDE);
        if self.hierarchy == Hierarchy::Unified && aside.is_dir() {
            aside
        } else {
            self.path.clone()
        }
    }
}

impl Cgroup {
    /// Makes the cgroup `path` (relative, as "dfaas-testbed/lab/node") in every hierarchy of this machine that can
    /// limit, freeze or kill. One that exists already is taken over.
    ///
    /// What cannot be limited is no error: it is told in the second value, one entry per limit. Without permission the
    /// cgroup has no directories, and all that is done with it does nothing.
    ///
    /// # Errors
    /// [`ProcessError::CgroupPath`], or [`ProcessError::System`] when `/proc` cannot be read.
    pub fn create(path: &str, limits: &Limits) -> Result<(Self, Vec<LimitNotApplied>), ProcessError> {
        Self::create_in(&Hierarchies::detect()?, path, limits)
    }

    /// As [`Cgroup::create`], in given hierarchies.
    ///
    /// # Errors
    /// [`ProcessError::CgroupPath`].
    pub fn create_in(
        hierarchies: &Hierarchies,
        path: &str,
        limits: &Limits,
    ) -> Result<(Self, Vec<LimitNotApplied>), ProcessError> {
        let (reference, not_applied) = create::create(hierarchies, path, limits)?;
        Ok((Self { reference }, not_applied))
    }

    /// Its directories.
    pub fn reference(&self) -> &CgroupReference {
        &self.reference
    }

    /// Lets cgroups below it have limits of their own, which version 2 allows only where every cgroup above hands the
    /// controllers down. Nothing to do for version 1.
    pub fn hand_down(&self) {
        create::hand_down(&self.reference);
    }

    /// What its processes, and those below, use at the moment.
    pub fn usage(&self) -> Usage {
        usage::read(&self.reference)
    }

    /// Moves a process into it. Its children of later follow, those it has already do not.
    ///
    /// # Errors
    /// [`ProcessError::Cgroup`] with the first directory that refused.
    pub fn join(&self, pid: i32) -> Result<(), ProcessError> {
        self.reference.join(pid)
    }

    /// Kills every process in it and below, and waits up to 5 s until they are gone.
    ///
    /// # Errors
    /// [`ProcessError::Cgroup`] when it is still not empty.
    pub fn kill_all(&self) -> Result<(), ProcessError> {
        self.reference.kill_all()
    }

    /// Changes limits from `before` to `after`: only those that differ, one that is not in `after` is lifted. Returns
    /// those that could not be changed; they are as they were.
    ///
    /// # Errors
    /// [`ProcessError::System`] when `/proc` cannot be read.
    pub fn change_limits(
        &self,
        before: &Limits,
        after: &Limits,
    ) -> Result<Vec<LimitNotApplied>, ProcessError> {
        Ok(create::change(
            &Hierarchies::detect()?,
            &self.reference,
            before,
            after,
        ))
    }

    /// Whether its processes can be stopped where they are ([`Cgroup::freeze`]).
    pub fn can_freeze(&self) -> bool {
        self.reference.can_freeze()
    }

    /// Stops every process in it and below where it is, and waits up to 2 s for that.
    ///
    /// # Errors
    /// [`ProcessError::Cgroup`] when they do not stop.
    pub fn freeze(&self) -> Result<(), ProcessError> {
        self.reference.freeze(true)
    }

    /// Lets them go on.
    ///
    /// # Errors
    /// [`ProcessError::Cgroup`] when they do not.
    pub fn thaw(&self) -> Result<(), ProcessError> {
        self.reference.freeze(false)
    }

    /// Removes it, all cgroups below it, and the directories above it that are empty then. Its last processes may be
    /// about to end: it tries for 2 s.
    ///
    /// # Errors
    /// [`ProcessError::Cgroup`] with the first directory that stays.
    pub fn remove(&self) -> Result<(), ProcessError> {
        remove::remove(&self.reference)
    }
}
