//! `fd_prestat_*`: how a program finds the directories it was started with.

use crate::errno::Errno;
use crate::host::HostLinker;
use crate::host_fn;
use crate::kernel::ROOT_DIR;
use crate::process::HostResult;
use crate::wasi::HostCx;

/// Offers this family's functions.
pub fn register(linker: &mut HostLinker<'_>) -> wasmtime::Result<()> {
    host_fn!(linker, FdPrestatGet, fd_prestat_get(fd: u32, prestat: u32));
    host_fn!(linker, FdPrestatDirName, fd_prestat_dir_name(fd: u32, path: u32, len: u32));
    Ok(())
}

/// The tag of the only kind of prestat there is, a directory.
const PREOPEN_DIR: u32 = 0;

/// The tag of an open descriptor that is none.
const NOT_PREOPENED: u64 = 255;

fn fd_prestat_get(cx: &mut HostCx<'_>, fd: u32, prestat: u32) -> HostResult {
    // A library asks from descriptor 3 upwards until `EBADF`: what was inherited must not end its
    // search.
    let descriptor = cx.proc.fds.get(fd)?;
    let Some(name) = descriptor.preopen_name() else {
        if fd < ROOT_DIR {
            return Err(Errno::BADF.into());
        }
        return Ok(cx.mem.write_u64(prestat, NOT_PREOPENED)?);
    };
    let len = u32::try_from(name.len()).map_err(|_| Errno::NAMETOOLONG)?;
    cx.mem
        .write_u64(prestat, u64::from(PREOPEN_DIR) | u64::from(len) << 32)?;
    Ok(())
}

fn fd_prestat_dir_name(cx: &mut HostCx<'_>, fd: u32, path: u32, len: u32) -> HostResult {
    let name = cx.proc.fds.get(fd)?.preopen_name().ok_or(Errno::BADF)?;
    if name.len() > len as usize {
        return Err(Errno::NAMETOOLONG.into());
    }
    Ok(cx.mem.write(path, name)?)
}
