//! Nodes for a container in a user namespace, where nobody may make any: they are outside, and the
//! container gets mounts of them.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use oci_spec::runtime::LinuxIdMapping;
use rustix::fs::{AtFlags, FileType, Gid, Uid};
use rustix::io::Errno;
use rustix::mount::OpenTreeFlags;

use super::Device;
use crate::failure::{Doing, Failure};
use crate::sandbox::mounts::prepare::clone_tree;
use crate::sys::mount_attr::{self, Attr};

/// Where nodes are made, and whom they are made for.
pub struct Lender<'a> {
    /// A directory that only this program writes, where the nodes stay as long as the container:
    /// one without a name cannot be mounted.
    pub dir: BorrowedFd<'a>,
    /// `linux.uidMappings` of the container's user namespace.
    pub uids: &'a [LinuxIdMapping],
    /// `linux.gidMappings`.
    pub gids: &'a [LinuxIdMapping],
}

impl Lender<'_> {
    /// One of the devices that every container has: the host's.
    pub fn standard(&self, device: &Device) -> Result<OwnedFd, Failure> {
        let tree = clone_tree(&device.path, false)?;
        restrict(tree, device, 0)
    }

    /// One of config.json: made for it, or by who may make none the host's of that path, if that
    /// is the same device.
    pub fn configured(&self, device: &Device, number: usize) -> Result<OwnedFd, Failure> {
        let doing = || format!("making device `{}`", device.path.display());
        let name = format!("device-{number}");
        match rustix::fs::mknodat(self.dir, &name, device.kind(), device.mode(), device.rdev()) {
            Ok(()) => {}
            Err(Errno::PERM | Errno::ACCESS) => return self.hosts(device),
            Err(error) => return Err(Failure::new(doing(), error)),
        }
        let tree = self.lend(device, &name).doing(doing)?;
        // The directory may be on a file system whose devices mean nothing.
        restrict(tree, device, libc::MOUNT_ATTR_NODEV)
    }

    fn lend(&self, device: &Device, name: &str) -> Result<OwnedFd, Errno> {
        let (uid, gid) = device.owner;
        let uid = outside(self.uids, uid).ok_or(Errno::OVERFLOW)?;
        let gid = outside(self.gids, gid).ok_or(Errno::OVERFLOW)?;
        let owner = (Some(Uid::from_raw(uid)), Some(Gid::from_raw(gid)));
        rustix::fs::chownat(self.dir, name, owner.0, owner.1, AtFlags::SYMLINK_NOFOLLOW)?;
        rustix::fs::chmodat(self.dir, name, device.mode(), AtFlags::empty())?;
        let flags = OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC;
        rustix::mount::open_tree(self.dir, name, flags)
    }

    fn hosts(&self, device: &Device) -> Result<OwnedFd, Failure> {
        let doing = || {
            format!(
                "lending the host's device `{}`, since this user may make none",
                device.path.display()
            )
        };
        let tree = clone_tree(&device.path, false)?;
        let stat = rustix::fs::fstat(&tree).doing(doing)?;
        let kind = FileType::from_raw_mode(stat.st_mode);
        let same = kind == FileType::Fifo || stat.st_rdev == device.rdev();
        match kind == device.kind() && same {
            true => restrict(tree, device, 0),
            // Another device at its path.
            false => Err(Failure::new(doing(), Errno::NXIO)),
        }
    }
}

/// A mount that is a device's and nothing else's, without the attributes in `clear`.
fn restrict(tree: OwnedFd, device: &Device, clear: u64) -> Result<OwnedFd, Failure> {
    let attr = Attr {
        set: libc::MOUNT_ATTR_NOSUID | libc::MOUNT_ATTR_NOEXEC,
        clear,
        propagation: libc::MS_PRIVATE,
        ..Attr::default()
    };
    mount_attr::set(tree.as_fd(), &attr)
        .doing(|| format!("setting mount options of `{}`", device.path.display()))?;
    Ok(tree)
}

/// The host's number of one inside; its own where nothing is mapped.
fn outside(mappings: &[LinuxIdMapping], inside: u32) -> Option<u32> {
    if mappings.is_empty() {
        return Some(inside);
    }
    mappings.iter().find_map(|mapping| {
        let distance = inside.checked_sub(mapping.container_id())?;
        let there = distance < mapping.size();
        there.then(|| mapping.host_id().checked_add(distance))?
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn owners_are_mapped() {
        let mappings = serde_json::json!([
            {"containerID": 0, "hostID": 1000, "size": 2},
            {"containerID": 10, "hostID": 0, "size": 5},
        ]);
        let mappings: Vec<LinuxIdMapping> = serde_json::from_value(mappings).unwrap();
        for (inside, expected) in [(1, Some(1001)), (2, None), (10, Some(0)), (15, None)] {
            assert_eq!(outside(&mappings, inside), expected);
        }
        assert_eq!(outside(&[], 7), Some(7));
    }
}
