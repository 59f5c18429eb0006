//! `path_open`.

use crate::errno::Errno;
use crate::fs::open::OpenRequest;
use crate::fs::rights::FdRights;
use crate::host::HostLinker;
use crate::host_fn;
use crate::process::HostResult;
use crate::rights::HostCall;
use crate::wasi::HostCx;
use crate::wasi::fd_meta::decode_flags;
use crate::wasi::paths::{self, PathArg};

/// Offers this family's functions.
pub fn register(linker: &mut HostLinker<'_>) -> wasmtime::Result<()> {
    host_fn!(
        linker,
        PathOpen,
        path_open(
            dir: u32,
            lookup: u32,
            path: u32,
            len: u32,
            oflags: u32,
            base: u64,
            inheriting: u64,
            fdflags: u32,
            opened: u32
        )
    );
    Ok(())
}

const CREATE: u32 = 1;
const DIRECTORY: u32 = 2;
const EXCLUSIVE: u32 = 4;
const TRUNCATE: u32 = 8;

/// What the words of the call ask for; unknown bits are `EINVAL`.
///
/// Reading or writing follows the wanted rights, as libraries for preview 1 set them: `fd_read`
/// or `fd_readdir` for reading, `fd_write` for writing, neither for reading.
fn decode(lookup: u32, oflags: u32, base: u64, fdflags: u32) -> Result<OpenRequest, Errno> {
    if lookup & !1 != 0 || oflags & !(CREATE | DIRECTORY | EXCLUSIVE | TRUNCATE) != 0 {
        return Err(Errno::INVAL);
    }
    let rights = FdRights::from_raw(base);
    let write = rights.intersects(FdRights::WRITE);
    Ok(OpenRequest {
        follow: lookup & 1 != 0,
        create: oflags & CREATE != 0,
        exclusive: oflags & EXCLUSIVE != 0,
        directory: oflags & DIRECTORY != 0,
        truncate: oflags & TRUNCATE != 0,
        read: !write || rights.intersects(FdRights::READ.with(FdRights::READDIR)),
        write,
        status: decode_flags(fdflags)?,
        mode: 0o666,
    })
}

// The function has nine arguments because the interface has.
#[allow(clippy::too_many_arguments, reason = "the signature is preview 1's")]
fn path_open(
    cx: &mut HostCx<'_>,
    dir: u32,
    lookup: u32,
    path: u32,
    len: u32,
    oflags: u32,
    base: u64,
    _inheriting: u64,
    fdflags: u32,
    opened: u32,
) -> HostResult {
    let request = decode(lookup, oflags, base, fdflags)?;
    if request.write && !request.directory {
        cx.proc.require(HostCall::PathOpenWrite)?;
    }
    if request.create {
        cx.proc.require(HostCall::PathOpenCreate)?;
    }
    if request.truncate {
        cx.proc.require(HostCall::PathOpenTruncate)?;
    }
    let descriptor = paths::open(cx, PathArg { dir, path, len }, &request)?;
    // Told before it is in the table: a bad address leaves nothing open.
    cx.mem.read_u32(opened)?;
    let fd = cx.proc.fds.insert(descriptor)?;
    Ok(cx.mem.write_u32(opened, fd)?)
}

#[cfg(test)]
mod tests {
    use super::decode;
    use crate::errno::Errno;

    #[test]
    fn rights_choose_the_access_mode() {
        let mode = |base| {
            decode(0, 0, base, 0)
                .map(|request| (request.read, request.write))
                .unwrap()
        };
        assert_eq!(mode(0), (true, false));
        assert_eq!(mode(1 << 1), (true, false));
        assert_eq!(mode(1 << 6), (false, true));
        assert_eq!(mode(1 << 1 | 1 << 6), (true, true));
        assert_eq!(mode(1 << 14 | 1 << 6), (true, true));
    }

    #[test]
    fn unknown_bits_are_refused() {
        assert_eq!(decode(2, 0, 0, 0).err(), Some(Errno::INVAL));
        assert_eq!(decode(0, 16, 0, 0).err(), Some(Errno::INVAL));
        assert_eq!(decode(0, 0, 0, 32).err(), Some(Errno::INVAL));
    }
}
