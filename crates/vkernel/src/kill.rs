//! Reaching a process from outside: code in a loop, and host calls that block.
//!
//! Three things together reach a process wherever it is. The engine's epoch stops code; an event
//! descriptor wakes calls that poll; a signal to the process's thread, whose handler does
//! nothing, makes any other blocked system call return `EINTR`. A signal that arrives just
//! before the system call would be lost, so it is repeated until the process has noticed: calls
//! need no check before they block, only after `EINTR`.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use rustix::event::{EventfdFlags, eventfd};
use rustix::thread::futex;
use wasmtime::Engine;

use crate::descriptor::FdTable;
use crate::errno::Errno;
use crate::process::{End, Fail, HostResult};
use crate::ps::{About, Clocks};
use crate::signal::{Posted, SignalState, Verdict};

/// How far a process's epoch deadline is moved while a handler runs on top of interrupted code:
/// there the engine cannot call back, it can only end the code. Only an insistent kill moves the
/// epoch as far.
pub const HANDLER_EPOCHS: u64 = 1 << 20;

/// How others reach a process: its signals, and the means to make it notice them.
#[derive(Clone)]
pub struct KillToken(Arc<Shared>);

struct Shared {
    signals: Mutex<SignalState>,
    /// Whether the process has something to do before it goes on; written under the lock.
    attention: AtomicBool,
    /// Moves with everything a process may wait for besides descriptors: signals, its children.
    events: AtomicU32,
    /// Threads that wait for `events` to move, or are about to: the process's own, at most.
    sleepers: AtomicU32,
    /// Readable while there is attention to pay; made when the process first polls.
    event: OnceLock<OwnedFd>,
    /// The host thread the process runs on, while it does.
    thread: Mutex<Option<libc::pid_t>>,
    /// A handler runs on top of interrupted code.
    handling: AtomicBool,
    /// It has stopped: a change of its signals wakes it without more.
    stopped: AtomicBool,
    /// The process has ended.
    ended: AtomicBool,
    /// What to do before the process blocks; see [`KillToken::before_blocking`].
    hook: Mutex<Option<Hook>>,
    hooked: AtomicBool,
    /// See [`KillToken::park`].
    parked: Mutex<Option<Parked>>,
    /// What others may know of it.
    about: Mutex<Option<Arc<About>>>,
    clocks: Clocks,
}

type Hook = Box<dyn FnOnce() + Send>;

/// What a process that waits for a child on its own thread leaves behind.
struct Parked {
    fds: FdTable,
    child: KillToken,
}

impl std::fmt::Debug for KillToken {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("KillToken").finish_non_exhaustive()
    }
}

impl Default for KillToken {
    fn default() -> Self {
        KillToken::new(SignalState::default())
    }
}

impl KillToken {
    /// The token of a process that starts with these signals.
    #[must_use]
    pub fn new(signals: SignalState) -> KillToken {
        KillToken(Arc::new(Shared {
            attention: AtomicBool::new(signals.verdict() != Verdict::GoOn),
            signals: Mutex::new(signals),
            events: AtomicU32::new(0),
            sleepers: AtomicU32::new(0),
            event: OnceLock::new(),
            thread: Mutex::new(None),
            handling: AtomicBool::new(false),
            stopped: AtomicBool::new(false),
            ended: AtomicBool::new(false),
            hook: Mutex::new(None),
            hooked: AtomicBool::new(false),
            parked: Mutex::new(None),
            about: Mutex::new(None),
            clocks: Clocks::default(),
        }))
    }

    /// Whether both are the same process's.
    #[must_use]
    pub fn same(&self, other: &KillToken) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }

    /// Whether the process has something to do before it goes on.
    #[inline]
    #[must_use]
    pub fn attention(&self) -> bool {
        self.0.attention.load(Ordering::Acquire)
    }

    /// Looks at or changes the process's signals; whoever waits notices.
    pub fn signals<T>(&self, change: impl FnOnce(&mut SignalState) -> T) -> T {
        let mut signals = lock(&self.0.signals);
        let result = change(&mut signals);
        let attention = signals.verdict() != Verdict::GoOn;
        if self.0.attention.swap(attention, Ordering::AcqRel) != attention
            && let Some(event) = self.0.event.get()
        {
            signal_event(event, attention);
        }
        drop(signals);
        result
    }

    /// Does what the process's signals demand and can be done here: stops it until it is
    /// continued. Gives the end, or `Interrupted` where a handler has to run.
    #[inline]
    pub fn check(&self) -> HostResult {
        if self.attention() {
            self.attend()
        } else {
            Ok(())
        }
    }

    #[cold]
    fn attend(&self) -> HostResult {
        loop {
            let seen = self.events();
            match self.signals(|signals| signals.verdict()) {
                Verdict::GoOn => return Ok(()),
                Verdict::Deliver => return Err(Fail::Interrupted),
                Verdict::End(signal) => return Err(Fail::End(End::Signal(signal))),
                Verdict::Stop => {
                    self.0.stopped.store(true, Ordering::Release);
                    self.sleep(seen);
                    self.0.stopped.store(false, Ordering::Release);
                }
            }
        }
    }

    /// Readable while the process has something to do before it goes on: poll it beside what is
    /// waited for. `ENFILE` when the host has no descriptor left.
    pub fn event(&self) -> Result<BorrowedFd<'_>, Errno> {
        if let Some(event) = self.0.event.get() {
            return Ok(event.as_fd());
        }
        let made =
            eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK).map_err(|_| Errno::NFILE)?;
        // The lock keeps what is posted meanwhile from being missed.
        let signals = lock(&self.0.signals);
        let event = self.0.event.get_or_init(|| made);
        signal_event(event, signals.verdict() != Verdict::GoOn);
        Ok(event.as_fd())
    }

    /// Runs a system call that may block, again after every `EINTR` that concerns nobody.
    pub fn interruptible<T>(&self, mut call: impl FnMut() -> Result<T, Errno>) -> HostResult<T> {
        if self.0.hooked.load(Ordering::Relaxed) {
            self.run_hook();
        }
        loop {
            match call() {
                Err(Errno::INTR) => self.check()?,
                other => return other.map_err(Fail::Errno),
            }
        }
    }

    /// What to do once, before the process next blocks. What was set before is done now.
    pub fn before_blocking(&self, hook: Hook) {
        self.run_hook();
        *lock(&self.0.hook) = Some(hook);
        self.0.hooked.store(true, Ordering::Relaxed);
    }

    #[cold]
    fn run_hook(&self) {
        self.0.hooked.store(false, Ordering::Relaxed);
        let hook = lock(&self.0.hook).take();
        if let Some(hook) = hook {
            hook();
        }
    }

    /// Forgets what was to be done before blocking.
    pub fn forget_hook(&self) {
        self.0.hooked.store(false, Ordering::Relaxed);
        lock(&self.0.hook).take();
    }

    /// How many things have happened that a process may wait for; see [`KillToken::wait_event`].
    #[must_use]
    pub fn events(&self) -> u32 {
        self.0.events.load(Ordering::Acquire)
    }

    /// Waits until something happens that `seen` does not count, then for what signals demand.
    pub fn wait_event(&self, seen: u32) -> HostResult {
        self.check()?;
        self.sleep(seen);
        Ok(())
    }

    /// One wait for `events` to move. It may return without that.
    fn sleep(&self, seen: u32) {
        self.0.sleepers.fetch_add(1, Ordering::SeqCst);
        // Interrupted, moved or woken: the caller looks again in any case.
        let _ = futex::wait(&self.0.events, futex::Flags::PRIVATE, seen, None);
        self.0.sleepers.fetch_sub(1, Ordering::SeqCst);
    }

    /// Something happened that the process may wait for.
    pub fn notify(&self) {
        self.0.events.fetch_add(1, Ordering::SeqCst);
        // Whoever is not counted yet has still to compare `events`, and finds it moved.
        if self.0.sleepers.load(Ordering::SeqCst) > 0 {
            let _ = futex::wake(&self.0.events, futex::Flags::PRIVATE, u32::MAX >> 1);
        }
    }

    /// Marks the calling thread as the one to interrupt, until the guard is dropped.
    #[must_use]
    pub fn enter_thread(&self) -> ThreadGuard<'_> {
        *lock(&self.0.thread) = Some(TID.with(|tid| *tid));
        ThreadGuard(self)
    }

    /// A signal for the process, by Linux's number, 1 to 64.
    ///
    /// Returns at once. Where the process has to notice it, call [`KillToken::kick`] until it
    /// has.
    pub fn post(&self, signal: i32) -> Posted {
        self.posted(|signals| signals.post(signal))
    }

    /// The same for a signal that may run a handler and nothing else.
    pub fn post_if_caught(&self, signal: i32) -> Posted {
        self.posted(|signals| signals.post_if_caught(signal))
    }

    fn posted(&self, post: impl FnOnce(&mut SignalState) -> Posted) -> Posted {
        let posted = self.signals(post);
        if posted != Posted::Nothing {
            self.notify();
        }
        posted
    }

    /// Ends the process by `signal` whatever it decided about it; the first end counts. Kick as
    /// after [`KillToken::post`].
    pub fn end(&self, signal: i32) {
        self.signals(|signals| signals.end(signal));
        self.notify();
    }

    /// Interrupts the process wherever it is; false when there is nothing for it to notice, or
    /// nobody who could.
    pub fn kick(&self, engine: &Engine) -> bool {
        let cannot_notice =
            || self.0.stopped.load(Ordering::Acquire) || lock(&self.0.parked).is_some();
        if !self.attention() || self.has_ended() || cannot_notice() {
            return false;
        }
        engine.increment_epoch();
        self.notify();
        if let Some(tid) = *lock(&self.0.thread) {
            // SAFETY: plain system call. The lock is held, so the thread has not ended and its
            // id has not been given to another.
            unsafe { libc::syscall(libc::SYS_tgkill, libc::getpid(), tid, interrupt_signal()) };
        }
        true
    }

    /// As [`KillToken::kick`], for a process that has not noticed its end for long: it may be in
    /// a handler that never returns, on top of interrupted code.
    pub fn kick_hard(&self, engine: &Engine) {
        if self.0.handling.load(Ordering::Acquire) && self.must_end() {
            for _ in 0..=HANDLER_EPOCHS {
                engine.increment_epoch();
            }
        }
    }

    /// Whether a signal demands the process's end.
    #[must_use]
    pub fn must_end(&self) -> bool {
        self.attention() && self.signals(|signals| signals.verdict().ends())
    }

    /// Says whether a handler runs on top of interrupted code.
    pub fn set_handling(&self, handling: bool) {
        self.0.handling.store(handling, Ordering::Release);
    }

    /// The process has ended: nobody needs to reach it any more.
    pub fn set_ended(&self) {
        self.0.ended.store(true, Ordering::Release);
    }

    /// Whether the process has ended.
    #[must_use]
    pub fn has_ended(&self) -> bool {
        self.0.ended.load(Ordering::Acquire)
    }

    /// Leaves the process's descriptors here while its thread runs this child of its: whoever ends
    /// it meanwhile closes them, as the process itself cannot.
    pub fn park(&self, fds: FdTable, child: KillToken) {
        *lock(&self.0.parked) = Some(Parked { fds, child });
    }

    /// Whether it waits for a child that its thread runs.
    pub(crate) fn is_parked(&self) -> bool {
        lock(&self.0.parked).is_some()
    }

    /// Whether a signal has stopped it.
    pub(crate) fn is_stopped(&self) -> bool {
        self.attention() && self.signals(|signals| signals.verdict() == Verdict::Stop)
    }

    /// The host thread that it runs on, while it does, and the processor time it has used.
    pub(crate) fn thread_and_time(&self) -> (Option<libc::pid_t>, Duration) {
        let (thread, with_child) = self.thread_and_all_time();
        let child = lock(&self.0.parked)
            .as_ref()
            .map(|parked| parked.child.clone());
        let of_child = child.map_or(Duration::ZERO, |child| child.thread_and_all_time().1);
        (thread, with_child.saturating_sub(of_child))
    }

    /// The same with the time of the child that its thread runs.
    fn thread_and_all_time(&self) -> (Option<libc::pid_t>, Duration) {
        // With the lock held the thread is neither left nor entered.
        let thread = lock(&self.0.thread);
        (*thread, self.0.clocks.used(*thread))
    }

    /// Starts to count the process's time, if it runs; says whether it does.
    pub(crate) fn count_time(&self) -> bool {
        let thread = lock(&self.0.thread);
        thread.is_some_and(|thread| {
            self.0.clocks.count_from(thread);
            true
        })
    }

    /// When it began, and what it used.
    pub(crate) fn clocks(&self) -> &Clocks {
        &self.0.clocks
    }

    /// What it runs, if it has said so.
    pub(crate) fn about(&self) -> Option<Arc<About>> {
        lock(&self.0.about).clone()
    }

    /// Says what the process runs from now on.
    pub(crate) fn set_about(&self, about: Arc<About>) {
        *lock(&self.0.about) = Some(about);
    }

    /// Takes the descriptors back; nothing if the process was ended meanwhile or never parked.
    pub fn unpark(&self) -> Option<FdTable> {
        lock(&self.0.parked).take().map(|parked| parked.fds)
    }
}

impl Verdict {
    fn ends(self) -> bool {
        matches!(self, Verdict::End(_))
    }
}

thread_local! {
    /// Asked once: the host's threads keep their numbers, and this program does not fork once it
    /// runs processes.
    static TID: libc::pid_t = rustix::thread::gettid().as_raw_nonzero().get();
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // Everything behind these locks is whole between two of its operations, and none panics.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Makes the event readable or not.
fn signal_event(event: &OwnedFd, readable: bool) {
    if readable {
        // A full counter is readable as well, so a failed write changes nothing.
        let _ = rustix::io::write(event, &1u64.to_ne_bytes());
    } else {
        // One that is empty already stays so.
        let _ = rustix::io::read(event, &mut [0u8; 8]);
    }
}

/// See [`KillToken::enter_thread`].
pub struct ThreadGuard<'t>(&'t KillToken);

impl Drop for ThreadGuard<'_> {
    fn drop(&mut self) {
        let mut thread = lock(&self.0.0.thread);
        self.0.0.clocks.leave_thread();
        *thread = None;
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
