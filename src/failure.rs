//! A failed system operation with what was being done when it failed.

use std::fmt;
use std::io;

/// A system call or file operation that failed: `opening /run/x: permission denied`.
#[derive(Debug)]
pub struct Failure {
    doing: String,
    source: io::Error,
}

impl Failure {
    /// A failure of `doing` for the reason `source`.
    pub fn new(doing: impl Into<String>, source: impl Into<io::Error>) -> Self {
        Self {
            doing: doing.into(),
            source: source.into(),
        }
    }

    /// The same, with what may help.
    pub fn with_hint(self, hint: &str) -> Self {
        let doing = format!("{} ({hint})", self.doing);
        Self { doing, ..self }
    }

    /// Whether the system's reason was this errno.
    pub fn is(&self, errno: rustix::io::Errno) -> bool {
        self.source.raw_os_error() == Some(errno.raw_os_error())
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // std's text ends in "(os error N)", which says nothing to people.
        let reason = self.source.to_string();
        let reason = reason.split(" (os error").next().unwrap_or(&reason);
        write!(f, "{}: {reason}", self.doing)
    }
}

impl std::error::Error for Failure {}

/// Adds what was being done to a system result.
pub trait Doing<T> {
    /// On an error, says what was being done; `what` is evaluated only then.
    fn doing<S: Into<String>>(self, what: impl FnOnce() -> S) -> Result<T, Failure>;
}

impl<T, E: Into<io::Error>> Doing<T> for Result<T, E> {
    fn doing<S: Into<String>>(self, what: impl FnOnce() -> S) -> Result<T, Failure> {
        self.map_err(|source| Failure::new(what(), source))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn says_what_was_being_done_and_why_it_failed() {
        let failure = Err::<(), _>(rustix::io::Errno::NOENT)
            .doing(|| "opening `/x`")
            .unwrap_err();
        assert_eq!(
            failure.to_string(),
            "opening `/x`: No such file or directory"
        );
        assert!(failure.is(rustix::io::Errno::NOENT));
    }
}
