//! `megarun update`.

use std::io::Read;
use std::path::Path;

use oci_spec::runtime::LinuxResources;

use super::{CommandError, id};
use crate::bundle::config::MAX_BYTES;
use crate::cli::UpdateArgs;
use crate::container::Store;
use crate::failure::Doing;
use crate::lifecycle::LifecycleError;
use crate::lifecycle::start::load;

/// Applies new limits to a container.
pub fn run(args: &UpdateArgs, store: &Store) -> Result<(), CommandError> {
    let id = id(&args.id)?;
    let resources = read(&args.resources)?;
    let dir = store.open(&id)?;
    let _lock = dir.lock()?;
    let record = match load(&dir)? {
        (Some(record), status) if status.can_signal() => record,
        (_, status) => return Err(LifecycleError::NotRunning { id, status }.into()),
    };
    // Engines send the whole document again; rules for devices cannot be changed under a process.
    Ok(record.cgroup.apply(&resources, false)?)
}

fn read(path: &Path) -> Result<LinuxResources, CommandError> {
    let doing = || format!("reading --resources `{}`", path.display());
    let mut text = String::new();
    match path.to_str() {
        Some("-") => std::io::stdin()
            .lock()
            .take(MAX_BYTES)
            .read_to_string(&mut text)
            .doing(doing)?,
        _ => std::fs::File::open(path)
            .and_then(|file| file.take(MAX_BYTES).read_to_string(&mut text))
            .doing(doing)?,
    };
    serde_json::from_str(&text)
        .map_err(|error| CommandError::Refused(format!("{}: {error}", doing())))
}
