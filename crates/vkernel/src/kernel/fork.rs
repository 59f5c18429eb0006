//! `fork`: a copy of a process that goes on where the process was.
//!
//! What a guest has on its native stack cannot be copied. A program that can fork is instrumented
//! by Binaryen's Asyncify: its functions can put what they have on their stack to memory and return,
//! and take it from there when they are called again. So the call of `fork` starts that and returns;
//! when the program's start has returned, everything it was is in memory and globals. Both are
//! copied, and the start is called in both instances: the stack comes back, and at its top the
//! same call of `fork` is made again, which now says who is who.
//!
//! What a guest does with these exports, and what it puts into its memory meanwhile, concerns
//! itself alone: the host copies bytes and numbers and calls functions of the instance they belong
//! to.

use wasmtime::{AsContextMut, Caller, Extern, Instance, Module, ModuleExport, Store, Val};

use super::child;
use super::prepare::{Begin, Process};
use super::{Shared, System};
use crate::errno::Errno;
use crate::kill::KillToken;
use crate::memory::{Copied, CopyError};
use crate::plan::FORK;
use crate::process::{End, ForkCall, ProcState, Winding};
use crate::signal::SignalState;
use crate::table::Group;

/// What a program that can fork exports: see `plan::FORK`.
pub(crate) struct Exports {
    start_unwind: ModuleExport,
    stop_unwind: ModuleExport,
    start_rewind: ModuleExport,
    stop_rewind: ModuleExport,
    start: ModuleExport,
    globals: Vec<ModuleExport>,
}

impl Exports {
    /// Those with these names, if they are there.
    pub fn new(module: &Module, names: &[&str]) -> Option<Exports> {
        let mut found = names.iter().map(|name| module.get_export_index(name));
        let mut functions = found.by_ref().take(FORK.len());
        Some(Exports {
            start_unwind: functions.next()??,
            stop_unwind: functions.next()??,
            start_rewind: functions.next()??,
            stop_rewind: functions.next()??,
            start: functions.next()??,
            globals: found.collect::<Option<_>>()?,
        })
    }
}

/// What a forked process starts with, besides its state.
pub struct Forked {
    pub(super) memory: Copied,
    pub(super) globals: Vec<Val>,
    pub(super) call: ForkCall,
}

/// The first half of a call of `fork`: the caller's stack goes to memory from now on.
pub fn unwind(
    caller: &mut Caller<'_, ProcState>,
    call: ForkCall,
) -> wasmtime::Result<Option<Errno>> {
    let state = caller.data();
    let Some(kernel) = state.system.as_ref().map(|system| system.kernel.clone()) else {
        return Ok(Some(Errno::NOSYS));
    };
    let Some(exports) = kernel.0.forks.get(&state.program.entry) else {
        return Ok(Some(Errno::NOSYS));
    };
    // Between the handler and what it interrupted are frames of the host.
    if state.handlers > 0 {
        return Ok(Some(Errno::NOTSUP));
    }
    let function = caller.get_module_export(&exports.start_unwind);
    enter(&mut *caller, function, Some(call.buffer))?;
    caller.data_mut().winding = Winding::Out(call);
    Ok(None)
}

/// The second half: the stack is back.
pub fn rewound(caller: &mut Caller<'_, ProcState>) -> wasmtime::Result<()> {
    let state = caller.data();
    let kernel = state.system.as_ref().map(|system| system.kernel.clone());
    if let Some(kernel) = kernel
        && let Some(exports) = kernel.0.forks.get(&state.program.entry)
    {
        let function = caller.get_module_export(&exports.stop_rewind);
        enter(&mut *caller, function, None)?;
    }
    caller.data_mut().winding = Winding::No;
    Ok(())
}

/// Copies the process as often as its start returns because of a fork.
pub(super) fn while_forking(
    kernel: &Shared,
    store: &mut Store<ProcState>,
    instance: &Instance,
) -> wasmtime::Result<()> {
    while let Winding::Out(call) = store.data().winding {
        let exports = exports(kernel, store)?;
        // Traps where the buffer was too small, which ends the process.
        let stop = instance.get_module_export(&mut *store, &exports.stop_unwind);
        enter(&mut *store, stop, None)?;
        let made = copy(exports, store, instance, call)?;
        rewind(exports, store, instance, call, made)?;
    }
    Ok(())
}

/// Goes on as the copy: memory is there, the rest follows here.
pub(super) fn resume(
    kernel: &Shared,
    store: &mut Store<ProcState>,
    instance: &Instance,
    globals: &[Val],
    call: ForkCall,
) -> wasmtime::Result<()> {
    let exports = exports(kernel, store)?;
    for (export, value) in exports.globals.iter().zip(globals) {
        global(store, instance, export)?.set(&mut *store, *value)?;
    }
    rewind(exports, store, instance, call, Ok(0))
}

fn exports<'k>(kernel: &'k Shared, store: &Store<ProcState>) -> wasmtime::Result<&'k Exports> {
    let exports = kernel.forks.get(&store.data().program.entry);
    exports.ok_or_else(|| wasmtime::Error::msg("the program cannot fork"))
}

/// Calls the start again, whose functions take what they had from memory.
fn rewind(
    exports: &Exports,
    store: &mut Store<ProcState>,
    instance: &Instance,
    call: ForkCall,
    made: Result<u32, Errno>,
) -> wasmtime::Result<()> {
    store.data_mut().winding = Winding::Back(call, made);
    let back = instance.get_module_export(&mut *store, &exports.start_rewind);
    enter(&mut *store, back, Some(call.buffer))?;
    let start = instance.get_module_export(&mut *store, &exports.start);
    enter(store, start, None)
}

/// Makes the child, whose number it gives. The parent ends where its own memory was lost.
fn copy(
    exports: &Exports,
    store: &mut Store<ProcState>,
    instance: &Instance,
    call: ForkCall,
) -> wasmtime::Result<Result<u32, Errno>> {
    let state = store.data();
    let (Some(system), Some(laid)) = (&state.system, &state.laid) else {
        return Ok(Err(Errno::NOSYS));
    };
    let (kernel, processes) = (system.kernel.clone(), system.processes.clone());
    let memory = match kernel.0.memories.copy(laid.handle()) {
        Ok(memory) => memory,
        Err(CopyError::Io(error)) => {
            log::warn!("fork: copying a process's memory: {error}");
            return Ok(Err(Errno::NOMEM));
        }
        Err(error @ CopyError::Lost(_)) => {
            log::error!("fork: {error}");
            return Err(wasmtime::Error::new(End::Signal(libc::SIGKILL)));
        }
    };
    let mut globals = Vec::with_capacity(exports.globals.len());
    for export in &exports.globals {
        globals.push(global(store, instance, export)?.get(&mut *store));
    }
    let parent = store.data_mut();
    let token = KillToken::new(parent.kill.signals(|own| SignalState::forked(own)));
    if let Some(about) = parent.kill.about() {
        token.set_about(about);
    }
    let pid = match processes.add(parent.pid, token.clone(), Group::Inherit) {
        Ok(pid) => pid,
        Err(errno) => return Ok(Err(errno)),
    };
    let state = parent.forked(pid, token, System::new(kernel.clone(), processes));
    let process = Box::new(Process {
        digest: state.program.digest,
        state,
        begin: Begin::Forked(Box::new(Forked {
            memory,
            globals,
            call,
        })),
    });
    child::defer(&kernel, parent, process);
    Ok(Ok(pid))
}

impl ProcState {
    /// What a forked process has of its parent.
    fn forked(&self, pid: u32, kill: KillToken, system: System) -> ProcState {
        ProcState {
            pid,
            argv: self.argv.clone(),
            env: self.env.clone(),
            cwd: self.cwd.clone(),
            umask: self.umask,
            rights: self.rights,
            fds: self.fds.clone(),
            vfs: self.vfs.clone(),
            networking: self.networking,
            rlimits: self.rlimits,
            kill,
            limits: self.limits.clone(),
            audit: self.audit.clone(),
            program: self.program.clone(),
            memory: None,
            deliver: None,
            laid: None,
            winding: Winding::No,
            handlers: 0,
            reported: self.reported,
            denials: 0,
            answer: self.answer.clone(),
            locating: self.locating,
            system: Some(system),
        }
    }
}

/// One of the process's own globals.
fn global(
    store: &mut Store<ProcState>,
    instance: &Instance,
    export: &ModuleExport,
) -> wasmtime::Result<wasmtime::Global> {
    instance
        .get_module_export(store, export)
        .and_then(Extern::into_global)
        .ok_or_else(|| wasmtime::Error::msg("an export for fork is not a global"))
}

/// Calls one of the process's own exports, with one argument or none.
fn enter(
    mut store: impl AsContextMut<Data = ProcState>,
    export: Option<Extern>,
    argument: Option<u32>,
) -> wasmtime::Result<()> {
    let function = export
        .and_then(Extern::into_func)
        .ok_or_else(|| wasmtime::Error::msg("an export for fork is not a function"))?;
    match argument {
        Some(argument) => function
            .typed::<u32, ()>(&store)?
            .call(&mut store, argument),
        None => function.typed::<(), ()>(&store)?.call(&mut store, ()),
    }
}
