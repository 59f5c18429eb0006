//! A guest that calls everything with anything: no call traps, panics or leaves the root, and
//! no descriptor it ends up with is one it may not have.

#![allow(clippy::unwrap_used, missing_docs)]

mod support;

use support::{Arg, FUNCTIONS, Ours, Side};
use vkernel::descriptor::OpenFile;
use vkernel::fs::judge::{FsClass, class_of};

const CALLS: usize = 150_000;

/// Text that leads somewhere, laid out in the guest's memory.
const WORDS: &[&str] = &[
    "a",
    "b",
    "a/b",
    "..",
    "../..",
    ".",
    "/",
    "//",
    "",
    "a/../b",
    "/proc/self/fd/0",
    "/proc/self/mem",
    "/proc/self/fd",
    "/dev/null",
    "/dev/fd/4",
    "/dev/stdout",
    "/proc",
    "/sys",
    "\0",
    "\u{ff}x",
    "a/",
    "/dev/urandom",
    "b/c/d",
];

struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 >> 3
    }

    fn pick(&mut self, list: &[u64]) -> u64 {
        list[(self.next() % list.len() as u64) as usize]
    }

    /// A number that a call may take for a descriptor, an address, a length or flags.
    fn argument(&mut self) -> u64 {
        match self.next() % 8 {
            0..=2 => self.next() % 12,
            3..=4 => (self.next() % WORDS.len() as u64) * 64,
            5 => 4096 + self.next() % 4096,
            6 => self.pick(&[
                0xffff_ffff,
                0xffff_ff9c,
                0x7fff_ffff,
                0x8000_0000,
                4 << 20,
                (4 << 20) - 1,
                (4 << 20) - 8,
            ]),
            _ => self.next(),
        }
    }
}

#[test]
fn any_call_with_any_arguments_is_answered() {
    let outer = tempfile::tempdir().unwrap();
    let root = outer.path().join("root");
    std::fs::create_dir(&root).unwrap();
    std::fs::write(outer.path().join("beside"), "untouched").unwrap();
    let mut guest = Ours::at(&root);
    guest.state().rlimits.file_size.soft = 1 << 20;
    // A file that grows beyond that would end the guest.
    (guest.state().kill)
        .signals(|own| own.set_disposition(libc::SIGXFSZ, vkernel::signal::Disposition::Ignore))
        .unwrap();
    let mut random = Random(0x1234_5678_9abc_def1);
    let mut answers = [0usize; 80];
    for _ in 0..CALLS {
        let at = (random.next() % WORDS.len() as u64) as usize;
        guest.memory()[at * 64..][..64].fill(0);
        guest.memory()[at * 64..][..WORDS[at].len()].copy_from_slice(WORDS[at].as_bytes());
        let (name, letters) = FUNCTIONS[(random.next() % FUNCTIONS.len() as u64) as usize];
        // What waits or ends the guest by design has tests of its own.
        if matches!(name, "poll_oneoff" | "proc_raise") {
            continue;
        }
        let args: Vec<Arg> = letters
            .chars()
            .map(|letter| match letter {
                'w' => Arg::W(random.argument() as u32),
                _ => Arg::D(random.argument()),
            })
            .collect();
        let errno = guest
            .call(name, &args)
            .unwrap_or_else(|end| panic!("{name}{args:?}: {end}"));
        answers[usize::from(errno).min(79)] += 1;
    }
    assert!(
        answers[0] > CALLS / 100,
        "too few calls did anything: {answers:?}"
    );
    for (number, descriptor) in guest.state().fds.iter() {
        if let OpenFile::Host(file) = descriptor.file() {
            let class = class_of(file.fd()).unwrap();
            assert_eq!(class, FsClass::Ordinary, "descriptor {number}");
        }
    }
    let left: Vec<_> = std::fs::read_dir(outer.path())
        .unwrap()
        .map(|entry| entry.unwrap().file_name())
        .collect();
    assert_eq!(left.len(), 2);
    assert_eq!(
        std::fs::read(outer.path().join("beside")).unwrap(),
        b"untouched"
    );
}
