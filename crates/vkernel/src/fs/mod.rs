//! Files of the container: path resolution and actions on descriptors.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

/// The container's root directory.
pub struct Root {
    dir: OwnedFd,
}

impl Root {
    /// Everything below `dir`, and nothing else, is the container's file system.
    #[must_use]
    pub fn at(dir: OwnedFd) -> Root {
        Root { dir }
    }

    /// The directory itself.
    #[must_use]
    pub fn dir(&self) -> BorrowedFd<'_> {
        self.dir.as_fd()
    }
}
