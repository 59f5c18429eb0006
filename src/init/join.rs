//! Joining an existing container, for `exec`.

use std::os::fd::OwnedFd;
use std::path::Path;

use nix::sched::CloneFlags;
use oci_spec::runtime::Process;

use super::request::{Join, Received};
use super::{InitError, adopt_terminal};
use crate::failure::Doing;
use crate::sandbox::rootfs::Rootfs;
use crate::sandbox::{credentials, terminal};

/// Enters the namespaces of the container's process; its root file system becomes the root.
pub fn join(
    join: &Join,
    process: &Process,
    console: Option<&OwnedFd>,
    received: &mut Received,
) -> Result<(), InitError> {
    credentials::set_oom_score(process)?;
    let pidfd = received.take(&join.pidfd, "the container's process")?;
    let root = received.take(&join.root, "the container's root directory")?;
    // The pid namespace was joined by the creator: it is for children.
    let flags = join.namespaces & !(libc::CLONE_NEWPID as u32);
    if flags != 0 {
        nix::sched::setns(&pidfd, CloneFlags::from_bits_retain(flags as i32))
            .doing(|| "joining the container's namespaces")?;
    }
    rustix::process::fchdir(&root)
        .and_then(|()| rustix::process::chroot("."))
        .doing(|| "entering the container's root file system")?;
    let slave = match console {
        Some(console) => {
            let root = Rootfs::at(Path::new("/"))?;
            Some(terminal::make(process, console, &root)?)
        }
        None => None,
    };
    adopt_terminal(slave.as_ref())?;
    Ok(())
}
