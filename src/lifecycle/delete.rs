//! `delete`: nothing of the container is left, from whatever point its life ended at.

use std::path::Path;

use rustix::event::{PollFd, PollFlags};
use rustix::io::Errno;
use rustix::process::Signal;
use rustix::time::Timespec;

use super::LifecycleError;
use super::create::document;
use super::start::load;
use crate::container::{ContainerDir, ContainerId, ProcessId, Status, Store, StoreError};
use crate::failure::{Doing, Failure};
use crate::sandbox::hooks;

/// Removes the container. With `force` it is killed first, and an id that does not exist is fine:
/// containerd deletes twice.
pub fn delete(store: &Store, id: &ContainerId, force: bool) -> Result<(), LifecycleError> {
    match try_delete(store, id, force) {
        Err(LifecycleError::Store(StoreError::NotFound(_))) if force => Ok(()),
        result => result,
    }
}

fn try_delete(store: &Store, id: &ContainerId, force: bool) -> Result<(), LifecycleError> {
    let dir = store.open(id)?;
    let lock = dir.lock()?;
    // Damaged state must not make a container that nothing can remove.
    let (record, status) = match load(&dir) {
        Err(LifecycleError::Store(StoreError::Damaged { .. })) if force => (None, Status::Stopped),
        // The lock is ours, so a create without a record is dead.
        loaded => loaded.map(|(record, status)| match record {
            None => (None, Status::Stopped),
            record => (record, status),
        })?,
    };
    if !status.can_delete() && !force {
        let hint = "; stop it first, or use --force to kill it";
        return Err(LifecycleError::State {
            step: "delete",
            id: id.clone(),
            status,
            hint,
        });
    }
    if let Some(record) = &record {
        end(&record.process)?;
    }
    remove(&dir)?;
    drop(lock);
    if let Some(record) = record {
        let state = document(&record, Status::Stopped);
        // The container is gone: a hook that fails is worth a warning only.
        if let Err(error) = hooks::run("poststop", &record.poststop, &state, Path::new("/")) {
            log::warn!("{error}");
        }
    }
    Ok(())
}

fn remove(dir: &ContainerDir) -> Result<(), LifecycleError> {
    let intent = match dir.intent() {
        Err(StoreError::Damaged { .. }) => None,
        intent => intent?,
    };
    intent.unwrap_or_default().remove_cgroups()?;
    Ok(dir.remove()?)
}

/// Kills a process and waits until it has gone.
fn end(process: &ProcessId) -> Result<(), LifecycleError> {
    let doing = || format!("killing process {}", process.pid);
    let pidfd = match process.open() {
        Ok(pidfd) => pidfd,
        Err(Errno::SRCH) => return Ok(()),
        Err(error) => return Err(Failure::new(doing(), error).into()),
    };
    match rustix::process::pidfd_send_signal(&pidfd, Signal::KILL) {
        Ok(()) | Err(Errno::SRCH) => {}
        Err(error) => return Err(Failure::new(doing(), error).into()),
    }
    // A frozen one goes when its cgroup is thawed for removal.
    let timeout = Timespec {
        tv_sec: 0,
        tv_nsec: 100_000_000,
    };
    rustix::event::poll(&mut [PollFd::new(&pidfd, PollFlags::IN)], Some(&timeout)).doing(doing)?;
    Ok(())
}
