//! The calls of preview 1 as a test writes them.

use super::{Arg, Side};
use Arg::{D, W};

/// Where in the guest's memory the arguments go.
const OUT: u32 = 64;
const VECTORS: u32 = 256;
const PATH: u32 = 4096;
const SECOND: u32 = 16384;
const DATA: u32 = 65536;
/// Room for data.
pub const ROOM: u32 = 1 << 20;

/// Bits of the rights word.
pub mod rights {
    pub const READ: u64 = 1 << 1;
    pub const WRITE: u64 = 1 << 6;
    pub const READDIR: u64 = 1 << 14;
    pub const BOTH: u64 = READ | WRITE;
}

pub const CREATE: u32 = 1;
pub const DIRECTORY: u32 = 2;
pub const EXCLUSIVE: u32 = 4;
pub const TRUNCATE: u32 = 8;

/// The errno, or the end of the guest as `u16::MAX`.
pub type Outcome<T> = Result<T, u16>;

/// A `filestat`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stat {
    pub dev: u64,
    pub ino: u64,
    pub kind: u8,
    pub nlink: u64,
    pub size: u64,
    pub atim: u64,
    pub mtim: u64,
}

/// A `dirent` with its name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dirent {
    pub next: u64,
    pub ino: u64,
    pub kind: u8,
    pub name: Vec<u8>,
}

/// The calls, on either side.
pub trait Calls: Side {
    fn raw(&mut self, name: &str, args: &[Arg]) -> Outcome<()> {
        match self.call(name, args) {
            Ok(0) => Ok(()),
            Ok(errno) => Err(errno),
            Err(_) => Err(u16::MAX),
        }
    }

    fn put(&mut self, at: u32, bytes: &[u8]) -> (Arg, Arg) {
        self.memory()[at as usize..][..bytes.len()].copy_from_slice(bytes);
        (W(at), W(bytes.len() as u32))
    }

    fn get(&mut self, at: u32, len: u32) -> Vec<u8> {
        self.memory()[at as usize..][..len as usize].to_vec()
    }

    fn out32(&mut self) -> u32 {
        u32::from_le_bytes(self.get(OUT, 4).try_into().unwrap())
    }

    fn out64(&mut self) -> u64 {
        u64::from_le_bytes(self.get(OUT, 8).try_into().unwrap())
    }

    fn open_full(
        &mut self,
        dir: u32,
        lookup: u32,
        path: &[u8],
        oflags: u32,
        rights: u64,
        flags: u32,
    ) -> Outcome<u32> {
        let (at, len) = self.put(PATH, path);
        let args = [
            W(dir),
            W(lookup),
            at,
            len,
            W(oflags),
            D(rights),
            D(u64::MAX >> 34),
            W(flags),
            W(OUT),
        ];
        self.raw("path_open", &args)?;
        Ok(self.out32())
    }

    fn open(&mut self, path: &str, oflags: u32, rights: u64) -> Outcome<u32> {
        self.open_full(3, 1, path.as_bytes(), oflags, rights, 0)
    }

    fn open_dir(&mut self, path: &str) -> Outcome<u32> {
        self.open(path, DIRECTORY, rights::READDIR)
    }

    fn close(&mut self, fd: u32) -> Outcome<()> {
        self.raw("fd_close", &[W(fd)])
    }

    fn vectors(&mut self, list: &[(u32, u32)]) -> (Arg, Arg) {
        for (number, (start, len)) in list.iter().enumerate() {
            let at = VECTORS + number as u32 * 8;
            self.put(at, &start.to_le_bytes());
            self.put(at + 4, &len.to_le_bytes());
        }
        (W(VECTORS), W(list.len() as u32))
    }

    fn write(&mut self, fd: u32, bytes: &[u8]) -> Outcome<u32> {
        self.put(DATA, bytes);
        let (list, count) = self.vectors(&[(DATA, bytes.len() as u32)]);
        self.raw("fd_write", &[W(fd), list, count, W(OUT)])?;
        Ok(self.out32())
    }

    fn read(&mut self, fd: u32, len: u32) -> Outcome<Vec<u8>> {
        // Two vectors, so that scattering is exercised everywhere.
        let (list, count) = self.vectors(&[(DATA, len / 2), (DATA + len / 2, len - len / 2)]);
        self.raw("fd_read", &[W(fd), list, count, W(OUT)])?;
        let got = self.out32();
        Ok(self.get(DATA, got))
    }

    fn read_one(&mut self, fd: u32, len: u32) -> Outcome<Vec<u8>> {
        let (list, count) = self.vectors(&[(DATA, len)]);
        self.raw("fd_read", &[W(fd), list, count, W(OUT)])?;
        let got = self.out32();
        Ok(self.get(DATA, got))
    }

    fn pwrite(&mut self, fd: u32, bytes: &[u8], at: u64) -> Outcome<u32> {
        self.put(DATA, bytes);
        let (list, count) = self.vectors(&[(DATA, bytes.len() as u32)]);
        self.raw("fd_pwrite", &[W(fd), list, count, D(at), W(OUT)])?;
        Ok(self.out32())
    }

    fn pread(&mut self, fd: u32, len: u32, at: u64) -> Outcome<Vec<u8>> {
        let (list, count) = self.vectors(&[(DATA, len)]);
        self.raw("fd_pread", &[W(fd), list, count, D(at), W(OUT)])?;
        let got = self.out32();
        Ok(self.get(DATA, got))
    }

    fn seek(&mut self, fd: u32, by: i64, whence: u32) -> Outcome<u64> {
        self.raw("fd_seek", &[W(fd), D(by as u64), W(whence), W(OUT)])?;
        Ok(self.out64())
    }

    fn tell(&mut self, fd: u32) -> Outcome<u64> {
        self.raw("fd_tell", &[W(fd), W(OUT)])?;
        Ok(self.out64())
    }

    /// Kind, flags, base and inheriting rights.
    fn fdstat(&mut self, fd: u32) -> Outcome<(u8, u16, u64, u64)> {
        self.raw("fd_fdstat_get", &[W(fd), W(OUT)])?;
        let raw = self.get(OUT, 24);
        let word = |at: usize| u64::from_le_bytes(raw[at..at + 8].try_into().unwrap());
        Ok((
            raw[0],
            u16::from_le_bytes([raw[2], raw[3]]),
            word(8),
            word(16),
        ))
    }

    fn decode_stat(&mut self) -> Stat {
        let raw = self.get(OUT, 64);
        let word = |at: usize| u64::from_le_bytes(raw[at..at + 8].try_into().unwrap());
        Stat {
            dev: word(0),
            ino: word(8),
            kind: raw[16],
            nlink: word(24),
            size: word(32),
            atim: word(40),
            mtim: word(48),
        }
    }

    fn fstat(&mut self, fd: u32) -> Outcome<Stat> {
        self.raw("fd_filestat_get", &[W(fd), W(OUT)])?;
        Ok(self.decode_stat())
    }

    fn stat_at(&mut self, dir: u32, path: &[u8], follow: bool) -> Outcome<Stat> {
        let (at, len) = self.put(PATH, path);
        self.raw(
            "path_filestat_get",
            &[W(dir), W(follow.into()), at, len, W(OUT)],
        )?;
        Ok(self.decode_stat())
    }

    fn stat(&mut self, path: &str) -> Outcome<Stat> {
        self.stat_at(3, path.as_bytes(), true)
    }

    fn lstat(&mut self, path: &str) -> Outcome<Stat> {
        self.stat_at(3, path.as_bytes(), false)
    }

    fn set_times(
        &mut self,
        path: &str,
        follow: bool,
        atim: u64,
        mtim: u64,
        flags: u32,
    ) -> Outcome<()> {
        let (at, len) = self.put(PATH, path.as_bytes());
        let args = [W(3), W(follow.into()), at, len, D(atim), D(mtim), W(flags)];
        self.raw("path_filestat_set_times", &args)
    }

    fn one_path(&mut self, function: &str, dir: u32, path: &[u8]) -> Outcome<()> {
        let (at, len) = self.put(PATH, path);
        self.raw(function, &[W(dir), at, len])
    }

    fn mkdir(&mut self, path: &str) -> Outcome<()> {
        self.one_path("path_create_directory", 3, path.as_bytes())
    }

    fn rmdir(&mut self, path: &str) -> Outcome<()> {
        self.one_path("path_remove_directory", 3, path.as_bytes())
    }

    fn unlink(&mut self, path: &str) -> Outcome<()> {
        self.one_path("path_unlink_file", 3, path.as_bytes())
    }

    fn rename_at(&mut self, from: (u32, &str), to: (u32, &str)) -> Outcome<()> {
        let (at, len) = self.put(PATH, from.1.as_bytes());
        let (to_at, to_len) = self.put(SECOND, to.1.as_bytes());
        self.raw("path_rename", &[W(from.0), at, len, W(to.0), to_at, to_len])
    }

    fn rename(&mut self, from: &str, to: &str) -> Outcome<()> {
        self.rename_at((3, from), (3, to))
    }

    fn link(&mut self, follow: bool, from: &str, to: &str) -> Outcome<()> {
        let (at, len) = self.put(PATH, from.as_bytes());
        let (to_at, to_len) = self.put(SECOND, to.as_bytes());
        self.raw(
            "path_link",
            &[W(3), W(follow.into()), at, len, W(3), to_at, to_len],
        )
    }

    fn symlink(&mut self, target: &str, path: &str) -> Outcome<()> {
        let (at, len) = self.put(SECOND, target.as_bytes());
        let (to_at, to_len) = self.put(PATH, path.as_bytes());
        self.raw("path_symlink", &[at, len, W(3), to_at, to_len])
    }

    fn readlink(&mut self, path: &str, room: u32) -> Outcome<Vec<u8>> {
        let (at, len) = self.put(PATH, path.as_bytes());
        self.raw("path_readlink", &[W(3), at, len, W(DATA), W(room), W(OUT)])?;
        let got = self.out32();
        Ok(self.get(DATA, got))
    }

    /// One call: the raw bytes of the buffer.
    fn readdir_raw(&mut self, fd: u32, cookie: u64, room: u32) -> Outcome<Vec<u8>> {
        self.raw("fd_readdir", &[W(fd), W(DATA), W(room), D(cookie), W(OUT)])?;
        let got = self.out32();
        Ok(self.get(DATA, got))
    }

    /// The whole directory, `room` bytes at a time, as a C library reads it.
    fn readdir(&mut self, fd: u32, room: u32) -> Outcome<Vec<Dirent>> {
        let mut entries: Vec<Dirent> = Vec::new();
        let mut cookie = 0;
        loop {
            let raw = self.readdir_raw(fd, cookie, room)?;
            let mut rest = &raw[..];
            let before = entries.len();
            while rest.len() >= 24 {
                let word = |at: usize| u64::from_le_bytes(rest[at..at + 8].try_into().unwrap());
                let len = u32::from_le_bytes(rest[16..20].try_into().unwrap()) as usize;
                if rest.len() < 24 + len {
                    break;
                }
                entries.push(Dirent {
                    next: word(0),
                    ino: word(8),
                    kind: rest[20],
                    name: rest[24..24 + len].to_vec(),
                });
                rest = &rest[24 + len..];
            }
            if raw.len() < room as usize {
                return Ok(entries);
            }
            assert!(
                entries.len() > before,
                "a buffer of {room} bytes holds no entry"
            );
            cookie = entries.last().unwrap().next;
        }
    }

    /// The names in a directory, sorted, without `.` and `..`.
    fn names(&mut self, path: &str) -> Outcome<Vec<String>> {
        let fd = self.open_dir(path)?;
        let listed = self.readdir(fd, 4096);
        self.close(fd)?;
        let mut names: Vec<String> = listed?
            .into_iter()
            .map(|entry| String::from_utf8_lossy(&entry.name).into_owned())
            .filter(|name| name != "." && name != "..")
            .collect();
        names.sort();
        Ok(names)
    }

    /// The contents of a file.
    fn cat(&mut self, path: &str) -> Outcome<Vec<u8>> {
        let fd = self.open(path, 0, rights::READ)?;
        let mut all = Vec::new();
        loop {
            match self.read(fd, 4096) {
                Ok(bytes) if bytes.is_empty() => break,
                Ok(bytes) => all.extend(bytes),
                Err(error) => {
                    self.close(fd)?;
                    return Err(error);
                }
            }
        }
        self.close(fd)?;
        Ok(all)
    }

    /// Makes or replaces a file.
    fn save(&mut self, path: &str, bytes: &[u8]) -> Outcome<()> {
        let fd = self.open(path, CREATE | TRUNCATE, rights::WRITE)?;
        let written = self.write(fd, bytes);
        self.close(fd)?;
        assert_eq!(written? as usize, bytes.len());
        Ok(())
    }
}

impl<S: Side + ?Sized> Calls for S {}
