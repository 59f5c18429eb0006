//! What is known about a file (`filestat`), and setting its times.

use std::os::fd::{AsFd, BorrowedFd};

use rustix::fs::{AtFlags, Stat, Timespec, Timestamps, UTIME_NOW, UTIME_OMIT};

use super::resolve::{Base, Node};
use super::vfs::{Context, Vfs};
use super::vnode::{VKind, VNode};
use super::{Result, kind::FileKind};
use crate::descriptor::{HostFile, OpenFile};
use crate::errno::Errno;

/// `filestat` of preview 1. Times are nanoseconds since 1970; earlier ones show as 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Filestat {
    /// Device the file is on.
    pub dev: u64,
    /// Inode number.
    pub ino: u64,
    /// Sort of file.
    pub kind: FileKind,
    /// Hard links.
    pub nlink: u64,
    /// Bytes.
    pub size: u64,
    /// Last read.
    pub atim: u64,
    /// Last written.
    pub mtim: u64,
    /// Last changed in any way.
    pub ctim: u64,
}

/// How many bytes a `filestat` has.
pub const FILESTAT_SIZE: usize = 64;

impl Filestat {
    /// As the guest reads it.
    #[must_use]
    pub fn encode(&self) -> [u8; FILESTAT_SIZE] {
        let mut out = [0u8; FILESTAT_SIZE];
        let kind = u64::from(self.kind.wasi());
        let words = [
            self.dev, self.ino, kind, self.nlink, self.size, self.atim, self.mtim, self.ctim,
        ];
        for (slot, word) in out.chunks_exact_mut(8).zip(words) {
            slot.copy_from_slice(&word.to_le_bytes());
        }
        out
    }

    pub(super) fn of_virtual(node: VNode) -> Filestat {
        let (kind, nlink) = match node.kind() {
            VKind::Directory => (FileKind::Directory, 2),
            VKind::File => (FileKind::Regular, 1),
            VKind::Link => (FileKind::Symlink, 1),
            VKind::Device => (FileKind::CharDevice, 1),
        };
        let now = rustix::time::clock_gettime(rustix::time::ClockId::Realtime);
        let time = nanoseconds(now.tv_sec, now.tv_nsec);
        Filestat {
            dev: 0,
            ino: node.inode(),
            kind,
            nlink,
            size: 0,
            atim: time,
            mtim: time,
            ctim: time,
        }
    }
}

#[allow(
    clippy::unnecessary_cast,
    reason = "the link count is narrower on other machines"
)]
impl From<&Stat> for Filestat {
    fn from(stat: &Stat) -> Self {
        Filestat {
            dev: stat.st_dev,
            ino: stat.st_ino,
            kind: FileKind::of(stat),
            nlink: stat.st_nlink as u64,
            size: stat.st_size as u64,
            atim: nanoseconds(stat.st_atime, stat.st_atime_nsec as i64),
            mtim: nanoseconds(stat.st_mtime, stat.st_mtime_nsec as i64),
            ctim: nanoseconds(stat.st_ctime, stat.st_ctime_nsec as i64),
        }
    }
}

fn nanoseconds(seconds: i64, nanoseconds: i64) -> u64 {
    let total = i128::from(seconds) * 1_000_000_000 + i128::from(nanoseconds);
    u64::try_from(total.max(0)).unwrap_or(u64::MAX)
}

/// What to do with one of a file's times.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SetTime {
    /// Leave it.
    Keep,
    /// The current time.
    Now,
    /// Nanoseconds since 1970.
    At(u64),
}

impl SetTime {
    fn host(self) -> Timespec {
        match self {
            SetTime::Keep => Timespec {
                tv_sec: 0,
                tv_nsec: UTIME_OMIT as _,
            },
            SetTime::Now => Timespec {
                tv_sec: 0,
                tv_nsec: UTIME_NOW as _,
            },
            SetTime::At(time) => Timespec {
                tv_sec: (time / 1_000_000_000) as _,
                tv_nsec: (time % 1_000_000_000) as _,
            },
        }
    }
}

/// Both times of a file, from the flags of `fd_filestat_set_times`: bit 0 sets the access time,
/// bit 1 to now, bits 2 and 3 likewise for the modification time. Both of a pair, or any other
/// bit, is `EINVAL`.
pub fn set_times_from(flags: u32, atim: u64, mtim: u64) -> Result<(SetTime, SetTime)> {
    if flags & !0xf != 0 {
        return Err(Errno::INVAL);
    }
    let one = |bits: u32, time: u64| match bits & 3 {
        0 => Ok(SetTime::Keep),
        1 => Ok(SetTime::At(time)),
        2 => Ok(SetTime::Now),
        _ => Err(Errno::INVAL),
    };
    Ok((one(flags, atim)?, one(flags >> 2, mtim)?))
}

fn stamps((atim, mtim): (SetTime, SetTime)) -> Timestamps {
    Timestamps {
        last_access: atim.host(),
        last_modification: mtim.host(),
    }
}

/// `fd_filestat_get`.
pub fn stat_file(file: &OpenFile) -> Result<Filestat> {
    match file {
        OpenFile::Host(file) => stat_host(file),
        OpenFile::Virtual(node) => Ok(Filestat::of_virtual(*node)),
    }
}

fn stat_host(file: &HostFile) -> Result<Filestat> {
    let stat = rustix::fs::fstat(file.start())?;
    // The kind was refined when it was opened: a datagram socket is one here as well.
    Ok(Filestat {
        kind: file.kind(),
        ..Filestat::from(&stat)
    })
}

/// `fd_filestat_set_times`.
pub fn set_file_times(file: &OpenFile, times: (SetTime, SetTime)) -> Result<()> {
    match file {
        OpenFile::Host(file) => Ok(rustix::fs::futimens(file.fd(), &stamps(times))?),
        OpenFile::Virtual(_) => Err(Errno::PERM),
    }
}

impl Vfs {
    /// `path_filestat_get`.
    pub fn stat(
        &self,
        ctx: &Context<'_>,
        base: Base<'_>,
        path: &[u8],
        follow: bool,
    ) -> Result<Filestat> {
        match self.resolve(ctx, base, path, follow)? {
            Node::Host(node) => Ok(Filestat::from(&node.stat)),
            Node::Virtual(node) => Ok(Filestat::of_virtual(node)),
            Node::Descriptor(number) => {
                stat_file(ctx.fds.get(number).map_err(|_| Errno::NOENT)?.file())
            }
        }
    }

    /// `path_filestat_set_times`.
    pub fn set_times(
        &self,
        ctx: &Context<'_>,
        base: Base<'_>,
        path: &[u8],
        follow: bool,
        times: (SetTime, SetTime),
    ) -> Result<()> {
        match self.resolve(ctx, base, path, follow)? {
            Node::Host(node) => self.set_node_times(node.as_fd(), times),
            Node::Virtual(_) => Err(Errno::PERM),
            Node::Descriptor(number) => {
                set_file_times(ctx.fds.get(number).map_err(|_| Errno::NOENT)?.file(), times)
            }
        }
    }

    fn set_node_times(&self, node: BorrowedFd<'_>, times: (SetTime, SetTime)) -> Result<()> {
        Ok(rustix::fs::utimensat(
            node,
            c"",
            &stamps(times),
            AtFlags::EMPTY_PATH,
        )?)
    }
}

#[cfg(test)]
mod tests {
    use super::{SetTime, nanoseconds, set_times_from};
    use crate::errno::Errno;

    #[test]
    fn every_combination_of_time_flags() {
        let one = |bits: u32, time| match bits {
            0 => Some(SetTime::Keep),
            1 => Some(SetTime::At(time)),
            2 => Some(SetTime::Now),
            _ => None,
        };
        for flags in 0..16 {
            let expected = one(flags & 3, 5)
                .zip(one(flags >> 2, 6))
                .ok_or(Errno::INVAL);
            assert_eq!(set_times_from(flags, 5, 6), expected, "{flags}");
        }
        assert_eq!(set_times_from(16, 0, 0), Err(Errno::INVAL));
    }

    #[test]
    fn times_outside_the_range_are_cut_off() {
        assert_eq!(nanoseconds(1, 5), 1_000_000_005);
        assert_eq!(nanoseconds(-1, 0), 0);
        assert_eq!(nanoseconds(i64::MAX, 0), u64::MAX);
    }
}
