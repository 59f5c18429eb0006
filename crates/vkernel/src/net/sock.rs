//! The system calls of sockets: one of the host's per call of the guest.
//!
//! Those that may wait fail with `EINTR` on a signal; the caller decides whether to try again
//! ([`crate::kill`]).

use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};

use rustix::fs::Mode;
use rustix::net::Shutdown;

use super::Result;
use super::address::HostAddress;
use super::options::Value;
use crate::descriptor::{Descriptor, HostFile, OpenFile};
use crate::errno::Errno;
use crate::fs::host_limit;
use crate::wasi::memory::Iovecs;

/// A sort of socket that guests may make.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sort {
    domain: libc::c_int,
    kind: libc::c_int,
    protocol: libc::c_int,
}

impl Sort {
    /// The sort with Linux's numbers: `EAFNOSUPPORT`, or `EPROTONOSUPPORT` where the family has no
    /// such sort for guests.
    pub fn new(domain: i32, kind: i32, protocol: i32) -> Result<Sort> {
        let protocols: &[libc::c_int] = match (domain, kind) {
            (libc::AF_UNIX, libc::SOCK_STREAM | libc::SOCK_DGRAM | libc::SOCK_SEQPACKET) => &[0],
            (libc::AF_INET | libc::AF_INET6, libc::SOCK_STREAM) => &[0, libc::IPPROTO_TCP],
            (libc::AF_INET | libc::AF_INET6, libc::SOCK_DGRAM) => &[0, libc::IPPROTO_UDP],
            (libc::AF_UNIX | libc::AF_INET | libc::AF_INET6, _) => &[],
            _ => return Err(Errno::AFNOSUPPORT),
        };
        if !protocols.contains(&protocol) {
            return Err(Errno::PROTONOSUPPORT);
        }
        Ok(Sort {
            domain,
            kind,
            protocol,
        })
    }
}

/// Whether a socket that is handed in is of a family that guests may have.
pub(crate) fn is_fit(fd: &OwnedFd) -> bool {
    let mut bytes = [0; 4];
    let known = get(
        fd.as_raw_fd(),
        libc::SOL_SOCKET,
        libc::SO_DOMAIN,
        &mut bytes,
    )
    .is_ok();
    let family = libc::c_int::from_ne_bytes(bytes);
    known && matches!(family, libc::AF_UNIX | libc::AF_INET | libc::AF_INET6)
}

/// `ENOTSOCK` for anything but a socket.
fn socket(file: &HostFile) -> Result<libc::c_int> {
    if file.kind().is_socket() {
        Ok(file.fd().as_raw_fd())
    } else {
        Err(Errno::NOTSOCK)
    }
}

fn done(result: libc::c_int) -> Result<libc::c_int> {
    if result < 0 {
        let error = std::io::Error::last_os_error();
        Err(rustix::io::Errno::from_io_error(&error).map_or(Errno::IO, host_limit))
    } else {
        Ok(result)
    }
}

/// # Safety
/// `fd` must be a descriptor that the host's kernel has just given to this call alone.
unsafe fn made(fd: libc::c_int) -> Result<Descriptor> {
    // SAFETY: the caller's promise.
    let fd = unsafe { OwnedFd::from_raw_fd(fd) };
    Ok(Descriptor::new(OpenFile::Host(HostFile::inherited(fd)?)))
}

fn flags(nonblock: bool) -> libc::c_int {
    libc::SOCK_CLOEXEC | if nonblock { libc::SOCK_NONBLOCK } else { 0 }
}

/// `socket`.
pub fn new(sort: Sort, nonblock: bool) -> Result<Descriptor> {
    let kind = sort.kind | flags(nonblock);
    // SAFETY: plain system call.
    let fd = done(unsafe { libc::socket(sort.domain, kind, sort.protocol) })?;
    // SAFETY: it was made just now.
    unsafe { made(fd) }
}

/// `socketpair`: local ones only.
pub fn pair(sort: Sort, nonblock: bool) -> Result<[Descriptor; 2]> {
    if sort.domain != libc::AF_UNIX {
        return Err(Errno::NOTSUP);
    }
    let (kind, mut fds) = (sort.kind | flags(nonblock), [0; 2]);
    // SAFETY: the call writes two numbers.
    done(unsafe { libc::socketpair(sort.domain, kind, sort.protocol, fds.as_mut_ptr()) })?;
    // SAFETY: both were made just now. Each is owned before anything can fail.
    let (first, second) = unsafe { (made(fds[0]), made(fds[1])) };
    Ok([first?, second?])
}

/// `accept`: the next connection; may wait for it. Where `peer` is given it gets the address.
pub fn accept(
    file: &HostFile,
    nonblock: bool,
    peer: Option<&mut HostAddress>,
) -> Result<Descriptor> {
    let listener = socket(file)?;
    let (address, len) = match peer {
        Some(peer) => {
            *peer = HostAddress::room();
            (peer.as_mut_ptr(), std::ptr::from_mut(peer.len_mut()))
        }
        None => (std::ptr::null_mut(), std::ptr::null_mut()),
    };
    // SAFETY: the address has the room that its length says, or neither is there.
    let fd = done(unsafe { libc::accept4(listener, address, len, flags(nonblock)) })?;
    // SAFETY: it was made just now.
    unsafe { made(fd) }
}

/// Gives the socket the mode of what [`bind`] makes.
pub fn set_mode(file: &HostFile, mode: Mode) -> Result<()> {
    socket(file)?;
    Ok(rustix::fs::fchmod(file.fd(), mode)?)
}

/// `bind`.
pub fn bind(file: &HostFile, to: &HostAddress) -> Result<()> {
    let fd = socket(file)?;
    // SAFETY: the call reads the bytes that the length says.
    done(unsafe { libc::bind(fd, to.as_ptr(), to.len()) }).map(drop)
}

/// `connect`: may wait.
pub fn connect(file: &HostFile, to: &HostAddress) -> Result<()> {
    let fd = socket(file)?;
    // SAFETY: as in `bind`.
    done(unsafe { libc::connect(fd, to.as_ptr(), to.len()) }).map(drop)
}

/// `listen`.
pub fn listen(file: &HostFile, backlog: i32) -> Result<()> {
    // SAFETY: plain system call.
    done(unsafe { libc::listen(socket(file)?, backlog) }).map(drop)
}

/// Which end of a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Whose {
    /// This one.
    Own,
    /// The other.
    Peer,
}

/// `getsockname`, `getpeername`.
pub fn address(file: &HostFile, whose: Whose) -> Result<HostAddress> {
    let fd = socket(file)?;
    let mut address = HostAddress::room();
    let (into, len) = (address.as_mut_ptr(), std::ptr::from_mut(address.len_mut()));
    // SAFETY: the address has the room that its length says.
    done(unsafe {
        match whose {
            Whose::Own => libc::getsockname(fd, into, len),
            Whose::Peer => libc::getpeername(fd, into, len),
        }
    })?;
    Ok(address)
}

fn get(fd: libc::c_int, level: i32, name: i32, value: &mut [u8]) -> Result<usize> {
    let mut len = value.len() as libc::socklen_t;
    // SAFETY: the value has the room that its length says.
    done(unsafe { libc::getsockopt(fd, level, name, value.as_mut_ptr().cast(), &mut len) })?;
    Ok(len as usize)
}

/// `getsockopt` of an option with this value.
pub fn option(file: &HostFile, level: i32, name: i32, value: Value) -> Result<Vec<u8>> {
    let mut bytes = vec![0; value.size()];
    let len = get(socket(file)?, level, name, &mut bytes)?;
    bytes.truncate(len);
    if let (Value::Error, Ok(number)) = (value, bytes[..].try_into()) {
        let error = libc::c_int::from_ne_bytes(number);
        let told = match error {
            0 => 0,
            _ => i32::from(Errno::from_linux(error).raw()),
        };
        bytes = told.to_ne_bytes().to_vec();
    }
    Ok(bytes)
}

/// `setsockopt` with a value that was checked.
pub fn set_option(file: &HostFile, level: i32, name: i32, value: &[u8]) -> Result<()> {
    let (fd, len) = (socket(file)?, value.len() as libc::socklen_t);
    // SAFETY: the call reads the bytes that the length says.
    done(unsafe { libc::setsockopt(fd, level, name, value.as_ptr().cast(), len) }).map(drop)
}

/// Whether it is a socket that listens.
pub fn listens(file: &HostFile) -> Result<bool> {
    let name = libc::SO_ACCEPTCONN;
    Ok(option(file, libc::SOL_SOCKET, name, Value::Number)? != [0; 4])
}

/// What `recvmsg` reports beside the bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Received {
    /// Bytes that were put into the vectors; of a datagram, with `MSG_TRUNC`, that it had.
    pub bytes: u32,
    /// A datagram was longer than the vectors.
    pub truncated: bool,
    /// A record ends here.
    pub end_of_record: bool,
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

/// `recvmsg` with these of Linux's flags; may wait. Where `from` is given it gets the sender's
/// address.
pub fn receive(
    file: &HostFile,
    into: &Iovecs<'_>,
    flags: libc::c_int,
    from: Option<&mut HostAddress>,
) -> Result<Received> {
    let fd = socket(file)?;
    let mut header = message(into);
    let mut sender = from;
    if let Some(sender) = sender.as_deref_mut() {
        *sender = HostAddress::room();
        header.msg_namelen = sender.len();
        header.msg_name = sender.as_mut_ptr().cast();
    }
    // SAFETY: the header's vectors are ranges of the guest's memory that `into` borrows mutably,
    // its address has the room that its length says; no room for control data is given, so no
    // descriptor can arrive.
    let got = unsafe { libc::recvmsg(fd, &mut header, flags) };
    let bytes = u32::try_from(got).map_err(|_| Errno::last())?;
    if let Some(sender) = sender {
        *sender.len_mut() = header.msg_namelen;
    }
    Ok(Received {
        bytes,
        truncated: header.msg_flags & libc::MSG_TRUNC != 0,
        end_of_record: header.msg_flags & libc::MSG_EOR != 0,
    })
}

/// `sendmsg` with these of Linux's flags, and never a signal of the host's; may wait.
pub fn send(
    file: &HostFile,
    from: &Iovecs<'_>,
    flags: libc::c_int,
    to: Option<&HostAddress>,
) -> Result<u32> {
    let fd = socket(file)?;
    let mut header = message(from);
    if let Some(to) = to {
        header.msg_namelen = to.len();
        header.msg_name = to.as_ptr().cast_mut().cast();
    }
    // SAFETY: as in `receive`; the host's kernel only reads.
    let sent = unsafe { libc::sendmsg(fd, &header, flags | libc::MSG_NOSIGNAL) };
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

#[cfg(test)]
mod tests {
    use super::Sort;
    use crate::errno::Errno;

    #[test]
    fn only_these_sorts_exist() {
        let mut fit = Vec::new();
        for domain in 0..64 {
            for kind in 0..16 {
                for protocol in [0, 1, 6, 17, 58, 132, 255, 262] {
                    match Sort::new(domain, kind, protocol) {
                        Ok(_) => fit.push((domain, kind, protocol)),
                        Err(errno) if [1, 2, 10].contains(&domain) => {
                            assert_eq!(errno, Errno::PROTONOSUPPORT);
                        }
                        Err(errno) => assert_eq!(errno, Errno::AFNOSUPPORT),
                    }
                }
            }
        }
        let local = [(1, 1, 0), (1, 2, 0), (1, 5, 0)];
        let internet = |domain| {
            [
                (domain, 1, 0),
                (domain, 1, 6),
                (domain, 2, 0),
                (domain, 2, 17),
            ]
        };
        assert_eq!(fit, [&local[..], &internet(2), &internet(10)].concat());
    }
}
