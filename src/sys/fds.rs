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

/// The first descriptor after the standard streams.
pub const FIRST: RawFd = 3;

/// Which of the `count` descriptors from [`FIRST`] up are open: what is handed on. The other
/// numbers are taken, since a free one would go to whatever this program opens next. The standard
/// streams must be open.
pub fn reserve(count: u32) -> Result<Vec<RawFd>, Failure> {
    let mut open = Vec::new();
    for fd in (FIRST..).take(count as usize) {
        if is_open(fd) {
            open.push(fd);
            continue;
        }
        let null = rustix::fs::open("/dev/null", OFlags::PATH | OFlags::CLOEXEC, Mode::empty());
        // The lowest number that is free, for as long as this program runs.
        std::mem::forget(null.doing(|| format!("--preserve-fds: taking descriptor {fd}"))?);
    }
    Ok(open)
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
