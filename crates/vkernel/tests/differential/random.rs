//! Random sequences of calls.

use crate::deliberate::alike;
use crate::support::{Arg, Calls, Ours, Reference, Side, rights};
use crate::tree::snapshot;
use vkernel::errno::Errno;

const SEEDS: u64 = 60;
const CALLS: usize = 150;

/// A small generator of numbers: the same everywhere, for ever.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn below(&mut self, limit: u64) -> u64 {
        (self.next() >> 11) % limit
    }

    fn pick<'a, T: ?Sized>(&mut self, list: &[&'a T]) -> &'a T {
        list[self.below(list.len() as u64) as usize]
    }
}

/// Few names, so that calls meet: files and directories, in each other, missing ones, dots.
const PATHS: &[&str] = &[
    "a", "b", "c", "d", "a/a", "a/b", "a/c", "b/a", "b/b", "b/c", "c/a", "a/b/c", "a/b/a",
    "a/../b", "./a", "b/./c", "a//b", "none/x", "", ".",
];

/// Links stay inside and are relative; the rest is in `deliberate`.
const TARGETS: &[&str] = &["a", "b", "c", "a/b", "b/a", "none", "c/c"];

#[derive(Clone, Debug)]
enum Call {
    Open {
        dir: u32,
        path: &'static str,
        follow: bool,
        oflags: u32,
        rights: u64,
        flags: u32,
    },
    Close(u32),
    Write(u32, Vec<u8>),
    Read(u32, u32),
    Pwrite(u32, Vec<u8>, u64),
    Pread(u32, u32, u64),
    Seek(u32, i64, u32),
    Tell(u32),
    SetSize(u32, u64),
    Stat(&'static str, bool),
    Fstat(u32),
    Mkdir(&'static str),
    Rmdir(&'static str),
    Unlink(&'static str),
    Rename(&'static str, &'static str),
    Link(&'static str, &'static str),
    Symlink(&'static str, &'static str),
    Readlink(&'static str, u32),
    SetTimes(&'static str, bool, u64, u64),
    List(u32),
    Advise(u32, u32),
    Fdstat(u32),
    SetFlags(u32, u32),
    SetFdTimes(u32, u64, u64),
    Renumber(u32, u32),
    Sync(u32),
    Datasync(u32),
    Prestat(u32),
}

impl Call {
    /// The function's name as `deliberate` has it.
    fn name(&self) -> &'static str {
        match self {
            Call::Open { .. } => "path_open",
            Call::Close(_) => "fd_close",
            Call::Write(..) => "fd_write",
            Call::Read(..) => "fd_read",
            Call::Pwrite(..) => "fd_pwrite",
            Call::Pread(..) => "fd_pread",
            Call::Seek(..) => "fd_seek",
            Call::Tell(_) => "fd_tell",
            Call::SetSize(..) => "fd_filestat_set_size",
            Call::Stat(..) => "path_filestat_get",
            Call::Fstat(_) => "fd_filestat_get",
            Call::Mkdir(_) => "path_create_directory",
            Call::Rmdir(_) => "path_remove_directory",
            Call::Unlink(_) => "path_unlink_file",
            Call::Rename(..) => "path_rename",
            Call::Link(..) => "path_link",
            Call::Symlink(..) => "path_symlink",
            Call::Readlink(..) => "path_readlink",
            Call::SetTimes(..) => "path_filestat_set_times",
            Call::List(_) => "fd_readdir",
            Call::Advise(..) => "fd_advise",
            Call::Fdstat(_) => "fd_fdstat_get",
            Call::SetFlags(..) => "fd_fdstat_set_flags",
            Call::SetFdTimes(..) => "fd_filestat_set_times",
            Call::Renumber(..) => "fd_renumber",
            Call::Sync(_) => "fd_sync",
            Call::Datasync(_) => "fd_datasync",
            Call::Prestat(_) => "fd_prestat_get",
        }
    }
}

fn choose(random: &mut Random) -> Call {
    let path = random.pick(PATHS);
    let fd = 3 + random.below(6) as u32;
    let open = fd.max(4);
    let oflags = [0, 0, 1, 1, 2, 5, 8, 9][random.below(8) as usize];
    // What makes or empties a file writes: see `deliberate`.
    let modes: &[u64] = if oflags & (1 | 8) == 0 {
        &[rights::READ, rights::WRITE, rights::BOTH]
    } else {
        &[rights::WRITE, rights::BOTH]
    };
    match random.below(34) {
        0..=6 => Call::Open {
            dir: if random.below(4) == 0 { fd } else { 3 },
            path,
            follow: random.below(3) > 0,
            oflags,
            rights: modes[random.below(modes.len() as u64) as usize],
            flags: [0, 0, 0, 1][random.below(4) as usize],
        },
        7 => Call::Close(open),
        8..=9 => Call::Write(fd, (0..random.below(20)).map(|byte| byte as u8).collect()),
        10..=11 => Call::Read(fd, 1 + random.below(30) as u32),
        12 => Call::Pwrite(fd, vec![7; random.below(9) as usize], random.below(40)),
        13 => Call::Pread(fd, 1 + random.below(30) as u32, random.below(40)),
        14 => Call::Seek(fd, random.below(40) as i64 - 10, random.below(3) as u32),
        15 => Call::Tell(fd),
        16 => Call::SetSize(fd, random.below(60)),
        17..=18 => Call::Stat(path, random.below(2) == 0),
        19 => Call::Fstat(fd),
        20..=21 => Call::Mkdir(path),
        22 => Call::Rmdir(path),
        23 => Call::Unlink(path),
        24 => Call::Rename(path, random.pick(PATHS)),
        25 => Call::Link(path, random.pick(PATHS)),
        26 => Call::Symlink(random.pick(TARGETS), path),
        27 => Call::Readlink(path, 1 + random.below(5) as u32),
        28 => Call::SetTimes(
            path,
            random.below(2) == 0,
            random.below(1 << 60),
            random.below(1 << 60),
        ),
        29 => Call::List(fd),
        30 => Call::SetFdTimes(open, random.below(1 << 60), random.below(1 << 60)),
        31 => Call::Renumber(open, 4 + random.below(5) as u32),
        32 => Call::SetFlags(open, random.below(2) as u32),
        _ => match random.below(5) {
            0 => Call::Advise(fd, random.below(6) as u32),
            1 => Call::Fdstat(fd),
            2 => Call::Sync(fd),
            3 => Call::Datasync(fd),
            _ => Call::Prestat(fd),
        },
    }
}

/// The descriptor number of each slot: the two sides give out numbers in different orders.
struct Slots([u32; 12]);

/// A number that is never open.
const CLOSED: u32 = 900;

impl Slots {
    fn new() -> Slots {
        let mut slots = Slots([CLOSED; 12]);
        slots.0[3] = 3;
        slots
    }

    /// Puts a new descriptor in the first free slot; past the last one it stays open unused.
    fn opened(&mut self, fd: u32) {
        if let Some(free) = self.0.iter_mut().skip(4).find(|slot| **slot == CLOSED) {
            *free = fd;
        }
    }
}

/// What a call showed, in a form that can be compared: no inode numbers, no times of now.
fn perform(
    guest: &mut (impl Side + ?Sized),
    slots: &mut Slots,
    call: &Call,
) -> Result<String, u16> {
    let numbers = slots.0;
    let at = |slot: u32| numbers[slot as usize];
    let shown = |bytes: Vec<u8>| format!("{bytes:?}");
    match call {
        Call::Open {
            dir,
            path,
            follow,
            oflags,
            rights,
            flags,
        } => guest
            .open_full(
                at(*dir),
                (*follow).into(),
                path.as_bytes(),
                *oflags,
                *rights,
                *flags,
            )
            .map(|fd| {
                slots.opened(fd);
                String::new()
            }),
        Call::Close(fd) => {
            let closed = guest.close(at(*fd));
            slots.0[*fd as usize] = CLOSED;
            closed.map(|()| String::new())
        }
        Call::Write(fd, bytes) => guest.write(at(*fd), bytes).map(|n| n.to_string()),
        Call::Read(fd, len) => guest.read_one(at(*fd), *len).map(shown),
        Call::Pwrite(fd, bytes, from) => guest.pwrite(at(*fd), bytes, *from).map(|n| n.to_string()),
        Call::Pread(fd, len, from) => guest.pread(at(*fd), *len, *from).map(shown),
        Call::Seek(fd, by, whence) => guest.seek(at(*fd), *by, *whence).map(|at| at.to_string()),
        Call::Tell(fd) => guest.tell(at(*fd)).map(|at| at.to_string()),
        Call::SetSize(fd, size) => guest
            .raw("fd_filestat_set_size", &[Arg::W(at(*fd)), Arg::D(*size)])
            .map(|()| String::new()),
        Call::Stat(path, follow) => guest.stat_at(3, path.as_bytes(), *follow).map(|stat| {
            let size = if stat.kind == 3 { 0 } else { stat.size };
            format!("{} {} {size}", stat.kind, stat.nlink)
        }),
        Call::Fstat(fd) => guest.fstat(at(*fd)).map(|stat| {
            let size = if stat.kind == 3 { 0 } else { stat.size };
            format!("{} {} {size}", stat.kind, stat.nlink)
        }),
        Call::Mkdir(path) => guest.mkdir(path).map(|()| String::new()),
        Call::Rmdir(path) => guest.rmdir(path).map(|()| String::new()),
        Call::Unlink(path) => guest.unlink(path).map(|()| String::new()),
        Call::Rename(from, to) => guest.rename(from, to).map(|()| String::new()),
        Call::Link(from, to) => guest.link(false, from, to).map(|()| String::new()),
        Call::Symlink(target, path) => guest.symlink(target, path).map(|()| String::new()),
        Call::Readlink(path, room) => guest.readlink(path, *room).map(shown),
        Call::SetTimes(path, follow, atim, mtim) => {
            guest.set_times(path, *follow, *atim, *mtim, 5)?;
            let stat = guest.stat_at(3, path.as_bytes(), *follow)?;
            Ok(format!("{} {}", stat.atim, stat.mtim))
        }
        Call::List(fd) => guest.readdir(at(*fd), 4096).map(|entries| {
            let mut names: Vec<_> = entries
                .into_iter()
                .map(|entry| (entry.name, entry.kind))
                .collect();
            names.sort();
            format!("{names:?}")
        }),
        Call::Advise(fd, advice) => guest
            .raw(
                "fd_advise",
                &[Arg::W(at(*fd)), Arg::D(0), Arg::D(10), Arg::W(*advice)],
            )
            .map(|()| String::new()),
        // The kind, and whether it appends: rights are this kernel's own matter.
        Call::Fdstat(fd) => {
            (guest.fdstat(at(*fd))).map(|stat| format!("{} {}", stat.0, stat.1 & 1))
        }
        // Directories have flags here and are synced: see `deliberate`.
        Call::SetFlags(fd, _) | Call::Sync(fd) | Call::Datasync(fd)
            if guest.fdstat(at(*fd))?.0 == 3 =>
        {
            Ok(String::new())
        }
        Call::SetFlags(fd, flags) => guest
            .raw("fd_fdstat_set_flags", &[Arg::W(at(*fd)), Arg::W(*flags)])
            .map(|()| String::new()),
        Call::SetFdTimes(fd, atim, mtim) => {
            let args = [Arg::W(at(*fd)), Arg::D(*atim), Arg::D(*mtim), Arg::W(5)];
            guest.raw("fd_filestat_set_times", &args)?;
            let stat = guest.fstat(at(*fd))?;
            Ok(format!("{} {}", stat.atim, stat.mtim))
        }
        Call::Renumber(from, to) => {
            let args = [Arg::W(at(*from)), Arg::W(at(*to))];
            guest.raw("fd_renumber", &args)?;
            if from != to {
                slots.0[*from as usize] = CLOSED;
            }
            Ok(String::new())
        }
        Call::Sync(fd) => (guest.raw("fd_sync", &[Arg::W(at(*fd))])).map(|()| String::new()),
        Call::Datasync(fd) => {
            (guest.raw("fd_datasync", &[Arg::W(at(*fd))])).map(|()| String::new())
        }
        Call::Prestat(fd) => {
            guest.raw("fd_prestat_get", &[Arg::W(at(*fd)), Arg::W(64)])?;
            let got = guest.get(64, 8);
            // Of what is no such directory: see `deliberate`.
            match got[0] {
                255 => Err(Errno::BADF.raw()),
                // Between the tag and the length is padding.
                tag => Ok(format!("{tag} {:?}", &got[4..])),
            }
        }
    }
}

#[test]
fn the_two_agree_on_random_sequences() {
    let mut failures = Vec::new();
    let mut compared = 0;
    for seed in 1..=SEEDS {
        let mut random = Random(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        let (one, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let mut ours = Ours::at(one.path());
        let mut reference = Reference::at(other.path());
        let (mut own, mut other_slots) = (Slots::new(), Slots::new());
        let mut history = Vec::new();
        for _ in 0..CALLS {
            let call = choose(&mut random);
            let got = perform(&mut ours, &mut own, &call);
            let expected = perform(&mut reference, &mut other_slots, &call);
            compared += 1;
            history.push(format!("{call:?} -> {got:?}"));
            let trees = (snapshot(one.path()), snapshot(other.path()));
            if !alike(call.name(), &got, &expected) || trees.0 != trees.1 {
                let last = history.len().saturating_sub(12);
                failures.push(format!(
                    "seed {seed}:\n  {}\n  the reference: {expected:?}\n  trees equal: {}",
                    history[last..].join("\n  "),
                    trees.0 == trees.1
                ));
                break;
            }
        }
    }
    assert!(compared > 1000, "only {compared} calls were compared");
    assert!(
        failures.is_empty(),
        "{} of {SEEDS}:\n{}",
        failures.len(),
        failures.join("\n")
    );
}
