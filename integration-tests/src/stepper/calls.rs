//! Running the runtime one system call at a time, and killing it before a chosen one: by ptrace, so
//! that the moment is exact and every run the same.

use std::collections::BTreeSet;
use std::process::Command;

use super::{let_go, request, spawn};

/// Who is stepped, and killed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Whom {
    /// The command itself.
    Runtime,
    /// The process that it makes: the one that becomes the container's.
    Inside,
}

/// How a stepped command ended.
#[derive(Debug)]
pub struct Stepped {
    /// The numbers of the system calls that were stepped, in order; the one that was not made any
    /// more is the last.
    pub calls: Vec<i64>,
    /// Whether it was killed: there was such a call.
    pub killed: bool,
    /// The command's exit code; none when it was killed by a signal.
    pub code: Option<i32>,
}

/// `PTRACE_GET_SYSCALL_INFO` says which kind of stop it is in the first byte.
const ENTRY: u8 = 1;
/// Where it says the call's number.
const NUMBER_AT: usize = 24;

/// Runs `command`, and kills `whom` before its `at`th system call, counted from zero. Without `at`
/// it runs to its end. Once the container's process may outlive the command, the command's end is
/// the end of this.
///
/// # Panics
///
/// When it cannot be started or traced.
pub fn run(command: &mut Command, whom: Whom, at: Option<usize>) -> Stepped {
    let runtime = spawn(command);
    let mut options = libc::PTRACE_O_TRACESYSGOOD | libc::PTRACE_O_EXITKILL;
    if whom == Whom::Inside {
        options |= libc::PTRACE_O_TRACEFORK | libc::PTRACE_O_TRACEVFORK | libc::PTRACE_O_TRACECLONE;
    }
    let mut trace = Trace {
        whom,
        at,
        runtime,
        options,
        known: BTreeSet::new(),
        stepped: Stepped {
            calls: Vec::new(),
            killed: false,
            code: None,
        },
    };
    while !trace.step() {}
    trace.stepped
}

struct Trace {
    whom: Whom,
    at: Option<usize>,
    runtime: i32,
    options: i32,
    /// Those that have been seen to stop.
    known: BTreeSet<i32>,
    stepped: Stepped,
}

impl Trace {
    /// Takes one change of state of one process. True when the command has ended.
    fn step(&mut self) -> bool {
        let mut status = 0;
        // SAFETY: a status that outlives the call. Orphans of earlier containers that end
        // meanwhile are reaped with the rest.
        let pid = unsafe { libc::waitpid(-1, &raw mut status, libc::__WALL) };
        assert!(pid > 0, "waiting: {}", std::io::Error::last_os_error());
        if libc::WIFEXITED(status) || libc::WIFSIGNALED(status) {
            if pid != self.runtime {
                return false;
            }
            self.stepped.code = libc::WIFEXITED(status).then(|| libc::WEXITSTATUS(status));
            let_go(self.known.iter().filter(|pid| **pid != self.runtime));
            return true;
        }
        if self.known.insert(pid) && pid == self.runtime {
            request(libc::PTRACE_SETOPTIONS, pid, self.options as usize);
        }
        let signal = libc::WSTOPSIG(status);
        let stepped = match self.whom {
            Whom::Runtime => pid == self.runtime,
            Whom::Inside => pid != self.runtime,
        };
        if signal == libc::SIGTRAP | 0x80 && stepped && self.enters(pid) {
            return false;
        }
        // Stops of ours are not signals of theirs.
        let ours = signal == libc::SIGTRAP | 0x80
            || signal == libc::SIGTRAP
            || signal == libc::SIGSTOP
            || status >> 16 != 0;
        let how = match stepped {
            true => libc::PTRACE_SYSCALL,
            false => libc::PTRACE_CONT,
        };
        request(how, pid, if ours { 0 } else { signal as usize });
        false
    }

    /// Notes the call if the process is about to make one. True when it was killed instead.
    fn enters(&mut self, pid: i32) -> bool {
        let mut info = [0u64; 16];
        // SAFETY: the size is the buffer's.
        let got = unsafe {
            libc::ptrace(
                libc::PTRACE_GET_SYSCALL_INFO,
                pid,
                size_of_val(&info),
                info.as_mut_ptr(),
            )
        };
        let [kind, ..] = info[0].to_ne_bytes();
        if got <= 0 || kind != ENTRY {
            return false;
        }
        self.stepped.calls.push(info[NUMBER_AT / 8].cast_signed());
        if self.at != Some(self.stepped.calls.len() - 1) {
            return false;
        }
        self.stepped.killed = true;
        // SAFETY: a process of ours, which stands still.
        unsafe { libc::kill(pid, libc::SIGKILL) };
        true
    }
}
