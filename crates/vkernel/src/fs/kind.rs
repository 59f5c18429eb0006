//! What sort of object a descriptor stands for.

use rustix::fs::{FileType, Stat};

/// The sort of an open file or directory entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FileKind {
    /// A regular file.
    Regular,
    /// A directory.
    Directory,
    /// A symbolic link.
    Symlink,
    /// A character device: a terminal, `/dev/null`.
    CharDevice,
    /// A block device; never opened for a guest.
    BlockDevice,
    /// A pipe or FIFO.
    Pipe,
    /// A stream socket.
    StreamSocket,
    /// A datagram socket, or a socket of unknown type.
    DatagramSocket,
    /// Anything else (an event descriptor, for instance).
    Other,
}

impl FileKind {
    /// The kind of what `stat` describes; a socket's type is not in there, so it counts as a
    /// stream until [`crate::descriptor::OpenFile`] has asked the socket.
    #[must_use]
    pub fn of(stat: &Stat) -> FileKind {
        Self::of_type(FileType::from_raw_mode(stat.st_mode))
    }

    /// The kind for a directory entry's type.
    #[must_use]
    pub fn of_type(file_type: FileType) -> FileKind {
        match file_type {
            FileType::RegularFile => FileKind::Regular,
            FileType::Directory => FileKind::Directory,
            FileType::Symlink => FileKind::Symlink,
            FileType::CharacterDevice => FileKind::CharDevice,
            FileType::BlockDevice => FileKind::BlockDevice,
            FileType::Fifo => FileKind::Pipe,
            FileType::Socket => FileKind::StreamSocket,
            FileType::Unknown => FileKind::Other,
        }
    }

    /// The `filetype` number of WASI preview 1, which has none for pipes.
    #[must_use]
    pub fn wasi(self) -> u8 {
        match self {
            FileKind::Pipe | FileKind::Other => 0,
            FileKind::BlockDevice => 1,
            FileKind::CharDevice => 2,
            FileKind::Directory => 3,
            FileKind::Regular => 4,
            FileKind::DatagramSocket => 5,
            FileKind::StreamSocket => 6,
            FileKind::Symlink => 7,
        }
    }

    /// Whether it is a directory.
    #[must_use]
    pub fn is_directory(self) -> bool {
        self == FileKind::Directory
    }

    /// Whether it is a socket of either type.
    #[must_use]
    pub fn is_socket(self) -> bool {
        matches!(self, FileKind::StreamSocket | FileKind::DatagramSocket)
    }
}
