//! Everything about a process that can fail before it exists.

use std::os::fd::OwnedFd;
use std::sync::Arc;

use megabinary::digest::Digest;
use wasmtime::StoreLimitsBuilder;

use super::spec::{FIRST_PASSED, ROOT_DIR};
use super::{ProcessSpec, Shared};
use crate::descriptor::{Descriptor, FdTable, OpenFile};
use crate::errno::Errno;
use crate::exec::{self, ExecError, ExecTarget};
use crate::fs::Context;
use crate::kill::KillToken;
use crate::memory::Layout;
use crate::plan::NetworkPolicy;
use crate::process::{ProcState, Program};
use crate::rights::HostCallSet;

const PAGE: u64 = 64 << 10;

/// A process that may run, before it does.
pub(super) struct Process {
    pub state: ProcState,
    pub digest: Digest,
    /// What its memory is when it starts.
    pub layout: Layout,
}

impl Process {
    /// Everything that can fail without the process having existed.
    pub fn prepare(
        kernel: &Shared,
        spec: ProcessSpec,
        kill: KillToken,
    ) -> Result<Process, ExecError> {
        let pid = 1;
        let name = shown(&spec.target);
        let (mut fds, next) = descriptors(kernel, spec.stdio, spec.passed, &name)?;

        let context = Context {
            fds: &fds,
            pid,
            argv: &spec.argv,
            cwd: &spec.cwd,
        };
        let open = |path: &[u8]| kernel.vfs.open_executable(&context, path);
        let found = exec::find(
            &kernel.plan,
            &spec.target,
            path_variable(&spec.env),
            &open,
            &kernel.audit,
            pid,
        )?;

        let target = found.target;
        let limit = kernel
            .limits
            .memory
            .min(u64::from(target.max_pages()) * PAGE);
        let needed = u64::from(target.min_pages()) * PAGE;
        if needed > limit {
            return Err(ExecError::Memory {
                path: found.label,
                needed,
                limit,
            });
        }
        let layout = usize::try_from(needed)
            .map_err(|_| Errno::NOMEM.to_string())
            .and_then(|size| {
                let layout = kernel.memories.layout(target.program_number(), size);
                layout.map_err(|error| error.to_string())
            })
            .map_err(|reason| ExecError::Host {
                path: name.clone(),
                doing: "laying out its memory",
                reason,
            })?;
        let mut script = None;
        if let Some(copy) = found.script {
            Descriptor::inherited(copy)
                .and_then(|descriptor| fds.insert_at(next, descriptor))
                .map_err(|errno| host(&name, "handing it the script", errno))?;
            script = Some(next);
        }
        let argv = arguments(spec.argv, target.args(), script);
        let state = ProcState {
            pid,
            argv,
            env: spec.env,
            cwd: spec.cwd,
            rights: target.rights(),
            fds,
            vfs: kernel.vfs.clone(),
            kill,
            limits: StoreLimitsBuilder::new()
                .memory_size(usize::try_from(limit).unwrap_or(usize::MAX))
                .instances(1)
                .memories(1)
                .build(),
            audit: kernel.audit.clone(),
            program: Arc::new(Program {
                path: found.label,
                digest: *target.digest(),
                entry: target.entry().to_owned(),
            }),
            memory: None,
            reported: HostCallSet::EMPTY,
            denials: 0,
            file_size_limit: kernel.limits.file_size,
        };
        Ok(Process {
            state,
            digest: *target.digest(),
            layout,
        })
    }
}

/// See [`super::Kernel::check`].
pub(super) fn check(
    kernel: &Shared,
    target: &ExecTarget,
    env: &[Vec<u8>],
    cwd: &[u8],
) -> Result<(), ExecError> {
    let audit = kernel.audit.of_a_rehearsal();
    let fds = FdTable::default();
    let context = Context {
        fds: &fds,
        pid: 1,
        argv: &[],
        cwd,
    };
    let open = |path: &[u8]| kernel.vfs.open_executable(&context, path);
    exec::find(&kernel.plan, target, path_variable(env), &open, &audit, 1).map(drop)
}

fn path_variable(env: &[Vec<u8>]) -> Option<&[u8]> {
    env.iter().find_map(|entry| entry.strip_prefix(b"PATH="))
}

/// The descriptors a process starts with, and the lowest free number above them.
fn descriptors(
    kernel: &Shared,
    stdio: [Option<OwnedFd>; 3],
    passed: Vec<OwnedFd>,
    name: &str,
) -> Result<(FdTable, u32), ExecError> {
    let mut fds = FdTable::new(kernel.limits.descriptors);
    let root = kernel
        .vfs
        .open_root()
        .map_err(|errno| host(name, "opening the root directory", errno))?;
    let handing = |errno| host(name, "handing it a descriptor", errno);
    fds.insert_at(ROOT_DIR, Descriptor::preopen(root, b"/"))
        .map_err(handing)?;
    for (fd, stream) in (0..).zip(stdio) {
        let Some(stream) = stream else { continue };
        let descriptor = Descriptor::inherited(stream).map_err(handing)?;
        fds.insert_at(fd, descriptor).map_err(handing)?;
    }
    let mut next = FIRST_PASSED;
    for file in passed {
        let descriptor = Descriptor::inherited(file).map_err(handing)?;
        // Standard streams may be sockets, as engines make them: those are the program's only
        // contact and no network.
        if kernel.plan.networking() == NetworkPolicy::None && is_socket(&descriptor) {
            let path = name.to_owned();
            return Err(ExecError::Socket { path, fd: next });
        }
        fds.insert_at(next, descriptor).map_err(handing)?;
        next += 1;
    }
    Ok((fds, next))
}

fn is_socket(descriptor: &Descriptor) -> bool {
    matches!(descriptor.file(), OpenFile::Host(file) if file.kind().is_socket())
}

fn host(name: &str, doing: &'static str, errno: Errno) -> ExecError {
    ExecError::Host {
        path: name.to_owned(),
        doing,
        reason: errno.to_string(),
    }
}

/// The arguments a program sees: its own name, what the manifest inserts, the script if it is
/// one's interpreter, and the caller's.
///
/// `argv[0]` stays what the caller gave, for a script the script's own name: the script itself is
/// found at `/dev/fd/N`, as Linux does it for a script executed by descriptor.
fn arguments<'a>(
    argv: Vec<Vec<u8>>,
    inserted: impl Iterator<Item = &'a str>,
    script: Option<u32>,
) -> Vec<Vec<u8>> {
    let mut caller = argv.into_iter();
    let name = caller.next().into_iter();
    let inserted = inserted.map(|text| text.as_bytes().to_vec());
    let script = script.map(|fd| format!("/dev/fd/{fd}").into_bytes());
    name.chain(inserted).chain(script).chain(caller).collect()
}

/// What was asked for, for messages.
pub(super) fn shown(target: &ExecTarget) -> String {
    match target {
        ExecTarget::Search(path) | ExecTarget::Path(path) => {
            String::from_utf8_lossy(path).into_owned()
        }
        ExecTarget::Digest(digest) => digest.to_string(),
        ExecTarget::Tool(name) => name.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::arguments;

    fn joined(argv: &[&str], inserted: &[&str], script: Option<u32>) -> String {
        let argv = argv.iter().map(|text| text.as_bytes().to_vec()).collect();
        let result = arguments(argv, inserted.iter().copied(), script);
        String::from_utf8(result.join(&b' ')).unwrap()
    }

    #[test]
    fn the_manifests_arguments_and_the_script_stand_between_name_and_callers() {
        assert_eq!(joined(&["ls", "-l", "/"], &[], None), "ls -l /");
        assert_eq!(
            joined(&["python3", "-c", "1"], &["-u"], None),
            "python3 -u -c 1"
        );
        assert_eq!(
            joined(&["./report", "x"], &["-u"], Some(4)),
            "./report -u /dev/fd/4 x"
        );
        assert_eq!(joined(&["report"], &[], Some(7)), "report /dev/fd/7");
        assert_eq!(joined(&[], &[], None), "");
    }
}
