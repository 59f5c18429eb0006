//! What `stat` tells besides preview 1's `filestat`: permissions, owner, device. And changing
//! them, and making FIFOs, which preview 1 cannot either.

use std::os::fd::{AsFd, BorrowedFd};

use rustix::fs::{AtFlags, FileType, Gid, Mode, Stat, Uid};

use super::meta::Filestat;
use super::resolve::{Base, Node};
use super::vfs::{Context, Vfs};
use super::vnode::{VKind, VNode};
use super::{Result, kind::FileKind};
use crate::descriptor::{HostFile, OpenFile};
use crate::errno::Errno;

/// A `stat` of module vkernel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Status {
    /// What preview 1 knows.
    pub file: Filestat,
    /// Type and permissions, with Linux's numbers.
    pub mode: u32,
    /// The owner.
    pub uid: u32,
    /// The owner's group.
    pub gid: u32,
    /// Which device it is, if it is one.
    pub rdev: u64,
    /// The size of good reads and writes, in bytes.
    pub block_size: u32,
    /// What it takes on the disk, in units of 512 bytes.
    pub blocks: u64,
}

/// How many bytes a `stat` has.
pub const STATUS_SIZE: usize = 88;

/// The permissions that a guest can give to what exists: set-user-id and set-group-id are dropped,
/// as when something is made.
const SETTABLE: u32 = 0o1777;

/// What is changed of an owner: a number that is `u32::MAX` stays as it is.
#[derive(Clone, Copy, Debug)]
pub struct Owner {
    /// The user.
    pub uid: u32,
    /// The group.
    pub gid: u32,
}

impl Owner {
    fn host(self) -> (Option<Uid>, Option<Gid>) {
        let some = |id| (id != u32::MAX).then_some(id);
        (
            some(self.uid).map(Uid::from_raw),
            some(self.gid).map(Gid::from_raw),
        )
    }
}

impl Status {
    /// As the guest reads it.
    #[must_use]
    pub fn encode(&self) -> [u8; STATUS_SIZE] {
        let pair = |low: u32, high: u32| u64::from(low) | u64::from(high) << 32;
        let file = &self.file;
        let words = [
            file.dev,
            file.ino,
            file.nlink,
            pair(self.mode, self.uid),
            pair(self.gid, self.block_size),
            self.rdev,
            file.size,
            self.blocks,
            file.atim,
            file.mtim,
            file.ctim,
        ];
        let mut out = [0u8; STATUS_SIZE];
        for (slot, word) in out.chunks_exact_mut(8).zip(words) {
            slot.copy_from_slice(&word.to_le_bytes());
        }
        out
    }

    #[allow(
        clippy::unnecessary_cast,
        reason = "some are narrower on other machines"
    )]
    fn of_host(stat: &Stat) -> Status {
        Status {
            file: Filestat::from(stat),
            mode: stat.st_mode,
            uid: stat.st_uid,
            gid: stat.st_gid,
            rdev: stat.st_rdev,
            block_size: u32::try_from(stat.st_blksize).unwrap_or(4096),
            blocks: stat.st_blocks as u64,
        }
    }

    fn of_virtual(node: VNode) -> Status {
        let mode = match (node.kind(), node) {
            (VKind::Directory, _) => FileType::Directory.as_raw_mode() | 0o555,
            (VKind::Link, _) => FileType::Symlink.as_raw_mode() | 0o777,
            (VKind::Device, _) => FileType::CharacterDevice.as_raw_mode() | 0o666,
            (VKind::File, VNode::Control) => FileType::RegularFile.as_raw_mode() | 0o666,
            (VKind::File, _) => FileType::RegularFile.as_raw_mode() | 0o444,
        };
        let rdev = match node {
            VNode::Device(device) => {
                let (_, (major, minor)) = device.host();
                rustix::fs::makedev(major, minor)
            }
            _ => 0,
        };
        Status {
            file: Filestat::of_virtual(node),
            mode,
            uid: 0,
            gid: 0,
            rdev,
            block_size: 4096,
            blocks: 0,
        }
    }
}

/// `fstat`.
pub fn status_of(file: &OpenFile) -> Result<Status> {
    match file {
        OpenFile::Host(file) => Ok(Status::of_host(&rustix::fs::fstat(file.start())?)),
        OpenFile::Virtual(node) => Ok(Status::of_virtual(*node)),
    }
}

/// `EPERM` for what is no file of the container's own: a device's permissions are everybody's who
/// has that device, and without a container around it the host's.
fn changeable(kind: FileKind) -> Result<()> {
    match kind {
        FileKind::Regular | FileKind::Directory | FileKind::Pipe => Ok(()),
        // A local socket has a name in the container.
        FileKind::StreamSocket | FileKind::DatagramSocket => Ok(()),
        FileKind::Symlink => Err(Errno::NOTSUP),
        FileKind::CharDevice | FileKind::BlockDevice | FileKind::Other => Err(Errno::PERM),
    }
}

fn own(file: &OpenFile) -> Result<&HostFile> {
    match file {
        OpenFile::Host(file) => changeable(file.kind()).map(|()| file),
        OpenFile::Virtual(_) => Err(Errno::PERM),
    }
}

/// `fchmod`.
pub fn set_mode_of(file: &OpenFile, mode: u32) -> Result<()> {
    Ok(rustix::fs::fchmod(own(file)?.fd(), settable(mode))?)
}

/// `fchown`.
pub fn set_owner_of(file: &OpenFile, owner: Owner) -> Result<()> {
    let (uid, gid) = owner.host();
    Ok(rustix::fs::fchown(own(file)?.fd(), uid, gid)?)
}

fn settable(mode: u32) -> Mode {
    Mode::from_raw_mode(mode & SETTABLE)
}

impl Vfs {
    /// `stat`.
    pub fn status(
        &self,
        ctx: &Context<'_>,
        base: Base<'_>,
        path: &[u8],
        follow: bool,
    ) -> Result<Status> {
        match self.resolve(ctx, base, path, follow)? {
            Node::Host(node) => Ok(Status::of_host(&node.stat)),
            Node::Virtual(node) => Ok(Status::of_virtual(node)),
            Node::Descriptor(number) => {
                status_of(ctx.fds.get(number).map_err(|_| Errno::NOENT)?.file())
            }
        }
    }

    /// `chmod`. A link itself has no permissions: `ENOTSUP`.
    pub fn set_mode(
        &self,
        ctx: &Context<'_>,
        base: Base<'_>,
        path: &[u8],
        follow: bool,
        mode: u32,
    ) -> Result<()> {
        match self.resolve(ctx, base, path, follow)? {
            Node::Host(node) => {
                changeable(FileKind::of(&node.stat))?;
                self.proc_fd().set_mode(node.as_fd(), settable(mode))
            }
            Node::Virtual(_) => Err(Errno::PERM),
            Node::Descriptor(number) => {
                set_mode_of(ctx.fds.get(number).map_err(|_| Errno::NOENT)?.file(), mode)
            }
        }
    }

    /// `chown`, or `lchown` where links are not followed.
    pub fn set_owner(
        &self,
        ctx: &Context<'_>,
        base: Base<'_>,
        path: &[u8],
        follow: bool,
        owner: Owner,
    ) -> Result<()> {
        match self.resolve(ctx, base, path, follow)? {
            Node::Host(node) => {
                match FileKind::of(&node.stat) {
                    FileKind::Symlink => {}
                    kind => changeable(kind)?,
                }
                change_owner(node.as_fd(), owner)
            }
            Node::Virtual(_) => Err(Errno::PERM),
            Node::Descriptor(number) => {
                set_owner_of(ctx.fds.get(number).map_err(|_| Errno::NOENT)?.file(), owner)
            }
        }
    }

    /// `mkfifo`.
    pub fn make_fifo(
        &self,
        ctx: &Context<'_>,
        base: Base<'_>,
        path: &[u8],
        mode: u32,
    ) -> Result<()> {
        let at = self.resolve_parent(ctx, base, path)?;
        let mode = ctx.mode(mode);
        Ok(rustix::fs::mknodat(
            &at.dir,
            &at.name,
            FileType::Fifo,
            mode,
            0,
        )?)
    }
}

fn change_owner(node: BorrowedFd<'_>, owner: Owner) -> Result<()> {
    let (uid, gid) = owner.host();
    Ok(rustix::fs::chownat(
        node,
        c"",
        uid,
        gid,
        AtFlags::EMPTY_PATH,
    )?)
}
