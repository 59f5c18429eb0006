//! `megarun events`.

use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags};
use rustix::io::Errno;
use rustix::time::Timespec;
use serde::Serialize;

use super::{CommandError, id, print};
use crate::cli::EventsArgs;
use crate::container::{Record, Store};
use crate::failure::{Doing, Failure};
use crate::lifecycle::LifecycleError;
use crate::lifecycle::start::load;
use crate::stats::{self, Stats};

/// How often it is looked whether a process was killed for want of memory.
const LOOK: Duration = Duration::from_millis(100);

/// One line of the report, as runc writes it.
#[derive(Serialize)]
struct Event<'a> {
    #[serde(rename = "type")]
    kind: &'static str,
    id: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    data: Option<Stats>,
}

/// Prints what the container uses: once, or at every interval until it ends, with a line whenever
/// one of its processes was killed for want of memory.
pub fn run(args: &EventsArgs, store: &Store) -> Result<(), CommandError> {
    let id = id(&args.id)?;
    let record = match load(&store.open(&id)?)? {
        (Some(record), status) if status.can_signal() => record,
        (_, status) => return Err(LifecycleError::NotRunning { id, status }.into()),
    };
    if args.stats {
        return report(&record, "stats", Some(stats::read(&record.cgroup)));
    }
    let doing = || format!("watching container `{id}`");
    let process = match record.process.open() {
        Ok(process) => process,
        // It ended between the look and now.
        Err(Errno::SRCH) => return Ok(()),
        Err(error) => return Err(Failure::new(doing(), error).into()),
    };
    let mut killed = stats::out_of_memory(&record.cgroup);
    let mut next = Instant::now();
    loop {
        if Instant::now() >= next {
            report(&record, "stats", Some(stats::read(&record.cgroup)))?;
            next += args.interval;
        }
        let now = stats::out_of_memory(&record.cgroup);
        if now > killed {
            report(&record, "oom", None)?;
        }
        killed = now;
        let wait = next.saturating_duration_since(Instant::now()).min(LOOK);
        let wait = Timespec::try_from(wait).expect("a tenth of a second fits");
        let mut ready = [PollFd::new(&process, PollFlags::IN)];
        match rustix::event::poll(&mut ready, Some(&wait)) {
            Ok(0) | Err(Errno::INTR) => {}
            ended => return Ok(ended.map(drop).doing(doing)?),
        }
    }
}

fn report(record: &Record, kind: &'static str, data: Option<Stats>) -> Result<(), CommandError> {
    let event = Event {
        kind,
        id: &record.id,
        data,
    };
    let line = serde_json::to_string(&event).expect("names and numbers have a JSON form");
    Ok(print(&(line + "\n"))?)
}
