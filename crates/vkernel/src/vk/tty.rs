//! Terminals: modes, size, and which group is in the foreground.

use std::os::fd::{AsFd, AsRawFd};

use wasmtime::Linker;

use super::{MODULE, system};
use crate::descriptor::HostFile;
use crate::errno::Errno;
use crate::host_fn;
use crate::process::{HostResult, ProcState};
use crate::wasi::HostCx;

/// Offers this family's functions.
pub fn register(linker: &mut Linker<ProcState>) -> wasmtime::Result<()> {
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
    Ok(processes.set_foreground(cx.proc.pid, group)?)
}
