//! The node's configuration: what may run here is decided in it, never by an image.

pub mod node;
pub mod trust;

pub use node::{Native, NodeConfig, NodeConfigError};
