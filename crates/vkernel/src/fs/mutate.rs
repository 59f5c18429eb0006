//! Changing directories: make, remove, rename, link. The parent is resolved and judged, then
//! the host's kernel acts on the last component, which these calls never follow.

use std::os::fd::AsFd;

use rustix::fs::AtFlags;

use super::resolve::{Base, Node};
use super::vfs::{Context, Vfs};
use super::vnode::{VKind, VNode};
use super::{Result, kind::FileKind};
use crate::descriptor::OpenFile;
use crate::errno::Errno;

/// What a link to something that no path leads to says, as in the host's procfs.
const UNREACHABLE: &[u8] = b"(unreachable)";

impl Vfs {
    /// `path_create_directory`.
    pub fn create_directory(
        &self,
        ctx: &Context<'_>,
        base: Base<'_>,
        path: &[u8],
        mode: u32,
    ) -> Result<()> {
        let at = self.resolve_parent(ctx, base, path)?;
        Ok(rustix::fs::mkdirat(&at.dir, &at.name, ctx.mode(mode))?)
    }

    /// `path_remove_directory`.
    pub fn remove_directory(&self, ctx: &Context<'_>, base: Base<'_>, path: &[u8]) -> Result<()> {
        let at = self.resolve_parent(ctx, base, path)?;
        Ok(rustix::fs::unlinkat(&at.dir, &at.name, AtFlags::REMOVEDIR)?)
    }

    /// `path_unlink_file`.
    pub fn unlink_file(&self, ctx: &Context<'_>, base: Base<'_>, path: &[u8]) -> Result<()> {
        let at = self.resolve_parent(ctx, base, path)?;
        Ok(rustix::fs::unlinkat(&at.dir, &at.name, AtFlags::empty())?)
    }

    /// `path_rename`: from a base and path to another.
    pub fn rename(
        &self,
        ctx: &Context<'_>,
        from: (Base<'_>, &[u8]),
        to: (Base<'_>, &[u8]),
    ) -> Result<()> {
        let from = self.resolve_parent(ctx, from.0, from.1)?;
        let to = self.resolve_parent(ctx, to.0, to.1)?;
        Ok(rustix::fs::renameat(
            &from.dir, &from.name, &to.dir, &to.name,
        )?)
    }

    /// `path_symlink`. The target is any text; it is resolved inside the root when used.
    pub fn symlink(
        &self,
        ctx: &Context<'_>,
        target: &[u8],
        base: Base<'_>,
        path: &[u8],
    ) -> Result<()> {
        if target.contains(&0) {
            return Err(Errno::INVAL);
        }
        let at = self.resolve_parent(ctx, base, path)?;
        Ok(rustix::fs::symlinkat(target, &at.dir, &at.name)?)
    }

    /// `path_link`: makes `to` another name of `from`, or of what the link `from` leads to.
    pub fn link(
        &self,
        ctx: &Context<'_>,
        from: (Base<'_>, &[u8]),
        follow: bool,
        to: (Base<'_>, &[u8]),
    ) -> Result<()> {
        if !follow {
            let from = self.resolve_parent(ctx, from.0, from.1)?;
            let to = self.resolve_parent(ctx, to.0, to.1)?;
            let flags = AtFlags::empty();
            return Ok(rustix::fs::linkat(
                &from.dir, &from.name, &to.dir, &to.name, flags,
            )?);
        }
        match self.resolve(ctx, from.0, from.1, true)? {
            Node::Host(node) if FileKind::of(&node.stat) == FileKind::Directory => Err(Errno::PERM),
            Node::Host(node) => {
                let to = self.resolve_parent(ctx, to.0, to.1)?;
                self.proc_fd()
                    .link_to(node.as_fd(), to.dir.as_fd(), &to.name)
            }
            // A descriptor may have been handed in from outside the root.
            Node::Virtual(_) | Node::Descriptor(_) => Err(Errno::PERM),
        }
    }

    /// `path_readlink`: the link's whole text.
    pub fn read_link(&self, ctx: &Context<'_>, base: Base<'_>, path: &[u8]) -> Result<Vec<u8>> {
        match self.resolve(ctx, base, path, false)? {
            Node::Host(node) if FileKind::of(&node.stat) == FileKind::Symlink => {
                let text = rustix::fs::readlinkat(&node.fd, c"", Vec::with_capacity(256))?;
                Ok(text.into_bytes())
            }
            Node::Virtual(VNode::Fd(number)) => self.descriptor_link(ctx, number),
            Node::Virtual(node) if node.kind() == VKind::Link => Ok(node.target(ctx.pid)),
            _ => Err(Errno::INVAL),
        }
    }

    /// What `/proc/self/fd/N` says: the path inside the root, or what sort of object it is.
    fn descriptor_link(&self, ctx: &Context<'_>, number: u32) -> Result<Vec<u8>> {
        let file = match ctx.fds.get(number).map_err(|_| Errno::NOENT)?.file() {
            OpenFile::Virtual(node) => return Ok(node.path(ctx.pid)),
            OpenFile::Host(file) => file,
        };
        let text = match file.kind() {
            FileKind::Regular | FileKind::Directory | FileKind::CharDevice => {
                self.path_of(file.start()).ok()
            }
            // `pipe:[123]`, `socket:[123]`; a FIFO with a name has a path.
            _ => match self.proc_fd().read_link(file.fd())? {
                text if text.starts_with(b"/") => self.path_of(file.fd()).ok(),
                text => Some(text),
            },
        };
        Ok(text.unwrap_or_else(|| UNREACHABLE.to_vec()))
    }
}
