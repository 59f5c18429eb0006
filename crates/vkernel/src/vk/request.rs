//! The structures that `exec` and `spawn` read from the guest's memory.

use megabinary::digest::Digest;

use crate::errno::Errno;
use crate::exec::ExecTarget;
use crate::fs::open::{OpenRequest, StatusFlags};
use crate::kernel::Attributes;
use crate::signal::SigSet;
use crate::table::Group;
use crate::wasi::memory::GuestMem;

/// The longest argument or entry of the environment, in bytes: Linux's.
const MAX_STRING: usize = 131_071;

/// The most bytes of arguments and environment together, their pointers and NULs included.
const MAX_STRINGS: usize = 2 << 20;

/// The most descriptor actions of one call.
const MAX_ACTIONS: u32 = 4096;

/// The longest name of what is executed and path of an action, in bytes: a path's limit. What an
/// action names is copied, and many may name the same.
const MAX_NAME: u32 = 4095;

/// Bytes of an `action`.
const ACTION: u32 = 24;

/// What is executed, and with which arguments and environment.
#[derive(Debug, PartialEq, Eq)]
pub struct Request {
    pub target: ExecTarget,
    pub argv: Vec<Vec<u8>>,
    pub env: Vec<Vec<u8>>,
    pub search_path: Option<Vec<u8>>,
}

/// A step on the way from the caller's descriptors and directory to the child's.
#[derive(Debug, PartialEq, Eq)]
pub enum Action {
    Close(u32),
    Dup2(u32, u32),
    Open(u32, Vec<u8>, Open),
    Chdir(Vec<u8>),
    Fchdir(u32),
    /// Closes what is open from the first to the last.
    CloseRange(u32, u32),
}

/// How a file is opened, and with which mode it is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Open {
    flags: u32,
    mode: u32,
}

/// Bits of an open's flags.
const READ: u32 = 1;
const WRITE: u32 = 2;
const CREATE: u32 = 4;
const EXCLUSIVE: u32 = 8;
const TRUNCATE: u32 = 16;
const APPEND: u32 = 32;
const NONBLOCK: u32 = 64;
const DIRECTORY: u32 = 128;
const NOFOLLOW: u32 = 256;
const CLOEXEC: u32 = 512;
const ALL: u32 = 1023;

impl Open {
    pub fn new(flags: u32, mode: u32) -> Result<Open, Errno> {
        if flags & !ALL != 0 {
            return Err(Errno::INVAL);
        }
        Ok(Open { flags, mode })
    }

    /// Whether the descriptor is closed when a program is executed.
    pub fn closes_on_exec(self) -> bool {
        self.flags & CLOEXEC != 0
    }

    pub fn request(self) -> OpenRequest {
        let has = |bit| self.flags & bit != 0;
        OpenRequest {
            follow: !has(NOFOLLOW),
            create: has(CREATE),
            exclusive: has(EXCLUSIVE),
            directory: has(DIRECTORY),
            truncate: has(TRUNCATE),
            read: has(READ) || !has(WRITE),
            write: has(WRITE),
            status: StatusFlags {
                append: has(APPEND),
                nonblock: has(NONBLOCK),
                ..StatusFlags::default()
            },
            mode: self.mode,
        }
    }
}

/// Reads a `request` (the first 40 bytes of a `spawn_request`).
pub fn request(mem: &GuestMem<'_>, at: u32) -> Result<Request, Errno> {
    let word = |offset| field(mem, at, offset);
    let (kind, name, len) = (word(0)?, word(4)?, word(8)?);
    if len > MAX_NAME {
        return Err(Errno::NAMETOOLONG);
    }
    let name = mem.slice(name, len)?;
    let target = match kind {
        0 => ExecTarget::Path(name.to_vec()),
        1 => ExecTarget::Search(name.to_vec()),
        2 => {
            let bytes: [u8; 32] = name.try_into().map_err(|_| Errno::INVAL)?;
            ExecTarget::Digest(Digest::from_bytes(bytes))
        }
        3 => {
            let name = std::str::from_utf8(name).map_err(|_| Errno::NOENT)?;
            ExecTarget::Tool(name.to_owned())
        }
        _ => return Err(Errno::INVAL),
    };
    let mut room = MAX_STRINGS;
    let argv = strings(mem, word(12)?, &mut room)?;
    if argv.is_empty() {
        return Err(Errno::INVAL);
    }
    let env = strings(mem, word(16)?, &mut room)?;
    let search_path = match word(20)? {
        0 => None,
        path => Some(mem.until_nul(path, MAX_STRING)?.to_vec()),
    };
    Ok(Request {
        target,
        argv,
        env,
        search_path,
    })
}

/// Bits of a `spawn_request`'s flags.
const SET_GROUP: u32 = 1;
const SET_MASK: u32 = 2;
const SET_DEFAULTS: u32 = 4;
const SET_SESSION: u32 = 8;
const FOREGROUND: u32 = 16;

/// Reads what a `spawn_request` has besides a `request`.
pub fn spawn_extras(mem: &GuestMem<'_>, at: u32) -> Result<(Vec<Action>, Attributes), Errno> {
    let word = |offset| field(mem, at, offset);
    let set = |offset| {
        let at = at.checked_add(offset).ok_or(Errno::FAULT)?;
        mem.read_u64(at).map(SigSet::from_bits)
    };
    let (actions, count, flags, group) = (word(24)?, word(28)?, word(32)?, word(36)?);
    let (mask, defaults) = (set(40)?, set(48)?);
    let has = |bit| flags & bit != 0;
    if flags & !(SET_GROUP | SET_MASK | SET_DEFAULTS | SET_SESSION | FOREGROUND) != 0
        || has(SET_SESSION) && (has(SET_GROUP) || has(FOREGROUND))
    {
        return Err(Errno::INVAL);
    }
    if count > MAX_ACTIONS {
        return Err(Errno::TOOBIG);
    }
    let list = mem.slice(actions, count * ACTION)?;
    let actions = list
        .chunks_exact(ACTION as usize)
        .map(|bytes| action(mem, bytes))
        .collect::<Result<_, _>>()?;
    let group = match (has(SET_SESSION), has(SET_GROUP), group) {
        (true, ..) => Group::Session,
        (_, true, 0) => Group::Own,
        (_, true, group) => Group::Of(group),
        _ => Group::Inherit,
    };
    let attributes = Attributes {
        group,
        mask: has(SET_MASK).then_some(mask),
        defaults: if has(SET_DEFAULTS) {
            defaults
        } else {
            SigSet::EMPTY
        },
        foreground: has(FOREGROUND),
    };
    Ok((actions, attributes))
}

fn action(mem: &GuestMem<'_>, bytes: &[u8]) -> Result<Action, Errno> {
    let word = |index: usize| {
        let bytes = &bytes[index * 4..index * 4 + 4];
        u32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]])
    };
    let (fd, other) = (word(1), word(2));
    let path = || match word(4) {
        0..=MAX_NAME => mem.slice(word(3), word(4)).map(<[u8]>::to_vec),
        _ => Err(Errno::NAMETOOLONG),
    };
    Ok(match word(0) {
        0 => Action::Close(fd),
        1 => Action::Dup2(fd, other),
        // What would be closed again at once is nothing to ask for.
        2 if other & CLOEXEC != 0 => return Err(Errno::INVAL),
        2 => Action::Open(fd, path()?, Open::new(other, word(5))?),
        3 => Action::Chdir(path()?),
        4 => Action::Fchdir(fd),
        5 => Action::CloseRange(fd, other),
        _ => return Err(Errno::INVAL),
    })
}

fn field(mem: &GuestMem<'_>, at: u32, offset: u32) -> Result<u32, Errno> {
    mem.read_u32(at.checked_add(offset).ok_or(Errno::FAULT)?)
}

/// A list of addresses of texts that end with NUL, itself ended by address 0; none at address 0.
fn strings(mem: &GuestMem<'_>, list: u32, room: &mut usize) -> Result<Vec<Vec<u8>>, Errno> {
    let mut found = Vec::new();
    if list == 0 {
        return Ok(found);
    }
    let mut at = list;
    loop {
        let text = mem.read_u32(at)?;
        if text == 0 {
            return Ok(found);
        }
        let text = mem.until_nul(text, MAX_STRING)?;
        *room = room.checked_sub(text.len() + 1 + 4).ok_or(Errno::TOOBIG)?;
        found.push(text.to_vec());
        at = at.checked_add(4).ok_or(Errno::FAULT)?;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Memory(Vec<u8>);

    impl Memory {
        fn new() -> Memory {
            Memory(vec![0; 3 << 20])
        }

        fn words(&mut self, at: usize, words: &[u32]) -> &mut Memory {
            for (index, word) in words.iter().enumerate() {
                self.0[at + index * 4..][..4].copy_from_slice(&word.to_le_bytes());
            }
            self
        }

        fn text(&mut self, at: usize, text: &[u8]) -> &mut Memory {
            self.0[at..at + text.len()].copy_from_slice(text);
            self
        }

        fn request(&mut self) -> Result<Request, Errno> {
            request(&GuestMem::new(&mut self.0), 64)
        }

        fn extras(&mut self) -> Result<(Vec<Action>, Attributes), Errno> {
            spawn_extras(&GuestMem::new(&mut self.0), 64)
        }
    }

    #[test]
    fn a_request_is_read_from_memory() {
        let mut memory = Memory::new();
        memory
            .text(1000, b"/bin/ls\0-l\0A=1\0/bin:/usr/bin\0")
            .words(2000, &[1000, 1008, 0])
            .words(2012, &[1011, 0])
            .words(64, &[1, 1005, 2, 2000, 2012, 1015]);
        let request = memory.request().unwrap();
        assert_eq!(request.target, ExecTarget::Search(b"ls".to_vec()));
        assert_eq!(request.argv, [&b"/bin/ls"[..], b"-l"]);
        assert_eq!(request.env, [b"A=1"]);
        assert_eq!(request.search_path, Some(b"/bin:/usr/bin".to_vec()));
        memory.words(64, &[0, 1000, 7, 2000, 0, 0]);
        let request = memory.request().unwrap();
        assert_eq!(request.target, ExecTarget::Path(b"/bin/ls".to_vec()));
        assert_eq!((request.env.len(), request.search_path), (0, None));
        for (kind, len, expected) in [
            (2, 32, None),
            (2, 31, Some(Errno::INVAL)),
            (3, 7, None),
            (4, 7, Some(Errno::INVAL)),
            (0, 4096, Some(Errno::NAMETOOLONG)),
            (0, u32::MAX, Some(Errno::NAMETOOLONG)),
        ] {
            memory.words(64, &[kind, 1000, len, 2000, 0, 0]);
            assert_eq!(memory.request().err(), expected, "{kind} {len}");
        }
    }

    #[test]
    fn lists_end_inside_memory_and_have_a_limit() {
        let mut memory = Memory::new();
        let end = memory.0.len() as u32;
        memory.words(64, &[0, 0, 0, 0, 0, 0]);
        assert_eq!(memory.request().err(), Some(Errno::INVAL), "no argv");
        memory.text(1000, b"x\0");
        memory
            .words(end as usize - 4, &[1000])
            .words(64, &[0, 0, 0, end - 4, 0, 0]);
        assert_eq!(memory.request().err(), Some(Errno::FAULT), "no end");
        memory
            .words(2000, &[u32::MAX, 0])
            .words(64, &[0, 0, 0, 2000, 0, 0]);
        assert_eq!(memory.request().err(), Some(Errno::FAULT), "text outside");
        // The same text named again and again counts each time.
        let text = vec![b'a'; 100_000];
        memory.text(300_000, &text).words(2000, &[300_000; 21]);
        assert_eq!(memory.request().err(), Some(Errno::TOOBIG));
        memory.words(2000, &[300_000, 0]);
        assert!(memory.request().is_ok());
        memory.text(300_000, &vec![b'a'; 131_072]);
        assert_eq!(memory.request().err(), Some(Errno::TOOBIG), "one too long");
    }

    #[test]
    fn actions_and_attributes_are_read_and_unknown_ones_refused() {
        let mut memory = Memory::new();
        memory
            .text(1000, b"/tmp/out")
            .words(2000, &[0, 5, 0, 0, 0, 0])
            .words(2024, &[1, 3, 1, 0, 0, 0])
            .words(2048, &[2, 0, WRITE | CREATE, 1000, 8, 0o600])
            .words(2072, &[3, 0, 0, 1000, 4, 0])
            .words(2096, &[4, 6, 0, 0, 0, 0])
            .words(2120, &[5, 7, 9, 0, 0, 0])
            .words(64 + 24, &[2000, 6, SET_GROUP | SET_MASK, 9, 2, 0, 4, 0]);
        let (actions, attributes) = memory.extras().unwrap();
        let open = Open::new(WRITE | CREATE, 0o600).unwrap();
        assert_eq!(
            actions,
            [
                Action::Close(5),
                Action::Dup2(3, 1),
                Action::Open(0, b"/tmp/out".to_vec(), open),
                Action::Chdir(b"/tmp".to_vec()),
                Action::Fchdir(6),
                Action::CloseRange(7, 9),
            ]
        );
        assert!(open.request().write && open.request().create && !open.request().read);
        assert_eq!(attributes.group, Group::Of(9));
        assert_eq!(attributes.mask, Some(SigSet::of(2)));
        assert!(attributes.defaults.is_empty());
        for (flags, group) in [
            (0, Group::Inherit),
            (SET_GROUP, Group::Own),
            (SET_SESSION, Group::Session),
        ] {
            memory.words(64 + 24, &[0, 0, flags, 0]);
            assert_eq!(memory.extras().unwrap().1.group, group);
        }
        for flags in [32, SET_GROUP | SET_SESSION, SET_SESSION | FOREGROUND] {
            memory.words(64 + 24, &[0, 0, flags, 0]);
            assert_eq!(memory.extras().err(), Some(Errno::INVAL));
        }
        memory.words(2000, &[6]).words(64 + 24, &[2000, 1, 0, 0]);
        assert_eq!(memory.extras().err(), Some(Errno::INVAL));
        memory.words(2000, &[2, 0, 512]);
        assert_eq!(memory.extras().err(), Some(Errno::INVAL));
        for op in [2, 3] {
            for (len, expected) in [(4095, None), (4096, Some(Errno::NAMETOOLONG))] {
                memory.words(2000, &[op, 0, 0, 1000, len, 0]);
                assert_eq!(memory.extras().err(), expected, "a path of {len}");
            }
        }
        memory.words(64 + 24, &[2000, 4097, 0, 0]);
        assert_eq!(memory.extras().err(), Some(Errno::TOOBIG));
        memory.words(64 + 24, &[u32::MAX - 8, 1, 0, 0]);
        assert_eq!(memory.extras().err(), Some(Errno::FAULT));
    }
}
