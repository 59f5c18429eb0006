//! Linux system calls that neither rustix nor nix wraps. All unsafe code of the runtime is here.

pub mod bpf;
pub mod clone;
pub mod exec;
pub mod fds;
pub mod interface;
pub mod mount_attr;
pub mod names;
pub mod personality;
pub mod sched;
pub mod signals;
