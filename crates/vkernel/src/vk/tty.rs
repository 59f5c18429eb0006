//! Terminals: modes, size, and which group is in the foreground.

use std::os::fd::{AsFd, AsRawFd};

use super::{MODULE, system};
use crate::descriptor::HostFile;
use crate::errno::Errno;
use crate::host::HostLinker;
use crate::host_fn;
use crate::kernel::System;
use crate::process::{HostResult, ProcState};
use crate::wasi::HostCx;

/// Offers this family's functions.
pub fn register(linker: &mut HostLinker<'_>) -> wasmtime::Result<()> {
    host_fn!(MODULE, linker, VkIsatty, isatty(fd: u32));
    host_fn!(MODULE, linker, VkTcgetattr, tcgetattr(fd: u32, modes: u32));
    host_fn!(MODULE, linker, VkTcsetattr, tcsetattr(fd: u32, when: u32, modes: u32));
    host_fn!(MODULE, linker, VkTcgetwinsize, tcgetwinsize(fd: u32, size: u32));
    host_fn!(MODULE, linker, VkTcsetwinsize, tcsetwinsize(fd: u32, size: u32));
    host_fn!(MODULE, linker, VkTcgetpgrp, tcgetpgrp(fd: u32, group: u32));
    host_fn!(MODULE, linker, VkTcsetpgrp, tcsetpgrp(fd: u32, group: u32));
    Ok(())
}

/// Bytes of Linux's `struct termios`, as its system calls have it on every architecture that this
/// runs on.
const TERMIOS: usize = 36;

/// Bytes of `struct winsize`.
const WINSIZE: usize = 8;

fn terminal(proc: &ProcState, fd: u32) -> Result<&HostFile, Errno> {
    let file = proc.fds.get(fd)?.host(Errno::NOTTY)?;
    if file.is_terminal() {
        Ok(file)
    } else {
        Err(Errno::NOTTY)
    }
}

/// One of the `ioctl`s below on a terminal, with a buffer of the size it moves.
fn ioctl<const N: usize>(
    file: &HostFile,
    request: libc::Ioctl,
    bytes: &mut [u8; N],
) -> Result<(), Errno> {
    // SAFETY: every request used here reads or writes exactly the `N` bytes of its structure.
    let done = unsafe { libc::ioctl(file.as_fd().as_raw_fd(), request, bytes.as_mut_ptr()) };
    if done < 0 { Err(Errno::last()) } else { Ok(()) }
}

/// A process that reads from its terminal in the background is stopped until it is in the
/// foreground.
pub(crate) fn may_read(proc: &ProcState, file: &HostFile) -> HostResult {
    if file.is_terminal() {
        may_use(proc, libc::SIGTTIN)
    } else {
        Ok(())
    }
}

/// The same for one that writes there, if the terminal's modes ask for it.
pub(crate) fn may_write(proc: &ProcState, file: &HostFile) -> HostResult {
    let in_background = |system: &System| system.processes().in_background(proc.pid);
    if file.is_terminal() && proc.system.as_ref().is_some_and(in_background) && stops_output(file)?
    {
        may_use(proc, libc::SIGTTOU)
    } else {
        Ok(())
    }
}

/// Whether the terminal's local modes have TOSTOP.
fn stops_output(file: &HostFile) -> Result<bool, Errno> {
    let mut bytes = [0; TERMIOS];
    ioctl(file, libc::TCGETS, &mut bytes)?;
    let local = u32::from_ne_bytes([bytes[12], bytes[13], bytes[14], bytes[15]]);
    Ok(local & libc::TOSTOP != 0)
}

fn may_use(proc: &ProcState, signal: i32) -> HostResult {
    let Some(system) = &proc.system else {
        return Ok(());
    };
    // Stopped and continued, it looks again.
    while let Some(reached) = system.processes().use_terminal(proc.pid, signal)? {
        let others = (reached.into_iter())
            .filter(|token| !token.same(&proc.kill))
            .collect();
        system.reach(others);
        proc.kill.check()?;
    }
    Ok(())
}

fn isatty(cx: &mut HostCx<'_>, fd: u32) -> HostResult {
    terminal(cx.proc, fd)?;
    Ok(())
}

fn tcgetattr(cx: &mut HostCx<'_>, fd: u32, modes: u32) -> HostResult {
    let mut bytes = [0; TERMIOS];
    ioctl(terminal(cx.proc, fd)?, libc::TCGETS, &mut bytes)?;
    Ok(cx.mem.write(modes, &bytes)?)
}

fn tcsetattr(cx: &mut HostCx<'_>, fd: u32, when: u32, modes: u32) -> HostResult {
    let request = match when {
        0 => libc::TCSETS,
        1 => libc::TCSETSW,
        2 => libc::TCSETSF,
        _ => return Err(Errno::INVAL.into()),
    };
    let mut bytes: [u8; TERMIOS] = cx.mem.array(modes)?;
    let file = terminal(cx.proc, fd)?;
    may_use(cx.proc, libc::SIGTTOU)?;
    cx.proc
        .kill
        .interruptible(|| ioctl(file, request, &mut bytes))
}

fn tcgetwinsize(cx: &mut HostCx<'_>, fd: u32, size: u32) -> HostResult {
    let mut bytes = [0; WINSIZE];
    ioctl(terminal(cx.proc, fd)?, libc::TIOCGWINSZ, &mut bytes)?;
    Ok(cx.mem.write(size, &bytes)?)
}

fn tcsetwinsize(cx: &mut HostCx<'_>, fd: u32, size: u32) -> HostResult {
    let mut bytes: [u8; WINSIZE] = cx.mem.array(size)?;
    Ok(ioctl(terminal(cx.proc, fd)?, libc::TIOCSWINSZ, &mut bytes)?)
}

fn tcgetpgrp(cx: &mut HostCx<'_>, fd: u32, group: u32) -> HostResult {
    terminal(cx.proc, fd)?;
    let foreground = system(cx.proc)?.processes().foreground();
    Ok(cx.mem.write_u32(group, foreground)?)
}

fn tcsetpgrp(cx: &mut HostCx<'_>, fd: u32, group: u32) -> HostResult {
    terminal(cx.proc, fd)?;
    let processes = system(cx.proc)?.processes();
    if processes.has_terminal(cx.proc.pid) {
        may_use(cx.proc, libc::SIGTTOU)?;
    }
    Ok(processes.set_foreground(cx.proc.pid, group)?)
}
