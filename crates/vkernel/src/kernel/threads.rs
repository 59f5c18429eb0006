//! Host threads for processes, kept for a while after use: making one costs more than a process.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// How long a thread waits for its next process.
const IDLE: Duration = Duration::from_secs(1);

/// How many threads wait at a time.
const MOST_IDLE: usize = 32;

type Job = Box<dyn FnOnce() + Send>;

/// Threads with a guest's stack.
#[derive(Clone)]
pub struct Threads {
    idle: Arc<Mutex<Vec<Arc<Seat>>>>,
    stack: usize,
}

/// Where a waiting thread gets its next job.
struct Seat {
    job: Mutex<Option<Job>>,
    given: Condvar,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // Nothing panics while it holds one of these locks.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Threads {
    /// No thread yet; each will have a stack of this many bytes.
    pub fn new(stack: usize) -> Threads {
        Threads {
            idle: Arc::default(),
            stack,
        }
    }

    /// Runs `job` on a thread of its own. Fails where the host gives no thread.
    pub fn run(&self, job: Job) -> std::io::Result<()> {
        let waiting = lock(&self.idle).pop();
        if let Some(seat) = waiting {
            *lock(&seat.job) = Some(job);
            seat.given.notify_one();
            return Ok(());
        }
        let idle = self.idle.clone();
        std::thread::Builder::new()
            .name("process".into())
            .stack_size(self.stack)
            .spawn(move || work(&idle, job))?;
        Ok(())
    }
}

fn work(idle: &Mutex<Vec<Arc<Seat>>>, first: Job) {
    let seat = Arc::new(Seat {
        job: Mutex::new(None),
        given: Condvar::new(),
    });
    let mut job = first;
    loop {
        // A process that panics ends; what waits for it is told by its guards.
        let _ = std::panic::catch_unwind(std::panic::AssertUnwindSafe(job));
        {
            let mut waiting = lock(idle);
            if waiting.len() >= MOST_IDLE {
                return;
            }
            waiting.push(seat.clone());
        }
        match next(idle, &seat) {
            Some(next) => job = next,
            None => return,
        }
    }
}

/// The next job, or nothing after a while without one.
fn next(idle: &Mutex<Vec<Arc<Seat>>>, seat: &Arc<Seat>) -> Option<Job> {
    let mut job = lock(&seat.job);
    loop {
        if let Some(job) = job.take() {
            return Some(job);
        }
        let (again, timeout) = seat
            .given
            .wait_timeout(job, IDLE)
            .unwrap_or_else(PoisonError::into_inner);
        job = again;
        if timeout.timed_out() && job.is_none() {
            drop(job);
            let mut waiting = lock(idle);
            let before = waiting.len();
            waiting.retain(|other| !Arc::ptr_eq(other, seat));
            if waiting.len() < before {
                return None;
            }
            // Somebody has just taken this seat to give it a job.
            drop(waiting);
            job = lock(&seat.job);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;
    use std::thread::ThreadId;

    use super::*;

    fn run(threads: &Threads, work: impl FnOnce() + Send + 'static) -> mpsc::Receiver<ThreadId> {
        let (tell, told) = mpsc::channel();
        threads
            .run(Box::new(move || {
                work();
                tell.send(std::thread::current().id()).unwrap();
            }))
            .unwrap();
        told
    }

    #[test]
    fn a_thread_serves_again_also_after_a_panic() {
        let threads = Threads::new(1 << 20);
        let first = run(&threads, || {}).recv().unwrap();
        while lock(&threads.idle).is_empty() {
            std::thread::yield_now();
        }
        assert_eq!(run(&threads, || {}).recv().unwrap(), first);
        let (tell, told) = mpsc::channel::<()>();
        threads
            .run(Box::new(move || {
                let _tell = tell;
                std::panic::resume_unwind(Box::new(()));
            }))
            .unwrap();
        assert!(told.recv().is_err());
        assert!(run(&threads, || {}).recv().is_ok());
    }

    #[test]
    fn jobs_run_side_by_side() {
        let threads = Threads::new(1 << 20);
        let barrier = Arc::new(std::sync::Barrier::new(50));
        let all: Vec<_> = (0..50)
            .map(|_| {
                let barrier = barrier.clone();
                run(&threads, move || {
                    barrier.wait();
                })
            })
            .collect();
        for one in all {
            one.recv().unwrap();
        }
        assert!(lock(&threads.idle).len() <= MOST_IDLE);
    }
}
