//! Real engines with the runtime under test: podman, containerd and docker, in a [`Room`] of their own,
//! with images of programs that both this runtime and crun can run.

mod containerd;
mod docker;
mod images;
mod podman;
mod room;
mod runtime;

pub use containerd::Containerd;
pub use docker::Docker;
pub use images::{GUEST, NATIVE, image};
pub use podman::{Container, Podman};
pub use room::Room;
pub use runtime::Runtime;
