//! `start`: the waiting process becomes the virtual kernel.

use std::os::fd::OwnedFd;

use rustix::event::{PollFd, PollFlags};
use rustix::io::Errno;
use rustix::process::Signal;

use super::LifecycleError;
use super::create::document;
use super::notify::Readiness;
use crate::container::record::PayloadRecord;
use crate::container::{ContainerDir, ContainerId, Record, Status, Store};
use crate::failure::Failure;
use crate::sandbox::hooks;

/// Lets the container run, then runs its `poststart` hooks. Returns where it will say that it is
/// ready, if somebody wants to know.
pub fn start(store: &Store, id: &ContainerId) -> Result<Option<Readiness>, LifecycleError> {
    let dir = store.open(id)?;
    let (record, readiness) = {
        let _lock = dir.lock()?;
        let (record, status) = load(&dir)?;
        match record {
            Some(record) if status.can_start() && record.config.process().is_none() => {
                // It waits for nothing else.
                let _ = record.process.signal(Signal::KILL);
                return Err(LifecycleError::NoProcess(id.clone()));
            }
            Some(record) if status.can_start() => {
                let readiness = Readiness::listen(&dir)?;
                let fifo = dir.release()?;
                if let PayloadRecord::Native = record.payload {
                    wait_for_exec(&fifo)?;
                }
                (record, readiness)
            }
            _ => {
                return Err(LifecycleError::State {
                    step: "start",
                    id: id.clone(),
                    status,
                    hint: "",
                });
            }
        }
    };
    let state = document(&record, Status::Running);
    // The specification: a poststart hook that fails is worth a warning, not a stop.
    if let Err(error) = hooks::run("poststart", &record.poststart, &state, &record.bundle) {
        log::warn!("{error}");
    }
    Ok(readiness)
}

/// The same, and returns when the container is ready, if somebody wants to know.
pub fn until_ready(store: &Store, id: &ContainerId) -> Result<(), LifecycleError> {
    let Some(readiness) = start(store, id)? else {
        return Ok(());
    };
    let record = store.open(id)?.record()?;
    match record.map(|record| record.process.open()) {
        Some(Ok(pidfd)) => Ok(readiness.wait(&pidfd)?),
        // It has ended.
        _ => Ok(()),
    }
}

/// Waits until the program is executed or has failed: before, a signal would not be its own.
fn wait_for_exec(fifo: &OwnedFd) -> Result<(), LifecycleError> {
    loop {
        // An error is always told: here, that nobody reads any more.
        match rustix::event::poll(&mut [PollFd::new(fifo, PollFlags::empty())], None) {
            Ok(_) => break,
            Err(Errno::INTR) => {}
            Err(error) => return Err(Failure::new("waiting for the program", error).into()),
        }
    }
    Ok(())
}

/// The container's record and status.
pub fn load(dir: &ContainerDir) -> Result<(Option<Record>, Status), LifecycleError> {
    let record = dir.record()?;
    let status = dir.status(record.as_ref(), |record| record.cgroup.is_frozen())?;
    Ok((record, status))
}
