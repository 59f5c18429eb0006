//! What the end-to-end tests share: the programs under test, the guests and
//! their command lines, scratch root file systems, and the reference (each
//! guest under plain wasmtime with `wasmtime-wasi`).
//!
//! The tests themselves are in `tests/`; `make test` builds what they need and
//! names it in the environment.

pub mod base;
pub mod cases;
pub mod command;
pub mod copies;
pub mod engines;
pub mod layout;
pub mod linked;
pub mod node;
pub mod parallel;
#[cfg(feature = "reference")]
pub mod reference;
pub mod scratch;
pub mod stepper;
pub mod subject;
pub mod terminal;
