//! Processes that processes make: spawn, exec, and running a child on its parent's thread.

use std::sync::{Arc, Mutex, PoisonError};

use super::prepare::{Launch, Prepared, Process};
use super::{Kernel, System, run};
use crate::errno::Errno;
use crate::exec::{Caller, ExecError};
use crate::kill::KillToken;
use crate::process::{End, Fail, HostResult, ProcState};
use crate::signal::{Disposition, SigSet, SignalState};
use crate::table::{Group, HARMLESS};

/// How many processes may run on top of each other on one host thread, besides the lowest.
pub const NESTED: u32 = 3;

/// What a child starts with besides what it executes.
#[derive(Debug, Clone, Copy)]
pub struct Attributes {
    /// Its process group or session.
    pub group: Group,
    /// Its signal mask; its parent's if absent.
    pub mask: Option<SigSet>,
    /// Signals that get their default action even if its parent ignores them.
    pub defaults: SigSet,
    /// Whether its group becomes the terminal's foreground group.
    pub foreground: bool,
}

/// A child that exists and has not run: its parent may be about to wait for it.
pub struct Slot {
    kernel: Kernel,
    process: Mutex<Option<Box<Process>>>,
}

impl Slot {
    fn take(&self) -> Option<Box<Process>> {
        // Nothing panics with the lock held.
        self.process
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take()
    }

    /// Gives the child a thread of its own, if it has not run yet.
    pub fn start(&self) {
        if let Some(process) = self.take() {
            run::on_a_thread(&self.kernel, process);
        }
    }
}

/// A parent's hold on a child that has not run. Letting go of it starts the child.
pub struct Deferred {
    pid: u32,
    slot: Arc<Slot>,
}

impl Drop for Deferred {
    fn drop(&mut self) {
        self.slot.start();
    }
}

/// Makes a child of `parent`. It runs soon: at the latest when the parent blocks, or after a
/// millisecond.
pub fn spawn(
    parent: &mut ProcState,
    launch: Launch,
    attributes: Attributes,
) -> Result<u32, SpawnError> {
    let system = parent.system.as_ref().ok_or(Errno::NOSYS)?;
    let (kernel, processes) = (system.kernel.clone(), system.processes.clone());
    let prepared = Prepared::new(
        &kernel.0,
        launch,
        Caller::process(parent.pid, &parent.program, &parent.kill),
    )?;
    let token = KillToken::new(parent.kill.signals(|own| attributes.signals(own)));
    let pid = processes.add(parent.pid, token.clone(), attributes.group)?;
    if attributes.foreground {
        // It is of its parent's session, whose terminal it is, so this cannot fail.
        let _ = processes.set_foreground(pid, processes.group(pid, 0)?);
    }
    let process = prepared.process(&kernel, pid, token, System::new(kernel.clone(), processes));
    defer(&kernel, parent, process);
    Ok(pid)
}

/// Leaves a child where its parent finds it if it waits at once.
pub(super) fn defer(kernel: &Kernel, parent: &mut ProcState, process: Box<Process>) {
    let pid = process.state.pid;
    let slot = Arc::new(Slot {
        kernel: kernel.clone(),
        process: Mutex::new(Some(process)),
    });
    let before_blocking = slot.clone();
    // Replacing an older one starts that.
    parent
        .kill
        .before_blocking(Box::new(move || before_blocking.start()));
    if let Some(system) = parent.system.as_mut() {
        let processes = system.processes.clone();
        kernel.0.caretaker.start_later(&slot, processes, pid);
        system.deferred = Some(Deferred { pid, slot });
    }
}

impl Attributes {
    fn signals(&self, parent: &SignalState) -> SignalState {
        let mut own = parent.inherited();
        for signal in self.defaults.iter() {
            // The two whose disposition is fixed have their default already.
            let _ = own.set_disposition(signal, Disposition::Default);
        }
        if let Some(mask) = self.mask {
            own.set_mask(mask);
        }
        own
    }
}

/// Prepares the calling process to go on as another program. Nothing has changed where it fails;
/// where it succeeds the caller has to end with [`End::Exec`].
pub fn exec(caller: &mut ProcState, launch: Launch) -> Result<(), SpawnError> {
    let system = caller.system.as_mut().ok_or(Errno::NOSYS)?;
    let prepared = Prepared::new(
        &system.kernel.0,
        launch,
        Caller::process(caller.pid, &caller.program, &caller.kill),
    )?;
    let next = System {
        depth: system.depth,
        ..System::new(system.kernel.clone(), system.processes.clone())
    };
    let process = prepared.process(&system.kernel, caller.pid, caller.kill.clone(), next);
    system.next = Some(process);
    Ok(())
}

/// Runs the child that `parent` made last on the calling thread, if it is the one that `wanted`
/// accepts and nothing speaks against it. Says whether it ran; the parent may have been ended
/// meanwhile.
pub fn run_here(parent: &mut ProcState, wanted: impl Fn(u32) -> bool) -> HostResult<bool> {
    let Some(system) = parent.system.as_mut() else {
        return Ok(false);
    };
    let fits = |held: &Deferred| wanted(held.pid);
    if system.depth >= NESTED || !system.deferred.as_ref().is_some_and(fits) {
        return Ok(false);
    }
    // A handler would have to wait until the child has ended.
    if (parent.kill).signals(|own| own.catches_other_than(HARMLESS)) {
        return Ok(false);
    }
    let Some(mut child) = system.deferred.as_ref().and_then(|held| held.slot.take()) else {
        return Ok(false);
    };
    parent.kill.forget_hook();
    system.deferred = None;
    let kernel = system.kernel.clone();
    let token = child.state.kill.clone();
    (parent.kill).park(std::mem::take(&mut parent.fds), token.clone());
    // Who ended it before it was parked found no descriptors, and does not look again.
    let ended = parent.kill.must_end();
    if ended {
        run::on_a_thread(&kernel, child);
    } else {
        if let Some(own) = child.state.system.as_mut() {
            own.depth = system.depth + 1;
        }
        run::on_this_thread(&kernel, child);
        parent.kill.clocks().without(token.clocks());
    }
    if let Some(fds) = parent.kill.unpark() {
        parent.fds = fds;
        if !ended {
            return Ok(true);
        }
    }
    // The signal is in its token; this ends it in any case.
    Err(parent
        .kill
        .check()
        .err()
        .unwrap_or(Fail::End(End::Signal(libc::SIGKILL))))
}

/// Why there is no child, or no other program.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SpawnError {
    /// Nothing may or can be executed.
    #[error(transparent)]
    Exec(#[from] ExecError),
    /// There is no room, or the group is not the caller's to use.
    #[error("making a process: {0}")]
    Table(Errno),
}

impl From<Errno> for SpawnError {
    fn from(errno: Errno) -> Self {
        SpawnError::Table(errno)
    }
}

impl From<SpawnError> for Fail {
    fn from(error: SpawnError) -> Self {
        Fail::Errno(match error {
            SpawnError::Exec(error) => error.errno(),
            SpawnError::Table(errno) => errno,
        })
    }
}
