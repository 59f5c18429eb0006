//! The descriptor table of a process.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;

use crate::errno::Errno;

/// What a guest's descriptor number stands for.
#[derive(Clone)]
pub struct Descriptor {
    fd: Arc<OwnedFd>,
    /// The name a directory is handed to the guest under, for `fd_prestat_get`.
    preopen: Option<Vec<u8>>,
}

impl Descriptor {
    /// A host descriptor as it is.
    #[must_use]
    pub fn new(fd: OwnedFd) -> Self {
        Descriptor {
            fd: Arc::new(fd),
            preopen: None,
        }
    }

    /// A directory the guest finds under `name` when it starts.
    #[must_use]
    pub fn preopen(fd: OwnedFd, name: &[u8]) -> Self {
        Descriptor {
            fd: Arc::new(fd),
            preopen: Some(name.to_vec()),
        }
    }

    /// The host's descriptor.
    #[must_use]
    pub fn host(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }

    /// The name of a directory handed to the guest, or nothing.
    #[must_use]
    pub fn preopen_name(&self) -> Option<&[u8]> {
        self.preopen.as_deref()
    }
}

/// Guest descriptor numbers and what they stand for.
#[derive(Default)]
pub struct FdTable {
    slots: Vec<Option<Descriptor>>,
}

impl FdTable {
    /// The descriptor `fd`, or `EBADF`.
    pub fn get(&self, fd: u32) -> Result<&Descriptor, Errno> {
        self.slots
            .get(fd as usize)
            .and_then(Option::as_ref)
            .ok_or(Errno::BADF)
    }

    /// Puts `descriptor` at number `fd`, closing what was there.
    pub fn insert_at(&mut self, fd: u32, descriptor: Descriptor) {
        let at = fd as usize;
        if self.slots.len() <= at {
            self.slots.resize_with(at + 1, || None);
        }
        self.slots[at] = Some(descriptor);
    }
}
