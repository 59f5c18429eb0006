//! The kernel's own thread: what has to happen some time later, whatever the guests do.
//!
//! It repeats the interruption of processes that have a signal to notice, starts children whose
//! parent has not come to wait for them, counts the time of those that live on, and rings interval
//! timers. It starts with the first process
//! and stays until the kernel is gone: guests may since have used up the threads that the host
//! grants, and it is needed to kill them. With nothing to do it sleeps.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, Weak};
use std::time::{Duration, Instant};

use wasmtime::Engine;

use super::child::Slot;
use crate::kill::KillToken;
use crate::memory::Memories;
use crate::table::Processes;

/// How long a new child waits for its parent to wait for it, before it gets a thread of its own.
const PATIENCE: Duration = Duration::from_millis(1);

/// Pauses between two interruptions of the same process: the first, and the longest.
const FIRST_PAUSE: Duration = Duration::from_micros(200);
const LONGEST_PAUSE: Duration = Duration::from_millis(20);

/// Interruptions after which a process counts as one that does not notice.
const INSISTENT: u32 = 16;

/// The least time between two rings of a timer.
const SHORTEST_INTERVAL: Duration = Duration::from_millis(1);

/// Tasks for later. The thread ends when this is dropped.
pub struct Caretaker(Arc<Inner>);

struct Inner {
    engine: Engine,
    memories: Arc<Memories>,
    tasks: Mutex<Tasks>,
    added: Condvar,
}

#[derive(Default)]
struct Tasks {
    list: Vec<Task>,
    /// Whether the thread exists.
    working: bool,
    /// Nobody is left whose tasks these are.
    over: bool,
    /// When the thread will look again by itself.
    looks_at: Option<Instant>,
}

struct Task {
    at: Instant,
    what: What,
}

enum What {
    Kick {
        token: KillToken,
        pause: Duration,
        times: u32,
    },
    /// The child with this number, and its place in this table.
    Start(Weak<Slot>, Arc<Processes>, u32),
    Ring(Timer),
}

/// An interval timer of a process.
#[derive(Clone)]
struct Timer {
    processes: Arc<Processes>,
    pid: u32,
    token: KillToken,
    interval: Option<Duration>,
}

/// What is left of a timer, and its interval.
pub type TimerLeft = (Duration, Option<Duration>);

impl Caretaker {
    /// One that does nothing yet.
    pub fn new(engine: Engine, memories: Arc<Memories>) -> Caretaker {
        Caretaker(Arc::new(Inner {
            engine,
            memories,
            tasks: Mutex::default(),
            added: Condvar::new(),
        }))
    }

    /// Starts the thread. Where the host grants none, the next task tries again.
    pub fn start(&self) {
        self.0.start(&mut self.0.lock());
    }

    /// Interrupts these processes now, and again until they have noticed.
    pub fn reach(&self, tokens: Vec<KillToken>) {
        for token in tokens {
            if token.kick(&self.0.engine) {
                self.add(FIRST_PAUSE, What::kick(token));
            }
        }
    }

    /// Starts this child if its parent does not come for it. If it still lives a while after it has
    /// begun, its processor time counts from then on.
    pub fn start_later(&self, slot: &Arc<Slot>, processes: Arc<Processes>, pid: u32) {
        // By its number: whoever held more of it would free it on another thread than its own.
        self.add(PATIENCE, What::Start(Arc::downgrade(slot), processes, pid));
    }

    /// Sets the process's timer, which sends `SIGALRM` after `first` and then every `interval`.
    /// Gives what was left of the one before.
    pub fn set_timer(
        &self,
        processes: &Arc<Processes>,
        pid: u32,
        token: &KillToken,
        first: Option<Duration>,
        interval: Option<Duration>,
    ) -> Option<TimerLeft> {
        let before = self.take_timer(token);
        if let Some(first) = first {
            let timer = Timer {
                processes: processes.clone(),
                pid,
                token: token.clone(),
                interval: interval.map(|interval| interval.max(SHORTEST_INTERVAL)),
            };
            self.add(first, What::Ring(timer));
        }
        before
    }

    /// Stops the process's timer, if it has one.
    pub fn take_timer(&self, token: &KillToken) -> Option<TimerLeft> {
        let mut tasks = self.0.lock();
        let at = tasks
            .list
            .iter()
            .position(|task| matches!(&task.what, What::Ring(timer) if timer.token.same(token)))?;
        let task = tasks.list.swap_remove(at);
        let left = task.at.saturating_duration_since(Instant::now());
        match task.what {
            What::Ring(timer) => Some((left, timer.interval)),
            _ => None,
        }
    }

    fn add(&self, after: Duration, what: What) {
        // A time beyond what the clock can say never comes.
        let Some(at) = Instant::now().checked_add(after) else {
            return;
        };
        let mut tasks = self.0.lock();
        tasks.push(Task { at, what });
        if !tasks.working {
            self.0.start(&mut tasks);
        } else if tasks.looks_at.is_none_or(|looks| at < looks) {
            self.0.added.notify_one();
        }
    }
}

impl Drop for Caretaker {
    fn drop(&mut self) {
        self.0.lock().over = true;
        self.0.added.notify_one();
    }
}

impl Inner {
    fn start(self: &Arc<Self>, tasks: &mut Tasks) {
        if tasks.working {
            return;
        }
        let inner = self.clone();
        let started = std::thread::Builder::new()
            .name("caretaker".into())
            .stack_size(256 << 10)
            .spawn(move || inner.work());
        match started {
            Ok(_) => tasks.working = true,
            Err(error) => log::error!("cannot start the kernel's own thread: {error}"),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Tasks> {
        // Tasks are performed without the lock.
        self.tasks.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn work(&self) {
        // Else the first fork would wait for it.
        self.memories.check_scan();
        loop {
            let now = Instant::now();
            let due = self.take_due(now);
            for task in due {
                let again = self.perform(task, now);
                let mut tasks = self.lock();
                again.into_iter().for_each(|task| tasks.push(task));
            }
            let mut tasks = self.lock();
            if tasks.over {
                return;
            }
            tasks.looks_at = tasks.list.iter().map(|task| task.at).min();
            let mut tasks = match tasks.looks_at {
                Some(at) => {
                    let wait = at.saturating_duration_since(Instant::now());
                    let woken = self.added.wait_timeout(tasks, wait);
                    woken.unwrap_or_else(PoisonError::into_inner).0
                }
                None => {
                    let woken = self.added.wait(tasks);
                    woken.unwrap_or_else(PoisonError::into_inner)
                }
            };
            tasks.looks_at = None;
        }
    }

    /// What has to be done now. A timer that rings again stays, so that it can be stopped
    /// meanwhile.
    fn take_due(&self, now: Instant) -> Vec<Task> {
        let mut tasks = self.lock();
        let due: Vec<Task> = tasks.list.extract_if(.., |task| task.at <= now).collect();
        for task in &due {
            if let What::Ring(timer) = &task.what
                && let Some(at) = timer.interval.and_then(|every| now.checked_add(every))
            {
                let what = What::Ring(timer.clone());
                tasks.push(Task { at, what });
            }
        }
        due
    }

    /// Performs a task; gives what has to be performed later for it.
    fn perform(&self, task: Task, now: Instant) -> Vec<Task> {
        match task.what {
            What::Kick {
                token,
                pause,
                times,
            } => {
                if !token.kick(&self.engine) {
                    return Vec::new();
                }
                if times >= INSISTENT {
                    token.kick_hard(&self.engine);
                }
                let pause = (pause * 2).min(LONGEST_PAUSE);
                let what = What::Kick {
                    token,
                    pause,
                    times: times.saturating_add(1),
                };
                vec![Task {
                    at: now + pause,
                    what,
                }]
            }
            What::Start(slot, processes, pid) => {
                if let Some(slot) = slot.upgrade() {
                    slot.start();
                }
                if processes.count_time(pid) {
                    return Vec::new();
                }
                let (at, what) = (now + PATIENCE, What::Start(slot, processes, pid));
                vec![Task { at, what }]
            }
            What::Ring(timer) => self.ring(&timer, now),
        }
    }

    fn ring(&self, timer: &Timer, now: Instant) -> Vec<Task> {
        let reached = (timer.processes).post(timer.pid, &timer.token, libc::SIGALRM);
        reached
            .into_iter()
            .filter(|token| token.kick(&self.engine))
            .map(|token| Task {
                at: now + FIRST_PAUSE,
                what: What::kick(token),
            })
            .collect()
    }
}

impl What {
    fn kick(token: KillToken) -> What {
        What::Kick {
            token,
            pause: FIRST_PAUSE,
            times: 0,
        }
    }
}

impl Tasks {
    /// Adds a task, unless it repeats for a process what is repeated already.
    fn push(&mut self, task: Task) {
        let twice = matches!(&task.what, What::Kick { token, .. } if self.kicks(token));
        if !twice {
            self.list.push(task);
        }
    }

    fn kicks(&self, wanted: &KillToken) -> bool {
        (self.list.iter())
            .any(|task| matches!(&task.what, What::Kick { token, .. } if token.same(wanted)))
    }
}
