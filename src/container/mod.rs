//! One container on disk: its id, its state directory, and what can be said of it.
//!
//! `<root>/<id>/` (mode 0700) holds `lock`, `intent.json` (what create is about to make),
//! `state.json` (written when create has succeeded), `plan` (what the verified manifest allows),
//! `exec.fifo` (there until `start`) and `ps.PID` (where the kernel in process PID says who runs in
//! it).

pub mod id;
pub mod intent;
pub mod kernels;
pub mod process;
pub mod record;
pub mod status;
pub mod store;

pub use id::ContainerId;
pub use intent::Intent;
pub use process::ProcessId;
pub use record::Record;
pub use status::Status;
pub use store::{ContainerDir, Store, StoreError};
