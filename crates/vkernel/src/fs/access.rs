//! `access`: what a process may do with a file, as the host's kernel decides it.

use std::os::fd::AsFd;

use rustix::fs::Access;

use super::Result;
use super::resolve::{Base, Node};
use super::vfs::{Context, Vfs};
use super::vnode::{VKind, VNode};
use crate::descriptor::OpenFile;
use crate::errno::Errno;

impl Vfs {
    /// `EACCES` unless everything in `wanted` is allowed for what `path` names; nothing wanted asks
    /// only whether it is there. `EROFS` for writing to a file system that is read-only.
    pub fn check_access(
        &self,
        ctx: &Context<'_>,
        base: Base<'_>,
        path: &[u8],
        wanted: Access,
        follow: bool,
    ) -> Result<()> {
        let allowed = match self.resolve(ctx, base, path, follow)? {
            Node::Host(node) => return self.proc_fd().check(node.as_fd(), wanted),
            Node::Virtual(node) => of_virtual(node),
            Node::Descriptor(number) => {
                match ctx.fds.get(number).map_err(|_| Errno::NOENT)?.file() {
                    OpenFile::Host(file) => return self.proc_fd().check(file.fd(), wanted),
                    OpenFile::Virtual(node) => of_virtual(*node),
                }
            }
        };
        if allowed.contains(wanted) {
            Ok(())
        } else {
            Err(Errno::ACCES)
        }
    }
}

fn of_virtual(node: VNode) -> Access {
    match (node.kind(), node) {
        (VKind::Directory, _) => Access::READ_OK | Access::EXEC_OK,
        (VKind::Link, _) => Access::READ_OK | Access::WRITE_OK | Access::EXEC_OK,
        (VKind::Device, _) | (_, VNode::Control) => Access::READ_OK | Access::WRITE_OK,
        (VKind::File, _) => Access::READ_OK,
    }
}
