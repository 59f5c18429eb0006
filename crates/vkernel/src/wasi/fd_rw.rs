//! `fd_read`, `fd_write` and their kin: moving bytes.

use crate::descriptor::{FdTable, HostFile, OpenFile};
use crate::errno::Errno;
use crate::fs::io;
use crate::fs::kind::FileKind;
use crate::fs::rights::FdRights;
use crate::fs::vnode::VNode;
use crate::host::HostLinker;
use crate::host_fn;
use crate::process::{Fail, HostResult, ProcState};
use crate::vk::{control, tty};
use crate::wasi::HostCx;
use crate::wasi::memory::{Iovecs, MAX_IOVECS};

/// Offers this family's functions.
pub fn register(linker: &mut HostLinker<'_>) -> wasmtime::Result<()> {
    host_fn!(linker, FdRead, fd_read(fd: u32, vectors: u32, count: u32, moved: u32));
    host_fn!(linker, FdWrite, fd_write(fd: u32, vectors: u32, count: u32, moved: u32));
    host_fn!(linker, FdPread, fd_pread(fd: u32, vectors: u32, count: u32, at: u64, moved: u32));
    host_fn!(linker, FdPwrite, fd_pwrite(fd: u32, vectors: u32, count: u32, at: u64, moved: u32));
    host_fn!(linker, FdSeek, fd_seek(fd: u32, by: i64, whence: u32, offset: u32));
    host_fn!(linker, FdTell, fd_tell(fd: u32, offset: u32));
    Ok(())
}

/// The host's file behind `fd`. Reading a directory is `EISDIR`, writing one `EBADF`, whether it is
/// real or of the virtual tree; the host's answer would depend on how far it has been listed.
#[inline]
fn host(fds: &FdTable, fd: u32, needed: FdRights) -> Result<&HostFile, Errno> {
    let descriptor = fds.get(fd)?;
    descriptor.require(needed)?;
    match descriptor.file() {
        OpenFile::Host(file) if file.kind() == FileKind::Directory && needed == FdRights::READ => {
            Err(Errno::ISDIR)
        }
        OpenFile::Host(file) => Ok(file),
        OpenFile::Virtual(_) if needed == FdRights::READ => Err(Errno::ISDIR),
        OpenFile::Virtual(_) => Err(Errno::BADF),
    }
}

fn fd_read(cx: &mut HostCx<'_>, fd: u32, vectors: u32, count: u32, moved: u32) -> HostResult {
    let file = match host(&cx.proc.fds, fd, FdRights::READ) {
        Err(_) if is_control(&cx.proc.fds, fd) => return answer(cx, vectors, count, moved),
        file => file?,
    };
    tty::may_read(cx.proc, file)?;
    let into = cx.mem.iovecs(vectors, count)?;
    let bytes = cx.proc.kill.interruptible(|| io::read(file, &into))?;
    Ok(cx.mem.write_u32(moved, bytes)?)
}

fn fd_write(cx: &mut HostCx<'_>, fd: u32, vectors: u32, count: u32, moved: u32) -> HostResult {
    let limit = cx.proc.rlimits.file_size.soft;
    let file = match host(&cx.proc.fds, fd, FdRights::WRITE) {
        Err(_) if is_control(&cx.proc.fds, fd) => return request(cx, vectors, count, moved),
        file => file?,
    };
    tty::may_write(cx.proc, file)?;
    let mut from = cx.mem.iovecs(vectors, count)?;
    if limit != u64::MAX {
        within_size(cx.proc, cut(file, &mut from, None, limit))?;
    }
    let bytes = write_or_end(cx.proc, || io::write(file, &from))?;
    Ok(cx.mem.write_u32(moved, bytes)?)
}

/// Whether a descriptor stands for `/proc/vkernel`.
#[cold]
fn is_control(fds: &FdTable, fd: u32) -> bool {
    (fds.get(fd)).is_ok_and(|found| matches!(found.file(), OpenFile::Virtual(VNode::Control)))
}

/// A write to `/proc/vkernel`: the request is done when it returns.
#[cold]
fn request(cx: &mut HostCx<'_>, vectors: u32, count: u32, moved: u32) -> HostResult {
    cx.mem.slice(moved, 4)?;
    let mut text = Vec::new();
    for at in 0..count.min(MAX_IOVECS) {
        let vector = at.checked_mul(8).and_then(|by| vectors.checked_add(by));
        let vector = vector.ok_or(Errno::FAULT)?;
        let len = cx
            .mem
            .read_u32(vector.checked_add(4).ok_or(Errno::FAULT)?)?;
        // Before it is copied: many vectors may name the same bytes.
        if len as usize > control::MAX_REQUEST - text.len() {
            return Err(Errno::TOOBIG.into());
        }
        text.extend_from_slice(cx.mem.slice(cx.mem.read_u32(vector)?, len)?);
    }
    cx.proc.answer = control::perform(cx.proc, &text)?;
    // Not more than `MAX_REQUEST`.
    Ok(cx.mem.write_u32(moved, text.len() as u32)?)
}

/// A read of `/proc/vkernel`: what the last request was answered, once.
#[cold]
fn answer(cx: &mut HostCx<'_>, vectors: u32, count: u32, moved: u32) -> HostResult {
    let at = if count == 0 {
        0
    } else {
        cx.mem.read_u32(vectors)?
    };
    let room = match count {
        0 => 0,
        _ => cx
            .mem
            .read_u32(vectors.checked_add(4).ok_or(Errno::FAULT)?)?,
    };
    let len = cx.proc.answer.len().min(room as usize);
    cx.mem.write(at, &cx.proc.answer[..len])?;
    cx.proc.answer.drain(..len);
    // Not more than `room`.
    Ok(cx.mem.write_u32(moved, len as u32)?)
}

fn fd_pread(
    cx: &mut HostCx<'_>,
    fd: u32,
    vectors: u32,
    count: u32,
    at: u64,
    moved: u32,
) -> HostResult {
    let file = host(&cx.proc.fds, fd, FdRights::READ)?;
    let into = cx.mem.iovecs(vectors, count)?;
    let bytes = cx.proc.kill.interruptible(|| io::pread(file, &into, at))?;
    Ok(cx.mem.write_u32(moved, bytes)?)
}

fn fd_pwrite(
    cx: &mut HostCx<'_>,
    fd: u32,
    vectors: u32,
    count: u32,
    at: u64,
    moved: u32,
) -> HostResult {
    let limit = cx.proc.rlimits.file_size.soft;
    let file = host(&cx.proc.fds, fd, FdRights::WRITE)?;
    let mut from = cx.mem.iovecs(vectors, count)?;
    if limit != u64::MAX {
        within_size(cx.proc, cut(file, &mut from, Some(at), limit))?;
    }
    let bytes = write_or_end(cx.proc, || io::pwrite(file, &from, at))?;
    Ok(cx.mem.write_u32(moved, bytes)?)
}

/// Shortens a write to what the process's file size limit leaves room for.
fn cut(file: &HostFile, from: &mut Iovecs<'_>, at: Option<u64>, limit: u64) -> Result<(), Errno> {
    let wanted = from.total();
    let allowed = io::within_limit(file, wanted, at, limit)?;
    if allowed < wanted {
        from.truncate(allowed);
    }
    Ok(())
}

/// What was done to a file's size; `EFBIG` under a limit is a `SIGXFSZ` for the process.
#[inline]
pub(crate) fn within_size(proc: &ProcState, done: Result<(), Errno>) -> Result<(), Errno> {
    if done == Err(Errno::FBIG) && proc.rlimits.file_size.soft != u64::MAX {
        proc.kill.post(libc::SIGXFSZ);
    }
    done
}

/// A write; one to a pipe that nobody reads any more is a `SIGPIPE` for the process.
#[inline]
pub(crate) fn write_or_end(
    proc: &ProcState,
    write: impl FnMut() -> Result<u32, Errno>,
) -> HostResult<u32> {
    let written = proc.kill.interruptible(write);
    if written == Err(Fail::Errno(Errno::PIPE)) {
        proc.kill.post(libc::SIGPIPE);
    }
    written
}

fn fd_seek(cx: &mut HostCx<'_>, fd: u32, by: i64, whence: u32, offset: u32) -> HostResult {
    let file = host(&cx.proc.fds, fd, FdRights::SEEK)?;
    let at = io::seek(file, by, whence)?;
    Ok(cx.mem.write_u64(offset, at)?)
}

fn fd_tell(cx: &mut HostCx<'_>, fd: u32, offset: u32) -> HostResult {
    let file = host(&cx.proc.fds, fd, FdRights::TELL)?;
    let at = io::seek(file, 0, 1)?;
    Ok(cx.mem.write_u64(offset, at)?)
}
