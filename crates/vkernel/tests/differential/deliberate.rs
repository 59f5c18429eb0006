//! Where this kernel and `wasmtime-wasi` differ on purpose: the one list, with reasons.

use vkernel::errno::Errno;

use crate::support::{Arg, Calls, Ours, Reference, Side, rights};

/// Calls that both refuse, with different errors: function, ours, the reference's, and why.
const REFUSALS: &[(&str, Errno, Errno, &str)] = &[
    (
        "fd_read",
        Errno::ISDIR,
        Errno::BADF,
        "a directory: Linux's answer",
    ),
    (
        "fd_pread",
        Errno::ISDIR,
        Errno::BADF,
        "a directory: Linux's answer",
    ),
    (
        "fd_readdir",
        Errno::NOTDIR,
        Errno::BADF,
        "a file: Linux's answer",
    ),
    (
        "fd_filestat_set_size",
        Errno::INVAL,
        Errno::BADF,
        "a directory: Linux's answer",
    ),
    (
        "path_open",
        Errno::NOTDIR,
        Errno::LOOP,
        "a link opened as a directory, not followed: Linux's answer",
    ),
];

/// Whether both sides gave the same, or differ in a way that is listed.
pub fn alike<T: PartialEq>(
    function: &str,
    ours: &Result<T, u16>,
    reference: &Result<T, u16>,
) -> bool {
    if ours == reference {
        return true;
    }
    let (Err(ours), Err(reference)) = (ours, reference) else {
        return false;
    };
    REFUSALS.iter().any(|(name, own, other, _)| {
        *name == function && own.raw() == *ours && other.raw() == *reference
    })
}

/// Makes calls and shows what came of them.
pub type Show = fn(&mut dyn Side) -> Result<String, u16>;

/// A difference in what succeeds: what, why, the calls, ours, and the reference's.
struct Difference {
    what: &'static str,
    reason: &'static str,
    calls: Show,
    ours: Result<&'static str, Errno>,
    reference: Result<&'static str, Errno>,
}

fn bytes(got: Result<Vec<u8>, u16>) -> Result<String, u16> {
    got.map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
}

fn done(got: Result<(), u16>) -> Result<String, u16> {
    got.map(|()| "done".to_owned())
}

const DIFFERENCES: &[Difference] = &[
    Difference {
        what: "a link with an absolute target",
        reason: "ordinary container root file systems are full of them; they lead inside the root",
        calls: |guest| {
            guest.save("f", b"here")?;
            guest.symlink("/f", "l")?;
            bytes(guest.cat("l"))
        },
        ours: Ok("here"),
        reference: Err(Errno::PERM),
    },
    Difference {
        what: "an absolute path",
        reason: "as openat: it starts at the root",
        calls: |guest| {
            guest.save("f", b"here")?;
            bytes(guest.cat("/f"))
        },
        ours: Ok("here"),
        reference: Err(Errno::PERM),
    },
    Difference {
        what: "dots above the root",
        reason: "the root's parent is the root",
        calls: |guest| {
            guest.save("f", b"here")?;
            bytes(guest.cat("../../f"))
        },
        ours: Ok("here"),
        reference: Err(Errno::PERM),
    },
    Difference {
        what: "writing to a file made and opened for reading",
        reason: "POSIX: the mode is what was asked for",
        calls: |guest| {
            let fd = guest.open("f", 1, rights::READ)?;
            guest.write(fd, b"x").map(|n| n.to_string())
        },
        ours: Err(Errno::BADF),
        reference: Ok("1"),
    },
    Difference {
        what: "reading into two vectors",
        reason: "one readv fills both; the reference fills the first",
        calls: |guest| {
            guest.save("f", b"0123456789")?;
            let fd = guest.open("f", 0, rights::READ)?;
            bytes(guest.read(fd, 8))
        },
        ours: Ok("01234567"),
        reference: Ok("0123"),
    },
    Difference {
        what: "renumbering to a number that is not open",
        reason: "what dup2 does, and shells need",
        calls: |guest| {
            let fd = guest.open("f", 1, rights::BOTH)?;
            done(guest.raw("fd_renumber", &[Arg::W(fd), Arg::W(fd + 5)]))
        },
        ours: Ok("done"),
        reference: Err(Errno::BADF),
    },
    Difference {
        what: "the number of a new descriptor",
        reason: "POSIX: the lowest that is free",
        calls: |guest| {
            let fds = [
                guest.open("f", 1, rights::BOTH)?,
                guest.open("f", 1, rights::BOTH)?,
            ];
            guest.close(fds[0])?;
            guest.close(fds[1])?;
            guest.open("f", 0, rights::BOTH).map(|fd| fd.to_string())
        },
        ours: Ok("4"),
        reference: Ok("5"),
    },
    Difference {
        what: "removing a directory by a name with a slash",
        reason: "Linux removes it",
        calls: |guest| {
            guest.mkdir("d")?;
            done(guest.rmdir("d/"))
        },
        ours: Ok("done"),
        reference: Err(Errno::INVAL),
    },
    Difference {
        what: "a file's name with a slash, not followed",
        reason: "Linux: a slash asks for a directory",
        calls: |guest| {
            guest.save("f", b"x")?;
            guest.lstat("f/").map(|stat| stat.kind.to_string())
        },
        ours: Err(Errno::NOTDIR),
        reference: Ok("4"),
    },
    Difference {
        what: "a name that is not UTF-8",
        reason: "names on Linux are bytes; such files exist in real images",
        calls: |guest| done(guest.one_path("path_create_directory", 3, &[b'n', 0xff])),
        ours: Ok("done"),
        reference: Err(Errno::ILSEQ),
    },
    Difference {
        what: "a hard link to what a link leads to",
        reason: "linkat has AT_SYMLINK_FOLLOW",
        calls: |guest| {
            guest.save("f", b"x")?;
            guest.symlink("f", "l")?;
            done(guest.link(true, "l", "g"))
        },
        ours: Ok("done"),
        reference: Err(Errno::INVAL),
    },
    Difference {
        what: "allocating room",
        reason: "the host can",
        calls: |guest| {
            let fd = guest.open("f", 1, rights::BOTH)?;
            done(guest.raw("fd_allocate", &[Arg::W(fd), Arg::D(0), Arg::D(100)]))
        },
        ours: Ok("done"),
        reference: Err(Errno::NOTSUP),
    },
    Difference {
        what: "asking for the name of what is no pre-opened directory",
        reason: "libraries stop asking at the first error; directories lie behind what is inherited",
        calls: |guest| {
            let fd = guest.open("f", 1, rights::BOTH)?;
            guest.raw("fd_prestat_get", &[Arg::W(fd), Arg::W(64)])?;
            Ok(format!("{:?}", guest.get(64, 1)))
        },
        ours: Ok("[255]"),
        reference: Err(Errno::BADF),
    },
    Difference {
        what: "syncing a directory",
        reason: "databases do it after a rename",
        calls: |guest| done(guest.raw("fd_sync", &[Arg::W(3)])),
        ours: Ok("done"),
        reference: Err(Errno::BADF),
    },
    Difference {
        what: "the flags of a directory",
        reason: "Linux takes them for any file",
        calls: |guest| done(guest.raw("fd_fdstat_set_flags", &[Arg::W(3), Arg::W(1)])),
        ours: Ok("done"),
        reference: Err(Errno::BADF),
    },
    Difference {
        what: "giving up rights",
        reason: "the specification has it",
        calls: |guest| done(guest.raw("fd_fdstat_set_rights", &[Arg::W(3), Arg::D(0), Arg::D(0)])),
        ours: Ok("done"),
        reference: Err(Errno::NOTSUP),
    },
];

#[test]
fn the_differences_are_exactly_these() {
    for difference in DIFFERENCES {
        let (one, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let ours = (difference.calls)(&mut Ours::at(one.path()));
        let reference = (difference.calls)(&mut Reference::at(other.path()));
        let plain = |wanted: Result<&str, Errno>| wanted.map(str::to_owned).map_err(Errno::raw);
        let shown = format!("{} ({})", difference.what, difference.reason);
        assert_eq!(ours, plain(difference.ours), "ours: {shown}");
        assert_eq!(
            reference,
            plain(difference.reference),
            "the reference: {shown}"
        );
    }
}
