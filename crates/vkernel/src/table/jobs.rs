//! Job control: groups and sessions of processes, and which group has the terminal.

use super::{FIRST, Processes, Reached, Table};
use crate::errno::Errno;
use crate::signal::Disposition;

impl Processes {
    /// The group of a process; 0 is the caller. `ESRCH`.
    pub fn group(&self, caller: u32, pid: u32) -> Result<u32, Errno> {
        let pid = if pid == 0 { caller } else { pid };
        Ok(self.lock().get(pid)?.group)
    }

    /// The session of a process; 0 is the caller. `ESRCH`.
    pub fn session(&self, caller: u32, pid: u32) -> Result<u32, Errno> {
        let pid = if pid == 0 { caller } else { pid };
        Ok(self.lock().get(pid)?.session)
    }

    /// `setpgid`: moves the caller or a child of its into a group, 0 being the process's own.
    /// `ESRCH` for anybody else, `EPERM` for the leader of a session or a group of another one.
    pub fn set_group(&self, caller: u32, pid: u32, group: u32) -> Result<(), Errno> {
        let mut table = self.lock();
        let pid = if pid == 0 { caller } else { pid };
        let group = if group == 0 { pid } else { group };
        let session = table.get(caller)?.session;
        let record = table.get(pid)?;
        if pid != caller && record.parent != Some(caller) {
            return Err(Errno::SRCH);
        }
        if record.session != session || record.session == pid {
            return Err(Errno::PERM);
        }
        if group != pid && !table.group_in_session(group, session) {
            return Err(Errno::PERM);
        }
        table.get_mut(pid)?.group = group;
        Ok(())
    }

    /// `setsid`. `EPERM` for the leader of a group.
    pub fn new_session(&self, caller: u32) -> Result<u32, Errno> {
        let mut table = self.lock();
        if !table.members(caller).is_empty() {
            return Err(Errno::PERM);
        }
        let record = table.get_mut(caller)?;
        (record.group, record.session) = (caller, caller);
        Ok(caller)
    }

    /// The group in the terminal's foreground.
    #[must_use]
    pub fn foreground(&self) -> u32 {
        self.lock().in_front()
    }

    /// Whether the terminal is that of the process's session: it is process 1's.
    #[must_use]
    pub fn has_terminal(&self, pid: u32) -> bool {
        (self.lock().get(pid)).is_ok_and(|record| record.session == FIRST)
    }

    /// Puts a group of the caller's session in the terminal's foreground: `EPERM` for a group of
    /// another, `ENOTTY` where the terminal is not that session's.
    pub fn set_foreground(&self, caller: u32, group: u32) -> Result<(), Errno> {
        let mut table = self.lock();
        let session = table.get(caller)?.session;
        if session != FIRST {
            return Err(Errno::NOTTY);
        }
        if !table.group_in_session(group, session) {
            return Err(Errno::PERM);
        }
        table.foreground = Some(group);
        Ok(())
    }

    /// Whether a process is of the terminal's session and not in its foreground.
    #[must_use]
    pub fn in_background(&self, pid: u32) -> bool {
        let table = self.lock();
        (table.get(pid)).is_ok_and(|own| own.session == FIRST && own.group != table.in_front())
    }

    /// A process in the background uses the terminal: its group is sent `signal`, SIGTTIN or
    /// SIGTTOU. Nothing where it may go on: it is not in the background, or it does not want to
    /// hear of SIGTTOU. `EIO` where nobody would continue it, or it does not want SIGTTIN.
    pub fn use_terminal(&self, pid: u32, signal: i32) -> Result<Option<Reached>, Errno> {
        let mut table = self.lock();
        let own = table.get(pid)?;
        let group = own.group;
        if own.session != FIRST || group == table.in_front() {
            return Ok(None);
        }
        let unwanted = own.token.signals(|signals| {
            signals.disposition(signal) == Disposition::Ignore || signals.mask().contains(signal)
        });
        match unwanted {
            true if signal == libc::SIGTTOU => return Ok(None),
            true => return Err(Errno::IO),
            false if table.orphaned(group) => return Err(Errno::IO),
            false => {}
        }
        let mut reached = Reached::new();
        for pid in table.members(group) {
            table.post(pid, signal, &mut reached);
        }
        Ok(Some(reached))
    }
}

impl Table {
    /// The group that a terminal's signals are for: process 1's until a process says otherwise.
    pub(super) fn in_front(&self) -> u32 {
        self.foreground.unwrap_or(FIRST)
    }

    pub(super) fn members(&self, group: u32) -> Vec<u32> {
        (self.records.iter())
            .filter(|(_, record)| record.group == group)
            .map(|(pid, _)| *pid)
            .collect()
    }

    pub(super) fn group_in_session(&self, group: u32, session: u32) -> bool {
        (self.records.values()).any(|record| record.group == group && record.session == session)
    }

    /// Whether no member has a parent in another group of its session, who could continue it.
    pub(super) fn orphaned(&self, group: u32) -> bool {
        !(self.records.values()).any(|member| {
            let parent = member.parent.and_then(|parent| self.records.get(&parent));
            member.group == group
                && parent
                    .is_some_and(|parent| parent.group != group && parent.session == member.session)
        })
    }
}
