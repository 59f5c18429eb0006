//! Tar archives whose bytes follow from their contents alone: POSIX ustar, with pax records where a
//! name or a size does not fit.

use std::io::{self, Read, Write};

const BLOCK: usize = 512;
/// The largest number in a field of twelve octal digits.
const MAX_OCTAL: u64 = 0o77_777_777_777;

/// What an entry is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Kind {
    /// A folder; its name ends in `/`.
    Folder,
    /// A symbolic link and what it points to.
    Link(Vec<u8>),
    /// A file with this many bytes.
    File(u64),
}

/// The head of an entry. Owner and group are always root.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Head {
    /// Its name, relative, without `.` and `..`.
    pub name: Vec<u8>,
    /// Permissions: the lowest twelve bits.
    pub mode: u32,
    /// Seconds since 1970; a time outside what tar can say becomes the nearest it can.
    pub time: i64,
    /// What it is.
    pub kind: Kind,
}

/// Writes the head of an entry; a file's bytes must follow, by [`contents`].
pub fn head(out: &mut impl Write, head: &Head) -> io::Result<()> {
    let mut records = Vec::new();
    let (link, size, flag) = match &head.kind {
        Kind::Folder => (&[][..], 0, b'5'),
        Kind::Link(target) => (&target[..], 0, b'2'),
        Kind::File(size) => (&[][..], *size, b'0'),
    };
    if head.name.len() > 100 {
        record(&mut records, "path", &head.name);
    }
    if link.len() > 100 {
        record(&mut records, "linkpath", link);
    }
    if size > MAX_OCTAL {
        record(&mut records, "size", size.to_string().as_bytes());
    }
    if !records.is_empty() {
        let length = records.len() as u64;
        out.write_all(&block(b"pax", 0o644, length, 0, b'x', b""))?;
        contents(out, &mut &records[..], length)?;
    }
    let time = u64::try_from(head.time).unwrap_or(0).min(MAX_OCTAL);
    let size = size.min(MAX_OCTAL);
    out.write_all(&block(&head.name, head.mode, size, time, flag, link))
}

/// Writes exactly `size` bytes of `from`, filled up to whole blocks.
///
/// # Errors
/// Also when `from` has another size: the file changed while it was archived.
pub fn contents(out: &mut impl Write, from: &mut impl Read, size: u64) -> io::Result<()> {
    let copied = io::copy(&mut from.take(size), out)?;
    if copied != size || from.read(&mut [0])? != 0 {
        return Err(io::Error::other("its size changed while it was read"));
    }
    let rest = (size % BLOCK as u64) as usize;
    match rest {
        0 => Ok(()),
        _ => out.write_all(&[0; BLOCK][rest..]),
    }
}

/// Ends the archive.
pub fn end(out: &mut impl Write) -> io::Result<()> {
    out.write_all(&[0; 2 * BLOCK])
}

/// One header block. Names and links that are too long are cut; a pax record before has them whole.
fn block(name: &[u8], mode: u32, size: u64, time: u64, flag: u8, link: &[u8]) -> [u8; BLOCK] {
    let mut block = [0; BLOCK];
    let mut put = |at: usize, length: usize, bytes: &[u8]| {
        let length = length.min(bytes.len());
        block[at..at + length].copy_from_slice(&bytes[..length]);
    };
    put(0, 100, name);
    put(100, 8, format!("{:07o}", mode & 0o7777).as_bytes());
    put(108, 8, b"0000000");
    put(116, 8, b"0000000");
    put(124, 12, format!("{size:011o}").as_bytes());
    put(136, 12, format!("{time:011o}").as_bytes());
    put(148, 8, b"        ");
    put(156, 1, &[flag]);
    put(157, 100, link);
    put(257, 8, b"ustar\x0000");
    let sum: u32 = block.iter().map(|byte| u32::from(*byte)).sum();
    block[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    block
}

/// Adds a pax record: its own length in decimal, a space, `key=value`, a newline.
fn record(records: &mut Vec<u8>, key: &str, value: &[u8]) {
    let rest = key.len() + value.len() + 3;
    let mut length = rest;
    // The length counts its own digits.
    while length != rest + length.to_string().len() {
        length = rest + length.to_string().len();
    }
    records.extend(format!("{length} {key}=").into_bytes());
    records.extend(value);
    records.push(b'\n');
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(name: &[u8], bytes: &[u8]) -> Vec<u8> {
        let mut out = Vec::new();
        let entry = Head {
            name: name.to_vec(),
            mode: 0o644,
            time: -5,
            kind: Kind::File(bytes.len() as u64),
        };
        head(&mut out, &entry).unwrap();
        contents(&mut out, &mut &bytes[..], bytes.len() as u64).unwrap();
        out
    }

    #[test]
    fn an_entry_is_whole_blocks_with_a_sound_checksum() {
        let out = file(b"a/b", b"hello");
        assert_eq!(out.len(), 2 * BLOCK);
        assert_eq!(&out[257..265], b"ustar\x0000");
        let stated = std::str::from_utf8(&out[148..154]).unwrap();
        let sum: u32 = out[..148]
            .iter()
            .chain(&out[156..BLOCK])
            .map(|b| u32::from(*b))
            .sum();
        assert_eq!(u32::from_str_radix(stated, 8).unwrap(), sum + 8 * 32);
        assert_eq!(&out[136..147], b"00000000000");
        assert_eq!(file(b"a", &[0; BLOCK]).len(), 2 * BLOCK);
    }

    #[test]
    fn a_long_name_is_in_a_record_that_counts_itself() {
        for length in [101, 90 + 997, 4095] {
            let name = vec![b'n'; length];
            let out = file(&name, b"");
            assert_eq!(out[156], b'x');
            let text = String::from_utf8(out[BLOCK..].to_vec()).unwrap();
            let record = text.split('\n').next().unwrap();
            let (stated, rest) = record.split_once(' ').unwrap();
            assert_eq!(stated.parse::<usize>().unwrap(), record.len() + 1);
            assert_eq!(rest, format!("path={}", "n".repeat(length)));
        }
    }

    #[test]
    fn a_file_that_changes_its_size_is_an_error() {
        for (bytes, size) in [(&b"abc"[..], 2), (b"abc", 4)] {
            assert!(contents(&mut Vec::new(), &mut &bytes[..], size).is_err());
        }
    }
}
