//! `tmpcopyup`: a tmpfs begins with what the image has in its place.
//!
//! The image is hostile: every name is looked up in a directory that is open, no link is followed,
//! and nothing but regular files and directories is opened at all. How much is copied is bounded by
//! the tmpfs, how deep by [`DEEPEST`].

use std::ffi::{CStr, CString};
use std::fs::File;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use rustix::fs::{AtFlags, Dir, FileType, Gid, Mode, OFlags, Stat, Timestamps, Uid};
use rustix::io::Errno;
use rustix::time::Timespec;

use crate::failure::{Doing, Failure};

/// Nested directories that are copied: each holds descriptors and stack.
const DEEPEST: usize = 128;

/// Copies the contents of the directory `from` into `to`; `at` is where that is, for the message.
/// With `itself` also the directory's own mode and owner.
pub fn copy(from: impl AsFd, to: impl AsFd, itself: bool, at: &Path) -> Result<(), Failure> {
    let doing = || format!("copying what the image has at `{}`", at.display());
    let from = open(&from, c".", OFlags::DIRECTORY).doing(doing)?;
    let to = open(&to, c".", OFlags::DIRECTORY).doing(doing)?;
    contents(&from, &to, at, DEEPEST)?;
    if itself {
        let stat = rustix::fs::fstat(&from).doing(doing)?;
        take_over(&to, &stat).doing(doing)?;
    }
    Ok(())
}

fn contents(from: &OwnedFd, to: &OwnedFd, at: &Path, deeper: usize) -> Result<(), Failure> {
    let doing = || format!("copying what the image has at `{}`", at.display());
    let names = Dir::read_from(from)
        .and_then(|dir| {
            dir.map(|entry| Ok(entry?.file_name().to_owned()))
                .collect::<Result<Vec<CString>, Errno>>()
        })
        .doing(doing)?;
    for name in names.iter().filter(|name| !is_dots(name)) {
        let at = at.join(std::ffi::OsStr::from_bytes(name.to_bytes()));
        let doing = || format!("copying what the image has at `{}`", at.display());
        let stat = rustix::fs::statat(from, name, AtFlags::SYMLINK_NOFOLLOW).doing(doing)?;
        match FileType::from_raw_mode(stat.st_mode) {
            FileType::Directory if deeper == 0 => {
                return Err(Failure::new(doing(), Errno::NAMETOOLONG));
            }
            FileType::Directory => {
                let source = open(from, name, OFlags::DIRECTORY).doing(doing)?;
                rustix::fs::mkdirat(to, name, Mode::RWXU).doing(doing)?;
                let target = open(to, name, OFlags::DIRECTORY).doing(doing)?;
                contents(&source, &target, &at, deeper - 1)?;
                take_over(&target, &stat).doing(doing)?;
            }
            FileType::RegularFile => file(from, to, name, &stat).doing(doing)?,
            FileType::Symlink => {
                let target = rustix::fs::readlinkat(from, name, Vec::new()).doing(doing)?;
                rustix::fs::symlinkat(&target, to, name)
                    .and_then(|()| own(to, name, &stat))
                    .doing(doing)?;
            }
            kind => rustix::fs::mknodat(to, name, kind, Mode::empty(), stat.st_rdev)
                .and_then(|()| own(to, name, &stat))
                .and_then(|()| rustix::fs::chmodat(to, name, mode(&stat), AtFlags::empty()))
                .doing(doing)?,
        }
    }
    Ok(())
}

fn file(from: &OwnedFd, to: &OwnedFd, name: &CStr, stat: &Stat) -> std::io::Result<()> {
    // Whatever stood there when it was looked at: nothing here waits for a fifo's writer.
    let mut source = File::from(open(from, name, OFlags::NONBLOCK)?);
    if !source.metadata()?.is_file() {
        return Err(Errno::STALE.into());
    }
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let mut target = File::from(rustix::fs::openat(
        to,
        name,
        flags,
        Mode::RUSR | Mode::WUSR,
    )?);
    std::io::copy(&mut source, &mut target)?;
    Ok(take_over(&target, stat)?)
}

/// Gives what is open owner, mode and times of the original.
fn take_over(copy: impl AsFd, stat: &Stat) -> Result<(), Errno> {
    let (uid, gid) = (Uid::from_raw(stat.st_uid), Gid::from_raw(stat.st_gid));
    rustix::fs::fchown(&copy, Some(uid), Some(gid))?;
    // After the owner, whose change takes set-user-id away.
    rustix::fs::fchmod(&copy, mode(stat))?;
    let nanoseconds = |n: u64| i64::try_from(n).unwrap_or(0);
    let times = Timestamps {
        last_access: Timespec {
            tv_sec: stat.st_atime,
            tv_nsec: nanoseconds(stat.st_atime_nsec),
        },
        last_modification: Timespec {
            tv_sec: stat.st_mtime,
            tv_nsec: nanoseconds(stat.st_mtime_nsec),
        },
    };
    rustix::fs::futimens(&copy, &times)
}

fn own(dir: &OwnedFd, name: &CStr, stat: &Stat) -> Result<(), Errno> {
    let (uid, gid) = (Uid::from_raw(stat.st_uid), Gid::from_raw(stat.st_gid));
    rustix::fs::chownat(dir, name, Some(uid), Some(gid), AtFlags::SYMLINK_NOFOLLOW)
}

fn mode(stat: &Stat) -> Mode {
    Mode::from_raw_mode(stat.st_mode & 0o7777)
}

fn open(dir: &impl AsFd, name: &CStr, flags: OFlags) -> Result<OwnedFd, Errno> {
    let flags = flags | OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    rustix::fs::openat(dir, name, flags, Mode::empty())
}

fn is_dots(name: &CStr) -> bool {
    matches!(name.to_bytes(), b"." | b"..")
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};

    use super::*;

    fn copied(make: impl FnOnce(&Path)) -> (tempfile::TempDir, Result<(), Failure>) {
        let dir = tempfile::tempdir().unwrap();
        for name in ["from", "to"] {
            fs::create_dir(dir.path().join(name)).unwrap();
        }
        make(&dir.path().join("from"));
        let open = |name: &str| File::open(dir.path().join(name)).unwrap();
        let result = copy(open("from"), open("to"), true, Path::new("/at"));
        (dir, result)
    }

    #[test]
    fn files_folders_links_and_fifos_come_with_mode_and_time() {
        let (dir, result) = copied(|from| {
            fs::create_dir(from.join("sub")).unwrap();
            fs::write(from.join("sub/file"), "text").unwrap();
            fs::set_permissions(from.join("sub/file"), PermissionsExt::from_mode(0o4750)).unwrap();
            symlink("/etc/passwd", from.join("link")).unwrap();
            let fifo = from.join("fifo");
            rustix::fs::mknodat(rustix::fs::CWD, &fifo, FileType::Fifo, Mode::RUSR, 0).unwrap();
            fs::set_permissions(from.join("sub"), PermissionsExt::from_mode(0o711)).unwrap();
            fs::set_permissions(from, PermissionsExt::from_mode(0o1777)).unwrap();
        });
        result.unwrap();
        let at = |name: &str| dir.path().join(name);
        assert_eq!(fs::read_to_string(at("to/sub/file")).unwrap(), "text");
        for name in ["", "sub", "sub/file", "fifo", "link"] {
            let of = |tree: &str| fs::symlink_metadata(at(tree).join(name)).unwrap();
            let (from, to) = (of("from"), of("to"));
            assert_eq!(from.mode(), to.mode(), "{name}");
            if from.is_file() || from.is_dir() {
                assert_eq!(from.modified().unwrap(), to.modified().unwrap(), "{name}");
            }
        }
        // The link itself, not what it leads to.
        assert_eq!(
            fs::read_link(at("to/link")).unwrap(),
            Path::new("/etc/passwd")
        );
    }

    #[test]
    fn a_tree_without_end_is_refused_by_name() {
        let (_dir, result) = copied(|from| {
            let mut path = from.to_owned();
            for _ in 0..DEEPEST + 2 {
                path.push("d");
                fs::create_dir(&path).unwrap();
            }
        });
        let message = result.unwrap_err().to_string();
        assert!(message.contains("/at/d/d"), "{message}");
    }
}
