//! `sock_*`: sockets that were handed in.

use crate::descriptor::{FdTable, HostFile};
use crate::errno::Errno;
use crate::fs::rights::FdRights;
use crate::host::HostLinker;
use crate::host_fn;
use crate::net::sock;
use crate::process::HostResult;
use crate::wasi::HostCx;
use crate::wasi::fd_rw::write_or_end;

/// `riflags`: leave the bytes where they are.
const PEEK: u32 = 1;
/// `riflags`: wait for as many bytes as fit.
const WAITALL: u32 = 2;
/// `fdflags`: the only one that makes sense for a new connection.
const NONBLOCK: u32 = 4;
/// `roflags`: the datagram was longer.
const TRUNCATED: u16 = 1;

/// Offers this family's functions.
pub fn register(linker: &mut HostLinker<'_>) -> wasmtime::Result<()> {
    host_fn!(linker, SockAccept, sock_accept(fd: u32, flags: u32, opened: u32));
    host_fn!(
        linker,
        SockRecv,
        sock_recv(fd: u32, vectors: u32, count: u32, flags: u32, moved: u32, out_flags: u32)
    );
    host_fn!(
        linker,
        SockSend,
        sock_send(fd: u32, vectors: u32, count: u32, flags: u32, moved: u32)
    );
    host_fn!(linker, SockShutdown, sock_shutdown(fd: u32, how: u32));
    Ok(())
}

pub(crate) fn host(fds: &FdTable, fd: u32, needed: FdRights) -> Result<&HostFile, Errno> {
    let descriptor = fds.get(fd)?;
    descriptor.require(needed)?;
    descriptor.host(Errno::NOTSOCK)
}

fn sock_accept(cx: &mut HostCx<'_>, fd: u32, flags: u32, opened: u32) -> HostResult {
    if flags & !NONBLOCK != 0 {
        return Err(Errno::INVAL.into());
    }
    cx.mem.slice(opened, 4)?;
    cx.proc.fds.check_room()?;
    let file = host(&cx.proc.fds, fd, FdRights::SOCK_ACCEPT)?;
    let connection = cx
        .proc
        .kill
        .interruptible(|| sock::accept(file, flags & NONBLOCK != 0, None))?;
    let number = cx.proc.fds.insert(connection)?;
    Ok(cx.mem.write_u32(opened, number)?)
}

fn sock_recv(
    cx: &mut HostCx<'_>,
    fd: u32,
    vectors: u32,
    count: u32,
    flags: u32,
    moved: u32,
    out_flags: u32,
) -> HostResult {
    if flags & !(PEEK | WAITALL) != 0 {
        return Err(Errno::INVAL.into());
    }
    let file = host(&cx.proc.fds, fd, FdRights::READ)?;
    let into = cx.mem.iovecs(vectors, count)?;
    let bit = |asked: u32, flag| if flags & asked != 0 { flag } else { 0 };
    let how = bit(PEEK, libc::MSG_PEEK) | bit(WAITALL, libc::MSG_WAITALL);
    let got = cx
        .proc
        .kill
        .interruptible(|| sock::receive(file, &into, how, None))?;
    let flags = if got.truncated { TRUNCATED } else { 0 };
    cx.mem.write_u32(moved, got.bytes)?;
    Ok(cx.mem.write(out_flags, &flags.to_le_bytes())?)
}

fn sock_send(
    cx: &mut HostCx<'_>,
    fd: u32,
    vectors: u32,
    count: u32,
    flags: u32,
    moved: u32,
) -> HostResult {
    if flags != 0 {
        return Err(Errno::INVAL.into());
    }
    let file = host(&cx.proc.fds, fd, FdRights::WRITE)?;
    let from = cx.mem.iovecs(vectors, count)?;
    let bytes = write_or_end(cx.proc, || sock::send(file, &from, 0, None))?;
    Ok(cx.mem.write_u32(moved, bytes)?)
}

fn sock_shutdown(cx: &mut HostCx<'_>, fd: u32, how: u32) -> HostResult {
    let file = host(&cx.proc.fds, fd, FdRights::SOCK_SHUTDOWN)?;
    Ok(sock::shutdown(file, how)?)
}
