//! `megarun ps`.

use super::{CommandError, id, print};
use crate::cli::{ListFormat, PsArgs};
use crate::container::record::PayloadRecord;
use crate::container::{ContainerDir, Record, Status, Store};
use crate::lifecycle::LifecycleError;
use crate::lifecycle::start::load;

mod guests;
mod host;

/// Prints the processes of a container.
pub fn run(args: &PsArgs, store: &Store) -> Result<(), CommandError> {
    let id = id(&args.id)?;
    let dir = store.open(&id)?;
    let (record, status) = match load(&dir)? {
        (Some(record), status) if status.can_signal() => (record, status),
        // As runc: it has no processes, or those that its first one left behind.
        (Some(record), status @ Status::Stopped) if !args.r#virtual => (record, status),
        (_, status) => return Err(LifecycleError::NotRunning { id, status }.into()),
    };
    if args.r#virtual {
        return Ok(print(&guests(args.format, &dir, &record, status)?)?);
    }
    let pids = record.cgroup.pids().unwrap_or_else(|| match status {
        Status::Stopped => Vec::new(),
        _ => vec![record.process.pid],
    });
    let text = match args.format {
        ListFormat::Json => {
            let pids: Vec<String> = pids.iter().map(ToString::to_string).collect();
            format!("[{}]\n", pids.join(","))
        }
        ListFormat::Table => host::table(&pids, &args.options)?,
    };
    Ok(print(&text)?)
}

/// The processes in the container's virtual kernels.
fn guests(
    format: ListFormat,
    dir: &ContainerDir,
    record: &Record,
    status: Status,
) -> Result<String, CommandError> {
    let refused = |why: &str| {
        let id = &record.id;
        CommandError::Refused(format!("container `{id}` {why}"))
    };
    match (&record.payload, status) {
        (PayloadRecord::Megabinary(_), Status::Paused) => Err(refused(
            "is paused, its virtual kernels too: run `megarun resume` first",
        )),
        (PayloadRecord::Megabinary(_), _) => {
            // One that waits for `start` has no process yet, and does not answer.
            let waits = (status == Status::Created).then_some(record.process.pid);
            let rows = guests::rows(dir.ask_kernels(waits)?);
            Ok(match format {
                ListFormat::Json => guests::json(&rows),
                ListFormat::Table => guests::table(&rows),
            })
        }
        (PayloadRecord::Native, _) => Err(refused(
            "runs native programs and has no virtual kernel: leave out --virtual",
        )),
        (PayloadRecord::Sandbox, _) => Err(refused(
            "is a pod sandbox and runs no programs: leave out --virtual",
        )),
    }
}
