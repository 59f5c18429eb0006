//! What the functions that take a directory and a path have in common.

use crate::descriptor::{Descriptor, FdTable};
use crate::errno::Errno;
use crate::fs::open::OpenRequest;
use crate::fs::resolve::Base;
use crate::fs::rights::FdRights;
use crate::fs::{Context, GUEST_CWD, Vfs};
use crate::process::{HostResult, ProcState};
use crate::wasi::HostCx;

/// Where a path is in the guest's memory.
#[derive(Clone, Copy)]
pub(crate) struct PathArg {
    /// The directory's descriptor.
    pub dir: u32,
    /// Address of the text.
    pub path: u32,
    /// Its length in bytes.
    pub len: u32,
}

/// The rights that nothing opened from a directory gets; `ENOTCAPABLE` if one that the request needs
/// over it was given up.
fn withheld(proc: &ProcState, dir: u32, request: &OpenRequest) -> Result<FdRights, Errno> {
    if dir == GUEST_CWD {
        return Ok(FdRights::NONE);
    }
    let descriptor = proc.fds.get(dir)?;
    descriptor.require(needed(request))?;
    Ok(descriptor.withheld())
}

/// The rights over the directory that an open begins from.
fn needed(request: &OpenRequest) -> FdRights {
    let also = |does, right| if does { right } else { FdRights::NONE };
    FdRights::PATH_OPEN
        .with(also(request.create, FdRights::PATH_CREATE_FILE))
        .with(also(request.truncate, FdRights::PATH_FILESTAT_SET_SIZE))
}

fn require(fds: &FdTable, dir: u32, needed: FdRights) -> Result<(), Errno> {
    if dir == GUEST_CWD {
        Ok(())
    } else {
        fds.get(dir)?.require(needed)
    }
}

/// Runs `action` on a path of the guest's.
pub(crate) fn at<T>(
    cx: &HostCx<'_>,
    arg: PathArg,
    needed: FdRights,
    mut action: impl FnMut(&Vfs, &Context<'_>, Base<'_>, &[u8]) -> Result<T, Errno>,
) -> HostResult<T> {
    let path = cx.mem.slice(arg.path, arg.len)?;
    require(&cx.proc.fds, arg.dir, needed)?;
    let ctx = cx.proc.fs_context();
    let base = ctx.base(arg.dir)?;
    cx.proc
        .kill
        .interruptible(|| action(&cx.proc.vfs, &ctx, base, path))
}

/// Opens a path of the guest's for a table in which there is room, with what the directory leaves it.
pub(crate) fn open(cx: &HostCx<'_>, arg: PathArg, request: &OpenRequest) -> HostResult<Descriptor> {
    let path = cx.mem.slice(arg.path, arg.len)?;
    let withheld = withheld(cx.proc, arg.dir, request)?;
    cx.proc.fds.check_room()?;
    let ctx = cx.proc.fs_context();
    let from = ctx.base(arg.dir)?;
    let opened = cx
        .proc
        .kill
        .interruptible(|| cx.proc.vfs.open(&ctx, from, path, request))?;
    Ok(opened.less(withheld))
}

/// Runs `action` on two paths of the guest's.
pub(super) fn at_both(
    cx: &HostCx<'_>,
    from: (PathArg, FdRights),
    to: (PathArg, FdRights),
    mut action: impl FnMut(
        &Vfs,
        &Context<'_>,
        (Base<'_>, &[u8]),
        (Base<'_>, &[u8]),
    ) -> Result<(), Errno>,
) -> HostResult {
    let (from, from_right) = from;
    at(cx, to.0, to.1, |vfs, ctx, base, path| {
        require(ctx.fds, from.dir, from_right)?;
        let from_path = cx.mem.slice(from.path, from.len)?;
        action(vfs, ctx, (ctx.base(from.dir)?, from_path), (base, path))
    })
}

/// Whether `lookup` says to follow a link at the end; unknown bits are `EINVAL`.
pub(super) fn follows(lookup: u32) -> Result<bool, Errno> {
    match lookup {
        0 => Ok(false),
        1 => Ok(true),
        _ => Err(Errno::INVAL),
    }
}
