//! Moving bytes: one system call of the host per call of the guest.
//!
//! Calls that may wait fail with `EINTR` on a signal, which is how a process is ended there; the
//! caller decides whether to try again ([`crate::kill`]).

use std::os::fd::{AsFd, AsRawFd};
use std::slice;

use rustix::fs::{Advice, FallocateFlags, SeekFrom};

use super::open::StatusFlags;
use super::{Result, kind::FileKind, procfd::host_limit};
use crate::descriptor::HostFile;
use crate::errno::Errno;
use crate::wasi::memory::Iovecs;

/// The most bytes Linux moves in one call; also keeps a transfer's size inside an `i32`.
const MAX_TRANSFER: u64 = 0x7fff_f000;

fn count(moved: libc::ssize_t) -> Result<u32> {
    // Linux moves at most `MAX_TRANSFER` bytes, which a `u32` holds.
    u32::try_from(moved).map_err(|_| Errno::last())
}

fn offset(at: u64) -> Result<libc::off_t> {
    libc::off_t::try_from(at).map_err(|_| Errno::INVAL)
}

/// `fd_read`.
#[inline]
pub fn read(file: &HostFile, into: &Iovecs<'_>) -> Result<u32> {
    let vectors = into.as_slice();
    if let [one] = vectors
        && one.iov_len > 0
    {
        // SAFETY: the vector is a range of the guest's memory, which `into` borrows mutably, and
        // the only one that does.
        let bytes = unsafe { slice::from_raw_parts_mut(one.iov_base.cast::<u8>(), one.iov_len) };
        return moved(rustix::io::read(file.fd(), bytes));
    }
    // SAFETY: each vector is a range of the guest's memory, which `into` borrows mutably.
    count(unsafe {
        libc::readv(
            file.fd().as_raw_fd(),
            vectors.as_ptr(),
            vectors.len() as i32,
        )
    })
}

/// `fd_write`.
#[inline]
pub fn write(file: &HostFile, from: &Iovecs<'_>) -> Result<u32> {
    let vectors = from.as_slice();
    // What libraries mostly ask for, and what costs least. Not with nothing to write, which is
    // nothing for `writev` and an empty message for `write`.
    if let [one] = vectors
        && one.iov_len > 0
    {
        // SAFETY: the vector is a range of the guest's memory, which `from` borrows.
        let bytes = unsafe { slice::from_raw_parts(one.iov_base.cast::<u8>(), one.iov_len) };
        return moved(rustix::io::write(file.fd(), bytes));
    }
    // SAFETY: each vector is a range of the guest's memory, which `from` borrows.
    count(unsafe {
        libc::writev(
            file.fd().as_raw_fd(),
            vectors.as_ptr(),
            vectors.len() as i32,
        )
    })
}

#[inline]
fn moved(bytes: rustix::io::Result<usize>) -> Result<u32> {
    // Linux moves at most `MAX_TRANSFER` bytes, which a `u32` holds.
    Ok(bytes? as u32)
}

/// `fd_pread`: from `at`, leaving the offset where it is; `ESPIPE` where there is none.
pub fn pread(file: &HostFile, into: &Iovecs<'_>, at: u64) -> Result<u32> {
    let (vectors, at) = (into.as_slice(), offset(at)?);
    // SAFETY: as in `read`.
    count(unsafe {
        libc::preadv(
            file.fd().as_raw_fd(),
            vectors.as_ptr(),
            vectors.len() as i32,
            at,
        )
    })
}

/// `fd_pwrite`: at `at`, leaving the offset where it is; at the end if the file is open for
/// appending, as on Linux.
pub fn pwrite(file: &HostFile, from: &Iovecs<'_>, at: u64) -> Result<u32> {
    let (vectors, at) = (from.as_slice(), offset(at)?);
    // SAFETY: as in `write`.
    count(unsafe {
        libc::pwritev(
            file.fd().as_raw_fd(),
            vectors.as_ptr(),
            vectors.len() as i32,
            at,
        )
    })
}

/// How much of a write of `len` bytes at `at` a file size limit allows: `EFBIG` if nothing.
/// `at` is nothing for a write at the file's own offset or, when appending, at its end.
pub fn within_limit(file: &HostFile, len: u64, at: Option<u64>, limit: u64) -> Result<u64> {
    if file.kind() != FileKind::Regular || len == 0 {
        return Ok(len);
    }
    let appends = status_flags(file)?.append;
    let start = match at {
        _ if appends => rustix::fs::fstat(file.fd())?.st_size as u64,
        Some(at) => at,
        None => rustix::fs::tell(file.fd())?,
    };
    if start >= limit {
        return Err(Errno::FBIG);
    }
    Ok(len.min(limit - start).min(MAX_TRANSFER))
}

/// `fd_seek`: `whence` is 0 for the start, 1 for the offset, 2 for the end. Gives the offset.
pub fn seek(file: &HostFile, by: i64, whence: u32) -> Result<u64> {
    // A directory's offset belongs to its listing.
    if file.kind() == FileKind::Directory {
        return Err(Errno::BADF);
    }
    let to = match whence {
        0 => SeekFrom::Start(u64::try_from(by).map_err(|_| Errno::INVAL)?),
        1 => SeekFrom::Current(by),
        2 => SeekFrom::End(by),
        _ => return Err(Errno::INVAL),
    };
    if file.is_terminal() {
        return Err(Errno::SPIPE);
    }
    Ok(rustix::fs::seek(file.fd(), to)?)
}

/// `fd_advise`: the advice of preview 1 in its order. Advice on what is no file changes nothing.
pub fn advise(file: &HostFile, start: u64, len: u64, advice: u32) -> Result<()> {
    let advice = match advice {
        0 => Advice::Normal,
        1 => Advice::Sequential,
        2 => Advice::Random,
        3 => Advice::WillNeed,
        4 => Advice::DontNeed,
        5 => Advice::NoReuse,
        _ => return Err(Errno::INVAL),
    };
    if file.kind() == FileKind::Directory {
        return Err(Errno::BADF);
    }
    offset(start)?;
    offset(len)?;
    Ok(rustix::fs::fadvise(
        file.fd(),
        start,
        std::num::NonZeroU64::new(len),
        advice,
    )?)
}

/// `fd_allocate`: makes room for `start..start + len`, growing the file if it is shorter.
pub fn allocate(file: &HostFile, start: u64, len: u64, limit: u64) -> Result<()> {
    let end = start.checked_add(len).ok_or(Errno::FBIG)?;
    offset(end).map_err(|_| Errno::FBIG)?;
    if end > limit && file.kind() == FileKind::Regular {
        return Err(Errno::FBIG);
    }
    Ok(rustix::fs::fallocate(
        file.fd(),
        FallocateFlags::empty(),
        start,
        len,
    )?)
}

/// `fd_filestat_set_size`.
pub fn set_size(file: &HostFile, size: u64, limit: u64) -> Result<()> {
    offset(size)?;
    if size > limit && file.kind() == FileKind::Regular {
        return Err(Errno::FBIG);
    }
    Ok(rustix::fs::ftruncate(file.fd(), size)?)
}

/// `fd_sync`.
pub fn sync(file: &HostFile) -> Result<()> {
    Ok(rustix::fs::fsync(file.fd())?)
}

/// `fd_datasync`.
pub fn datasync(file: &HostFile) -> Result<()> {
    Ok(rustix::fs::fdatasync(file.fd())?)
}

/// The status flags of an open file.
pub fn status_flags(file: &HostFile) -> Result<StatusFlags> {
    if file.is_untouched() {
        return Ok(StatusFlags::default());
    }
    Ok(StatusFlags::of(rustix::fs::fcntl_getfl(file.fd())?))
}

/// `fd_fdstat_set_flags`. Whether writes wait for the disk was decided when the file was opened:
/// asking for a change is `ENOTSUP`.
pub fn set_status_flags(file: &HostFile, wanted: StatusFlags) -> Result<()> {
    let now = status_flags(file)?;
    if (wanted.dsync, wanted.sync) != (now.dsync, now.sync) {
        return Err(Errno::NOTSUP);
    }
    Ok(rustix::fs::fcntl_setfl(file.fd(), wanted.host())?)
}

/// A second host descriptor for the same open file.
pub fn duplicate(file: &HostFile) -> Result<std::os::fd::OwnedFd> {
    rustix::io::fcntl_dupfd_cloexec(file.fd().as_fd(), 0).map_err(host_limit)
}
