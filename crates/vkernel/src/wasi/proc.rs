//! `proc_exit`, `proc_raise`, `sched_yield`.

use wasmtime::{Caller, Linker};

use crate::errno::Errno;
use crate::host_fn;
use crate::process::{End, HostResult, ProcState};
use crate::wasi::{HostCx, PREVIEW1};

/// Offers this family's functions.
pub fn register(linker: &mut Linker<ProcState>) -> wasmtime::Result<()> {
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

/// What a signal does to a process that has no handler for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Action {
    Ignore,
    /// Linux's number to die of.
    End(i32),
}

/// The default action of a preview 1 signal number, or `EINVAL`.
fn default_action(signal: u32) -> Result<Action, Errno> {
    // Preview 1 numbers differ from Linux's from 16 up, where Linux has SIGSTKFLT.
    let linux = match signal {
        0 => return Ok(Action::Ignore),
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
    match linux {
        libc::SIGCHLD | libc::SIGCONT | libc::SIGURG | libc::SIGWINCH => Ok(Action::Ignore),
        // Stopping one virtual process would need someone who can continue it.
        libc::SIGSTOP | libc::SIGTSTP | libc::SIGTTIN | libc::SIGTTOU => Err(Errno::NOTSUP),
        other => Ok(Action::End(other)),
    }
}

fn proc_raise(_cx: &mut HostCx<'_>, signal: u32) -> HostResult {
    match default_action(signal)? {
        Action::Ignore => Ok(()),
        Action::End(signal) => Err(End::Signal(signal).into()),
    }
}

fn sched_yield(_cx: &mut HostCx<'_>) -> HostResult {
    std::thread::yield_now();
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::{Action, default_action};
    use crate::errno::Errno;

    #[test]
    fn signal_numbers_are_those_of_preview_1() {
        assert_eq!(default_action(6), Ok(Action::End(libc::SIGABRT)));
        assert_eq!(default_action(16), Ok(Action::Ignore));
        assert_eq!(default_action(30), Ok(Action::End(libc::SIGSYS)));
        assert_eq!(default_action(18), Err(Errno::NOTSUP));
        assert_eq!(default_action(31), Err(Errno::INVAL));
    }
}
