//! Listing directories (`fd_readdir`).
//!
//! A cookie is the host kernel's own position (`d_off`) after the entry, so a listing can be
//! taken up again after any entry, however the directory has changed, and no state is kept.

use std::os::fd::{AsRawFd, BorrowedFd};

use rustix::fs::{FileType, SeekFrom};

use super::vfs::{Context, FileId, Vfs};
use super::vnode::{VKind, VNode};
use super::{Result, kind::FileKind};
use crate::descriptor::OpenFile;
use crate::errno::Errno;

/// Bytes of a `dirent` of preview 1 before the name.
const DIRENT: usize = 24;

/// Bytes of a `linux_dirent64` before the name.
const HOST_DIRENT: usize = 19;

/// The largest piece of a directory fetched at once.
const CHUNK: usize = 32 * 1024;

/// Room for at least one entry with the longest name.
const SMALLEST_CHUNK: usize = 512;

/// Puts entries into a guest's buffer, the last one cut where the buffer ends.
struct Listing<'b> {
    buffer: &'b mut [u8],
    used: usize,
}

impl Listing<'_> {
    /// Adds an entry; false once the buffer is full.
    fn add(&mut self, next: u64, inode: u64, kind: FileKind, name: &[u8]) -> bool {
        let mut head = [0u8; DIRENT];
        head[..8].copy_from_slice(&next.to_le_bytes());
        head[8..16].copy_from_slice(&inode.to_le_bytes());
        head[16..20].copy_from_slice(&(name.len() as u32).to_le_bytes());
        head[20] = kind.wasi();
        self.put(&head) && self.put(name)
    }

    fn put(&mut self, bytes: &[u8]) -> bool {
        let room = self.buffer.len() - self.used;
        let taken = bytes.len().min(room);
        self.buffer[self.used..self.used + taken].copy_from_slice(&bytes[..taken]);
        self.used += taken;
        self.used < self.buffer.len()
    }
}

impl Vfs {
    /// Fills `buffer` with entries from `cookie` on (0 is the start) and says how many bytes;
    /// fewer than the buffer has means that the directory ended.
    pub fn read_directory(
        &self,
        ctx: &Context<'_>,
        file: &OpenFile,
        cookie: u64,
        buffer: &mut [u8],
    ) -> Result<usize> {
        let mut listing = Listing { buffer, used: 0 };
        match file {
            OpenFile::Virtual(node) => list_virtual(*node, ctx, cookie, &mut listing),
            OpenFile::Host(file) if file.kind() == FileKind::Directory => {
                self.list_host(file.fd(), cookie, &mut listing)?;
            }
            OpenFile::Host(_) => return Err(Errno::NOTDIR),
        }
        Ok(listing.used)
    }

    fn list_host(&self, dir: BorrowedFd<'_>, cookie: u64, out: &mut Listing<'_>) -> Result<()> {
        if i64::try_from(cookie).is_err() {
            return Err(Errno::INVAL);
        }
        if out.buffer.is_empty() {
            return Ok(());
        }
        rustix::fs::seek(dir, SeekFrom::Start(cookie))?;
        // `..` of the root is the root: the inode of what is above it is nobody's business.
        let stat = rustix::fs::fstat(dir)?;
        let top = (FileId::from(&stat) == self.root_id()).then_some(stat.st_ino);
        let mut chunk = vec![0u8; out.buffer.len().clamp(SMALLEST_CHUNK, CHUNK)];
        loop {
            let filled = getdents(dir, &mut chunk)?;
            if filled == 0 {
                return Ok(());
            }
            for entry in HostEntries(&chunk[..filled]) {
                let inode = match top {
                    Some(root) if entry.name == b".." => root,
                    _ => entry.inode,
                };
                if !out.add(entry.next, inode, entry.kind, entry.name) {
                    return Ok(());
                }
            }
        }
    }
}

/// More than the entries of any directory of the virtual tree that are always there; descriptors
/// are listed by their place among those that are open.
const FIXED: u64 = 1 << 32;

fn list_virtual(node: VNode, ctx: &Context<'_>, cookie: u64, out: &mut Listing<'_>) {
    let parent = node.parent(ctx.pid).map_or(2, VNode::inode);
    let dots = [
        (b".".to_vec(), node.inode(), FileKind::Directory),
        (b"..".to_vec(), parent, FileKind::Directory),
    ];
    let entries = node.list(ctx).into_iter().map(|(name, entry)| {
        let kind = match entry.kind() {
            VKind::Directory => FileKind::Directory,
            VKind::File => FileKind::Regular,
            VKind::Link => FileKind::Symlink,
            VKind::Device => FileKind::CharDevice,
        };
        // A process keeps its place whoever comes and goes.
        let place = match entry {
            VNode::Process(pid) => Some(FIXED + u64::from(pid)),
            _ => None,
        };
        (name, entry.inode(), kind, place)
    });
    let dots = dots
        .into_iter()
        .map(|(name, inode, kind)| (name, inode, kind, None));
    for (at, (name, inode, kind, place)) in (1u64..).zip(dots.chain(entries)) {
        let place = place.unwrap_or(at);
        if place > cookie && !out.add(place, inode, kind, &name) {
            return;
        }
    }
}

fn getdents(dir: BorrowedFd<'_>, chunk: &mut [u8]) -> Result<usize> {
    // SAFETY: the pointer and length are those of a live, writable slice; the kernel writes at
    // most that many bytes.
    let filled = unsafe {
        libc::syscall(
            libc::SYS_getdents64,
            dir.as_raw_fd(),
            chunk.as_mut_ptr(),
            chunk.len(),
        )
    };
    usize::try_from(filled).map_err(|_| Errno::last())
}

struct HostEntry<'c> {
    inode: u64,
    next: u64,
    kind: FileKind,
    name: &'c [u8],
}

/// The `linux_dirent64` records in what `getdents64` returned.
struct HostEntries<'c>(&'c [u8]);

impl<'c> Iterator for HostEntries<'c> {
    type Item = HostEntry<'c>;

    fn next(&mut self) -> Option<HostEntry<'c>> {
        let head = self.0.get(..HOST_DIRENT)?;
        let word = |at: usize| head[at..at + 8].try_into().map(u64::from_ne_bytes).ok();
        let len = usize::from(u16::from_ne_bytes([head[16], head[17]]));
        let record = self
            .0
            .get(..len)
            .filter(|record| record.len() > HOST_DIRENT)?;
        let name = &record[HOST_DIRENT..];
        let end = name
            .iter()
            .position(|byte| *byte == 0)
            .unwrap_or(name.len());
        let entry = HostEntry {
            inode: word(0)?,
            next: word(8)?,
            kind: kind_of_dirent(head[18]),
            name: &name[..end],
        };
        self.0 = &self.0[len..];
        Some(entry)
    }
}

fn kind_of_dirent(dirent_type: u8) -> FileKind {
    FileKind::of_type(match dirent_type {
        libc::DT_REG => FileType::RegularFile,
        libc::DT_DIR => FileType::Directory,
        libc::DT_LNK => FileType::Symlink,
        libc::DT_CHR => FileType::CharacterDevice,
        libc::DT_BLK => FileType::BlockDevice,
        libc::DT_FIFO => FileType::Fifo,
        libc::DT_SOCK => FileType::Socket,
        _ => FileType::Unknown,
    })
}
