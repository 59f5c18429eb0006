//! The options of sockets that guests may ask for and set: a list of those allowed. What is not in
//! it names devices, marks, filters or other processes, or nobody has asked for it yet.

use super::Result;
use crate::errno::Errno;

/// What an option's value is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Value {
    /// A number of 32 bits.
    Number,
    /// A number of 32 bits that is an error; told as preview 1's.
    Error,
    /// Seconds and microseconds, 64 bits each.
    Time,
    /// Two numbers: whether `close` waits, and how long. Only not at all: a process that ends
    /// waits for nobody.
    Linger,
    /// Two addresses of 4 bytes: a group, and the interface it is joined on.
    Group4,
    /// An address of 16 bytes and the number of an interface.
    Group6,
}

impl Value {
    /// Its size in bytes.
    #[must_use]
    pub fn size(self) -> usize {
        match self {
            Value::Number | Value::Error => 4,
            Value::Linger | Value::Group4 => 8,
            Value::Time => 16,
            Value::Group6 => 20,
        }
    }

    /// The value for the host's kernel, cut to its size. `EINVAL` for one that is shorter, or that
    /// no guest may set.
    pub fn checked(self, value: &[u8]) -> Result<&[u8]> {
        let value = value.get(..self.size()).ok_or(Errno::INVAL)?;
        let waits = |value: &[u8]| value[..4] != [0; 4] && value[4..] != [0; 4];
        if self == Value::Linger && waits(value) {
            return Err(Errno::INVAL);
        }
        Ok(value)
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum May {
    Get,
    Set,
    Both,
}

const SOCKET: i32 = libc::SOL_SOCKET;
const IP: i32 = libc::IPPROTO_IP;
const TCP: i32 = libc::IPPROTO_TCP;
const IPV6: i32 = libc::IPPROTO_IPV6;

/// Level, number, value, and what may be done with it (`runtime-spec/vkernel-abi.md`, "Options").
#[rustfmt::skip]
const OPTIONS: &[(i32, i32, Value, May)] = &[
    (SOCKET, libc::SO_REUSEADDR, Value::Number, May::Both),
    (SOCKET, libc::SO_TYPE, Value::Number, May::Get),
    (SOCKET, libc::SO_ERROR, Value::Error, May::Get),
    (SOCKET, libc::SO_BROADCAST, Value::Number, May::Both),
    (SOCKET, libc::SO_SNDBUF, Value::Number, May::Both),
    (SOCKET, libc::SO_RCVBUF, Value::Number, May::Both),
    (SOCKET, libc::SO_KEEPALIVE, Value::Number, May::Both),
    (SOCKET, libc::SO_OOBINLINE, Value::Number, May::Both),
    (SOCKET, libc::SO_LINGER, Value::Linger, May::Both),
    (SOCKET, libc::SO_REUSEPORT, Value::Number, May::Both),
    (SOCKET, libc::SO_RCVTIMEO, Value::Time, May::Both),
    (SOCKET, libc::SO_SNDTIMEO, Value::Time, May::Both),
    (SOCKET, libc::SO_ACCEPTCONN, Value::Number, May::Get),
    (SOCKET, libc::SO_PROTOCOL, Value::Number, May::Get),
    (SOCKET, libc::SO_DOMAIN, Value::Number, May::Get),
    (IP, libc::IP_TOS, Value::Number, May::Both),
    (IP, libc::IP_TTL, Value::Number, May::Both),
    (IP, libc::IP_MTU_DISCOVER, Value::Number, May::Both),
    (IP, libc::IP_MULTICAST_TTL, Value::Number, May::Both),
    (IP, libc::IP_MULTICAST_LOOP, Value::Number, May::Both),
    (IP, libc::IP_ADD_MEMBERSHIP, Value::Group4, May::Set),
    (IP, libc::IP_DROP_MEMBERSHIP, Value::Group4, May::Set),
    (TCP, libc::TCP_NODELAY, Value::Number, May::Both),
    (TCP, libc::TCP_MAXSEG, Value::Number, May::Both),
    (TCP, libc::TCP_CORK, Value::Number, May::Both),
    (TCP, libc::TCP_KEEPIDLE, Value::Number, May::Both),
    (TCP, libc::TCP_KEEPINTVL, Value::Number, May::Both),
    (TCP, libc::TCP_KEEPCNT, Value::Number, May::Both),
    (TCP, libc::TCP_DEFER_ACCEPT, Value::Number, May::Both),
    (TCP, libc::TCP_QUICKACK, Value::Number, May::Both),
    (TCP, libc::TCP_USER_TIMEOUT, Value::Number, May::Both),
    (IPV6, libc::IPV6_UNICAST_HOPS, Value::Number, May::Both),
    (IPV6, libc::IPV6_MULTICAST_HOPS, Value::Number, May::Both),
    (IPV6, libc::IPV6_MULTICAST_LOOP, Value::Number, May::Both),
    (IPV6, libc::IPV6_ADD_MEMBERSHIP, Value::Group6, May::Set),
    (IPV6, libc::IPV6_DROP_MEMBERSHIP, Value::Group6, May::Set),
    (IPV6, libc::IPV6_V6ONLY, Value::Number, May::Both),
    (IPV6, libc::IPV6_TCLASS, Value::Number, May::Both),
];

fn find(level: i32, name: i32, not: May) -> Result<Value> {
    OPTIONS
        .iter()
        .find(|row| (row.0, row.1) == (level, name) && row.3 != not)
        .map(|row| row.2)
        .ok_or(Errno::NOPROTOOPT)
}

/// What the option's value is, if it may be asked for: else `ENOPROTOOPT`.
pub fn gettable(level: i32, name: i32) -> Result<Value> {
    find(level, name, May::Set)
}

/// What the option's value is, if it may be set: else `ENOPROTOOPT`.
pub fn settable(level: i32, name: i32) -> Result<Value> {
    find(level, name, May::Get)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_reaches_beyond_the_socket_is_not_an_option() {
        for name in [
            libc::SO_ATTACH_FILTER,
            libc::SO_ATTACH_BPF,
            libc::SO_BINDTODEVICE,
            libc::SO_MARK,
            libc::SO_PASSCRED,
            libc::SO_PEERCRED,
            libc::SO_PEERSEC,
            libc::SO_RCVBUFFORCE,
            libc::SO_SNDBUFFORCE,
            libc::SO_PRIORITY,
            libc::SO_TIMESTAMP,
            libc::SO_ZEROCOPY,
            libc::SO_DEBUG,
        ] {
            assert_eq!(settable(SOCKET, name), Err(Errno::NOPROTOOPT), "{name}");
            assert_eq!(gettable(SOCKET, name), Err(Errno::NOPROTOOPT), "{name}");
        }
        for (level, name) in [
            (IP, libc::IP_OPTIONS),
            (IP, libc::IP_TRANSPARENT),
            (IP, libc::IP_HDRINCL),
            (TCP, libc::TCP_CONGESTION),
            (TCP, libc::TCP_MD5SIG),
            (TCP, libc::TCP_REPAIR),
            (TCP, libc::TCP_ULP),
            (libc::SOL_NETLINK, 1),
            (libc::SOL_UDP, 104),
        ] {
            assert_eq!(
                settable(level, name),
                Err(Errno::NOPROTOOPT),
                "{level} {name}"
            );
        }
        assert_eq!(settable(SOCKET, libc::SO_ERROR), Err(Errno::NOPROTOOPT));
        assert_eq!(
            gettable(IP, libc::IP_ADD_MEMBERSHIP),
            Err(Errno::NOPROTOOPT)
        );
    }

    #[test]
    fn no_close_waits() {
        let linger = |on: u32, seconds: u32| [on.to_le_bytes(), seconds.to_le_bytes()].concat();
        for (on, seconds, allowed) in [(0, 9, true), (1, 0, true), (1, 1, false), (9, 9, false)] {
            let value = linger(on, seconds);
            assert_eq!(
                Value::Linger.checked(&value).is_ok(),
                allowed,
                "{on} {seconds}"
            );
        }
        assert_eq!(Value::Number.checked(&[1, 0, 0]), Err(Errno::INVAL));
        assert_eq!(
            Value::Number.checked(&[1, 0, 0, 0, 7]),
            Ok(&[1, 0, 0, 0][..])
        );
    }
}
