//! Idmapped mounts: users of a mount's files are those of a user namespace (mount_setattr(2)).

use std::fs::File;
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;

use oci_spec::runtime::LinuxIdMapping;
use rustix::process::{Pid, Signal, WaitOptions};

use crate::failure::{Doing, Failure};
use crate::sandbox::namespaces;
use crate::sys::clone::{self, Cloned};
use crate::sys::mount_attr;

/// Which ids of the files become which of the host.
#[derive(Debug, Clone, Copy)]
pub struct Mappings<'a> {
    /// Users.
    pub uids: &'a [LinuxIdMapping],
    /// Groups.
    pub gids: &'a [LinuxIdMapping],
}

impl Mappings<'_> {
    /// Whether nothing is mapped.
    pub fn is_empty(&self) -> bool {
        self.uids.is_empty() || self.gids.is_empty()
    }
}

/// Maps the ids of a detached mount or, with `recursive`, of its whole tree; `path` is its source.
pub fn apply(
    tree: &OwnedFd,
    mappings: Mappings<'_>,
    recursive: bool,
    path: &Path,
) -> Result<(), Failure> {
    let namespace = user_namespace(mappings)?;
    mount_attr::map_ids(tree.as_fd(), namespace.as_fd(), recursive).doing(|| {
        format!(
            "mapping the ids of `{}` (not every file system can)",
            path.display()
        )
    })
}

/// A user namespace with these mappings. Its one process ends before this returns: the descriptor
/// keeps the namespace.
fn user_namespace(mappings: Mappings<'_>) -> Result<OwnedFd, Failure> {
    let doing = || "making a user namespace for an idmapped mount";
    let (pid, pidfd) = match clone::clone(libc::CLONE_NEWUSER as u64, None).doing(doing)? {
        Cloned::Child => wait_for_the_end(),
        Cloned::Parent { pid, pidfd } => (pid, pidfd),
    };
    let opened = namespaces::write_mappings(pid, mappings.uids, mappings.gids)
        .and_then(|()| File::open(format!("/proc/{pid}/ns/user")).doing(doing));
    rustix::process::pidfd_send_signal(&pidfd, Signal::KILL).doing(doing)?;
    rustix::process::waitpid(Pid::from_raw(pid), WaitOptions::empty()).doing(doing)?;
    Ok(opened?.into())
}

/// The namespace's process does nothing, and does not outlive its creator.
fn wait_for_the_end() -> ! {
    if rustix::process::set_parent_process_death_signal(Some(Signal::KILL)).is_ok() {
        rustix::event::pause();
    }
    clone::exit_now(1)
}
