//! The socket calls as a test writes them.

use crate::support::{Arg, Calls, Ours};
use Arg::W;

pub const OUT: u32 = 64;
pub const VECTORS: u32 = 256;
pub const ADDRESS: u32 = 40960;
pub const LEN: u32 = 40952;
pub const VALUE: u32 = 43008;
pub const DATA: u32 = 65536;

pub const UNIX: u32 = 1;
pub const INET: u32 = 2;
pub const INET6: u32 = 10;
pub const STREAM: u32 = 1;
pub const DATAGRAM: u32 = 2;
pub const SEQPACKET: u32 = 5;
pub const NONBLOCK: u32 = 0o4000;
pub const CLOEXEC: u32 = 0o2000000;

pub type Outcome<T> = Result<T, u16>;

pub fn local(path: &str) -> Vec<u8> {
    [&[1, 0], path.as_bytes()].concat()
}

/// As it comes back: with its NUL.
pub fn told(path: &str) -> Vec<u8> {
    [&[1, 0], path.as_bytes(), b"\0"].concat()
}

pub fn inet(address: [u8; 4], port: u16) -> Vec<u8> {
    [&[2, 0], &port.to_be_bytes()[..], &address, &[0; 8]].concat()
}

pub fn inet6_loopback(port: u16) -> Vec<u8> {
    let mut bytes = vec![0; 28];
    bytes[0] = 10;
    bytes[2..4].copy_from_slice(&port.to_be_bytes());
    bytes[23] = 1;
    bytes
}

pub fn port_of(address: &[u8]) -> u16 {
    u16::from_be_bytes([address[2], address[3]])
}

pub trait Sockets: Calls {
    fn socket(&mut self, domain: u32, kind: u32) -> Outcome<u32> {
        self.raw("socket", &[W(domain), W(kind), W(0), W(OUT)])?;
        Ok(self.out32())
    }

    fn pair(&mut self, kind: u32) -> Outcome<(u32, u32)> {
        self.raw("socketpair", &[W(UNIX), W(kind), W(0), W(OUT)])?;
        let both = self.out64();
        Ok((both as u32, (both >> 32) as u32))
    }

    fn bind(&mut self, fd: u32, address: &[u8]) -> Outcome<()> {
        let (at, len) = self.put(ADDRESS, address);
        self.raw("bind", &[W(fd), at, len])
    }

    fn connect(&mut self, fd: u32, address: &[u8]) -> Outcome<()> {
        let (at, len) = self.put(ADDRESS, address);
        self.raw("connect", &[W(fd), at, len])
    }

    fn listen(&mut self, fd: u32) -> Outcome<()> {
        self.raw("listen", &[W(fd), W(16)])
    }

    /// An address that a call wrote.
    fn written(&mut self) -> Vec<u8> {
        let len = u32::from_le_bytes(self.get(LEN, 4).try_into().unwrap());
        self.get(ADDRESS, len)
    }

    fn room(&mut self, room: u32) {
        self.put(LEN, &room.to_le_bytes());
    }

    fn accept(&mut self, fd: u32, flags: u32) -> Outcome<(u32, Vec<u8>)> {
        self.room(128);
        let args = [W(fd), W(flags), W(ADDRESS), W(LEN), W(OUT)];
        self.raw("accept", &args)?;
        Ok((self.out32(), self.written()))
    }

    fn own(&mut self, fd: u32) -> Outcome<Vec<u8>> {
        self.room(128);
        self.raw("getsockname", &[W(fd), W(ADDRESS), W(LEN)])?;
        Ok(self.written())
    }

    fn peer(&mut self, fd: u32) -> Outcome<Vec<u8>> {
        self.room(128);
        self.raw("getpeername", &[W(fd), W(ADDRESS), W(LEN)])?;
        Ok(self.written())
    }

    fn option(&mut self, fd: u32, level: u32, name: u32) -> Outcome<Vec<u8>> {
        self.room(64);
        let args = [W(fd), W(level), W(name), W(VALUE), W(LEN)];
        self.raw("getsockopt", &args)?;
        let len = u32::from_le_bytes(self.get(LEN, 4).try_into().unwrap());
        Ok(self.get(VALUE, len))
    }

    fn set_option(&mut self, fd: u32, level: u32, name: u32, value: &[u8]) -> Outcome<()> {
        let (at, len) = self.put(VALUE, value);
        self.raw("setsockopt", &[W(fd), W(level), W(name), at, len])
    }

    fn send_to(&mut self, fd: u32, data: &[u8], flags: u32, to: &[u8]) -> Outcome<u32> {
        self.put(DATA, data);
        let (list, count) = self.vectors(&[(DATA, data.len() as u32)]);
        let (at, len) = self.put(ADDRESS, to);
        let to = if to.is_empty() { W(0) } else { at };
        let args = [W(fd), list, count, W(flags), to, len, W(OUT)];
        self.raw("sendto", &args)?;
        Ok(self.out32())
    }

    fn send(&mut self, fd: u32, data: &[u8]) -> Outcome<u32> {
        self.send_to(fd, data, 0, &[])
    }

    /// Bytes, flags and the sender's address.
    fn receive_from(&mut self, fd: u32, room: u32, flags: u32) -> Outcome<(Vec<u8>, u32, Vec<u8>)> {
        let (list, count) = self.vectors(&[(DATA, room)]);
        self.room(128);
        let args = [W(fd), list, count, W(flags), W(ADDRESS), W(LEN), W(OUT)];
        self.raw("recvfrom", &args)?;
        let both = self.out64();
        let from = self.written();
        let got = (both as u32).min(room);
        Ok((self.get(DATA, got), (both >> 32) as u32, from))
    }

    fn receive(&mut self, fd: u32) -> Outcome<Vec<u8>> {
        Ok(self.receive_from(fd, 4096, 0)?.0)
    }
}

impl Sockets for Ours {}
