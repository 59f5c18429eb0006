//! Bytes in memory files that nobody can change.

use std::fs::File;
use std::io::{Seek, Write};
use std::os::fd::OwnedFd;

use rustix::fs::{MemfdFlags, SealFlags};

use crate::failure::{Doing, Failure};

/// Copies bytes to a sealed memory file, positioned at its start.
pub fn seal(name: &str, bytes: &[u8]) -> Result<OwnedFd, Failure> {
    let doing = || format!("copying the {name} to sealed memory");
    let memfd = rustix::fs::memfd_create(name, MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING)
        .doing(doing)?;
    let mut file = File::from(memfd);
    file.write_all(bytes)
        .and_then(|()| file.rewind())
        .doing(doing)?;
    let seals = SealFlags::WRITE | SealFlags::SHRINK | SealFlags::GROW | SealFlags::SEAL;
    rustix::fs::fcntl_add_seals(&file, seals).doing(doing)?;
    Ok(file.into())
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use super::*;

    #[test]
    fn what_is_sealed_stays_as_it_is() {
        let mut file = File::from(seal("test", b"abc").unwrap());
        assert!(file.write_all(b"x").is_err());
        assert!(file.set_len(0).is_err() && file.set_len(10).is_err());
        let mut text = String::new();
        file.rewind().unwrap();
        file.read_to_string(&mut text).unwrap();
        assert_eq!(text, "abc");
    }
}
