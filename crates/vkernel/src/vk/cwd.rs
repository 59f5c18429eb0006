//! The working directory and the umask.

use super::MODULE;
use crate::descriptor::{Descriptor, OpenFile};
use crate::errno::Errno;
use crate::fs::kind::FileKind;
use crate::fs::resolve::{Base, Node};
use crate::host::HostLinker;
use crate::host_fn;
use crate::process::{HostResult, ProcState};
use crate::wasi::HostCx;

/// Offers this family's functions.
pub fn register(linker: &mut HostLinker<'_>) -> wasmtime::Result<()> {
    host_fn!(MODULE, linker, VkChdir, chdir(path: u32, len: u32));
    host_fn!(MODULE, linker, VkFchdir, fchdir(fd: u32));
    host_fn!(MODULE, linker, VkGetcwd, getcwd(buffer: u32, size: u32, len: u32));
    host_fn!(MODULE, linker, VkUmask, umask(mask: u32, before: u32));
    Ok(())
}

fn chdir(cx: &mut HostCx<'_>, path: u32, len: u32) -> HostResult {
    let path = cx.mem.slice(path, len)?;
    let node = {
        let ctx = cx.proc.fs_context();
        cx.proc.vfs.resolve(&ctx, Base::Cwd, path, true)?
    };
    cx.proc.cwd = directory(cx.proc, &node)?;
    Ok(())
}

fn fchdir(cx: &mut HostCx<'_>, fd: u32) -> HostResult {
    cx.proc.cwd = of_descriptor(cx.proc, cx.proc.fds.get(fd)?)?;
    Ok(())
}

/// The absolute path of a directory to work in: `ENOTDIR`, or `EACCES` without search permission.
pub(super) fn directory(proc: &ProcState, node: &Node) -> Result<Vec<u8>, Errno> {
    if !node.is_directory() {
        return Err(Errno::NOTDIR);
    }
    match node {
        Node::Host(node) => proc.vfs.searchable_path(&node.fd),
        Node::Virtual(node) => Ok(node.path(proc.pid)),
        Node::Descriptor(_) => Err(Errno::NOTDIR),
    }
}

/// As [`directory`], for an open one.
pub(super) fn of_descriptor(proc: &ProcState, descriptor: &Descriptor) -> Result<Vec<u8>, Errno> {
    match descriptor.file() {
        OpenFile::Host(file) if file.kind() == FileKind::Directory => {
            proc.vfs.searchable_path(file)
        }
        OpenFile::Host(_) => Err(Errno::NOTDIR),
        OpenFile::Virtual(node) => directory(proc, &Node::Virtual(*node)),
    }
}

fn getcwd(cx: &mut HostCx<'_>, buffer: u32, size: u32, len: u32) -> HostResult {
    // A path has at most `PATH_MAX` bytes.
    let needed = u32::try_from(cx.proc.cwd.len()).map_err(|_| Errno::NAMETOOLONG)?;
    cx.mem.write_u32(len, needed)?;
    if size < needed {
        return Err(Errno::RANGE.into());
    }
    Ok(cx.mem.write(buffer, &cx.proc.cwd)?)
}

fn umask(cx: &mut HostCx<'_>, mask: u32, before: u32) -> HostResult {
    cx.mem.write_u32(before, cx.proc.umask)?;
    cx.proc.umask = mask & 0o777;
    Ok(())
}
