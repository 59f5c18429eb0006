//! `wait`: which child, and what there is to say about it.

use std::time::Duration;

use super::{Change, Processes, Record, Table};
use crate::errno::Errno;

/// Which children a call waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Which {
    /// Any child.
    Any,
    /// This one.
    Pid(u32),
    /// Those of this group.
    Group(u32),
}

/// What else there is to say about a child than its end.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Options {
    /// Does not wait.
    pub nohang: bool,
    /// Stops as well.
    pub stopped: bool,
    /// Continuations as well.
    pub continued: bool,
}

/// What there is to say about a child.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct News {
    /// Its number.
    pub pid: u32,
    /// Its status in Linux's encoding.
    pub status: u32,
    /// Processor time of it and of the children that it has waited for.
    pub used: Duration,
}

/// The status of a child that goes on after a stop.
const CONTINUED: u32 = 0xffff;

impl Processes {
    /// What there is to say now about a child of `caller`. One that ended is forgotten. Nothing where
    /// one must wait; `ECHILD` where there is no such child.
    pub fn poll_child(
        &self,
        caller: u32,
        which: Which,
        options: Options,
    ) -> Result<Option<News>, Errno> {
        let mut table = self.lock();
        let children = &table.get(caller)?.children;
        let mut some = false;
        let mut found = None;
        for pid in children {
            let Some(record) = table.records.get(pid).filter(|r| which.names(*pid, r)) else {
                continue;
            };
            some = true;
            if let Some(status) = news(record, options) {
                let used = record.token.thread_and_time().1 + record.waited;
                found = Some(News {
                    pid: *pid,
                    status,
                    used,
                });
                break;
            }
        }
        match found {
            Some(news) => {
                told(&mut table, &news);
                Ok(Some(news))
            }
            None if some => Ok(None),
            None => Err(Errno::CHILD),
        }
    }

    /// Processor time of the children that `caller` has waited for, and of theirs.
    pub fn waited(&self, caller: u32) -> Result<Duration, Errno> {
        Ok(self.lock().get(caller)?.waited)
    }

    /// Whether `child` is one of those that `which` names and all that `caller` can hear of
    /// while it waits for it: with `ends_told`, that of every child.
    #[must_use]
    pub fn waits_only_for(&self, caller: u32, which: Which, child: u32, ends_told: bool) -> bool {
        let table = self.lock();
        let (Ok(own), Ok(record)) = (table.get(caller), table.get(child)) else {
            return false;
        };
        // Who is in a group can change meanwhile.
        let others_count = ends_told || which != Which::Pid(child);
        which.names(child, record) && !(others_count && own.children.len() > 1)
    }
}

impl Which {
    fn names(self, pid: u32, record: &Record) -> bool {
        match self {
            Which::Any => true,
            Which::Pid(wanted) => wanted == pid,
            Which::Group(group) => record.group == group,
        }
    }
}

fn news(record: &Record, options: Options) -> Option<u32> {
    match (record.ended, record.change) {
        (Some(status), _) => Some(status),
        (None, Some(Change::Stopped(signal))) if options.stopped => {
            Some((signal.unsigned_abs() << 8) | 0x7f)
        }
        (None, Some(Change::Continued)) if options.continued => Some(CONTINUED),
        _ => None,
    }
}

fn told(table: &mut Table, news: &News) {
    let News { pid, used, .. } = *news;
    match table.records.get_mut(&pid) {
        Some(record) if record.ended.is_none() => record.change = None,
        Some(record) => {
            let parent = record.parent;
            if let Some(parent) = parent.and_then(|parent| table.records.get_mut(&parent)) {
                parent.waited += used;
            }
            table.remove(pid);
        }
        None => {}
    }
}
