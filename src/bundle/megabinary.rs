//! From the files of a bundle to verified code with a plan. Nothing of the host changes here.

use std::path::Path;

use megabinary::digest::Digest;
use megabinary::manifest::UnverifiedManifest;
use megabinary::module::{self, Module};
use megabinary::trust::{self, NodePolicy};
use thiserror::Error;
use vkernel::plan::{Plan, PlanBuildError};

use super::locate::{self, LocateError};
use crate::container::record::MegabinaryRecord;

/// Why the code of a bundle may not run.
#[derive(Debug, Error)]
pub enum VerifyError {
    /// The files are not there or not readable.
    #[error(transparent)]
    Locate(#[from] LocateError),
    /// The manifest is wrong, or this node does not trust it.
    #[error("`{path}`: {reason}")]
    Manifest {
        /// The manifest.
        path: String,
        /// Why, and what would allow it.
        reason: String,
    },
    /// The code is not what the manifest says.
    #[error("`{path}`: {reason}")]
    Code {
        /// The module.
        path: String,
        /// Why.
        reason: String,
    },
    /// It needs another runtime.
    #[error(transparent)]
    Plan(#[from] PlanBuildError),
}

/// Verified code, read once and held in this process's memory.
pub struct VerifiedCode {
    /// container.wasm.
    pub wasm: Vec<u8>,
    /// Its id.
    pub id: Digest,
    /// What its manifest allows.
    pub plan: Plan,
    /// What to keep on record about it.
    pub record: MegabinaryRecord,
}

/// Finds, reads and verifies the code of a bundle under the node's policy.
pub fn verify(
    bundle: &Path,
    rootfs: &Path,
    policy: &NodePolicy,
) -> Result<VerifiedCode, VerifyError> {
    let (place, bytes) = locate::manifest(bundle, rootfs)?;
    let manifest_path = place.file("manifest.json").display().to_string();
    let refused = |reason: String| VerifyError::Manifest {
        path: manifest_path.clone(),
        reason,
    };
    let manifest = UnverifiedManifest::parse(&bytes).map_err(|error| refused(error.to_string()))?;
    let manifest = trust::decide(&manifest, policy).map_err(|error| refused(error.to_string()))?;

    let path = place
        .file(manifest.megabinary.as_str())
        .display()
        .to_string();
    let wrong = |reason: String| VerifyError::Code {
        path: path.clone(),
        reason,
    };
    let wasm = place
        .read(
            manifest.megabinary.as_str(),
            megabinary::limits::CONTAINER_BYTES,
        )?
        .ok_or_else(|| wrong("No such file or directory; the manifest names it".to_owned()))?;
    let module = Module::parse(&wasm).map_err(|error| wrong(error.to_string()))?;
    let code =
        module::check_agreement(&manifest, &module).map_err(|error| wrong(error.to_string()))?;
    let plan = Plan::from_megabinary(&code)?;
    let record = MegabinaryRecord {
        container_id: module.id.to_string(),
        name: manifest.name.as_ref().map(ToString::to_string),
        version: manifest.version.to_string(),
        key_id: manifest.signer().map(ToString::to_string),
    };
    Ok(VerifiedCode {
        wasm,
        id: module.id,
        plan,
        record,
    })
}
