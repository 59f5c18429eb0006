//! What a descriptor is and how it behaves: status, size, times, closing, renumbering.

use crate::descriptor::{FdTable, HostFile, OpenFile};
use crate::errno::Errno;
use crate::fs::open::StatusFlags;
use crate::fs::rights::FdRights;
use crate::fs::vnode::VNode;
use crate::fs::{GUEST_CWD, io, kind::FileKind, meta};
use crate::host::HostLinker;
use crate::host_fn;
use crate::process::HostResult;
use crate::vk::control;
use crate::wasi::HostCx;
use crate::wasi::fd_rw::within_size;

/// Offers this family's functions.
pub fn register(linker: &mut HostLinker<'_>) -> wasmtime::Result<()> {
    host_fn!(linker, FdAdvise, fd_advise(fd: u32, start: u64, len: u64, advice: u32));
    host_fn!(linker, FdAllocate, fd_allocate(fd: u32, start: u64, len: u64));
    host_fn!(linker, FdClose, fd_close(fd: u32));
    host_fn!(linker, FdDatasync, fd_datasync(fd: u32));
    host_fn!(linker, FdSync, fd_sync(fd: u32));
    host_fn!(linker, FdFdstatGet, fd_fdstat_get(fd: u32, stat: u32));
    host_fn!(linker, FdFdstatSetFlags, fd_fdstat_set_flags(fd: u32, flags: u32));
    host_fn!(linker, FdFdstatSetRights, fd_fdstat_set_rights(fd: u32, base: u64, inheriting: u64));
    host_fn!(linker, FdFilestatGet, fd_filestat_get(fd: u32, stat: u32));
    host_fn!(linker, FdFilestatSetSize, fd_filestat_set_size(fd: u32, size: u64));
    host_fn!(
        linker,
        FdFilestatSetTimes,
        fd_filestat_set_times(fd: u32, atim: u64, mtim: u64, flags: u32)
    );
    host_fn!(linker, FdRenumber, fd_renumber(from: u32, to: u32));
    Ok(())
}

const APPEND: u32 = 1;
const DSYNC: u32 = 2;
const NONBLOCK: u32 = 4;
const RSYNC: u32 = 8;
const SYNC: u32 = 16;

/// The status flags in preview 1's `fdflags`; unknown bits are `EINVAL`. Linux has no `RSYNC`
/// of its own: it is `SYNC`.
pub(super) fn decode_flags(flags: u32) -> Result<StatusFlags, Errno> {
    if flags & !(APPEND | DSYNC | NONBLOCK | RSYNC | SYNC) != 0 {
        return Err(Errno::INVAL);
    }
    let sync = flags & (SYNC | RSYNC) != 0;
    Ok(StatusFlags {
        append: flags & APPEND != 0,
        dsync: sync || flags & DSYNC != 0,
        nonblock: flags & NONBLOCK != 0,
        sync,
    })
}

fn encode_flags(flags: StatusFlags) -> u16 {
    let bit = |set: bool, bit: u32| if set { bit as u16 } else { 0 };
    bit(flags.append, APPEND)
        | bit(flags.dsync, DSYNC)
        | bit(flags.nonblock, NONBLOCK)
        | bit(flags.sync, SYNC | RSYNC)
}

fn host(fds: &FdTable, fd: u32, needed: FdRights) -> Result<&HostFile, Errno> {
    let descriptor = fds.get(fd)?;
    descriptor.require(needed)?;
    descriptor.host(Errno::BADF)
}

fn fd_advise(cx: &mut HostCx<'_>, fd: u32, start: u64, len: u64, advice: u32) -> HostResult {
    Ok(io::advise(
        host(&cx.proc.fds, fd, FdRights::ADVISE)?,
        start,
        len,
        advice,
    )?)
}

fn fd_allocate(cx: &mut HostCx<'_>, fd: u32, start: u64, len: u64) -> HostResult {
    let limit = cx.proc.rlimits.file_size.soft;
    let file = host(&cx.proc.fds, fd, FdRights::ALLOCATE)?;
    cx.proc
        .kill
        .interruptible(|| within_size(cx.proc, io::allocate(file, start, len, limit)))
}

fn fd_close(cx: &mut HostCx<'_>, fd: u32) -> HostResult {
    cx.proc.fds.remove(fd)?;
    Ok(())
}

fn fd_datasync(cx: &mut HostCx<'_>, fd: u32) -> HostResult {
    let file = host(&cx.proc.fds, fd, FdRights::DATASYNC)?;
    cx.proc.kill.interruptible(|| io::datasync(file))
}

fn fd_sync(cx: &mut HostCx<'_>, fd: u32) -> HostResult {
    let file = host(&cx.proc.fds, fd, FdRights::SYNC)?;
    cx.proc.kill.interruptible(|| io::sync(file))
}

fn fd_fdstat_get(cx: &mut HostCx<'_>, fd: u32, stat: u32) -> HostResult {
    if fd == GUEST_CWD {
        // A library asks what it may open through a directory before it does.
        let status = StatusFlags::default();
        let stat_of_cwd = encode_stat(
            FileKind::Directory,
            status,
            FdRights::DIRECTORY,
            FdRights::ALL,
        );
        return Ok(cx.mem.write(stat, &stat_of_cwd)?);
    }
    let descriptor = cx.proc.fds.get(fd)?;
    let (kind, flags) = match descriptor.file() {
        OpenFile::Host(file) => (file.kind(), io::status_flags(file)?),
        OpenFile::Virtual(VNode::Control) => (FileKind::Regular, StatusFlags::default()),
        OpenFile::Virtual(_) => (FileKind::Directory, StatusFlags::default()),
    };
    let out = encode_stat(kind, flags, descriptor.rights(), descriptor.inheriting());
    Ok(cx.mem.write(stat, &out)?)
}

/// An `fdstat`.
fn encode_stat(
    kind: FileKind,
    flags: StatusFlags,
    rights: FdRights,
    inheriting: FdRights,
) -> [u8; 24] {
    let mut out = [0u8; 24];
    out[0] = kind.wasi();
    out[2..4].copy_from_slice(&encode_flags(flags).to_le_bytes());
    out[8..16].copy_from_slice(&rights.raw().to_le_bytes());
    out[16..24].copy_from_slice(&inheriting.raw().to_le_bytes());
    out
}

fn fd_fdstat_set_flags(cx: &mut HostCx<'_>, fd: u32, flags: u32) -> HostResult {
    let wanted = decode_flags(flags)?;
    Ok(io::set_status_flags(
        host(&cx.proc.fds, fd, FdRights::SET_FLAGS)?,
        wanted,
    )?)
}

fn fd_fdstat_set_rights(cx: &mut HostCx<'_>, fd: u32, base: u64, inheriting: u64) -> HostResult {
    let descriptor = cx.proc.fds.get_mut(fd)?;
    if (base | inheriting) & !FdRights::ALL.raw() != 0 {
        return Err(Errno::INVAL.into());
    }
    Ok(descriptor.restrict(FdRights::from_raw(base), FdRights::from_raw(inheriting))?)
}

fn fd_filestat_get(cx: &mut HostCx<'_>, fd: u32, stat: u32) -> HostResult {
    let descriptor = cx.proc.fds.get(fd)?;
    descriptor.require(FdRights::FILESTAT_GET)?;
    let found = meta::stat_file(descriptor.file())?;
    cx.mem.write(stat, &found.encode())?;
    if cx.proc.locating {
        control::located(cx.proc, fd);
    }
    Ok(())
}

fn fd_filestat_set_size(cx: &mut HostCx<'_>, fd: u32, size: u64) -> HostResult {
    let limit = cx.proc.rlimits.file_size.soft;
    let file = host(&cx.proc.fds, fd, FdRights::FILESTAT_SET_SIZE)?;
    cx.proc
        .kill
        .interruptible(|| within_size(cx.proc, io::set_size(file, size, limit)))
}

fn fd_filestat_set_times(
    cx: &mut HostCx<'_>,
    fd: u32,
    atim: u64,
    mtim: u64,
    flags: u32,
) -> HostResult {
    let times = meta::set_times_from(flags, atim, mtim)?;
    let descriptor = cx.proc.fds.get(fd)?;
    descriptor.require(FdRights::FILESTAT_SET_TIMES)?;
    Ok(meta::set_file_times(descriptor.file(), times)?)
}

fn fd_renumber(cx: &mut HostCx<'_>, from: u32, to: u32) -> HostResult {
    Ok(cx.proc.fds.renumber(from, to)?)
}
