//! Running a program of a container without a container: the developer's loop. Root directory,
//! rights and execution by digest are those of the real thing; namespaces and limits are not.

use std::fs::File;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};

use megabinary::module::Megabinary;
use vkernel::artifact::Artifact;
use vkernel::audit::{AuditSink, Discard, JsonLines};
use vkernel::exec::{ExecError, ExecTarget};
use vkernel::fs::{Root, SetupError, Vfs};
use vkernel::kernel::{ExitStatus, Kernel, KernelConfig, KernelError, Limits, ProcessSpec};
use vkernel::plan::{Plan, PlanBuildError};

/// Name of the root file system's folder in a container's folder.
const ROOTFS: &str = "rootfs";

/// Why a program was not run.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// The system refused a file.
    #[error("{doing} {path}: {source}", path = path.display())]
    Io {
        /// What was being done.
        doing: &'static str,
        /// On which file.
        path: PathBuf,
        /// The system's error.
        source: io::Error,
    },
    /// The root file system cannot be used.
    #[error(transparent)]
    Root(#[from] SetupError),
    /// The container is not for this kernel.
    #[error(transparent)]
    Plan(#[from] PlanBuildError),
    /// The kernel does not start.
    #[error(transparent)]
    Kernel(#[from] KernelError),
    /// The program may not or cannot be executed.
    #[error(transparent)]
    Exec(#[from] ExecError),
}

/// What to run.
#[derive(Debug)]
pub struct Command {
    /// The program.
    pub target: ExecTarget,
    /// Its arguments, its name first.
    pub argv: Vec<String>,
    /// Its environment, `NAME=value`.
    pub env: Vec<String>,
    /// Its working directory in the root file system, absolute.
    pub cwd: String,
    /// Where decisions are appended as JSON lines, if anywhere.
    pub audit: Option<PathBuf>,
}

/// Runs a program of the container in `folder` to its end, with this process's standard streams
/// and signals.
///
/// # Errors
/// Whatever keeps the program from starting; what becomes of it is its status.
pub fn run(
    folder: &Path,
    megabinary: &Megabinary,
    artifact: Artifact,
    command: Command,
) -> Result<ExitStatus, RunError> {
    let path = folder.join(ROOTFS);
    let root = File::open(&path).map_err(io_error("opening the root file system", &path))?;
    let kernel = Kernel::new(KernelConfig {
        plan: Plan::from_megabinary(megabinary)?,
        artifact,
        vfs: Vfs::new(Root::At(root.into()))?,
        audit: sink(command.audit.as_deref())?,
        label: folder.display().to_string(),
        limits: Limits::default(),
    })?;
    let bytes = |texts: Vec<String>| texts.into_iter().map(String::into_bytes).collect();
    let spec = ProcessSpec {
        target: command.target,
        argv: bytes(command.argv),
        env: bytes(command.env),
        cwd: command.cwd.into_bytes(),
        umask: take_umask(),
        stdio: [
            stream(io::stdin().as_fd()),
            stream(io::stdout().as_fd()),
            stream(io::stderr().as_fd()),
        ],
        passed: Vec::new(),
    };
    Ok(kernel.run(spec, None)?)
}

/// This process's umask, for the guests to apply; the process's own is cleared, which would take
/// mode bits they set.
fn take_umask() -> u32 {
    rustix::process::umask(rustix::fs::Mode::empty()).as_raw_mode()
}

/// A standard stream of this process for the guest; one that is closed stays so.
fn stream(fd: BorrowedFd<'_>) -> Option<OwnedFd> {
    fd.try_clone_to_owned().ok()
}

fn sink(path: Option<&Path>) -> Result<Box<dyn AuditSink>, RunError> {
    let Some(path) = path else {
        return Ok(Box::new(Discard));
    };
    let file = File::options().append(true).create(true).open(path);
    let file = file.map_err(io_error("opening the audit file", path))?;
    Ok(Box::new(JsonLines::new(file)))
}

fn io_error(doing: &'static str, path: &Path) -> impl FnOnce(io::Error) -> RunError {
    let path = path.to_owned();
    move |source| RunError::Io {
        doing,
        path,
        source,
    }
}
