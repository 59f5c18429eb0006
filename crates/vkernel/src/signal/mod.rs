//! Signals: their numbers, what they do by default, and what a process decided about them.
//!
//! Numbers are Linux's. Nothing here has effects: [`state`] decides, [`crate::kill`] reaches the
//! process.

mod set;
mod state;

pub use set::SigSet;
pub use state::{CatchFlags, Delivery, Disposition, Posted, SignalState, Verdict};

/// The highest signal number there is.
pub const MAX: i32 = 64;

/// The default action of a signal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// Nothing happens.
    Ignore,
    /// The process stops until it is continued.
    Stop,
    /// The process dies of it.
    End,
}

/// The default action of a signal by Linux's number.
#[must_use]
pub fn default_action(signal: i32) -> Action {
    match signal {
        libc::SIGCHLD | libc::SIGCONT | libc::SIGURG | libc::SIGWINCH => Action::Ignore,
        libc::SIGSTOP | libc::SIGTSTP | libc::SIGTTIN | libc::SIGTTOU => Action::Stop,
        _ => Action::End,
    }
}
