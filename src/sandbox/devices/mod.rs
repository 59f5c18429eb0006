//! Device nodes: those every container has, those config.json adds, and the links beside them.

mod lent;

use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};

use oci_spec::runtime::{LinuxDevice, LinuxDeviceType};
use rustix::fs::{AtFlags, Dev, FileType, Gid, Mode, Uid};
use rustix::io::Errno;
use serde::{Deserialize, Serialize};

use super::mounts::attach;
use super::rootfs::Rootfs;
use crate::failure::{Doing, Failure};
use crate::init::request::{Handed, Handing, Received};
pub use lent::Lender;

/// A device node for the container.
#[derive(Debug, Serialize, Deserialize)]
pub struct Device {
    /// Where, inside the root file system.
    pub path: PathBuf,
    /// `c`, `b` or `p`.
    pub kind: char,
    /// Major and minor number.
    pub number: (u32, u32),
    /// Permission bits.
    pub mode: u32,
    /// Owner and group inside the container.
    pub owner: (u32, u32),
    /// A node outside, to be bound instead of made: in a user namespace nobody may make nodes.
    pub host: Option<Handed>,
}

impl Device {
    fn kind(&self) -> FileType {
        match self.kind {
            'b' => FileType::BlockDevice,
            'p' => FileType::Fifo,
            _ => FileType::CharacterDevice,
        }
    }

    fn rdev(&self) -> Dev {
        rustix::fs::makedev(self.number.0, self.number.1)
    }

    fn mode(&self) -> Mode {
        Mode::from_raw_mode(self.mode)
    }
}

const ALWAYS: [(&str, u32, u32); 6] = [
    ("/dev/null", 1, 3),
    ("/dev/zero", 1, 5),
    ("/dev/full", 1, 7),
    ("/dev/random", 1, 8),
    ("/dev/urandom", 1, 9),
    ("/dev/tty", 5, 0),
];

const LINKS: [(&str, &str); 5] = [
    ("/dev/fd", "/proc/self/fd"),
    ("/dev/stdin", "/proc/self/fd/0"),
    ("/dev/stdout", "/proc/self/fd/1"),
    ("/dev/stderr", "/proc/self/fd/2"),
    ("/dev/core", "/proc/kcore"),
];

/// The devices to make: the standard ones, then config.json's, which replace those at their path.
/// With a lender, each with a node outside.
pub fn plan(
    config: &[LinuxDevice],
    lender: Option<&Lender<'_>>,
    handing: &mut Handing,
) -> Result<Vec<Device>, Failure> {
    let mut devices: Vec<Device> = ALWAYS
        .iter()
        .map(|&(path, major, minor)| Device {
            path: path.into(),
            kind: 'c',
            number: (major, minor),
            mode: 0o666,
            owner: (0, 0),
            host: None,
        })
        .collect();
    for device in config {
        let invalid = || format!("config.json, linux.devices: `{}`", device.path().display());
        let number = |n: i64| u32::try_from(n).map_err(|_| Errno::INVAL).doing(invalid);
        let path = super::mounts::options::destination(device.path())
            .map_err(|_| Errno::INVAL)
            .doing(invalid)?;
        devices.retain(|known| known.path != path);
        devices.push(Device {
            path,
            kind: match device.typ() {
                LinuxDeviceType::B => 'b',
                LinuxDeviceType::C | LinuxDeviceType::U => 'c',
                LinuxDeviceType::P => 'p',
                LinuxDeviceType::A => return Err(Failure::new(invalid(), Errno::INVAL)),
            },
            number: (number(device.major())?, number(device.minor())?),
            mode: device.file_mode().unwrap_or(0o666) & 0o777,
            owner: (device.uid().unwrap_or(0), device.gid().unwrap_or(0)),
            host: None,
        });
    }
    if let Some(lender) = lender {
        for (number, device) in devices.iter_mut().enumerate() {
            let standard = ALWAYS
                .iter()
                .any(|(path, ..)| device.path == Path::new(path));
            let tree = match standard {
                true => lender.standard(device)?,
                false => lender.configured(device, number)?,
            };
            device.host = Some(handing.give(tree));
        }
    }
    Ok(devices)
}

/// Makes the devices, their links and `/dev/ptmx`. What the image or a mount already has there
/// stays when it is the same device.
pub fn make(root: &Rootfs, devices: Vec<Device>, received: &mut Received) -> Result<(), Failure> {
    for device in devices {
        make_one(root, device, received)?;
    }
    for (link, target) in LINKS {
        make_link(root, Path::new(link), target)?;
    }
    // A devpts of the container's own has its multiplexer inside.
    if root.open(Path::new("/dev/pts/ptmx")).is_ok() {
        let (dir, name) = root.place(Path::new("/dev/ptmx"))?;
        match rustix::fs::unlinkat(&dir, name, AtFlags::empty()) {
            Ok(()) | Err(Errno::NOENT | Errno::BUSY) => {}
            Err(error) => return Err(Failure::new("replacing `/dev/ptmx`", error)),
        }
        make_link(root, Path::new("/dev/ptmx"), "pts/ptmx")?;
    }
    Ok(())
}

fn make_one(root: &Rootfs, device: Device, received: &mut Received) -> Result<(), Failure> {
    let path = device.path.as_path();
    let doing = || format!("making device `{}`", path.display());
    if let Some(host) = device.host {
        let host = received.take(&host, "a device")?;
        return attach::attach(&host, &root.make_file(path)?, path);
    }
    let (kind, number, mode) = (device.kind(), device.rdev(), device.mode());
    let (dir, name) = root.place(path)?;
    match rustix::fs::mknodat(&dir, name, kind, mode, number) {
        Ok(()) => {}
        Err(Errno::EXIST) => {
            let there = rustix::fs::statat(&dir, name, AtFlags::SYMLINK_NOFOLLOW).doing(doing)?;
            let same = FileType::from_raw_mode(there.st_mode) == kind
                && (kind == FileType::Fifo || there.st_rdev == number);
            return if same {
                Ok(())
            } else {
                Err(Failure::new(doing(), Errno::EXIST))
            };
        }
        Err(error) => return Err(Failure::new(doing(), error)),
    }
    // The umask does not apply to devices, and the owner is config.json's.
    let (uid, gid) = (Uid::from_raw(device.owner.0), Gid::from_raw(device.owner.1));
    rustix::fs::chownat(&dir, name, Some(uid), Some(gid), AtFlags::SYMLINK_NOFOLLOW)
        .and_then(|()| rustix::fs::chmodat(&dir, name, mode, AtFlags::empty()))
        .doing(doing)
}

fn make_link(root: &Rootfs, link: &Path, target: &str) -> Result<(), Failure> {
    let (dir, name): (OwnedFd, _) = root.place(link)?;
    match rustix::fs::symlinkat(target, dir.as_fd(), name) {
        Ok(()) | Err(Errno::EXIST) => Ok(()),
        Err(error) => Err(Failure::new(
            format!("making link `{}`", link.display()),
            error,
        )),
    }
}
