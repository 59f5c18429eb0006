//! Files of the container: path resolution and actions on descriptors.

use std::os::fd::{AsFd, OwnedFd};

use rustix::fs::{CWD, FileType, Mode, OFlags, ResolveFlags, fstat, openat, openat2};

use crate::descriptor::{FdTable, OpenFile};
use crate::errno::Errno;
use crate::exec::Executable;

/// What an action of this module gives: a value, or the error number the guest gets.
pub type Result<T> = std::result::Result<T, Errno>;

/// Where the container's file system begins.
#[derive(Debug)]
pub enum Root {
    /// At `/`: this process is already confined to the container's root.
    Process,
    /// At this directory.
    At(OwnedFd),
}

/// Why the file system could not be set up.
#[derive(Debug, thiserror::Error)]
pub enum SetupError {
    /// The root could not be opened.
    #[error("opening the container's root directory: {0}")]
    Root(#[source] std::io::Error),
}

/// What resolving a path needs to know about the process that asks.
#[derive(Clone, Copy)]
pub struct Context<'a> {
    /// Its descriptors.
    pub fds: &'a FdTable,
    /// Its process id in the virtual kernel.
    pub pid: u32,
    /// Its arguments.
    pub argv: &'a [Vec<u8>],
    /// Its working directory, absolute.
    pub cwd: &'a [u8],
}

/// The container's file system.
#[derive(Debug)]
pub struct Vfs {
    root: OwnedFd,
}

impl Vfs {
    /// Opens the container's root.
    pub fn new(root: Root) -> std::result::Result<Vfs, SetupError> {
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let opened = match &root {
            Root::Process => openat(CWD, c"/", flags, Mode::empty()),
            Root::At(dir) => openat(dir, c".", flags, Mode::empty()),
        };
        Ok(Vfs {
            root: opened.map_err(|error| SetupError::Root(error.into()))?,
        })
    }

    /// The root directory, for a process's first directory descriptor.
    pub fn open_root(&self) -> Result<OpenFile> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        Ok(OpenFile(openat(&self.root, c".", flags, Mode::empty())?))
    }

    /// Opens a file to execute it.
    pub fn open_executable(&self, ctx: &Context<'_>, path: &[u8]) -> Result<Executable> {
        let mut whole = ctx.cwd.to_vec();
        whole.push(b'/');
        if path.starts_with(b"/") {
            whole.clear();
        }
        whole.extend_from_slice(path);
        let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NONBLOCK | OFlags::NOCTTY;
        let resolve = ResolveFlags::IN_ROOT | ResolveFlags::NO_MAGICLINKS;
        let fd = openat2(self.root.as_fd(), &whole[..], flags, Mode::empty(), resolve)?;
        let stat = fstat(&fd)?;
        let regular = FileType::from_raw_mode(stat.st_mode) == FileType::RegularFile;
        if !regular || stat.st_mode & 0o111 == 0 {
            return Err(Errno::ACCES);
        }
        Ok(Executable { fd, path: whole })
    }
}
