//! Waiting for `start`, and waiting as a pod sandbox.
//!
//! Process 1 of a pid namespace is not ended by a signal's default action, so the waiting process
//! receives signals itself and ends as any other would.

use std::os::fd::OwnedFd;

use rustix::event::{PollFd, PollFlags};
use rustix::io::Errno;
use rustix::process::WaitOptions;

use crate::failure::{Doing, Failure};
use crate::sys::signals;

/// Keeps signals that arrive before the wait. They stay blocked: whoever runs next takes them over.
pub fn block_signals() -> Result<(), Failure> {
    // A guest's limit on the size of files gives it an error, not the end of all processes.
    signals::ignore(libc::SIGXFSZ).doing(|| "ignoring SIGXFSZ")?;
    signals::receive(&signals::ENDING)
        .map(drop)
        .doing(|| "blocking signals")
}

/// Waits until the fifo says go; without one, at once. The error is the exit code.
pub fn for_start(fifo: Option<&OwnedFd>) -> Result<(), u8> {
    let Some(fifo) = fifo else { return Ok(()) };
    let Ok(signals) = signals::receive(&signals::ENDING) else {
        return Err(1);
    };
    loop {
        let mut ready = [
            PollFd::new(fifo, PollFlags::IN),
            PollFd::new(&signals, PollFlags::IN),
        ];
        match rustix::event::poll(&mut ready, None) {
            Ok(_) | Err(Errno::INTR) => {}
            Err(_) => return Err(1),
        }
        if let Some(signal) = signals::next(&signals) {
            return Err(128 + signal as u8);
        }
        let mut byte = [0];
        if matches!(rustix::io::read(fifo, &mut byte), Ok(1)) {
            return Ok(());
        }
    }
}

/// Runs a pod sandbox: keeps the namespaces alive, reaps, and ends on any signal that would end a
/// process. Its exit code is 0 then, as a pause container's.
pub fn as_sandbox() -> u8 {
    let mut wanted = signals::ENDING.to_vec();
    wanted.push(libc::SIGCHLD);
    let Ok(signals) = signals::receive(&wanted) else {
        return 1;
    };
    loop {
        match rustix::event::poll(&mut [PollFd::new(&signals, PollFlags::IN)], None) {
            Ok(_) | Err(Errno::INTR) => {}
            Err(_) => return 1,
        }
        while let Some(signal) = signals::next(&signals) {
            if signal != libc::SIGCHLD {
                return 0;
            }
            while let Ok(Some(_)) = rustix::process::wait(WaitOptions::NOHANG) {}
        }
    }
}
