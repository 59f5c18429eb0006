//! A root full of temptations, in a mount namespace of the calling thread's own.

use std::ffi::CString;
use std::path::{Path, PathBuf};

use vkernel::fs::judge::{FsClass, class_of};
use vkernel::fs::{ProcFd, Root, Vfs};

use crate::support::{Calls, Ours, rights};

/// How the kernel sees the root.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Confined to it, as in a container.
    Confined,
    /// Confined, on a host without `openat2`.
    Walking,
    /// At a directory, with the same mounts.
    At,
    /// At a directory without any mount.
    Plain,
}

pub const ALL: &[Kind] = &[Kind::Confined, Kind::Walking, Kind::At, Kind::Plain];

/// Everything that has mounts.
pub const MOUNTED: &[Kind] = &[Kind::Confined, Kind::Walking, Kind::At];

fn c(text: impl AsRef<Path>) -> CString {
    CString::new(text.as_ref().to_str().unwrap()).unwrap()
}

fn mount(source: &str, target: &Path, fstype: &str, flags: libc::c_ulong) -> std::io::Result<()> {
    let (source, target, fstype) = (c(source), c(target), c(fstype));
    // SAFETY: a plain system call with strings that outlive it.
    let done = unsafe {
        libc::mount(
            source.as_ptr(),
            target.as_ptr(),
            fstype.as_ptr(),
            flags,
            std::ptr::null(),
        )
    };
    if done == 0 {
        Ok(())
    } else {
        Err(std::io::Error::last_os_error())
    }
}

/// Mounts a file system of its own at a new directory.
pub fn volume(parent: &Path, name: &str) {
    std::fs::create_dir(parent.join(name)).unwrap();
    mount("volume", &parent.join(name), "tmpfs", 0).unwrap();
}

pub fn mknod(path: &Path, mode: libc::mode_t, major: u32, minor: u32) {
    let path = c(path);
    // SAFETY: as above.
    let done = unsafe { libc::mknod(path.as_ptr(), mode | 0o666, libc::makedev(major, minor)) };
    assert_eq!(done, 0, "{path:?}: {}", std::io::Error::last_os_error());
}

/// Runs `case` with a guest in each kind of root, each on a thread and in a namespace of its own.
/// `prepare` may add to the root before the guest is there.
pub fn each(kinds: &[Kind], prepare: fn(&Path), case: fn(Kind, &mut Ours)) {
    for kind in kinds {
        let kind = *kind;
        let done = std::thread::spawn(move || {
            let dir = tempfile::tempdir().unwrap();
            let root = dir.path().join("root");
            build(&root, kind, prepare);
            let mut guest = enter(&root, kind);
            case(kind, &mut guest);
            nothing_leaked(&mut guest);
        })
        .join();
        assert!(done.is_ok(), "in a root of kind {kind:?}: see above");
    }
}

fn build(root: &Path, kind: Kind, prepare: fn(&Path)) {
    // SAFETY: plain system call; it changes this thread's view alone.
    let alone = unsafe { libc::unshare(libc::CLONE_NEWNS | libc::CLONE_FS) };
    assert_eq!(
        alone,
        0,
        "these tests need root: {}",
        std::io::Error::last_os_error()
    );
    mount("none", Path::new("/"), "", libc::MS_REC | libc::MS_PRIVATE).unwrap();
    std::fs::create_dir(root).unwrap();
    if kind != Kind::Plain {
        mount("root", root, "tmpfs", 0).unwrap();
    }
    let make = |path: &str| -> PathBuf {
        let path = root.join(path);
        std::fs::create_dir_all(&path).unwrap();
        path
    };
    for dir in [
        "etc",
        "tmp",
        "dev",
        "proc",
        "sys",
        "mnt/proc",
        "mnt/sys",
        "mnt/self",
        "mnt/cgroup",
    ] {
        make(dir);
    }
    std::fs::write(root.join("etc/passwd"), "the container's").unwrap();
    let link =
        |target: &str, path: &str| std::os::unix::fs::symlink(target, root.join(path)).unwrap();
    for (target, path) in [
        ("/proc/self/fd", "dev/fd"),
        ("/proc/self/fd/0", "dev/stdin"),
        ("/proc/self/fd/1", "dev/stdout"),
        ("/proc/self/fd/2", "dev/stderr"),
        ("/proc", "etc/absolute"),
        ("../proc", "etc/relative"),
        ("/mnt/proc", "etc/elsewhere"),
        ("/proc/self/mem", "etc/memory"),
        ("absolute/self", "etc/twice"),
    ] {
        link(target, path);
    }
    if kind != Kind::Plain {
        mount("proc", &root.join("proc"), "proc", 0).unwrap();
        mount("proc", &root.join("mnt/proc"), "proc", 0).unwrap();
        mount("/proc/self", &root.join("mnt/self"), "", libc::MS_BIND).unwrap();
        // As engines mask parts of it.
        mount("masked", &root.join("proc/sys"), "tmpfs", 0).unwrap();
        mount("/dev/null", &root.join("proc/keys"), "", libc::MS_BIND).unwrap();
        std::fs::write(root.join("mnt/status"), "").unwrap();
        mount(
            "/proc/self/status",
            &root.join("mnt/status"),
            "",
            libc::MS_BIND,
        )
        .unwrap();
        mount("/sys", &root.join("sys"), "", libc::MS_BIND | libc::MS_REC).unwrap();
        mount("sysfs", &root.join("mnt/sys"), "sysfs", 0).unwrap();
        mknod(&root.join("dev/null"), libc::S_IFCHR, 1, 3);
        mknod(&root.join("dev/zero"), libc::S_IFCHR, 1, 5);
    }
    prepare(root);
}

fn enter(root: &Path, kind: Kind) -> Ours {
    let vfs = match kind {
        Kind::At | Kind::Plain => {
            let dir = std::fs::File::open(root).unwrap();
            Vfs::new(Root::At(dir.into())).unwrap()
        }
        Kind::Confined | Kind::Walking => {
            let proc = ProcFd::open().unwrap();
            let path = c(root);
            // SAFETY: plain system calls; they change this thread's view alone.
            unsafe {
                assert_eq!(libc::chroot(path.as_ptr()), 0);
                assert_eq!(libc::chdir(c"/".as_ptr()), 0);
            }
            Vfs::with_proc(Root::Process, proc).unwrap()
        }
    };
    Ours::new(if kind == Kind::Walking {
        vfs.without_openat2()
    } else {
        vfs
    })
}

/// Whatever the guest did, no descriptor of its table is on a file system it may not have.
pub fn nothing_leaked(guest: &mut Ours) {
    for (number, descriptor) in guest.state().fds.iter() {
        if let Ok(file) = descriptor.host(vkernel::errno::Errno::BADF) {
            let class = class_of(file.fd()).unwrap();
            assert!(
                matches!(class, FsClass::Ordinary | FsClass::Unnamed),
                "descriptor {number}: {class:?}"
            );
        }
    }
}

/// Tries everything there is on a path that must give nothing.
pub fn gives_nothing(guest: &mut Ours, path: &str) {
    for (oflags, wanted) in [
        (0, rights::READ),
        (0, rights::WRITE),
        (0, rights::BOTH),
        (1, rights::WRITE),
        (8, rights::WRITE),
    ] {
        let got = guest.open(path, oflags, wanted);
        assert!(got.is_err(), "{path} opened with {oflags} and {wanted:#x}");
        assert!(
            guest
                .open_full(3, 0, path.as_bytes(), oflags, wanted, 0)
                .is_err(),
            "{path} unfollowed"
        );
    }
    assert!(
        guest.open_dir(path).is_err(),
        "{path} opened as a directory"
    );
    assert!(guest.stat(path).is_err(), "{path} has a stat");
    assert!(guest.readlink(path, 4096).is_err(), "{path} is a link");
    assert!(
        guest.link(true, path, "/tmp/link").is_err(),
        "{path} was linked"
    );
    assert!(
        guest.link(false, path, "/tmp/link").is_err(),
        "{path} was linked"
    );
    assert!(
        guest.rename(path, "/tmp/moved").is_err(),
        "{path} was renamed"
    );
    assert!(guest.unlink(path).is_err(), "{path} was removed");
    assert!(
        guest.set_times(path, true, 0, 0, 5).is_err(),
        "{path} took times"
    );
    assert!(
        guest.mkdir(&format!("{path}/x")).is_err(),
        "{path} took a directory"
    );
}
