//! Open files, and the descriptors that are processes' names for them.
//!
//! An [`OpenFile`] is what POSIX calls an open file description: shared by every descriptor
//! that was duplicated or inherited from one another, offset and status flags included, because
//! it *is* one host descriptor. A [`Descriptor`] is one process's name for it.

mod table;

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::{Arc, OnceLock};

use rustix::fs::{Mode, OFlags, Stat};

use crate::errno::Errno;
use crate::fs::Result;
use crate::fs::judge::{self, FsClass};
use crate::fs::kind::FileKind;
use crate::fs::rights::FdRights;
use crate::fs::vnode::VNode;
use crate::net::{local::Bound, sock};

pub use table::FdTable;

/// What an open file is made of.
#[derive(Debug)]
pub enum OpenFile {
    /// A descriptor of the host.
    Host(HostFile),
    /// A directory of the virtual tree (`/proc`, `/proc/self/fd`, …); nothing of the host's.
    Virtual(VNode),
}

/// A host descriptor that was judged fit for guests, with what does not change about it.
#[derive(Debug)]
pub struct HostFile {
    fd: Handle,
    kind: FileKind,
    read: bool,
    write: bool,
    terminal: bool,
    /// The name of a local socket that a guest made.
    bound: OnceLock<Bound>,
}

#[derive(Debug)]
enum Handle {
    Open(OwnedFd),
    /// The container's root, by a descriptor that all share and that is good for finding paths,
    /// and one of its own once it is used for more.
    Root(Arc<OwnedFd>, OnceLock<OwnedFd>),
}

impl HostFile {
    /// The container's root as a directory of a process's own, from an `O_PATH` descriptor.
    pub(crate) fn root(shared: Arc<OwnedFd>) -> HostFile {
        HostFile {
            fd: Handle::Root(shared, OnceLock::new()),
            kind: FileKind::Directory,
            read: true,
            write: false,
            terminal: false,
            bound: OnceLock::new(),
        }
    }

    /// Takes a descriptor opened from a path inside the root. `EACCES` for what a guest may not
    /// have: see [`judge`].
    pub fn new(fd: OwnedFd) -> Result<HostFile> {
        if judge::class_of(&fd)? != FsClass::Ordinary {
            return Err(Errno::ACCES);
        }
        Self::judged(fd)
    }

    /// Takes a descriptor handed in from outside (standard streams, preserved descriptors):
    /// pipes and sockets of the families that guests may have are fine as well, but neither procfs
    /// nor a control file system.
    pub fn inherited(fd: OwnedFd) -> Result<HostFile> {
        match judge::class_of(&fd)? {
            FsClass::Ordinary | FsClass::Unnamed => Self::judged(fd),
            FsClass::Proc | FsClass::Refused => Err(Errno::ACCES),
        }
    }

    /// Takes an end of a pipe that was just made: there is nothing to ask about it.
    pub(crate) fn pipe_end(fd: OwnedFd, reads: bool) -> HostFile {
        HostFile {
            fd: Handle::Open(fd),
            kind: FileKind::Pipe,
            read: reads,
            write: !reads,
            terminal: false,
            bound: OnceLock::new(),
        }
    }

    /// Takes a descriptor that was opened from an `O_PATH` descriptor which resolution has judged
    /// and `stat` describes: nothing is asked twice.
    pub(crate) fn looked_at(fd: OwnedFd, stat: &Stat, read: bool, write: bool) -> HostFile {
        let kind = FileKind::of(stat);
        HostFile {
            kind,
            read,
            write,
            terminal: kind == FileKind::CharDevice && rustix::termios::isatty(&fd),
            bound: OnceLock::new(),
            fd: Handle::Open(fd),
        }
    }

    fn judged(fd: OwnedFd) -> Result<HostFile> {
        let stat = rustix::fs::fstat(&fd)?;
        judge::check_device(&stat)?;
        let mut kind = FileKind::of(&stat);
        if kind.is_socket()
            && rustix::net::sockopt::socket_type(&fd)? != rustix::net::SocketType::STREAM
        {
            kind = FileKind::DatagramSocket;
        }
        if kind.is_socket() && !sock::is_fit(&fd) {
            return Err(Errno::ACCES);
        }
        let flags = rustix::fs::fcntl_getfl(&fd)?;
        if flags.contains(OFlags::PATH) {
            return Err(Errno::BADF);
        }
        let mode = flags & OFlags::RWMODE;
        let terminal = kind == FileKind::CharDevice && rustix::termios::isatty(&fd);
        Ok(HostFile {
            kind,
            read: mode != OFlags::WRONLY,
            write: mode != OFlags::RDONLY,
            terminal,
            bound: OnceLock::new(),
            fd: Handle::Open(fd),
        })
    }

    /// The host's descriptor.
    #[inline]
    #[must_use]
    pub fn fd(&self) -> BorrowedFd<'_> {
        match &self.fd {
            Handle::Open(fd) => fd.as_fd(),
            Handle::Root(shared, own) => own_root(shared, own),
        }
    }

    /// The host's descriptor for finding paths that start here, which takes no descriptor of the
    /// process's own.
    #[must_use]
    pub fn start(&self) -> BorrowedFd<'_> {
        match &self.fd {
            Handle::Open(fd) => fd.as_fd(),
            Handle::Root(shared, _) => shared.as_fd(),
        }
    }

    /// Whether nothing about the descriptor can have changed since it was made.
    #[must_use]
    pub fn is_untouched(&self) -> bool {
        matches!(&self.fd, Handle::Root(_, own) if own.get().is_none())
    }

    /// What sort of object it is.
    #[must_use]
    pub fn kind(&self) -> FileKind {
        self.kind
    }

    /// Whether it was opened for reading.
    #[must_use]
    pub fn readable(&self) -> bool {
        self.read
    }

    /// Whether it was opened for writing.
    #[must_use]
    pub fn writable(&self) -> bool {
        self.write
    }

    /// Whether it is a terminal.
    #[must_use]
    pub fn is_terminal(&self) -> bool {
        self.terminal
    }

    /// Keeps the name of a local socket for as long as it is open; it has only one.
    pub(crate) fn keep_name(&self, name: Bound) {
        // The host's kernel has refused a second.
        let _ = self.bound.set(name);
    }

    /// Whether an operation on it may wait for somebody else: everything but files and
    /// directories.
    #[must_use]
    pub fn may_wait(&self) -> bool {
        !matches!(self.kind, FileKind::Regular | FileKind::Directory)
    }
}

/// The root opened for this one descriptor. Where the host has none left it is the shared one,
/// which answers `EBADF` to everything but finding paths.
#[cold]
fn own_root<'f>(shared: &'f OwnedFd, own: &'f OnceLock<OwnedFd>) -> BorrowedFd<'f> {
    if own.get().is_none() {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        if let Ok(opened) = rustix::fs::openat(shared, c".", flags, Mode::empty()) {
            // Another thread may have been faster; then this one is closed.
            let _ = own.set(opened);
        }
    }
    own.get().unwrap_or(shared).as_fd()
}

impl AsFd for HostFile {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd()
    }
}

/// What a guest's descriptor number stands for.
#[derive(Clone, Debug)]
pub struct Descriptor {
    file: Arc<OpenFile>,
    /// The name a directory is handed to the guest under, for `fd_prestat_get`.
    preopen: Option<Arc<[u8]>>,
    /// Rights the guest gave up with `fd_fdstat_set_rights`.
    dropped: FdRights,
    /// What descriptors opened through it do not get of theirs.
    withheld: FdRights,
    /// Closed when a program is executed.
    close_on_exec: bool,
}

impl Descriptor {
    /// A descriptor for an open file.
    #[must_use]
    pub fn new(file: OpenFile) -> Self {
        Descriptor {
            file: Arc::new(file),
            preopen: None,
            dropped: FdRights::NONE,
            withheld: FdRights::NONE,
            close_on_exec: false,
        }
    }

    /// A descriptor handed in from outside; `EACCES` for one that guests may not have.
    pub fn inherited(fd: OwnedFd) -> Result<Self> {
        Ok(Self::new(OpenFile::Host(HostFile::inherited(fd)?)))
    }

    /// A directory that the guest finds under `name` when it starts.
    #[must_use]
    pub fn preopen(file: OpenFile, name: &[u8]) -> Self {
        Descriptor {
            preopen: Some(name.into()),
            ..Self::new(file)
        }
    }

    /// Another descriptor for the same open file; a duplicate is no preopened directory and
    /// stays open when a program is executed.
    #[must_use]
    pub fn duplicate(&self) -> Self {
        Descriptor {
            preopen: None,
            close_on_exec: false,
            ..self.clone()
        }
    }

    /// This descriptor, closed or kept when a program is executed (`FD_CLOEXEC`).
    #[must_use]
    pub fn closing_on_exec(self, close_on_exec: bool) -> Self {
        Descriptor {
            close_on_exec,
            ..self
        }
    }

    /// Whether it is closed when a program is executed.
    #[must_use]
    pub fn closes_on_exec(&self) -> bool {
        self.close_on_exec
    }

    /// Says whether it is closed when a program is executed.
    pub fn set_close_on_exec(&mut self, close_on_exec: bool) {
        self.close_on_exec = close_on_exec;
    }

    /// The open file.
    #[inline]
    #[must_use]
    pub fn file(&self) -> &OpenFile {
        &self.file
    }

    /// The host's descriptor, or `error` for a directory of the virtual tree.
    #[inline]
    pub fn host(&self, error: Errno) -> Result<&HostFile> {
        match &*self.file {
            OpenFile::Host(file) => Ok(file),
            OpenFile::Virtual(_) => Err(error),
        }
    }

    /// The name of a directory handed to the guest, or nothing.
    #[must_use]
    pub fn preopen_name(&self) -> Option<&[u8]> {
        self.preopen.as_deref()
    }

    /// What the guest may do with it: what its kind and mode allow, less what was given up.
    #[must_use]
    pub fn rights(&self) -> FdRights {
        FdRights::of(&self.file).without(self.dropped)
    }

    /// What descriptors opened through it may do.
    #[must_use]
    pub fn inheriting(&self) -> FdRights {
        FdRights::inheriting(&self.file).without(self.withheld)
    }

    /// Gives up every right that is not in `keep`; `ENOTCAPABLE` if it would gain one.
    pub fn restrict(&mut self, keep: FdRights, inheriting: FdRights) -> Result<()> {
        if !self.rights().contains(keep) || !self.inheriting().contains(inheriting) {
            return Err(Errno::NOTCAPABLE);
        }
        self.dropped = self.dropped.with(FdRights::ALL.without(keep));
        self.withheld = self.withheld.with(FdRights::ALL.without(inheriting));
        Ok(())
    }

    /// Whether `needed` was not given up; a right that its kind never had is for the host's
    /// kernel to refuse, with the error POSIX names.
    #[inline]
    pub fn require(&self, needed: FdRights) -> Result<()> {
        if self.dropped.intersects(needed) {
            Err(Errno::NOTCAPABLE)
        } else {
            Ok(())
        }
    }

    /// The rights that descriptors opened through this one do not get.
    #[must_use]
    pub fn withheld(&self) -> FdRights {
        self.withheld
    }

    /// This descriptor without what `other` gave up.
    #[must_use]
    pub fn as_little_as(mut self, other: &Descriptor) -> Self {
        self.dropped = self.dropped.with(other.dropped);
        self.withheld = self.withheld.with(other.withheld);
        self
    }

    /// This descriptor without the rights in `withheld`, for itself and what is opened through it.
    #[must_use]
    pub fn less(mut self, withheld: FdRights) -> Self {
        self.dropped = self.dropped.with(withheld);
        self.withheld = self.withheld.with(withheld);
        self
    }
}
