//! Files as POSIX knows them: opened with a mode, their status with permissions and owner, and
//! changing these.

use super::MODULE;
use super::request::Open;
use crate::errno::Errno;
use crate::fs::rights::FdRights;
use crate::fs::status::{self, Owner};
use crate::host::HostLinker;
use crate::host_fn;
use crate::process::HostResult;
use crate::rights::HostCall;
use crate::wasi::HostCx;
use crate::wasi::paths::{self, PathArg, at};

/// Offers this family's functions.
pub fn register(linker: &mut HostLinker<'_>) -> wasmtime::Result<()> {
    host_fn!(
        MODULE,
        linker,
        VkOpen,
        open(dir: u32, path: u32, len: u32, flags: u32, mode: u32, opened: u32)
    );
    host_fn!(
        MODULE,
        linker,
        VkStat,
        stat(dir: u32, path: u32, len: u32, flags: u32, into: u32)
    );
    host_fn!(MODULE, linker, VkFstat, fstat(fd: u32, into: u32));
    host_fn!(
        MODULE,
        linker,
        VkChmod,
        chmod(dir: u32, path: u32, len: u32, mode: u32, flags: u32)
    );
    host_fn!(MODULE, linker, VkFchmod, fchmod(fd: u32, mode: u32));
    host_fn!(
        MODULE,
        linker,
        VkChown,
        chown(dir: u32, path: u32, len: u32, uid: u32, gid: u32, flags: u32)
    );
    host_fn!(MODULE, linker, VkFchown, fchown(fd: u32, uid: u32, gid: u32));
    host_fn!(MODULE, linker, VkMkdir, mkdir(dir: u32, path: u32, len: u32, mode: u32));
    host_fn!(MODULE, linker, VkMkfifo, mkfifo(dir: u32, path: u32, len: u32, mode: u32));
    Ok(())
}

/// Whether a link at the end of a path is followed: flag 1 says that it is not.
fn follows(flags: u32) -> Result<bool, Errno> {
    match flags {
        0 => Ok(true),
        1 => Ok(false),
        _ => Err(Errno::INVAL),
    }
}

fn open(
    cx: &mut HostCx<'_>,
    dir: u32,
    path: u32,
    len: u32,
    flags: u32,
    mode: u32,
    opened: u32,
) -> HostResult {
    let open = Open::new(flags, mode)?;
    let request = open.request();
    for (needed, call) in [
        (request.write && !request.directory, HostCall::VkOpenWrite),
        (request.create, HostCall::VkOpenCreate),
        (request.truncate, HostCall::VkOpenTruncate),
    ] {
        if needed {
            cx.proc.require(call)?;
        }
    }
    cx.mem.slice(opened, 4)?;
    let descriptor = paths::open(cx, PathArg { dir, path, len }, &request)?;
    let descriptor = descriptor.closing_on_exec(open.closes_on_exec());
    let fd = cx.proc.fds.insert(descriptor)?;
    Ok(cx.mem.write_u32(opened, fd)?)
}

fn stat(cx: &mut HostCx<'_>, dir: u32, path: u32, len: u32, flags: u32, into: u32) -> HostResult {
    let follow = follows(flags)?;
    let arg = PathArg { dir, path, len };
    let found = at(
        cx,
        arg,
        FdRights::PATH_FILESTAT_GET,
        |vfs, ctx, base, path| vfs.status(ctx, base, path, follow),
    )?;
    Ok(cx.mem.write(into, &found.encode())?)
}

fn fstat(cx: &mut HostCx<'_>, fd: u32, into: u32) -> HostResult {
    let descriptor = cx.proc.fds.get(fd)?;
    descriptor.require(FdRights::FILESTAT_GET)?;
    let found = status::status_of(descriptor.file())?;
    Ok(cx.mem.write(into, &found.encode())?)
}

/// What preview 1 has that comes closest to changing permissions, where a directory's rights were
/// restricted.
const CHANGING: FdRights = FdRights::PATH_FILESTAT_SET_TIMES;

fn chmod(cx: &mut HostCx<'_>, dir: u32, path: u32, len: u32, mode: u32, flags: u32) -> HostResult {
    let follow = follows(flags)?;
    let arg = PathArg { dir, path, len };
    at(cx, arg, CHANGING, |vfs, ctx, base, path| {
        vfs.set_mode(ctx, base, path, follow, mode)
    })
}

fn fchmod(cx: &mut HostCx<'_>, fd: u32, mode: u32) -> HostResult {
    let descriptor = cx.proc.fds.get(fd)?;
    descriptor.require(FdRights::FILESTAT_SET_TIMES)?;
    Ok(status::set_mode_of(descriptor.file(), mode)?)
}

fn chown(
    cx: &mut HostCx<'_>,
    dir: u32,
    path: u32,
    len: u32,
    uid: u32,
    gid: u32,
    flags: u32,
) -> HostResult {
    let follow = follows(flags)?;
    let (arg, owner) = (PathArg { dir, path, len }, Owner { uid, gid });
    at(cx, arg, CHANGING, |vfs, ctx, base, path| {
        vfs.set_owner(ctx, base, path, follow, owner)
    })
}

fn fchown(cx: &mut HostCx<'_>, fd: u32, uid: u32, gid: u32) -> HostResult {
    let descriptor = cx.proc.fds.get(fd)?;
    descriptor.require(FdRights::FILESTAT_SET_TIMES)?;
    Ok(status::set_owner_of(descriptor.file(), Owner { uid, gid })?)
}

fn mkdir(cx: &mut HostCx<'_>, dir: u32, path: u32, len: u32, mode: u32) -> HostResult {
    let arg = PathArg { dir, path, len };
    at(
        cx,
        arg,
        FdRights::PATH_CREATE_DIRECTORY,
        |vfs, ctx, base, path| vfs.create_directory(ctx, base, path, mode),
    )
}

fn mkfifo(cx: &mut HostCx<'_>, dir: u32, path: u32, len: u32, mode: u32) -> HostResult {
    let arg = PathArg { dir, path, len };
    at(
        cx,
        arg,
        FdRights::PATH_CREATE_FILE,
        |vfs, ctx, base, path| vfs.make_fifo(ctx, base, path, mode),
    )
}
