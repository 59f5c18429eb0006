//! Which namespaces the container makes, joins, and shares with the host.

use std::fs::File;
use std::os::fd::{AsFd, OwnedFd};
use std::path::PathBuf;

use oci_spec::runtime::{LinuxIdMapping, LinuxNamespace, LinuxNamespaceType};
use rustix::fs::{Mode, OFlags};
use thiserror::Error;

use super::rootfs::MountNamespace;
use crate::failure::{Doing, Failure};

/// `linux.namespaces`, checked.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Namespaces {
    /// `CLONE_NEW*` of those to make.
    pub new: u32,
    /// Flag and path of those to join.
    pub join: Vec<(u32, PathBuf)>,
}

/// Why the namespaces cannot be as config.json wants them.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum NamespaceError {
    /// One kind twice.
    #[error("config.json, linux.namespaces: `{0}` is there twice")]
    Twice(&'static str),
    /// Something this runtime cannot do.
    #[error("config.json, linux.namespaces: {0}")]
    Unsupported(&'static str),
    /// A user namespace and its mappings go together.
    #[error("config.json, linux.{0}")]
    Mappings(&'static str),
}

/// Flag and name of each kind.
const KINDS: [(u32, &str, &str); 7] = [
    (libc::CLONE_NEWUSER as u32, "user", "user"),
    (libc::CLONE_NEWPID as u32, "pid", "pid"),
    (libc::CLONE_NEWNS as u32, "mount", "mnt"),
    (libc::CLONE_NEWIPC as u32, "ipc", "ipc"),
    (libc::CLONE_NEWUTS as u32, "uts", "uts"),
    (libc::CLONE_NEWNET as u32, "network", "net"),
    (libc::CLONE_NEWCGROUP as u32, "cgroup", "cgroup"),
];

impl Namespaces {
    /// Reads `linux.namespaces`.
    pub fn parse(config: &[LinuxNamespace]) -> Result<Self, NamespaceError> {
        let mut out = Self::default();
        let mut seen = 0;
        for namespace in config {
            let name = match namespace.typ() {
                LinuxNamespaceType::User => "user",
                LinuxNamespaceType::Pid => "pid",
                LinuxNamespaceType::Mount => "mount",
                LinuxNamespaceType::Ipc => "ipc",
                LinuxNamespaceType::Uts => "uts",
                LinuxNamespaceType::Network => "network",
                LinuxNamespaceType::Cgroup => "cgroup",
                LinuxNamespaceType::Time => {
                    return Err(NamespaceError::Unsupported(
                        "`time` is not supported; remove it",
                    ));
                }
            };
            let flag = KINDS
                .iter()
                .find(|kind| kind.1 == name)
                .map_or(0, |kind| kind.0);
            if seen & flag != 0 {
                return Err(NamespaceError::Twice(name));
            }
            seen |= flag;
            match namespace
                .path()
                .as_ref()
                .filter(|path| !path.as_os_str().is_empty())
            {
                None => out.new |= flag,
                Some(_) if name == "user" => {
                    return Err(NamespaceError::Unsupported(
                        "joining a `user` namespace by path is not supported; remove its path and \
                         set linux.uidMappings and linux.gidMappings",
                    ));
                }
                Some(path) => out.join.push((flag, path.clone())),
            }
        }
        if out.makes(libc::CLONE_NEWUSER) && !out.separates(libc::CLONE_NEWNS) {
            return Err(NamespaceError::Unsupported(
                "`mount` is missing, and a `user` namespace has no rights over the host's",
            ));
        }
        Ok(out)
    }

    /// Refuses a container in the runtime's own mount namespace, where the host's root is an open
    /// directory away: nothing for guests, who have nothing to gain from it.
    pub fn check_own_mounts(&self) -> Result<(), NamespaceError> {
        match self.separates(libc::CLONE_NEWNS) {
            true => Ok(()),
            false => Err(NamespaceError::Unsupported(
                "`mount` is missing; add it: only native programs may do without",
            )),
        }
    }

    /// Whose mounts the container's are to be.
    pub fn mounts(&self) -> MountNamespace {
        match (
            self.makes(libc::CLONE_NEWNS),
            self.separates(libc::CLONE_NEWNS),
        ) {
            (true, _) => MountNamespace::Own,
            (_, true) => MountNamespace::Joined,
            _ => MountNamespace::Runtimes,
        }
    }

    /// Whether a namespace of this kind (`CLONE_NEW*`) is made.
    pub fn makes(&self, kind: i32) -> bool {
        self.new & kind as u32 != 0
    }

    /// Whether the container has a namespace of this kind that is not the runtime's.
    pub fn separates(&self, kind: i32) -> bool {
        self.makes(kind) || self.join.iter().any(|(flag, _)| *flag == kind as u32)
    }

    /// Checks that mappings are there exactly where a user namespace is, and that its root is one
    /// of the mapped users: the runtime becomes it to set the container up.
    pub fn check_mappings(
        &self,
        uids: &[LinuxIdMapping],
        gids: &[LinuxIdMapping],
    ) -> Result<(), NamespaceError> {
        let maps_root = |map: &[LinuxIdMapping]| map.iter().any(|map| map.container_id() == 0);
        match self.makes(libc::CLONE_NEWUSER) {
            false if uids.is_empty() && gids.is_empty() => Ok(()),
            false => Err(NamespaceError::Mappings(
                "uidMappings and gidMappings need a `user` namespace; add it or remove them",
            )),
            true if !maps_root(uids) => Err(NamespaceError::Mappings(
                "uidMappings must map container id 0",
            )),
            true if !maps_root(gids) => Err(NamespaceError::Mappings(
                "gidMappings must map container id 0",
            )),
            true => Ok(()),
        }
    }

    /// Opens those to join, in the order in which they are to be joined.
    pub fn open_joined(&self) -> Result<Vec<(u32, OwnedFd)>, Failure> {
        let open = |(flag, path): &(u32, PathBuf)| {
            let fd = rustix::fs::open(path, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())
                .doing(|| format!("opening namespace `{}`", path.display()))?;
            Ok((*flag, fd))
        };
        self.join.iter().map(open).collect()
    }
}

/// Enters one namespace, checking that it is of the kind `flag`. A pid namespace is for the
/// children made afterwards.
pub fn join(flag: u32, namespace: impl AsFd) -> Result<(), Failure> {
    let kind = KINDS
        .iter()
        .find(|kind| kind.0 == flag)
        .map_or("?", |kind| kind.1);
    let flags = nix::sched::CloneFlags::from_bits_retain(flag as i32);
    nix::sched::setns(namespace, flags).doing(|| format!("joining the {kind} namespace"))
}

/// The namespaces of process `pid` that are not this process's own, as `CLONE_NEW*` flags.
pub fn foreign(pid: i32) -> Result<u32, Failure> {
    foreign_of(pid, u32::MAX)
}

/// The same, of those in `kinds`.
pub fn foreign_of(pid: i32, kinds: u32) -> Result<u32, Failure> {
    use std::os::unix::fs::MetadataExt;
    let identity = |path: String| {
        let meta = std::fs::metadata(&path).doing(|| format!("reading `{path}`"))?;
        Ok::<_, Failure>((meta.dev(), meta.ino()))
    };
    let mut flags = 0;
    for (flag, _, file) in KINDS.into_iter().filter(|kind| kind.0 & kinds != 0) {
        if identity(format!("/proc/{pid}/ns/{file}"))? != identity(format!("/proc/self/ns/{file}"))?
        {
            flags |= flag;
        }
    }
    Ok(flags)
}

/// Writes a new user namespace's mappings from outside.
pub fn write_mappings(
    pid: i32,
    uids: &[LinuxIdMapping],
    gids: &[LinuxIdMapping],
) -> Result<(), Failure> {
    for (file, map) in [("gid_map", gids), ("uid_map", uids)] {
        let path = format!("/proc/{pid}/{file}");
        let text: String = map
            .iter()
            .map(|map| format!("{} {} {}\n", map.container_id(), map.host_id(), map.size()))
            .collect();
        // One write, as the kernel wants it.
        File::options()
            .write(true)
            .open(&path)
            .and_then(|mut file| std::io::Write::write_all(&mut file, text.as_bytes()))
            .doing(|| format!("writing the user namespace's mappings to `{path}`"))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn parse(config: serde_json::Value) -> Result<Namespaces, NamespaceError> {
        Namespaces::parse(&serde_json::from_value::<Vec<LinuxNamespace>>(config).unwrap())
    }

    #[test]
    fn a_pod_member_makes_some_and_joins_others() {
        let found = parse(json!([
            {"type": "pid"}, {"type": "mount"}, {"type": "network", "path": "/proc/7/ns/net"},
            {"type": "uts", "path": ""}
        ]))
        .unwrap();
        assert!(found.makes(libc::CLONE_NEWPID) && found.makes(libc::CLONE_NEWUTS));
        assert!(!found.makes(libc::CLONE_NEWNET) && found.separates(libc::CLONE_NEWNET));
        assert!(!found.separates(libc::CLONE_NEWIPC));
        assert_eq!(
            found.join,
            [(libc::CLONE_NEWNET as u32, "/proc/7/ns/net".into())]
        );
    }

    #[test]
    fn what_cannot_be_done_is_refused_by_name() {
        for (config, name) in [
            (json!([{"type": "pid"}, {"type": "user"}]), "mount"),
            (json!([{"type": "mount"}, {"type": "time"}]), "time"),
            (json!([{"type": "mount"}, {"type": "mount"}]), "mount"),
            (
                json!([{"type": "mount"}, {"type": "user", "path": "/x"}]),
                "user",
            ),
        ] {
            let message = parse(config).unwrap_err().to_string();
            assert!(message.contains(name), "{message}");
        }
    }

    #[test]
    fn whose_the_mounts_are() {
        for (config, mounts, guests) in [
            (json!([{"type": "mount"}]), MountNamespace::Own, true),
            (
                json!([{"type": "mount", "path": "/x"}]),
                MountNamespace::Joined,
                true,
            ),
            (json!([{"type": "pid"}]), MountNamespace::Runtimes, false),
        ] {
            let namespaces = parse(config).unwrap();
            assert_eq!(namespaces.mounts(), mounts);
            assert_eq!(namespaces.check_own_mounts().is_ok(), guests);
        }
    }

    #[test]
    fn mappings_and_user_namespace_go_together() {
        let map = |container: u32| {
            vec![
                serde_json::from_value::<LinuxIdMapping>(
                    json!({"containerID": container, "hostID": 1000, "size": 1}),
                )
                .unwrap(),
            ]
        };
        let without = parse(json!([{"type": "mount"}])).unwrap();
        let with = parse(json!([{"type": "mount"}, {"type": "user"}])).unwrap();
        assert!(without.check_mappings(&[], &[]).is_ok());
        assert!(without.check_mappings(&map(0), &map(0)).is_err());
        assert!(with.check_mappings(&map(0), &map(0)).is_ok());
        assert!(with.check_mappings(&[], &[]).is_err());
        assert!(with.check_mappings(&map(0), &map(1)).is_err());
    }

    #[test]
    fn nothing_of_this_process_is_foreign_to_it() {
        assert_eq!(foreign(std::process::id() as i32).unwrap(), 0);
    }
}
