//! The cache directory: only its owner can have put anything there.

use std::ffi::CString;
use std::fs::File;
use std::io::Write;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, FileType, FlockOperation, Mode, OFlags, Stat};
use rustix::fs::{CWD, fchmod, flock, fstat, fsync, openat, renameat, unlinkat};
use rustix::io::Errno;
use rustix::process::geteuid;

use super::{Artifact, CacheKey};
use crate::identity;

/// A directory of artifacts which only the effective user, or root, can have written to.
///
/// That is checked on the opened directory and on every directory above it, and again on each
/// opened file: by descriptor, so nothing can be exchanged between the check and the use.
pub struct Cache {
    dir: OwnedFd,
    path: PathBuf,
}

/// Why the cache or something in it is not used.
#[derive(Debug, thiserror::Error)]
pub enum CacheError {
    /// A system call failed.
    #[error("{doing} {path}: {source}", path = path.display())]
    Io {
        /// What was being done.
        doing: &'static str,
        /// On which file.
        path: PathBuf,
        /// The system's reason.
        source: Errno,
    },
    /// Others could have written there.
    #[error("not using compiled code in {path}: {reason}", path = path.display())]
    Untrusted {
        /// What others control.
        path: PathBuf,
        /// What is wrong with it and what to do.
        reason: String,
    },
    /// The compiler failed.
    #[error("compiling for the cache: {0}")]
    Compile(String),
}

/// Held while one process compiles what a key names.
pub struct KeyLock(#[expect(dead_code, reason = "closing it releases the lock")] OwnedFd);

impl Cache {
    /// Opens the cache directory, which must exist.
    pub fn open(path: &Path) -> Result<Cache, CacheError> {
        let path = std::fs::canonicalize(path)
            .map_err(|error| io("opening the cache directory", path, error))?;
        let dir = open_checked(&path)?;
        Ok(Cache { dir, path })
    }

    /// Opens the cache directory and makes it, private to its owner, where it is missing.
    pub fn open_or_create(path: &Path) -> Result<Cache, CacheError> {
        use std::os::unix::fs::DirBuilderExt;
        std::fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(path)
            .map_err(|error| io("making the cache directory", path, error))?;
        Cache::open(path)
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Where the artifact for `key` is or will be.
    #[must_use]
    pub fn artifact_path(&self, key: &CacheKey) -> PathBuf {
        self.path.join(artifact_name(key))
    }

    /// The artifact for `key`, if there is one; an error if others could have written it.
    pub fn lookup(&self, key: &CacheKey) -> Result<Option<Artifact>, CacheError> {
        let name = artifact_name(key);
        // NONBLOCK: a fifo must not hang the caller before it is seen to be none of ours.
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC | OFlags::NONBLOCK;
        let file = match openat(&self.dir, &name, flags, Mode::empty()) {
            Ok(file) => file,
            Err(Errno::NOENT) => return Ok(None),
            Err(Errno::LOOP) => {
                return Err(self.untrusted(&name, "it is a symbolic link; remove it"));
            }
            Err(source) => return Err(self.io("opening", &name, source)),
        };
        let stat = fstat(&file).map_err(|source| self.io("reading the owner of", &name, source))?;
        if FileType::from_raw_mode(stat.st_mode) != FileType::RegularFile {
            return Err(self.untrusted(&name, "it is not a regular file; remove it"));
        }
        if let Some(fault) = writable_by_others(&stat) {
            return Err(self.untrusted(&name, &format!("{fault}; remove it")));
        }
        Ok(Some(Artifact(File::from(file))))
    }

    /// Keeps an artifact. Readers see the whole of it or nothing, also after a crash.
    pub fn store(&self, key: &CacheKey, bytes: &[u8]) -> Result<(), CacheError> {
        let name = artifact_name(key);
        let temporary = format!("{key}.{}.new", std::process::id());
        let flags =
            OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        // Left by a process of the same number that was killed.
        let _ = unlinkat(&self.dir, &temporary, AtFlags::empty());
        let file = openat(&self.dir, &temporary, flags, Mode::RUSR | Mode::WUSR)
            .map_err(|source| self.io("making", &temporary, source))?;
        let mut file = File::from(file);
        let stored = file
            .write_all(bytes)
            .map_err(|error| io("writing", &self.path.join(&temporary), error))
            .and_then(|()| {
                fchmod(&file, Mode::RUSR)
                    .and_then(|()| fsync(&file))
                    .and_then(|()| renameat(&self.dir, &temporary, &self.dir, &name))
                    .map_err(|source| self.io("storing", &name, source))
            });
        if stored.is_err() {
            let _ = unlinkat(&self.dir, &temporary, AtFlags::empty());
        }
        stored
    }

    /// Waits until no other process compiles what `key` names.
    pub fn lock(&self, key: &CacheKey) -> Result<KeyLock, CacheError> {
        let name = format!("{key}.lock");
        let flags =
            OFlags::RDONLY | OFlags::CREATE | OFlags::NOFOLLOW | OFlags::CLOEXEC | OFlags::NONBLOCK;
        let file = openat(&self.dir, &name, flags, Mode::RUSR | Mode::WUSR)
            .map_err(|source| self.io("opening", &name, source))?;
        loop {
            match flock(&file, FlockOperation::LockExclusive) {
                Ok(()) => return Ok(KeyLock(file)),
                Err(Errno::INTR) => {}
                Err(source) => return Err(self.io("locking", &name, source)),
            }
        }
    }

    /// The artifact for `key`, compiled now if there is none: once, however many ask at a time.
    pub fn get_or_compile<E: std::fmt::Display>(
        &self,
        key: &CacheKey,
        compile: impl FnOnce() -> Result<Vec<u8>, E>,
    ) -> Result<Artifact, CacheError> {
        if let Some(artifact) = self.lookup(key)? {
            return Ok(artifact);
        }
        let _one_flight = self.lock(key)?;
        if let Some(artifact) = self.lookup(key)? {
            return Ok(artifact);
        }
        let bytes = compile().map_err(|error| CacheError::Compile(error.to_string()))?;
        self.store(key, &bytes)?;
        self.lookup(key)?.ok_or_else(|| {
            self.io(
                "opening what was just stored as",
                &artifact_name(key),
                Errno::NOENT,
            )
        })
    }

    fn io(&self, doing: &'static str, name: &str, source: Errno) -> CacheError {
        CacheError::Io {
            doing,
            path: self.path.join(name),
            source,
        }
    }

    fn untrusted(&self, name: &str, reason: &str) -> CacheError {
        CacheError::Untrusted {
            path: self.path.join(name),
            reason: reason.to_owned(),
        }
    }
}

fn artifact_name(key: &CacheKey) -> String {
    format!("{key}.cwasm")
}

fn io(doing: &'static str, path: &Path, error: std::io::Error) -> CacheError {
    let source = Errno::from_io_error(&error).unwrap_or(Errno::IO);
    CacheError::Io {
        doing,
        path: path.to_owned(),
        source,
    }
}

/// Why somebody other than the effective user or root can write what `stat` describes.
fn writable_by_others(stat: &Stat) -> Option<String> {
    let euid = geteuid().as_raw();
    if stat.st_uid != euid {
        return Some(format!(
            "it belongs to user {}, not to user {euid}",
            stat.st_uid
        ));
    }
    if stat.st_mode & 0o022 != 0 {
        return Some(format!(
            "its mode {:o} lets others write",
            stat.st_mode & 0o7777
        ));
    }
    None
}

/// Opens a canonical path one directory at a time and checks each.
///
/// Above the cache a directory of root's will do as well as one of ours, and one like `/tmp`,
/// where the sticky bit keeps others from renaming what is not theirs.
fn open_checked(path: &Path) -> Result<OwnedFd, CacheError> {
    let failed = |source| CacheError::Io {
        doing: "opening the cache directory",
        path: path.to_owned(),
        source,
    };
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let mut dir = openat(CWD, "/", OFlags::PATH | flags, Mode::empty()).map_err(failed)?;
    let mut walked = PathBuf::from("/");
    let mut names = path.components().skip(1).peekable();
    while let Some(name) = names.next() {
        let stat = fstat(&dir).map_err(failed)?;
        let foreign = !identity::is_trusted(stat.st_uid);
        let open_to_all = stat.st_mode & 0o022 != 0 && stat.st_mode & libc::S_ISVTX == 0;
        if foreign || open_to_all {
            return Err(CacheError::Untrusted {
                path: path.to_owned(),
                reason: format!(
                    "others can replace it, because {} belongs to user {} with mode {:o}; \
                     choose another cache directory",
                    walked.display(),
                    stat.st_uid,
                    stat.st_mode & 0o7777
                ),
            });
        }
        let name = CString::new(name.as_os_str().as_bytes()).map_err(|_| failed(Errno::INVAL))?;
        let access = if names.peek().is_some() {
            OFlags::PATH | flags
        } else {
            flags
        };
        dir = openat(dir.as_fd(), &name, access, Mode::empty()).map_err(failed)?;
        walked.push(std::ffi::OsStr::from_bytes(name.to_bytes()));
    }
    let stat = fstat(&dir).map_err(failed)?;
    match writable_by_others(&stat) {
        None => Ok(dir),
        Some(fault) => Err(CacheError::Untrusted {
            path: path.to_owned(),
            reason: format!("{fault}; give it to its user and run `chmod go-w` on it"),
        }),
    }
}

#[cfg(test)]
mod tests;
