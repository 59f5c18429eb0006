//! The careful way along a path: one component at a time, each judged before the next.
//!
//! Used where a path leads over mounts into a procfs or nowhere, and where `openat2` is
//! missing. `..` goes back along the directories that were really passed, so it cannot leave
//! the root whatever is renamed meanwhile.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::fs::{Mode, OFlags, ResolveFlags};

use super::judge::{FsClass, class_of};
use super::resolve::{Fast, HostNode, Node, check_path, is_dir};
use super::vfs::{Context, Vfs};
use super::vnode::{VKind, VNode};
use super::{Result, kind::FileKind};
use crate::descriptor::OpenFile;
use crate::errno::Errno;

/// Links followed before it must be a loop, as Linux counts.
const MAX_LINKS: u32 = 40;

/// `procfs` numbers its root directory so.
const PROC_ROOT_INODE: u64 = 1;

/// A directory on the way.
enum Place<'a> {
    Root(BorrowedFd<'a>),
    Host { fd: OwnedFd, dev: u64, is_dev: bool },
    Virtual(VNode),
}

/// A walk in progress.
pub(super) struct Walk<'a> {
    vfs: &'a Vfs,
    ctx: &'a Context<'a>,
    /// The directories passed, the root first; never empty.
    stack: Vec<Place<'a>>,
    /// Where `..` stops: the length the stack does not fall below.
    floor: usize,
    links: u32,
}

/// What one component turned out to be.
enum Step {
    Node(Node),
    Link(Vec<u8>),
}

impl<'a> Walk<'a> {
    /// A walk from the root.
    pub(super) fn new(vfs: &'a Vfs, ctx: &'a Context<'a>) -> Walk<'a> {
        Walk {
            vfs,
            ctx,
            stack: vec![Place::Root(vfs.root())],
            floor: 1,
            links: 0,
        }
    }

    /// Starts in the virtual tree.
    pub(super) fn starting_in(mut self, node: VNode) -> Result<Walk<'a>> {
        let mut ancestors = Vec::new();
        let mut next = Some(node);
        while let Some(node) = next {
            ancestors.push(Place::Virtual(node));
            next = node.parent(self.ctx.pid);
        }
        self.stack.extend(ancestors.into_iter().rev());
        Ok(self)
    }

    /// Starts in a directory of which nobody knows where it is: `..` stays there.
    pub(super) fn starting_at(mut self, dir: BorrowedFd<'_>) -> Result<Walk<'a>> {
        let stat = rustix::fs::fstat(dir)?;
        self.stack.push(Place::Host {
            fd: dir.try_clone_to_owned()?,
            dev: stat.st_dev,
            is_dev: false,
        });
        self.floor = 2;
        Ok(self)
    }

    /// Walks along `path` and gives what it names.
    pub(super) fn run(mut self, path: &[u8], follow: bool) -> Result<Node> {
        check_path(path)?;
        // What is still to be walked; a link's text is put in front of it.
        let mut rest: Vec<u8> = path.to_vec();
        loop {
            if rest.first() == Some(&b'/') {
                self.stack.truncate(1);
                self.floor = 1;
            }
            let Some(start) = rest.iter().position(|byte| *byte != b'/') else {
                return self.here();
            };
            rest.drain(..start);
            let end = rest
                .iter()
                .position(|byte| *byte == b'/')
                .unwrap_or(rest.len());
            let name = rest[..end].to_vec();
            let after = rest[end..].iter().position(|byte| *byte != b'/');
            let last = after.is_none();
            let must_be_dir = end < rest.len();
            rest.drain(..end + after.unwrap_or(rest.len() - end));

            match name.as_slice() {
                b"." => {}
                b".." => {
                    if self.stack.len() > self.floor {
                        self.stack.pop();
                    }
                }
                name => match self.step(name, !last || follow || must_be_dir)? {
                    Step::Link(target) => {
                        self.links += 1;
                        if self.links > MAX_LINKS {
                            return Err(Errno::LOOP);
                        }
                        let mut unfolded = target;
                        if !last || must_be_dir {
                            unfolded.push(b'/');
                        }
                        unfolded.extend_from_slice(&rest);
                        if unfolded.len() >= 2 * 4096 {
                            return Err(Errno::NAMETOOLONG);
                        }
                        rest = unfolded;
                        continue;
                    }
                    Step::Node(node) => {
                        let follows = follow || must_be_dir;
                        if let Some(found) = self.enter(node, last, follows, must_be_dir)? {
                            return Ok(found);
                        }
                        if !last && let Some(found) = self.shortcut(&rest, follow) {
                            return found.map(Node::Host);
                        }
                    }
                },
            }
            if last {
                return self.here();
            }
        }
    }

    /// On the far side of a mount point: the rest in one lookup, unless it leads over another.
    fn shortcut(&self, rest: &[u8], follow: bool) -> Option<Result<HostNode>> {
        let [
            ..,
            before,
            Place::Host {
                fd,
                dev,
                is_dev: false,
            },
        ] = &self.stack[..]
        else {
            return None;
        };
        let crossed = !matches!(before, Place::Host { dev: outer, .. } if outer == dev);
        if !crossed || !self.vfs.has_openat2() {
            return None;
        }
        match self
            .vfs
            .fast(fd.as_fd(), rest, follow, ResolveFlags::BENEATH)
        {
            Fast::Found(node) => Some(Ok(node)),
            Fast::Failed(error) => Some(Err(error)),
            Fast::Unsure => None,
        }
    }

    /// The directory the walk is in, as its result.
    fn here(self) -> Result<Node> {
        let fd = match self.stack.last().expect("the root is never popped") {
            Place::Root(fd) => fd.try_clone_to_owned()?,
            Place::Host { fd, .. } => fd.try_clone()?,
            Place::Virtual(node) => return Ok(Node::Virtual(*node)),
        };
        let stat = rustix::fs::fstat(&fd)?;
        Ok(Node::Host(HostNode { fd, stat }))
    }

    /// The link called `name` in the current directory, itself.
    fn entry(&self, name: &[u8]) -> Result<Node> {
        match self.stack.last().expect("the root is never popped") {
            Place::Virtual(node) => Ok(Node::Virtual(
                node.lookup(name, self.ctx).ok_or(Errno::NOENT)?,
            )),
            Place::Root(dir) => self.host_entry(*dir, name).map(Node::Host),
            Place::Host { fd, is_dev, .. } => match self.host_entry(fd.as_fd(), name) {
                Err(Errno::NOENT) if *is_dev => {
                    VNode::device(name).map(Node::Virtual).ok_or(Errno::NOENT)
                }
                found => found.map(Node::Host),
            },
        }
    }

    fn host_entry(&self, dir: BorrowedFd<'_>, name: &[u8]) -> Result<HostNode> {
        let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let opened = rustix::fs::openat(dir, name, flags, Mode::empty());
        let fd = opened.map_err(super::procfd::host_limit)?;
        let stat = rustix::fs::fstat(&fd)?;
        Ok(HostNode { fd, stat })
    }

    /// Looks `name` up in the current directory and judges what is there. A link is read only if
    /// it is to be followed: reading changes its access time.
    fn step(&self, name: &[u8], follow: bool) -> Result<Step> {
        let at_root = self.stack.len() == 1;
        if at_root && name == b"proc" && self.vfs.proc_overlay() {
            return Ok(Step::Node(Node::Virtual(VNode::Proc)));
        }
        let node = match self.entry(name) {
            Err(Errno::NOENT) if at_root && name == b"dev" && self.vfs.dev_overlay() => {
                return Ok(Step::Node(Node::Virtual(VNode::Dev)));
            }
            found => found?,
        };
        match node {
            Node::Virtual(node) => match node.kind() {
                VKind::Link if follow => Ok(match node {
                    VNode::Fd(number) => Step::Node(Node::Descriptor(number)),
                    node => Step::Link(node.target(self.ctx.pid)),
                }),
                _ => Ok(Step::Node(Node::Virtual(node))),
            },
            Node::Host(node) if FileKind::of(&node.stat) == FileKind::Symlink => {
                if class_of(&node.fd)? != FsClass::Ordinary {
                    return Err(Errno::ACCES);
                }
                if !follow {
                    return Ok(Step::Node(Node::Host(node)));
                }
                let target = rustix::fs::readlinkat(&node.fd, c"", Vec::with_capacity(256))?;
                let target = target.into_bytes();
                if target.is_empty() {
                    return Err(Errno::NOENT);
                }
                Ok(Step::Link(target))
            }
            Node::Host(node) => self.judge(node).map(Step::Node),
            Node::Descriptor(_) => Ok(Step::Node(node)),
        }
    }

    /// Replaces what guests may not have by what they see in its place.
    fn judge(&self, node: HostNode) -> Result<Node> {
        let known = match self.stack.last() {
            Some(Place::Host { dev, .. }) => *dev == node.stat.st_dev,
            _ => false,
        };
        if known {
            return Ok(Node::Host(node));
        }
        match class_of(&node.fd)? {
            FsClass::Ordinary => Ok(Node::Host(node)),
            FsClass::Proc if is_dir(&node.stat) && node.stat.st_ino == PROC_ROOT_INODE => {
                Ok(Node::Virtual(VNode::Proc))
            }
            // A mount point that is there to be seen, with nothing in it.
            FsClass::Refused if is_dir(&node.stat) => Ok(Node::Virtual(VNode::Empty)),
            _ => Err(Errno::ACCES),
        }
    }

    /// Goes into `node`, or returns it if it is what the path names.
    fn enter(
        &mut self,
        node: Node,
        last: bool,
        follow: bool,
        must_be_dir: bool,
    ) -> Result<Option<Node>> {
        match node {
            Node::Host(node) if is_dir(&node.stat) => {
                let is_dev = self.vfs.dev_overlay() && self.stack.len() == 1 && self.is_dev(&node);
                let dev = node.stat.st_dev;
                if last {
                    return Ok(Some(Node::Host(node)));
                }
                self.stack.push(Place::Host {
                    fd: node.fd,
                    dev,
                    is_dev,
                });
            }
            Node::Virtual(node) if node.kind() == VKind::Directory => {
                self.stack.push(Place::Virtual(node));
            }
            Node::Descriptor(number) if last && !must_be_dir => {
                return Ok(Some(if follow {
                    Node::Descriptor(number)
                } else {
                    Node::Virtual(VNode::Fd(number))
                }));
            }
            Node::Descriptor(number) => self.enter_descriptor(number)?,
            node if last && !must_be_dir => return Ok(Some(node)),
            _ => return Err(Errno::NOTDIR),
        }
        Ok(None)
    }

    fn is_dev(&self, node: &HostNode) -> bool {
        rustix::fs::statat(
            self.vfs.root(),
            c"dev",
            rustix::fs::AtFlags::SYMLINK_NOFOLLOW,
        )
        .is_ok_and(|dev| dev.st_ino == node.stat.st_ino && dev.st_dev == node.stat.st_dev)
    }

    /// Goes on in the directory that one of the process's own descriptors is open on.
    fn enter_descriptor(&mut self, number: u32) -> Result<()> {
        match self.ctx.fds.get(number).map_err(|_| Errno::NOENT)?.file() {
            OpenFile::Virtual(node) => {
                self.stack.truncate(1);
                self.floor = 1;
                self.stack.push(Place::Virtual(*node));
            }
            OpenFile::Host(file) if file.kind() == FileKind::Directory => {
                let fd = file.start().try_clone_to_owned()?;
                let dev = rustix::fs::fstat(&fd)?.st_dev;
                self.stack.truncate(1);
                self.stack.push(Place::Host {
                    fd,
                    dev,
                    is_dev: false,
                });
                // Its parent is not known here; `..` stays.
                self.floor = 2;
            }
            OpenFile::Host(_) => return Err(Errno::NOTDIR),
        }
        Ok(())
    }
}
