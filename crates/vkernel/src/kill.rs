//! Ending a process from outside: code in a loop, and host calls that block.
//!
//! Three things together reach a process wherever it is. The engine's epoch stops code; an event
//! descriptor wakes calls that poll; a signal to the process's thread, whose handler does
//! nothing, makes any other blocked system call return `EINTR`. A signal that arrives just
//! before the system call would be lost, so it is repeated until the process has ended: calls
//! need no check before they block, only after `EINTR`.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::atomic::{AtomicI32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rustix::event::{EventfdFlags, eventfd};
use wasmtime::Engine;

use crate::errno::Errno;
use crate::process::{End, Fail, HostResult};

/// Told to a process that it has to end, and asked by its host calls whether it has to.
#[derive(Clone)]
pub struct KillToken(Arc<Shared>);

struct Shared {
    /// The signal to die of, 0 while there is none.
    signal: AtomicI32,
    /// Readable once there is a signal; never read, so it stays so.
    event: OwnedFd,
    /// The host thread the process runs on, while it does.
    thread: Mutex<Option<libc::pid_t>>,
}

impl KillToken {
    /// A token nobody has used. Fails when the host has no descriptor left.
    pub fn new() -> rustix::io::Result<KillToken> {
        let event = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?;
        Ok(KillToken(Arc::new(Shared {
            signal: AtomicI32::new(0),
            event,
            thread: Mutex::new(None),
        })))
    }

    /// The signal this process has to die of, if any.
    #[inline]
    #[must_use]
    pub fn pending(&self) -> Option<i32> {
        match self.0.signal.load(Ordering::Acquire) {
            0 => None,
            signal => Some(signal),
        }
    }

    /// Ends the calling process if it has to end.
    #[inline]
    pub fn check(&self) -> HostResult {
        match self.pending() {
            None => Ok(()),
            Some(signal) => Err(Fail::End(End::Signal(signal))),
        }
    }

    /// Becomes readable when the process has to end: poll it beside what is waited for.
    #[must_use]
    pub fn event(&self) -> BorrowedFd<'_> {
        self.0.event.as_fd()
    }

    /// Runs a system call that may block, again after every `EINTR` that is not the end.
    pub fn interruptible<T>(&self, mut call: impl FnMut() -> Result<T, Errno>) -> HostResult<T> {
        loop {
            match call() {
                Err(Errno::INTR) => self.check()?,
                other => return other.map_err(Fail::Errno),
            }
        }
    }

    /// Marks the calling thread as the one to interrupt, until the guard is dropped.
    #[must_use]
    pub fn enter_thread(&self) -> ThreadGuard<'_> {
        *self.thread() = Some(rustix::thread::gettid().as_raw_nonzero().get());
        ThreadGuard(self)
    }

    /// Makes the process die of `signal`; the first signal is the one that counts.
    ///
    /// Returns at once. Call [`KillToken::kick`] until the process has ended.
    pub fn kill(&self, signal: i32) {
        let _ = self
            .0
            .signal
            .compare_exchange(0, signal, Ordering::AcqRel, Ordering::Acquire);
        // A full counter is readable as well, so a failed write changes nothing.
        let _ = rustix::io::write(&self.0.event, &1u64.to_ne_bytes());
    }

    /// Interrupts the process wherever it is; false when it no longer runs.
    pub fn kick(&self, engine: &Engine) -> bool {
        engine.increment_epoch();
        let thread = self.thread();
        let Some(tid) = *thread else { return false };
        // SAFETY: plain system call. The lock is held, so the thread has not ended and its id
        // has not been given to another.
        unsafe { libc::syscall(libc::SYS_tgkill, libc::getpid(), tid, interrupt_signal()) };
        true
    }

    /// Kills the process and interrupts it until it has ended, less often as time goes by.
    ///
    /// `ended` covers a thread that has not got as far as to say where it runs.
    pub fn kill_until_ended(&self, signal: i32, engine: &Engine, ended: impl Fn() -> bool) {
        self.kill(signal);
        let mut pause = Duration::from_micros(200);
        while self.kick(engine) || !ended() {
            std::thread::sleep(pause);
            pause = (pause * 2).min(Duration::from_millis(20));
        }
    }

    fn thread(&self) -> std::sync::MutexGuard<'_, Option<libc::pid_t>> {
        // The value is a plain number: a panic elsewhere cannot have left it half written.
        self.0.thread.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// See [`KillToken::enter_thread`].
pub struct ThreadGuard<'t>(&'t KillToken);

impl Drop for ThreadGuard<'_> {
    fn drop(&mut self) {
        *self.0.thread() = None;
    }
}

/// The signal that interrupts a blocked system call: a real-time one nothing else uses.
#[must_use]
pub fn interrupt_signal() -> i32 {
    libc::SIGRTMIN() + 6
}

extern "C" fn ignore(_signal: i32) {}

/// Installs the handler of [`interrupt_signal`]. Idempotent; process-wide, as handlers are.
pub fn install_interrupt_handler() -> std::io::Result<()> {
    // SAFETY: all-zero is a valid `sigaction`; the handler does nothing, so it may run anywhere.
    // No SA_RESTART: a blocked call must return EINTR.
    let done = unsafe {
        let mut action: libc::sigaction = std::mem::zeroed();
        action.sa_sigaction = ignore as extern "C" fn(i32) as usize;
        libc::sigemptyset(&mut action.sa_mask);
        libc::sigaction(interrupt_signal(), &action, std::ptr::null_mut())
    };
    if done == 0 {
        Ok(())
    } else {
        Err(std::io::Error::last_os_error())
    }
}
