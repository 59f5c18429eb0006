//! Open files and the descriptor table of a process.
//!
//! An [`OpenFile`] is what POSIX calls an open file description: shared by every descriptor
//! that was duplicated or inherited from one another, offset and status flags included, because
//! it *is* one host descriptor. A [`Descriptor`] is one process's name for it.

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

/// Guest descriptor numbers and what they stand for. Cloning it is what `fork` and `spawn` do:
/// the open files are shared.
#[derive(Clone, Debug)]
pub struct FdTable {
    slots: Vec<Option<Descriptor>>,
    /// No number below this one is free.
    first_free: usize,
    limit: u32,
}

impl Default for FdTable {
    fn default() -> Self {
        FdTable::new(Self::DEFAULT_LIMIT)
    }
}

impl FdTable {
    /// Numbers of a process whose config names no `RLIMIT_NOFILE`.
    pub const DEFAULT_LIMIT: u32 = 1024;

    /// The most numbers a process can have, as Linux's `fs.nr_open`: the table is as long as its
    /// highest number, which a guest chooses.
    pub const MAX_LIMIT: u32 = 1 << 20;

    /// A table that gives out the numbers below `limit` (`RLIMIT_NOFILE` of the process), and
    /// never more than [`Self::MAX_LIMIT`].
    #[must_use]
    pub fn new(limit: u32) -> Self {
        FdTable {
            slots: Vec::new(),
            first_free: 0,
            limit: limit.min(Self::MAX_LIMIT),
        }
    }

    /// One more than the highest number the table gives out.
    #[must_use]
    pub fn limit(&self) -> u32 {
        self.limit
    }

    /// Changes that; what is open beyond stays open.
    pub fn set_limit(&mut self, limit: u32) {
        self.limit = limit.min(Self::MAX_LIMIT);
    }

    /// The descriptor `fd`, or `EBADF`.
    #[inline]
    pub fn get(&self, fd: u32) -> Result<&Descriptor> {
        self.slots
            .get(fd as usize)
            .and_then(Option::as_ref)
            .ok_or(Errno::BADF)
    }

    /// The descriptor `fd` to change, or `EBADF`.
    pub fn get_mut(&mut self, fd: u32) -> Result<&mut Descriptor> {
        self.slots
            .get_mut(fd as usize)
            .and_then(Option::as_mut)
            .ok_or(Errno::BADF)
    }

    /// Whether one more descriptor fits; asked before the effects of an open. `EMFILE`.
    pub fn check_room(&self) -> Result<()> {
        if self.lowest_free(0) < self.limit as usize {
            Ok(())
        } else {
            Err(Errno::MFILE)
        }
    }

    /// Gives `descriptor` the lowest free number; `EMFILE` at the limit.
    pub fn insert(&mut self, descriptor: Descriptor) -> Result<u32> {
        self.insert_from(descriptor, 0)
    }

    /// Gives `descriptor` the lowest free number that is at least `min` (`F_DUPFD`).
    pub fn insert_from(&mut self, descriptor: Descriptor, min: u32) -> Result<u32> {
        let at = self.lowest_free(min as usize);
        if at >= self.limit as usize {
            return Err(Errno::MFILE);
        }
        self.put(at, descriptor);
        if (min as usize) <= self.first_free {
            self.first_free = at + 1;
        }
        Ok(at as u32)
    }

    /// Puts `descriptor` at number `fd`, closing what was there: how `dup2` and the kernel set
    /// a table up. `EBADF` beyond the limit.
    pub fn insert_at(&mut self, fd: u32, descriptor: Descriptor) -> Result<()> {
        if fd >= self.limit {
            return Err(Errno::BADF);
        }
        self.put(fd as usize, descriptor);
        Ok(())
    }

    /// Takes the descriptor out of the table; dropping it closes the file if it was the last.
    pub fn remove(&mut self, fd: u32) -> Result<Descriptor> {
        let slot = self.slots.get_mut(fd as usize).ok_or(Errno::BADF)?;
        let descriptor = slot.take().ok_or(Errno::BADF)?;
        self.first_free = self.first_free.min(fd as usize);
        Ok(descriptor)
    }

    /// Moves `from` to number `to`, closing what was there, with no moment in between at which
    /// either number is free or both are the same file.
    pub fn renumber(&mut self, from: u32, to: u32) -> Result<()> {
        self.get(from)?;
        if to >= self.limit {
            return Err(Errno::BADF);
        }
        if from == to {
            return Ok(());
        }
        let moved = self.remove(from)?;
        self.insert_at(to, moved)
    }

    /// `dup2`: makes `to` stand for what `from` does, closing what it was. `EBADF` beyond the
    /// limit. Where the two are the same number nothing changes.
    pub fn duplicate_to(&mut self, from: u32, to: u32, close_on_exec: bool) -> Result<()> {
        let copy = self.get(from)?.duplicate();
        if to >= self.limit {
            return Err(Errno::BADF);
        }
        if from == to {
            return Ok(());
        }
        self.insert_at(to, copy.closing_on_exec(close_on_exec))
    }

    /// Closes every number for which `closed` holds.
    pub fn close_where(&mut self, mut closed: impl FnMut(u32, &Descriptor) -> bool) {
        for (number, slot) in self.slots.iter_mut().enumerate() {
            // The table has at most `MAX_LIMIT` numbers.
            if slot
                .as_ref()
                .is_some_and(|file| closed(number as u32, file))
            {
                *slot = None;
                self.first_free = self.first_free.min(number);
            }
        }
    }

    /// Every open number with its descriptor, ascending.
    pub fn iter(&self) -> impl Iterator<Item = (u32, &Descriptor)> {
        self.slots
            .iter()
            .enumerate()
            .filter_map(|(number, slot)| slot.as_ref().map(|file| (number as u32, file)))
    }

    fn lowest_free(&self, min: usize) -> usize {
        let start = self.first_free.max(min);
        (start..self.slots.len())
            .find(|at| self.slots[*at].is_none())
            .unwrap_or(self.slots.len().max(start))
    }

    fn put(&mut self, at: usize, descriptor: Descriptor) {
        if self.slots.len() <= at {
            self.slots.resize_with(at + 1, || None);
        }
        self.slots[at] = Some(descriptor);
    }
}

#[cfg(test)]
mod tests {
    use super::{Descriptor, FdTable, OpenFile};
    use crate::errno::Errno;
    use crate::fs::vnode::VNode;

    fn file() -> Descriptor {
        Descriptor::new(OpenFile::Virtual(VNode::Empty))
    }

    #[test]
    fn the_lowest_free_number_is_given_out_up_to_the_limit() {
        let mut table = FdTable::new(4);
        table.insert_at(1, file()).unwrap();
        assert_eq!(table.insert(file()), Ok(0));
        assert_eq!(table.insert(file()), Ok(2));
        assert_eq!(table.insert(file()), Ok(3));
        assert_eq!(table.insert(file()).err(), Some(Errno::MFILE));
        assert_eq!(table.check_room(), Err(Errno::MFILE));
        table.remove(1).unwrap();
        table.remove(0).unwrap();
        assert_eq!(table.insert_from(file(), 1), Ok(1));
        assert_eq!(table.insert(file()), Ok(0));
        assert_eq!(table.insert_at(4, file()).err(), Some(Errno::BADF));
        assert_eq!(table.remove(9).err(), Some(Errno::BADF));
    }

    #[test]
    fn a_minimum_leaves_lower_numbers_free() {
        let mut table = FdTable::new(100);
        assert_eq!(table.insert_from(file(), 10), Ok(10));
        assert_eq!(table.insert_from(file(), 10), Ok(11));
        assert_eq!(table.insert(file()), Ok(0));
        assert_eq!(table.insert(file()), Ok(1));
        assert_eq!(
            table.iter().map(|(fd, _)| fd).collect::<Vec<_>>(),
            [0, 1, 10, 11]
        );
    }

    #[test]
    fn without_a_limit_a_number_still_cannot_make_the_table_endless() {
        let mut table = FdTable::new(u32::MAX);
        assert_eq!(table.insert(file()), Ok(0));
        for far in [1 << 20, u32::MAX - 1] {
            assert_eq!(table.renumber(0, far).err(), Some(Errno::BADF));
            assert_eq!(table.insert_from(file(), far).err(), Some(Errno::MFILE));
        }
        assert_eq!(table.renumber(0, (1 << 20) - 1), Ok(()));
    }

    #[test]
    fn renumbering_moves_and_closes() {
        let mut table = FdTable::new(8);
        for _ in 0..3 {
            table.insert(file()).unwrap();
        }
        table.renumber(2, 0).unwrap();
        assert_eq!(table.iter().map(|(fd, _)| fd).collect::<Vec<_>>(), [0, 1]);
        assert_eq!(table.renumber(2, 0).err(), Some(Errno::BADF));
        assert_eq!(table.renumber(1, 1), Ok(()));
        assert_eq!(table.renumber(1, 8).err(), Some(Errno::BADF));
        assert_eq!(table.renumber(1, 7), Ok(()));
        assert_eq!(table.insert(file()), Ok(1));
    }
}
