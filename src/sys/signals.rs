//! Receiving signals through a descriptor.

use std::mem::MaybeUninit;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};

use rustix::io::Errno;

use super::clone::last_errno;

/// Blocks `signals` in the calling thread and returns a descriptor that delivers them.
pub fn receive(signals: &[i32]) -> Result<OwnedFd, Errno> {
    let mut set = MaybeUninit::uninit();
    // SAFETY: sigemptyset fills the set; the other calls only read it. Numbers that are not
    // signals make sigaddset fail, and stay out.
    let fd = unsafe {
        libc::sigemptyset(set.as_mut_ptr());
        for signal in signals {
            libc::sigaddset(set.as_mut_ptr(), *signal);
        }
        if libc::pthread_sigmask(libc::SIG_BLOCK, set.as_ptr(), std::ptr::null_mut()) != 0 {
            return Err(last_errno());
        }
        libc::signalfd(-1, set.as_ptr(), libc::SFD_CLOEXEC | libc::SFD_NONBLOCK)
    };
    if fd < 0 {
        return Err(last_errno());
    }
    // SAFETY: just made, and nobody else's.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// The next signal that has arrived, if any.
pub fn next(signals: &OwnedFd) -> Option<i32> {
    let mut info = MaybeUninit::<libc::signalfd_siginfo>::uninit();
    let size = size_of::<libc::signalfd_siginfo>();
    // SAFETY: the buffer has the size that is passed.
    let read = unsafe { libc::read(signals.as_raw_fd(), info.as_mut_ptr().cast(), size) };
    // SAFETY: the kernel filled all of it.
    (read == size as isize).then(|| unsafe { info.assume_init() }.ssi_signo as i32)
}

/// Makes the program ignore a signal.
pub fn ignore(signal: i32) -> Result<(), Errno> {
    // SAFETY: SIG_IGN is a valid disposition and installs no code.
    let before = unsafe { libc::signal(signal, libc::SIG_IGN) };
    if before == libc::SIG_ERR {
        Err(last_errno())
    } else {
        Ok(())
    }
}

/// Lets the calling thread receive every signal again, whatever its starter had blocked.
pub fn unblock_all() -> Result<(), Errno> {
    let mut none = MaybeUninit::uninit();
    // SAFETY: sigemptyset fills the set, which the other call only reads.
    let done = unsafe {
        libc::sigemptyset(none.as_mut_ptr());
        libc::pthread_sigmask(libc::SIG_SETMASK, none.as_ptr(), std::ptr::null_mut())
    };
    if done == 0 {
        Ok(())
    } else {
        Err(Errno::from_raw_os_error(done))
    }
}

/// Gives every signal its default action and lets all through, as a new program expects it.
pub fn reset() -> Result<(), Errno> {
    // The kernel's `struct sigaction`: all zero is SIG_DFL without flags and mask.
    const DEFAULT: [u64; 4] = [0; 4];
    for signal in 1..=libc::SIGRTMAX() {
        // The C library keeps two numbers for itself, which a parent may have ignored all the same.
        // SAFETY: the action outlives the call, has the kernel's size and installs no code. The call
        // fails for the two signals that nobody can set.
        unsafe {
            let (new, size) = (DEFAULT.as_ptr(), size_of::<u64>());
            let old = std::ptr::null_mut::<u64>();
            libc::syscall(libc::SYS_rt_sigaction, signal, new, old, size);
        }
    }
    unblock_all()
}

/// Every signal whose default action ends a process, except those that report a fault of the
/// program itself and the two that cannot be received.
pub const ENDING: [i32; 15] = [
    libc::SIGHUP,
    libc::SIGINT,
    libc::SIGQUIT,
    libc::SIGABRT,
    libc::SIGUSR1,
    libc::SIGUSR2,
    libc::SIGALRM,
    libc::SIGTERM,
    libc::SIGSTKFLT,
    libc::SIGXCPU,
    libc::SIGVTALRM,
    libc::SIGPROF,
    libc::SIGIO,
    libc::SIGPWR,
    libc::SIGSYS,
];
