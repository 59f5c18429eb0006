//! Who is there: what a process's neighbours and the host's `ps` may know of it.
//!
//! Everything is asked for when somebody looks; a process itself only says once what it runs.

pub mod report;
pub(crate) mod text;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};
use serde::{Deserialize, Serialize};

use crate::fs::Vfs;
use crate::process::Program;
use crate::table::Entry;

/// How much of its arguments others see.
const MAX_ARGUMENTS: usize = 4096;

/// A command name as Linux cuts it.
const COMM: usize = 15;

/// What a process runs.
#[derive(Debug, Clone)]
pub struct About {
    /// Its program.
    pub program: Arc<Program>,
    /// Its arguments, each with a NUL after it, as many bytes as are shown.
    pub arguments: Vec<u8>,
}

impl About {
    /// What others see of a process that runs this.
    #[must_use]
    pub fn new(program: Arc<Program>, argv: &[Vec<u8>]) -> About {
        About {
            program,
            arguments: command_line(argv),
        }
    }
}

/// Arguments as `/proc/PID/cmdline` has them.
pub(crate) fn command_line(argv: &[Vec<u8>]) -> Vec<u8> {
    let mut line = Vec::new();
    for argument in argv {
        line.extend_from_slice(argument);
        line.push(0);
        if line.len() > MAX_ARGUMENTS {
            line.truncate(MAX_ARGUMENTS);
            break;
        }
    }
    line
}

/// The last component of the program's name as it was called, cut.
pub(crate) fn comm(arguments: &[u8]) -> &[u8] {
    let name = arguments.split(|byte| *byte == 0).next().unwrap_or(b"");
    let base = name.rsplit(|byte| *byte == b'/').next().unwrap_or(name);
    &base[..base.len().min(COMM)]
}

/// When a process began and what it used, on the host's clocks, in nanoseconds.
///
/// To ask for a thread's time costs the host a microsecond, which is much of what a small process
/// costs. So it is asked only once a process has lived for a millisecond, from when on its time
/// counts; what ends before that is counted to the parent on whose thread it ran, or to nobody.
#[derive(Debug, Default)]
pub struct Clocks {
    /// When, after the host started.
    began: AtomicU64,
    /// Whether its time counts yet.
    counts: AtomicBool,
    /// Processor time that its thread had used before, and what children used that ran on it.
    before: AtomicU64,
    /// Processor time that it used on threads it has left.
    spent: AtomicU64,
}

impl Clocks {
    /// The process exists from now on.
    pub fn begin(&self) {
        self.began.store(now(ClockId::Boottime), Ordering::Relaxed);
    }

    /// Its time counts from now on, on this thread.
    pub fn count_from(&self, thread: libc::pid_t) {
        self.before.store(thread_time(thread), Ordering::Relaxed);
        self.counts.store(true, Ordering::Release);
    }

    /// Its time counts from the beginning of its thread.
    pub fn count_all(&self) {
        self.counts.store(true, Ordering::Release);
    }

    /// It runs on the calling thread no more.
    pub fn leave_thread(&self) {
        if self.counts.swap(false, Ordering::AcqRel) {
            let used = now(ClockId::ThreadCPUTime);
            let own = used.saturating_sub(self.before.load(Ordering::Relaxed));
            self.spent.fetch_add(own, Ordering::Relaxed);
        }
    }

    /// A child has run on its thread to the end: what that used is not its own.
    pub fn without(&self, child: &Clocks) {
        let spent = child.spent.load(Ordering::Relaxed);
        self.before.fetch_add(spent, Ordering::Relaxed);
    }

    fn began(&self) -> Duration {
        Duration::from_nanos(self.began.load(Ordering::Relaxed))
    }

    /// Processor time that it has used, on `thread` if it is still there.
    pub fn used(&self, thread: Option<libc::pid_t>) -> Duration {
        let before = self.before.load(Ordering::Relaxed);
        let counted = thread.filter(|_| self.counts.load(Ordering::Acquire));
        let now = counted.map_or(0, |thread| thread_time(thread).saturating_sub(before));
        Duration::from_nanos(self.spent.load(Ordering::Relaxed).saturating_add(now))
    }
}

fn now(clock: ClockId) -> u64 {
    nanoseconds(clock_gettime(clock))
}

fn nanoseconds(time: rustix::fs::Timespec) -> u64 {
    let seconds = u64::try_from(time.tv_sec).unwrap_or(0);
    let rest = u64::try_from(time.tv_nsec).unwrap_or(0);
    seconds.saturating_mul(1_000_000_000).saturating_add(rest)
}

/// Processor time of a thread of this process; 0 if it has ended.
fn thread_time(thread: libc::pid_t) -> u64 {
    // Linux's clock of one thread: its number, inverted, above the kind of clock.
    const SCHEDULED: libc::clockid_t = 2;
    const OF_THREAD: libc::clockid_t = 4;
    let clock = (!thread << 3) | OF_THREAD | SCHEDULED;
    let mut time = libc::timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    // SAFETY: the call writes the one structure, or fails.
    if unsafe { libc::clock_gettime(clock, &raw mut time) } != 0 {
        return 0;
    }
    nanoseconds(rustix::fs::Timespec {
        tv_sec: time.tv_sec,
        tv_nsec: time.tv_nsec,
    })
}

/// What a process is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// It runs, or is about to.
    Running,
    /// It waits in a host call.
    Sleeping,
    /// A signal stopped it.
    Stopped,
    /// It has ended and its parent has not asked.
    Zombie,
}

impl State {
    /// Linux's letter.
    #[must_use]
    pub fn letter(self) -> char {
        match self {
            State::Running => 'R',
            State::Sleeping => 'S',
            State::Stopped => 'T',
            State::Zombie => 'Z',
        }
    }

    /// Linux's word.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            State::Running => "running",
            State::Sleeping => "sleeping",
            State::Stopped => "stopped",
            State::Zombie => "zombie",
        }
    }
}

/// A process, as others see it.
#[derive(Debug, Clone)]
pub struct Info {
    /// Its place among the others.
    pub entry: Entry,
    /// What it does.
    pub state: State,
    /// Processor time it used, without that of its children.
    pub used: Duration,
    /// When it began, after the host started.
    pub began: Duration,
    /// What it runs; nothing where it never said.
    pub about: Option<Arc<About>>,
    arguments: Vec<u8>,
}

impl Info {
    /// Looks at a process. `asks` says that it is the one that looks.
    #[must_use]
    pub fn of(entry: Entry, vfs: &Vfs, asks: bool) -> Info {
        let token = &entry.token;
        let (thread, used) = token.thread_and_time();
        let runs = |thread| vfs.thread_runs(thread);
        let state = if entry.ended {
            State::Zombie
        } else if token.is_stopped() {
            State::Stopped
        } else if asks {
            State::Running
        } else if token.is_parked() || thread.is_some_and(|thread| !runs(thread)) {
            State::Sleeping
        } else {
            State::Running
        };
        Info {
            state,
            used,
            began: token.clocks().began(),
            about: token.about(),
            arguments: Vec::new(),
            entry,
        }
    }

    /// The same of a process that no kernel started, with these arguments.
    #[must_use]
    pub fn called(self, argv: &[Vec<u8>]) -> Info {
        Info {
            arguments: command_line(argv),
            ..self
        }
    }

    /// Its arguments, each with a NUL after it.
    #[must_use]
    pub fn arguments(&self) -> &[u8] {
        match &self.about {
            Some(about) => &about.arguments,
            None => &self.arguments,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{Clocks, comm, command_line, thread_time};

    #[test]
    fn the_command_name_is_the_last_component_cut_to_fifteen() {
        for (argv0, expected) in [
            ("/usr/bin/ls", "ls"),
            ("a-very-long-program-name", "a-very-long-pro"),
            ("", ""),
        ] {
            let line = command_line(&[argv0.as_bytes().to_vec(), b"-l".to_vec()]);
            assert_eq!(comm(&line), expected.as_bytes());
        }
        assert_eq!(comm(b""), b"");
    }

    #[test]
    fn arguments_are_shown_as_far_as_they_fit() {
        assert_eq!(command_line(&[b"a".to_vec(), b"b c".to_vec()]), b"a\0b c\0");
        let long = command_line(&[vec![b'x'; 3000], vec![b'y'; 3000], b"z".to_vec()]);
        assert_eq!(long.len(), 4096);
    }

    fn work_until(done: impl Fn() -> bool) {
        let mut sum = 0u64;
        while !done() {
            sum = std::hint::black_box(sum + 1);
        }
    }

    #[test]
    fn a_process_has_used_what_its_thread_did_meanwhile_without_its_children() {
        let own = rustix::thread::gettid().as_raw_nonzero().get();
        let thread = Some(own);
        let (parent, child) = (Clocks::default(), Clocks::default());
        assert!(parent.used(thread).is_zero());
        parent.count_from(own);
        work_until(|| !parent.used(thread).is_zero());
        child.count_from(own);
        work_until(|| child.used(thread) > Duration::from_millis(5));
        child.leave_thread();
        parent.without(&child);
        let of_child = child.used(None);
        assert!(of_child > Duration::from_millis(5));
        let of_thread = Duration::from_nanos(thread_time(own));
        assert!(parent.used(thread) + of_child <= of_thread);
        parent.leave_thread();
        assert!(!parent.used(None).is_zero());
        assert_eq!(thread_time(i32::MAX >> 3), 0);
    }
}
