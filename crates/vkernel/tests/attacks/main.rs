//! A guest that tries to reach the virtual kernel's own process gets nothing, while its own
//! descriptors work.
//!
//! Each case runs on a thread with a mount namespace of its own, in a root that has a procfs, a
//! sysfs, a cgroup file system and device nodes, some of them in unusual places. That needs root.

#![allow(clippy::unwrap_used, missing_docs)]

#[path = "../support/mod.rs"]
mod support;

mod devices;
mod escapes;
mod own;
mod procfs;
mod races;
mod room;
mod user;
