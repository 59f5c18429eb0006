//! The four states of the OCI lifecycle and what may be done in each.

use std::fmt;

use serde::Serialize;

/// The `status` of the OCI state document, and `paused` as crun and runc have it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    /// Create is still at work.
    Creating,
    /// The process waits for `start`.
    Created,
    /// The process runs.
    Running,
    /// It runs, frozen by `pause`.
    Paused,
    /// The process has ended, or create died before it was done.
    Stopped,
}

/// What the disk and the kernel say about a container.
#[derive(Debug, Clone, Copy)]
pub struct Facts {
    /// `state.json` is there: create has finished.
    pub committed: bool,
    /// Somebody holds the container's lock.
    pub locked: bool,
    /// The container's process lives.
    pub alive: bool,
    /// `exec.fifo` is there: nobody has started it.
    pub waiting: bool,
    /// Its cgroup is frozen.
    pub frozen: bool,
}

impl Status {
    /// The status that follows from the facts.
    pub fn of(facts: Facts) -> Self {
        match facts {
            Facts {
                committed: false,
                locked: true,
                ..
            } => Self::Creating,
            // Its creator died: what is left waits to be deleted.
            Facts {
                committed: false,
                locked: false,
                ..
            } => Self::Stopped,
            Facts { alive: false, .. } => Self::Stopped,
            Facts { waiting: true, .. } => Self::Created,
            Facts { frozen: true, .. } => Self::Paused,
            _ => Self::Running,
        }
    }

    /// Whether `start` applies.
    pub fn can_start(self) -> bool {
        self == Self::Created
    }

    /// Whether a signal can reach it.
    pub fn can_signal(self) -> bool {
        matches!(self, Self::Created | Self::Running | Self::Paused)
    }

    /// Whether `exec` applies.
    pub fn can_exec(self) -> bool {
        matches!(self, Self::Created | Self::Running)
    }

    /// Whether `delete` applies without `--force`. The specification wants `stopped`; crun and runc
    /// end one that only waits too, and engines count on it.
    pub fn can_delete(self) -> bool {
        matches!(self, Self::Created | Self::Stopped)
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Creating => "creating",
            Self::Created => "created",
            Self::Running => "running",
            Self::Paused => "paused",
            Self::Stopped => "stopped",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RUNNING: Facts = Facts {
        committed: true,
        locked: false,
        alive: true,
        waiting: false,
        frozen: false,
    };

    #[test]
    fn each_state_follows_from_its_facts() {
        let table = [
            (RUNNING, Status::Running),
            (
                Facts {
                    waiting: true,
                    ..RUNNING
                },
                Status::Created,
            ),
            (
                Facts {
                    waiting: true,
                    frozen: true,
                    ..RUNNING
                },
                Status::Created,
            ),
            (
                Facts {
                    frozen: true,
                    ..RUNNING
                },
                Status::Paused,
            ),
            (
                Facts {
                    alive: false,
                    ..RUNNING
                },
                Status::Stopped,
            ),
            (
                Facts {
                    alive: false,
                    waiting: true,
                    ..RUNNING
                },
                Status::Stopped,
            ),
            (
                Facts {
                    committed: false,
                    locked: true,
                    ..RUNNING
                },
                Status::Creating,
            ),
            (
                Facts {
                    committed: false,
                    locked: false,
                    ..RUNNING
                },
                Status::Stopped,
            ),
            // `start` and `delete` hold the lock of a container that is committed.
            (
                Facts {
                    locked: true,
                    ..RUNNING
                },
                Status::Running,
            ),
        ];
        for (facts, status) in table {
            assert_eq!(Status::of(facts), status, "{facts:?}");
        }
    }

    #[test]
    fn only_the_allowed_transitions() {
        use Status::*;
        for status in [Creating, Created, Running, Paused, Stopped] {
            assert_eq!(status.can_start(), status == Created);
            assert_eq!(status.can_exec(), matches!(status, Created | Running));
            assert_eq!(status.can_delete(), matches!(status, Created | Stopped));
            assert_eq!(status.can_signal(), !matches!(status, Creating | Stopped));
        }
    }
}
