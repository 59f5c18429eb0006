//! The host calls a process may make.

pub use megabinary::capability::{HostCall, HostCallSet};
