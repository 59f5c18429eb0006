//! config.json's `linux.seccomp` (OCI runtime specification, "Seccomp").
//!
//! libseccomp spends about 11 ms on an engine's default profile. Here the
//! profile becomes one decision per system call ([`policy`]), neighbouring
//! numbers with the same decision become one range, and the ranges a binary
//! search in BPF ([`program`]), which is then made shorter ([`optimize`]).
//!
//! Only the native architecture is let through, whatever `architectures`
//! lists: the virtual kernel is a native process that can load no other code,
//! so a call by another ABI (i386, x32) is an attack and kills the process.

mod bytes;
mod load;
mod optimize;
mod policy;
mod program;
pub mod wall;

pub use load::load;
pub use policy::Policy;
pub use program::Program;

use oci_spec::runtime::LinuxSeccomp;

use crate::sandbox::credentials::Runs;

/// Why a seccomp profile cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum SeccompError {
    /// The profile asks for something this runtime does not do.
    #[error("linux.seccomp.{field}: {what} is not supported; remove it from config.json")]
    Unsupported {
        /// The field of config.json, below `linux.seccomp`.
        field: String,
        /// What was asked for.
        what: String,
    },
    /// A field's value is outside what the kernel knows.
    #[error("linux.seccomp.{field}: {reason}")]
    Invalid {
        /// The field of config.json, below `linux.seccomp`.
        field: String,
        /// What is wrong with it, and what would be right.
        reason: String,
    },
    /// The program is longer than the kernel's limit of 4096 instructions.
    #[error(
        "linux.seccomp: the profile compiles to {0} instructions, the kernel takes 4096; use fewer argument conditions"
    )]
    TooLong(usize),
    /// The virtual kernel could not live under the profile.
    #[error(
        "linux.seccomp: the profile denies `{0}`, which the virtual kernel needs; allow it \
         (`megarun features` lists all that it needs)"
    )]
    Missing(String),
    /// The kernel did not take the filter.
    #[error("loading the seccomp filter: {0}")]
    Load(std::io::Error),
}

/// Compiles a profile for a process that runs this.
pub fn compile_for(profile: &LinuxSeccomp, runs: Runs) -> Result<Program, SeccompError> {
    match runs {
        Runs::Native => compile(profile),
        Runs::Guests => compile_for_guests(profile),
    }
}

/// Compiles a profile. Pure: the result depends on nothing but the profile.
fn compile(profile: &LinuxSeccomp) -> Result<Program, SeccompError> {
    Program::from_policy(&Policy::from_profile(profile)?)
}

/// Compiles a profile for a process of the virtual kernel, which has needs of its own.
fn compile_for_guests(profile: &LinuxSeccomp) -> Result<Program, SeccompError> {
    let mut policy = Policy::from_profile(profile)?;
    if policy.notifies() {
        // Its calls are the virtual kernel's own, of which an agent knows nothing.
        return Err(SeccompError::Unsupported {
            field: "listenerPath".to_owned(),
            what: "a seccomp agent".to_owned(),
        });
    }
    wall::fit(&mut policy)?;
    Program::from_policy(&policy)
}

#[cfg(test)]
mod tests;
