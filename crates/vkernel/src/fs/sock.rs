//! Sockets that were handed in (`sock_*`): preview 1 can make none of its own.

use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};

use rustix::net::{Shutdown, SocketFlags};

use super::Result;
use super::procfd::host_limit;
use crate::descriptor::{Descriptor, HostFile, OpenFile};
use crate::errno::Errno;
use crate::wasi::memory::Iovecs;

/// What `sock_recv` reports beside the number of bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Received {
    /// Bytes that were put into the vectors.
    pub bytes: u32,
    /// A datagram was longer than the vectors.
    pub truncated: bool,
}

/// `ENOTSOCK` for anything but a socket.
fn socket(file: &HostFile) -> Result<libc::c_int> {
    if file.kind().is_socket() {
        Ok(file.fd().as_raw_fd())
    } else {
        Err(Errno::NOTSOCK)
    }
}

/// `sock_accept`: the next connection; may wait for it.
pub fn accept(file: &HostFile, nonblock: bool) -> Result<Descriptor> {
    let mut flags = SocketFlags::CLOEXEC;
    flags.set(SocketFlags::NONBLOCK, nonblock);
    let listener = socket(file)?;
    // SAFETY: plain system call on an open descriptor; no address is asked for.
    let fd = unsafe {
        libc::accept4(
            listener,
            std::ptr::null_mut(),
            std::ptr::null_mut(),
            flags.bits() as i32,
        )
    };
    if fd < 0 {
        let error = std::io::Error::last_os_error();
        return Err(rustix::io::Errno::from_io_error(&error).map_or(Errno::IO, host_limit));
    }
    // SAFETY: `accept4` has just given this descriptor to us alone.
    let connection = unsafe { OwnedFd::from_raw_fd(fd) };
    Ok(Descriptor::new(OpenFile::Host(HostFile::inherited(
        connection,
    )?)))
}

fn message(vectors: &Iovecs<'_>) -> libc::msghdr {
    let list = vectors.as_slice();
    // SAFETY: all-zero is a valid `msghdr`: no address, no vectors, no control data.
    let mut header: libc::msghdr = unsafe { std::mem::zeroed() };
    // `recvmsg` and `sendmsg` only read the list.
    header.msg_iov = list.as_ptr().cast_mut();
    header.msg_iovlen = list.len() as _;
    header
}

/// `sock_recv`: `peek` leaves the bytes there, `wait_all` waits for as many as fit.
pub fn receive(file: &HostFile, into: &Iovecs<'_>, peek: bool, wait_all: bool) -> Result<Received> {
    let mut flags = 0;
    if peek {
        flags |= libc::MSG_PEEK;
    }
    if wait_all {
        flags |= libc::MSG_WAITALL;
    }
    let fd = socket(file)?;
    let mut header = message(into);
    // SAFETY: the header's vectors are ranges of the guest's memory that `into` borrows mutably;
    // no room for control data is given, so no descriptor can arrive.
    let got = unsafe { libc::recvmsg(fd, &mut header, flags) };
    let bytes = u32::try_from(got).map_err(|_| Errno::last())?;
    Ok(Received {
        bytes,
        truncated: header.msg_flags & libc::MSG_TRUNC != 0,
    })
}

/// `sock_send`.
pub fn send(file: &HostFile, from: &Iovecs<'_>) -> Result<u32> {
    let fd = socket(file)?;
    let header = message(from);
    // SAFETY: as in `receive`; the host's kernel only reads.
    let sent = unsafe { libc::sendmsg(fd, &header, libc::MSG_NOSIGNAL) };
    u32::try_from(sent).map_err(|_| Errno::last())
}

/// `sock_shutdown`: bit 0 ends receiving, bit 1 sending; neither, or another, is `EINVAL`.
pub fn shutdown(file: &HostFile, how: u32) -> Result<()> {
    let how = match how {
        1 => Shutdown::Read,
        2 => Shutdown::Write,
        3 => Shutdown::Both,
        _ => return Err(Errno::INVAL),
    };
    socket(file)?;
    Ok(rustix::net::shutdown(file.fd(), how)?)
}
