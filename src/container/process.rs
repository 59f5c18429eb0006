//! A process named so that a reused pid is not mistaken for it.

use std::io;
use std::os::fd::OwnedFd;

use rustix::io::Errno;
use rustix::process::{Pid, PidfdFlags, Signal};
use serde::{Deserialize, Serialize};

/// A pid with the time its process started: pids are reused, pairs are not.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProcessId {
    /// The pid in the runtime's own pid namespace.
    pub pid: i32,
    /// Clock ticks after boot (field 22 of `/proc/<pid>/stat`).
    pub start_time: u64,
}

impl ProcessId {
    /// Names the process that has `pid` now.
    pub fn of(pid: i32) -> io::Result<Self> {
        let stat = read_stat(pid)?;
        let (_, start_time) = parse_stat(&stat).ok_or(io::ErrorKind::InvalidData)?;
        Ok(Self { pid, start_time })
    }

    /// Names a child that has just been made, with the processor on which it is, or waits to be.
    pub fn of_child(pid: i32) -> io::Result<(Self, Option<usize>)> {
        let stat = read_stat(pid)?;
        let (_, start_time) = parse_stat(&stat).ok_or(io::ErrorKind::InvalidData)?;
        Ok((Self { pid, start_time }, processor(&stat)))
    }

    /// Whether it still runs: not gone, not a zombie, and not another process with its pid.
    pub fn is_alive(&self) -> bool {
        let stat = read_stat(self.pid).unwrap_or_default();
        matches!(parse_stat(&stat), Some((state, start))
            if start == self.start_time && !matches!(state, 'Z' | 'X'))
    }

    /// A descriptor of it; `ESRCH` when it is gone. Checked after opening, so it is never of a
    /// process that got the same pid later.
    pub fn open(&self) -> Result<OwnedFd, Errno> {
        let pid = Pid::from_raw(self.pid).ok_or(Errno::SRCH)?;
        let pidfd = rustix::process::pidfd_open(pid, PidfdFlags::empty())?;
        if self.is_alive() {
            Ok(pidfd)
        } else {
            Err(Errno::SRCH)
        }
    }

    /// Sends it a signal; `ESRCH` when it is gone.
    pub fn signal(&self, signal: Signal) -> Result<(), Errno> {
        rustix::process::pidfd_send_signal(self.open()?, signal)
    }
}

fn read_stat(pid: i32) -> io::Result<String> {
    let bytes = std::fs::read(format!("/proc/{pid}/stat"))?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// The state letter and the start time. The name in parentheses may itself hold `)` and blanks.
fn parse_stat(stat: &str) -> Option<(char, u64)> {
    let (_, after_name) = stat.rsplit_once(')')?;
    let mut fields = after_name.split_ascii_whitespace();
    let state = fields.next()?.chars().next()?;
    let start_time = fields.nth(18)?.parse().ok()?;
    Some((state, start_time))
}

/// The processor last run on, or waited for, the 39th field of proc_pid_stat(5).
fn processor(stat: &str) -> Option<usize> {
    let (_, after_name) = stat.rsplit_once(')')?;
    after_name.split_ascii_whitespace().nth(36)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_with_parentheses_does_not_shift_the_fields() {
        let rest = "S 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 4711 20";
        assert_eq!(
            parse_stat(&format!("9 (a) R 1 (b) {rest}")),
            Some(('S', 4711))
        );
        assert_eq!(parse_stat("9 (a) S 1"), None);
        assert_eq!(parse_stat(""), None);
    }

    #[test]
    fn another_start_time_is_another_process() {
        let me = ProcessId::of(std::process::id() as i32).unwrap();
        assert!(me.is_alive());
        let other = ProcessId {
            start_time: me.start_time + 1,
            ..me
        };
        assert!(!other.is_alive());
        assert_eq!(other.open().unwrap_err(), Errno::SRCH);
    }

    #[test]
    fn a_zombie_is_not_alive() {
        let mut child = std::process::Command::new("/bin/true").spawn().unwrap();
        let id = ProcessId::of(child.id() as i32).unwrap();
        let pidfd =
            rustix::process::pidfd_open(Pid::from_raw(id.pid).unwrap(), PidfdFlags::empty())
                .unwrap();
        let mut poll = [rustix::event::PollFd::new(
            &pidfd,
            rustix::event::PollFlags::IN,
        )];
        rustix::event::poll(&mut poll, None).unwrap();
        assert!(!id.is_alive());
        child.wait().unwrap();
    }
}
