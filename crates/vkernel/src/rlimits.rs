//! What one process may use at most, as `getrlimit` and `setrlimit` know it. Everything a limit
//! bounds is bounded for each process of its own: the host's limits are shared by all of them.

use crate::errno::Errno;
use crate::kernel::Limits;

/// One limit: what holds, and what the process may raise that to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rlimit {
    /// What holds.
    pub soft: u64,
    /// What it may become.
    pub hard: u64,
}

impl Rlimit {
    /// A limit that can be lowered from `value`.
    #[must_use]
    pub const fn at(value: u64) -> Rlimit {
        Rlimit {
            soft: value,
            hard: value,
        }
    }

    /// What it becomes if a process asks for `wanted`: `EINVAL` for more than its own maximum,
    /// `EPERM` to raise that.
    pub fn change(self, wanted: Rlimit) -> Result<Rlimit, Errno> {
        if wanted.soft > wanted.hard {
            Err(Errno::INVAL)
        } else if wanted.hard > self.hard {
            Err(Errno::PERM)
        } else {
            Ok(wanted)
        }
    }
}

/// A process's limits. Those on memory and on the number of processes are the kernel's.
#[derive(Clone, Copy, Debug)]
pub struct Rlimits {
    /// The largest size in bytes a file may get by a write (`RLIMIT_FSIZE`).
    pub file_size: Rlimit,
    /// One more than the highest descriptor (`RLIMIT_NOFILE`); the table of descriptors knows
    /// the soft one too.
    pub descriptors: Rlimit,
    /// Bytes of memory (`RLIMIT_AS`).
    pub memory: Rlimit,
    /// Processes at a time (`RLIMIT_NPROC`).
    pub processes: Rlimit,
}

/// What a limit is for, by Linux's numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Resource {
    /// `RLIMIT_FSIZE`.
    FileSize,
    /// `RLIMIT_NOFILE`.
    Descriptors,
    /// `RLIMIT_AS`.
    Memory,
    /// `RLIMIT_NPROC`.
    Processes,
    /// `RLIMIT_CORE`: there are no core files.
    Core,
    /// Another that Linux has, which nothing bounds here.
    Unbounded,
}

impl Resource {
    /// `EINVAL` for a number that Linux does not have.
    pub fn from_linux(number: u32) -> Result<Resource, Errno> {
        Ok(match number {
            1 => Resource::FileSize,
            4 => Resource::Core,
            6 => Resource::Processes,
            7 => Resource::Descriptors,
            9 => Resource::Memory,
            0..=15 => Resource::Unbounded,
            _ => return Err(Errno::INVAL),
        })
    }
}

impl Rlimits {
    /// Those of process 1.
    #[must_use]
    pub fn new(limits: &Limits) -> Rlimits {
        Rlimits {
            file_size: Rlimit::at(limits.file_size),
            descriptors: Rlimit::at(limits.descriptors.into()),
            memory: Rlimit::at(limits.memory),
            processes: Rlimit::at(limits.processes.into()),
        }
    }

    /// The limit on `resource`.
    #[must_use]
    pub fn get(&self, resource: Resource) -> Rlimit {
        match resource {
            Resource::FileSize => self.file_size,
            Resource::Descriptors => self.descriptors,
            Resource::Memory => self.memory,
            Resource::Processes => self.processes,
            Resource::Core => Rlimit::at(0),
            Resource::Unbounded => Rlimit::at(u64::MAX),
        }
    }

    /// Changes the limit on `resource`. One that is not a process's own to change is `ENOTSUP`,
    /// unless it stays as it is.
    pub fn set(&mut self, resource: Resource, wanted: Rlimit) -> Result<(), Errno> {
        let next = self.get(resource).change(wanted)?;
        match resource {
            Resource::FileSize => self.file_size = next,
            Resource::Descriptors => self.descriptors = next,
            _ if next == self.get(resource) => {}
            _ => return Err(Errno::NOTSUP),
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::{Resource, Rlimit, Rlimits};
    use crate::errno::Errno;
    use crate::kernel::Limits;

    #[test]
    fn limits_are_lowered_and_raised_up_to_the_hard_one_only() {
        let mut limits = Rlimits::new(&Limits::default());
        let (soft, hard) = (100, 200);
        let limit = Rlimit { soft, hard };
        let mut set = |resource, soft, hard| limits.set(resource, Rlimit { soft, hard });
        assert_eq!(set(Resource::FileSize, soft, hard), Ok(()));
        assert_eq!(set(Resource::FileSize, 200, 200), Ok(()));
        assert_eq!(set(Resource::FileSize, 200, 201), Err(Errno::PERM));
        assert_eq!(set(Resource::FileSize, 201, 200), Err(Errno::INVAL));
        assert_eq!(set(Resource::Core, 0, 0), Ok(()));
        assert_eq!(set(Resource::Core, 1, 1), Err(Errno::PERM));
        assert_eq!(set(Resource::Unbounded, 5, 5), Err(Errno::NOTSUP));
        assert_eq!(set(Resource::Descriptors, soft, hard), Ok(()));
        assert_eq!(limits.get(Resource::Descriptors), limit);
        assert_eq!(Resource::from_linux(16), Err(Errno::INVAL));
    }
}
