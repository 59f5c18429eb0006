//! What stands between the container and the host: one module for each mechanism.

pub mod capabilities;
pub mod cgroup;
pub mod credentials;
pub mod devices;
pub mod hooks;
pub mod labels;
pub mod mountinfo;
pub mod mounts;
pub mod namespaces;
pub mod network;
pub mod rootfs;
pub mod sysctl;
pub mod terminal;
