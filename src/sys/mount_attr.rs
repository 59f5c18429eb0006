//! `mount_setattr`: attributes and propagation of a mount or of a whole tree.

use std::os::fd::{AsRawFd, BorrowedFd};

use rustix::io::Errno;

use super::clone::last_errno;

/// What to change on a mount. The fields are `MOUNT_ATTR_*` sets and an `MS_*` propagation type.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Attr {
    /// Attributes to set.
    pub set: u64,
    /// Attributes to clear; the whole access-time field when that is to change.
    pub clear: u64,
    /// `MS_SHARED`, `MS_SLAVE`, `MS_PRIVATE`, `MS_UNBINDABLE`, or 0 to leave it.
    pub propagation: u64,
    /// Apply to every mount of the tree.
    pub recursive: bool,
}

impl Attr {
    /// Makes one mount read-only.
    pub fn read_only() -> Self {
        Self {
            set: libc::MOUNT_ATTR_RDONLY,
            ..Self::default()
        }
    }

    /// Whether applying it would change nothing.
    pub fn is_empty(&self) -> bool {
        self.set == 0 && self.clear == 0 && self.propagation == 0
    }
}

/// Applies `attr` to the mount (tree) that `mount` is open on.
pub fn set(mount: BorrowedFd<'_>, attr: &Attr) -> Result<(), Errno> {
    if attr.is_empty() {
        return Ok(());
    }
    let args = libc::mount_attr {
        attr_set: attr.set,
        attr_clr: attr.clear,
        propagation: attr.propagation,
        userns_fd: 0,
    };
    set_raw(mount, &args, attr.recursive)
}

/// Maps the ids of the detached mount (tree) by those of the user namespace.
pub fn map_ids(
    mount: BorrowedFd<'_>,
    namespace: BorrowedFd<'_>,
    recursive: bool,
) -> Result<(), Errno> {
    let args = libc::mount_attr {
        attr_set: libc::MOUNT_ATTR_IDMAP,
        attr_clr: 0,
        propagation: 0,
        userns_fd: u64::try_from(namespace.as_raw_fd()).map_err(|_| Errno::BADF)?,
    };
    set_raw(mount, &args, recursive)
}

fn set_raw(mount: BorrowedFd<'_>, args: &libc::mount_attr, recursive: bool) -> Result<(), Errno> {
    let flags = libc::AT_EMPTY_PATH | if recursive { libc::AT_RECURSIVE } else { 0 };
    // SAFETY: the path is a valid empty C string, and `args` is a mount_attr of the size passed.
    let done = unsafe {
        libc::syscall(
            libc::SYS_mount_setattr,
            mount.as_raw_fd(),
            c"".as_ptr(),
            flags,
            std::ptr::from_ref(args),
            size_of::<libc::mount_attr>(),
        )
    };
    if done == 0 { Ok(()) } else { Err(last_errno()) }
}
