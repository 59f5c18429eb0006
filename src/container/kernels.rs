//! The sockets at which a container's virtual kernels say who runs in them: `ps.PID` in the state
//! directory, for the container's own process and for each that `exec` made. A kernel itself
//! reaches no path of the host; it is handed the listening socket.

use std::os::fd::{AsRawFd, OwnedFd};
use std::time::Duration;

use rustix::fs::AtFlags;
use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType, sockopt};
use rustix::process::Pid;
use vkernel::ps::report::Report;

use super::store::{ContainerDir, StoreError};
use crate::failure::{Doing, Failure};

/// How long a kernel may take to answer.
const PATIENCE: Duration = Duration::from_secs(2);
/// How many may wait for an answer at a time.
const BACKLOG: i32 = 8;
const PREFIX: &str = "ps.";
/// Before the number of the command that makes a process, as long as that has no number itself.
const NEW: &str = "new.";

/// A socket whose kernel does not exist yet. Removed when dropped, unless it does by then.
pub struct Asked<'a> {
    dir: &'a ContainerDir,
    name: String,
}

impl Asked<'_> {
    /// The kernel is in this process.
    pub fn belongs_to(self, pid: i32) -> Result<(), StoreError> {
        let dir = self.dir.dir();
        let name = format!("{PREFIX}{pid}");
        rustix::fs::renameat(dir, &self.name, dir, &name)
            .map_err(|error| self.dir.failed("putting in place", &name, error))?;
        Ok(())
    }
}

impl Drop for Asked<'_> {
    fn drop(&mut self) {
        let _ = rustix::fs::unlinkat(self.dir.dir(), &self.name, AtFlags::empty());
    }
}

impl ContainerDir {
    /// Makes a socket for a kernel that is about to be made, and removes those of kernels that are
    /// no more.
    pub fn listen(&self) -> Result<(OwnedFd, Asked<'_>), StoreError> {
        for (name, pid) in self.names()? {
            if is_gone(pid) {
                let _ = rustix::fs::unlinkat(self.dir(), &name, AtFlags::empty());
            }
        }
        let own = rustix::process::getpid().as_raw_nonzero();
        let name = format!("{PREFIX}{NEW}{own}");
        let failed = |error: Errno| self.failed("making", &name, error);
        let socket = socket(SocketFlags::NONBLOCK).map_err(failed)?;
        let address = self.address(&name).map_err(failed)?;
        rustix::net::bind(&socket, &address).map_err(failed)?;
        let asked = Asked { dir: self, name };
        rustix::net::listen(&socket, BACKLOG)
            .map_err(|error| self.failed("listening at", &asked.name, error))?;
        Ok((socket, asked))
    }

    /// Asks every kernel of the container but the one in process `except` who runs in it. Gives
    /// the kernels' processes with what they say, in ascending order.
    pub fn ask_kernels(&self, except: Option<i32>) -> Result<Vec<(i32, Report)>, StoreError> {
        let mut named: Vec<_> = (self.names()?.into_iter())
            .filter(|(name, pid)| *name == format!("{PREFIX}{pid}") && Some(*pid) != except)
            .collect();
        named.sort_by_key(|(_, pid)| *pid);
        let mut reports = Vec::new();
        for (name, pid) in named {
            let doing = || format!("asking the virtual kernel in process {pid} who runs in it");
            reports.extend(self.ask(&name).doing(doing)?.map(|report| (pid, report)));
        }
        Ok(reports)
    }

    /// What the kernel at this socket says; nothing if it is no more.
    fn ask(&self, name: &str) -> std::io::Result<Option<Report>> {
        let socket = socket(SocketFlags::empty())?;
        for direction in [sockopt::Timeout::Send, sockopt::Timeout::Recv] {
            sockopt::set_socket_timeout(&socket, direction, Some(PATIENCE))?;
        }
        match rustix::net::connect(&socket, &self.address(name)?) {
            Err(Errno::CONNREFUSED | Errno::NOENT) => return Ok(None),
            connected => connected?,
        }
        Report::receive(&socket)
    }

    /// The address of one of its sockets: through the directory's descriptor, because addresses
    /// are short and paths are not.
    fn address(&self, name: &str) -> rustix::io::Result<SocketAddrUnix> {
        SocketAddrUnix::new(format!("/proc/self/fd/{}/{name}", self.dir().as_raw_fd()))
    }

    /// The sockets there are, with the process that each is named by.
    fn names(&self) -> Result<Vec<(String, i32)>, StoreError> {
        let failed = |error: Errno| -> Failure { self.failed("reading", ".", error) };
        let mut names = Vec::new();
        for entry in rustix::fs::Dir::read_from(self.dir()).map_err(failed)? {
            let entry = entry.map_err(failed)?;
            let name = entry.file_name().to_str().unwrap_or_default();
            names.extend(process(name).map(|pid| (name.to_owned(), pid)));
        }
        Ok(names)
    }
}

fn process(name: &str) -> Option<i32> {
    let number = name.strip_prefix(PREFIX)?;
    number.strip_prefix(NEW).unwrap_or(number).parse().ok()
}

fn is_gone(pid: i32) -> bool {
    let Some(pid) = Pid::from_raw(pid) else {
        return true;
    };
    rustix::process::test_kill_process(pid) == Err(Errno::SRCH)
}

fn socket(flags: SocketFlags) -> rustix::io::Result<OwnedFd> {
    let flags = flags | SocketFlags::CLOEXEC;
    rustix::net::socket_with(AddressFamily::UNIX, SocketType::STREAM, flags, None)
}

#[cfg(test)]
mod tests {
    use crate::container::Store;

    #[test]
    fn sockets_of_the_dead_are_removed_and_nobody_answers_at_them() {
        let root = tempfile::tempdir().unwrap();
        // Longer than an address can be.
        let store = Store::new(root.path().join("long".repeat(40)));
        let (dir, _lock) = store.create(&"c".parse().unwrap(), |_| Ok(())).unwrap();
        let names = || {
            let mut names: Vec<_> = dir
                .names()
                .unwrap()
                .into_iter()
                .map(|name| name.0)
                .collect();
            names.sort();
            names
        };
        let own = std::process::id();
        let (socket, asked) = dir.listen().unwrap();
        assert_eq!(names(), [format!("ps.new.{own}")]);
        drop((socket, asked));
        assert_eq!(names(), [""; 0]);

        let mut child = std::process::Command::new("true").spawn().unwrap();
        let dead = child.id().cast_signed();
        child.wait().unwrap();
        let (socket, asked) = dir.listen().unwrap();
        asked.belongs_to(dead).unwrap();
        assert_eq!(names(), [format!("ps.{dead}")]);
        drop(socket);
        assert_eq!(dir.ask_kernels(None).unwrap(), []);
        let (_socket, _asked) = dir.listen().unwrap();
        assert_eq!(names(), [format!("ps.new.{own}")]);
        // Whose kernel does not exist yet is not asked.
        assert_eq!(dir.ask_kernels(None).unwrap(), []);
    }
}
