//! Files of a container: what its virtual processes may reach, and how.
//!
//! Every path is resolved inside the container's root ([`resolve`]), every object that a path
//! or a descriptor leads to is judged by what it *is* ([`judge`]: the magic number of its file
//! system, the numbers of its device), never by how it is called. The kernel's own procfs is
//! not reachable: in its place guests see the small tree of [`vnode`].
//!
//! The actions are plain functions over descriptors; the WebAssembly side is in [`crate::wasi`].

mod access;
pub mod dir;
mod executables;
pub mod io;
pub mod judge;
pub mod kind;
pub mod meta;
pub mod mutate;
pub mod open;
pub mod poll;
mod procfd;
pub mod resolve;
pub mod rights;
pub mod status;
mod vfile;
mod vfs;
pub mod vnode;
mod walk;

pub use procfd::ProcFd;
pub(crate) use procfd::host_limit;
pub use vfs::{Context, GUEST_CWD, Root, SetupError, Vfs};

/// What an action of this module gives: a value, or the error number the guest gets.
pub type Result<T> = std::result::Result<T, crate::errno::Errno>;
