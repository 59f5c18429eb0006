//! The bytes of an executable: their digest, and for a script a copy nobody can change.
//!
//! A file is a ticket for a program, or data for one. Tickets are never read again, so a change
//! after hashing changes nothing. A script is read by its interpreter: it gets the very bytes that
//! were hashed, from a sealed copy.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use megabinary::digest::Digest;
use rustix::fs::{MemfdFlags, SealFlags, fcntl_add_seals, memfd_create};
use sha2::{Digest as _, Sha256};

use super::Executable;
use crate::errno::Errno;
use crate::plan::Target;

/// The largest script there may be, in bytes: its copy is memory.
pub const MAX_SCRIPT: usize = 16 << 20;

/// A smaller file is read without an allocation: every ticket is.
const SMALL: usize = 1 << 10;

/// Bounds of one read of another, in bytes.
const MIN_CHUNK: usize = 4 << 10;
const MAX_CHUNK: usize = 128 << 10;

/// What files that stand for a program begin with: tickets, and originals kept in the root.
const PROGRAM_MAGIC: [&[u8]; 3] = [b"#!megabinary ", b"\0asm", b"\x7fELF"];

/// A file's digest, and its bytes where they may be a script's.
pub struct Contents {
    digest: Digest,
    kind: Kind,
}

enum Kind {
    /// Stands for a program.
    Program,
    /// The whole file, and exactly what was hashed.
    Data(Vec<u8>),
    /// Neither a program's nor a script's.
    TooLarge,
}

impl Contents {
    /// Reads the whole of the file once. A file may be larger than anybody waits for: `EINTR` as
    /// soon as `given_up` says so.
    pub fn read(executable: &Executable, given_up: impl Fn() -> bool) -> Result<Contents, Errno> {
        if given_up() {
            return Err(Errno::INTR);
        }
        let file = executable.fd.as_fd();
        let size = usize::try_from(executable.size).unwrap_or(usize::MAX);
        if size < SMALL {
            let mut buffer = [0; SMALL];
            let read = rustix::io::retry_on_intr(|| rustix::io::pread(file, &mut buffer, 0))?;
            // As many bytes as it has, and then no more: the whole of it.
            if read == size {
                return Ok(Contents::whole(&buffer[..read]));
            }
        }
        // One more than the size, so that the first read sees the end of a small file.
        let chunk = size.saturating_add(1).clamp(MIN_CHUNK, MAX_CHUNK);
        let mut buffer = vec![0; chunk];
        let first = fill(file, 0, &mut buffer)?;
        if first < chunk {
            return Ok(Contents::whole(&buffer[..first]));
        }
        let mut hash = Sha256::new();
        let mut kind = if is_program(&buffer) {
            Kind::Program
        } else {
            Kind::Data(Vec::new())
        };
        let (mut len, mut at) = (first, 0);
        loop {
            hash.update(&buffer[..len]);
            if let Kind::Data(data) = &mut kind {
                if data.len() + len > MAX_SCRIPT {
                    kind = Kind::TooLarge;
                } else {
                    data.extend_from_slice(&buffer[..len]);
                }
            }
            if given_up() {
                return Err(Errno::INTR);
            }
            if len < chunk {
                let digest = Digest::from_bytes(hash.finalize().into());
                return Ok(Contents { digest, kind });
            }
            at += len as u64;
            len = fill(file, at, &mut buffer)?;
        }
    }

    /// A file of these bytes.
    fn whole(bytes: &[u8]) -> Contents {
        Contents {
            digest: Digest::of(bytes),
            kind: match is_program(bytes) {
                true => Kind::Program,
                false => Kind::Data(bytes.to_vec()),
            },
        }
    }

    /// SHA-256 of the file.
    pub fn digest(&self) -> &Digest {
        &self.digest
    }

    /// The sealed copy, if the file is a script for `target`'s program.
    ///
    /// It is one when it is no program's file and its entry point belongs to another digest as
    /// well, its interpreter's. A file that alone has its entry point stands for that program,
    /// whatever it holds: roots that exist already have shell scripts which a program replaces.
    pub fn script_for(self, target: &Target<'_>) -> Result<Option<OwnedFd>, Errno> {
        match self.kind {
            _ if !target.shares_entry() => Ok(None),
            Kind::Program => Ok(None),
            Kind::Data(bytes) => seal(&bytes).map(Some),
            Kind::TooLarge => Err(Errno::FBIG),
        }
    }
}

/// Whether a file that begins with these bytes stands for a program.
fn is_program(start: &[u8]) -> bool {
    PROGRAM_MAGIC.iter().any(|magic| start.starts_with(magic))
}

/// Reads from `at` until the buffer is full or the file ends.
fn fill(file: BorrowedFd<'_>, at: u64, buffer: &mut [u8]) -> Result<usize, Errno> {
    let mut len = 0;
    while len < buffer.len() {
        match rustix::io::pread(file, &mut buffer[len..], at + len as u64) {
            Ok(0) => break,
            Ok(read) => len += read,
            Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(len)
}

/// A memory file with these bytes, which nobody can change any more.
fn seal(bytes: &[u8]) -> Result<OwnedFd, Errno> {
    let file = memfd_create("script", MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING)?;
    let mut rest = bytes;
    while !rest.is_empty() {
        let written = rustix::io::write(&file, rest)?;
        rest = &rest[written..];
    }
    rustix::fs::seek(&file, rustix::fs::SeekFrom::Start(0))?;
    let all = SealFlags::SEAL | SealFlags::SHRINK | SealFlags::GROW | SealFlags::WRITE;
    fcntl_add_seals(&file, all)?;
    Ok(file)
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    fn read(bytes: &[u8]) -> Contents {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(bytes).unwrap();
        read_with_size(file, bytes.len() as u64)
    }

    fn read_with_size(file: std::fs::File, size: u64) -> Contents {
        let executable = Executable {
            fd: std::sync::Arc::new(file.into()),
            path: Vec::new(),
            size,
        };
        Contents::read(&executable, || false).unwrap()
    }

    #[test]
    fn the_digest_is_of_every_byte_whatever_size_was_seen_before() {
        for len in [0, 100, SMALL - 1, SMALL, MIN_CHUNK, MAX_CHUNK + 1] {
            for size in [
                0,
                1,
                100,
                SMALL as u64 - 1,
                MIN_CHUNK as u64,
                1 << 20,
                u64::MAX,
            ] {
                let bytes = vec![7; len];
                let mut file = tempfile::tempfile().unwrap();
                file.write_all(&bytes).unwrap();
                let contents = read_with_size(file, size);
                assert_eq!(contents.digest(), &Digest::of(&bytes), "{len} as {size}");
            }
        }
    }

    #[test]
    fn the_digest_is_of_every_byte_whatever_the_length() {
        for len in [
            0,
            1,
            SMALL - 1,
            SMALL,
            MIN_CHUNK - 1,
            MIN_CHUNK,
            MAX_CHUNK - 1,
            MAX_CHUNK,
            MAX_CHUNK + 1,
            3 * MAX_CHUNK + 7,
        ] {
            let bytes: Vec<u8> = (0..len).map(|at| (at % 251) as u8).collect();
            let contents = read(&bytes);
            assert_eq!(contents.digest(), &Digest::of(&bytes), "length {len}");
            assert!(
                matches!(contents.kind, Kind::Data(data) if data == bytes),
                "length {len}"
            );
        }
    }

    #[test]
    fn programs_are_told_from_data_by_their_first_bytes() {
        for program in [
            &b"#!megabinary /usr/bin/ls sha256:00\n"[..],
            b"\0asm\x01\0\0\0",
            b"\x7fELF\x02",
        ] {
            assert!(matches!(read(program).kind, Kind::Program));
        }
        for data in [&b"#!/usr/bin/python3\n"[..], b"#!megabinaryx", b"\0as", b""] {
            assert!(matches!(read(data).kind, Kind::Data(_)));
        }
        let mut large = vec![b' '; MAX_SCRIPT + 1];
        assert!(matches!(read(&large).kind, Kind::TooLarge));
        large[..4].copy_from_slice(b"\0asm");
        assert!(matches!(read(&large).kind, Kind::Program));
    }

    #[test]
    fn a_sealed_copy_cannot_be_changed() {
        let file = seal(b"print(1)").unwrap();
        assert!(rustix::io::pwrite(&file, b"X", 0).is_err());
        assert!(rustix::fs::ftruncate(&file, 0).is_err());
        let mut bytes = [0; 16];
        assert_eq!(rustix::io::read(&file, &mut bytes), Ok(8));
        assert_eq!(&bytes[..8], b"print(1)");
    }
}
