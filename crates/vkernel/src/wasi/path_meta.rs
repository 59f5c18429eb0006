//! What is at a path, and changing directories.

use crate::fs::meta;
use crate::fs::rights::FdRights;
use crate::host::HostLinker;
use crate::host_fn;
use crate::process::HostResult;
use crate::wasi::HostCx;
use crate::wasi::paths::{PathArg, at, at_both, follows};

/// Offers this family's functions.
pub fn register(linker: &mut HostLinker<'_>) -> wasmtime::Result<()> {
    host_fn!(
        linker,
        PathFilestatGet,
        path_filestat_get(dir: u32, lookup: u32, path: u32, len: u32, stat: u32)
    );
    host_fn!(
        linker,
        PathFilestatSetTimes,
        path_filestat_set_times(
            dir: u32,
            lookup: u32,
            path: u32,
            len: u32,
            atim: u64,
            mtim: u64,
            flags: u32
        )
    );
    host_fn!(linker, PathCreateDirectory, path_create_directory(dir: u32, path: u32, len: u32));
    host_fn!(linker, PathRemoveDirectory, path_remove_directory(dir: u32, path: u32, len: u32));
    host_fn!(linker, PathUnlinkFile, path_unlink_file(dir: u32, path: u32, len: u32));
    host_fn!(
        linker,
        PathRename,
        path_rename(from: u32, path: u32, len: u32, to: u32, to_path: u32, to_len: u32)
    );
    host_fn!(
        linker,
        PathLink,
        path_link(
            from: u32,
            lookup: u32,
            path: u32,
            len: u32,
            to: u32,
            to_path: u32,
            to_len: u32
        )
    );
    host_fn!(
        linker,
        PathSymlink,
        path_symlink(target: u32, target_len: u32, dir: u32, path: u32, len: u32)
    );
    host_fn!(
        linker,
        PathReadlink,
        path_readlink(dir: u32, path: u32, len: u32, buffer: u32, buffer_len: u32, used: u32)
    );
    Ok(())
}

fn path_filestat_get(
    cx: &mut HostCx<'_>,
    dir: u32,
    lookup: u32,
    path: u32,
    len: u32,
    stat: u32,
) -> HostResult {
    let follow = follows(lookup)?;
    let arg = PathArg { dir, path, len };
    let found = at(
        cx,
        arg,
        FdRights::PATH_FILESTAT_GET,
        |vfs, ctx, base, path| vfs.stat(ctx, base, path, follow),
    )?;
    Ok(cx.mem.write(stat, &found.encode())?)
}

#[allow(clippy::too_many_arguments, reason = "the signature is preview 1's")]
fn path_filestat_set_times(
    cx: &mut HostCx<'_>,
    dir: u32,
    lookup: u32,
    path: u32,
    len: u32,
    atim: u64,
    mtim: u64,
    flags: u32,
) -> HostResult {
    let follow = follows(lookup)?;
    let times = meta::set_times_from(flags, atim, mtim)?;
    let arg = PathArg { dir, path, len };
    at(
        cx,
        arg,
        FdRights::PATH_FILESTAT_SET_TIMES,
        |vfs, ctx, base, path| vfs.set_times(ctx, base, path, follow, times),
    )
}

fn path_create_directory(cx: &mut HostCx<'_>, dir: u32, path: u32, len: u32) -> HostResult {
    let arg = PathArg { dir, path, len };
    at(
        cx,
        arg,
        FdRights::PATH_CREATE_DIRECTORY,
        |vfs, ctx, base, path| vfs.create_directory(ctx, base, path, 0o777),
    )
}

fn path_remove_directory(cx: &mut HostCx<'_>, dir: u32, path: u32, len: u32) -> HostResult {
    let arg = PathArg { dir, path, len };
    at(
        cx,
        arg,
        FdRights::PATH_REMOVE_DIRECTORY,
        |vfs, ctx, base, path| vfs.remove_directory(ctx, base, path),
    )
}

fn path_unlink_file(cx: &mut HostCx<'_>, dir: u32, path: u32, len: u32) -> HostResult {
    let arg = PathArg { dir, path, len };
    at(
        cx,
        arg,
        FdRights::PATH_UNLINK_FILE,
        |vfs, ctx, base, path| vfs.unlink_file(ctx, base, path),
    )
}

fn path_rename(
    cx: &mut HostCx<'_>,
    from: u32,
    path: u32,
    len: u32,
    to: u32,
    to_path: u32,
    to_len: u32,
) -> HostResult {
    let from = PathArg {
        dir: from,
        path,
        len,
    };
    let to = PathArg {
        dir: to,
        path: to_path,
        len: to_len,
    };
    let rights = (FdRights::PATH_RENAME_SOURCE, FdRights::PATH_RENAME_TARGET);
    at_both(
        cx,
        (from, rights.0),
        (to, rights.1),
        |vfs, ctx, from, to| vfs.rename(ctx, from, to),
    )
}

#[allow(clippy::too_many_arguments, reason = "the signature is preview 1's")]
fn path_link(
    cx: &mut HostCx<'_>,
    from: u32,
    lookup: u32,
    path: u32,
    len: u32,
    to: u32,
    to_path: u32,
    to_len: u32,
) -> HostResult {
    let follow = follows(lookup)?;
    let from = PathArg {
        dir: from,
        path,
        len,
    };
    let to = PathArg {
        dir: to,
        path: to_path,
        len: to_len,
    };
    let rights = (FdRights::PATH_LINK_SOURCE, FdRights::PATH_LINK_TARGET);
    at_both(
        cx,
        (from, rights.0),
        (to, rights.1),
        |vfs, ctx, from, to| vfs.link(ctx, from, follow, to),
    )
}

fn path_symlink(
    cx: &mut HostCx<'_>,
    target: u32,
    target_len: u32,
    dir: u32,
    path: u32,
    len: u32,
) -> HostResult {
    let arg = PathArg { dir, path, len };
    at(cx, arg, FdRights::PATH_SYMLINK, |vfs, ctx, base, path| {
        vfs.symlink(ctx, cx.mem.slice(target, target_len)?, base, path)
    })
}

fn path_readlink(
    cx: &mut HostCx<'_>,
    dir: u32,
    path: u32,
    len: u32,
    buffer: u32,
    buffer_len: u32,
    used: u32,
) -> HostResult {
    let arg = PathArg { dir, path, len };
    let text = at(cx, arg, FdRights::PATH_READLINK, |vfs, ctx, base, path| {
        vfs.read_link(ctx, base, path)
    })?;
    // As POSIX's readlink: what does not fit is cut off, without a sign.
    let taken = text.len().min(buffer_len as usize);
    cx.mem.write(buffer, &text[..taken])?;
    Ok(cx.mem.write_u32(used, taken as u32)?)
}
