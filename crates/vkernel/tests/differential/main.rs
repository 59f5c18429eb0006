//! This kernel beside `wasmtime-wasi`: the same calls, in directories that start the same, must
//! give the same errno, the same bytes and leave the same tree.
//!
//! Sequences are random with fixed seeds; a failure names the seed and prints the calls so far.
//! Where the two differ on purpose, the calls are kept out of the sequences, and [`deliberate`]
//! pins both sides' answers with the reason: a change on either side is noticed.

#![allow(clippy::unwrap_used, missing_docs)]

#[path = "../support/mod.rs"]
mod support;

mod deliberate;
mod directed;
mod random;
mod tree;
