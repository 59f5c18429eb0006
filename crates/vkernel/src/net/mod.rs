//! Sockets: what a container's network namespace and root file system have, for guests.
//!
//! Three families exist ([`address`]): the two of the internet, and local sockets, whose names are
//! paths of the container's root that are resolved as every path is ([`local`]). What a guest says
//! of addresses and options is parsed before the host's kernel sees it, and what it does not say by
//! the tables here does not reach it: no other family, no raw socket, no option that names devices,
//! marks or filters, no control data.

pub mod address;
pub mod local;
pub mod options;
pub mod sock;

pub use crate::fs::Result;
