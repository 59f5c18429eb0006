//! `fd_readdir`.

use crate::fs::rights::FdRights;
use crate::host::HostLinker;
use crate::host_fn;
use crate::process::HostResult;
use crate::wasi::HostCx;

/// Offers this family's functions.
pub fn register(linker: &mut HostLinker<'_>) -> wasmtime::Result<()> {
    host_fn!(linker, FdReaddir, fd_readdir(fd: u32, buffer: u32, len: u32, cookie: u64, used: u32));
    Ok(())
}

fn fd_readdir(
    cx: &mut HostCx<'_>,
    fd: u32,
    buffer: u32,
    len: u32,
    cookie: u64,
    used: u32,
) -> HostResult {
    let descriptor = cx.proc.fds.get(fd)?;
    descriptor.require(FdRights::READDIR)?;
    let ctx = cx.proc.fs_context();
    let buffer = cx.mem.slice_mut(buffer, len)?;
    let filled = cx
        .proc
        .vfs
        .read_directory(&ctx, descriptor.file(), cookie, buffer)?;
    // No more than `len`, which is a `u32`.
    Ok(cx.mem.write_u32(used, filled as u32)?)
}
