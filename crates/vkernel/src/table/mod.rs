//! The process table: who is whose child, in which group, and how it ended.
//!
//! One table is one pid space: process 1 is what a container or an `exec` was asked to run, and
//! everything else descends from it. When process 1 ends the others are killed.

mod jobs;
mod wait;

use std::collections::BTreeMap;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::errno::Errno;
use crate::kill::KillToken;
use crate::signal::{Disposition, MAX, Posted, SigSet};

pub use wait::{News, Options, Which};

/// Number of the process that a table is there for.
pub const FIRST: u32 = 1;

/// Numbers are given out up to this one, then again from the lowest that is free: Linux's default.
const MAX_PID: u32 = 32768;

/// All processes of one pid space.
pub struct Processes {
    table: Mutex<Table>,
    /// Told when the last thread of a process has ended.
    empty: Condvar,
}

struct Table {
    records: BTreeMap<u32, Record>,
    next: u32,
    limit: u32,
    /// Processes whose instance exists, also those that are dead to others.
    instances: u32,
    /// Who waits until there is none; to wake nobody costs a system call.
    waiting: u32,
    /// The group that a process has put in the terminal's foreground.
    foreground: Option<u32>,
    /// Process 1 has ended: nothing new starts.
    over: bool,
}

/// A process's place among the others, as it was when somebody asked.
#[derive(Clone, Debug)]
pub struct Entry {
    /// Its number.
    pub pid: u32,
    /// Its parent's: 0 for process 1, 1 for an orphan.
    pub parent: u32,
    /// Its process group.
    pub group: u32,
    /// Its session.
    pub session: u32,
    /// The group that a process has put in the foreground of its session's terminal.
    pub front: Option<u32>,
    /// It has ended, and its parent has not been told.
    pub ended: bool,
    pub(crate) token: KillToken,
}

struct Record {
    /// None for process 1 and for orphans, whom nobody waits for.
    parent: Option<u32>,
    group: u32,
    session: u32,
    children: Vec<u32>,
    /// Its status as `wait` gives it, once it has ended.
    ended: Option<u32>,
    /// A stop or continuation its parent has not been told.
    change: Option<Change>,
    /// Processor time of the children it has waited for, and of those that they had waited for.
    waited: Duration,
    token: KillToken,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Change {
    Stopped(i32),
    Continued,
}

impl Entry {
    /// The place of a process that is in no table.
    #[must_use]
    pub(crate) fn alone(pid: u32) -> Entry {
        Entry {
            pid,
            parent: 0,
            group: pid,
            session: pid,
            front: None,
            ended: false,
            token: KillToken::default(),
        }
    }
}

/// Where a new process belongs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Group {
    /// To its parent's group.
    Inherit,
    /// To a group of its own.
    Own,
    /// To this one of its parent's session.
    Of(u32),
    /// To a session of its own.
    Session,
}

/// Those that a signal has to reach; see [`KillToken::kick`].
pub type Reached = Vec<KillToken>;

impl Processes {
    /// A table with process 1 in it, for at most `limit` processes.
    #[must_use]
    pub fn new(limit: u32, first: KillToken) -> Processes {
        first.clocks().begin();
        // It has a thread of its own.
        first.clocks().count_all();
        let record = Record {
            parent: None,
            group: FIRST,
            session: FIRST,
            children: Vec::new(),
            ended: None,
            change: None,
            waited: Duration::ZERO,
            token: first,
        };
        Processes {
            table: Mutex::new(Table {
                records: BTreeMap::from([(FIRST, record)]),
                next: FIRST + 1,
                limit: limit.max(1),
                instances: 1,
                waiting: 0,
                foreground: None,
                over: false,
            }),
            empty: Condvar::new(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Table> {
        // No operation panics between two states that are whole.
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Gives a new child of `parent` its number. `EAGAIN` at the limit, `EPERM` for a group that
    /// is not of the parent's session.
    pub fn add(&self, parent: u32, token: KillToken, group: Group) -> Result<u32, Errno> {
        let mut table = self.lock();
        if table.over || table.records.len() >= table.limit as usize {
            return Err(Errno::AGAIN);
        }
        let (inherited, session) = {
            let record = table.records.get(&parent).ok_or(Errno::AGAIN)?;
            token.clocks().begin();
            (record.group, record.session)
        };
        let pid = table.free_pid().ok_or(Errno::AGAIN)?;
        let (group, session) = match group {
            Group::Inherit => (inherited, session),
            Group::Own => (pid, session),
            Group::Session => (pid, pid),
            Group::Of(group) if table.group_in_session(group, session) => (group, session),
            Group::Of(_) => return Err(Errno::PERM),
        };
        table.instances += 1;
        table.records.insert(
            pid,
            Record {
                parent: Some(parent),
                group,
                session,
                children: Vec::new(),
                ended: None,
                change: None,
                waited: Duration::ZERO,
                token,
            },
        );
        if let Some(parent) = table.records.get_mut(&parent) {
            parent.children.push(pid);
        }
        Ok(pid)
    }

    /// A process has ended with this status, as `wait` gives it. Its children become orphans, its
    /// parent is told. Nothing happens the second time.
    pub fn end(&self, pid: u32, token: &KillToken, status: u32) -> Reached {
        token.set_ended();
        self.lock().end(pid, token, status)
    }

    /// The instance of a process is gone. Comes after [`Processes::end`].
    pub fn gone(&self) {
        let mut table = self.lock();
        table.instances -= 1;
        if table.instances == 0 && table.waiting > 0 {
            self.empty.notify_all();
        }
    }

    /// Waits until no instance is left.
    pub fn wait_until_empty(&self) {
        let mut table = self.lock();
        table.waiting += 1;
        while table.instances > 0 {
            table = self
                .empty
                .wait(table)
                .unwrap_or_else(PoisonError::into_inner);
        }
        table.waiting -= 1;
    }

    /// `kill`: sends `signal` to a process, to a group where `target` is negative, to the
    /// caller's group where it is 0, to everyone but process 1 and the caller where it is -1.
    /// Signal 0 only asks. `ESRCH` where there is nobody. Process 1 takes from the others, and
    /// from itself, only what it has a handler for.
    pub fn kill(&self, caller: u32, target: i32, signal: i32) -> Result<Reached, Errno> {
        if !(0..=MAX).contains(&signal) {
            return Err(Errno::INVAL);
        }
        let mut table = self.lock();
        let pids = match target {
            1.. => vec![target.unsigned_abs()],
            0 => table.members(table.get(caller)?.group),
            -1 => (table.records.keys().copied())
                .filter(|pid| *pid != FIRST && *pid != caller)
                .collect(),
            _ => table.members(target.unsigned_abs()),
        };
        let pids: Vec<u32> = pids
            .into_iter()
            .filter(|pid| table.records.contains_key(pid))
            .collect();
        if pids.is_empty() {
            return Err(Errno::SRCH);
        }
        let mut reached = Reached::new();
        if signal != 0 {
            for pid in pids {
                table.send(pid, signal, &mut reached);
            }
        }
        Ok(reached)
    }

    /// A signal of the terminal: for its foreground group.
    pub fn signal_foreground(&self, signal: i32) -> Reached {
        let mut table = self.lock();
        let mut reached = Reached::new();
        for pid in table.members(table.in_front()) {
            table.post(pid, signal, &mut reached);
        }
        reached
    }

    /// Ends a process by `signal` whatever it decided about it.
    pub fn end_by(&self, pid: u32, token: &KillToken, signal: i32) -> Reached {
        token.end(signal);
        let mut reached = vec![token.clone()];
        self.lock().end_parked(pid, token, signal, &mut reached);
        reached
    }

    /// A signal that no process sends, for the one with this number and token.
    pub fn post(&self, pid: u32, token: &KillToken, signal: i32) -> Reached {
        let mut reached = Reached::new();
        let mut table = self.lock();
        if (table.get(pid)).is_ok_and(|record| record.token.same(token)) {
            table.post(pid, signal, &mut reached);
        }
        reached
    }

    /// Says that a process's own change of its mask stopped it, so that its parent is told.
    pub fn stopped(&self, pid: u32, signal: i32) {
        self.lock().changed(pid, Change::Stopped(signal));
    }

    /// The parent's number: 0 for process 1, 1 for an orphan.
    #[must_use]
    pub fn parent(&self, pid: u32) -> u32 {
        match self.lock().records.get(&pid) {
            Some(record) if pid != FIRST => record.parent.unwrap_or(FIRST),
            _ => 0,
        }
    }

    /// A process as others see it.
    #[must_use]
    pub fn entry(&self, pid: u32) -> Option<Entry> {
        let table = self.lock();
        table
            .records
            .get(&pid)
            .map(|record| table.entry(pid, record))
    }

    /// Lets the time of a process count from now on; says whether there is nothing left to do,
    /// as when it has ended, and not when it has not begun.
    #[must_use]
    pub fn count_time(&self, pid: u32) -> bool {
        match self.lock().records.get(&pid) {
            Some(record) if record.ended.is_none() => record.token.count_time(),
            _ => true,
        }
    }

    /// Every process, in ascending order.
    #[must_use]
    pub fn list(&self) -> Vec<Entry> {
        let table = self.lock();
        (table.records.iter())
            .map(|(pid, record)| table.entry(*pid, record))
            .collect()
    }

    /// Every number.
    #[must_use]
    pub fn pids(&self) -> Vec<u32> {
        self.lock().records.keys().copied().collect()
    }

    /// Whether there is a process of this number.
    #[must_use]
    pub fn has(&self, pid: u32) -> bool {
        self.lock().records.contains_key(&pid)
    }

    /// How many processes there are, those that ended and were not waited for included.
    #[must_use]
    pub fn len(&self) -> usize {
        self.lock().records.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl Table {
    fn get(&self, pid: u32) -> Result<&Record, Errno> {
        self.records.get(&pid).ok_or(Errno::SRCH)
    }

    fn get_mut(&mut self, pid: u32) -> Result<&mut Record, Errno> {
        self.records.get_mut(&pid).ok_or(Errno::SRCH)
    }

    /// A number that is nobody's, nor a group's or session's.
    fn free_pid(&mut self) -> Option<u32> {
        for _ in 0..MAX_PID {
            let pid = self.next;
            self.next = if pid >= MAX_PID { FIRST + 1 } else { pid + 1 };
            let taken = self.records.contains_key(&pid)
                || (self.records.values()).any(|r| r.group == pid || r.session == pid);
            if !taken {
                return Some(pid);
            }
        }
        None
    }

    fn entry(&self, pid: u32, record: &Record) -> Entry {
        Entry {
            pid,
            parent: match record.parent {
                _ if pid == FIRST => 0,
                Some(parent) => parent,
                None => FIRST,
            },
            group: record.group,
            session: record.session,
            front: self.foreground.filter(|_| record.session == FIRST),
            ended: record.ended.is_some(),
            token: record.token.clone(),
        }
    }

    /// A signal from a process of the table.
    fn send(&mut self, pid: u32, signal: i32, reached: &mut Reached) {
        if pid == FIRST {
            self.post_by(pid, signal, KillToken::post_if_caught, reached);
        } else {
            self.post(pid, signal, reached);
        }
    }

    /// A signal from the host.
    fn post(&mut self, pid: u32, signal: i32, reached: &mut Reached) {
        self.post_by(pid, signal, KillToken::post, reached);
    }

    fn post_by(
        &mut self,
        pid: u32,
        signal: i32,
        post: impl FnOnce(&KillToken, i32) -> Posted,
        reached: &mut Reached,
    ) {
        let Some(record) = self.records.get(&pid).filter(|r| r.ended.is_none()) else {
            return;
        };
        let token = record.token.clone();
        match post(&token, signal) {
            Posted::Nothing => return,
            Posted::Caught => {}
            Posted::Stopped(signal) => self.changed(pid, Change::Stopped(signal)),
            Posted::Continued => self.changed(pid, Change::Continued),
            Posted::Fatal => self.end_parked(pid, &token, signal, reached),
        }
        reached.push(token);
    }

    /// Ends a process that runs a child on its own thread: it cannot itself before that has ended.
    fn end_parked(&mut self, pid: u32, token: &KillToken, signal: i32, reached: &mut Reached) {
        if let Some(fds) = token.unpark() {
            drop(fds);
            token.set_ended();
            reached.extend(self.end(pid, token, signal.unsigned_abs()));
        }
    }

    fn changed(&mut self, pid: u32, change: Change) {
        let Some(record) = self.records.get_mut(&pid) else {
            return;
        };
        record.change = Some(change);
        if let Some(parent) = record.parent {
            self.tell(parent);
        }
    }

    /// Tells a parent that `wait` may have something for it.
    fn tell(&mut self, parent: u32) {
        if let Some(parent) = self.records.get(&parent) {
            parent.token.post(libc::SIGCHLD);
            parent.token.notify();
        }
    }

    fn end(&mut self, pid: u32, token: &KillToken, status: u32) -> Reached {
        let mut reached = Reached::new();
        let Some(record) = self.records.get_mut(&pid) else {
            return reached;
        };
        // The number may be another's by now.
        if !record.token.same(token) || record.ended.is_some() {
            return reached;
        }
        record.ended = Some(status);
        let (parent, children) = (record.parent, std::mem::take(&mut record.children));
        for child in children {
            self.orphan(child);
        }
        if pid == FIRST {
            self.over = true;
            let others: Vec<u32> = self.records.keys().copied().collect();
            for other in others {
                self.post(other, libc::SIGKILL, &mut reached);
            }
            return reached;
        }
        let waits = parent
            .and_then(|parent| self.records.get(&parent))
            .filter(|parent| parent.ended.is_none())
            .map(|parent| {
                let ignored = parent
                    .token
                    .signals(|s| s.disposition(libc::SIGCHLD) == Disposition::Ignore);
                (parent.token.clone(), ignored)
            });
        match (parent, waits) {
            (Some(parent), Some((token, false))) => {
                self.tell(parent);
                if token.attention() {
                    reached.push(token);
                }
            }
            // Who ignores SIGCHLD waits for the end of all, and gets no status.
            (Some(_), Some((token, true))) => {
                self.remove(pid);
                token.notify();
            }
            _ => self.remove(pid),
        }
        reached
    }

    fn orphan(&mut self, pid: u32) {
        let ended = match self.records.get_mut(&pid) {
            Some(record) => {
                record.parent = None;
                record.ended.is_some()
            }
            None => false,
        };
        if ended {
            self.remove(pid);
        }
    }

    fn remove(&mut self, pid: u32) {
        let Some(record) = self.records.remove(&pid) else {
            return;
        };
        if let Some(parent) = record.parent.and_then(|p| self.records.get_mut(&p)) {
            parent.children.retain(|child| *child != pid);
        }
    }
}

/// Signals a process may have handlers for and still run a child on its own thread: the handler
/// can wait until that has ended, as the end is what it is about.
pub const HARMLESS: SigSet = SigSet::of(libc::SIGCHLD);

#[cfg(test)]
mod tests;
