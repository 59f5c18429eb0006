//! The megabinary format: everything that can be said about `container.wasm` and `manifest.json`
//! without a file system and without an engine. The published specification is `runtime-spec/`;
//! items name the file of it that they implement.
//!
//! Data flows one way: bytes become a [`manifest::UnverifiedManifest`] and a [`module::Module`],
//! trust makes the first a [`manifest::Verified`] manifest, and only the agreeing pair is a
//! [`module::Megabinary`], the one thing other crates take.
//!
//! Parsers here are total: any bytes give a value or a named error, never a panic, a hang or an
//! unbounded allocation.

#![forbid(unsafe_code)]

pub mod capability;
pub mod digest;
pub mod dispatch;
pub mod json;
pub mod limits;
pub mod manifest;
pub mod module;
pub mod names;
pub mod section;
pub mod signing;
pub mod trust;

/// Version of the virtual kernel's interface that this tree implements (`runtime-spec/vkernel-abi.md`).
/// A manifest's and a section's `vkernel_version` are requirements on it.
pub const VKERNEL_VERSION: &str = "0.2.0";
