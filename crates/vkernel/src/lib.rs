//! The virtual kernel: runs the programs of one verified megabinary as processes.
//!
//! Data flows one way: a verified megabinary becomes a [`plan`], the plan and an ahead-of-time
//! compiled [`artifact`] become a [`kernel`], and the kernel runs [`process`]es whose only way
//! out is the host functions in [`wasi`] and [`vk`], each behind the capability filter.

// A test that fails to set itself up has failed.
#![cfg_attr(test, allow(clippy::unwrap_used))]

pub mod artifact;
pub mod audit;
pub mod buffer;
mod cpu;
pub mod descriptor;
pub mod engine;
pub mod errno;
pub mod exec;
pub mod fs;
pub mod host;
pub mod identity;
pub mod image;
pub mod kernel;
pub mod kill;
pub mod memory;
pub mod net;
pub mod places;
pub mod plan;
pub mod process;
pub mod ps;
pub mod rights;
pub mod rlimits;
pub mod signal;
pub mod table;
pub mod vk;
pub mod wasi;
