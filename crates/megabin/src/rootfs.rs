//! Lays a root file system into a folder.
//!
//! Every path is resolved below the folder as if it were `/`: symbolic links in what was copied
//! before, absolute ones too, never lead out of it.

use std::ffi::OsStr;
use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Component, Path, PathBuf};

use rustix::fs::{self, AtFlags, Mode, OFlags, ResolveFlags};

/// Mode of program files and of folders made for them.
const EXECUTABLE: u32 = 0o755;

/// Why a root file system cannot be laid.
#[derive(Debug, thiserror::Error)]
pub enum RootfsError {
    /// The system refused.
    #[error("{doing} {path}: {source}")]
    Io {
        /// What was being done.
        doing: &'static str,
        /// On which file.
        path: PathBuf,
        /// The system's error.
        source: io::Error,
    },
    /// Not a file, folder or symbolic link.
    #[error(
        "copying {path}: it is a device, fifo or socket, which a root file system made by copying \
         cannot have: remove it, and mount it when the container is made"
    )]
    Special {
        /// The file.
        path: PathBuf,
    },
    /// A folder where a file should go, or the other way round.
    #[error("laying {path}: there is a folder in the way: leave it out of what is copied")]
    FolderInTheWay {
        /// Path in the root file system.
        path: PathBuf,
    },
}

fn io_error<E: Into<io::Error>>(doing: &'static str, path: &Path) -> impl FnOnce(E) -> RootfsError {
    let path = path.to_owned();
    move |source| RootfsError::Io {
        doing,
        path,
        source: source.into(),
    }
}

/// A root file system that is being laid.
#[derive(Debug)]
pub struct Rootfs {
    root: OwnedFd,
}

impl Rootfs {
    /// Makes the folder `path`, which must not exist.
    ///
    /// # Errors
    /// When the system refuses.
    pub fn create(path: &Path) -> Result<Self, RootfsError> {
        std::fs::create_dir(path).map_err(io_error("making the folder", path))?;
        std::fs::set_permissions(path, PermissionsExt::from_mode(EXECUTABLE))
            .map_err(io_error("setting the mode of", path))?;
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let root = fs::open(path, flags, Mode::empty()).map_err(io_error("opening", path))?;
        Ok(Self { root })
    }

    /// Copies the contents of the folder `from` over the root: files with mode and time, folders,
    /// symbolic links. Owners are not kept.
    ///
    /// # Errors
    /// Names the file that cannot be copied.
    pub fn copy_tree(&self, from: &Path) -> Result<(), RootfsError> {
        self.copy_folder(from, Path::new("/"))
    }

    fn copy_folder(&self, from: &Path, to: &Path) -> Result<(), RootfsError> {
        let mut entries = std::fs::read_dir(from)
            .and_then(|entries| entries.collect::<Result<Vec<_>, _>>())
            .map_err(io_error("reading the folder", from))?;
        entries.sort_by_key(std::fs::DirEntry::file_name);
        for entry in entries {
            let (source, target) = (entry.path(), to.join(entry.file_name()));
            let meta = source
                .symlink_metadata()
                .map_err(io_error("reading", &source))?;
            if meta.is_dir() {
                let folder = self.folder(&target)?;
                // O_PATH descriptors take no fchmod; the kernel's name for them does.
                set_mode(&folder, meta.mode()).map_err(io_error("setting the mode of", &target))?;
                self.copy_folder(&source, &target)?;
            } else if meta.is_symlink() {
                let points_to =
                    std::fs::read_link(&source).map_err(io_error("reading", &source))?;
                self.symlink(&target, &points_to)?;
            } else if meta.is_file() {
                self.copy_file(&source, &meta, &target)?;
            } else {
                return Err(RootfsError::Special { path: source });
            }
        }
        Ok(())
    }

    fn copy_file(
        &self,
        source: &Path,
        meta: &std::fs::Metadata,
        target: &Path,
    ) -> Result<(), RootfsError> {
        let mut from = File::open(source).map_err(io_error("opening", source))?;
        let (mut to, _) = self.create_file(target)?;
        io::copy(&mut from, &mut to).map_err(io_error("copying", source))?;
        to.set_permissions(PermissionsExt::from_mode(meta.mode() & 0o7777))
            .map_err(io_error("setting the mode of", target))?;
        // Python trusts its compiled files by their source's time.
        let modified = meta
            .modified()
            .map_err(io_error("reading the time of", source))?;
        to.set_modified(modified)
            .map_err(io_error("setting the time of", target))
    }

    /// Lays an executable file. Returns whether another file stood there.
    ///
    /// # Errors
    /// When the system refuses, or a folder stands there.
    pub fn executable(&self, path: &Path, bytes: &[u8]) -> Result<bool, RootfsError> {
        let (mut file, replaced) = self.create_file(path)?;
        file.write_all(bytes).map_err(io_error("writing", path))?;
        file.set_permissions(PermissionsExt::from_mode(EXECUTABLE))
            .map_err(io_error("setting the mode of", path))?;
        Ok(replaced)
    }

    /// Lays a symbolic link from `path` to the file `target` of this root, unless `path` already is
    /// that file by way of a linked folder (`/bin` -> `usr/bin`).
    ///
    /// # Errors
    /// When the system refuses, or a folder stands there.
    pub fn link(&self, path: &Path, target: &Path) -> Result<(), RootfsError> {
        let (here, name) = self.parent(path)?;
        let (there, target_name) = self.parent(target)?;
        let identity = |fd: &OwnedFd| fs::fstat(fd).map(|s| (s.st_dev, s.st_ino));
        let same = identity(&here).and_then(|a| Ok(a == identity(&there)?));
        if name == target_name && same.map_err(io_error("reading the folder of", path))? {
            return Ok(());
        }
        self.symlink(path, target)
    }

    fn symlink(&self, path: &Path, points_to: &Path) -> Result<(), RootfsError> {
        let (parent, name) = self.parent(path)?;
        clear(&parent, name, path)?;
        fs::symlinkat(points_to, &parent, name).map_err(io_error("making the link", path))
    }

    fn create_file(&self, path: &Path) -> Result<(File, bool), RootfsError> {
        let (parent, name) = self.parent(path)?;
        let replaced = clear(&parent, name, path)?;
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC;
        let file = fs::openat(&parent, name, flags, Mode::from_raw_mode(0o600))
            .map_err(io_error("making", path))?;
        Ok((file.into(), replaced))
    }

    fn parent<'a>(&self, path: &'a Path) -> Result<(OwnedFd, &'a OsStr), RootfsError> {
        let name = path.file_name().ok_or_else(|| {
            io_error::<io::Error>("laying", path)(io::ErrorKind::InvalidInput.into())
        })?;
        Ok((self.folder(path.parent().unwrap_or(Path::new("/")))?, name))
    }

    /// The folder at `path`, made with its parents where it does not exist.
    ///
    /// # Errors
    /// When the system refuses, or something else stands there.
    pub fn folder(&self, path: &Path) -> Result<OwnedFd, RootfsError> {
        let mut so_far = PathBuf::from("/");
        let mut folder = self
            .open_folder(&so_far)
            .map_err(io_error("opening", &so_far))?;
        for component in path.components() {
            let Component::Normal(name) = component else {
                continue;
            };
            so_far.push(name);
            folder = match self.open_folder(&so_far) {
                Ok(folder) => folder,
                Err(rustix::io::Errno::NOENT) => {
                    fs::mkdirat(&folder, name, Mode::from_raw_mode(EXECUTABLE))
                        .map_err(io_error("making the folder", &so_far))?;
                    let made = self
                        .open_folder(&so_far)
                        .map_err(io_error("opening", &so_far))?;
                    set_mode(&made, EXECUTABLE)
                        .map_err(io_error("setting the mode of", &so_far))?;
                    made
                }
                Err(error) => return Err(io_error("opening the folder", &so_far)(error)),
            };
        }
        Ok(folder)
    }

    fn open_folder(&self, path: &Path) -> rustix::io::Result<OwnedFd> {
        fs::openat2(
            &self.root,
            path,
            OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC,
            Mode::empty(),
            ResolveFlags::IN_ROOT | ResolveFlags::NO_MAGICLINKS,
        )
    }
}

/// The bytes of the regular file at `path` of the root file system in `folder`, at most `limit` of
/// them, with links resolved as in a container that has `folder` as its root.
///
/// # Errors
/// When there is no such file, or the system refuses.
pub fn read_inside(folder: &Path, path: &Path, limit: usize) -> io::Result<Vec<u8>> {
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let root = fs::open(folder, flags, Mode::empty())?;
    let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let resolve = ResolveFlags::IN_ROOT | ResolveFlags::NO_MAGICLINKS;
    let file = File::from(fs::openat2(&root, path, flags, Mode::empty(), resolve)?);
    if !file.metadata()?.is_file() {
        return Err(io::ErrorKind::InvalidInput.into());
    }
    let mut bytes = Vec::new();
    file.take(limit as u64).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// The regular files below `folder` that somebody may execute, in the order of their names, as
/// paths from there. Links are not followed.
///
/// # Errors
/// When the system refuses.
pub fn executables(folder: &Path) -> Result<Vec<PathBuf>, RootfsError> {
    let mut found = Vec::new();
    let mut folders = vec![PathBuf::new()];
    while let Some(below) = folders.pop() {
        let path = folder.join(&below);
        let entries = std::fs::read_dir(&path)
            .and_then(|entries| entries.collect::<Result<Vec<_>, _>>())
            .map_err(io_error("reading the folder", &path))?;
        for entry in entries {
            let meta = entry
                .metadata()
                .map_err(io_error("reading", &entry.path()))?;
            let name = below.join(entry.file_name());
            if meta.is_dir() {
                folders.push(name);
            } else if meta.is_file() && meta.mode() & 0o111 != 0 {
                found.push(name);
            }
        }
    }
    found.sort();
    Ok(found)
}

/// Removes what stands at `name`, a folder excepted. Returns whether something did.
fn clear(parent: &OwnedFd, name: &OsStr, path: &Path) -> Result<bool, RootfsError> {
    match fs::unlinkat(parent, name, AtFlags::empty()) {
        Ok(()) => Ok(true),
        Err(rustix::io::Errno::NOENT) => Ok(false),
        Err(rustix::io::Errno::ISDIR) => Err(RootfsError::FolderInTheWay {
            path: path.to_owned(),
        }),
        Err(error) => Err(io_error("replacing", path)(error)),
    }
}

/// Sets the mode of a folder that is open with O_PATH.
fn set_mode(folder: &OwnedFd, mode: u32) -> io::Result<()> {
    use std::os::fd::AsRawFd;
    let name = format!("/proc/self/fd/{}", folder.as_fd().as_raw_fd());
    std::fs::set_permissions(name, PermissionsExt::from_mode(mode & 0o7777))
}
