//! What signals do to a process that has no handlers.

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
