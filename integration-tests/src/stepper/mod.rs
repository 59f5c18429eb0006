//! Running the runtime in steps, by ptrace: what happens is exact then, and every run the same.

pub mod calls;
pub mod instructions;

use std::os::unix::process::CommandExt;
use std::process::Command;

/// Starts `command`, to be traced by this thread. It stands still before its first instruction.
///
/// # Panics
///
/// When it cannot be started or traced.
fn spawn(command: &mut Command) -> i32 {
    // SAFETY: one system call, which takes no lock and no memory.
    unsafe {
        command.pre_exec(|| match trace_me() {
            0 => Ok(()),
            _ => Err(std::io::Error::last_os_error()),
        });
    }
    let child = command.spawn().expect("the runtime starts");
    let pid = i32::try_from(child.id()).expect("a pid");
    // Who steps it reaps it: the standard library must not wait for it too.
    drop(child);
    pid
}

fn trace_me() -> libc::c_long {
    // SAFETY: no arguments; it concerns the caller alone.
    unsafe { libc::ptrace(libc::PTRACE_TRACEME, 0, 0, 0) }
}

fn request(what: libc::c_uint, pid: i32, argument: usize) {
    // SAFETY: none of these requests has a pointer. One to a process that was killed meanwhile
    // fails, and its end is reported next.
    unsafe { libc::ptrace(what, pid, 0, argument) };
}

/// Processes that were traced run on by themselves.
fn let_go<'a>(pids: impl Iterator<Item = &'a i32>) {
    for pid in pids {
        // SAFETY: only a process that stands still can be let go, so it is stopped first; one that
        // has ended is passed over.
        unsafe {
            if libc::ptrace(libc::PTRACE_DETACH, *pid, 0, 0) == 0 {
                continue;
            }
            if libc::kill(*pid, libc::SIGSTOP) != 0 {
                continue;
            }
            let mut status = 0;
            if libc::waitpid(*pid, &raw mut status, libc::__WALL) != *pid {
                continue;
            }
            if libc::WIFSTOPPED(status) {
                libc::ptrace(libc::PTRACE_DETACH, *pid, 0, 0);
                libc::kill(*pid, libc::SIGCONT);
            }
        }
    }
}
