//! Device nodes are judged by their numbers, whatever they are called.

use std::path::Path;

use vkernel::errno::Errno;

use crate::room::{Kind, MOUNTED, each, mknod};
use crate::support::{Calls, rights};

const REFUSED: &[(&str, libc::mode_t, u32, u32)] = &[
    ("mem", libc::S_IFCHR, 1, 1),
    ("kmem", libc::S_IFCHR, 1, 2),
    ("port", libc::S_IFCHR, 1, 4),
    ("kmsg", libc::S_IFCHR, 1, 11),
    ("tty0", libc::S_IFCHR, 4, 0),
    ("console", libc::S_IFCHR, 5, 1),
    ("ptmx", libc::S_IFCHR, 5, 2),
    ("watchdog", libc::S_IFCHR, 10, 130),
    ("fuse", libc::S_IFCHR, 10, 229),
    ("net-tun", libc::S_IFCHR, 10, 200),
    ("kvm", libc::S_IFCHR, 10, 232),
    ("vda", libc::S_IFBLK, 254, 0),
    ("loop0", libc::S_IFBLK, 7, 0),
    ("null", libc::S_IFBLK, 1, 3),
];

fn nodes(root: &Path) {
    std::fs::create_dir(root.join("devices")).unwrap();
    for (name, mode, major, minor) in REFUSED {
        mknod(&root.join("devices").join(name), *mode, *major, *minor);
    }
    mknod(&root.join("devices/harmless"), libc::S_IFCHR, 1, 9);
}

#[test]
fn refused_devices_stay_refused_under_any_name() {
    each(MOUNTED, nodes, |_, guest| {
        for (name, ..) in REFUSED {
            let path = format!("/devices/{name}");
            let refused = |guest: &mut crate::support::Ours, path: &str| {
                for wanted in [rights::READ, rights::WRITE, rights::BOTH] {
                    for oflags in [0, 1, 8] {
                        assert_eq!(
                            guest.open(path, oflags, wanted),
                            Err(Errno::ACCES.raw()),
                            "{path}"
                        );
                    }
                }
            };
            refused(guest, &path);
            guest.symlink(&path, "/tmp/link").unwrap();
            refused(guest, "/tmp/link");
            guest.link(false, &path, "/tmp/hard").unwrap();
            refused(guest, "/tmp/hard");
            guest.rename("/tmp/hard", "/dev/null.new").unwrap();
            refused(guest, "/dev/null.new");
            guest.rename("/dev/null.new", "/dev/full").unwrap();
            refused(guest, "/dev/full");
            for made in ["/tmp/link", "/dev/full"] {
                guest.unlink(made).unwrap();
            }
        }
        let random = guest.open("/devices/harmless", 0, rights::READ).unwrap();
        assert_eq!(guest.read(random, 16).unwrap().len(), 16);
    });
}

#[test]
fn the_devices_every_program_needs_work() {
    each(
        &[Kind::Confined, Kind::Walking, Kind::At, Kind::Plain],
        |_| {},
        |kind, guest| {
            let null = guest.open("/dev/null", 0, rights::BOTH).unwrap();
            assert_eq!(guest.write(null, b"gone"), Ok(4));
            assert_eq!(guest.read(null, 4), Ok(vec![]));
            let zero = guest.open("/dev/zero", 0, rights::READ).unwrap();
            assert_eq!(guest.read(zero, 4), Ok(vec![0; 4]));
            // A plain directory lacks the others; they are supplied, and only they.
            if kind == Kind::Plain {
                let random = guest.open("/dev/urandom", 0, rights::READ).unwrap();
                assert_eq!(guest.read(random, 4).unwrap().len(), 4);
                let full = guest.open("/dev/full", 0, rights::WRITE).unwrap();
                assert_eq!(guest.write(full, b"x"), Err(Errno::NOSPC.raw()));
                for missing in [
                    "/dev/mem",
                    "/dev/kmsg",
                    "/dev/sda",
                    "/dev/shm",
                    "/etc/null",
                    "/null",
                ] {
                    assert_eq!(
                        guest.open(missing, 0, rights::READ),
                        Err(Errno::NOENT.raw()),
                        "{missing}"
                    );
                }
                assert_eq!(guest.stat("/dev/null").unwrap().kind, 2);
            }
        },
    );
}
