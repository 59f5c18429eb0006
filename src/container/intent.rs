//! What create is about to make outside its state directory, on disk before it is made.
//!
//! SIGKILL cannot be caught: whoever finds an intent without a `state.json` and without a creator
//! removes what it lists. Mounts are not listed because they live in the mount namespace of the
//! waiting process, which dies with its creator until create has succeeded.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::systemd::Unit;

/// `intent.json`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Intent {
    /// The cgroup directories, one for each hierarchy.
    pub cgroups: Vec<IntendedCgroup>,
    /// The scope of systemd's that they belong to.
    #[serde(default)]
    pub unit: Option<Unit>,
}

/// A cgroup directory that create makes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct IntendedCgroup {
    /// Its path on the host.
    pub path: PathBuf,
    /// Its inode once it exists. No process is put into the cgroup before this is recorded; so
    /// without it (or with another one found at the path) there is nobody in it to kill, and
    /// another container's cgroup at the same path is left alone.
    pub inode: Option<u64>,
}
