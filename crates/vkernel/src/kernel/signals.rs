//! The host's signals as those of process 1.

use std::mem::MaybeUninit;
use std::os::fd::{AsFd, AsRawFd, FromRawFd, OwnedFd};

use rustix::event::{PollFd, PollFlags, poll};
use rustix::time::Timespec;

use super::{ExitStatus, Running};
use crate::kill::interrupt_signal;
use crate::signal::{Action, default_action};

/// How long nobody is answered after that has failed: whoever asks still waits.
const REST: Timespec = Timespec {
    tv_sec: 1,
    tv_nsec: 0,
};

/// Every signal that can be for process 1, blocked in this thread and those it starts, until
/// this is dropped.
pub struct Blocked {
    set: libc::sigset_t,
    before: libc::sigset_t,
}

/// Signals that are never for process 1: faults of the engine's own code, which it handles, and
/// the one that interrupts system calls.
fn is_our_own(signal: i32) -> bool {
    let faults = [
        libc::SIGSEGV,
        libc::SIGBUS,
        libc::SIGFPE,
        libc::SIGILL,
        libc::SIGTRAP,
    ];
    faults.contains(&signal) || signal == interrupt_signal()
}

impl Blocked {
    pub fn new() -> Blocked {
        let mut set = MaybeUninit::uninit();
        let mut before = MaybeUninit::uninit();
        // SAFETY: `sigfillset` and `pthread_sigmask` fill what they are given, and neither fails
        // with valid pointers and signal numbers.
        unsafe {
            libc::sigfillset(set.as_mut_ptr());
            for signal in (1..=libc::SIGRTMAX()).filter(|signal| is_our_own(*signal)) {
                libc::sigdelset(set.as_mut_ptr(), signal);
            }
            libc::pthread_sigmask(libc::SIG_BLOCK, set.as_ptr(), before.as_mut_ptr());
            Blocked {
                set: set.assume_init(),
                before: before.assume_init(),
            }
        }
    }

    /// Hands signals to the process, and answers who asks about it at `asked`, until it has ended.
    pub fn forward_until_ended(&self, running: Running, asked: Option<OwnedFd>) -> ExitStatus {
        // SAFETY: the set is initialised; the call makes a descriptor or fails.
        let fd = unsafe { libc::signalfd(-1, &self.set, libc::SFD_CLOEXEC | libc::SFD_NONBLOCK) };
        if fd < 0 {
            // Out of descriptors: without signals the process can only end by itself.
            log::error!(
                "cannot receive signals: {}",
                std::io::Error::last_os_error()
            );
            return running.wait();
        }
        // SAFETY: just made and nobody else's.
        let signals = unsafe { OwnedFd::from_raw_fd(fd) };
        let mut resting = false;
        loop {
            let ended = running.ended();
            let listens = asked.as_ref().filter(|_| !resting);
            let mut fds = vec![
                PollFd::new(&signals, PollFlags::IN),
                PollFd::from_borrowed_fd(ended, PollFlags::IN),
            ];
            fds.extend(listens.map(|socket| PollFd::new(socket, PollFlags::IN)));
            match poll(&mut fds, resting.then_some(&REST)) {
                Ok(_) if fds[1].revents().contains(PollFlags::IN) => return running.wait(),
                Ok(_) | Err(rustix::io::Errno::INTR) => {}
                Err(error) => {
                    log::error!("cannot wait for signals: {error}");
                    return running.wait();
                }
            }
            let asks = fds.get(2).is_some_and(|fd| !fd.revents().is_empty());
            resting = match listens.filter(|_| asks) {
                Some(socket) => running.answer(socket).is_err(),
                None => false,
            };
            while let Some((signal, from_terminal)) = next(&signals) {
                if default_action(signal) == Action::Stop && running.stops_whole(signal) {
                    stop_whole(signal);
                } else if from_terminal {
                    running.signal_foreground(signal);
                } else {
                    running.signal(signal);
                }
            }
        }
    }
}

/// Stops the whole program, until somebody continues it. By the signal itself, which does nothing
/// where nobody would: a container has no shell around it that waits for its stop.
fn stop_whole(signal: i32) {
    let mut set = MaybeUninit::uninit();
    // SAFETY: the set is initialised before it is used, and the signal's number is a valid one. Its
    // action is the default one, since everything but faults is received from a descriptor.
    unsafe {
        libc::sigemptyset(set.as_mut_ptr());
        libc::sigaddset(set.as_mut_ptr(), signal);
        libc::pthread_sigmask(libc::SIG_UNBLOCK, set.as_ptr(), std::ptr::null_mut());
        libc::raise(signal);
        libc::pthread_sigmask(libc::SIG_BLOCK, set.as_ptr(), std::ptr::null_mut());
    }
}

impl Drop for Blocked {
    fn drop(&mut self) {
        // SAFETY: the set came from the same call.
        unsafe { libc::pthread_sigmask(libc::SIG_SETMASK, &self.before, std::ptr::null_mut()) };
    }
}

/// The next signal, and whether it is the terminal's: those are not one process's.
fn next(signals: &OwnedFd) -> Option<(i32, bool)> {
    let mut info = MaybeUninit::<libc::signalfd_siginfo>::uninit();
    let size = size_of::<libc::signalfd_siginfo>();
    // SAFETY: the buffer has the size that is passed.
    let read = unsafe { libc::read(signals.as_fd().as_raw_fd(), info.as_mut_ptr().cast(), size) };
    if read != size as isize {
        return None;
    }
    // SAFETY: the kernel filled all of it.
    let info = unsafe { info.assume_init() };
    Some((info.ssi_signo as i32, info.ssi_code == libc::SI_KERNEL))
}
