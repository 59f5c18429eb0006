//! Chosen calls that random sequences do not reach: each must show the same on both sides.

use crate::deliberate::Show;
use crate::support::{Arg, Calls, Ours, Reference, Side, rights};
use Arg::{D, W};

const OUT: u32 = 64;

fn text<T: std::fmt::Debug>(value: T) -> String {
    format!("{value:?}")
}

const CASES: &[(&str, Show)] = &[
    (
        "the root directory is found at 3 and nothing after it",
        |guest| {
            guest.raw("fd_prestat_get", &[W(3), W(OUT)])?;
            let head = guest.get(OUT, 8);
            guest.raw("fd_prestat_dir_name", &[W(3), W(OUT), W(1)])?;
            let name = guest.get(OUT, 1);
            let after = guest.raw("fd_prestat_get", &[W(4), W(OUT)]);
            let standard = guest.raw("fd_prestat_get", &[W(0), W(OUT)]);
            Ok(text((head, name, after, standard)))
        },
    ),
    ("a preopened directory's name needs room", |guest| {
        let got = guest.raw("fd_prestat_dir_name", &[W(3), W(OUT), W(0)]);
        Ok(text(got))
    }),
    ("a directory's and a file's fdstat", |guest| {
        guest.save("f", b"x")?;
        let fd = guest.open_full(3, 1, b"f", 0, rights::BOTH, 1)?;
        let (dir, file) = (guest.fdstat(3)?, guest.fdstat(fd)?);
        Ok(text((dir.0, dir.1, file.0, file.1 & 1)))
    }),
    ("a hole reads as zeros", |guest| {
        let fd = guest.open("f", 1, rights::BOTH)?;
        guest.pwrite(fd, b"end", 70000)?;
        guest.seek(fd, 69998, 0)?;
        Ok(text((guest.read_one(fd, 10)?, guest.fstat(fd)?.size)))
    }),
    ("seeking past the end, and before the start", |guest| {
        let fd = guest.open("f", 1, rights::BOTH)?;
        let past = guest.seek(fd, 100, 2);
        let read = guest.read_one(fd, 5);
        let before = guest.seek(fd, -1, 0);
        let relative = guest.seek(fd, -101, 1);
        Ok(text((past, read, before, relative, guest.tell(fd))))
    }),
    ("every combination of time flags", |guest| {
        guest.save("f", b"")?;
        let mut all = Vec::new();
        for flags in 0..16 {
            let set = guest.set_times("f", true, 1_000_000_007, 2_000_000_009, flags);
            let stat = guest.stat("f")?;
            // Times of now differ: only whether they are the ones that were set is compared.
            let exact = (stat.atim == 1_000_000_007, stat.mtim == 2_000_000_009);
            all.push((
                flags,
                set,
                set.is_ok() && flags & 10 == 0 && flags == 5 && exact == (true, true),
            ));
        }
        Ok(text(all))
    }),
    ("appending moves to the end and pwrite does not", |guest| {
        guest.save("f", b"0123456789")?;
        let fd = guest.open_full(3, 1, b"f", 0, rights::BOTH, 1)?;
        guest.seek(fd, 2, 0)?;
        guest.write(fd, b"ab")?;
        Ok(text((guest.cat("f")?, guest.fstat(fd)?.size)))
    }),
    ("a link's text is cut where the buffer ends", |guest| {
        guest.symlink("some/where/else", "l")?;
        Ok(text([
            guest.readlink("l", 100),
            guest.readlink("l", 4),
            guest.readlink("l", 0),
        ]))
    }),
    ("a chain of links, and a loop", |guest| {
        guest.save("f", b"found")?;
        guest.symlink("f", "1")?;
        for number in 1..8 {
            guest.symlink(&number.to_string(), &(number + 1).to_string())?;
        }
        guest.symlink("q", "p")?;
        guest.symlink("p", "q")?;
        Ok(text((
            guest.cat("8"),
            guest.cat("p"),
            guest.stat("p"),
            guest.lstat("p").map(|s| s.kind),
        )))
    }),
    (
        "a listing has every name once, with its kind, at any buffer size",
        |guest| {
            guest.mkdir("d")?;
            for number in 0..300 {
                guest.save(&format!("d/{number}-{}", "n".repeat(number % 40)), b"")?;
            }
            guest.mkdir("d/sub")?;
            guest.symlink("x", "d/link")?;
            let fd = guest.open_dir("d")?;
            let mut all = Vec::new();
            for room in [128, 4096, 1 << 20] {
                let mut names: Vec<_> = guest
                    .readdir(fd, room)?
                    .into_iter()
                    .map(|entry| (entry.name, entry.kind))
                    .collect();
                names.sort();
                all.push(names);
            }
            Ok(text(all))
        },
    ),
    ("a removed file stays readable while open", |guest| {
        guest.save("f", b"still here")?;
        let fd = guest.open("f", 0, rights::READ)?;
        guest.unlink("f")?;
        Ok(text((
            guest.read_one(fd, 100),
            guest.fstat(fd).map(|s| s.nlink),
            guest.stat("f"),
        )))
    }),
    ("names as long as they may be, and longer", |guest| {
        let results: Vec<_> = [255, 256, 300]
            .iter()
            .map(|len| guest.mkdir(&"x".repeat(*len)))
            .collect();
        Ok(text(results))
    }),
    ("a clock that has passed is one event", |guest| {
        let mut list = [0u8; 48];
        list[..8].copy_from_slice(&77u64.to_le_bytes());
        list[16] = 1;
        guest.put(1024, &list);
        guest.raw("poll_oneoff", &[W(1024), W(2048), W(1), W(OUT)])?;
        let count = guest.out32();
        Ok(text((count, guest.get(2048, 11))))
    }),
    ("nothing to wait for is an error", |guest| {
        Ok(text(
            guest.raw("poll_oneoff", &[W(1024), W(2048), W(0), W(OUT)]),
        ))
    }),
    ("moving onto an open descriptor closes it", |guest| {
        guest.save("f", b"one")?;
        guest.save("g", b"two")?;
        let (one, two) = (
            guest.open("f", 0, rights::READ)?,
            guest.open("g", 0, rights::READ)?,
        );
        guest.raw("fd_renumber", &[W(one), W(two)])?;
        let same = guest.raw("fd_renumber", &[W(two), W(two)]);
        let closed = guest.raw("fd_renumber", &[W(one), W(two)]);
        Ok(text((
            guest.read_one(two, 9),
            guest.read_one(one, 9),
            same,
            closed,
        )))
    }),
    ("sizes are set and bad descriptors are told", |guest| {
        let fd = guest.open("f", 1, rights::BOTH)?;
        let set = guest.raw("fd_filestat_set_size", &[W(fd), D(12345)]);
        let bad = guest.raw("fd_filestat_set_size", &[W(99), D(1)]);
        let synced = (
            guest.raw("fd_sync", &[W(fd)]),
            guest.raw("fd_datasync", &[W(99)]),
        );
        Ok(text((set, bad, synced, guest.fstat(fd)?.size)))
    }),
];

#[test]
fn the_two_agree_on_chosen_calls() {
    for (what, show) in CASES {
        let (one, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let ours = show(&mut Ours::at(one.path()) as &mut dyn Side);
        let reference = show(&mut Reference::at(other.path()) as &mut dyn Side);
        assert_eq!(ours, reference, "{what}");
        assert!(ours.is_ok(), "{what}: {ours:?}");
    }
}
