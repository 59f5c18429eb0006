//! Addresses of sockets as guests write them: Linux's structures, byte for byte.

use super::Result;
use super::local::Names;
use crate::errno::Errno;

/// The longest address a guest can give or get: Linux's `sockaddr_storage`.
pub const MAX: usize = 128;

const FAMILY: usize = 2;
const INET: usize = 16;
/// With the scope, and as it was before there was one.
const INET6: usize = 28;
const INET6_OLD: usize = 24;
/// Bytes of a local socket's path.
pub const LOCAL_PATH: usize = 108;

/// An address as the host's kernel takes and gives it.
#[repr(C, align(8))]
#[derive(Clone, Copy)]
pub struct HostAddress {
    bytes: [u8; MAX],
    len: libc::socklen_t,
}

impl HostAddress {
    /// Room for one.
    #[must_use]
    pub fn room() -> HostAddress {
        HostAddress {
            bytes: [0; MAX],
            len: MAX as libc::socklen_t,
        }
    }

    fn of(bytes: &[u8]) -> HostAddress {
        let mut address = Self::room();
        address.bytes[..bytes.len()].copy_from_slice(bytes);
        // Not more than `MAX`.
        address.len = bytes.len() as libc::socklen_t;
        address
    }

    /// A local socket's, by a path that the host's kernel finds. `ENAMETOOLONG`.
    pub(super) fn local(path: &[u8]) -> Result<HostAddress> {
        if path.len() >= LOCAL_PATH {
            return Err(Errno::NAMETOOLONG);
        }
        let family = (libc::AF_UNIX as u16).to_ne_bytes();
        Ok(Self::of(&[&family, path, b"\0"].concat()))
    }

    /// What the host's kernel reads.
    #[must_use]
    pub fn as_ptr(&self) -> *const libc::sockaddr {
        self.bytes.as_ptr().cast()
    }

    /// Where the host's kernel writes.
    pub fn as_mut_ptr(&mut self) -> *mut libc::sockaddr {
        self.bytes.as_mut_ptr().cast()
    }

    /// How many bytes of it count.
    #[must_use]
    pub fn len(&self) -> libc::socklen_t {
        self.len
    }

    /// Whether there is none, as where a stream's peer is asked for.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Where the host's kernel says how many bytes count.
    pub fn len_mut(&mut self) -> &mut libc::socklen_t {
        &mut self.len
    }

    /// As the guest gets it: local sockets by the names that guests gave them, others unnamed.
    #[must_use]
    pub fn for_guest(&self, names: &Names) -> Vec<u8> {
        let bytes = &self.bytes[..MAX.min(self.len as usize)];
        let Some(family) = bytes.get(..FAMILY) else {
            return Vec::new();
        };
        match libc::c_int::from(u16::from_ne_bytes([family[0], family[1]])) {
            libc::AF_INET | libc::AF_INET6 => bytes.to_vec(),
            libc::AF_UNIX => {
                let path = bytes[FAMILY..].split(|byte| *byte == 0).next();
                let name = path.and_then(|path| names.guest_name(path));
                match name {
                    Some(name) => [family, &name[..], b"\0"].concat(),
                    None => family.to_vec(),
                }
            }
            _ => family.to_vec(),
        }
    }
}

/// An address that a guest gave.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum GuestAddress<'a> {
    /// None at all (`AF_UNSPEC`): takes away what a datagram socket is connected to.
    Nobody,
    /// Of the internet, whole.
    Internet(&'a [u8]),
    /// The path of a local socket.
    Local(&'a [u8]),
}

impl<'a> GuestAddress<'a> {
    /// Reads one. `EINVAL` for one that is cut short, too long, or local and without a path:
    /// abstract names belong to the network namespace, where others than this container may
    /// listen. `EAFNOSUPPORT` for other families.
    pub fn read(bytes: &'a [u8]) -> Result<GuestAddress<'a>> {
        if bytes.len() > MAX {
            return Err(Errno::INVAL);
        }
        let (family, rest) = bytes.split_first_chunk::<FAMILY>().ok_or(Errno::INVAL)?;
        match libc::c_int::from(u16::from_le_bytes(*family)) {
            libc::AF_UNSPEC => Ok(GuestAddress::Nobody),
            libc::AF_INET if bytes.len() >= INET => Ok(GuestAddress::Internet(&bytes[..INET])),
            libc::AF_INET6 if bytes.len() >= INET6_OLD => {
                Ok(GuestAddress::Internet(&bytes[..bytes.len().min(INET6)]))
            }
            libc::AF_INET | libc::AF_INET6 => Err(Errno::INVAL),
            libc::AF_UNIX => {
                let path = rest.split(|byte| *byte == 0).next().unwrap_or(rest);
                if path.is_empty() || rest.len() > LOCAL_PATH {
                    Err(Errno::INVAL)
                } else {
                    Ok(GuestAddress::Local(path))
                }
            }
            _ => Err(Errno::AFNOSUPPORT),
        }
    }
}

/// An address of the internet for the host's kernel. The layouts are the same, but for the order of
/// the family's bytes on machines that are not little-endian.
#[must_use]
pub fn internet(bytes: &[u8]) -> HostAddress {
    let mut address = HostAddress::of(bytes);
    let family = u16::from_le_bytes([address.bytes[0], address.bytes[1]]);
    address.bytes[..FAMILY].copy_from_slice(&family.to_ne_bytes());
    address
}

/// The address that is none.
#[must_use]
pub fn nobody() -> HostAddress {
    HostAddress::of(&[0; FAMILY])
}

#[cfg(test)]
mod tests {
    use super::{GuestAddress, HostAddress, LOCAL_PATH, MAX, Names};
    use crate::errno::Errno;

    fn with(family: u16, rest: &[u8]) -> Vec<u8> {
        [&family.to_le_bytes(), rest].concat()
    }

    #[test]
    fn addresses_are_whole_or_refused() {
        let v4 = with(2, &[0; 14]);
        assert_eq!(GuestAddress::read(&v4), Ok(GuestAddress::Internet(&v4)));
        let padded = with(2, &[0; 30]);
        assert_eq!(
            GuestAddress::read(&padded),
            Ok(GuestAddress::Internet(&v4[..]))
        );
        let v6 = with(10, &[0; 26]);
        assert_eq!(GuestAddress::read(&v6), Ok(GuestAddress::Internet(&v6)));
        assert_eq!(
            GuestAddress::read(&v6[..24]),
            Ok(GuestAddress::Internet(&v6[..24]))
        );
        for short in [&v4[..15], &v6[..23], &v4[..1], &[]] {
            assert_eq!(GuestAddress::read(short), Err(Errno::INVAL));
        }
        assert_eq!(GuestAddress::read(&[0, 0]), Ok(GuestAddress::Nobody));
        let long = with(2, &[0; MAX]);
        assert_eq!(GuestAddress::read(&long), Err(Errno::INVAL));
    }

    #[test]
    fn no_other_family_exists() {
        for family in (3..10).chain(11..=u16::MAX) {
            let address = with(family, &[0; 26]);
            assert_eq!(
                GuestAddress::read(&address),
                Err(Errno::AFNOSUPPORT),
                "{family}"
            );
        }
    }

    #[test]
    fn a_local_name_is_a_path() {
        let read = |rest: &[u8]| match GuestAddress::read(&with(1, rest)) {
            Ok(GuestAddress::Local(path)) => Ok(path.to_vec()),
            Ok(other) => panic!("{other:?}"),
            Err(errno) => Err(errno),
        };
        assert_eq!(read(b"/run/s"), Ok(b"/run/s".to_vec()));
        assert_eq!(read(b"/run/s\0junk"), Ok(b"/run/s".to_vec()));
        // Neither an abstract name nor the wish for one.
        assert_eq!(read(b"\0abstract"), Err(Errno::INVAL));
        assert_eq!(read(b""), Err(Errno::INVAL));
        assert_eq!(read(&[b'a'; LOCAL_PATH]), Ok(vec![b'a'; LOCAL_PATH]));
        assert_eq!(read(&[b'a'; LOCAL_PATH + 1]), Err(Errno::INVAL));
    }

    #[test]
    fn names_of_strangers_are_not_told() {
        let names = Names::default();
        for path in [&b"/proc/self/fd/7/s"[..], b"/run/real", b"\0abstract"] {
            let address = HostAddress::local(path).unwrap();
            assert_eq!(address.for_guest(&names), with(1, b""));
        }
        let mut odd = HostAddress::local(b"").unwrap();
        odd.bytes[0] = 16;
        assert_eq!(odd.for_guest(&names), with(16, b""));
        *odd.len_mut() = 1;
        assert_eq!(odd.for_guest(&names), b"");
    }
}
