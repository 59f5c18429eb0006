//! Re-executing the runtime from a copy of itself that nobody can write.

use std::ffi::{CStr, CString};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::ptr;

use rustix::fs::{MemfdFlags, Mode, OFlags, SealFlags};
use rustix::io::Errno;
use rustix::mount::OpenTreeFlags;

use super::clone::last_errno;
use super::mount_attr::{self, Attr};
use crate::failure::{Doing, Failure};

/// A descriptor of this program through which its file cannot be written: `/proc/<pid>/exe` of a
/// process started from it leads to a read-only mount (or a sealed copy), so that a native process
/// that shares the pid namespace cannot overwrite the runtime on the host.
pub fn read_only_self() -> Result<OwnedFd, Failure> {
    let exe = rustix::fs::open(
        "/proc/self/exe",
        OFlags::PATH | OFlags::CLOEXEC,
        Mode::empty(),
    )
    .doing(|| "opening /proc/self/exe")?;
    match read_only_clone(&exe) {
        Ok(clone) => Ok(clone),
        // Without CAP_SYS_ADMIN or on an old kernel: a sealed copy in memory.
        Err(_) => sealed_copy(),
    }
}

fn read_only_clone(exe: &OwnedFd) -> Result<OwnedFd, Errno> {
    let flags = OpenTreeFlags::OPEN_TREE_CLONE
        | OpenTreeFlags::OPEN_TREE_CLOEXEC
        | OpenTreeFlags::AT_EMPTY_PATH;
    let tree = rustix::mount::open_tree(exe, c"", flags)?;
    mount_attr::set(tree.as_fd(), &Attr::read_only())?;
    Ok(tree)
}

fn sealed_copy() -> Result<OwnedFd, Failure> {
    let mut exe = std::fs::File::open("/proc/self/exe").doing(|| "opening /proc/self/exe")?;
    let memfd =
        rustix::fs::memfd_create("megarun", MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING)
            .doing(|| "making sealed memory for the runtime")?;
    let mut copy = std::fs::File::from(memfd);
    std::io::copy(&mut exe, &mut copy).doing(|| "copying the runtime to sealed memory")?;
    let seals = SealFlags::WRITE | SealFlags::SHRINK | SealFlags::GROW | SealFlags::SEAL;
    rustix::fs::fcntl_add_seals(&copy, seals).doing(|| "sealing the copy of the runtime")?;
    Ok(copy.into())
}

/// Replaces this process by the program open as `program`. Returns only when that failed.
pub fn execute(program: &OwnedFd, args: &[CString], env: &[CString]) -> Errno {
    let pointers = |strings: &[CString]| {
        strings
            .iter()
            .map(|s| s.as_ptr())
            .chain([ptr::null()])
            .collect::<Vec<_>>()
    };
    let (args, env) = (pointers(args), pointers(env));
    let empty: &CStr = c"";
    // SAFETY: both arrays end in a null pointer and their strings outlive the call; the path is a
    // valid C string and AT_EMPTY_PATH makes the call use the descriptor.
    unsafe {
        libc::syscall(
            libc::SYS_execveat,
            program.as_raw_fd(),
            empty.as_ptr(),
            args.as_ptr(),
            env.as_ptr(),
            libc::AT_EMPTY_PATH,
        );
    }
    last_errno()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sealed_copy_cannot_be_written() {
        let copy = sealed_copy().unwrap();
        assert_eq!(rustix::io::pwrite(&copy, b"x", 0).unwrap_err(), Errno::PERM);
        assert_eq!(rustix::fs::ftruncate(&copy, 0).unwrap_err(), Errno::PERM);
    }

    #[test]
    fn the_program_cannot_be_written_through_a_read_only_clone() {
        // Needs CAP_SYS_ADMIN; without it the sealed copy serves.
        let exe = rustix::fs::open("/proc/self/exe", OFlags::PATH, Mode::empty()).unwrap();
        if let Ok(clone) = read_only_clone(&exe) {
            let path = format!("/proc/self/fd/{}", clone.as_raw_fd());
            let opened = rustix::fs::open(path, OFlags::WRONLY, Mode::empty());
            assert!(matches!(opened.unwrap_err(), Errno::ROFS | Errno::TXTBSY));
        }
    }
}
