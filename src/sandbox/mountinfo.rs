//! A process's table of mounts, as `/proc/<pid>/mountinfo` has it (proc_pid_mountinfo(5)).

use std::borrow::Cow;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use crate::failure::{Doing, Failure};

/// This process's table. Bytes: a path need not be UTF-8.
pub fn own() -> Result<Vec<u8>, Failure> {
    std::fs::read("/proc/self/mountinfo").doing(|| "reading /proc/self/mountinfo")
}

/// A mount.
#[derive(Debug, PartialEq, Eq)]
pub struct Mount<'a> {
    /// Its number.
    pub id: u64,
    /// The number of the mount that it is on.
    pub parent: u64,
    /// What of its file system is mounted, with its escapes.
    pub root: &'a [u8],
    /// Where.
    pub point: Cow<'a, Path>,
    /// The type of its file system.
    pub kind: &'a [u8],
    /// The options of its file system.
    pub options: &'a [u8],
}

/// The mounts of a table, in its order; lines that are none are passed over.
pub fn mounts(table: &[u8]) -> impl DoubleEndedIterator<Item = Mount<'_>> {
    table.split(|byte| *byte == b'\n').filter_map(mount)
}

fn mount(line: &[u8]) -> Option<Mount<'_>> {
    // id parent dev root point options optional... - type source super-options
    let mut fields = line.split(|byte| *byte == b' ');
    let (id, parent) = (number(fields.next()?)?, number(fields.next()?)?);
    let (root, point) = (fields.nth(1)?, fields.next()?);
    fields.find(|field| *field == b"-")?;
    let (kind, options) = (fields.next()?, fields.nth(1)?);
    Some(Mount {
        id,
        parent,
        root,
        point: unescaped(point),
        kind,
        options,
    })
}

fn number(field: &[u8]) -> Option<u64> {
    std::str::from_utf8(field).ok()?.parse().ok()
}

/// Undoes the escapes: a backslash and three octal digits for a byte.
fn unescaped(path: &[u8]) -> Cow<'_, Path> {
    if !path.contains(&b'\\') {
        return Cow::Borrowed(Path::new(OsStr::from_bytes(path)));
    }
    let mut plain = Vec::with_capacity(path.len());
    let mut rest = path;
    while let [first, after @ ..] = rest {
        let digits = after.get(..3).filter(|_| *first == b'\\');
        let digits = digits.and_then(|digits| std::str::from_utf8(digits).ok());
        match digits.and_then(|digits| u8::from_str_radix(digits, 8).ok()) {
            Some(byte) => {
                plain.push(byte);
                rest = &after[3..];
            }
            None => {
                plain.push(*first);
                rest = after;
            }
        }
    }
    Cow::Owned(OsStr::from_bytes(&plain).into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn optional_fields_may_be_none_or_many() {
        let table = b"22 1 0:21 / /a rw - proc proc rw,x\n23 22 8:1 /r /b rw shared:1 master:2 - ext4 /dev/x ro\n";
        let found: Vec<_> = mounts(table).collect();
        assert_eq!(found.len(), 2);
        assert_eq!((found[0].id, found[0].parent), (22, 1));
        assert_eq!(
            (found[0].kind, found[0].options),
            (&b"proc"[..], &b"rw,x"[..])
        );
        assert_eq!(
            (found[1].root, &*found[1].point),
            (&b"/r"[..], Path::new("/b"))
        );
        assert_eq!(
            (found[1].kind, found[1].options),
            (&b"ext4"[..], &b"ro"[..])
        );
    }

    #[test]
    fn places_have_their_own_names_whatever_bytes_they_are_of() {
        let table = b"1 2 0:1 / /a\\040b\\134040\\011\\012\xe9 rw - proc proc rw\n";
        let found = mounts(table).next().unwrap();
        assert_eq!(found.point.as_os_str().as_bytes(), b"/a b\\040\t\n\xe9");
    }

    #[test]
    fn lines_that_are_no_mounts_are_passed_over() {
        for line in [
            &b""[..],
            b"x y z",
            b"1 2 0:1 / /a rw",
            b"1 2 0:1 / /a rw - proc",
        ] {
            assert_eq!(mounts(line).next(), None);
        }
        // A backslash at the end, and one that is no escape.
        assert_eq!(&*unescaped(b"/a\\"), Path::new("/a\\"));
        assert_eq!(&*unescaped(b"/a\\9999"), Path::new("/a\\9999"));
    }
}
