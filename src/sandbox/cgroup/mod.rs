//! Control groups through their file systems: v1, v2, and v1 with v2 beside it (hybrid).
//!
//! [`detect`] says what the host has, [`resources`] turns config.json into file writes without
//! touching anything, [`device_program`] what v2 wants in place of device rules, [`manager`] makes,
//! fills, empties and removes the directories.

pub mod detect;
pub mod device_program;
pub mod devices;
pub mod manager;
pub mod resources;
mod sub;

use std::path::{Component, Path, PathBuf};

use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::container::ContainerId;
use crate::failure::Failure;
use crate::systemd::{BusError, Unit};
pub use sub::SubCgroup;

/// Who makes cgroups.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Manager {
    /// This program, in the cgroup file systems.
    Files,
    /// This program, where the user may make them; nobody where there are no limits to set.
    FilesIfAllowed,
    /// systemd.
    Systemd,
    /// Nobody: there are none.
    Nobody,
}

/// The cgroup directories of one container.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CgroupPaths {
    /// One for each v1 hierarchy.
    pub v1: Vec<V1Path>,
    /// The one in the v2 hierarchy, if that is mounted.
    pub v2: Option<PathBuf>,
    /// The scope of systemd's that they belong to.
    #[serde(default)]
    pub unit: Option<Unit>,
}

/// A container's directory in one v1 hierarchy.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct V1Path {
    /// The hierarchy's controllers; empty for a named hierarchy.
    pub controllers: Vec<String>,
    /// Name of the hierarchy's directory under `/sys/fs/cgroup`.
    pub name: String,
    /// Where the hierarchy is mounted.
    pub mount_point: PathBuf,
    /// The container's directory.
    pub path: PathBuf,
}

/// Why the container's cgroup could not be made or used.
#[derive(Debug, Error)]
pub enum CgroupError {
    /// `linux.cgroupsPath` is not a path of a cgroup of its own.
    #[error("config.json, linux.cgroupsPath `{path}`: {reason}")]
    Path {
        /// The value.
        path: String,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// The cgroup has processes that are not the container's.
    #[error(
        "cgroup `{0}` already has processes in it; give the container a cgroup of its own in \
         linux.cgroupsPath"
    )]
    InUse(PathBuf),
    /// A limit of config.json that this host's cgroups do not have.
    #[error("config.json, linux.resources.{field}: {reason}")]
    Unsupported {
        /// The field, from `linux.resources`.
        field: String,
        /// Why it cannot be applied.
        reason: String,
    },
    /// Limits, and no cgroup that this user may make.
    #[error(
        "config.json, linux.resources: this user may not make the cgroup `{0}` that limits need; \
         have its parent delegated to the user, or give no limits"
    )]
    NotAllowed(PathBuf),
    /// Processes that SIGKILL has not ended.
    #[error("cgroup `{0}` still has processes ten seconds after they were killed")]
    StillBusy(PathBuf),
    /// Somebody has frozen it, or one above it. Engines know runc's words.
    #[error(
        "container's cgroup unexpectedly frozen: thaw it (or one above it), or name another in \
         linux.cgroupsPath"
    )]
    Frozen,
    /// Freezing did not finish.
    #[error("cgroup `{path}` was not {wanted} within ten seconds")]
    Freeze {
        /// The cgroup.
        path: PathBuf,
        /// `frozen` or `thawed`.
        wanted: &'static str,
    },
    /// `exec --cgroup` names none below the container's.
    #[error("exec --cgroup: {0}")]
    Sub(String),
    /// systemd did not do it.
    #[error(transparent)]
    Systemd(#[from] BusError),
    /// There is no freezer.
    #[error("the container has no cgroup with a freezer: it cannot be paused")]
    NoFreezer,
    /// The system refused.
    #[error(transparent)]
    System(#[from] Failure),
}

/// The container's cgroup below the root of each hierarchy, without a leading slash.
///
/// With no `cgroupsPath`, `megarun-<id>`. A path that is the root, or that climbs, is an error.
pub fn relative_path(
    cgroups_path: Option<&Path>,
    id: &ContainerId,
) -> Result<PathBuf, CgroupError> {
    let Some(path) = cgroups_path.filter(|path| !path.as_os_str().is_empty()) else {
        return Ok(PathBuf::from(format!("megarun-{id}")));
    };
    let wrong = |reason| CgroupError::Path {
        path: path.display().to_string(),
        reason,
    };
    let mut relative = PathBuf::new();
    for component in path.components() {
        match component {
            Component::RootDir | Component::CurDir => {}
            Component::Normal(name) => relative.push(name),
            Component::ParentDir | Component::Prefix(_) => {
                return Err(wrong("`..` is not allowed"));
            }
        }
    }
    if relative.as_os_str().is_empty() {
        return Err(wrong(
            "is the root of the hierarchy, which is not the container's own",
        ));
    }
    Ok(relative)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn relative(path: &str) -> Result<String, CgroupError> {
        relative_path(Some(Path::new(path)), &"c1".parse().unwrap())
            .map(|path| path.display().to_string())
    }

    #[test]
    fn engines_paths_are_taken_as_they_are() {
        assert_eq!(
            relative("/libpod_parent/libpod-1").unwrap(),
            "libpod_parent/libpod-1"
        );
        assert_eq!(
            relative("/kubepods/burstable/podX/y").unwrap(),
            "kubepods/burstable/podX/y"
        );
        assert_eq!(relative("a//b/./c").unwrap(), "a/b/c");
        assert_eq!(relative("").unwrap(), "megarun-c1");
        let default = relative_path(None, &"c1".parse().unwrap()).unwrap();
        assert_eq!(default, Path::new("megarun-c1"));
    }

    #[test]
    fn nobody_elses_cgroup_is_taken() {
        for path in ["/", "//", ".", "..", "/a/../..", "../a", "/a/.."] {
            assert!(
                matches!(relative(path), Err(CgroupError::Path { .. })),
                "{path}"
            );
        }
    }
}
