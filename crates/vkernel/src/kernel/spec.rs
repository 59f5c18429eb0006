//! What a process is asked to be, and what became of it.

use std::fmt;
use std::os::fd::OwnedFd;

use crate::exec::ExecTarget;

/// A process to be.
#[derive(Debug)]
pub struct ProcessSpec {
    /// What it executes.
    pub target: ExecTarget,
    /// Its arguments, its own name first. What the manifest inserts is not among them.
    pub argv: Vec<Vec<u8>>,
    /// Its environment, `NAME=value`.
    pub env: Vec<Vec<u8>>,
    /// Absolute path in the container's root that relative paths start from.
    pub cwd: Vec<u8>,
    /// Mode bits that files it makes do not get. The host's own umask takes bits as well: a host
    /// that runs containers clears it.
    pub umask: u32,
    /// Its standard streams; one that is not there is closed.
    pub stdio: [Option<OwnedFd>; 3],
    /// Descriptors handed in besides, in the order in which the process finds them from
    /// [`FIRST_PASSED`] up; one that is not there is closed.
    pub passed: Vec<Option<OwnedFd>>,
}

/// Guest descriptor of the root directory: where programs' libraries look for the first of the
/// directories they are given, and stop at the first number that is none.
pub const ROOT_DIR: u32 = 3;

/// Guest descriptor of the first that was handed in besides the standard streams: one more than
/// on Linux, because of [`ROOT_DIR`].
pub const FIRST_PASSED: u32 = 4;

/// Bounds on one process, and on how many there are.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Processes at a time, those that ended and were not waited for included.
    pub processes: u32,
    /// Linear memory in bytes. A `memory.grow` beyond it gives -1.
    pub memory: u64,
    /// Descriptors, as `RLIMIT_NOFILE` counts them: one more than the highest number.
    pub descriptors: u32,
    /// The largest a file may get by a write, in bytes (`RLIMIT_FSIZE`); `u64::MAX` is no limit.
    pub file_size: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Limits {
            processes: 1024,
            memory: 4 << 30,
            descriptors: 1024,
            file_size: u64::MAX,
        }
    }
}

/// How a process ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ExitStatus {
    /// By itself, with this status.
    Code(u8),
    /// By this signal's default action; Linux's number.
    Signal(i32),
    /// By a trap, which counts as an abort; the message is on its standard error already.
    Trap(String),
}

impl ExitStatus {
    /// As a parent's `wait` gives it: Linux's encoding.
    #[must_use]
    pub fn wait_status(&self) -> u32 {
        match self {
            ExitStatus::Code(code) => u32::from(*code) << 8,
            ExitStatus::Signal(signal) => signal.unsigned_abs() & 0x7f,
            ExitStatus::Trap(_) => libc::SIGABRT.unsigned_abs(),
        }
    }

    /// The container's exit status: n, 128 and the signal, or 134.
    #[must_use]
    pub fn code(&self) -> u8 {
        match self {
            ExitStatus::Code(code) => *code,
            // Linux has 64 signals.
            ExitStatus::Signal(signal) => 128u8.wrapping_add(*signal as u8),
            ExitStatus::Trap(_) => 128 + libc::SIGABRT as u8,
        }
    }
}

impl fmt::Display for ExitStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ExitStatus::Code(code) => write!(f, "exited with status {code}"),
            ExitStatus::Signal(signal) => write!(f, "was killed by signal {signal}"),
            ExitStatus::Trap(message) => write!(f, "trapped: {message}"),
        }
    }
}
