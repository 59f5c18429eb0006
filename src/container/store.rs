//! The state directory: `<root>/<id>/`, private, locked, and written atomically.

use std::fs::File;
use std::io::{self, Read};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rustix::fs::{AtFlags, FileType, FlockOperation, Mode, OFlags};
use rustix::io::Errno;
use serde::Serialize;
use serde::de::DeserializeOwned;
use thiserror::Error;

use super::id::ContainerId;
use super::intent::Intent;
use super::record::Record;
use super::status::{Facts, Status};
use crate::failure::{Doing, Failure};

/// How long start and delete wait for another command on the same container.
const LOCK_PATIENCE: Duration = Duration::from_secs(10);
/// How long create waits for the last of another create that has died.
const CREATE_PATIENCE: Duration = Duration::from_millis(200);
/// No state file of ours comes near this.
const MAX_STATE_BYTES: u64 = 64 << 20;

const STATE: &str = "state.json";
const INTENT: &str = "intent.json";
const FIFO: &str = "exec.fifo";
const LOCK: &str = "lock";
/// The compact plan of the verified manifest.
pub const PLAN: &str = "plan";

/// Why the state directory did not serve.
#[derive(Debug, Error)]
pub enum StoreError {
    /// No such container.
    #[error("container `{0}` does not exist")]
    NotFound(ContainerId),
    /// The id is taken.
    #[error("container `{0}` already exists; `megarun delete {0}` removes it")]
    Exists(ContainerId),
    /// Another command works on it for longer than this one waits.
    #[error("container `{0}` is in use by another megarun command; try again when it is done")]
    Busy(ContainerId),
    /// The root directory could be written by others.
    #[error(
        "state directory `{path}` {why}: whoever can write it decides what runs; remove it, or \
         choose another with --root"
    )]
    Unsafe {
        /// The directory.
        path: PathBuf,
        /// What is wrong with it.
        why: String,
    },
    /// A state file is not what this program wrote.
    #[error("reading `{path}`: {reason}")]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// What a create that was killed left cannot be removed.
    #[error("removing what an earlier create left: {0}")]
    Left(String),
    /// The system refused.
    #[error(transparent)]
    System(#[from] Failure),
}

/// The directory of all containers (`--root`).
#[derive(Debug)]
pub struct Store {
    root: PathBuf,
}

/// One container's directory. Every file in it is reached through its descriptor.
#[derive(Debug)]
pub struct ContainerDir {
    id: ContainerId,
    path: PathBuf,
    dir: OwnedFd,
}

/// The container's lock, held until this is dropped or the process ends.
#[derive(Debug)]
pub struct Locked {
    _file: File,
}

impl Store {
    /// The store at `root`, which need not exist yet.
    pub fn new(root: impl Into<PathBuf>) -> Self {
        Self { root: root.into() }
    }

    /// Makes a new container's directory and locks it. What a create that died left under this id
    /// is given to `clear` first.
    pub fn create(
        &self,
        id: &ContainerId,
        clear: impl Fn(&ContainerDir) -> Result<(), StoreError>,
    ) -> Result<(ContainerDir, Locked), StoreError> {
        self.make_root()?;
        let path = self.root.join(id.as_str());
        // More than one round only when another process removes what it finds meanwhile.
        for _ in 0..8 {
            match rustix::fs::mkdir(&path, Mode::RWXU) {
                Ok(()) | Err(Errno::EXIST) => {}
                Err(error) => {
                    return Err(Failure::new(format!("making `{}`", path.display()), error).into());
                }
            }
            let dir = match self.open(id) {
                Ok(dir) => dir,
                Err(StoreError::NotFound(_)) => continue,
                Err(error) => return Err(error),
            };
            let lock = match self.lock_for_create(&dir) {
                Ok(lock) => lock,
                Err(StoreError::NotFound(_)) => continue,
                Err(error) => return Err(error),
            };
            if dir.record()?.is_some() {
                return Err(StoreError::Exists(id.clone()));
            }
            // Who made the directory does not matter, only who holds its lock while it is empty.
            if dir.is_empty()? {
                return Ok((dir, lock));
            }
            clear(&dir)?;
            dir.remove()?;
        }
        Err(StoreError::Busy(id.clone()))
    }

    /// The lock, or that the id is taken. The child of a create that was killed holds its creator's
    /// lock until the kernel has killed it too, so a lock without a container is worth a moment.
    fn lock_for_create(&self, dir: &ContainerDir) -> Result<Locked, StoreError> {
        let deadline = Instant::now() + CREATE_PATIENCE;
        loop {
            if let Some(lock) = dir.try_lock()? {
                return Ok(lock);
            }
            if dir.record()?.is_some() || Instant::now() >= deadline {
                return Err(StoreError::Exists(dir.id.clone()));
            }
            std::thread::sleep(Duration::from_millis(2));
        }
    }

    /// Opens an existing container's directory.
    pub fn open(&self, id: &ContainerId) -> Result<ContainerDir, StoreError> {
        let path = self.root.join(id.as_str());
        let flags = OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC | OFlags::RDONLY;
        match rustix::fs::open(&path, flags, Mode::empty()) {
            Ok(dir) => Ok(ContainerDir {
                id: id.clone(),
                path,
                dir,
            }),
            Err(Errno::NOENT) => Err(StoreError::NotFound(id.clone())),
            Err(error) => Err(Failure::new(format!("opening `{}`", path.display()), error).into()),
        }
    }

    /// The ids of all containers, sorted. Entries that are not containers are passed over.
    pub fn ids(&self) -> Result<Vec<ContainerId>, StoreError> {
        let entries = match std::fs::read_dir(&self.root) {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => {
                return Err(
                    Failure::new(format!("reading `{}`", self.root.display()), error).into(),
                );
            }
        };
        let mut ids: Vec<ContainerId> = entries
            .filter_map(Result::ok)
            .filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()))
            .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
            .collect();
        ids.sort();
        Ok(ids)
    }

    fn make_root(&self) -> Result<(), StoreError> {
        use std::os::unix::fs::{DirBuilderExt, MetadataExt};
        std::fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(&self.root)
            .doing(|| format!("making state directory `{}`", self.root.display()))?;
        let meta =
            std::fs::metadata(&self.root).doing(|| format!("reading `{}`", self.root.display()))?;
        let why = if meta.uid() != rustix::process::geteuid().as_raw() {
            Some(format!("belongs to user {}", meta.uid()))
        } else if meta.mode() & 0o022 != 0 {
            Some(format!(
                "can be written by others (mode {:o})",
                meta.mode() & 0o7777
            ))
        } else {
            None
        };
        match why {
            Some(why) => Err(StoreError::Unsafe {
                path: self.root.clone(),
                why,
            }),
            None => Ok(()),
        }
    }
}

impl ContainerDir {
    /// Waits for the lock, up to ten seconds.
    pub fn lock(&self) -> Result<Locked, StoreError> {
        let deadline = Instant::now() + LOCK_PATIENCE;
        loop {
            if let Some(lock) = self.try_lock()? {
                return Ok(lock);
            }
            if Instant::now() >= deadline {
                return Err(StoreError::Busy(self.id.clone()));
            }
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// The lock, unless another process holds it. [`StoreError::NotFound`] when the directory was
    /// removed since it was opened: its lock protects nothing any more.
    pub fn try_lock(&self) -> Result<Option<Locked>, StoreError> {
        let flags = OFlags::RDWR | OFlags::CREATE | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let file = match rustix::fs::openat(&self.dir, LOCK, flags, Mode::RUSR | Mode::WUSR) {
            Ok(file) => file,
            Err(Errno::NOENT) => return Err(StoreError::NotFound(self.id.clone())),
            Err(error) => return Err(self.failed("opening", LOCK, error).into()),
        };
        match rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => {}
            Err(Errno::WOULDBLOCK) => return Ok(None),
            Err(error) => return Err(self.failed("locking", LOCK, error).into()),
        }
        if !self.is_current(&file) {
            return Err(StoreError::NotFound(self.id.clone()));
        }
        Ok(Some(Locked { _file: file.into() }))
    }

    /// Whether the lock's file is still the one at the container's path.
    fn is_current(&self, lock: &OwnedFd) -> bool {
        let (Ok(ours), Ok(there)) = (
            rustix::fs::fstat(lock),
            rustix::fs::lstat(self.path.join(LOCK)),
        ) else {
            return false;
        };
        (ours.st_dev, ours.st_ino) == (there.st_dev, there.st_ino)
    }

    /// What create recorded; none while it has not finished.
    pub fn record(&self) -> Result<Option<Record>, StoreError> {
        self.read_json(STATE)
    }

    /// Writes the record beside its place: the container is not on record before
    /// [`ContainerDir::place_record`].
    pub fn lay_record(&self, record: &Record) -> Result<(), StoreError> {
        let bytes = serde_json::to_vec(record).map_err(|error| self.damaged(STATE, &error))?;
        self.lay(STATE, &bytes)
    }

    /// Commits the container: from here on it exists.
    pub fn place_record(&self) -> Result<(), StoreError> {
        self.place(STATE)
    }

    /// What create was about to make.
    pub fn intent(&self) -> Result<Option<Intent>, StoreError> {
        self.read_json(INTENT)
    }

    /// Says what create is about to make.
    pub fn write_intent(&self, intent: &Intent) -> Result<(), StoreError> {
        self.write_json(INTENT, intent)
    }

    /// Makes the fifo on which the container's process waits for `start`, open for both ends so
    /// that waiting never sees an end of file.
    pub fn make_fifo(&self) -> Result<OwnedFd, StoreError> {
        rustix::fs::mknodat(&self.dir, FIFO, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0)
            .map_err(|error| self.failed("making", FIFO, error))?;
        let flags = OFlags::RDWR | OFlags::NOFOLLOW | OFlags::CLOEXEC | OFlags::NONBLOCK;
        Ok(rustix::fs::openat(&self.dir, FIFO, flags, Mode::empty())
            .map_err(|error| self.failed("opening", FIFO, error))?)
    }

    /// Lets the waiting process go. Afterwards the fifo is gone, and the container has started.
    /// Returns the fifo's end: the other is closed when the process executes a program, or ends.
    pub fn release(&self) -> Result<OwnedFd, StoreError> {
        let flags = OFlags::WRONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC | OFlags::NONBLOCK;
        let fifo = rustix::fs::openat(&self.dir, FIFO, flags, Mode::empty())
            .map_err(|error| self.failed("opening", FIFO, error))?;
        // Removed first: a start that dies between the two leaves a container that can be killed
        // and deleted, not one that two starts race for.
        rustix::fs::unlinkat(&self.dir, FIFO, AtFlags::empty())
            .map_err(|error| self.failed("removing", FIFO, error))?;
        rustix::io::write(&fifo, b"s").map_err(|error| self.failed("writing", FIFO, error))?;
        Ok(fifo)
    }

    /// The container's status now. `frozen` is asked only when it matters.
    pub fn status(
        &self,
        record: Option<&Record>,
        frozen: impl Fn(&Record) -> bool,
    ) -> Result<Status, StoreError> {
        let locked = match record {
            Some(_) => false,
            None => self.try_lock()?.is_none(),
        };
        let alive = record.is_some_and(|record| record.process.is_alive());
        Ok(Status::of(Facts {
            committed: record.is_some(),
            locked,
            alive,
            waiting: rustix::fs::statat(&self.dir, FIFO, AtFlags::SYMLINK_NOFOLLOW).is_ok(),
            frozen: alive && record.is_some_and(frozen),
        }))
    }

    /// Removes the directory. The state goes first, so that a delete which dies here leaves
    /// something that counts as never created.
    pub fn remove(&self) -> Result<(), StoreError> {
        for name in [FIFO, STATE, PLAN, INTENT] {
            match rustix::fs::unlinkat(&self.dir, name, AtFlags::empty()) {
                Ok(()) | Err(Errno::NOENT) => {}
                Err(error) => return Err(self.failed("removing", name, error).into()),
            }
        }
        match std::fs::remove_dir_all(&self.path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                Err(Failure::new(format!("removing `{}`", self.path.display()), error).into())
            }
            _ => Ok(()),
        }
    }

    /// Writes a file whole or not at all.
    pub fn write(&self, name: &str, bytes: &[u8]) -> Result<(), StoreError> {
        self.lay(name, bytes)?;
        self.place(name)
    }

    fn lay(&self, name: &str, bytes: &[u8]) -> Result<(), StoreError> {
        let temporary = beside(name);
        let flags =
            OFlags::WRONLY | OFlags::CREATE | OFlags::TRUNC | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let file = rustix::fs::openat(&self.dir, &temporary, flags, Mode::RUSR | Mode::WUSR)
            .map_err(|error| self.failed("making", &temporary, error))?;
        io::Write::write_all(&mut File::from(file), bytes)
            .map_err(|error| self.failed("writing", &temporary, error))?;
        Ok(())
    }

    fn place(&self, name: &str) -> Result<(), StoreError> {
        rustix::fs::renameat(&self.dir, beside(name), &self.dir, name)
            .map_err(|error| self.failed("putting in place", name, error))?;
        Ok(())
    }

    /// Opens one of its files for reading; none when it does not exist.
    pub fn open_file(&self, name: &str) -> Result<Option<File>, StoreError> {
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        match rustix::fs::openat(self.dir.as_fd(), name, flags, Mode::empty()) {
            Ok(file) => Ok(Some(file.into())),
            Err(Errno::NOENT) => Ok(None),
            Err(error) => Err(self.failed("opening", name, error).into()),
        }
    }

    /// Where what the container needs besides can be made: it goes with the directory.
    pub fn for_more(&self) -> BorrowedFd<'_> {
        self.dir.as_fd()
    }

    /// Its absolute path.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Its descriptor.
    pub(super) fn dir(&self) -> &OwnedFd {
        &self.dir
    }

    fn is_empty(&self) -> Result<bool, StoreError> {
        let mut entries =
            std::fs::read_dir(&self.path).doing(|| format!("reading `{}`", self.path.display()))?;
        Ok(entries.all(|entry| entry.is_ok_and(|entry| entry.file_name() == LOCK)))
    }

    fn write_json(&self, name: &str, value: &impl Serialize) -> Result<(), StoreError> {
        let bytes = serde_json::to_vec(value).map_err(|error| self.damaged(name, &error))?;
        self.write(name, &bytes)
    }

    fn read_json<T: DeserializeOwned>(&self, name: &str) -> Result<Option<T>, StoreError> {
        let Some(file) = self.open_file(name)? else {
            return Ok(None);
        };
        let mut bytes = Vec::new();
        file.take(MAX_STATE_BYTES)
            .read_to_end(&mut bytes)
            .map_err(|error| self.failed("reading", name, error))?;
        serde_json::from_slice(&bytes)
            .map(Some)
            .map_err(|error| self.damaged(name, &error))
    }

    fn damaged(&self, name: &str, reason: &impl ToString) -> StoreError {
        StoreError::Damaged {
            path: self.path.join(name),
            reason: reason.to_string(),
        }
    }

    pub(super) fn failed(&self, doing: &str, name: &str, error: impl Into<io::Error>) -> Failure {
        Failure::new(
            format!("{doing} `{}`", self.path.join(name).display()),
            error,
        )
    }
}

/// The name under which a file is written before it is put in its place.
fn beside(name: &str) -> String {
    format!(".{name}.new")
}

#[cfg(test)]
#[path = "store_tests.rs"]
mod tests;
