//! The descriptor table of a process.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;

use crate::errno::Errno;

/// What an open file is made of.
#[derive(Debug)]
pub struct OpenFile(pub OwnedFd);

/// What a guest's descriptor number stands for.
#[derive(Clone, Debug)]
pub struct Descriptor {
    file: Arc<OpenFile>,
    preopen: Option<Arc<[u8]>>,
}

impl Descriptor {
    /// A descriptor handed in from outside.
    pub fn inherited(fd: OwnedFd) -> Result<Self, Errno> {
        Ok(Descriptor {
            file: Arc::new(OpenFile(fd)),
            preopen: None,
        })
    }

    /// A directory that the guest finds under `name` when it starts.
    #[must_use]
    pub fn preopen(file: OpenFile, name: &[u8]) -> Self {
        Descriptor {
            file: Arc::new(file),
            preopen: Some(name.into()),
        }
    }

    /// The host's descriptor.
    pub fn host(&self, _error: Errno) -> Result<BorrowedFd<'_>, Errno> {
        Ok(self.file.0.as_fd())
    }

    /// The name of a directory handed to the guest, or nothing.
    #[must_use]
    pub fn preopen_name(&self) -> Option<&[u8]> {
        self.preopen.as_deref()
    }
}

/// Guest descriptor numbers and what they stand for.
#[derive(Debug, Default)]
pub struct FdTable {
    slots: Vec<Option<Descriptor>>,
}

impl FdTable {
    /// A table that gives out the numbers below `limit`.
    #[must_use]
    pub fn new(_limit: u32) -> Self {
        FdTable::default()
    }

    /// The descriptor `fd`, or `EBADF`.
    pub fn get(&self, fd: u32) -> Result<&Descriptor, Errno> {
        self.slots
            .get(fd as usize)
            .and_then(Option::as_ref)
            .ok_or(Errno::BADF)
    }

    /// Puts `descriptor` at number `fd`, closing what was there.
    pub fn insert_at(&mut self, fd: u32, descriptor: Descriptor) -> Result<(), Errno> {
        let at = fd as usize;
        if self.slots.len() <= at {
            self.slots.resize_with(at + 1, || None);
        }
        self.slots[at] = Some(descriptor);
        Ok(())
    }
}
