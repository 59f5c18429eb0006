//! The bundle: config.json, what this runtime accepts of it, and the megabinary with its compiled
//! code.

pub mod artifact;
pub mod config;
pub mod engine_init;
pub mod lenient;
pub mod locate;
pub mod megabinary;
pub mod sealed;
pub mod supported;
