//! The virtual kernel of one OCI process: loads the megabinary once and runs processes of it.

mod caretaker;
mod child;
pub(crate) mod fork;
mod outcome;
mod prepare;
mod run;
mod signals;
mod spec;
mod system;
mod threads;

use std::collections::HashMap;
use std::os::fd::OwnedFd;
use std::sync::Arc;

use wasmtime::{Engine, InstancePre, MemoryType, ModuleExport};

use megabinary::module::MEMORY_EXPORT;

use crate::artifact::{Artifact, ArtifactError};
use crate::audit::{Audit, AuditSink};
use crate::engine;
use crate::exec::{ExecError, ExecTarget};
use crate::fs::Vfs;
use crate::host::HostLinker;
use crate::kill;
use crate::memory::{Creator, Memories};
use crate::plan::Plan;
use crate::process::ProcState;
use crate::{vk, wasi};

use caretaker::Caretaker;
use threads::Threads;

pub use caretaker::TimerLeft;
pub use child::{Attributes, SpawnError, exec, run_here, spawn};
pub use prepare::Launch;
pub use run::{Running, THREAD_STACK};
pub use spec::{ExitStatus, FIRST_PASSED, Limits, ProcessSpec, ROOT_DIR};
pub use system::System;

/// What a kernel is made of.
pub struct KernelConfig {
    /// What may run: made of the verified megabinary.
    pub plan: Plan,
    /// The same megabinary, compiled.
    pub artifact: Artifact,
    /// The container's file system.
    pub vfs: Vfs,
    /// Where decisions are recorded.
    pub audit: Box<dyn AuditSink>,
    /// How the operator calls the container, for records.
    pub label: String,
    /// Bounds on each process.
    pub limits: Limits,
}

/// Why there is no kernel.
#[derive(Debug, thiserror::Error)]
pub enum KernelError {
    /// The engine does not start.
    #[error("starting the engine: {0}")]
    Engine(wasmtime::Error),
    /// The compiled code does not load.
    #[error(transparent)]
    Artifact(#[from] ArtifactError),
    /// The megabinary wants a function this kernel does not have.
    #[error("linking the megabinary to the virtual kernel: {0:#}; it needs a newer megarun")]
    Imports(wasmtime::Error),
    /// The compiled code is not a megabinary's.
    #[error(
        "the compiled megabinary has no export `{0}`; remove it from the cache to have it compiled again"
    )]
    Export(String),
    /// The host refuses a signal handler.
    #[error("installing the handler that interrupts system calls: {0}")]
    Signals(std::io::Error),
}

/// A loaded megabinary with everything its processes share. Cheap to clone.
#[derive(Clone)]
pub struct Kernel(Arc<Shared>);

struct Shared {
    engine: Engine,
    instance: InstancePre<ProcState>,
    memories: Arc<Memories>,
    memory: ModuleExport,
    memory_type: MemoryType,
    dispatch: ModuleExport,
    /// The switch that says that the host has laid the image.
    switch: ModuleExport,
    plan: Plan,
    vfs: Arc<Vfs>,
    audit: Arc<Audit>,
    limits: Limits,
    /// By entry point, what a program exports to be told of its signals.
    deliver: HashMap<String, ModuleExport>,
    /// By entry point, what a program that can fork exports for that.
    forks: HashMap<String, fork::Exports>,
    threads: Threads,
    caretaker: Caretaker,
}

impl Kernel {
    /// Loads the compiled megabinary. Nothing of it runs yet.
    ///
    /// The calling process must be the one that runs it, and not yet have changed to the user it
    /// runs as: only then the host tells it about its own memory, without which an exec costs
    /// twice as much.
    pub fn new(config: KernelConfig) -> Result<Kernel, KernelError> {
        let KernelConfig {
            plan,
            artifact,
            vfs,
            audit,
            label,
            limits,
        } = config;
        let memories = Memories::new(artifact.images()?, vfs.page_map());
        let creator = Arc::new(Creator(memories.clone()));
        let engine = engine::engine(plan.code(), creator).map_err(KernelError::Engine)?;
        let module = artifact.load(&engine)?;
        let export = |name: &str| {
            module
                .get_export_index(name)
                .ok_or_else(|| KernelError::Export(name.to_owned()))
        };
        let memory = export(MEMORY_EXPORT)?;
        let memory_type = module
            .get_export(MEMORY_EXPORT)
            .and_then(|export| export.memory().cloned())
            .ok_or_else(|| KernelError::Export(MEMORY_EXPORT.to_owned()))?;
        let dispatch = export("_dispatch")?;
        let switch = export(plan.image_switch())?;
        let mut linker = HostLinker::new(&engine, &module);
        wasi::register(&mut linker).map_err(KernelError::Engine)?;
        vk::register(&mut linker).map_err(KernelError::Engine)?;
        let instance = linker.instantiate_pre().map_err(KernelError::Imports)?;
        let deliver = plan
            .programs()
            .filter_map(|program| {
                let export = module.get_export_index(program.deliver?)?;
                Some((program.entry.to_owned(), export))
            })
            .collect();
        let forks = plan
            .programs()
            .filter_map(|program| {
                let exports = fork::Exports::new(&module, &program.fork)?;
                Some((program.entry.to_owned(), exports))
            })
            .collect();
        kill::install_interrupt_handler().map_err(KernelError::Signals)?;
        Ok(Kernel(Arc::new(Shared {
            caretaker: Caretaker::new(engine.clone(), memories.clone()),
            engine,
            instance,
            memories,
            memory,
            memory_type,
            dispatch,
            switch,
            plan,
            vfs: Arc::new(vfs),
            audit: Arc::new(Audit::new(label, audit)),
            limits,
            deliver,
            forks,
            threads: Threads::new(run::THREAD_STACK),
        })))
    }

    /// What may run in it.
    #[must_use]
    pub fn plan(&self) -> &Plan {
        &self.0.plan
    }

    /// Whether `target` could be executed now, and if not why: for `create`, which refuses what
    /// `start` could not start. Nothing is started; a denial is recorded, and what is
    /// allowed is decided again, and recorded, by `start`.
    pub fn check(&self, target: &ExecTarget, env: &[Vec<u8>], cwd: &[u8]) -> Result<(), ExecError> {
        prepare::check(&self.0, target, env, cwd)
    }

    /// Runs a process to its end as process 1 of the container: the host's signals are its
    /// signals, with their default actions.
    ///
    /// While it runs, the calling thread has those signals blocked; threads that are not the
    /// kernel's must have them blocked already, or they act on the whole program. Who connects
    /// to `asked`, a listening socket that does not block, is told which processes there are:
    /// see [`crate::ps::report`].
    pub fn run(&self, spec: ProcessSpec, asked: Option<OwnedFd>) -> Result<ExitStatus, ExecError> {
        let blocked = signals::Blocked::new();
        let running = self.spawn(spec)?;
        Ok(blocked.forward_until_ended(running, asked))
    }

    /// Starts a process on a thread of its own; the host's signals do not concern it.
    pub fn spawn(&self, spec: ProcessSpec) -> Result<Running, ExecError> {
        Running::start(self, spec)
    }

    /// Runs a process on the calling thread, for a caller that has nothing else to do meanwhile.
    /// The thread needs a stack of [`THREAD_STACK`].
    pub fn run_here(&self, spec: ProcessSpec) -> Result<ExitStatus, ExecError> {
        run::run_here(self, spec)
    }
}

#[cfg(test)]
mod tests;
