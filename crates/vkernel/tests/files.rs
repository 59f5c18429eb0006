//! Files with permissions and owners, by module vkernel: what is told of them, what can be changed,
//! and what is out of reach.

#![allow(clippy::unwrap_used, missing_docs)]

#[path = "support/mod.rs"]
mod support;

use std::fs;
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt, symlink};
use std::path::Path;

use support::{Arg, Calls, Ours, Side, rights};
use vkernel::descriptor::Descriptor;
use vkernel::errno::Errno;
use vkernel::rights::{HostCall, HostCallSet};

use Arg::W;

const OUT: u32 = 64;
const PATH: u32 = 4096;
/// The working directory.
const CWD: u32 = -100i32 as u32;

const READ: u32 = 1;
const WRITE: u32 = 2;
const CREATE: u32 = 4;
const EXCLUSIVE: u32 = 8;
const TRUNCATE: u32 = 16;
const CLOEXEC: u32 = 512;
/// No link at the end.
const NOFOLLOW: u32 = 1;

type Outcome<T> = Result<T, u16>;

fn err<T>(errno: Errno) -> Outcome<T> {
    Err(errno.raw())
}

#[derive(Debug, PartialEq, Eq)]
struct Stat {
    ino: u64,
    links: u64,
    mode: u32,
    owner: (u32, u32),
    rdev: u64,
    size: u64,
}

trait Files: Calls {
    fn vk_open(&mut self, path: &str, flags: u32, mode: u32) -> Outcome<u32> {
        let (at, len) = self.put(PATH, path.as_bytes());
        self.raw("open", &[W(CWD), at, len, W(flags), W(mode), W(OUT)])?;
        Ok(self.out32())
    }

    fn told(&mut self) -> Stat {
        let bytes = self.get(OUT, 88);
        let long = |at: usize| u64::from_le_bytes(bytes[at..at + 8].try_into().unwrap());
        let word = |at: usize| u32::from_le_bytes(bytes[at..at + 4].try_into().unwrap());
        Stat {
            ino: long(8),
            links: long(16),
            mode: word(24),
            owner: (word(28), word(32)),
            rdev: long(40),
            size: long(48),
        }
    }

    fn status(&mut self, path: &str, flags: u32) -> Outcome<Stat> {
        let (at, len) = self.put(PATH, path.as_bytes());
        self.raw("stat", &[W(CWD), at, len, W(flags), W(OUT)])?;
        Ok(self.told())
    }

    fn status_of(&mut self, fd: u32) -> Outcome<Stat> {
        self.raw("fstat", &[W(fd), W(OUT)])?;
        Ok(self.told())
    }

    fn chmod(&mut self, path: &str, mode: u32, flags: u32) -> Outcome<()> {
        let (at, len) = self.put(PATH, path.as_bytes());
        self.raw("chmod", &[W(CWD), at, len, W(mode), W(flags)])
    }

    fn fchmod(&mut self, fd: u32, mode: u32) -> Outcome<()> {
        self.raw("fchmod", &[W(fd), W(mode)])
    }

    fn chown(&mut self, path: &str, owner: (u32, u32), flags: u32) -> Outcome<()> {
        let (at, len) = self.put(PATH, path.as_bytes());
        let (user, group) = (W(owner.0), W(owner.1));
        self.raw("chown", &[W(CWD), at, len, user, group, W(flags)])
    }

    fn mkfifo(&mut self, path: &str, mode: u32) -> Outcome<()> {
        let (at, len) = self.put(PATH, path.as_bytes());
        self.raw("mkfifo", &[W(CWD), at, len, W(mode)])
    }
}

impl Files for Ours {}

fn guest() -> (tempfile::TempDir, Ours) {
    let dir = tempfile::tempdir().unwrap();
    let guest = Ours::at(dir.path());
    (dir, guest)
}

fn mode(path: impl AsRef<Path>) -> u32 {
    fs::metadata(path).unwrap().mode()
}

#[test]
fn a_file_is_made_with_its_mode_and_the_umask() {
    let (dir, mut guest) = guest();
    let made = WRITE | CREATE | EXCLUSIVE;
    for (name, umask, asked, got) in [
        ("a", 0o022, 0o666, 0o644),
        ("b", 0o027, 0o777, 0o750),
        ("c", 0, 0o600, 0o600),
        ("d", 0o077, 0o4755, 0o700),
    ] {
        guest.state().umask = umask;
        let fd = guest.vk_open(name, made, asked).unwrap();
        assert_eq!(mode(dir.path().join(name)), 0o100000 | got, "{name}");
        assert_eq!(guest.status_of(fd).unwrap().mode, 0o100000 | got);
    }
    assert_eq!(guest.vk_open("a", made, 0o600), err(Errno::EXIST));
    assert_eq!(guest.vk_open("a", 1024, 0), err(Errno::INVAL));
    let fd = guest.vk_open("a", READ | CLOEXEC, 0).unwrap();
    let closes = |guest: &mut Ours, fd| guest.state().fds.get(fd).map(Descriptor::closes_on_exec);
    assert_eq!(closes(&mut guest, fd), Ok(true));
    let fd = guest.vk_open("a", READ, 0).unwrap();
    assert_eq!(closes(&mut guest, fd), Ok(false));
}

#[test]
fn what_changes_something_needs_the_rights_of_path_open() {
    let (_dir, mut guest) = guest();
    guest.vk_open("f", WRITE | CREATE, 0o666).unwrap();
    let all = guest.state().rights;
    for (flags, call) in [
        (READ, HostCall::VkOpen),
        (WRITE, HostCall::VkOpenWrite),
        (READ | CREATE, HostCall::VkOpenCreate),
        (READ | TRUNCATE, HostCall::VkOpenTruncate),
    ] {
        guest.state().rights = all.difference(HostCallSet::of(call));
        assert_eq!(guest.vk_open("f", flags, 0o600), err(Errno::NOTCAPABLE));
        guest.state().rights = all;
        assert!(guest.vk_open("f", flags, 0o600).is_ok());
    }
}

#[test]
fn status_is_the_hosts() {
    let (dir, mut guest) = guest();
    let at = |name: &str| dir.path().join(name);
    fs::write(at("f"), b"four").unwrap();
    fs::set_permissions(at("f"), PermissionsExt::from_mode(0o4751)).unwrap();
    fs::hard_link(at("f"), at("g")).unwrap();
    symlink("/f", at("link")).unwrap();
    symlink("nowhere", at("broken")).unwrap();
    let host = fs::metadata(at("f")).unwrap();
    let told = guest.status("f", 0).unwrap();
    let expected = Stat {
        ino: host.ino(),
        links: 2,
        mode: 0o104751,
        owner: (host.uid(), host.gid()),
        rdev: 0,
        size: 4,
    };
    assert_eq!(told, expected);
    assert_eq!(guest.status("/link", 0), Ok(expected));
    let link = guest.status("link", NOFOLLOW).unwrap();
    assert_eq!((link.mode, link.size), (0o120777, 2));
    assert_eq!(guest.status("broken", 0), err(Errno::NOENT));
    assert_eq!(guest.status("link", 2), err(Errno::INVAL));
    // The trees that are made up, and the devices.
    assert_eq!(guest.status("/proc", 0).unwrap().mode, 0o040555);
    assert_eq!(guest.status("/proc/self", NOFOLLOW).unwrap().mode, 0o120777);
    assert_eq!(guest.status("/proc/version", 0).unwrap().mode, 0o100444);
    let null = guest.status("/dev/null", 0).unwrap();
    assert_eq!((null.mode, null.rdev), (0o020666, 0x103));
    assert_eq!(guest.status_of(0).unwrap().rdev, 0x103);
    assert_eq!(guest.status_of(40), err(Errno::BADF));
    // One byte too far.
    let end = guest.memory().len() as u32;
    let (at, len) = guest.put(PATH, b"f");
    let beyond = guest.raw("stat", &[W(CWD), at, len, W(0), W(end - 87)]);
    assert_eq!(beyond, err(Errno::FAULT));
}

#[test]
fn permissions_are_changed_but_never_to_those_of_another_user() {
    let (dir, mut guest) = guest();
    let at = |name: &str| dir.path().join(name);
    fs::write(at("f"), b"").unwrap();
    fs::create_dir(at("d")).unwrap();
    symlink("f", at("link")).unwrap();
    assert_eq!(guest.chmod("f", 0o6751, 0), Ok(()));
    assert_eq!(mode(at("f")), 0o100751);
    assert_eq!(guest.chmod("link", 0o640, 0), Ok(()));
    assert_eq!(mode(at("f")), 0o100640);
    assert_eq!(guest.chmod("link", 0o777, NOFOLLOW), err(Errno::NOTSUP));
    assert_eq!(guest.chmod("d", 0o1777, 0), Ok(()));
    assert_eq!(mode(at("d")), 0o041777);
    let fd = guest.vk_open("f", READ, 0).unwrap();
    assert_eq!(guest.fchmod(fd, 0o4700), Ok(()));
    assert_eq!(mode(at("f")), 0o100700);
    assert_eq!(guest.chmod("none", 0o600, 0), err(Errno::NOENT));
    let owner = |name: &str| {
        let meta = fs::symlink_metadata(at(name)).unwrap();
        (meta.uid(), meta.gid())
    };
    assert_eq!(guest.chown("f", (1000, u32::MAX), 0), Ok(()));
    assert_eq!(guest.chown("link", (7, 8), NOFOLLOW), Ok(()));
    assert_eq!((owner("f"), owner("link")), ((1000, 0), (7, 8)));
    let owned = guest.raw("fchown", &[W(fd), W(u32::MAX), W(9)]);
    assert_eq!((owned, owner("f")), (Ok(()), (1000, 9)));
}

#[test]
fn nothing_outside_of_the_root_and_no_device_is_changed() {
    let outer = tempfile::tempdir().unwrap();
    let at = |name: &str| outer.path().join(name);
    fs::create_dir(at("root")).unwrap();
    fs::write(at("secret"), b"").unwrap();
    fs::set_permissions(at("secret"), PermissionsExt::from_mode(0o600)).unwrap();
    symlink("../secret", at("root/up")).unwrap();
    symlink(at("secret"), at("root/absolute")).unwrap();
    let mut guest = Ours::at(&at("root"));
    for path in ["../secret", "up", "/up", "absolute", "../../secret"] {
        assert_eq!(guest.chmod(path, 0o777, 0), err(Errno::NOENT), "{path}");
        assert_eq!(guest.chown(path, (1, 1), 0), err(Errno::NOENT), "{path}");
        assert_eq!(guest.status(path, 0), err(Errno::NOENT), "{path}");
    }
    assert_eq!(guest.mkfifo("../pipe", 0o600), Ok(()));
    assert!(!at("pipe").exists() && at("root/pipe").exists());
    assert_eq!(mode(at("secret")), 0o100600);
    // The host's own, by path, by descriptor and by the path of a descriptor.
    let before = mode("/dev/null");
    for path in [
        "/dev/null",
        "/dev/tty",
        "/proc/self/fd/0",
        "/dev/stdin",
        "/proc",
        "/proc/vkernel",
    ] {
        assert_eq!(guest.chmod(path, 0o777, 0), err(Errno::PERM), "{path}");
        assert_eq!(guest.chown(path, (1, 1), 0), err(Errno::PERM), "{path}");
    }
    assert_eq!(guest.fchmod(0, 0o777), err(Errno::PERM));
    let owned = guest.raw("fchown", &[W(0), W(1), W(1)]);
    assert_eq!(owned, err(Errno::PERM));
    assert_eq!(mode("/dev/null"), before);
}

#[test]
fn a_fifo_is_made_and_passes_bytes() {
    let (dir, mut guest) = guest();
    assert_eq!(guest.mkfifo("pipe", 0o6666), Ok(()));
    let made = fs::metadata(dir.path().join("pipe")).unwrap();
    assert!(made.file_type().is_fifo());
    assert_eq!(made.mode(), 0o010644);
    assert_eq!(guest.status("pipe", 0).unwrap().mode, 0o010644);
    assert_eq!(guest.mkfifo("pipe", 0o666), err(Errno::EXIST));
    // Both at once, which does not wait.
    let fd = guest.vk_open("pipe", READ | WRITE, 0).unwrap();
    assert_eq!(guest.write(fd, b"through"), Ok(7));
    assert_eq!(guest.read(fd, 10), Ok(b"through".to_vec()));
    assert_eq!(guest.stat("pipe").unwrap().kind, 0);
    let opened = guest.open("pipe", 0, rights::BOTH);
    assert!(opened.is_ok());
}

#[test]
fn limits_are_ones_own() {
    let (_dir, mut guest) = guest();
    let set = |guest: &mut Ours, resource, soft: u64, hard: u64| {
        guest.put(OUT, &[soft.to_le_bytes(), hard.to_le_bytes()].concat());
        guest.raw("setrlimit", &[W(resource), W(OUT)])
    };
    const FILE_SIZE: u32 = 1;
    const DESCRIPTORS: u32 = 7;
    assert_eq!(set(&mut guest, FILE_SIZE, 4, 8), Ok(()));
    let fd = guest.vk_open("f", WRITE | CREATE, 0o666).unwrap();
    assert_eq!(guest.write(fd, b"123456"), Ok(4));
    assert_eq!(set(&mut guest, FILE_SIZE, 6, 8), Ok(()));
    assert_eq!(guest.write(fd, b"123456"), Ok(2));
    assert_eq!(set(&mut guest, FILE_SIZE, 9, 9), err(Errno::PERM));
    assert_eq!(set(&mut guest, DESCRIPTORS, 5, 64), Ok(()));
    assert_eq!(guest.vk_open("f", READ, 0), err(Errno::MFILE));
    assert_eq!(set(&mut guest, DESCRIPTORS, 6, 64), Ok(()));
    assert_eq!(guest.vk_open("f", READ, 0), Ok(5));
    guest.raw("getrlimit", &[W(DESCRIPTORS), W(OUT)]).unwrap();
    assert_eq!(guest.out64(), 6);
    assert_eq!(set(&mut guest, 2, 1, 1), err(Errno::NOTSUP));
    assert_eq!(guest.raw("getrlimit", &[W(99), W(OUT)]), err(Errno::INVAL));
    guest.raw("uname", &[W(OUT)]).unwrap();
    let names = guest.get(OUT, 390);
    assert!(names.starts_with(b"Linux\0") && names[4 * 65..].starts_with(b"wasm32\0"));
}
