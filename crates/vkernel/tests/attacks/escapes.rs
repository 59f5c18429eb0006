//! Ways out of the root.

use std::path::Path;

use vkernel::errno::Errno;

use crate::room::{ALL, MOUNTED, each, volume};
use crate::support::{Calls, rights};

fn secret(root: &Path) {
    std::fs::write(root.parent().unwrap().join("secret"), "the host's").unwrap();
    std::fs::create_dir_all(root.join("a/b/c")).unwrap();
    std::os::unix::fs::symlink("/../../secret", root.join("a/out")).unwrap();
    std::os::unix::fs::symlink("../../../../../secret", root.join("a/b/out")).unwrap();
    std::os::unix::fs::symlink(root.parent().unwrap().join("secret"), root.join("a/full")).unwrap();
}

#[test]
fn dots_and_links_end_at_the_root() {
    each(ALL, secret, |_, guest| {
        let up = "../".repeat(50);
        for path in [
            "/a/out",
            "/a/b/out",
            "/a/full",
            "/../secret",
            "../secret",
            &format!("a/b/c/{up}secret"),
        ] {
            assert_eq!(
                guest.open(path, 0, rights::READ),
                Err(Errno::NOENT.raw()),
                "{path}"
            );
            assert_eq!(guest.stat(path), Err(Errno::NOENT.raw()), "{path}");
        }
        let deep = guest.open_dir("/a/b/c").unwrap();
        let path = format!("{up}secret");
        assert_eq!(
            guest.open_full(deep, 1, path.as_bytes(), 0, rights::READ, 0),
            Err(Errno::NOENT.raw())
        );
        assert_eq!(
            guest.open_full(deep, 1, b"/../secret", 0, rights::READ, 0),
            Err(Errno::NOENT.raw())
        );
        // Writing to the outside name makes a file inside.
        guest.save("/a/out", b"inside").unwrap();
        assert_eq!(guest.cat("/secret"), Ok(b"inside".to_vec()));
        for (from, to) in [
            ("/a/b", "../../../escaped"),
            ("../../secret", "/../../taken"),
        ] {
            guest.rename(from, to).unwrap();
        }
        assert_eq!(guest.cat("/taken"), Ok(b"inside".to_vec()));
        let names = guest.names("/").unwrap();
        assert!(names.contains(&"escaped".into()) && names.contains(&"taken".into()));
    });
}

#[test]
fn the_parent_of_the_root_shows_nothing_of_the_host() {
    each(ALL, secret, |_, guest| {
        let root = guest.stat("/").unwrap();
        assert_eq!(guest.stat("/..").unwrap(), root);
        let entries = {
            let fd = guest.open_dir("/..").unwrap();
            guest.readdir(fd, 4096).unwrap()
        };
        assert!(entries.iter().all(|entry| entry.name != b"secret"));
        let parent = entries.iter().find(|entry| entry.name == b"..").unwrap();
        assert_eq!(parent.ino, root.ino);
        let via = guest.open_full(3, 1, b"..", 2, rights::READDIR, 0).unwrap();
        assert_eq!(guest.fstat(via).unwrap().ino, root.ino);
        assert_eq!(guest.readlink("/proc/self/fd/3", 100), Ok(b"/".to_vec()));
    });
}

#[test]
fn a_descriptor_from_outside_says_nothing_of_where_it_is() {
    each(ALL, secret, |kind, guest| {
        // Made before the root was entered would be nicer to read; a memory file has no path.
        let memory =
            rustix::fs::memfd_create(c"secret name", rustix::fs::MemfdFlags::CLOEXEC).unwrap();
        guest.give(9, memory);
        assert_eq!(
            guest.readlink("/proc/self/fd/9", 100),
            Ok(b"(unreachable)".to_vec()),
            "{kind:?}"
        );
    });
}

fn with_volume(root: &Path) {
    volume(&root.join("mnt"), "data");
    let data = root.join("mnt/data");
    std::fs::create_dir_all(data.join("deep/er")).unwrap();
    std::fs::write(data.join("deep/file"), "in the volume").unwrap();
    for (target, name) in [
        ("/etc/passwd", "absolute"),
        ("../../etc/passwd", "relative"),
        ("file", "deep/near"),
        ("/mnt/data/deep/file", "deep/around"),
        ("/proc/self/mem", "memory"),
    ] {
        std::os::unix::fs::symlink(target, data.join(name)).unwrap();
    }
}

#[test]
fn a_volume_is_part_of_the_tree() {
    each(MOUNTED, with_volume, |_, guest| {
        let dir = guest.open_dir("/mnt/data/deep").unwrap();
        for (path, text) in [
            ("absolute", "the container's"),
            ("relative", "the container's"),
            ("deep/../absolute", "the container's"),
            ("deep/er/../../../../etc/passwd", "the container's"),
            ("deep/file", "in the volume"),
            ("deep/near", "in the volume"),
            ("deep/around", "in the volume"),
        ] {
            let path = format!("/mnt/data/{path}");
            assert_eq!(guest.cat(&path), Ok(text.into()), "{path}");
            let beside = format!("..{}", &path["/mnt/data".len()..]);
            let fd = guest
                .open_full(dir, 1, beside.as_bytes(), 0, rights::READ, 0)
                .unwrap();
            assert_eq!(guest.read(fd, 100), Ok(text.into()), "{beside}");
            guest.close(fd).unwrap();
        }
        for link in ["absolute", "relative", "deep/near"] {
            let path = format!("/mnt/data/{link}");
            assert_eq!(guest.lstat(&path).unwrap().kind, 7, "{link}");
            assert_eq!(
                guest.open_full(3, 0, path.as_bytes(), 0, rights::READ, 0),
                Err(Errno::LOOP.raw())
            );
        }
        assert!(guest.open("/mnt/data/memory", 0, rights::READ).is_err());
        assert_eq!(guest.stat("/mnt/data/none"), Err(Errno::NOENT.raw()));
        assert_eq!(
            guest.rename("/mnt/data/deep/file", "/etc/file"),
            Err(Errno::XDEV.raw())
        );
        guest.save("/mnt/data/deep/new", b"x").unwrap();
        guest.rename("/mnt/data/deep/new", "/mnt/data/new").unwrap();
        assert_eq!(
            guest.readlink("/proc/self/fd/4", 100),
            Ok(b"/mnt/data/deep".to_vec())
        );
        assert_eq!(
            guest.stat("/mnt/data/..").unwrap().ino,
            guest.stat("/mnt").unwrap().ino
        );
    });
}
