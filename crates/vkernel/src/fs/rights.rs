//! The rights word of WASI preview 1 (`rights` in its type list): what libraries look at to
//! learn what a descriptor is for, and what a guest may give up.

use crate::descriptor::{HostFile, OpenFile};
use crate::fs::kind::FileKind;

/// A set of preview 1 rights, one bit each, with the numbers of the specification.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FdRights(u64);

macro_rules! rights {
    ($($name:ident = $bit:literal,)*) => {
        $(#[doc = concat!("Bit ", $bit, " of the rights word.")] pub const $name: FdRights = FdRights(1 << $bit);)*
    };
}

impl FdRights {
    rights! {
        DATASYNC = 0, READ = 1, SEEK = 2, SET_FLAGS = 3, SYNC = 4, TELL = 5, WRITE = 6,
        ADVISE = 7, ALLOCATE = 8, PATH_CREATE_DIRECTORY = 9, PATH_CREATE_FILE = 10,
        PATH_LINK_SOURCE = 11, PATH_LINK_TARGET = 12, PATH_OPEN = 13, READDIR = 14,
        PATH_READLINK = 15, PATH_RENAME_SOURCE = 16, PATH_RENAME_TARGET = 17,
        PATH_FILESTAT_GET = 18, PATH_FILESTAT_SET_SIZE = 19, PATH_FILESTAT_SET_TIMES = 20,
        FILESTAT_GET = 21, FILESTAT_SET_SIZE = 22, FILESTAT_SET_TIMES = 23, PATH_SYMLINK = 24,
        PATH_REMOVE_DIRECTORY = 25, PATH_UNLINK_FILE = 26, POLL = 27, SOCK_SHUTDOWN = 28,
        SOCK_ACCEPT = 29,
    }

    /// No right.
    pub const NONE: FdRights = FdRights(0);
    /// Every right there is.
    pub const ALL: FdRights = FdRights((1 << 30) - 1);

    /// What a directory is good for.
    pub const DIRECTORY: FdRights = FdRights(
        // Every `path_*`, reading the directory, and what applies to any file.
        0x0784_0000 | 0x0018_0000 | 0x0003_fe00 | 1 << 3 | 1 << 4 | 1 | 1 << 21 | 1 << 23,
    )
    .without(Self::ALLOCATE);

    const FILE: FdRights = FdRights(0x00e0_01ff | 1 << 27);

    /// The set with the bits of `raw`; unknown bits are ignored.
    #[must_use]
    pub const fn from_raw(raw: u64) -> FdRights {
        FdRights(raw & Self::ALL.0)
    }

    /// The word as the guest sees it.
    #[must_use]
    pub const fn raw(self) -> u64 {
        self.0
    }

    /// Whether every right of `other` is in the set.
    #[must_use]
    pub const fn contains(self, other: FdRights) -> bool {
        self.0 & other.0 == other.0
    }

    /// Whether any right of `other` is in the set.
    #[inline]
    #[must_use]
    pub const fn intersects(self, other: FdRights) -> bool {
        self.0 & other.0 != 0
    }

    /// Both sets together.
    #[must_use]
    pub const fn with(self, other: FdRights) -> FdRights {
        FdRights(self.0 | other.0)
    }

    /// The set less `other`.
    #[must_use]
    pub const fn without(self, other: FdRights) -> FdRights {
        FdRights(self.0 & !other.0)
    }

    /// What an open file allows, by its kind and mode.
    #[must_use]
    pub fn of(file: &OpenFile) -> FdRights {
        match file {
            OpenFile::Virtual(_) => Self::DIRECTORY,
            OpenFile::Host(file) => Self::of_host(file),
        }
    }

    /// What is opened through it may do: everything for a directory.
    #[must_use]
    pub fn inheriting(file: &OpenFile) -> FdRights {
        match file {
            OpenFile::Host(host) if host.kind() != FileKind::Directory => Self::NONE,
            _ => Self::ALL,
        }
    }

    fn of_host(file: &HostFile) -> FdRights {
        let mut rights = match file.kind() {
            FileKind::Directory => return Self::DIRECTORY,
            FileKind::StreamSocket | FileKind::DatagramSocket => {
                Self::FILE.with(Self::SOCK_SHUTDOWN).with(Self::SOCK_ACCEPT)
            }
            _ => Self::FILE,
        };
        // A C library takes a character device that can not seek for a terminal.
        let seeks = match file.kind() {
            FileKind::CharDevice => !file.is_terminal(),
            FileKind::Regular | FileKind::BlockDevice => true,
            _ => false,
        };
        if !seeks {
            rights = rights.without(Self::SEEK).without(Self::TELL);
        }
        if !file.readable() {
            rights = rights.without(Self::READ);
        }
        if !file.writable() {
            rights = rights
                .without(Self::WRITE)
                .without(Self::ALLOCATE)
                .without(Self::FILESTAT_SET_SIZE);
        }
        rights
    }
}

#[cfg(test)]
mod tests {
    use super::FdRights;
    use crate::descriptor::{HostFile, OpenFile};

    fn of(file: std::fs::File) -> FdRights {
        FdRights::of(&OpenFile::Host(HostFile::inherited(file.into()).unwrap()))
    }

    #[test]
    fn a_directory_has_every_path_right_and_cannot_be_read_as_a_file() {
        let rights = of(std::fs::File::open("/").unwrap());
        assert!(rights.contains(FdRights::PATH_OPEN.with(FdRights::READDIR)));
        assert!(rights.contains(FdRights::PATH_UNLINK_FILE.with(FdRights::PATH_CREATE_FILE)));
        assert!(rights.contains(FdRights::PATH_FILESTAT_GET.with(FdRights::PATH_SYMLINK)));
        assert!(rights.contains(FdRights::PATH_FILESTAT_SET_TIMES));
        assert!(!rights.intersects(FdRights::READ.with(FdRights::WRITE).with(FdRights::SEEK)));
        assert!(!rights.intersects(FdRights::ALLOCATE.with(FdRights::SOCK_ACCEPT)));
    }

    #[test]
    fn only_a_terminal_looks_like_one() {
        let null = of(std::fs::File::open("/dev/null").unwrap());
        assert!(null.contains(FdRights::SEEK.with(FdRights::TELL).with(FdRights::READ)));
        assert!(!null.intersects(FdRights::WRITE));
        let (reader, writer) = std::io::pipe().unwrap();
        let reader = std::fs::File::from(std::os::fd::OwnedFd::from(reader));
        assert!(!of(reader).intersects(FdRights::SEEK.with(FdRights::WRITE)));
        drop(writer);
    }
}
