//! Everything about a process that can fail before it exists.

use std::os::fd::OwnedFd;
use std::sync::Arc;

use megabinary::digest::Digest;
use wasmtime::StoreLimitsBuilder;

use super::fork::Forked;
use super::spec::{FIRST_PASSED, ROOT_DIR};
use super::{Kernel, ProcessSpec, Shared, System};
use crate::descriptor::{Descriptor, FdTable, OpenFile};
use crate::errno::Errno;
use crate::exec::{self, Caller, ExecError, ExecTarget};
use crate::fs::Context;
use crate::kill::KillToken;
use crate::memory::Layout;
use crate::plan::NetworkPolicy;
use crate::process::{ProcState, Program, Winding};
use crate::ps::About;
use crate::rights::HostCallSet;
use crate::rlimits::Rlimits;

const PAGE: u64 = 64 << 10;

/// A process that may run, before it does. It goes from hand to hand in a box: each frame below the
/// guest's that had it in itself would keep a part of a page resident as long as the process lives.
pub(crate) struct Process {
    pub(super) state: ProcState,
    pub(super) digest: Digest,
    pub(super) begin: Begin,
}

/// How a process starts.
pub(super) enum Begin {
    /// At its program's start, with memory laid out so.
    Fresh(Layout),
    /// In the middle of its parent's call.
    Forked(Box<Forked>),
}

/// What a process is to execute, and with what.
pub struct Launch {
    /// What it executes.
    pub target: ExecTarget,
    /// Its arguments, its own name first. What the manifest inserts is not among them.
    pub argv: Vec<Vec<u8>>,
    /// Its environment.
    pub env: Vec<Vec<u8>>,
    /// Its working directory.
    pub cwd: Vec<u8>,
    /// Mode bits that files it makes do not get.
    pub umask: u32,
    /// Its descriptors. It gets the root directory besides if there is none among them.
    pub fds: FdTable,
    /// What it may use at most.
    pub rlimits: Rlimits,
    /// Where a name without a slash is searched.
    pub search_path: Option<Vec<u8>>,
}

/// A launch that nothing forbids: the program was found and its rights are known.
pub(super) struct Prepared {
    launch: Launch,
    rights: HostCallSet,
    memory_limit: u64,
    layout: Layout,
    program: Arc<Program>,
}

impl Process {
    /// Process 1 as the host asks for it.
    pub fn first(
        kernel: &Kernel,
        spec: ProcessSpec,
        kill: KillToken,
        system: System,
    ) -> Result<Box<Process>, ExecError> {
        let name = shown(&spec.target);
        let fds = descriptors(&kernel.0, spec.stdio, spec.passed, &name)?;
        let launch = Launch {
            search_path: path_variable(&spec.env).map(<[u8]>::to_vec),
            target: spec.target,
            argv: spec.argv,
            env: spec.env,
            cwd: spec.cwd,
            umask: spec.umask,
            rlimits: Rlimits::new(&kernel.0.limits),
            fds,
        };
        let pid = crate::table::FIRST;
        let prepared = Prepared::new(&kernel.0, launch, Caller::host(pid))?;
        Ok(prepared.process(kernel, pid, kill, system))
    }
}

impl Prepared {
    /// Everything that can fail without the process having existed.
    pub fn new(
        kernel: &Shared,
        mut launch: Launch,
        caller: Caller<'_>,
    ) -> Result<Prepared, ExecError> {
        let name = shown(&launch.target);
        let context = Context {
            fds: &launch.fds,
            pid: caller.pid,
            processes: None,
            argv: &launch.argv,
            cwd: &launch.cwd,
            umask: launch.umask,
        };
        let open = |path: &[u8]| kernel.vfs.open_executable(&context, path);
        let found = exec::find(
            &kernel.plan,
            &launch.target,
            launch.search_path.as_deref(),
            &open,
            &kernel.audit,
            caller,
        )?;

        let target = found.target;
        let memory_limit = kernel
            .limits
            .memory
            .min(u64::from(target.max_pages()) * PAGE);
        let needed = u64::from(target.min_pages()) * PAGE;
        if needed > memory_limit {
            return Err(ExecError::Memory {
                path: found.label,
                needed,
                limit: memory_limit,
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
        give_root(kernel, &mut launch.fds, &name)?;
        let mut script = None;
        if let Some(copy) = found.script {
            let given =
                Descriptor::inherited(copy).and_then(|file| launch.fds.insert_from(file, ROOT_DIR));
            script = Some(given.map_err(|errno| host(&name, "handing it the script", errno))?);
        }
        launch.argv = arguments(launch.argv, target.args(), script);
        Ok(Prepared {
            rights: target.rights(),
            memory_limit,
            layout,
            program: Arc::new(Program {
                path: found.label,
                digest: *target.digest(),
                entry: target.entry().to_owned(),
            }),
            launch,
        })
    }

    /// The process, now that it has a number.
    pub fn process(
        self,
        kernel: &Kernel,
        pid: u32,
        kill: KillToken,
        system: System,
    ) -> Box<Process> {
        let Launch {
            argv,
            env,
            cwd,
            umask,
            fds,
            rlimits,
            ..
        } = self.launch;
        let kernel = &kernel.0;
        let digest = self.program.digest;
        kill.set_about(Arc::new(About::new(self.program.clone(), &argv)));
        let state = ProcState {
            pid,
            argv,
            env,
            cwd,
            umask,
            rights: self.rights,
            fds,
            vfs: kernel.vfs.clone(),
            kill,
            limits: StoreLimitsBuilder::new()
                .memory_size(usize::try_from(self.memory_limit).unwrap_or(usize::MAX))
                .instances(1)
                .memories(1)
                .build(),
            audit: kernel.audit.clone(),
            program: self.program,
            memory: None,
            laid: None,
            winding: Winding::No,
            handlers: 0,
            deliver: None,
            reported: HostCallSet::EMPTY,
            denials: 0,
            answer: Vec::new(),
            locating: false,
            networking: kernel.plan.networking(),
            rlimits,
            system: Some(system),
        };
        Box::new(Process {
            state,
            digest,
            begin: Begin::Fresh(self.layout),
        })
    }
}

/// Gives a program the root directory, at the lowest free number that programs' libraries
/// look at, unless it is there.
fn give_root(kernel: &Shared, fds: &mut FdTable, name: &str) -> Result<(), ExecError> {
    if fds.iter().any(|(_, file)| file.preopen_name().is_some()) {
        return Ok(());
    }
    let root = kernel.vfs.root_directory();
    fds.insert_from(Descriptor::preopen(root, b"/"), ROOT_DIR)
        .map_err(|errno| host(name, "handing it the root directory", errno))?;
    Ok(())
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
        processes: None,
        argv: &[],
        cwd,
        umask: 0,
    };
    let open = |path: &[u8]| kernel.vfs.open_executable(&context, path);
    let host = Caller::host(crate::table::FIRST);
    let path = path_variable(env);
    exec::find(&kernel.plan, target, path, &open, &audit, host).map(drop)
}

fn path_variable(env: &[Vec<u8>]) -> Option<&[u8]> {
    env.iter().find_map(|entry| entry.strip_prefix(b"PATH="))
}

/// The descriptors process 1 starts with.
fn descriptors(
    kernel: &Shared,
    stdio: [Option<OwnedFd>; 3],
    passed: Vec<Option<OwnedFd>>,
    name: &str,
) -> Result<FdTable, ExecError> {
    let mut fds = FdTable::new(kernel.limits.descriptors);
    give_root(kernel, &mut fds, name)?;
    let handing = |errno| host(name, "handing it a descriptor", errno);
    for (fd, stream) in (0..).zip(stdio) {
        let Some(stream) = stream else { continue };
        let descriptor = Descriptor::inherited(stream).map_err(handing)?;
        fds.insert_at(fd, descriptor).map_err(handing)?;
    }
    for (number, file) in (FIRST_PASSED..).zip(passed) {
        let Some(file) = file else { continue };
        let descriptor = Descriptor::inherited(file).map_err(handing)?;
        // Standard streams may be sockets, as engines make them: those are the program's only
        // contact and no network.
        if kernel.plan.networking() == NetworkPolicy::None && is_socket(&descriptor) {
            let path = name.to_owned();
            return Err(ExecError::Socket { path, fd: number });
        }
        fds.insert_at(number, descriptor).map_err(handing)?;
    }
    Ok(fds)
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
