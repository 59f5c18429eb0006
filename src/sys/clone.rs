//! `clone3` as fork with namespaces, a pidfd and a cgroup.

use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};

use rustix::io::Errno;

/// From linux/sched.h; libc's constant is an int, which is too narrow for it.
const CLONE_INTO_CGROUP: u64 = 0x2_0000_0000;

/// Which of the two processes returned from [`clone`].
pub enum Cloned {
    /// In the caller: the child's pid in the caller's pid namespace, and its pidfd.
    Parent {
        /// The child's pid as the caller sees it.
        pid: i32,
        /// Refers to the child until it is closed, whatever happens to the pid.
        pidfd: OwnedFd,
    },
    /// In the child.
    Child,
}

/// Forks with `namespaces` (a set of `CLONE_NEW*`), into the cgroup v2 directory `cgroup` if given.
///
/// The caller must have one thread only: the child is a copy of the calling thread, and locks that
/// another thread held would stay locked in it. Returns `EBUSY` when there are others.
pub fn clone(namespaces: u64, cgroup: Option<BorrowedFd<'_>>) -> Result<Cloned, Errno> {
    if thread_count() != Some(1) {
        return Err(Errno::BUSY);
    }
    let mut pidfd: RawFd = -1;
    // SAFETY: clone_args is plain integers; all zero is its documented default.
    let mut args: libc::clone_args = unsafe { std::mem::zeroed() };
    args.flags = namespaces | libc::CLONE_PIDFD as u64;
    args.pidfd = &raw mut pidfd as u64;
    args.exit_signal = libc::SIGCHLD as u64;
    if let Some(cgroup) = cgroup {
        args.flags |= CLONE_INTO_CGROUP;
        args.cgroup = cgroup.as_raw_fd() as u64;
    }
    // SAFETY: no CLONE_VM, so the child has its own copy of memory and returns here on its own
    // stack; `args` and `pidfd` outlive the call; this process has a single thread (checked above),
    // so no lock can be left held in the child.
    let pid = unsafe { libc::syscall(libc::SYS_clone3, &raw const args, size_of_val(&args)) };
    match pid {
        -1 => Err(last_errno()),
        0 => Ok(Cloned::Child),
        pid => {
            // SAFETY: on success the kernel stored a new descriptor that nothing else owns.
            let pidfd = unsafe { OwnedFd::from_raw_fd(pidfd) };
            Ok(Cloned::Parent {
                pid: pid as i32,
                pidfd,
            })
        }
    }
}

/// Ends the calling process at once: no destructors, no flushing of buffers shared with the parent.
pub fn exit_now(code: i32) -> ! {
    // SAFETY: `_exit` does not return and touches no memory.
    unsafe { libc::_exit(code) }
}

/// The calling thread's last errno.
pub(super) fn last_errno() -> Errno {
    let raw = std::io::Error::last_os_error()
        .raw_os_error()
        .unwrap_or(libc::EIO);
    Errno::from_raw_os_error(raw)
}

fn thread_count() -> Option<usize> {
    std::fs::read_dir("/proc/self/task")
        .ok()
        .map(Iterator::count)
}
