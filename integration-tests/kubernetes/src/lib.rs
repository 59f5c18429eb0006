//! The kubelet's side of CRI: pods and containers of a containerd in a room, by gRPC, and streams
//! by WebSocket.

pub mod cgroups;
mod images;
pub mod kubelet;
pub mod pod;
pub mod stream;

pub use images::{PAUSE, STRIPPED};
pub use kubelet::Kubelet;
pub use pod::{Container, Pod, PodOptions};
