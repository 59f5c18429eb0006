//! The root of a process where the old one cannot be taken off: a host that runs from an initial RAM
//! disk, whose root is no mount that pivot_root could move (`--no-pivot`).

use std::os::fd::AsFd;
use std::path::Path;

use rustix::fs::{AtFlags, StatxFlags};
use rustix::io::Errno;
use rustix::mount::{MoveMountFlags, UnmountFlags};

use super::{Rootfs, empty_directory};
use crate::failure::{Doing, Failure};
use crate::sandbox::mounts::attach;

impl Rootfs {
    /// Covers the old root with this one, where that cannot be taken off. Nothing of the old one is
    /// left by which a process inside could mount a procfs or sysfs that shows all.
    pub(super) fn cover(&self) -> Result<(), Failure> {
        let flags = MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH;
        rustix::mount::move_mount(&self.root, c"", rustix::fs::CWD, "/", flags)
            .doing(|| "moving the new root over the old one")?;
        // Paths are still the old root's.
        let table = std::fs::read_to_string("/proc/self/mountinfo")
            .doing(|| "reading the mounts of the old root")?;
        let root = mount_id(&self.root, c"").doing(|| "looking at the new root")?;
        for (id, at) in left_of_kernel(&table, root) {
            // Another may lie on it.
            if mount_id(rustix::fs::CWD, at.as_str()) != Ok(id) {
                continue;
            }
            if rustix::mount::unmount(at.as_str(), UnmountFlags::DETACH).is_err() {
                // A user namespace holds on to it.
                attach::attach_at_path(&attach::make(&empty_directory())?, Path::new(&at))?;
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
fn left_of_kernel(table: &str, root: u64) -> Vec<(u64, String)> {
    let mut inside = vec![root];
    let mut found = Vec::new();
    let mut lines: Vec<(u64, u64, &str, bool)> = table.lines().filter_map(mount).collect();
    // A mount may stand before the one that it is on.
    let mut known = 0;
    while known < inside.len() {
        known = inside.len();
        let on = |id: &u64| inside.contains(id);
        let (more, rest): (Vec<_>, Vec<_>) = lines
            .into_iter()
            .partition(|(id, parent, ..)| on(id) || on(parent));
        inside.extend(more.iter().map(|(id, ..)| *id));
        lines = rest;
    }
    for (id, _, at, kernel) in lines.into_iter().rev() {
        if kernel && !at.contains('\\') {
            found.push((id, at.to_owned()));
        }
    }
    found
}

/// A line of mountinfo: the mount, the one it is on, where, and whether it is a procfs or sysfs.
fn mount(line: &str) -> Option<(u64, u64, &str, bool)> {
    let (mount, filesystem) = line.split_once(" - ")?;
    let kind = filesystem.split(' ').next()?;
    let mut fields = mount.split(' ');
    let (id, parent) = (fields.next()?.parse().ok()?, fields.next()?.parse().ok()?);
    Some((id, parent, fields.nth(2)?, matches!(kind, "proc" | "sysfs")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_old_roots_views_of_the_kernel_are_found_and_not_the_containers() {
        let table = "\
22 27 0:21 / /proc rw - proc proc rw
23 27 0:22 / /sys rw - sysfs sysfs rw
24 27 0:6 / /dev rw - devtmpfs devtmpfs rw
27 1 254:0 / / rw - ext4 /dev/vda rw
61 60 0:50 / /proc rw - proc proc rw
60 27 254:0 /rootfs / rw - ext4 /dev/vda rw
63 61 0:50 /sys /proc/sys ro - proc proc rw
70 22 0:51 / /proc/fs/x rw - proc proc rw
";
        let left = left_of_kernel(table, 60);
        let left: Vec<_> = left.iter().map(|(id, at)| (*id, at.as_str())).collect();
        assert_eq!(left, [(70, "/proc/fs/x"), (23, "/sys"), (22, "/proc")]);
    }
}
