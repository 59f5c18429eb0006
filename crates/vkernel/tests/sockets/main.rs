//! Sockets of module vkernel: what they do, what they refuse, and that waiting for them ends.

#![allow(clippy::unwrap_used, missing_docs)]

#[path = "../support/mod.rs"]
mod support;

mod attacks;
mod calls;
mod internet;
mod local;
mod policy;
mod waits;
