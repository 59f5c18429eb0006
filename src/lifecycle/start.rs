//! `start`: the waiting process becomes the virtual kernel.

use super::LifecycleError;
use super::create::document;
use crate::container::{ContainerDir, ContainerId, Record, Status, Store};
use crate::sandbox::hooks;

/// Lets the container run, then runs its `poststart` hooks.
pub fn start(store: &Store, id: &ContainerId) -> Result<(), LifecycleError> {
    let dir = store.open(id)?;
    let record = {
        let _lock = dir.lock()?;
        let (record, status) = load(&dir)?;
        match record {
            Some(record) if status.can_start() => {
                dir.release()?;
                record
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
    Ok(())
}

/// The container's record and status.
pub fn load(dir: &ContainerDir) -> Result<(Option<Record>, Status), LifecycleError> {
    let record = dir.record()?;
    let status = dir.status(record.as_ref(), |record| record.cgroup.is_frozen())?;
    Ok((record, status))
}
