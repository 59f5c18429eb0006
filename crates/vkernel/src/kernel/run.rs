//! One process: made, run, ended.

use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::thread::JoinHandle;

use megabinary::digest::Digest;
use rustix::event::{EventfdFlags, eventfd};
use wasmtime::{Store, UpdateDeadline, Val};

use super::prepare::{Process, shown};
use super::{ExitStatus, Kernel, ProcessSpec, Shared, outcome};
use crate::engine::{GUEST_STACK, HOST_STACK};
use crate::errno::Errno;
use crate::exec::ExecError;
use crate::kill::KillToken;
use crate::memory::Layout;
use crate::process::{Fail, ProcState};

/// What a thread has besides the guest's and the host functions' stack: its own frames and those
/// of the engine around the guest.
const THREAD_OVERHEAD: usize = 256 << 10;

/// A process that was started and may still run.
pub struct Running {
    kernel: Kernel,
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
        let errno = |doing| move |error: rustix::io::Errno| (doing, error.to_string());
        let kill = KillToken::new()
            .map_err(errno("making an event descriptor"))
            .map_err(|(doing, reason)| host(doing, reason))?;
        let ended = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)
            .map_err(errno("making an event descriptor"))
            .map_err(|(doing, reason)| host(doing, reason))?;
        let ending = ended
            .try_clone()
            .map_err(|error| host("duplicating it", error.to_string()))?;
        let process = Process::prepare(&kernel.0, spec, kill.clone())?;
        let thread = {
            let kernel = kernel.clone();
            let kill = kill.clone();
            std::thread::Builder::new()
                .name("process".into())
                .stack_size(GUEST_STACK + HOST_STACK + THREAD_OVERHEAD)
                .spawn(move || {
                    let _announce = AnnounceEnd(ending);
                    let _here = kill.enter_thread();
                    process.run(&kernel.0)
                })
                .map_err(|error| host("starting its thread", error.to_string()))?
        };
        Ok(Running {
            kernel: kernel.clone(),
            kill,
            ended,
            thread,
        })
    }

    /// Makes it die of `signal`, by Linux's number, whatever it is doing; returns when it has.
    pub fn kill(&self, signal: i32) {
        self.kill
            .kill_until_ended(signal, &self.kernel.0.engine, || self.thread.is_finished());
    }

    /// Becomes readable when it has ended.
    #[must_use]
    pub fn ended(&self) -> BorrowedFd<'_> {
        self.ended.as_fd()
    }

    /// Waits for its end.
    #[must_use]
    pub fn wait(self) -> ExitStatus {
        self.thread.join().unwrap_or_else(|_| {
            // The panic's own message is on the kernel's standard error.
            ExitStatus::Trap("the virtual kernel failed inside a host call".to_owned())
        })
    }
}

/// Writes to the event descriptor when the thread's work is over, also when it panicked.
struct AnnounceEnd(OwnedFd);

impl Drop for AnnounceEnd {
    fn drop(&mut self) {
        // An eventfd with room for this cannot fail to take it.
        let _ = rustix::io::write(&self.0, &1u64.to_ne_bytes());
    }
}

/// Runs a process on the calling thread; nobody can kill it.
pub(super) fn run_here(kernel: &Kernel, spec: ProcessSpec) -> Result<ExitStatus, ExecError> {
    let kill = KillToken::new().map_err(|error| ExecError::Host {
        path: shown(&spec.target),
        doing: "making an event descriptor",
        reason: error.to_string(),
    })?;
    let process = Process::prepare(&kernel.0, spec, kill.clone())?;
    let _here = kill.enter_thread();
    Ok(process.run(&kernel.0))
}

impl Process {
    /// Runs it to its end, in a store and an instance that nothing ran in before and nothing will
    /// run in again.
    fn run(self, kernel: &Shared) -> ExitStatus {
        let mut store = Store::new(&kernel.engine, self.state);
        store.limiter(|state| &mut state.limits);
        store.epoch_deadline_callback(|context| match context.data().kill.check() {
            Err(Fail::End(end)) => Err(wasmtime::Error::new(end)),
            // Somebody else's end: the epoch is the engine's.
            _ => Ok(UpdateDeadline::Continue(1)),
        });
        store.set_epoch_deadline(1);
        let result = dispatch(kernel, &mut store, self.layout, &self.digest);
        let state = store.data();
        let status = outcome::status(result, &state.program);
        if let ExitStatus::Trap(message) = &status {
            report(state, message);
        }
        status
    }
}

fn dispatch(
    kernel: &Shared,
    store: &mut Store<ProcState>,
    layout: Layout,
    digest: &Digest,
) -> wasmtime::Result<i32> {
    let armed = kernel.memories.arm(kernel.memory_type.clone(), layout);
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
    store.data_mut().memory = Some(memory);
    if laid.has_image() {
        instance
            .get_module_export(&mut *store, &kernel.switch)
            .and_then(wasmtime::Extern::into_global)
            .ok_or_else(|| wasmtime::Error::msg("the image switch is not a global"))?
            .set(&mut *store, Val::I32(1))?;
    }
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
