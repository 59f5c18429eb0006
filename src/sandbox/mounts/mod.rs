//! The container's mounts, in three steps: [`options`] reads config.json without touching
//! anything, [`prepare`] opens what comes from the host before the child exists, [`attach`] puts
//! everything in place inside the child's mount namespace.

pub mod attach;
pub mod copy_up;
pub mod idmap;
pub mod ids;
pub mod options;
pub mod prepare;

use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::failure::Failure;
use crate::init::request::Handed;

/// Why a mount could not be made.
#[derive(Debug, Error)]
pub enum MountError {
    /// config.json asks for something that is wrong or unknown.
    #[error("config.json, mounts[{index}] (`{destination}`): {reason}")]
    Config {
        /// Position in `mounts`.
        index: usize,
        /// Where it should be mounted.
        destination: String,
        /// What is wrong.
        reason: String,
    },
    /// The system refused.
    #[error(transparent)]
    System(#[from] Failure),
}

/// One thing for the child to mount. Descriptors are detached mounts that the parent opened.
#[derive(Debug, Serialize, Deserialize)]
pub struct Step {
    /// Where, inside the root file system: absolute, without `.` and `..`.
    pub destination: PathBuf,
    /// What.
    pub source: Source,
}

impl Step {
    /// Whether it can only be done in the container's cgroups: it shows them, or fills a file
    /// system whose pages count there.
    pub fn waits_for_cgroups(&self) -> bool {
        match &self.source {
            Source::Tree { tree, .. } => matches!(tree, Handed::Later(_)),
            Source::Filesystem(filesystem) => filesystem.copy_up,
            Source::CgroupV1 { .. } => true,
        }
    }
}

/// What a [`Step`] mounts.
#[derive(Debug, Serialize, Deserialize)]
pub enum Source {
    /// A tree of the host, its attributes already set.
    Tree {
        /// The detached tree.
        tree: Handed,
        /// Whether it is a directory; else the mount point is a file.
        directory: bool,
    },
    /// A new file system, made by the child in its own namespaces.
    Filesystem(Filesystem),
    /// The container's own v1 cgroups under a tmpfs.
    CgroupV1 {
        /// Name and tree of each hierarchy.
        hierarchies: Vec<(String, Handed)>,
        /// `MOUNT_ATTR_*` of the tmpfs, applied last.
        attributes: u64,
    },
}

/// A file system to make.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Filesystem {
    /// Its type as the kernel names it.
    pub kind: String,
    /// What mountinfo shows as its source.
    pub source: String,
    /// Options for it: flags have no value.
    pub data: Vec<(String, Option<String>)>,
    /// `MOUNT_ATTR_*` to set.
    pub attributes: u64,
    /// `MS_*` propagation type, or 0.
    pub propagation: u64,
    /// Begin with what the image has at the mount point.
    pub copy_up: bool,
}
