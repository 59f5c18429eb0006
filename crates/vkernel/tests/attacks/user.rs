//! A container of an ordinary user: the kernel process has no capability and is not dumpable.

use std::os::unix::fs::{PermissionsExt, chown};

use vkernel::errno::Errno;
use vkernel::fs::{Root, Vfs};

use crate::support::{Calls, Ours, rights};

const USER: u32 = 1000;

#[test]
fn files_work_without_privileges_and_permissions_hold() {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path().join("root");
    for path in ["home", "bin"] {
        std::fs::create_dir_all(root.join(path)).unwrap();
    }
    std::fs::set_permissions(dir.path(), std::fs::Permissions::from_mode(0o755)).unwrap();
    chown(root.join("home"), Some(USER), Some(USER)).unwrap();
    for (name, mode) in [
        ("bin/secret", 0o600),
        ("bin/tool", 0o755),
        ("bin/data", 0o644),
        ("bin/roots", 0o744),
    ] {
        std::fs::write(root.join(name), name).unwrap();
        std::fs::set_permissions(root.join(name), std::fs::Permissions::from_mode(mode)).unwrap();
    }
    let done = std::thread::spawn(move || {
        // SAFETY: plain system calls, made raw so that they change this thread alone.
        unsafe {
            assert_eq!(
                libc::syscall(libc::SYS_setgroups, 0, std::ptr::null::<libc::gid_t>()),
                0
            );
            assert_eq!(libc::syscall(libc::SYS_setresgid, USER, USER, USER), 0);
            assert_eq!(libc::syscall(libc::SYS_setresuid, USER, USER, USER), 0);
        }
        let directory = std::fs::File::open(&root).unwrap();
        let mut guest = Ours::new(Vfs::new(Root::At(directory.into())).unwrap());
        guest.save("home/f", b"mine").unwrap();
        assert_eq!(guest.cat("/home/f"), Ok(b"mine".to_vec()));
        guest.symlink("f", "home/l").unwrap();
        guest.link(true, "home/l", "home/again").unwrap();
        guest.set_times("home/f", true, 5, 6, 5).unwrap();
        let fd = guest.open("home/f", 0, rights::BOTH).unwrap();
        assert_eq!(
            guest.readlink(&format!("/proc/self/fd/{fd}"), 100),
            Ok(b"/home/f".to_vec())
        );
        assert_eq!(guest.cat(&format!("/dev/fd/{fd}")), Ok(b"mine".to_vec()));
        assert!(guest.cat("/proc/meminfo").unwrap().starts_with(b"MemTotal"));
        assert!(
            guest
                .cat("/proc/self/status")
                .unwrap()
                .windows(8)
                .any(|text| text == b"Uid:\t100")
        );
        let denied = Err(Errno::ACCES.raw());
        assert_eq!(guest.open("bin/secret", 0, rights::READ), denied);
        assert_eq!(guest.open("bin/data", 0, rights::WRITE), denied);
        assert_eq!(guest.open("bin/new", 1, rights::WRITE), denied);
        assert_eq!(guest.mkdir("bin/new"), Err(Errno::ACCES.raw()));
        let state = guest.state();
        let vfs = state.vfs.clone();
        let tool = vfs
            .open_executable(&state.fs_context(), b"bin/../bin/tool")
            .unwrap();
        assert_eq!(tool.path, b"/bin/tool");
        for refused in [&b"bin/roots"[..], b"bin/data", b"bin/secret", b"bin"] {
            assert_eq!(
                vfs.open_executable(&state.fs_context(), refused).err(),
                Some(Errno::ACCES)
            );
        }
        assert_eq!(
            vfs.open_executable(&state.fs_context(), b"none").err(),
            Some(Errno::NOENT)
        );
    })
    .join();
    assert!(done.is_ok(), "see above; this test needs root");
}
