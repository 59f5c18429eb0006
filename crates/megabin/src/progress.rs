//! Progress on stderr, for what takes longer than a second: quick work stays silent.

use std::io::Write;
use std::sync::{Arc, Condvar, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// How long work stays silent.
const PATIENCE: Duration = Duration::from_secs(1);

#[derive(Debug, Default)]
struct State {
    step: String,
    printed: bool,
    done: bool,
}

/// Says on stderr what is being done, from the first second on.
#[derive(Debug)]
pub struct Progress {
    started: Instant,
    shared: Arc<(Mutex<State>, Condvar)>,
    watcher: Option<JoinHandle<()>>,
}

impl Progress {
    /// Starts the clock.
    pub fn new() -> Self {
        let shared = Arc::new((Mutex::new(State::default()), Condvar::new()));
        let watched = Arc::clone(&shared);
        // Prints the step that is under way when the first second is over.
        let watcher = std::thread::spawn(move || {
            let (state, changed) = &*watched;
            let guard = lock(state);
            let wait = changed.wait_timeout_while(guard, PATIENCE, |s| !s.done);
            let (mut guard, _) = wait.unwrap_or_else(|e| e.into_inner());
            if !guard.done {
                print(&mut guard);
            }
        });
        Self {
            started: Instant::now(),
            shared,
            watcher: Some(watcher),
        }
    }

    /// Says what begins now.
    pub fn step(&self, what: impl Into<String>) {
        let mut state = lock(&self.shared.0);
        *state = State {
            step: what.into(),
            ..State::default()
        };
        if self.started.elapsed() > PATIENCE {
            print(&mut state);
        }
    }
}

impl Default for Progress {
    fn default() -> Self {
        Self::new()
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        lock(&self.shared.0).done = true;
        self.shared.1.notify_all();
        if let Some(watcher) = self.watcher.take() {
            // It only prints; that it panicked would change nothing here.
            let _ = watcher.join();
        }
    }
}

fn lock(state: &Mutex<State>) -> std::sync::MutexGuard<'_, State> {
    state.lock().unwrap_or_else(|e| e.into_inner())
}

fn print(state: &mut State) {
    if !state.printed && !state.step.is_empty() {
        state.printed = true;
        // Progress is a courtesy: a closed stderr must not stop the work.
        let _ = writeln!(std::io::stderr(), "megabin: {} ...", state.step);
    }
}
