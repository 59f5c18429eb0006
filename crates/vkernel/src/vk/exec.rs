//! `exec` and `spawn`.

use super::request::{Action, Open, Request, request, spawn_extras};
use super::{MODULE, system};
use crate::descriptor::{Descriptor, FdTable, HostFile};
use crate::errno::Errno;
use crate::fs::Context;
use crate::fs::resolve::{Base, Node};
use crate::host::HostLinker;
use crate::host_fn;
use crate::kernel::{self, Attributes, Launch};
use crate::process::{End, Fail, HostResult, ProcState};
use crate::rights::HostCall;
use crate::table::Group;
use crate::wasi::HostCx;

/// Offers this family's functions.
pub fn register(linker: &mut HostLinker<'_>) -> wasmtime::Result<()> {
    host_fn!(MODULE, linker, judging, exec(at: u32));
    host_fn!(MODULE, linker, judging, spawn(at: u32, pid: u32));
    Ok(())
}

/// A caller without the right is told what a shell reports as 126.
pub(super) fn may(proc: &mut ProcState, call: HostCall) -> Result<(), Errno> {
    proc.require(call).map_err(|_| Errno::ACCES)
}

fn exec(cx: &mut HostCx<'_>, at: u32) -> HostResult {
    may(cx.proc, HostCall::VkExec)?;
    let request = request(&cx.mem, at)?;
    let mut fds = cx.proc.fds.clone();
    close_for_exec(&mut fds);
    let launch = Launch {
        target: request.target,
        argv: request.argv,
        env: request.env,
        search_path: request.search_path,
        cwd: cx.proc.cwd.clone(),
        umask: cx.proc.umask,
        rlimits: cx.proc.rlimits,
        fds,
    };
    kernel::exec(cx.proc, launch)?;
    Err(Fail::End(End::Exec))
}

fn spawn(cx: &mut HostCx<'_>, at: u32, pid: u32) -> HostResult {
    may(cx.proc, HostCall::VkSpawn)?;
    cx.mem.slice(pid, 4)?;
    let request = request(&cx.mem, at)?;
    let (actions, attributes) = spawn_extras(&cx.mem, at)?;
    let number = spawn_child(cx.proc, request, actions, attributes)?;
    Ok(cx.mem.write_u32(pid, number)?)
}

/// Makes a child as asked; the caller has the right to.
pub(super) fn spawn_child(
    proc: &mut ProcState,
    request: Request,
    actions: Vec<Action>,
    attributes: Attributes,
) -> HostResult<u32> {
    may_place(proc, &attributes)?;
    let mut child = Inherited {
        fds: proc.fds.clone(),
        cwd: proc.cwd.clone(),
    };
    // The directory that the caller's library was given is not the child's.
    child
        .fds
        .close_where(|_, file| file.preopen_name().is_some());
    for action in actions {
        child.perform(proc, action)?;
    }
    close_for_exec(&mut child.fds);
    let launch = Launch {
        target: request.target,
        argv: request.argv,
        env: request.env,
        search_path: request.search_path,
        cwd: child.cwd,
        umask: proc.umask,
        rlimits: proc.rlimits,
        fds: child.fds,
    };
    Ok(kernel::spawn(proc, launch, attributes)?)
}

/// A group or session of the child's own comes with the right to make it. What is others', their
/// group and the terminal, needs the rights of `setpgid` and `tcsetpgrp`.
fn may_place(proc: &mut ProcState, attributes: &Attributes) -> Result<(), Errno> {
    if matches!(attributes.group, Group::Of(_)) {
        may(proc, HostCall::VkSetPgid)?;
    }
    if attributes.foreground {
        may(proc, HostCall::VkTcsetpgrp)?;
        let is_terminal =
            |file: &Descriptor| file.host(Errno::NOTTY).is_ok_and(HostFile::is_terminal);
        let has_one = proc.fds.iter().any(|(_, file)| is_terminal(file));
        if !has_one || !system(proc)?.processes().has_terminal(proc.pid) {
            return Err(Errno::NOTTY);
        }
    }
    Ok(())
}

/// Closes what does not survive an exec.
fn close_for_exec(fds: &mut FdTable) {
    fds.close_where(|_, file| file.closes_on_exec() || file.preopen_name().is_some());
}

/// What the child has of its parent's, changed step by step.
struct Inherited {
    fds: FdTable,
    cwd: Vec<u8>,
}

impl Inherited {
    fn perform(&mut self, parent: &mut ProcState, action: Action) -> HostResult {
        match action {
            Action::Close(fd) => {
                self.fds.remove(fd)?;
            }
            Action::Dup2(from, to) if from == to => {
                self.fds.get_mut(from)?.set_close_on_exec(false);
            }
            Action::Dup2(from, to) => self.fds.duplicate_to(from, to, false)?,
            Action::Open(fd, path, open) => self.open(parent, fd, &path, open)?,
            Action::Chdir(path) => {
                may(parent, HostCall::VkChdir)?;
                let node = {
                    let ctx = self.context(parent);
                    parent.vfs.resolve(&ctx, Base::Cwd, &path, true)?
                };
                self.cwd = super::cwd::directory(parent, &node)?;
            }
            Action::Fchdir(fd) => {
                may(parent, HostCall::VkFchdir)?;
                self.cwd = super::cwd::of_descriptor(parent, self.fds.get(fd)?)?;
            }
            Action::CloseRange(first, last) => {
                self.fds.close_where(|fd, _| (first..=last).contains(&fd));
            }
        }
        Ok(())
    }

    /// Opens as the parent may.
    fn open(&mut self, parent: &mut ProcState, fd: u32, path: &[u8], open: Open) -> HostResult {
        let request = open.request();
        may(parent, HostCall::PathOpen)?;
        for (needed, call) in [
            (request.write && !request.directory, HostCall::PathOpenWrite),
            (request.create, HostCall::PathOpenCreate),
            (request.truncate, HostCall::PathOpenTruncate),
        ] {
            if needed {
                may(parent, call)?;
            }
        }
        let file = {
            let ctx = self.context(parent);
            parent
                .kill
                .interruptible(|| parent.vfs.open(&ctx, Base::Cwd, path, &request))?
        };
        Ok(self.fds.insert_at(fd, file)?)
    }

    fn context<'c>(&'c self, parent: &'c ProcState) -> Context<'c> {
        Context {
            fds: &self.fds,
            cwd: &self.cwd,
            ..parent.fs_context()
        }
    }
}

/// What a path led to, if it is a directory that can be worked in.
impl Node {
    pub(super) fn is_directory(&self) -> bool {
        match self {
            Node::Host(node) => crate::fs::kind::FileKind::of(&node.stat).is_directory(),
            Node::Virtual(node) => node.kind() == crate::fs::vnode::VKind::Directory,
            Node::Descriptor(_) => false,
        }
    }
}
