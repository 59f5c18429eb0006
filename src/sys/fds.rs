//! Which descriptors survive an exec, and taking over those that were handed in by number.

use std::os::fd::{AsFd, FromRawFd, OwnedFd, RawFd};

use rustix::io::{Errno, FdFlags};

use super::clone::last_errno;
use crate::failure::{Doing, Failure};

/// Marks every descriptor from `first` up close-on-exec, also those this program did not open:
/// engines leak sockets into the runtime.
pub fn close_all_on_exec(first: u32) -> Result<(), Errno> {
    // SAFETY: with CLOSE_RANGE_CLOEXEC the call closes nothing; it changes only descriptor flags.
    let done = unsafe {
        libc::syscall(
            libc::SYS_close_range,
            first,
            u32::MAX,
            libc::CLOSE_RANGE_CLOEXEC,
        )
    };
    if done == 0 { Ok(()) } else { Err(last_errno()) }
}

/// Lets the descriptor survive the next exec.
pub fn keep_on_exec(fd: impl AsFd) -> Result<(), Errno> {
    rustix::io::fcntl_setfd(fd, FdFlags::empty())
}

/// Checks that `count` descriptors from `first` up are open: what `--preserve-fds` hands on. A
/// number that is free would go to whatever this program opens next.
pub fn check_open(first: RawFd, count: u32) -> Result<(), Failure> {
    for fd in (first..).take(count as usize) {
        // SAFETY: F_GETFD on any number only reads descriptor flags, or fails with EBADF.
        if unsafe { libc::fcntl(fd, libc::F_GETFD) } < 0 {
            let doing = format!("--preserve-fds {count}: descriptor {fd}");
            return Err(Failure::new(doing, Errno::BADF));
        }
    }
    Ok(())
}

/// Takes ownership of a descriptor which the process that started this one left open for it.
///
/// Fails when it is not open. The caller must name each number once: it becomes its owner.
pub fn adopt(fd: RawFd, what: &str) -> Result<OwnedFd, Failure> {
    // SAFETY: F_GETFD on any number only reads descriptor flags, or fails with EBADF.
    let flags = unsafe { libc::fcntl(fd, libc::F_GETFD) };
    if fd < 0 || flags < 0 {
        return Err(Failure::new(
            format!("taking over descriptor {fd} ({what})"),
            Errno::BADF,
        ));
    }
    // SAFETY: it is open, and by this function's contract nothing else in this process owns it:
    // it was inherited, and each number is adopted once.
    let fd = unsafe { OwnedFd::from_raw_fd(fd) };
    rustix::io::fcntl_setfd(&fd, FdFlags::CLOEXEC).doing(|| format!("marking {what}"))?;
    Ok(fd)
}
