//! The state of one virtual process, as its host calls see it.

use std::fmt;
use std::sync::Arc;

use megabinary::digest::Digest;
use wasmtime::{Memory, StoreLimits, TypedFunc};

use crate::audit::Audit;
use crate::descriptor::FdTable;
use crate::errno::Errno;
use crate::fs::{Context, Vfs};
use crate::kernel::System;
use crate::kill::KillToken;
use crate::memory::Laid;
use crate::plan::NetworkPolicy;
use crate::rights::{HostCall, HostCallSet};
use crate::rlimits::Rlimits;

/// How a process ends other than by returning from its entry point or by a trap.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// `proc_exit`, the status already cut to eight bits.
    Exit(u8),
    /// The default action of a signal; Linux's number.
    Signal(i32),
    /// It goes on as another program.
    Exec,
}

impl fmt::Display for End {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            End::Exit(code) => write!(f, "exit with status {code}"),
            End::Signal(signal) => write!(f, "killed by signal {signal}"),
            End::Exec => f.write_str("executing another program"),
        }
    }
}

impl std::error::Error for End {}

/// Why a host function did not succeed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fail {
    /// The guest is told.
    Errno(Errno),
    /// The guest is not: the process ends here.
    End(End),
    /// A handler has to run first; then the call starts again or the guest is told `EINTR`.
    Interrupted,
}

impl From<Errno> for Fail {
    fn from(errno: Errno) -> Self {
        Fail::Errno(errno)
    }
}

impl From<End> for Fail {
    fn from(end: End) -> Self {
        Fail::End(end)
    }
}

impl From<rustix::io::Errno> for Fail {
    fn from(errno: rustix::io::Errno) -> Self {
        Fail::Errno(errno.into())
    }
}

/// What a host function returns.
pub type HostResult<T = ()> = Result<T, Fail>;

/// Everything that belongs to one process; lives in its store and dies with it.
pub struct ProcState {
    /// Process id inside the virtual kernel; 1 is the container's own process.
    pub pid: u32,
    /// Arguments, the program's name first. No element holds a NUL byte.
    pub argv: Vec<Vec<u8>>,
    /// Environment, `NAME=value`. No element holds a NUL byte.
    pub env: Vec<Vec<u8>>,
    /// Absolute path inside the container's root that relative paths start from.
    pub cwd: Vec<u8>,
    /// Mode bits that files it makes do not get.
    pub umask: u32,
    /// What the process may call: tested on every host call.
    pub rights: HostCallSet,
    /// Its descriptors.
    pub fds: FdTable,
    /// The container's file system, shared by all processes.
    pub vfs: Arc<Vfs>,
    /// What sockets it may have.
    pub networking: NetworkPolicy,
    /// What it may use at most, and what it may raise that to.
    pub rlimits: Rlimits,
    /// Its signals, and how others reach it.
    pub kill: KillToken,
    /// Bounds on memory and tables, enforced by the engine.
    pub limits: StoreLimits,
    /// Where denials are reported.
    pub audit: Arc<Audit>,
    /// Path and digest of the program, for reports.
    pub program: Arc<Program>,
    /// Linear memory; set once the instance exists, before any of its code runs.
    pub memory: Option<Memory>,
    /// What the program exports to be told of a signal it catches.
    pub deliver: Option<TypedFunc<i32, ()>>,
    /// How its memory is reached by whoever copies it; set with `memory`.
    pub laid: Option<Laid>,
    /// Whether its stack is on its way to memory or back, for a fork.
    pub winding: Winding,
    /// How many handlers run, one on top of the other: from there a stack cannot go to memory.
    pub handlers: u32,
    /// Denied host calls that were already reported.
    pub reported: HostCallSet,
    /// How many host calls were denied.
    pub denials: u64,
    /// What the last request by `/proc/vkernel` was answered and not yet read.
    pub answer: Vec<u8>,
    /// The next descriptor whose status is asked for is to be told by `/proc/vkernel`.
    pub locating: bool,
    /// Its place among the kernel's processes; host functions under test have none.
    pub system: Option<System>,
}

/// How far a fork is (`kernel::fork`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Winding {
    /// There is none: the process runs.
    #[default]
    No,
    /// Its stack goes to memory.
    Out(ForkCall),
    /// Its stack comes back, to learn what became of its call: a number, 0 in the child.
    Back(ForkCall, Result<u32, Errno>),
}

/// The arguments of a call of `fork`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ForkCall {
    /// Where the stack goes.
    pub buffer: u32,
    /// Where the number goes.
    pub pid: u32,
}

/// What a process is running.
#[derive(Clone, Debug)]
pub struct Program {
    /// Path as resolved inside the container's root, or the tool's name.
    pub path: String,
    /// Digest the program was found by.
    pub digest: Digest,
    /// Entry point in the megabinary.
    pub entry: String,
}

impl ProcState {
    /// What resolving a path needs to know about this process.
    #[must_use]
    pub fn fs_context(&self) -> Context<'_> {
        Context {
            fds: &self.fds,
            pid: self.pid,
            processes: self.system.as_ref().map(|system| &**system.processes()),
            argv: &self.argv,
            cwd: &self.cwd,
            umask: self.umask,
        }
    }

    /// Counts a denied host call and reports the first of its kind.
    #[cold]
    pub fn denied(&mut self, call: HostCall) -> Errno {
        self.denials += 1;
        if !self.reported.contains(call) {
            self.reported.insert(call);
            self.audit.denied_call(self.pid, &self.program, call);
        }
        Errno::NOTCAPABLE
    }

    /// Checks an operation whose right depends on a call's arguments.
    #[inline]
    pub fn require(&mut self, call: HostCall) -> Result<(), Errno> {
        if self.rights.contains(call) {
            Ok(())
        } else {
            Err(self.denied(call))
        }
    }
}
