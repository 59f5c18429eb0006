//! May a guest have this object? Decided by what the opened descriptor is.
//!
//! The list of file systems is a list of those allowed: a pseudo file system this code does not
//! know is refused, because many of them are controls of the kernel (procfs, sysfs, cgroupfs,
//! debugfs, tracefs, securityfs, configfs, bpf, …) and new ones appear with new kernels.

use std::os::fd::AsFd;

use rustix::fs::{FileType, Stat};

use super::Result;
use crate::errno::Errno;

/// `procfs`'s magic number.
const PROC: u32 = 0x9fa0;

/// File systems that hold files and nothing but files.
const ORDINARY: &[u32] = &[
    0xef53,      // ext2, ext3, ext4
    0x5846_5342, // xfs
    0x9123_683e, // btrfs
    0x794c_7630, // overlayfs
    0x0102_1994, // tmpfs, shmem, memfd, devtmpfs
    0x8584_58f6, // ramfs, devtmpfs without shmem
    0x6573_5546, // fuse, virtiofs
    0x6969,      // nfs
    0x517b,      // smb
    0xff53_4d42, // cifs
    0xfe53_4d42, // smb2
    0x0102_1997, // 9p
    0x7371_7368, // squashfs
    0xe0f5_e1e2, // erofs
    0x9660,      // iso9660
    0x1501_3346, // udf
    0x4d44,      // vfat
    0x2011_bab0, // exfat
    0x5346_544e, // ntfs
    0x7366_746e, // ntfs3
    0xf2f5_2010, // f2fs
    0x2fc1_2fc1, // zfs
    0x00c3_6400, // ceph
    0x0116_1970, // gfs2
    0x7461_636f, // ocfs2
    0x3153_464a, // jfs
    0x3434,      // nilfs
    0xca45_1a4e, // bcachefs
    0x2405_1905, // ubifs
    0x72b6,      // jffs2
    0x786f_4256, // vboxsf
    0xbacb_acbc, // vmhgfs
    0x2003_0528, // orangefs
    0x5346_414f, // afs
    0x6b41_4653, // kafs
    0x7375_7245, // coda
    0x482b,      // hfs+
    0x28cd_3d45, // cramfs
    0x7275,      // romfs
    0xf15f,      // ecryptfs
    0x0bd0_0bd0, // lustre
    0x4750_4653, // gpfs
    0x6175_6673, // aufs
    0x6a65_6a62, // shiftfs
    0x9584_58f6, // hugetlbfs
    0x1980_0202, // mqueue
    0x1cd1,      // devpts
];

/// Those of them whose inode numbers are nobody else's while a file is open: no server or daemon
/// makes them up.
const OWN_NUMBERS: &[u32] = &[
    0xef53,      // ext2, ext3, ext4
    0x5846_5342, // xfs
    0x9123_683e, // btrfs
    0x794c_7630, // overlayfs
    0x0102_1994, // tmpfs
    0x7371_7368, // squashfs
    0xe0f5_e1e2, // erofs
    0xf2f5_2010, // f2fs
];

/// Where descriptors live that no path leads to; fine when handed in, as standard input is.
const UNNAMED: &[u32] = &[
    0x5049_5045, // pipefs
    0x534f_434b, // sockfs
    0x0904_1934, // anon_inode: event descriptors
];

/// What stands behind a descriptor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FsClass {
    /// A file system of files: the descriptor may be used.
    Ordinary,
    /// A pipe, socket or event descriptor: no path leads there.
    Unnamed,
    /// A procfs, wherever it is mounted: guests see the virtual one instead.
    Proc,
    /// A control of the host's kernel, or unknown: never handed out.
    Refused,
}

/// Judges a magic number of `statfs`.
#[must_use]
pub fn class_of_magic(magic: u32) -> FsClass {
    if magic == PROC {
        FsClass::Proc
    } else if ORDINARY.contains(&magic) {
        FsClass::Ordinary
    } else if UNNAMED.contains(&magic) {
        FsClass::Unnamed
    } else {
        FsClass::Refused
    }
}

/// Judges the file system behind an open (or `O_PATH`) descriptor.
pub fn class_of(fd: impl AsFd) -> Result<FsClass> {
    let stat = rustix::fs::fstatfs(fd)?;
    // The field is signed and of the machine's width; magic numbers have 32 bits.
    Ok(class_of_magic(stat.f_type as u32))
}

/// Whether a file with the same mount, device and inode number as the open `fd` is the same.
pub(super) fn has_own_numbers(fd: impl AsFd) -> bool {
    // As in `class_of`.
    rustix::fs::fstatfs(fd).is_ok_and(|stat| OWN_NUMBERS.contains(&(stat.f_type as u32)))
}

/// Whether a device node may be opened: `null`, `zero`, `full`, `random`, `urandom`, `tty` and
/// the slaves of pseudo-terminals, told by their numbers. Everything else gives `EACCES`.
pub fn check_device(stat: &Stat) -> Result<()> {
    let allowed = match FileType::from_raw_mode(stat.st_mode) {
        FileType::CharacterDevice => matches!(
            (
                rustix::fs::major(stat.st_rdev),
                rustix::fs::minor(stat.st_rdev)
            ),
            (1, 3 | 5 | 7 | 8 | 9) | (5, 0) | (136..=143, _)
        ),
        FileType::BlockDevice => false,
        _ => true,
    };
    if allowed { Ok(()) } else { Err(Errno::ACCES) }
}

#[cfg(test)]
mod tests {
    use super::{FsClass, class_of, class_of_magic};

    #[test]
    fn kernel_controls_are_refused_and_so_is_what_nobody_knows() {
        let controls: &[(u32, &str)] = &[
            (0x6265_6572, "sysfs"),
            (0x0027_e0eb, "cgroup"),
            (0x6367_7270, "cgroup2"),
            (0x6462_6720, "debugfs"),
            (0x7472_6163, "tracefs"),
            (0x7363_6673, "securityfs"),
            (0xf97c_ff8c, "selinuxfs"),
            (0xcafe_4a11, "bpf"),
            (0x6265_6570, "configfs"),
            (0xde5e_81e4, "efivarfs"),
            (0x6165_676c, "pstore"),
            (0x4249_4e4d, "binfmt_misc"),
            (0x6e73_6673, "nsfs"),
            (0x5049_4446, "pidfs"),
            (0x0765_5821, "resctrl"),
            (0x6573_5543, "fusectl"),
            (0x1234_5678, "unknown"),
        ];
        for (magic, name) in controls {
            assert_eq!(class_of_magic(*magic), FsClass::Refused, "{name}");
        }
        assert_eq!(class_of_magic(0x9fa0), FsClass::Proc);
    }

    #[test]
    fn real_descriptors_are_told_apart() {
        let open = |path: &str| std::fs::File::open(path).unwrap();
        assert_eq!(class_of(open("/proc/self/status")), Ok(FsClass::Proc));
        assert_eq!(class_of(open("/sys")), Ok(FsClass::Refused));
        assert_eq!(class_of(open("/dev/null")), Ok(FsClass::Ordinary));
        let (reader, _writer) = std::io::pipe().unwrap();
        assert_eq!(class_of(reader), Ok(FsClass::Unnamed));
    }
}
