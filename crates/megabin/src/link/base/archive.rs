//! Reads the members of a static library (`ar`), as GNU and LLVM write them, and BSD.

use super::error::LibraryError;

const MAGIC: &[u8] = b"!<arch>\n";
const HEADER: usize = 60;

/// The object files of an archive, in its order; indexes and name tables are left out.
pub(super) fn members(archive: &[u8]) -> Result<Vec<&[u8]>, LibraryError> {
    let Some(mut rest) = archive.strip_prefix(MAGIC) else {
        return Err(LibraryError::NotAnArchive);
    };
    let mut members = Vec::new();
    while !rest.is_empty() {
        let (header, after) = rest
            .split_at_checked(HEADER)
            .ok_or(LibraryError::Truncated)?;
        let size = std::str::from_utf8(&header[48..58])
            .ok()
            .and_then(|digits| digits.trim_end().parse::<usize>().ok())
            .filter(|_| header.ends_with(b"`\n"))
            .ok_or(LibraryError::Header)?;
        let (contents, after) = after
            .split_at_checked(size)
            .ok_or(LibraryError::Truncated)?;
        let name = header[..16].trim_ascii_end();
        match bsd_name(name, contents) {
            Some((name, contents)) if !is_index(name) => members.push(contents),
            Some(_) => {}
            None => return Err(LibraryError::Header),
        }
        // Members start at even places; the last one's padding may be missing.
        rest = after.get(size % 2..).unwrap_or_default();
    }
    Ok(members)
}

/// BSD writes a long name before the contents. Gives the name, and the contents without it.
fn bsd_name<'a>(name: &'a [u8], contents: &'a [u8]) -> Option<(&'a [u8], &'a [u8])> {
    let Some(length) = name.strip_prefix(b"#1/") else {
        return Some((name, contents));
    };
    let length = std::str::from_utf8(length).ok()?.parse().ok()?;
    contents.split_at_checked(length)
}

fn is_index(name: &[u8]) -> bool {
    matches!(name, b"/" | b"//" | b"/SYM64/") || name.starts_with(b"__.SYMDEF")
}

#[cfg(test)]
#[allow(clippy::unwrap_used)] // A failed unwrap is a failed test.
mod tests {
    use super::*;

    fn member(name: &str, contents: &[u8]) -> Vec<u8> {
        let mut out = format!("{name:<16}{:<32}{:<10}`\n", "0", contents.len()).into_bytes();
        out.extend_from_slice(contents);
        if contents.len() % 2 == 1 {
            out.push(b'\n');
        }
        out
    }

    #[test]
    fn members_are_found_and_indexes_left_out() {
        let archive = [
            MAGIC.to_vec(),
            member("/", b"index"),
            member("//", b"long/\n"),
            member("a.o/", b"odd"),
            member("/0", b"even"),
            member("#1/4", b"nameBSD"),
        ];
        let expected: [&[u8]; 3] = [b"odd", b"even", b"BSD"];
        assert_eq!(members(&archive.concat()).unwrap(), expected);
    }

    #[test]
    fn what_is_damaged_is_refused() {
        assert!(matches!(members(b"\0asm"), Err(LibraryError::NotAnArchive)));
        let archive = [MAGIC.to_vec(), member("a.o/", b"1234")].concat();
        for len in MAGIC.len() + 1..archive.len() {
            assert!(members(&archive[..len]).is_err(), "{len} bytes");
        }
        let mut wrong = archive.clone();
        wrong[MAGIC.len() + 50] = b'x';
        assert!(matches!(members(&wrong), Err(LibraryError::Header)));
    }
}
