//! Which descriptors survive an exec, and taking over those that were handed in by number.

use std::os::fd::{AsFd, FromRawFd, OwnedFd, RawFd};

use rustix::fs::{Mode, OFlags};
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

/// Opens /dev/null for each of the standard streams that the starter has closed: else the next file
/// opened would take its number, and what is said to the stream would be written to that file.
pub fn open_standard() -> Result<(), Errno> {
    for stream in 0..=2 {
        if !is_open(stream) {
            let null = rustix::fs::open("/dev/null", OFlags::RDWR, Mode::empty())?;
            // The lowest number that is free, which is the stream's, since those below it are open.
            std::mem::forget(null);
        }
    }
    Ok(())
}

fn is_open(fd: RawFd) -> bool {
    // SAFETY: F_GETFD on any number only reads descriptor flags, or fails with EBADF.
    unsafe { libc::fcntl(fd, libc::F_GETFD) >= 0 }
}

/// Checks that `count` descriptors from `first` up are open: what `--preserve-fds` hands on. A
/// number that is free would go to whatever this program opens next.
pub fn check_open(first: RawFd, count: u32) -> Result<(), Failure> {
    for fd in (first..).take(count as usize) {
        if !is_open(fd) {
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
    if !is_open(fd) {
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
