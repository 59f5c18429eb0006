//! A process's own descriptors work by their names, and give no more than they are.

use std::io::{Read, Write};
use std::os::fd::OwnedFd;

use vkernel::descriptor::Descriptor;
use vkernel::errno::Errno;

use crate::room::{ALL, Kind, MOUNTED, each};
use crate::support::{Calls, rights};

fn nothing(_: &std::path::Path) {}

#[test]
fn the_names_of_its_own_descriptors_work() {
    each(ALL, nothing, |kind, guest| {
        let (mut out, writer) = std::io::pipe().unwrap();
        let (reader, mut input) = std::io::pipe().unwrap();
        guest.give(1, OwnedFd::from(writer));
        guest.give(7, OwnedFd::from(reader));
        let mut names = vec![
            "/dev/stdout",
            "/dev/fd/1",
            "/proc/self/fd/1",
            "/proc/1/fd/1",
            "/etc/absolute/self/fd/1",
        ];
        if kind != Kind::Plain {
            names.extend(["/mnt/proc/self/fd/1", "/etc/elsewhere/1/fd/1"]);
        }
        for name in names {
            for oflags in [0, 1, 1 | 8] {
                let fd = guest
                    .open(name, oflags, rights::WRITE)
                    .unwrap_or_else(|error| panic!("{name}: {error}"));
                assert_eq!(guest.write(fd, name.as_bytes()), Ok(name.len() as u32));
                guest.close(fd).unwrap();
                let mut got = vec![0; name.len()];
                out.read_exact(&mut got).unwrap();
                assert_eq!(got, name.as_bytes());
            }
            assert_eq!(guest.lstat(name).unwrap().kind, 7, "{name}");
            assert_eq!(guest.stat(name).unwrap().kind, 0, "{name}");
        }
        for name in ["/dev/fd/7", "/proc/self/fd/7"] {
            input.write_all(b"words").unwrap();
            let fd = guest.open(name, 0, rights::READ).unwrap();
            assert_eq!(guest.read(fd, 100), Ok(b"words".to_vec()));
            guest.close(fd).unwrap();
        }
        assert_eq!(
            guest.names("/dev/fd/"),
            Ok(["0", "1", "2", "3", "4", "7"].map(String::from).to_vec())
        );
        assert!(
            guest
                .readlink("/proc/self/fd/1", 100)
                .unwrap()
                .starts_with(b"pipe:[")
        );
        assert_eq!(guest.readlink("/proc/self", 100), Ok(b"1".to_vec()));
        assert_eq!(
            guest.cat("/proc/self/cmdline"),
            Ok(b"/usr/bin/guest\0argument\0".to_vec())
        );
        assert!(
            guest
                .cat("/proc/self/status")
                .unwrap()
                .starts_with(b"Name:\tguest\n")
        );
        assert!(
            guest
                .cat("/proc/meminfo")
                .unwrap()
                .starts_with(b"MemTotal:")
        );
    });
}

#[test]
fn a_number_that_is_not_its_own_does_not_exist() {
    each(ALL, nothing, |_, guest| {
        // The host process has many descriptors: the test's, the private handle, the root.
        for number in 4..200 {
            for name in [
                format!("/proc/self/fd/{number}"),
                format!("/dev/fd/{number}"),
            ] {
                assert_eq!(
                    guest.open(&name, 0, rights::READ),
                    Err(Errno::NOENT.raw()),
                    "{name}"
                );
                assert_eq!(guest.stat(&name), Err(Errno::NOENT.raw()), "{name}");
                assert_eq!(
                    guest.readlink(&name, 100),
                    Err(Errno::NOENT.raw()),
                    "{name}"
                );
            }
        }
        for name in [
            "-1",
            "+1",
            "01",
            "1x",
            "4294967297",
            "18446744073709551617",
            ".1",
        ] {
            assert!(
                guest.stat(&format!("/proc/self/fd/{name}")).is_err(),
                "{name}"
            );
        }
    });
}

#[test]
fn opening_again_gives_no_more_access() {
    each(ALL, nothing, |_, guest| {
        guest.save("/tmp/file", b"signed").unwrap();
        let fd = guest.open("/tmp/file", 0, rights::READ).unwrap();
        let name = format!("/dev/fd/{fd}");
        assert_eq!(guest.open(&name, 0, rights::WRITE), Err(Errno::ACCES.raw()));
        assert_eq!(guest.open(&name, 8, rights::READ), Err(Errno::ACCES.raw()));
        assert_eq!(guest.cat(&name), Ok(b"signed".to_vec()));
        let own = guest.open(&name, 0, rights::READ).unwrap();
        guest.read(fd, 3).unwrap();
        assert_eq!(guest.tell(own), Ok(0));
        assert_eq!(
            guest.link(true, &name, "/tmp/again"),
            Err(Errno::PERM.raw())
        );
        // Rights given up stay given up.
        let base = guest.fdstat(fd).unwrap().2;
        let keep = base & !rights::READ;
        guest
            .raw(
                "fd_fdstat_set_rights",
                &[
                    crate::support::Arg::W(fd),
                    crate::support::Arg::D(keep),
                    crate::support::Arg::D(0),
                ],
            )
            .unwrap();
        let again = guest.open(&name, 0, rights::READ).unwrap();
        assert_eq!(guest.read(again, 1), Err(Errno::NOTCAPABLE.raw()));
    });
}

#[test]
fn a_socket_is_opened_again_as_itself() {
    each(MOUNTED, nothing, |_, guest| {
        let (ours, mut theirs) = std::os::unix::net::UnixStream::pair().unwrap();
        guest.give(1, OwnedFd::from(ours));
        let fd = guest.open("/dev/stdout", 0, rights::WRITE).unwrap();
        guest.write(fd, b"log").unwrap();
        let mut got = [0; 3];
        theirs.read_exact(&mut got).unwrap();
        assert_eq!(&got, b"log");
    });
}

#[test]
fn one_end_of_a_pipe_never_becomes_the_other() {
    each(MOUNTED, nothing, |_, guest| {
        let (reading, writing) = rustix::pipe::pipe().unwrap();
        guest.give(1, writing);
        let fd = guest
            .open("/dev/stdout", 0, rights::READ | rights::WRITE)
            .unwrap();
        guest.write(fd, b"log").unwrap();
        assert_eq!(guest.read(fd, 3), Err(Errno::BADF.raw()));
        let mut got = [0; 3];
        rustix::io::read(&reading, &mut got).unwrap();
        assert_eq!(&got, b"log", "it is still there for whoever reads the pipe");
        let none = guest.open("/dev/stdout", 0, rights::READ);
        assert_eq!(none, Err(Errno::ACCES.raw()));
    });
}

#[test]
fn nothing_of_a_procfs_or_sysfs_can_be_handed_in() {
    for path in [
        "/proc/self",
        "/proc/self/status",
        "/proc/self/ns/mnt",
        "/sys",
        "/sys/kernel",
    ] {
        let file = std::fs::File::open(path).unwrap();
        assert_eq!(
            Descriptor::inherited(file.into()).err(),
            Some(Errno::ACCES),
            "{path}"
        );
    }
    let looked_at =
        rustix::fs::open("/etc", rustix::fs::OFlags::PATH, rustix::fs::Mode::empty()).unwrap();
    assert_eq!(Descriptor::inherited(looked_at).err(), Some(Errno::BADF));
}
