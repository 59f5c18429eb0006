//! The loopback interface of a new network namespace.

use rustix::net::{AddressFamily, SocketFlags, SocketType};

use crate::failure::{Doing, Failure};
use crate::sys::interface;

/// Brings `lo` up, as every engine expects of the runtime.
pub fn loopback_up() -> Result<(), Failure> {
    let socket = rustix::net::socket_with(
        AddressFamily::INET,
        SocketType::DGRAM,
        SocketFlags::CLOEXEC,
        None,
    )
    .doing(|| "opening a socket for the loopback interface")?;
    interface::up(&socket, "lo").doing(|| "bringing up the loopback interface")
}
