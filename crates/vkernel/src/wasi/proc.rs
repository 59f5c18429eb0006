//! `proc_exit`, `proc_raise`, `sched_yield`.

use wasmtime::Caller;

use crate::errno::Errno;
use crate::host::HostLinker;
use crate::host_fn;
use crate::process::{End, HostResult, ProcState};
use crate::signal::{Action, Disposition, default_action};
use crate::table::FIRST;
use crate::wasi::{HostCx, PREVIEW1};

/// Offers this family's functions.
pub fn register(linker: &mut HostLinker<'_>) -> wasmtime::Result<()> {
    // Returns nothing and is always allowed, so it has no place in the usual frame.
    linker.func_wrap(
        PREVIEW1,
        "proc_exit",
        |_: Caller<'_, ProcState>, status: i32| -> wasmtime::Result<()> {
            Err(wasmtime::Error::new(End::Exit((status & 0xff) as u8)))
        },
    )?;
    host_fn!(linker, ProcRaise, proc_raise(signal: u32));
    host_fn!(linker, SchedYield, sched_yield());
    Ok(())
}

/// Linux's number for a preview 1 signal number, or `EINVAL`; none for number 0, which is none.
fn linux_signal(signal: u32) -> Result<Option<i32>, Errno> {
    // The two agree up to 15; there Linux has SIGSTKFLT.
    let linux = match signal {
        0 => return Ok(None),
        1..=15 => signal as i32,
        16 => libc::SIGCHLD,
        17 => libc::SIGCONT,
        18 => libc::SIGSTOP,
        19 => libc::SIGTSTP,
        20 => libc::SIGTTIN,
        21 => libc::SIGTTOU,
        22 => libc::SIGURG,
        23 => libc::SIGXCPU,
        24 => libc::SIGXFSZ,
        25 => libc::SIGVTALRM,
        26 => libc::SIGPROF,
        27 => libc::SIGWINCH,
        28 => libc::SIGIO,
        29 => libc::SIGPWR,
        30 => libc::SIGSYS,
        _ => return Err(Errno::INVAL),
    };
    Ok(Some(linux))
}

fn proc_raise(cx: &mut HostCx<'_>, signal: u32) -> HostResult {
    let Some(signal) = linux_signal(signal)? else {
        return Ok(());
    };
    let own = cx.proc.kill.signals(|own| own.disposition(signal));
    let stops = own == Disposition::Default && default_action(signal) == Action::Stop;
    if stops && cx.proc.pid == FIRST {
        // Nobody would continue it.
        return Err(Errno::NOTSUP.into());
    }
    // It acts when this call returns.
    let posted = cx.proc.kill.post(signal);
    cx.proc.unmasked(posted);
    Ok(())
}

fn sched_yield(_cx: &mut HostCx<'_>) -> HostResult {
    std::thread::yield_now();
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::linux_signal;
    use crate::errno::Errno;

    #[test]
    fn signal_numbers_are_those_of_preview_1() {
        assert_eq!(linux_signal(0), Ok(None));
        assert_eq!(linux_signal(6), Ok(Some(libc::SIGABRT)));
        assert_eq!(linux_signal(16), Ok(Some(libc::SIGCHLD)));
        assert_eq!(linux_signal(30), Ok(Some(libc::SIGSYS)));
        assert_eq!(linux_signal(31), Err(Errno::INVAL));
    }
}
