//! Process numbers, groups, sessions, users.

use super::{MODULE, system};
use crate::host::HostLinker;
use crate::host_fn;
use crate::process::HostResult;
use crate::wasi::HostCx;

/// Offers this family's functions.
pub fn register(linker: &mut HostLinker<'_>) -> wasmtime::Result<()> {
    host_fn!(MODULE, linker, VkGetPid, getpid(pid: u32));
    host_fn!(MODULE, linker, VkGetPpid, getppid(pid: u32));
    host_fn!(MODULE, linker, VkGetPgid, getpgid(of: u32, group: u32));
    host_fn!(MODULE, linker, VkSetPgid, setpgid(of: u32, group: u32));
    host_fn!(MODULE, linker, VkGetSid, getsid(of: u32, session: u32));
    host_fn!(MODULE, linker, VkSetSid, setsid(session: u32));
    host_fn!(MODULE, linker, VkGetuid, getuid(ids: u32));
    host_fn!(MODULE, linker, VkGetgid, getgid(ids: u32));
    Ok(())
}

fn getpid(cx: &mut HostCx<'_>, pid: u32) -> HostResult {
    Ok(cx.mem.write_u32(pid, cx.proc.pid)?)
}

fn getppid(cx: &mut HostCx<'_>, pid: u32) -> HostResult {
    let parent = system(cx.proc)?.processes().parent(cx.proc.pid);
    Ok(cx.mem.write_u32(pid, parent)?)
}

fn getpgid(cx: &mut HostCx<'_>, of: u32, group: u32) -> HostResult {
    let found = system(cx.proc)?.processes().group(cx.proc.pid, of)?;
    Ok(cx.mem.write_u32(group, found)?)
}

fn setpgid(cx: &mut HostCx<'_>, of: u32, group: u32) -> HostResult {
    let processes = system(cx.proc)?.processes();
    Ok(processes.set_group(cx.proc.pid, of, group)?)
}

fn getsid(cx: &mut HostCx<'_>, of: u32, session: u32) -> HostResult {
    let found = system(cx.proc)?.processes().session(cx.proc.pid, of)?;
    Ok(cx.mem.write_u32(session, found)?)
}

fn setsid(cx: &mut HostCx<'_>, session: u32) -> HostResult {
    cx.mem.slice(session, 4)?;
    let made = system(cx.proc)?.processes().new_session(cx.proc.pid)?;
    Ok(cx.mem.write_u32(session, made)?)
}

fn getuid(cx: &mut HostCx<'_>, ids: u32) -> HostResult {
    let real = rustix::process::getuid().as_raw();
    let effective = rustix::process::geteuid().as_raw();
    Ok(cx
        .mem
        .write_u64(ids, u64::from(real) | u64::from(effective) << 32)?)
}

fn getgid(cx: &mut HostCx<'_>, ids: u32) -> HostResult {
    let real = rustix::process::getgid().as_raw();
    let effective = rustix::process::getegid().as_raw();
    Ok(cx
        .mem
        .write_u64(ids, u64::from(real) | u64::from(effective) << 32)?)
}
