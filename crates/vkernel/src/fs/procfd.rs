//! The kernel's private handle to its own `/proc/self/fd`.
//!
//! Two things need it: opening for real what was first looked at with `O_PATH`, and asking
//! the host's kernel where a directory is now. It is opened before any guest runs and never
//! handed out.

use std::ffi::CStr;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

use rustix::fs::{Access, AtFlags, CWD, Mode, OFlags};
use rustix::mount::{FsMountFlags, FsOpenFlags, MountAttrFlags};

use super::Result;
use super::judge::{FsClass, class_of};
use crate::errno::Errno;

/// The longest number of a descriptor, with its NUL.
const NUMBER: usize = 12;

/// An open `/proc/self/fd` of this process.
#[derive(Debug)]
pub struct ProcFd {
    dir: OwnedFd,
    at_its_path: bool,
}

impl ProcFd {
    /// Opens `/proc/self/fd`, or where no procfs is mounted one of its own that no path leads to
    /// (that needs `CAP_SYS_ADMIN`). The error says which of the two failed last.
    pub fn open() -> std::io::Result<ProcFd> {
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let mounted = rustix::fs::openat(CWD, c"/proc/self/fd", flags, Mode::empty());
        if let Ok(dir) = mounted
            && let Ok(handle) = Self::from_dir(dir)
        {
            return Ok(ProcFd {
                at_its_path: Self::is_mounted_at_proc(&handle.dir),
                ..handle
            });
        }
        let context = rustix::mount::fsopen(c"proc", FsOpenFlags::FSOPEN_CLOEXEC)?;
        rustix::mount::fsconfig_create(context.as_fd())?;
        let mount = rustix::mount::fsmount(
            context.as_fd(),
            FsMountFlags::FSMOUNT_CLOEXEC,
            MountAttrFlags::empty(),
        )?;
        let dir = rustix::fs::openat(&mount, c"self/fd", flags, Mode::empty())?;
        Self::from_dir(dir)
    }

    /// Takes an open `/proc/self/fd`, for a process whose own root has no procfs. Checked: it
    /// must be on a procfs and show this very process.
    pub fn from_dir(dir: OwnedFd) -> std::io::Result<ProcFd> {
        let foreign = || std::io::Error::from_raw_os_error(libc::ESTALE);
        if class_of(&dir).map_err(|_| foreign())? != FsClass::Proc {
            return Err(foreign());
        }
        let handle = ProcFd {
            dir,
            at_its_path: false,
        };
        // An object that only this process has: what its entry leads to must be that object.
        let probe = rustix::fs::memfd_create(c"probe", rustix::fs::MemfdFlags::CLOEXEC)?;
        let own = rustix::fs::fstat(&probe)?;
        let via = handle.name(probe.as_fd(), |name| {
            rustix::fs::statat(&handle.dir, name, AtFlags::empty())
        })?;
        if (own.st_dev, own.st_ino) == (via.st_dev, via.st_ino) {
            Ok(handle)
        } else {
            Err(foreign())
        }
    }

    /// Whether `/proc` itself is a procfs, no link to one, and its `self/fd` is `dir`: then it is a
    /// mount, which nobody can put something else in the place of.
    fn is_mounted_at_proc(dir: &OwnedFd) -> bool {
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let Ok(proc) = rustix::fs::openat(CWD, c"/proc", flags | OFlags::NOFOLLOW, Mode::empty())
        else {
            return false;
        };
        let below = rustix::fs::openat(&proc, c"self/fd", flags, Mode::empty());
        class_of(&proc) == Ok(FsClass::Proc)
            && below
                .and_then(rustix::fs::fstat)
                .and_then(|below| Ok((below, rustix::fs::fstat(dir)?)))
                .is_ok_and(|(one, other)| (one.st_dev, one.st_ino) == (other.st_dev, other.st_ino))
    }

    /// Whether the path `/proc/self/fd` leads here, whatever guests do.
    pub(crate) fn is_at_its_path(&self) -> bool {
        self.at_its_path
    }

    fn name<T>(&self, fd: BorrowedFd<'_>, then: impl FnOnce(&CStr) -> T) -> T {
        let mut buffer = [0u8; NUMBER];
        let mut at = NUMBER - 1;
        let mut rest = fd.as_raw_fd().unsigned_abs();
        loop {
            at -= 1;
            buffer[at] = b'0' + (rest % 10) as u8;
            rest /= 10;
            if rest == 0 {
                break;
            }
        }
        let name = CStr::from_bytes_with_nul(&buffer[at..]).expect("digits and one final NUL");
        then(name)
    }

    /// Opens for real what `fd` (usually `O_PATH`) stands for.
    pub fn reopen(&self, fd: BorrowedFd<'_>, flags: OFlags) -> Result<OwnedFd> {
        let flags = flags | OFlags::CLOEXEC | OFlags::NOCTTY;
        let opened = self.name(fd, |name| {
            rustix::fs::openat(&self.dir, name, flags, Mode::empty())
        });
        opened.map_err(host_limit)
    }

    /// Where the host's kernel says `fd` is: a path as this process sees it, or `pipe:[1]`.
    pub fn read_link(&self, fd: BorrowedFd<'_>) -> Result<Vec<u8>> {
        let link = self.name(fd, |name| {
            rustix::fs::readlinkat(&self.dir, name, Vec::with_capacity(256))
        });
        Ok(link?.into_bytes())
    }

    /// `EACCES` unless this process may execute what `fd` stands for, mount options included.
    pub fn check_executable(&self, fd: BorrowedFd<'_>) -> Result<()> {
        self.check(fd, Access::EXEC_OK)
    }

    /// `EACCES` unless this process may do `wanted` with what `fd` stands for.
    pub fn check(&self, fd: BorrowedFd<'_>, wanted: Access) -> Result<()> {
        if grants(fd, wanted) {
            return Ok(());
        }
        // A refusal, or a kernel or a filter without the call: the other way says which.
        let allowed = self.name(fd, |name| {
            rustix::fs::accessat(&self.dir, name, wanted, AtFlags::EACCESS)
        });
        Ok(allowed?)
    }

    /// Makes `name` in `dir` a hard link to what `fd` stands for.
    pub fn link_to(&self, fd: BorrowedFd<'_>, dir: BorrowedFd<'_>, name: &CStr) -> Result<()> {
        let linked = self.name(fd, |number| {
            rustix::fs::linkat(&self.dir, number, dir, name, AtFlags::SYMLINK_FOLLOW)
        });
        Ok(linked?)
    }

    /// Gives what `fd` stands for these permissions.
    pub fn set_mode(&self, fd: BorrowedFd<'_>, mode: Mode) -> Result<()> {
        let set = self.name(fd, |number| {
            rustix::fs::chmodat(&self.dir, number, mode, AtFlags::empty())
        });
        Ok(set?)
    }

    /// This process's own page map, which tells nothing about guests' files: for the kernel. A
    /// process that has changed its user may not open it.
    pub fn page_map(&self) -> Result<OwnedFd> {
        let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NOFOLLOW;
        let file = rustix::fs::openat(&self.dir, c"../pagemap", flags, Mode::empty())?;
        match class_of(&file)? {
            FsClass::Proc => Ok(file),
            _ => Err(Errno::ACCES),
        }
    }

    /// What a thread of this process is doing, by Linux's letter.
    pub fn thread_state(&self, thread: i32) -> Result<u8> {
        let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NOFOLLOW;
        let path = format!("../task/{thread}/stat");
        let file = rustix::fs::openat(&self.dir, path, flags, Mode::empty())?;
        let mut text = [0u8; 128];
        let len = rustix::io::read(&file, &mut text)?;
        // A thread's own name stands before, in brackets.
        let end = text[..len].iter().rposition(|byte| *byte == b')');
        let state = end.and_then(|end| text.get(end + 2));
        state.copied().ok_or(Errno::IO)
    }

    /// The raw text of a file beside the process directories, such as `meminfo`.
    pub fn system_file(&self, name: &CStr) -> Result<Vec<u8>> {
        // `fd` is two levels below the procfs's own root.
        let how = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let top = rustix::fs::openat(&self.dir, c"../..", how, Mode::empty())?;
        let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NOFOLLOW;
        let file = rustix::fs::openat(&top, name, flags, Mode::empty())?;
        if class_of(&file)? != FsClass::Proc {
            return Err(Errno::NOENT);
        }
        let mut text = Vec::new();
        let mut chunk = [0u8; 8192];
        while text.len() < 1 << 20 {
            match rustix::io::read(&file, &mut chunk)? {
                0 => break,
                n => text.extend_from_slice(&chunk[..n]),
            }
        }
        Ok(text)
    }
}

/// Whether this process certainly has these permissions (`R_OK`, `X_OK`) on what `fd` stands for
/// now. False also where the host's kernel or a filter does not have the call.
pub(super) fn grants(fd: BorrowedFd<'_>, access: Access) -> bool {
    // SAFETY: plain system call on an open descriptor and a static, NUL-terminated path. Not
    // `rustix`'s function, which does not let AT_EMPTY_PATH through.
    let answer = unsafe {
        libc::syscall(
            libc::SYS_faccessat2,
            fd.as_raw_fd(),
            c"".as_ptr(),
            access.bits(),
            libc::AT_EACCESS | libc::AT_EMPTY_PATH,
        )
    };
    answer == 0
}

/// The host's own descriptor limit is not the guest's: to the guest it is the system's.
pub(crate) fn host_limit(error: rustix::io::Errno) -> Errno {
    match error {
        rustix::io::Errno::MFILE => Errno::NFILE,
        other => other.into(),
    }
}
