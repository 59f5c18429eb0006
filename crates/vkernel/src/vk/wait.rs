//! `wait` and `kill`.

use wasmtime::Linker;

use super::{MODULE, system};
use crate::errno::Errno;
use crate::host_fn;
use crate::kernel;
use crate::process::{HostResult, ProcState};
use crate::signal::Disposition;
use crate::table::{Options, Which};
use crate::wasi::HostCx;

/// Offers this family's functions.
pub fn register(linker: &mut Linker<ProcState>) -> wasmtime::Result<()> {
    host_fn!(MODULE, linker, VkWait, wait(which: i32, options: u32, pid: u32, status: u32));
    host_fn!(MODULE, linker, VkKill, kill(target: i32, signal: i32));
    Ok(())
}

const NOHANG: u32 = 1;
const UNTRACED: u32 = 2;
const CONTINUED: u32 = 8;

fn wait(cx: &mut HostCx<'_>, which: i32, options: u32, pid: u32, status: u32) -> HostResult {
    if options & !(NOHANG | UNTRACED | CONTINUED) != 0 {
        return Err(Errno::INVAL.into());
    }
    cx.mem.slice(pid, 4)?;
    cx.mem.slice(status, 4)?;
    let own = cx.proc.pid;
    let processes = system(cx.proc)?.processes().clone();
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
    let ends_told = (cx.proc.kill)
        .signals(|own| matches!(own.disposition(libc::SIGCHLD), Disposition::Catch(..)));
    let (found, word) = loop {
        let seen = cx.proc.kill.events();
        if let Some(found) = processes.poll_child(own, which, options)? {
            break found;
        }
        if !options.nohang
            && !options.stopped
            && kernel::run_here(cx.proc, |child| {
                processes.waits_only_for(own, which, child, ends_told)
            })?
        {
            continue;
        }
        if let Some(system) = cx.proc.system.as_mut() {
            system.start_deferred();
        }
        if options.nohang {
            break (0, 0);
        }
        cx.proc.kill.wait_event(seen)?;
    };
    cx.mem.write_u32(pid, found)?;
    Ok(cx.mem.write_u32(status, word)?)
}

fn kill(cx: &mut HostCx<'_>, target: i32, signal: i32) -> HostResult {
    let system = system(cx.proc)?;
    let reached = system.processes().kill(cx.proc.pid, target, signal)?;
    // What the caller sent to itself acts when this call returns.
    let others = reached
        .into_iter()
        .filter(|token| !token.same(&cx.proc.kill))
        .collect();
    system.reach(others);
    Ok(())
}
