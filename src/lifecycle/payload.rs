//! What a container is to run, and what config.json says about how.

use oci_spec::runtime::{Linux, LinuxPersonalityDomain};
use vkernel::artifact::Artifact;

use super::LifecycleError;
use super::create::document;
use crate::bundle::config::Bundle;
use crate::bundle::locate::LocateError;
use crate::bundle::megabinary::{self, VerifiedCode, VerifyError};
use crate::bundle::{artifact, sealed, supported};
use crate::config::{Native, NodeConfig, trust};
use crate::container::record::PayloadRecord;
use crate::container::{Record, Status};
use crate::failure::Failure;
use crate::init::request::{self, Handed, Handing};
use crate::sandbox::credentials::Runs;
use crate::seccomp::{self, SeccompError};

/// What a container is to run, before anything of it is made.
pub enum Payload {
    /// Nothing: a pod's sandbox.
    Sandbox,
    /// Verified code, and compiled.
    Code {
        code: Box<VerifiedCode>,
        compiled: Artifact,
    },
    /// Programs of the root file system.
    Native,
}

impl Payload {
    /// Looks for a megabinary and verifies it. One that is there must hold, also where native code
    /// is allowed; one that is not there is a reason to run native code only where it is.
    pub fn of(bundle: &Bundle, node: &NodeConfig) -> Result<Self, LifecycleError> {
        // Without a process it waits for a `start` that fails.
        if supported::is_sandbox(&bundle.spec) || bundle.spec.process().is_none() {
            return Ok(Self::Sandbox);
        }
        let policy = trust::policy(node)?;
        let code = match megabinary::verify(&bundle.path, &bundle.rootfs, &policy) {
            Err(VerifyError::Locate(LocateError::Missing { .. }))
                if node.native == Native::Allow =>
            {
                return Ok(Self::Native);
            }
            verified => Box::new(verified?),
        };
        let compiled = artifact::obtain(&code.wasm, &code.id, node)?;
        Ok(Self::Code { code, compiled })
    }

    pub fn runs(&self) -> Runs {
        match self {
            Self::Native => Runs::Native,
            Self::Sandbox | Self::Code { .. } => Runs::Guests,
        }
    }

    pub fn record(&self) -> PayloadRecord {
        match self {
            Self::Sandbox => PayloadRecord::Sandbox,
            Self::Code { code, .. } => PayloadRecord::Megabinary(code.record.clone()),
            Self::Native => PayloadRecord::Native,
        }
    }
}

/// What config.json's profile of system calls becomes for a process that runs this.
pub fn filter(linux: Option<&Linux>, runs: Runs) -> Result<Option<seccomp::Program>, SeccompError> {
    let profile = linux.and_then(|linux| linux.seccomp().as_ref());
    profile
        .map(|profile| seccomp::compile_for(profile, runs))
        .transpose()
}

/// Hands it to the process inside.
pub fn hand_filter(
    filter: Option<seccomp::Program>,
    handing: &mut Handing,
) -> Result<Option<Handed>, Failure> {
    let sealed = filter.map(|filter| sealed::seal("filter", &filter.to_bytes()));
    Ok(sealed.transpose()?.map(|filter| handing.give(filter)))
}

/// What config.json says about the execution domain.
pub fn personality(linux: Option<&Linux>) -> Option<LinuxPersonalityDomain> {
    let personality = linux.and_then(|linux| linux.personality().as_ref());
    personality.map(|personality| personality.domain())
}

/// What a native program gets besides config.json's process.
pub fn native(record: &Record) -> request::Native {
    let hooks = record.config.hooks().as_ref();
    request::Native {
        hooks: hooks
            .and_then(|hooks| hooks.start_container().clone())
            .unwrap_or_default(),
        state: document(record, Status::Created),
    }
}
