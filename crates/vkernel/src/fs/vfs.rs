//! The container's file system as its virtual processes share it.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;

use rustix::fs::{CWD, Mode, OFlags, ResolveFlags};

use super::executables::Executables;
use super::judge::{FsClass, class_of};
use super::procfd::ProcFd;
use super::resolve::Base;
use super::{Result, kind::FileKind};
use crate::descriptor::{FdTable, HostFile, OpenFile};
use crate::errno::Errno;
use crate::net::local::Names;
use crate::table::Processes;

/// Where the container's file system begins.
#[derive(Debug)]
pub enum Root {
    /// At `/`: this process is already confined to the container's root.
    Process,
    /// At this directory, for the developer's loop without a container: what the directory
    /// lacks of `/proc` and `/dev` is supplied.
    At(OwnedFd),
}

/// Why the file system could not be set up.
#[derive(Debug, thiserror::Error)]
pub enum SetupError {
    /// The root could not be opened.
    #[error("opening the container's root directory: {0}")]
    Root(#[source] std::io::Error),
    /// The root is not on a file system of files.
    #[error(
        "the container's root is on a file system that is not for files (procfs, sysfs or a kind \
         this version does not know); use a root file system on a disk, overlay or tmpfs"
    )]
    Unfit,
    /// No procfs of this process's own.
    #[error(
        "opening the kernel's own /proc/self/fd: {0}; mount procfs where megarun runs, or pass \
         a handle to it"
    )]
    Proc(#[source] std::io::Error),
}

/// The number that stands for "relative to the working directory" (`AT_FDCWD`, -100).
pub const GUEST_CWD: u32 = -100i32 as u32;

/// What resolving a path needs to know about the process that asks.
#[derive(Clone, Copy)]
pub struct Context<'a> {
    /// Its descriptors: `/proc/self/fd` shows these.
    pub fds: &'a FdTable,
    /// Its process id in the virtual kernel.
    pub pid: u32,
    /// The processes it can see.
    pub processes: Option<&'a Processes>,
    /// Its arguments, for `/proc/self/cmdline`.
    pub argv: &'a [Vec<u8>],
    /// Its working directory, absolute.
    pub cwd: &'a [u8],
    /// Mode bits that what it makes does not get.
    pub umask: u32,
}

impl Context<'_> {
    /// Whether this process can see the one with this number.
    #[must_use]
    pub fn sees(&self, pid: u32) -> bool {
        pid == self.pid || self.processes.is_some_and(|processes| processes.has(pid))
    }

    /// The mode of something new that asks for `mode`: permissions alone. A set-user-id file that
    /// a guest made would serve whoever can execute it outside of the container.
    #[must_use]
    pub fn mode(&self, mode: u32) -> Mode {
        Mode::from_raw_mode(mode & 0o777 & !self.umask)
    }
}

impl<'a> Context<'a> {
    /// The directory a call with descriptor `fd` starts from: `EBADF`, or `ENOTDIR` if it is
    /// none. [`GUEST_CWD`] is the working directory.
    pub fn base(&self, fd: u32) -> Result<Base<'a>> {
        if fd == GUEST_CWD {
            return Ok(Base::Cwd);
        }
        match self.fds.get(fd)?.file() {
            OpenFile::Host(file) if file.kind() == FileKind::Directory => {
                Ok(Base::Dir(file.start()))
            }
            OpenFile::Host(_) => Err(Errno::NOTDIR),
            OpenFile::Virtual(node) => Ok(Base::Virtual(*node)),
        }
    }
}

/// The container's file system.
#[derive(Debug)]
pub struct Vfs {
    root: Arc<OwnedFd>,
    root_id: FileId,
    /// Private; opens for real what was looked at.
    proc_fd: ProcFd,
    /// Whether `openat2` works; a seccomp profile may not know it.
    openat2: bool,
    /// The image has no procfs at `/proc`: the virtual one is shown there all the same.
    proc_overlay: bool,
    /// Missing device nodes are supplied.
    dev_overlay: bool,
    /// Files that were executed lately.
    executables: Executables,
    /// The names that guests gave to local sockets.
    socket_names: Arc<Names>,
}

/// Device and inode number: what makes two descriptors the same file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FileId(u64, u64);

impl FileId {
    /// The identity of what `fd` is open on.
    pub fn of(fd: impl AsFd) -> Result<FileId> {
        Ok(FileId::from(&rustix::fs::fstat(fd)?))
    }
}

impl From<&rustix::fs::Stat> for FileId {
    fn from(stat: &rustix::fs::Stat) -> Self {
        FileId(stat.st_dev, stat.st_ino)
    }
}

impl Vfs {
    /// Opens the container's root and the kernel's private handle to its own descriptors.
    pub fn new(root: Root) -> std::result::Result<Vfs, SetupError> {
        let proc_fd = ProcFd::open().map_err(SetupError::Proc)?;
        Self::with_proc(root, proc_fd)
    }

    /// As [`Vfs::new`], with a handle opened before the process's own root lost its procfs.
    pub fn with_proc(root: Root, proc_fd: ProcFd) -> std::result::Result<Vfs, SetupError> {
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let dev_overlay = matches!(root, Root::At(_));
        let opened = match &root {
            Root::Process => rustix::fs::openat(CWD, c"/", flags, Mode::empty()),
            Root::At(dir) => rustix::fs::openat(dir, c".", flags, Mode::empty()),
        };
        let root = opened.map_err(|error| SetupError::Root(error.into()))?;
        if class_of(&root) != Ok(FsClass::Ordinary) {
            return Err(SetupError::Unfit);
        }
        let root_stat = rustix::fs::fstat(&root).map_err(|error| SetupError::Root(error.into()))?;
        let openat2 = rustix::fs::openat2(&root, c".", flags, Mode::empty(), ResolveFlags::IN_ROOT);
        let mounted = rustix::fs::openat(&root, c"proc", flags | OFlags::NOFOLLOW, Mode::empty());
        let proc_overlay = !mounted.is_ok_and(|dir| class_of(dir) == Ok(FsClass::Proc));
        Ok(Vfs {
            root: Arc::new(root),
            root_id: FileId::from(&root_stat),
            proc_fd,
            openat2: openat2.is_ok(),
            proc_overlay,
            dev_overlay,
            executables: Executables::default(),
            socket_names: Arc::default(),
        })
    }

    /// The same file system, resolved as where the host has no `openat2`: slower, with the same
    /// answers, which tests compare.
    #[must_use]
    pub fn without_openat2(self) -> Vfs {
        Vfs {
            openat2: false,
            ..self
        }
    }

    /// The container's root, `O_PATH`.
    #[must_use]
    pub fn root(&self) -> BorrowedFd<'_> {
        self.root.as_fd()
    }

    /// The root as an open directory for a guest's table. It is opened when it is first used for
    /// more than finding paths, which few programs do.
    #[must_use]
    pub fn root_directory(&self) -> OpenFile {
        OpenFile::Host(HostFile::root(self.root.clone()))
    }

    /// This process's own page map, for the kernel; nothing where the host does not give it.
    pub(crate) fn page_map(&self) -> Option<OwnedFd> {
        self.proc_fd.page_map().ok()
    }

    /// Whether a host thread of this process is running; not where the host does not say.
    pub(crate) fn thread_runs(&self, thread: libc::pid_t) -> bool {
        self.proc_fd.thread_state(thread) == Ok(b'R')
    }

    /// The kernel's private handle; never for a guest.
    pub(super) fn proc_fd(&self) -> &ProcFd {
        &self.proc_fd
    }

    pub(super) fn executables(&self) -> &Executables {
        &self.executables
    }

    /// Whether the host's kernel can be told of a descriptor by a path: `ENOTSUP` where no procfs
    /// is mounted at `/proc`.
    pub(crate) fn can_name_descriptors(&self) -> Result<()> {
        if self.proc_fd.is_at_its_path() {
            Ok(())
        } else {
            Err(Errno::NOTSUP)
        }
    }

    /// The names that guests gave to local sockets.
    pub(crate) fn socket_names(&self) -> &Arc<Names> {
        &self.socket_names
    }

    pub(super) fn root_id(&self) -> FileId {
        self.root_id
    }

    pub(super) fn has_openat2(&self) -> bool {
        self.openat2
    }

    pub(super) fn proc_overlay(&self) -> bool {
        self.proc_overlay
    }

    pub(super) fn dev_overlay(&self) -> bool {
        self.dev_overlay
    }

    /// As [`Vfs::path_of`], for a directory to work in: `EACCES` without search permission.
    pub fn searchable_path(&self, dir: impl AsFd) -> Result<Vec<u8>> {
        self.proc_fd.check_executable(dir.as_fd())?;
        self.path_of(dir.as_fd())
    }

    /// Where a directory is now, as an absolute path in the container: the host kernel's word,
    /// checked by walking there. `ENOENT` if it was removed or lies outside the root.
    pub fn path_of(&self, dir: BorrowedFd<'_>) -> Result<Vec<u8>> {
        let base = self.proc_fd.read_link(self.root.as_fd())?;
        let full = self.proc_fd.read_link(dir)?;
        let base = base.strip_suffix(b"/").unwrap_or(&base);
        let inside = match full.strip_prefix(base) {
            Some([]) => b"/".to_vec(),
            Some(rest) if rest.starts_with(b"/") => rest.to_vec(),
            _ => return Err(Errno::NOENT),
        };
        let there = self.host_path(&inside, true)?;
        if FileId::of(&there)? == FileId::of(dir)? {
            Ok(inside)
        } else {
            Err(Errno::NOENT)
        }
    }
}
