//! The container's root file system: looking paths up inside it only, masking, entering it.

mod cover;

use std::ffi::OsStr;
use std::fmt;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use rustix::fs::{FileType, Mode, OFlags, ResolveFlags};
use rustix::io::Errno;
use rustix::mount::{MountPropagationFlags, OpenTreeFlags, UnmountFlags};
use serde::{Deserialize, Serialize};

use super::mounts::Filesystem;
use super::mounts::attach;
use crate::failure::{Doing, Failure};
use crate::sys::mount_attr::{self, Attr};

/// Whose mount namespace the container has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum MountNamespace {
    /// Its own.
    Own,
    /// Another's, by its path: others live there.
    Joined,
    /// The runtime's, where nothing is mounted for it: its root file system is attached nowhere,
    /// with all that is mounted on it, and goes with its last process.
    Runtimes,
}

/// How many links that lead nowhere are followed to make what they lead to; as many as the kernel
/// follows of others.
const MOST_LINKS: u32 = 40;

/// What to make where nothing is.
#[derive(Debug, Clone, Copy)]
enum Make {
    Directory,
    File,
}

impl fmt::Display for Make {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Directory => "directory",
            Self::File => "file",
        })
    }
}

/// The root file system, open. No lookup leaves it, whatever links the image holds.
#[derive(Debug)]
pub struct Rootfs {
    root: OwnedFd,
}

impl Rootfs {
    /// Attaches the root file system in the mount namespace, cut off from the host's where it is
    /// the container's own.
    ///
    /// `propagation` is that of such a namespace's old mounts: `MS_SLAVE` keeps the host's unmounts
    /// coming in and lets nothing out.
    pub fn attach(
        tree: OwnedFd,
        path: &Path,
        namespace: MountNamespace,
        propagation: u64,
    ) -> Result<Self, Failure> {
        match namespace {
            MountNamespace::Own => {}
            MountNamespace::Joined => {
                attach::attach_at_path(&tree, path)?;
                return Ok(Self { root: tree });
            }
            MountNamespace::Runtimes => return Ok(Self { root: tree }),
        }
        let flags = match propagation {
            libc::MS_PRIVATE | libc::MS_UNBINDABLE => MountPropagationFlags::PRIVATE,
            _ => MountPropagationFlags::DOWNSTREAM,
        };
        rustix::mount::mount_change("/", flags | MountPropagationFlags::REC)
            .map_err(|error| unmounted("cutting the mount namespace off from the host's", error))?;
        match attach::attach_at_path(&tree, path) {
            // The container's root user may not be able to walk there: any directory of this
            // namespace does, since pivot_root leaves all of it behind.
            Err(error) if error.is(Errno::ACCESS) => {
                attach::attach_at_path(&tree, Path::new("/sys"))?
            }
            attached => attached?,
        }
        Ok(Self { root: tree })
    }

    /// A root that is in place already, such as that of a container which was joined.
    pub fn at(path: &Path) -> Result<Self, Failure> {
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let root = rustix::fs::open(path, flags, Mode::empty())
            .doing(|| format!("opening the root file system `{}`", path.display()))?;
        Ok(Self { root })
    }

    /// Opens a path for use, without following any link.
    pub fn open_as(&self, path: &Path, flags: OFlags) -> Result<OwnedFd, Errno> {
        self.resolve(
            path,
            flags,
            ResolveFlags::IN_ROOT | ResolveFlags::NO_SYMLINKS,
        )
    }

    /// Opens a path for use as a place, links followed inside the root.
    pub fn open(&self, path: &Path) -> Result<OwnedFd, Errno> {
        self.resolve(
            path,
            OFlags::PATH,
            ResolveFlags::IN_ROOT | ResolveFlags::NO_MAGICLINKS,
        )
    }

    /// Opens a path that must not have links in it.
    pub fn open_without_links(&self, path: &Path) -> Result<OwnedFd, Failure> {
        self.resolve(
            path,
            OFlags::PATH,
            ResolveFlags::IN_ROOT | ResolveFlags::NO_SYMLINKS,
        )
        .doing(|| {
            format!(
                "opening `{}` in the root file system without links",
                path.display()
            )
        })
    }

    fn resolve(&self, path: &Path, flags: OFlags, how: ResolveFlags) -> Result<OwnedFd, Errno> {
        let relative = path.strip_prefix("/").unwrap_or(path);
        let relative = if relative.as_os_str().is_empty() {
            Path::new(".")
        } else {
            relative
        };
        loop {
            match rustix::fs::openat2(
                &self.root,
                relative,
                flags | OFlags::CLOEXEC,
                Mode::empty(),
                how,
            ) {
                // A rename elsewhere on the host raced with the lookup.
                Err(Errno::AGAIN) => {}
                result => return result,
            }
        }
    }

    /// Opens a directory, making it and its parents where they are missing, and the target of a
    /// link that leads nowhere yet.
    pub fn make_dir(&self, path: &Path) -> Result<OwnedFd, Failure> {
        self.make(path, Make::Directory, MOST_LINKS)
    }

    /// Opens something that is not a directory, making an empty file where nothing is. Images have
    /// such as /etc/resolv.conf as links that lead nowhere until their own init has run: then it
    /// is made where the link leads.
    pub fn make_file(&self, path: &Path) -> Result<OwnedFd, Failure> {
        self.make(path, Make::File, MOST_LINKS)
    }

    fn make(&self, path: &Path, what: Make, links: u32) -> Result<OwnedFd, Failure> {
        let doing = || format!("making {what} `{}` in the root file system", path.display());
        let (parent, name) = match (self.open(path), path.parent(), path.file_name()) {
            (Err(Errno::NOENT), Some(parent), Some(name)) => (parent, name),
            (opened, ..) => return opened.doing(doing),
        };
        let directory = self.make(parent, Make::Directory, links)?;
        let made = match what {
            Make::Directory => rustix::fs::mkdirat(&directory, name, Mode::from_raw_mode(0o755)),
            Make::File => {
                let flags = OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
                let mode = Mode::from_raw_mode(0o644);
                rustix::fs::openat(&directory, name, flags | OFlags::WRONLY, mode).map(drop)
            }
        };
        match made.map(|()| self.open(path)) {
            Ok(opened) => return opened.doing(doing),
            Err(Errno::EXIST) => {}
            Err(error) => return Err(Failure::new(doing(), error)),
        }
        // Somebody else has just made it, or it is a link.
        let target = match (
            self.open(path),
            rustix::fs::readlinkat(&directory, name, []),
        ) {
            (Err(Errno::NOENT), Ok(target)) => target,
            (opened, _) => return opened.doing(doing),
        };
        let left = links.checked_sub(1).ok_or(Errno::LOOP).doing(doing)?;
        let target = Path::new(OsStr::from_bytes(target.as_bytes()));
        self.make(&parent.join(target), what, left)
    }

    /// The directory (made where missing) and the last name of a path, to make something there.
    pub fn place<'p>(&self, path: &'p Path) -> Result<(OwnedFd, &'p std::ffi::OsStr), Failure> {
        let name = path
            .file_name()
            .ok_or(Errno::INVAL)
            .doing(|| format!("finding the name in `{}`", path.display()))?;
        Ok((
            self.make_dir(path.parent().unwrap_or(Path::new("/")))?,
            name,
        ))
    }

    /// Hides each path: a directory under an empty one, anything else under `/dev/null`.
    pub fn mask(&self, paths: &[PathBuf], null: &OwnedFd) -> Result<(), Failure> {
        let mut empty: Option<OwnedFd> = None;
        for path in paths {
            let there = match self.open(path) {
                Ok(there) => there,
                Err(Errno::NOENT | Errno::NOTDIR) => continue,
                Err(error) => {
                    return Err(Failure::new(format!("masking `{}`", path.display()), error));
                }
            };
            let stat =
                rustix::fs::fstat(&there).doing(|| format!("masking `{}`", path.display()))?;
            let mount = if FileType::from_raw_mode(stat.st_mode) == FileType::Directory {
                // Copies are made of one that is in place already: older kernels copy no other.
                match &empty {
                    Some(first) => clone(first, false)?,
                    None => {
                        let first = attach::make(&empty_directory())?;
                        attach::attach(&first, &there, path)?;
                        empty = Some(first);
                        continue;
                    }
                }
            } else {
                clone(null, false)?
            };
            attach::attach(&mount, &there, path)?;
        }
        Ok(())
    }

    /// Makes what is mounted at the path read-only, and nothing below it.
    pub fn seal(&self, path: &Path) -> Result<(), Failure> {
        let doing = || format!("making `{}` read-only", path.display());
        let there = self.open(path).doing(doing)?;
        mount_attr::set(there.as_fd(), &Attr::read_only()).doing(doing)
    }

    /// The root itself as the working directory.
    pub fn work_in(&self) -> Result<(), Failure> {
        rustix::process::fchdir(&self.root).doing(|| "entering the root file system")
    }

    /// Makes each path read-only, with all that is mounted below it.
    pub fn make_read_only(&self, paths: &[PathBuf]) -> Result<(), Failure> {
        for path in paths {
            let there = match self.open(path) {
                Ok(there) => there,
                Err(Errno::NOENT | Errno::NOTDIR) => continue,
                Err(error) => {
                    let doing = format!("making `{}` read-only", path.display());
                    return Err(Failure::new(doing, error));
                }
            };
            let tree = clone(&there, true)?;
            let attr = Attr {
                recursive: true,
                ..Attr::read_only()
            };
            mount_attr::set(tree.as_fd(), &attr)
                .doing(|| format!("making `{}` read-only", path.display()))?;
            attach::attach(&tree, &there, path)?;
        }
        Ok(())
    }

    /// Makes this the process's root. Of a namespace of the container's own nothing else stays
    /// reachable; one that was joined keeps its root, for those who live there.
    pub fn enter(
        self,
        namespace: MountNamespace,
        pivot: bool,
        read_only: bool,
        propagation: Option<(u64, bool)>,
    ) -> Result<(), Failure> {
        rustix::process::fchdir(&self.root).doing(|| "entering the root file system")?;
        match namespace {
            MountNamespace::Own if !pivot => self.cover()?,
            MountNamespace::Own => {
                // Both names are the new root: the old one ends up mounted over it, and is taken
                // off.
                rustix::process::pivot_root(".", ".")
                    .map_err(|error| unmounted("changing to the new root (pivot_root)", error))?;
                rustix::mount::unmount(".", UnmountFlags::DETACH)
                    .doing(|| "leaving the old root")?;
            }
            MountNamespace::Joined | MountNamespace::Runtimes => {
                rustix::process::chroot(".").doing(|| "changing to the new root (chroot)")?;
            }
        }
        rustix::process::chdir("/").doing(|| "entering the new root")?;
        let root = rustix::fs::open("/", OFlags::PATH | OFlags::CLOEXEC, Mode::empty())
            .doing(|| "opening the new root")?;
        if let Some((propagation, recursive)) = propagation {
            let attr = Attr {
                propagation,
                recursive,
                ..Attr::default()
            };
            mount_attr::set(root.as_fd(), &attr).doing(|| "setting linux.rootfsPropagation")?;
        }
        if read_only {
            mount_attr::set(root.as_fd(), &Attr::read_only())
                .doing(|| "making the root file system read-only")?;
        }
        Ok(())
    }
}

fn empty_directory() -> Filesystem {
    Filesystem {
        kind: "tmpfs".to_owned(),
        source: "tmpfs".to_owned(),
        data: vec![("nr_blocks".to_owned(), Some("1".to_owned()))],
        attributes: libc::MOUNT_ATTR_RDONLY
            | libc::MOUNT_ATTR_NOSUID
            | libc::MOUNT_ATTR_NODEV
            | libc::MOUNT_ATTR_NOEXEC,
        propagation: 0,
        copy_up: false,
    }
}

fn clone(of: &OwnedFd, recursive: bool) -> Result<OwnedFd, Failure> {
    let mut flags = OpenTreeFlags::OPEN_TREE_CLONE
        | OpenTreeFlags::OPEN_TREE_CLOEXEC
        | OpenTreeFlags::AT_EMPTY_PATH;
    if recursive {
        flags |= OpenTreeFlags::AT_RECURSIVE;
    }
    rustix::mount::open_tree(of, c"", flags).doing(|| "copying a mount")
}

/// A step that failed, where the one reason for EINVAL that is left is the host's root.
fn unmounted(doing: &str, error: Errno) -> Failure {
    match error {
        Errno::INVAL => Failure::new(
            format!(
                "{doing}: the runtime's own root must be a mount point, which that of a chroot or \
                 of an initial RAM disk is not; mount the directory over itself (mount --bind) \
                 before changing into it"
            ),
            error,
        ),
        _ => Failure::new(doing, error),
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn links_that_lead_nowhere_get_their_target_inside() {
        let dir = tempfile::tempdir().unwrap();
        let (at, root) = (dir.path(), Rootfs::at(dir.path()).unwrap());
        std::fs::create_dir_all(at.join("etc")).unwrap();
        symlink("../run/stub/resolv.conf", at.join("etc/resolv.conf")).unwrap();
        symlink("/../../up/hosts", at.join("etc/hosts")).unwrap();
        symlink("resolv.conf", at.join("etc/again")).unwrap();
        symlink("../var/lib", at.join("etc/lib")).unwrap();
        for file in ["/etc/again", "/etc/resolv.conf", "/etc/hosts", "/etc/lib/x"] {
            root.make_file(Path::new(file)).unwrap();
        }
        for made in ["run/stub/resolv.conf", "up/hosts", "var/lib/x"] {
            let kind = std::fs::symlink_metadata(at.join(made)).unwrap();
            assert!(kind.is_file(), "{made}");
        }
        symlink("to/there", at.join("dir")).unwrap();
        root.make_dir(Path::new("/dir/below")).unwrap();
        assert!(at.join("to/there/below").is_dir());
    }

    #[test]
    fn links_without_end_are_an_error() {
        let dir = tempfile::tempdir().unwrap();
        let (at, root) = (dir.path(), Rootfs::at(dir.path()).unwrap());
        symlink("b", at.join("a")).unwrap();
        symlink("a", at.join("b")).unwrap();
        for number in 0..50 {
            symlink(format!("{}", number + 1), at.join(number.to_string())).unwrap();
        }
        symlink("grows/x", at.join("grows")).unwrap();
        for path in ["/a", "/0", "/grows"] {
            assert!(root.make_file(Path::new(path)).is_err(), "{path}");
            assert!(root.make_dir(Path::new(path)).is_err(), "{path}");
        }
    }
}
