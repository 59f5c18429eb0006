//! Executable files that stay open, so that the next exec of the same file need not open it again.
//!
//! Finding, judging and opening a file costs more than all else an exec of a ticket does. What
//! stays is the descriptor and never what was read from it: every exec asks what the path names
//! now, asks whether it may be executed, and reads and hashes the bytes.
//!
//! A file is the one that is open if its mount, device and inode number are the same: the open
//! descriptor keeps all three from being another's. That holds for file systems whose numbers are
//! their own; on the others (network, FUSE) nothing stays open.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rustix::fs::{AtFlags, Statx, StatxFlags};

use super::judge;

/// Files that stay open at most: they count for the host's limit on descriptors.
const MOST: usize = 64;

/// What makes two files the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Identity {
    mount: u64,
    device: (u32, u32),
    inode: u64,
}

/// A file as its path names it now.
pub(super) struct Seen {
    identity: Identity,
    /// Type and permissions, as in `st_mode`.
    pub mode: u32,
    /// In bytes.
    pub size: u64,
}

impl Seen {
    /// Looks without opening. Nothing where the host's kernel does not tell all of it.
    pub fn at(dir: BorrowedFd<'_>, path: &[u8]) -> Option<Seen> {
        let wanted = StatxFlags::TYPE
            | StatxFlags::MODE
            | StatxFlags::SIZE
            | StatxFlags::INO
            | StatxFlags::MNT_ID;
        let how = match path.is_empty() {
            true => AtFlags::EMPTY_PATH,
            false => AtFlags::SYMLINK_NOFOLLOW | AtFlags::NO_AUTOMOUNT,
        };
        let found = rustix::fs::statx(dir, path, how, wanted).ok()?;
        let told = StatxFlags::from_bits_retain(found.stx_mask);
        told.contains(wanted).then(|| Seen::from(&found))
    }
}

impl From<&Statx> for Seen {
    fn from(found: &Statx) -> Seen {
        Seen {
            identity: Identity {
                mount: found.stx_mnt_id,
                device: (found.stx_dev_major, found.stx_dev_minor),
                inode: found.stx_ino,
            },
            mode: u32::from(found.stx_mode),
            size: found.stx_size,
        }
    }
}

/// Files of the root's own mount that were executed lately, by absolute paths without links.
#[derive(Debug, Default)]
pub(super) struct Executables(Mutex<Vec<Known>>);

#[derive(Debug)]
struct Known {
    path: Box<[u8]>,
    identity: Identity,
    file: Arc<OwnedFd>,
}

impl Executables {
    fn lock(&self) -> MutexGuard<'_, Vec<Known>> {
        // Nothing panics between two states that are whole.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The open file that `path` still names, with what it is now. `look` looks at the path.
    pub fn find(
        &self,
        path: &[u8],
        look: impl FnOnce() -> Option<Seen>,
    ) -> Option<(Arc<OwnedFd>, Seen)> {
        let (identity, file) = {
            let mut known = self.lock();
            let at = known.iter().rposition(|one| *one.path == *path)?;
            let last = known.len() - 1;
            // The one that was not used for longest is the first.
            known[at..].rotate_left(1);
            (known[last].identity, known[last].file.clone())
        };
        match look() {
            Some(seen) if seen.identity == identity => Some((file, seen)),
            _ => {
                self.lock().retain(|one| !Arc::ptr_eq(&one.file, &file));
                None
            }
        }
    }

    /// Keeps a file open that `path` led to without a link and on the root's own mount.
    pub fn keep(&self, path: &[u8], file: &Arc<OwnedFd>) {
        if !judge::has_own_numbers(file) {
            return;
        }
        let Some(seen) = Seen::at(file.as_fd(), b"") else {
            return;
        };
        let new = Known {
            path: path.into(),
            identity: seen.identity,
            file: file.clone(),
        };
        let _gone = {
            let mut known = self.lock();
            known.retain(|one| *one.path != *path);
            let gone = (known.len() >= MOST).then(|| known.remove(0));
            known.push(new);
            gone
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(dir: &std::path::Path, name: &str) -> Arc<OwnedFd> {
        let path = dir.join(name);
        std::fs::write(&path, name).unwrap();
        Arc::new(std::fs::File::open(path).unwrap().into())
    }

    #[test]
    fn a_file_is_found_as_long_as_its_path_names_it() {
        let dir = tempfile::tempdir().unwrap();
        let root = std::fs::File::open(dir.path()).unwrap();
        let known = Executables::default();
        let find = |name: &str| {
            let path = format!("/{name}");
            known.find(path.as_bytes(), || Seen::at(root.as_fd(), name.as_bytes()))
        };
        let one = file(dir.path(), "one");
        assert!(find("one").is_none());
        known.keep(b"/one", &one);
        let (found, seen) = find("one").unwrap();
        assert!(Arc::ptr_eq(&found, &one));
        assert_eq!((seen.mode & libc::S_IFMT, seen.size), (libc::S_IFREG, 3));

        // A link to the very same file is not what was kept.
        std::fs::rename(dir.path().join("one"), dir.path().join("two")).unwrap();
        std::os::unix::fs::symlink("two", dir.path().join("one")).unwrap();
        assert!(find("one").is_none());
        // And is forgotten for good.
        std::fs::remove_file(dir.path().join("one")).unwrap();
        std::fs::rename(dir.path().join("two"), dir.path().join("one")).unwrap();
        assert!(find("one").is_none());

        known.keep(b"/one", &one);
        std::fs::remove_file(dir.path().join("one")).unwrap();
        file(dir.path(), "one");
        assert!(find("one").is_none(), "another file of the same name");
    }

    #[test]
    fn those_that_were_not_used_for_longest_are_closed() {
        let dir = tempfile::tempdir().unwrap();
        let root = std::fs::File::open(dir.path()).unwrap();
        let known = Executables::default();
        let find = |name: &str| {
            let path = format!("/{name}");
            known.find(path.as_bytes(), || Seen::at(root.as_fd(), name.as_bytes()))
        };
        for number in 0..=MOST {
            let name = number.to_string();
            let file = file(dir.path(), &name);
            known.keep(format!("/{name}").as_bytes(), &file);
            assert!(find("0").is_some());
        }
        assert_eq!(known.lock().len(), MOST);
        assert!(find("1").is_none());
        assert!(find("2").is_some());
    }
}
