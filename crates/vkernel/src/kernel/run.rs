//! One process: made, run, ended.

use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::sync::Arc;
use std::thread::JoinHandle;

use megabinary::digest::Digest;
use rustix::event::{EventfdFlags, eventfd};
use wasmtime::{Instance, Store, StoreContextMut, UpdateDeadline, Val};

use super::child::NESTED;
use super::fork::{self, Forked};
use super::prepare::{Begin, Process, shown};
use super::{ExitStatus, Kernel, ProcessSpec, Shared, System, outcome};
use crate::engine::{GUEST_STACK, HOST_STACK};
use crate::errno::Errno;
use crate::exec::ExecError;
use crate::kill::{HANDLER_EPOCHS, KillToken};
use crate::memory::Wanted;
use crate::process::{End, Fail, ProcState};
use crate::ps::report;
use crate::signal::{Disposition, SignalState};
use crate::table::{FIRST, Processes};
use crate::wasi::deliver;

/// What a thread has besides the stacks of guests and host functions: its own frames and those
/// of the engine around the guest.
const THREAD_OVERHEAD: usize = 256 << 10;

/// Stack of a thread that processes run on, in bytes; only what is used is memory.
pub const THREAD_STACK: usize =
    (GUEST_STACK + HOST_STACK + THREAD_OVERHEAD) * (NESTED as usize + 1);

/// A process that was started and may still run, with everything that descends from it.
pub struct Running {
    kernel: Kernel,
    processes: Arc<Processes>,
    kill: KillToken,
    /// Becomes readable when the process has ended.
    ended: OwnedFd,
    thread: JoinHandle<ExitStatus>,
}

impl Running {
    pub(super) fn start(kernel: &Kernel, spec: ProcessSpec) -> Result<Running, ExecError> {
        let name = shown(&spec.target);
        let host = |doing, reason: String| ExecError::Host {
            path: name.clone(),
            doing,
            reason,
        };
        let ended = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)
            .map_err(|error| host("making an event descriptor", error.to_string()))?;
        let ending = ended
            .try_clone()
            .map_err(|error| host("duplicating it", error.to_string()))?;
        let (process, processes, kill) = first(kernel, spec)?;
        let thread = {
            let kernel = kernel.clone();
            std::thread::Builder::new()
                .name("process".into())
                .stack_size(THREAD_STACK)
                .spawn(move || {
                    let _announce = AnnounceEnd(ending);
                    run_first(&kernel, process)
                })
                .map_err(|error| host("starting its thread", error.to_string()))?
        };
        Ok(Running {
            kernel: kernel.clone(),
            processes,
            kill,
            ended,
            thread,
        })
    }

    /// Makes it die of `signal`, by Linux's number, whatever it is doing and has decided about
    /// that signal. The first end counts.
    pub fn kill(&self, signal: i32) {
        let reached = self.processes.end_by(FIRST, &self.kill, signal);
        self.kernel.0.caretaker.reach(reached);
    }

    /// Sends it a signal, 1 to 64.
    pub fn signal(&self, signal: i32) {
        let reached = self.processes.post(FIRST, &self.kill, signal);
        self.kernel.0.caretaker.reach(reached);
    }

    /// Sends a signal to the terminal's foreground processes among those that descend from it.
    pub fn signal_foreground(&self, signal: i32) {
        let reached = self.processes.signal_foreground(signal);
        self.kernel.0.caretaker.reach(reached);
    }

    /// It and everything that descends from it.
    #[must_use]
    pub fn processes(&self) -> &Arc<Processes> {
        &self.processes
    }

    /// Tells everyone who waits at this socket which processes there are.
    pub(super) fn answer(&self, socket: &OwnedFd) -> std::io::Result<()> {
        report::answer(socket, &self.processes, &self.kernel.0.vfs)
    }

    /// Whether a stop signal of the terminal is for the whole program: nobody in here moved jobs to
    /// the foreground, and process 1 lets itself be stopped.
    pub(super) fn stops_whole(&self, signal: i32) -> bool {
        self.processes.foreground() == FIRST
            && self
                .kill
                .signals(|own| own.disposition(signal) == Disposition::Default)
    }

    /// Becomes readable when it has ended, and everything that descends from it.
    #[must_use]
    pub fn ended(&self) -> BorrowedFd<'_> {
        self.ended.as_fd()
    }

    /// Waits for its end.
    #[must_use]
    pub fn wait(self) -> ExitStatus {
        self.thread.join().unwrap_or_else(|_| kernel_failed())
    }
}

/// The status of a process whose host call panicked; the panic's own message is on the kernel's
/// standard error.
fn kernel_failed() -> ExitStatus {
    ExitStatus::Trap("the virtual kernel failed inside a host call".to_owned())
}

/// Writes to the event descriptor when the thread's work is over, also when it panicked.
struct AnnounceEnd(OwnedFd);

impl Drop for AnnounceEnd {
    fn drop(&mut self) {
        // An eventfd with room for this cannot fail to take it.
        let _ = rustix::io::write(&self.0, &1u64.to_ne_bytes());
    }
}

/// Process 1 of a table of its own.
fn first(
    kernel: &Kernel,
    spec: ProcessSpec,
) -> Result<(Box<Process>, Arc<Processes>, KillToken), ExecError> {
    let kill = KillToken::new(SignalState::default());
    let processes = Arc::new(Processes::new(kernel.0.limits.processes, kill.clone()));
    let system = System::new(kernel.clone(), processes.clone());
    let process = Process::first(kernel, spec, kill.clone(), system)?;
    kernel.0.caretaker.start();
    Ok((process, processes, kill))
}

/// Runs process 1 to its end, and waits until everything that descends from it is gone.
fn run_first(kernel: &Kernel, process: Box<Process>) -> ExitStatus {
    let processes = process.state.system.as_ref().map(|s| s.processes.clone());
    let status = run(kernel, process);
    if let Some(processes) = processes {
        processes.wait_until_empty();
    }
    kernel.0.audit.settle();
    status
}

/// Runs process 1 on the calling thread.
pub(super) fn run_here(kernel: &Kernel, spec: ProcessSpec) -> Result<ExitStatus, ExecError> {
    let (process, ..) = first(kernel, spec)?;
    Ok(run_first(kernel, process))
}

/// Runs a child to its end on a thread of its own. Where the host gives none the child dies at
/// once, as if it had been killed.
pub(super) fn on_a_thread(kernel: &Kernel, process: Box<Process>) {
    let (guard, shared) = (Ending::of(kernel, &process), kernel.clone());
    let started = kernel.0.threads.run(Box::new(move || {
        let mut guard = guard;
        guard.status = run_programs(&shared, process);
    }));
    if let Err(error) = started {
        // The job was dropped, and with it the guard, which told the parent.
        log::error!("cannot start a process's thread: {error}");
    }
}

/// Runs a child to its end on the thread of its parent, which waits.
pub(super) fn on_this_thread(kernel: &Kernel, process: Box<Process>) {
    run(kernel, process);
}

/// Runs a process to its end and tells its table.
fn run(kernel: &Kernel, process: Box<Process>) -> ExitStatus {
    let mut guard = Ending::of(kernel, &process);
    guard.status = run_programs(kernel, process);
    guard.status.clone()
}

/// Tells the table that a process has ended and is gone, also where a host call panicked.
struct Ending {
    kernel: Kernel,
    processes: Option<Arc<Processes>>,
    pid: u32,
    token: KillToken,
    status: ExitStatus,
}

impl Ending {
    fn of(kernel: &Kernel, process: &Process) -> Ending {
        Ending {
            kernel: kernel.clone(),
            processes: process.state.system.as_ref().map(|s| s.processes.clone()),
            pid: process.state.pid,
            token: process.state.kill.clone(),
            status: ExitStatus::Signal(libc::SIGKILL),
        }
    }
}

impl Drop for Ending {
    fn drop(&mut self) {
        let caretaker = &self.kernel.0.caretaker;
        caretaker.take_timer(&self.token);
        if let Some(processes) = &self.processes {
            let reached = processes.end(self.pid, &self.token, self.status.wait_status());
            caretaker.reach(reached);
            processes.gone();
        }
    }
}

/// Runs one program after the other until one ends.
fn run_programs(kernel: &Kernel, mut process: Box<Process>) -> ExitStatus {
    let kill = process.state.kill.clone();
    let _here = kill.enter_thread();
    loop {
        match process.run(&kernel.0) {
            Ran::Ended(status) => return status,
            Ran::Executes(next) => process = next,
        }
    }
}

/// What became of a program.
enum Ran {
    Ended(ExitStatus),
    Executes(Box<Process>),
}

impl Process {
    /// Runs its program to the end, in a store and an instance that nothing ran in before and
    /// nothing will run in again.
    fn run(self: Box<Self>, kernel: &Shared) -> Ran {
        let (mut store, begin, digest) = self.into_store(kernel);
        // What came before the deadline was set does not move the epoch again.
        let result = match store.data().kill.check() {
            Err(Fail::End(end)) => Err(wasmtime::Error::new(end)),
            _ => run_instance(kernel, &mut store, begin, &digest),
        };
        let state = store.data_mut();
        let executes = matches!(&result, Err(error) if error.is::<End>())
            .then(|| state.system.as_mut().and_then(|system| system.next.take()))
            .flatten();
        if let Some(next) = executes
            && matches!(&result, Err(error) if error.downcast_ref() == Some(&End::Exec))
        {
            state.kill.signals(SignalState::reset_for_exec);
            return Ran::Executes(next);
        }
        // An end that found it in a handler on top of interrupted code looks like a trap.
        let result = match (result, state.kill.check()) {
            (Err(error), Err(Fail::End(end))) if !error.is::<End>() => {
                Err(wasmtime::Error::new(end))
            }
            (result, _) => result,
        };
        let status = outcome::status(result, &state.program);
        if let ExitStatus::Trap(message) = &status {
            report(state, message);
        }
        Ran::Ended(status)
    }
}

impl Process {
    /// Its store, how it begins, and what it executes. Not inlined: the frame that the process's
    /// state goes through is gone before the guest runs on top.
    #[inline(never)]
    fn into_store(self: Box<Self>, kernel: &Shared) -> (Store<ProcState>, Begin, Digest) {
        let Process {
            state,
            digest,
            begin,
        } = *self;
        let mut store = Store::new(&kernel.engine, state);
        store.limiter(|state| &mut state.limits);
        store.epoch_deadline_callback(interrupted);
        store.set_epoch_deadline(1);
        (store, begin, digest)
    }
}

/// The epoch moved: perhaps for this process, perhaps for another of the same engine.
fn interrupted(mut context: StoreContextMut<'_, ProcState>) -> wasmtime::Result<UpdateDeadline> {
    if !context.data().kill.attention() {
        return Ok(UpdateDeadline::Continue(1));
    }
    // The engine cannot call back from here again: see `kill::HANDLER_EPOCHS`.
    context.set_epoch_deadline(HANDLER_EPOCHS);
    context.data().kill.set_handling(true);
    let delivered = deliver::pending(&mut context);
    context.data().kill.set_handling(false);
    delivered.map(|_| UpdateDeadline::Continue(1))
}

/// Makes the instance and runs it to its end.
fn run_instance(
    kernel: &Shared,
    store: &mut Store<ProcState>,
    begin: Begin,
    digest: &Digest,
) -> wasmtime::Result<i32> {
    match begin {
        Begin::Fresh(layout) => {
            let instance = instantiate(kernel, store, Wanted::New(layout))?;
            let result = dispatch(kernel, store, &instance, digest)?;
            fork::while_forking(kernel, store, &instance)?;
            Ok(result)
        }
        Begin::Forked(forked) => {
            let Forked {
                memory,
                globals,
                call,
            } = *forked;
            let instance = instantiate(kernel, store, Wanted::Copy(memory))?;
            set_switch(kernel, store, &instance, GLOBALS_ONLY)?;
            let result = dispatch(kernel, store, &instance, digest)?;
            fork::resume(kernel, store, &instance, &globals, call)?;
            fork::while_forking(kernel, store, &instance)?;
            Ok(result)
        }
    }
}

/// Value of the image switch that says that memory is laid.
const LAID: i32 = 1;

/// Value of the image switch that says besides that the program is not to start.
const GLOBALS_ONLY: i32 = 2;

fn set_switch(
    kernel: &Shared,
    store: &mut Store<ProcState>,
    instance: &Instance,
    value: i32,
) -> wasmtime::Result<()> {
    instance
        .get_module_export(&mut *store, &kernel.switch)
        .and_then(wasmtime::Extern::into_global)
        .ok_or_else(|| wasmtime::Error::msg("the image switch is not a global"))?
        .set(store, Val::I32(value))
}

/// An instance with the memory that is wanted for it, of which nothing has run.
fn instantiate(
    kernel: &Shared,
    store: &mut Store<ProcState>,
    wanted: Wanted,
) -> wasmtime::Result<Instance> {
    let armed = kernel.memories.arm(kernel.memory_type.clone(), wanted);
    let instance = kernel.instance.instantiate(&mut *store)?;
    let laid = armed.finish();
    let memory = instance
        .get_module_export(&mut *store, &kernel.memory)
        .and_then(wasmtime::Extern::into_memory)
        .ok_or_else(|| wasmtime::Error::msg("`memory` is not a memory"))?;
    // Another memory that looked the same may have got what was meant for this one.
    let laid = laid
        .filter(|laid| laid.is(memory.data_ptr(&*store), memory.data_size(&*store)))
        .ok_or_else(|| wasmtime::Error::msg("its memory is not the one made for it"))?;
    if laid.has_image() {
        set_switch(kernel, store, &instance, LAID)?;
    }
    let state = store.data_mut();
    if kernel.forks.contains_key(&state.program.entry) {
        laid.will_fork();
    }
    state.memory = Some(memory);
    state.laid = Some(laid);
    if let Some(deliver) = kernel.deliver.get(&store.data().program.entry) {
        let deliver = instance
            .get_module_export(&mut *store, deliver)
            .and_then(wasmtime::Extern::into_func)
            .and_then(|function| function.typed(&*store).ok());
        store.data_mut().deliver = deliver;
    }
    Ok(instance)
}

fn dispatch(
    kernel: &Shared,
    store: &mut Store<ProcState>,
    instance: &Instance,
    digest: &Digest,
) -> wasmtime::Result<i32> {
    let dispatch = instance
        .get_module_export(&mut *store, &kernel.dispatch)
        .and_then(wasmtime::Extern::into_func)
        .ok_or_else(|| wasmtime::Error::msg("`_dispatch` is not a function"))?
        .typed::<(u64, u64, u64, u64), i32>(&*store)?;
    let [a, b, c, d] = digest.words();
    dispatch.call(store, (a, b, c, d))
}

/// Tells whoever reads the process's standard error why it is no more.
fn report(state: &ProcState, message: &str) {
    let Ok(descriptor) = state.fds.get(2) else {
        return;
    };
    let Ok(host) = descriptor.host(Errno::BADF) else {
        return;
    };
    let text = format!("megarun: {message}\n");
    // SAFETY: the text is valid for its length. Not retried and its failure not told to anyone:
    // the process is gone, and its standard error may be full or closed.
    unsafe { libc::write(host.as_fd().as_raw_fd(), text.as_ptr().cast(), text.len()) };
}
