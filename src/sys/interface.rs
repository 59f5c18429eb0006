//! Flags of network interfaces.

use std::os::fd::{AsRawFd, OwnedFd};

use rustix::io::Errno;

use super::clone::last_errno;

/// Sets `IFF_UP` on the interface `name` of the socket's network namespace.
pub fn up(socket: &OwnedFd, name: &str) -> Result<(), Errno> {
    // SAFETY: ifreq is plain old data; all zero is valid.
    let mut request: libc::ifreq = unsafe { std::mem::zeroed() };
    if name.len() >= request.ifr_name.len() {
        return Err(Errno::NAMETOOLONG);
    }
    for (to, from) in request.ifr_name.iter_mut().zip(name.bytes()) {
        *to = from as libc::c_char;
    }
    // SAFETY: both requests read and write one ifreq, which outlives the calls; its name ends in
    // a zero byte because it is shorter than the field.
    unsafe {
        if libc::ioctl(
            socket.as_raw_fd(),
            libc::SIOCGIFFLAGS as libc::Ioctl,
            &raw mut request,
        ) < 0
        {
            return Err(last_errno());
        }
        request.ifr_ifru.ifru_flags |= libc::IFF_UP as libc::c_short;
        if libc::ioctl(
            socket.as_raw_fd(),
            libc::SIOCSIFFLAGS as libc::Ioctl,
            &raw const request,
        ) < 0
        {
            return Err(last_errno());
        }
    }
    Ok(())
}
