//! The last step: this process becomes the virtual kernel and runs process 1 of the container.

use std::fs::File;
use std::io::Read;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;

use oci_spec::runtime::{PosixRlimitType, Process};
use rustix::io::Errno;
use thiserror::Error;
use vkernel::artifact::Artifact;
use vkernel::audit::{AuditSink, Discard, JsonLines};
use vkernel::exec::{ExecError, ExecTarget};
use vkernel::fs::{Root, SetupError, Vfs};
use vkernel::kernel::{ExitStatus, Kernel, KernelConfig, KernelError, Limits, ProcessSpec};
use vkernel::plan::{Plan, PlanError};

use super::request::{Guest, Received};
use crate::failure::{Doing, Failure};
use crate::sys::fds;

/// Why the program could not run.
#[derive(Debug, Error)]
pub enum GuestError {
    /// The plan is damaged.
    #[error("reading the container's plan: {0}")]
    Plan(#[from] PlanError),
    /// The kernel does not start.
    #[error(transparent)]
    Kernel(#[from] KernelError),
    /// The root file system cannot be used.
    #[error(transparent)]
    Vfs(#[from] SetupError),
    /// The program is not there, or not allowed.
    #[error(transparent)]
    Exec(#[from] ExecError),
    /// `process.cwd` cannot be entered. Engines tell by the system's words what is wrong.
    #[error(transparent)]
    WorkingDirectory(Failure),
    /// The system refused.
    #[error(transparent)]
    System(#[from] Failure),
}

impl GuestError {
    /// The exit code that tells callers which it was: 127 not found, 126 not allowed, else 1.
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Exec(error) => error.exit_status(),
            Self::WorkingDirectory(failure) if failure.is(Errno::NOENT) => 127,
            Self::WorkingDirectory(_) => 126,
            _ => 1,
        }
    }
}

/// A kernel and what it is to run.
pub struct Program {
    kernel: Kernel,
    spec: ProcessSpec,
    asked: OwnedFd,
}

impl Program {
    /// Loads the code. Runs with the rights of the container's creator, in the container's root.
    pub fn new(
        guest: Guest,
        process: &Process,
        passed: Vec<OwnedFd>,
        received: &mut Received,
    ) -> Result<Self, GuestError> {
        let mut plan = Vec::new();
        File::from(received.take(&guest.plan, "the plan")?)
            .read_to_end(&mut plan)
            .doing(|| "reading the container's plan")?;
        let artifact = received.take(&guest.artifact, "the compiled code")?;
        let audit: Box<dyn AuditSink> = match guest.audit {
            Some(file) => {
                let file = received.take(&file, "the audit file")?;
                Box::new(JsonLines::new(File::from(file)))
            }
            None => Box::new(Discard),
        };
        let kernel = Kernel::new(KernelConfig {
            plan: Plan::decode(&plan)?,
            // SAFETY: the creator opened it in the cache, which only the runtime's user can write,
            // under the key of this container's code.
            artifact: unsafe { Artifact::from_checked_fd(artifact) },
            vfs: Vfs::new(Root::Process)?,
            audit,
            label: guest.container,
            limits: limits(guest.process_memory, process),
        })?;
        Ok(Self {
            kernel,
            spec: spec(process, guest.tool, passed)?,
            asked: received.take(&guest.asked, "the socket of `megarun ps`")?,
        })
    }

    /// Looks the program up as running it will, so that create can say what is wrong with it.
    pub fn check(&self) -> Result<(), GuestError> {
        let spec = &self.spec;
        Ok(self.kernel.check(&spec.target, &spec.env, &spec.cwd)?)
    }

    /// Runs to the end. Returns the exit code.
    pub fn run(self) -> u8 {
        let Self {
            kernel,
            mut spec,
            asked,
        } = self;
        // The guests apply it; this process's own would take mode bits that they set.
        spec.umask = rustix::process::umask(rustix::fs::Mode::empty()).as_raw_mode();
        let ended = kernel.run(spec, Some(asked));
        // The process ends here, and the system takes all at once what the kernel would give back
        // piece by piece.
        std::mem::forget(kernel);
        match ended {
            Ok(status) => {
                if let ExitStatus::Trap(message) = &status {
                    eprintln!("{message}");
                }
                status.code()
            }
            Err(error) => {
                eprintln!("megarun: {error}");
                error.exit_status()
            }
        }
    }
}

fn spec(
    process: &Process,
    tool: Option<String>,
    passed: Vec<OwnedFd>,
) -> Result<ProcessSpec, Failure> {
    let bytes = |text: &String| text.clone().into_bytes();
    let argv: Vec<Vec<u8>> = process.args().iter().flatten().map(bytes).collect();
    let target = match tool {
        Some(tool) => ExecTarget::Tool(tool),
        None => ExecTarget::Search(argv.first().cloned().unwrap_or_default()),
    };
    let stream = |fd: std::io::Result<OwnedFd>| fd.doing(|| "keeping a standard stream").map(Some);
    use std::os::fd::AsFd;
    Ok(ProcessSpec {
        target,
        argv,
        env: process.env().iter().flatten().map(bytes).collect(),
        cwd: process.cwd().as_os_str().as_bytes().to_vec(),
        umask: 0o022,
        stdio: [
            stream(std::io::stdin().as_fd().try_clone_to_owned())?,
            stream(std::io::stdout().as_fd().try_clone_to_owned())?,
            stream(std::io::stderr().as_fd().try_clone_to_owned())?,
        ],
        passed: placed(passed),
    })
}

/// The virtual kernel numbers them from its first on; those that are missing stay so.
fn placed(passed: Vec<OwnedFd>) -> Vec<Option<OwnedFd>> {
    let mut places = Vec::new();
    for fd in passed {
        let place = fd.as_raw_fd() - fds::FIRST;
        let place = usize::try_from(place).expect("they are numbered from the first on");
        places.resize_with(places.len().max(place + 1), || None);
        places[place] = Some(fd);
    }
    places
}

/// The node's bounds, tightened by config.json's.
fn limits(memory: u64, process: &Process) -> Limits {
    let limit = |kind: PosixRlimitType| {
        process
            .rlimits()
            .iter()
            .flatten()
            .find(|limit| limit.typ() == kind)
            .map(|limit| limit.soft())
    };
    let default = Limits::default();
    let count = |limit: u64| u32::try_from(limit).unwrap_or(u32::MAX);
    let processes = limit(PosixRlimitType::RlimitNproc).map_or(default.processes, count);
    Limits {
        processes: processes.min(default.processes),
        memory: memory.min(limit(PosixRlimitType::RlimitAs).unwrap_or(u64::MAX)),
        descriptors: limit(PosixRlimitType::RlimitNofile).map_or(default.descriptors, count),
        file_size: limit(PosixRlimitType::RlimitFsize).unwrap_or(default.file_size),
    }
}
