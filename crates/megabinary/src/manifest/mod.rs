//! `manifest.json`, schema v1 (`runtime-spec/manifest.md`).
//!
//! Bytes become an [`UnverifiedManifest`], which gives nothing but its key id and the bytes that
//! are signed; a signature that holds, or a node's decision to accept unsigned ones, makes it a
//! [`Verified`] [`Manifest`].

mod check;
mod error;
mod fields;
mod lookup;
mod read;
mod types;
mod verified;
mod write;

pub use error::{ManifestError, ManifestReason};
pub use lookup::{Target, TargetKind};
pub use types::{
    AgentTool, Binary, ExecPolicy, GlobalPolicies, Manifest, Networking, Overrides, Signature,
};
pub use verified::{UnverifiedManifest, Verified};

/// Usual name of the manifest's file.
pub const FILE_NAME: &str = "manifest.json";
