//! The root of a process where the old one cannot be taken off: a host that runs from an initial RAM
//! disk, whose root is no mount that pivot_root could move (`--no-pivot`).

use std::os::fd::AsFd;
use std::path::PathBuf;

use rustix::fs::{AtFlags, StatxFlags};
use rustix::io::Errno;
use rustix::mount::{MoveMountFlags, UnmountFlags};

use super::{Rootfs, empty_directory};
use crate::failure::{Doing, Failure};
use crate::sandbox::mountinfo::{self, Mount};
use crate::sandbox::mounts::attach;

impl Rootfs {
    /// Covers the old root with this one, where that cannot be taken off. Nothing of the old one is
    /// left by which a process inside could mount a procfs or sysfs that shows all.
    pub(super) fn cover(&self) -> Result<(), Failure> {
        let flags = MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH;
        rustix::mount::move_mount(&self.root, c"", rustix::fs::CWD, "/", flags)
            .doing(|| "moving the new root over the old one")?;
        // Paths are still the old root's.
        let table = mountinfo::own()?;
        let root = mount_id(&self.root, c"").doing(|| "looking at the new root")?;
        for (id, at) in left_of_kernel(&table, root) {
            // Another may lie on it.
            if mount_id(rustix::fs::CWD, &at) != Ok(id) {
                continue;
            }
            if rustix::mount::unmount(&at, UnmountFlags::DETACH).is_err() {
                // A user namespace holds on to it.
                attach::attach_at_path(&attach::make(&empty_directory())?, &at)?;
            }
        }
        rustix::process::chroot(".").doing(|| "changing to the new root (chroot)")
    }
}

/// The mount that a path, or the descriptor itself, is on.
fn mount_id(at: impl AsFd, path: impl rustix::path::Arg) -> Result<u64, Errno> {
    let flags = AtFlags::EMPTY_PATH | AtFlags::NO_AUTOMOUNT;
    let stat = rustix::fs::statx(at, path, flags, StatxFlags::MNT_ID)?;
    Ok(stat.stx_mnt_id)
}

/// The procfs and sysfs of a table of mounts that are not on the mount `root`, the last first, with
/// their places.
fn left_of_kernel(table: &[u8], root: u64) -> Vec<(u64, PathBuf)> {
    let mut inside = vec![root];
    let mut left: Vec<Mount> = mountinfo::mounts(table).collect();
    // A mount may stand before the one that it is on.
    let mut known = 0;
    while known < inside.len() {
        known = inside.len();
        let (more, rest): (Vec<_>, Vec<_>) = left
            .into_iter()
            .partition(|mount| inside.contains(&mount.id) || inside.contains(&mount.parent));
        inside.extend(more.iter().map(|mount| mount.id));
        left = rest;
    }
    left.into_iter()
        .rev()
        .filter(|mount| matches!(mount.kind, b"proc" | b"sysfs"))
        .map(|mount| (mount.id, mount.point.into_owned()))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_old_roots_views_of_the_kernel_are_found_and_not_the_containers() {
        let table = b"\
22 27 0:21 / /proc rw - proc proc rw
23 27 0:22 / /sys rw - sysfs sysfs rw
24 27 0:6 / /dev rw - devtmpfs devtmpfs rw
27 1 254:0 / / rw - ext4 /dev/vda rw
61 60 0:50 / /proc rw - proc proc rw
60 27 254:0 /rootfs / rw - ext4 /dev/vda rw
63 61 0:50 /sys /proc/sys ro - proc proc rw
70 22 0:51 / /proc/fs/x rw - proc proc rw
71 27 0:52 / /a\\040b/proc rw - proc proc rw
";
        let left = left_of_kernel(table, 60);
        let left: Vec<_> = left
            .iter()
            .map(|(id, at)| (*id, at.to_str().unwrap()))
            .collect();
        let kernels = [
            (71, "/a b/proc"),
            (70, "/proc/fs/x"),
            (23, "/sys"),
            (22, "/proc"),
        ];
        assert_eq!(left, kernels);
    }
}
