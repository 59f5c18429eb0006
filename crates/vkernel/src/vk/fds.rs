//! Pipes, and descriptors as POSIX knows them.

use rustix::pipe::{PipeFlags, pipe_with};

use super::MODULE;
use crate::descriptor::{Descriptor, HostFile, OpenFile};
use crate::errno::Errno;
use crate::fs::{io, open::StatusFlags};
use crate::host::HostLinker;
use crate::host_fn;
use crate::process::{HostResult, ProcState};
use crate::wasi::HostCx;

/// Offers this family's functions.
pub fn register(linker: &mut HostLinker<'_>) -> wasmtime::Result<()> {
    host_fn!(MODULE, linker, VkPipe, pipe(ends: u32, flags: u32));
    host_fn!(MODULE, linker, VkDup, dup(fd: u32, made: u32));
    host_fn!(MODULE, linker, VkDup2, dup2(from: u32, to: u32, flags: u32));
    host_fn!(MODULE, linker, VkFcntl, fcntl(fd: u32, command: u32, argument: u32, result: u32));
    Ok(())
}

/// Flag of `pipe` and `dup2`: closed when a program is executed.
const CLOEXEC: u32 = 1;
/// Flag of `pipe`: neither end waits.
const NONBLOCK: u32 = 2;

fn pipe(cx: &mut HostCx<'_>, ends: u32, flags: u32) -> HostResult {
    cx.mem.slice(ends, 8)?;
    let (read, write) = make_pipe(cx.proc, flags)?;
    Ok(cx
        .mem
        .write_u64(ends, u64::from(read) | u64::from(write) << 32)?)
}

/// The two ends of a new pipe.
pub(super) fn make_pipe(proc: &mut ProcState, flags: u32) -> Result<(u32, u32), Errno> {
    if flags & !(CLOEXEC | NONBLOCK) != 0 {
        return Err(Errno::INVAL);
    }
    let mut how = PipeFlags::CLOEXEC;
    how.set(PipeFlags::NONBLOCK, flags & NONBLOCK != 0);
    let (read, write) = pipe_with(how).map_err(crate::fs::host_limit)?;
    let closing = flags & CLOEXEC != 0;
    let fds = &mut proc.fds;
    let end = |fd, reads| {
        let file = Descriptor::new(OpenFile::Host(HostFile::pipe_end(fd, reads)));
        file.closing_on_exec(closing)
    };
    let read = fds.insert(end(read, true))?;
    match fds.insert(end(write, false)) {
        Ok(write) => Ok((read, write)),
        Err(error) => {
            fds.remove(read)?;
            Err(error)
        }
    }
}

fn dup(cx: &mut HostCx<'_>, fd: u32, made: u32) -> HostResult {
    cx.mem.slice(made, 4)?;
    let number = duplicate(cx.proc, fd, 0, false)?;
    Ok(cx.mem.write_u32(made, number)?)
}

fn duplicate(proc: &mut ProcState, fd: u32, from: u32, closing: bool) -> Result<u32, Errno> {
    let copy = proc.fds.get(fd)?.duplicate().closing_on_exec(closing);
    if from >= proc.fds.limit() {
        return Err(Errno::INVAL);
    }
    proc.fds.insert_from(copy, from)
}

fn dup2(cx: &mut HostCx<'_>, from: u32, to: u32, flags: u32) -> HostResult {
    if flags & !CLOEXEC != 0 {
        return Err(Errno::INVAL.into());
    }
    Ok(cx.proc.fds.duplicate_to(from, to, flags & CLOEXEC != 0)?)
}

const F_DUPFD: u32 = 0;
const F_GETFD: u32 = 1;
const F_SETFD: u32 = 2;
const F_GETFL: u32 = 3;
const F_SETFL: u32 = 4;
const F_DUPFD_CLOEXEC: u32 = 1030;

const FD_CLOEXEC: u32 = 1;

/// Status flags in `F_GETFL` and `F_SETFL`; the access mode is in the two lowest bits.
const O_WRONLY: u32 = 1;
const O_RDWR: u32 = 2;
const O_APPEND: u32 = 0o2000;
const O_NONBLOCK: u32 = 0o4000;

fn fcntl(cx: &mut HostCx<'_>, fd: u32, command: u32, argument: u32, result: u32) -> HostResult {
    cx.mem.slice(result, 4)?;
    let value = match command {
        F_DUPFD | F_DUPFD_CLOEXEC => duplicate(cx.proc, fd, argument, command == F_DUPFD_CLOEXEC)?,
        F_GETFD => u32::from(cx.proc.fds.get(fd)?.closes_on_exec()),
        F_SETFD => {
            let descriptor = cx.proc.fds.get_mut(fd)?;
            descriptor.set_close_on_exec(argument & FD_CLOEXEC != 0);
            0
        }
        F_GETFL => status(cx.proc.fds.get(fd)?)?,
        F_SETFL => {
            set_status(cx.proc.fds.get(fd)?, argument)?;
            0
        }
        _ => return Err(Errno::INVAL.into()),
    };
    Ok(cx.mem.write_u32(result, value)?)
}

fn status(descriptor: &Descriptor) -> Result<u32, Errno> {
    let OpenFile::Host(file) = descriptor.file() else {
        return Ok(0);
    };
    let flags = io::status_flags(file)?;
    let mode = match (file.readable(), file.writable()) {
        (true, true) => O_RDWR,
        (false, true) => O_WRONLY,
        _ => 0,
    };
    let bit = |set, bit| if set { bit } else { 0 };
    Ok(mode | bit(flags.append, O_APPEND) | bit(flags.nonblock, O_NONBLOCK))
}

/// Only appending and waiting can be changed; other bits are ignored, as on Linux.
fn set_status(descriptor: &Descriptor, wanted: u32) -> Result<(), Errno> {
    descriptor.require(crate::fs::rights::FdRights::SET_FLAGS)?;
    let file = descriptor.host(Errno::BADF)?;
    let now = io::status_flags(file)?;
    let wanted = StatusFlags {
        append: wanted & O_APPEND != 0,
        nonblock: wanted & O_NONBLOCK != 0,
        ..now
    };
    io::set_status_flags(file, wanted)
}
