//! `megarun ps`.

use super::{CommandError, id, print};
use crate::cli::{ListFormat, PsArgs};
use crate::container::Store;
use crate::lifecycle::LifecycleError;
use crate::lifecycle::start::load;

/// Prints the pids of a container's processes, as the host numbers them.
pub fn run(args: &PsArgs, store: &Store) -> Result<(), CommandError> {
    let id = id(&args.id)?;
    let record = match load(&store.open(&id)?)? {
        (Some(record), status) if status.can_signal() => record,
        (_, status) => return Err(LifecycleError::NotRunning { id, status }.into()),
    };
    let pids = record
        .cgroup
        .pids()
        .unwrap_or_else(|| vec![record.process.pid]);
    let text: Vec<String> = pids.iter().map(ToString::to_string).collect();
    let text = match args.format {
        ListFormat::Json => format!("[{}]\n", text.join(",")),
        ListFormat::Table => format!("PID\n{}\n", text.join("\n")),
    };
    Ok(print(&text)?)
}
