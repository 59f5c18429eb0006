//! Opening a path: look first (`O_PATH`), judge, then open what was judged.
//!
//! Opening has effects on some devices and waits on FIFOs, so nothing is opened for real that
//! was not looked at. The second open goes through the kernel's private `/proc/self/fd`, so it
//! is the same object whatever happens to the path meanwhile.

use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;

use rustix::fs::{Access, CWD, Mode, OFlags};

use super::executables::Seen;
use super::procfd::{grants, host_limit};
use super::resolve::{Base, HostNode, Node, is_dir};
use super::vfs::{Context, Vfs};
use super::vnode::{Device, VKind, VNode};
use super::{Result, judge, kind::FileKind};
use crate::descriptor::{Descriptor, HostFile, OpenFile};
use crate::errno::Errno;
use crate::exec::Executable;

/// Links to files that do not exist yet, followed when creating, and races lost.
const ATTEMPTS: usize = 40;

/// What `path_open` asks for.
#[derive(Clone, Copy, Debug, Default)]
pub struct OpenRequest {
    /// A link at the end of the path is followed; otherwise `ELOOP`.
    pub follow: bool,
    /// Make the file if it is missing.
    pub create: bool,
    /// Fail with `EEXIST` unless it was missing; with `create` only.
    pub exclusive: bool,
    /// It must be a directory.
    pub directory: bool,
    /// Empty it.
    pub truncate: bool,
    /// Open for reading.
    pub read: bool,
    /// Open for writing.
    pub write: bool,
    /// Status flags of the host (`O_APPEND`, `O_NONBLOCK`, `O_DSYNC`, `O_SYNC`), no others.
    pub status: StatusFlags,
    /// Mode of a file that is made, before the umask.
    pub mode: u32,
}

/// The status flags a guest may ask for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StatusFlags {
    /// Every write goes to the end.
    pub append: bool,
    /// Data reaches the disk before a write returns.
    pub dsync: bool,
    /// Nothing waits.
    pub nonblock: bool,
    /// Data and metadata reach the disk before a write returns.
    pub sync: bool,
}

impl StatusFlags {
    /// As the host's kernel wants them.
    #[must_use]
    pub fn host(self) -> OFlags {
        let mut flags = OFlags::empty();
        flags.set(OFlags::APPEND, self.append);
        flags.set(OFlags::NONBLOCK, self.nonblock);
        flags.set(OFlags::DSYNC, self.dsync);
        if self.sync {
            flags |= OFlags::SYNC;
        }
        flags
    }

    /// As the host's kernel has them.
    #[must_use]
    pub fn of(flags: OFlags) -> StatusFlags {
        StatusFlags {
            append: flags.contains(OFlags::APPEND),
            nonblock: flags.contains(OFlags::NONBLOCK),
            dsync: flags.contains(OFlags::DSYNC),
            sync: flags.contains(OFlags::SYNC),
        }
    }
}

impl OpenRequest {
    fn host_flags(&self) -> OFlags {
        let mut flags = match (self.read, self.write) {
            (_, false) => OFlags::RDONLY,
            (false, true) => OFlags::WRONLY,
            (true, true) => OFlags::RDWR,
        };
        flags |= self.status.host() | OFlags::CLOEXEC | OFlags::NOCTTY;
        flags.set(OFlags::TRUNC, self.truncate);
        flags
    }

    fn changes(&self) -> bool {
        self.write || self.truncate
    }
}

impl Vfs {
    /// Opens what `path` names from `base`. May wait for the other end of a FIFO, and then
    /// fails with `EINTR` on a signal.
    pub fn open(
        &self,
        ctx: &Context<'_>,
        base: Base<'_>,
        path: &[u8],
        request: &OpenRequest,
    ) -> Result<Descriptor> {
        if request.create && request.directory {
            return Err(Errno::INVAL);
        }
        if request.create && path.ends_with(b"/") {
            // Nothing of that name can be made, whatever is there already.
            self.resolve_parent(ctx, base, path)?;
            return Err(Errno::ISDIR);
        }
        let follow = request.follow && !(request.create && request.exclusive);
        match self.resolve(ctx, base, path, follow) {
            Ok(_) if request.create && request.exclusive => Err(Errno::EXIST),
            Ok(node) => self.open_node(ctx, node, request),
            Err(Errno::NOENT) if request.create && !path.is_empty() => {
                self.create(ctx, base, path, request, follow)
            }
            Err(error) => Err(error),
        }
    }

    /// Makes the file that was found missing, at the end of a link if that is where it belongs.
    fn create(
        &self,
        ctx: &Context<'_>,
        base: Base<'_>,
        path: &[u8],
        request: &OpenRequest,
        follow: bool,
    ) -> Result<Descriptor> {
        let flags = request.host_flags() | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW;
        let mut from: Option<OwnedFd> = None;
        let mut path = path.to_vec();
        for _ in 0..ATTEMPTS {
            let base = from.as_ref().map_or(base, |dir| Base::Dir(dir.as_fd()));
            let parent = self.resolve_parent(ctx, base, &path)?;
            if path.ends_with(b"/") {
                return Err(Errno::ISDIR); // A link's text.
            }
            let mode = ctx.mode(request.mode);
            match rustix::fs::openat(&parent.dir, &parent.name, flags, mode) {
                Ok(fd) => return Ok(Descriptor::new(OpenFile::Host(HostFile::new(fd)?))),
                Err(rustix::io::Errno::EXIST) if request.exclusive => return Err(Errno::EXIST),
                Err(rustix::io::Errno::EXIST) => {}
                Err(error) => return Err(host_limit(error)),
            }
            // It exists after all: a link that leads nowhere, or somebody was faster.
            match rustix::fs::readlinkat(&parent.dir, &parent.name, Vec::with_capacity(256)) {
                Ok(_) if !follow => return Err(Errno::LOOP),
                Ok(target) => path = target.into_bytes(),
                Err(_) => path = parent.name.into_bytes(),
            }
            let start = Base::Dir(parent.dir.as_fd());
            match self.resolve(ctx, start, &path, follow) {
                Ok(node) => return self.open_node(ctx, node, request),
                Err(Errno::NOENT) => from = Some(parent.dir),
                Err(error) => return Err(error),
            }
        }
        Err(Errno::LOOP)
    }

    /// Opens a file for the kernel to hash and execute, and says where it really is. Links are
    /// followed inside the root. `EACCES` for what is no regular file, may not be executed, or
    /// lies on a file system that is not one of files.
    pub fn open_executable(&self, ctx: &Context<'_>, path: &[u8]) -> Result<Executable> {
        let joined;
        let path = if path.starts_with(b"/") || path.is_empty() {
            path
        } else {
            let cwd = ctx.cwd.strip_suffix(b"/").unwrap_or(ctx.cwd);
            joined = [cwd, b"/", path].concat();
            &joined
        };
        if let Some(known) = self.known_executable(path) {
            return Ok(known);
        }
        let direct = self.direct(path)?;
        let straight = direct.is_some();
        let node = match direct {
            Some(node) => node,
            None => {
                let fd = self.host_path(path, true)?;
                let stat = rustix::fs::fstat(&fd)?;
                HostNode { fd, stat }
            }
        };
        let stat = &node.stat;
        if FileKind::of(stat) != FileKind::Regular || stat.st_mode & 0o111 == 0 {
            return Err(Errno::ACCES);
        }
        self.proc_fd().check_executable(node.as_fd())?;
        let fd = Arc::new(self.proc_fd().reopen(node.as_fd(), OFlags::RDONLY)?);
        let path = if straight {
            self.executables().keep(path, &fd);
            path.to_vec()
        } else {
            self.path_of(fd.as_fd()).unwrap_or_else(|_| path.to_vec())
        };
        let size = u64::try_from(stat.st_size).unwrap_or(0);
        Ok(Executable { fd, path, size })
    }

    /// What `path` names, if that was executed lately and may be now. Nothing otherwise: whoever
    /// asks then looks as if for the first time, and finds out why.
    fn known_executable(&self, path: &[u8]) -> Option<Executable> {
        let look = || Seen::at(self.root(), path.strip_prefix(b"/")?);
        let (fd, seen) = self.executables().find(path, look)?;
        // As if it were opened: both permissions may have been taken meanwhile.
        if seen.mode & 0o111 == 0 || !grants(fd.as_fd(), Access::READ_OK | Access::EXEC_OK) {
            return None;
        }
        let (path, size) = (path.to_vec(), seen.size);
        Some(Executable { fd, path, size })
    }

    fn open_node(
        &self,
        ctx: &Context<'_>,
        node: Node,
        request: &OpenRequest,
    ) -> Result<Descriptor> {
        let file = match node {
            Node::Host(node) => OpenFile::Host(self.open_host(&node, request)?),
            Node::Virtual(node) => self.open_virtual(ctx, node, request)?,
            Node::Descriptor(number) => return self.open_descriptor(ctx, number, request),
        };
        Ok(Descriptor::new(file))
    }

    fn open_host(&self, node: &HostNode, request: &OpenRequest) -> Result<HostFile> {
        judge::check_device(&node.stat)?;
        let flags = match FileKind::of(&node.stat) {
            FileKind::Symlink if request.directory => return Err(Errno::NOTDIR),
            FileKind::Symlink => return Err(Errno::LOOP),
            FileKind::Directory if request.changes() || request.create => {
                return Err(Errno::ISDIR);
            }
            FileKind::Directory => directory_flags(),
            _ if request.directory => return Err(Errno::NOTDIR),
            FileKind::StreamSocket | FileKind::DatagramSocket => return Err(Errno::NXIO),
            _ => request.host_flags(),
        };
        let fd = self.proc_fd().reopen(node.fd.as_fd(), flags)?;
        let mode = flags & OFlags::RWMODE;
        let (read, write) = (mode != OFlags::WRONLY, mode != OFlags::RDONLY);
        Ok(HostFile::looked_at(fd, &node.stat, read, write))
    }

    fn open_virtual(
        &self,
        ctx: &Context<'_>,
        node: VNode,
        request: &OpenRequest,
    ) -> Result<OpenFile> {
        match (node.kind(), node) {
            (VKind::Directory, _) if !(request.changes() || request.create) => {
                Ok(OpenFile::Virtual(node))
            }
            (VKind::Directory, _) => Err(Errno::ISDIR),
            (VKind::Link, _) if !request.directory => Err(Errno::LOOP),
            _ if request.directory => Err(Errno::NOTDIR),
            (_, VNode::Text(_) | VNode::Of(..)) => {
                if request.changes() {
                    return Err(Errno::ACCES);
                }
                Ok(OpenFile::Host(HostFile::new(self.open_text(node, ctx)?)?))
            }
            (_, VNode::Control) => Ok(OpenFile::Virtual(node)),
            (_, VNode::Device(device)) => open_device(device, request).map(OpenFile::Host),
            _ => Err(Errno::ACCES),
        }
    }

    /// `/proc/self/fd/N`: opens the file anew, with an offset of its own, as Linux does. Never
    /// with more access than the descriptor has. What cannot be opened again (a socket, a pipe
    /// of another user's) is duplicated.
    fn open_descriptor(
        &self,
        ctx: &Context<'_>,
        number: u32,
        request: &OpenRequest,
    ) -> Result<Descriptor> {
        let descriptor = ctx.fds.get(number).map_err(|_| Errno::NOENT)?;
        let file = match descriptor.file() {
            OpenFile::Virtual(node) => {
                let file = self.open_virtual(ctx, *node, request)?;
                return Ok(Descriptor::new(file).as_little_as(descriptor));
            }
            OpenFile::Host(file) => file,
        };
        if file.kind() == FileKind::Directory {
            if request.changes() || request.create {
                return Err(Errno::ISDIR);
            }
            let fd = self.proc_fd().reopen(file.start(), directory_flags())?;
            return Ok(Descriptor::new(OpenFile::Host(HostFile::new(fd)?)).as_little_as(descriptor));
        }
        if request.directory {
            return Err(Errno::NOTDIR);
        }
        let (write, read) = (request.changes(), request.read);
        if (write && !file.writable()) || (read && !file.readable()) {
            // `tee /dev/stdout` opens a pipe for reading too and only writes to it: it gets the
            // end that there is.
            let one = (write && file.writable()) || (read && file.readable());
            return match file.kind() {
                FileKind::Regular => Err(Errno::ACCES),
                _ if one => Ok(descriptor.duplicate()),
                _ => Err(Errno::ACCES),
            };
        }
        match self.proc_fd().reopen(file.fd(), request.host_flags()) {
            Ok(fd) => {
                Ok(Descriptor::new(OpenFile::Host(HostFile::inherited(fd)?))
                    .as_little_as(descriptor))
            }
            Err(Errno::NXIO | Errno::ACCES) if file.kind() != FileKind::Regular => {
                Ok(descriptor.duplicate())
            }
            Err(error) => Err(error),
        }
    }
}

fn directory_flags() -> OFlags {
    OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC
}

fn open_device(device: Device, request: &OpenRequest) -> Result<HostFile> {
    let (path, numbers) = device.host();
    let look = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let node = rustix::fs::openat(CWD, path, look, Mode::empty())?;
    let stat = rustix::fs::fstat(&node)?;
    let found = (
        rustix::fs::major(stat.st_rdev),
        rustix::fs::minor(stat.st_rdev),
    );
    if FileKind::of(&stat) != FileKind::CharDevice || found != numbers || is_dir(&stat) {
        return Err(Errno::NODEV);
    }
    let flags = request.host_flags() | OFlags::NOFOLLOW;
    let fd = rustix::fs::openat(CWD, path, flags, Mode::empty()).map_err(host_limit)?;
    HostFile::new(fd)
}
