//! Running a command one instruction at a time, to see which code it executes.

use std::collections::BTreeSet;
use std::mem::offset_of;
use std::ops::Range;
use std::process::Command;

use super::{let_go, request, spawn};

/// Instructions of one block of this many bytes are told apart no further.
const BLOCK: u64 = 16;

/// Where in `text` the instructions are that `command` executes, and the processes that it makes
/// until it ends: the first of each block of 16 bytes, in the order in which they come. And the
/// command's exit code.
///
/// # Panics
///
/// When it cannot be started or traced, or is killed.
pub fn executed(command: &mut Command, text: &Range<u64>) -> (Vec<u64>, i32) {
    let runtime = spawn(command);
    let options = libc::PTRACE_O_EXITKILL
        | libc::PTRACE_O_TRACEFORK
        | libc::PTRACE_O_TRACEVFORK
        | libc::PTRACE_O_TRACECLONE;
    let (mut known, mut blocks) = (BTreeSet::new(), BTreeSet::new());
    let mut first = Vec::new();
    loop {
        let mut status = 0;
        // SAFETY: a status that outlives the call.
        let pid = unsafe { libc::waitpid(-1, &raw mut status, libc::__WALL) };
        assert!(pid > 0, "waiting: {}", std::io::Error::last_os_error());
        if libc::WIFEXITED(status) || libc::WIFSIGNALED(status) {
            if pid != runtime {
                continue;
            }
            let_go(known.iter().filter(|pid| **pid != runtime));
            assert!(libc::WIFEXITED(status), "{command:?} was killed");
            return (first, libc::WEXITSTATUS(status));
        }
        if known.insert(pid) && pid == runtime {
            request(libc::PTRACE_SETOPTIONS, pid, options as usize);
        }
        let at = instruction(pid);
        if text.contains(&at) && blocks.insert(at / BLOCK) {
            first.push(at);
        }
        // Stops of ours are not signals of theirs.
        let signal = match libc::WSTOPSIG(status) {
            libc::SIGTRAP | libc::SIGSTOP => 0,
            signal => signal as usize,
        };
        request(libc::PTRACE_SINGLESTEP, pid, signal);
    }
}

/// The address of the next instruction of a process that stands still; 0 when it has gone.
fn instruction(pid: i32) -> u64 {
    let at = offset_of!(libc::user_regs_struct, rip);
    // SAFETY: the C library returns the word that it asks for, and takes no pointer for that.
    let word = unsafe { libc::ptrace(libc::PTRACE_PEEKUSER, pid, at, 0) };
    u64::try_from(word).unwrap_or(0)
}
