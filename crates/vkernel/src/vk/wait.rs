//! `wait` and `kill`.

use super::{MODULE, machine, system};
use crate::errno::Errno;
use crate::host::HostLinker;
use crate::host_fn;
use crate::kernel;
use crate::process::{HostResult, ProcState};
use crate::signal::Disposition;
use crate::table::{News, Options, Which};
use crate::wasi::HostCx;

/// Offers this family's functions.
pub fn register(linker: &mut HostLinker<'_>) -> wasmtime::Result<()> {
    host_fn!(MODULE, linker, VkWait, wait(which: i32, options: u32, pid: u32, status: u32));
    host_fn!(MODULE, linker, VkKill, kill(target: i32, signal: i32));
    Ok(())
}

const NOHANG: u32 = 1;
const UNTRACED: u32 = 2;
const CONTINUED: u32 = 8;
const USED: u32 = 16;

fn wait(cx: &mut HostCx<'_>, which: i32, options: u32, pid: u32, status: u32) -> HostResult {
    let told = options & USED != 0;
    cx.mem.slice(pid, 4)?;
    cx.mem.slice(status, if told { 24 } else { 4 })?;
    let news = wait_child(cx.proc, which, options & !USED)?;
    cx.mem.write_u32(pid, news.pid)?;
    cx.mem.write_u32(status, news.status)?;
    if told {
        let mut rest = [0; 20];
        rest[4..].copy_from_slice(&machine::usage(news.used));
        cx.mem.write(status + 4, &rest)?;
    }
    Ok(())
}

/// Waits for a child as asked; its number is 0 if there is nothing to say.
pub(super) fn wait_child(proc: &mut ProcState, which: i32, options: u32) -> HostResult<News> {
    if options & !(NOHANG | UNTRACED | CONTINUED) != 0 {
        return Err(Errno::INVAL.into());
    }
    let own = proc.pid;
    let processes = system(proc)?.processes().clone();
    let which = match which {
        -1 => Which::Any,
        0 => Which::Group(processes.group(own, 0)?),
        1.. => Which::Pid(which.unsigned_abs()),
        _ => Which::Group(which.unsigned_abs()),
    };
    let options = Options {
        nohang: options & NOHANG != 0,
        stopped: options & UNTRACED != 0,
        continued: options & CONTINUED != 0,
    };
    let ends_told =
        (proc.kill).signals(|own| matches!(own.disposition(libc::SIGCHLD), Disposition::Catch(..)));
    loop {
        let seen = proc.kill.events();
        if let Some(found) = processes.poll_child(own, which, options)? {
            return Ok(found);
        }
        if !options.nohang
            && !options.stopped
            && kernel::run_here(proc, |child| {
                processes.waits_only_for(own, which, child, ends_told)
            })?
        {
            continue;
        }
        if let Some(system) = proc.system.as_mut() {
            system.start_deferred();
        }
        if options.nohang {
            return Ok(News::default());
        }
        proc.kill.wait_event(seen)?;
    }
}

fn kill(cx: &mut HostCx<'_>, target: i32, signal: i32) -> HostResult {
    send(cx.proc, target, signal)
}

/// Sends a signal.
pub(super) fn send(proc: &ProcState, target: i32, signal: i32) -> HostResult {
    let system = system(proc)?;
    let reached = system.processes().kill(proc.pid, target, signal)?;
    // What the caller sent to itself acts when this call returns.
    let others = (reached.into_iter())
        .filter(|token| !token.same(&proc.kill))
        .collect();
    system.reach(others);
    Ok(())
}
