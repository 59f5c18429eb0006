//! From a path to the object it names, inside the container's root.
//!
//! Fast: one `openat2` that may not leave the mount it starts on. The mount was judged when the
//! start was opened, so whatever it says, found or not, holds. Only a path that crosses mounts is
//! walked component by component ([`super::walk`]), because only there can something stand that
//! guests may not have; on the other side the rest is again one `openat2`. The walk alone gives
//! the same answers; tests compare the two.

use std::ffi::CString;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::fs::{Mode, OFlags, ResolveFlags, Stat};

use super::Result;
use super::judge::{FsClass, class_of};
use super::vfs::{Context, FileId, Vfs};
use super::vnode::VNode;
use super::walk::Walk;
use crate::errno::Errno;

/// The longest path, its NUL included (`PATH_MAX`).
const PATH_MAX: usize = 4096;

/// How often a lookup that raced with a rename is tried again before it is walked.
const RACES: usize = 3;

/// Where a relative path starts.
#[derive(Clone, Copy, Debug)]
pub enum Base<'a> {
    /// The container's root.
    Root,
    /// The process's working directory.
    Cwd,
    /// An open directory.
    Dir(BorrowedFd<'a>),
    /// A directory of the virtual tree.
    Virtual(VNode),
}

/// What a path names.
#[derive(Debug)]
pub enum Node {
    /// An object of the host's, on a file system that guests may use.
    Host(HostNode),
    /// An object of the virtual tree; a link stands for itself.
    Virtual(VNode),
    /// What the process's own descriptor of this number is open on.
    Descriptor(u32),
}

/// An object that was looked up but not opened: `O_PATH`.
#[derive(Debug)]
pub struct HostNode {
    /// The `O_PATH` descriptor.
    pub fd: OwnedFd,
    /// What it was found to be.
    pub stat: Stat,
}

/// A directory and the name of an entry in it that may not exist.
#[derive(Debug)]
pub struct Parent {
    /// The directory, `O_PATH`, on a file system that guests may use.
    pub dir: OwnedFd,
    /// The last component, with the slash that followed it, if one did.
    pub name: CString,
}

/// Splits off the last component: what leads to it, and itself with a trailing slash kept.
fn split(path: &[u8]) -> (&[u8], Vec<u8>) {
    let end = path
        .iter()
        .rposition(|byte| *byte != b'/')
        .map_or(0, |at| at + 1);
    if end == 0 {
        return (path, b".".to_vec());
    }
    let start = path[..end]
        .iter()
        .rposition(|byte| *byte == b'/')
        .map_or(0, |at| at + 1);
    let mut name = path[start..end].to_vec();
    if end < path.len() {
        name.push(b'/');
    }
    (&path[..start], name)
}

/// Refuses what no path can be: empty, too long, or with a NUL inside.
pub(super) fn check_path(path: &[u8]) -> Result<()> {
    if path.is_empty() {
        Err(Errno::NOENT)
    } else if path.len() >= PATH_MAX {
        Err(Errno::NAMETOOLONG)
    } else if path.contains(&0) {
        Err(Errno::INVAL)
    } else {
        Ok(())
    }
}

fn join(dir: &[u8], path: &[u8]) -> Vec<u8> {
    let mut joined = Vec::with_capacity(dir.len() + 1 + path.len());
    joined.extend_from_slice(dir);
    joined.push(b'/');
    joined.extend_from_slice(path);
    joined
}

/// What one lookup on one mount found.
pub(super) enum Fast {
    /// This.
    Found(HostNode),
    /// That it does not exist or cannot be reached; final.
    Failed(Errno),
    /// That the path leaves the mount.
    Unsure,
}

impl Vfs {
    /// Finds what `path` names. `follow` says whether a link at its very end is followed; the
    /// other links always are, inside the root. Fails as `open` does.
    pub fn resolve(
        &self,
        ctx: &Context<'_>,
        base: Base<'_>,
        path: &[u8],
        follow: bool,
    ) -> Result<Node> {
        check_path(path)?;
        let base = if path[0] == b'/' { Base::Root } else { base };
        match base {
            Base::Root => self.below_root(ctx, path, follow),
            Base::Cwd => self.below_root(ctx, &join(ctx.cwd, path), follow),
            Base::Virtual(node) => Walk::new(self, ctx).starting_in(node)?.run(path, follow),
            Base::Dir(dir) => {
                if self.has_openat2() && !self.proc_overlay() && !self.dev_overlay() {
                    match self.fast(dir, path, follow, ResolveFlags::BENEATH) {
                        Fast::Found(node) => return Ok(Node::Host(node)),
                        Fast::Failed(error) => return Err(error),
                        Fast::Unsure => {}
                    }
                }
                match self.path_of(dir) {
                    Ok(start) => self.below_root(ctx, &join(&start, path), follow),
                    // Removed, or outside the root: nothing above it can be named from here.
                    Err(_) => Walk::new(self, ctx).starting_at(dir)?.run(path, follow),
                }
            }
        }
    }

    /// Finds the directory that `path`'s last component is in. That component may be missing;
    /// it is not followed. `EACCES` in the virtual tree, where nothing can be changed.
    pub fn resolve_parent(&self, ctx: &Context<'_>, base: Base<'_>, path: &[u8]) -> Result<Parent> {
        check_path(path)?;
        let (dir, name) = split(path);
        let dir = if dir.is_empty() { b"." } else { dir };
        let name = CString::new(name).map_err(|_| Errno::INVAL)?;
        match self.resolve(ctx, base, dir, true)? {
            Node::Host(node) if is_dir(&node.stat) => Ok(Parent { dir: node.fd, name }),
            Node::Host(_) => Err(Errno::NOTDIR),
            Node::Virtual(_) | Node::Descriptor(_) => Err(Errno::ACCES),
        }
    }

    /// Resolves a path of the host's file systems alone, for the kernel's own use (finding an
    /// executable): nothing of the virtual tree. The result is `O_PATH`.
    pub fn host_path(&self, path: &[u8], follow: bool) -> Result<OwnedFd> {
        check_path(path)?;
        let flags = path_flags(follow);
        let resolve = ResolveFlags::IN_ROOT | ResolveFlags::NO_MAGICLINKS;
        let attempts = if self.has_openat2() { RACES } else { 0 };
        for _ in 0..attempts {
            match rustix::fs::openat2(self.root(), path, flags, Mode::empty(), resolve) {
                Err(rustix::io::Errno::AGAIN) => {}
                Ok(fd) if class_of(&fd)? == FsClass::Ordinary => return Ok(fd),
                Ok(_) => return Err(Errno::ACCES),
                Err(error) => return Err(super::procfd::host_limit(error)),
            }
        }
        let nobody = crate::descriptor::FdTable::new(0);
        let ctx = Context {
            fds: &nobody,
            pid: 0,
            processes: None,
            argv: &[],
            cwd: b"/",
            umask: 0,
        };
        match Walk::new(self, &ctx).run(path, follow)? {
            Node::Host(node) => Ok(node.fd),
            _ => Err(Errno::ACCES),
        }
    }

    /// What an absolute path names without a link or a mount on the way: then the path is already
    /// where the object is, and nobody has to be asked. Nothing where it takes more to find out.
    pub(super) fn direct(&self, path: &[u8]) -> Result<Option<HostNode>> {
        if !self.has_openat2() || !is_straight(path) {
            return Ok(None);
        }
        let scope = ResolveFlags::IN_ROOT | ResolveFlags::NO_SYMLINKS;
        match self.fast(self.root(), path, true, scope) {
            Fast::Found(node) => Ok(Some(node)),
            // A link on the way.
            Fast::Failed(Errno::LOOP) | Fast::Unsure => Ok(None),
            Fast::Failed(error) => Err(error),
        }
    }

    fn below_root(&self, ctx: &Context<'_>, path: &[u8], follow: bool) -> Result<Node> {
        check_path(path)?;
        if self.has_openat2() {
            let overlaid = self.proc_overlay() || self.dev_overlay();
            match self.fast(self.root(), path, follow, ResolveFlags::IN_ROOT) {
                Fast::Found(node) if !overlaid || !self.is_overlaid(&node.stat) => {
                    return Ok(Node::Host(node));
                }
                Fast::Failed(error) if !overlaid => return Err(error),
                _ => {}
            }
        }
        Walk::new(self, ctx).run(path, follow)
    }

    /// Whether this is the image's own empty `/proc`, in whose place the virtual one stands.
    fn is_overlaid(&self, stat: &Stat) -> bool {
        self.proc_overlay()
            && is_dir(stat)
            && rustix::fs::statat(self.root(), c"proc", rustix::fs::AtFlags::SYMLINK_NOFOLLOW)
                .is_ok_and(|proc| FileId::from(&proc) == FileId::from(stat))
    }

    /// One lookup on the mount of `dir`, which was judged when it was opened.
    pub(super) fn fast(
        &self,
        dir: BorrowedFd<'_>,
        path: &[u8],
        follow: bool,
        scope: ResolveFlags,
    ) -> Fast {
        let resolve = scope | ResolveFlags::NO_MAGICLINKS | ResolveFlags::NO_XDEV;
        for _ in 0..=RACES {
            match rustix::fs::openat2(dir, path, path_flags(follow), Mode::empty(), resolve) {
                Ok(fd) => {
                    return match rustix::fs::fstat(&fd) {
                        Ok(stat) => Fast::Found(HostNode { fd, stat }),
                        Err(error) => Fast::Failed(error.into()),
                    };
                }
                Err(rustix::io::Errno::AGAIN) => {}
                Err(rustix::io::Errno::XDEV) => return Fast::Unsure,
                Err(error) => return Fast::Failed(super::procfd::host_limit(error)),
            }
        }
        Fast::Unsure
    }
}

/// Whether a path is absolute, short enough and spelled without `.`, `..` and empty components.
fn is_straight(path: &[u8]) -> bool {
    let Some(names) = path.strip_prefix(b"/") else {
        return false;
    };
    let detour = |name: &[u8]| matches!(name, b"" | b"." | b"..");
    check_path(path).is_ok() && !names.split(|byte| *byte == b'/').any(detour)
}

pub(super) fn path_flags(follow: bool) -> OFlags {
    let flags = OFlags::PATH | OFlags::CLOEXEC;
    if follow {
        flags
    } else {
        flags | OFlags::NOFOLLOW
    }
}

pub(super) fn is_dir(stat: &Stat) -> bool {
    rustix::fs::FileType::from_raw_mode(stat.st_mode) == rustix::fs::FileType::Directory
}

impl AsFd for HostNode {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

#[cfg(test)]
mod tests {
    use super::{is_straight, split};

    #[test]
    fn only_a_path_that_says_where_it_leads_is_straight() {
        for path in ["/a", "/a/b", "/...", "/.a/b."] {
            assert!(is_straight(path.as_bytes()), "{path}");
        }
        let long = format!("/{}", "a".repeat(4096));
        for path in [
            "", "/", "a", "./a", "//a", "/a/", "/a//b", "/a/./b", "/a/..", "/a\0", &long,
        ] {
            assert!(!is_straight(path.as_bytes()), "{path}");
        }
    }

    #[test]
    fn the_last_component_keeps_its_slash() {
        for (path, dir, name) in [
            ("a", "", "a"),
            ("a/", "", "a/"),
            ("a//", "", "a/"),
            ("a/b", "a/", "b"),
            ("/a", "/", "a"),
            ("a//b/", "a//", "b/"),
            ("..", "", ".."),
            ("a/..", "a/", ".."),
            ("/", "/", "."),
            ("//", "//", "."),
        ] {
            let (got_dir, got_name) = split(path.as_bytes());
            assert_eq!(
                (got_dir, &got_name[..]),
                (dir.as_bytes(), name.as_bytes()),
                "{path}"
            );
        }
    }
}
