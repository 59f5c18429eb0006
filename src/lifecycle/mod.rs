//! What the commands do, apart from how they are asked: one module for each step of a container's
//! life.

mod agent;
pub mod create;
pub mod delete;
pub mod exec;
pub mod foreground;
pub mod inherited;
pub mod notify;
pub mod payload;
mod pid_file;
pub mod plan;
pub mod signal;
pub mod spawn;
pub mod start;

use std::path::PathBuf;

use thiserror::Error;

use crate::bundle::artifact::ArtifactError;
use crate::bundle::config::ConfigError;
use crate::bundle::megabinary::VerifyError;
use crate::bundle::supported::Unsupported;
use crate::config::NodeConfigError;
use crate::config::trust::TrustConfigError;
use crate::container::id::IdError;
use crate::container::{ContainerId, Status, StoreError};
use crate::failure::Failure;
use crate::sandbox::cgroup::CgroupError;
use crate::sandbox::hooks::HookError;
use crate::sandbox::mounts::MountError;
use crate::sandbox::namespaces::NamespaceError;
use crate::sandbox::sysctl::SysctlError;
use crate::seccomp::SeccompError;

/// Why a step failed.
#[derive(Debug, Error)]
#[allow(
    missing_docs,
    reason = "each variant is the module's error of the same name"
)]
pub enum LifecycleError {
    #[error(transparent)]
    Id(#[from] IdError),
    #[error(transparent)]
    NodeConfig(#[from] NodeConfigError),
    #[error(transparent)]
    Trust(#[from] TrustConfigError),
    #[error(transparent)]
    Config(#[from] ConfigError),
    #[error(transparent)]
    Unsupported(#[from] Unsupported),
    #[error(transparent)]
    Verify(#[from] VerifyError),
    #[error(transparent)]
    Artifact(#[from] ArtifactError),
    #[error(transparent)]
    Namespace(#[from] NamespaceError),
    #[error(transparent)]
    Sysctl(#[from] SysctlError),
    #[error(transparent)]
    Mount(#[from] MountError),
    #[error(transparent)]
    Cgroup(#[from] CgroupError),
    #[error(transparent)]
    Hook(#[from] HookError),
    #[error(transparent)]
    Seccomp(#[from] SeccompError),
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    System(#[from] Failure),
    /// The step does not apply to a container in this state.
    #[error("cannot {step} container `{id}`: it is {status}{hint}")]
    State {
        /// What was asked for.
        step: &'static str,
        /// The container.
        id: ContainerId,
        /// Its state.
        status: Status,
        /// What to do instead, or nothing.
        hint: &'static str,
    },
    /// Its processes are frozen: one that joined them would not run. Engines know these words.
    #[error("cannot exec in a paused container: resume `{0}` first, or give --ignore-paused")]
    Paused(ContainerId),
    /// A signal for a container that has no process. Engines look for "container not running".
    #[error("container not running: `{id}` is {status}")]
    NotRunning {
        /// The container.
        id: ContainerId,
        /// Its state.
        status: Status,
    },
    /// The process inside reported what it could not do.
    #[error("{message}")]
    Inside {
        /// What it reported.
        message: String,
        /// The exit code that says which kind of failure it was.
        code: u8,
    },
    /// The process inside ended without a report.
    #[error("the container's process ended before it was ready ({0})")]
    Died(String),
    /// The terminal has nobody to go to.
    #[error(
        "process.terminal is set: use --console-socket with the path of a socket that takes the \
         terminal, or set it to false"
    )]
    NoConsole,
    /// A socket for a terminal that there is not.
    #[error(
        "--console-socket needs process.terminal; set it in config.json or leave the option out"
    )]
    NoTerminal,
    /// A file in which to write the pid.
    #[error("--pid-file `{0}` is not a path in an existing directory")]
    PidFile(PathBuf),
    /// A sandbox runs nothing.
    #[error("container `{0}` is a pod sandbox: it has no programs to execute")]
    Sandbox(ContainerId),
    /// Nothing to start.
    #[error("cannot start container `{0}`: its config.json has no process")]
    NoProcess(ContainerId),
    /// Its programs are native, and nothing says here that they may run.
    #[error(
        "container `{0}` runs native programs: exec needs a configuration with native = \"allow\", \
         and such a container has no tools"
    )]
    Native(ContainerId),
    /// The compiled code went from the cache.
    #[error(
        "the compiled code of container `{id}` is no longer in the cache `{cache}`; run \
         `megabin precompile` on its megabinary, or create the container again"
    )]
    NoArtifact {
        /// The container.
        id: ContainerId,
        /// The cache's directory.
        cache: PathBuf,
    },
}

impl LifecycleError {
    /// The program's exit code for it.
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Inside { code, .. } => *code,
            _ => 1,
        }
    }
}
