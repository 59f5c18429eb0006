//! `access`: what the host's kernel would say to an open or an execution.

use rustix::fs::Access;

use super::MODULE;
use crate::errno::Errno;
use crate::host::HostLinker;
use crate::host_fn;
use crate::process::HostResult;
use crate::wasi::HostCx;

/// Offers this family's function.
pub fn register(linker: &mut HostLinker<'_>) -> wasmtime::Result<()> {
    host_fn!(
        MODULE,
        linker,
        VkAccess,
        access(dir: u32, path: u32, len: u32, mode: u32, flags: u32)
    );
    Ok(())
}

/// Flag: a link at the end of the path is asked about, not what it leads to.
const NOFOLLOW: u32 = 1;

fn access(cx: &mut HostCx<'_>, dir: u32, path: u32, len: u32, mode: u32, flags: u32) -> HostResult {
    let wanted = Access::from_bits(mode).ok_or(Errno::INVAL)?;
    if flags & !NOFOLLOW != 0 {
        return Err(Errno::INVAL.into());
    }
    let path = cx.mem.slice(path, len)?;
    let ctx = cx.proc.fs_context();
    let base = ctx.base(dir)?;
    Ok(cx
        .proc
        .vfs
        .check_access(&ctx, base, path, wanted, flags & NOFOLLOW == 0)?)
}
