//! Putting mounts in place inside the child's mount namespace.

use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;

use rustix::fs::{CWD, Mode, OFlags};
use rustix::io::Errno;
use rustix::mount::{FsMountFlags, FsOpenFlags, MountAttrFlags, MoveMountFlags};

use super::{Filesystem, Source, Step, copy_up};
use crate::failure::{Doing, Failure};
use crate::init::request::Received;
use crate::sandbox::rootfs::Rootfs;
use crate::sys::mount_attr::{self, Attr};

/// Carries out one step.
pub fn step(root: &Rootfs, step: Step, received: &mut Received) -> Result<(), Failure> {
    let at = step.destination.as_path();
    match step.source {
        Source::Tree { tree, directory } => {
            let tree = received.take(&tree, "a mount source")?;
            let point = if directory {
                root.make_dir(at)?
            } else {
                root.make_file(at)?
            };
            attach(&tree, &point, at)
        }
        Source::Filesystem(filesystem) => {
            // A link at /proc or /sys in an image could put them where nothing masks them.
            let strict = matches!(filesystem.kind.as_str(), "proc" | "sysfs");
            if strict && matches!(root.open_as(at, OFlags::PATH), Err(Errno::LOOP)) {
                let kind = &filesystem.kind;
                let doing = format!(
                    "a file system of type `{kind}` must be mounted on ordinary directory, which \
                     `{}` is not",
                    at.display()
                );
                return Err(Failure::new(doing, Errno::LOOP));
            }
            let point = root.make_dir(at)?;
            if strict {
                root.open_without_links(at)?;
            }
            if filesystem.copy_up {
                return attach_with_copy(filesystem, &point, at);
            }
            attach(&make(&filesystem)?, &point, at)
        }
        Source::CgroupV1 {
            hierarchies,
            attributes,
        } => {
            let tmpfs = Filesystem {
                kind: "tmpfs".to_owned(),
                source: "tmpfs".to_owned(),
                data: vec![("mode".to_owned(), Some("755".to_owned()))],
                attributes: attributes & !libc::MOUNT_ATTR_RDONLY,
                propagation: 0,
                copy_up: false,
            };
            let tmpfs = make(&tmpfs)?;
            for (name, _) in &hierarchies {
                rustix::fs::mkdirat(&tmpfs, name, Mode::from_raw_mode(0o755))
                    .doing(|| format!("making `{}`", at.join(name).display()))?;
            }
            finish_read_only(&tmpfs, attributes, at)?;
            attach(&tmpfs, &root.make_dir(at)?, at)?;
            for (name, tree) in hierarchies {
                let tree = received.take(&tree, "a cgroup")?;
                attach_in_own(&tree, &tmpfs, &name, at)?;
            }
            Ok(())
        }
    }
}

/// Attaches a tree to a directory of a file system of the container's own, at `at`: nobody has put
/// a link there yet.
fn attach_in_own(
    tree: &OwnedFd,
    filesystem: &OwnedFd,
    name: &str,
    at: &Path,
) -> Result<(), Failure> {
    let flags = MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH;
    rustix::mount::move_mount(tree, c"", filesystem, name, flags)
        .doing(|| format!("mounting `{}`", at.join(name).display()))
}

/// A file system that is filled from the directory it is mounted over.
fn attach_with_copy(mut filesystem: Filesystem, point: &OwnedFd, at: &Path) -> Result<(), Failure> {
    let attributes = filesystem.attributes;
    filesystem.attributes &= !libc::MOUNT_ATTR_RDONLY;
    let mount = make(&filesystem)?;
    // config.json's mode is the directory's own.
    let itself = !filesystem.data.iter().any(|(key, _)| key == "mode");
    copy_up::copy(point, &mount, itself, at)?;
    finish_read_only(&mount, attributes, at)?;
    attach(&mount, point, at)
}

/// Makes a mount that had to be written to read-only, where its attributes say so. It is attached
/// nowhere yet: later the kernel lets only those of the process's own mount namespace be changed.
fn finish_read_only(mount: &OwnedFd, attributes: u64, at: &Path) -> Result<(), Failure> {
    let attr = Attr {
        set: attributes & libc::MOUNT_ATTR_RDONLY,
        ..Attr::default()
    };
    mount_attr::set(mount.as_fd(), &attr).doing(|| format!("making `{}` read-only", at.display()))
}

/// Makes a file system; the result is not attached anywhere.
pub fn make(filesystem: &Filesystem) -> Result<OwnedFd, Failure> {
    let kind = &filesystem.kind;
    let context = rustix::mount::fsopen(kind.as_str(), FsOpenFlags::FSOPEN_CLOEXEC)
        .doing(|| format!("opening file system type `{kind}`"))?;
    rustix::mount::fsconfig_set_string(&context, "source", filesystem.source.as_str())
        .doing(|| format!("setting the source of a `{kind}` mount"))?;
    for (key, value) in &filesystem.data {
        match value {
            Some(value) => {
                rustix::mount::fsconfig_set_string(&context, key.as_str(), value.as_str())
            }
            None => rustix::mount::fsconfig_set_flag(&context, key.as_str()),
        }
        .doing(|| match value {
            Some(value) => format!("mount option `{key}={value}` of a `{kind}` mount"),
            None => format!("mount option `{key}` of a `{kind}` mount"),
        })?;
    }
    rustix::mount::fsconfig_create(&context).doing(|| format!("making a `{kind}` file system"))?;
    let mount = rustix::mount::fsmount(
        &context,
        FsMountFlags::FSMOUNT_CLOEXEC,
        // Every bit is one of the kernel's own, from the options table.
        MountAttrFlags::from_bits_retain(filesystem.attributes as u32),
    )
    .doing(|| format!("mounting a `{kind}` file system"))?;
    let propagation = Attr {
        propagation: filesystem.propagation,
        ..Attr::default()
    };
    mount_attr::set(mount.as_fd(), &propagation)
        .doing(|| format!("setting the propagation of a `{kind}` mount"))?;
    Ok(mount)
}

/// Attaches a detached mount over what `point` is open on. `at` is for the message.
pub fn attach(mount: &OwnedFd, point: &OwnedFd, at: &Path) -> Result<(), Failure> {
    let flags = MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH | MoveMountFlags::MOVE_MOUNT_T_EMPTY_PATH;
    rustix::mount::move_mount(mount, c"", point, c"", flags)
        .doing(|| format!("mounting on `{}`", at.display()))
}

/// Attaches a detached mount at a path of the host's view, before the child has its own root.
pub fn attach_at_path(mount: &OwnedFd, path: &Path) -> Result<(), Failure> {
    let flags = MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH;
    rustix::mount::move_mount(mount, c"", CWD, path, flags)
        .doing(|| format!("mounting the root file system on `{}`", path.display()))
}
