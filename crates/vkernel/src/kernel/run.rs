//! One process: made, run, ended.

use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::sync::Arc;
use std::thread::JoinHandle;

use megabinary::digest::Digest;
use rustix::event::{EventfdFlags, eventfd};
use wasmtime::{Store, StoreLimitsBuilder, UpdateDeadline};

use super::spec::{FIRST_PASSED, ROOT_DIR};
use super::{ExitStatus, Kernel, ProcessSpec, Shared, outcome};
use crate::descriptor::{Descriptor, FdTable};
use crate::engine::{GUEST_STACK, HOST_STACK};
use crate::errno::Errno;
use crate::exec::{self, ExecError, ExecTarget};
use crate::fs::Context;
use crate::kill::KillToken;
use crate::process::{Fail, ProcState, Program};
use crate::rights::HostCallSet;

const PAGE: u64 = 64 << 10;

/// What a thread has besides the guest's and the host functions' stack: its own frames and those
/// of the engine around the guest.
const THREAD_OVERHEAD: usize = 256 << 10;

/// A process that was started and may still run.
pub struct Running {
    kernel: Kernel,
    kill: KillToken,
    /// Becomes readable when the process has ended.
    ended: OwnedFd,
    thread: JoinHandle<ExitStatus>,
}

impl Running {
    pub(super) fn start(kernel: &Kernel, spec: ProcessSpec) -> Result<Running, ExecError> {
        let name = shown(&spec.target);
        let host = |doing, reason: String| ExecError::Host {
            path: name.clone(),
            doing,
            reason,
        };
        let errno = |doing| move |error: rustix::io::Errno| (doing, error.to_string());
        let kill = KillToken::new()
            .map_err(errno("making an event descriptor"))
            .map_err(|(doing, reason)| host(doing, reason))?;
        let ended = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)
            .map_err(errno("making an event descriptor"))
            .map_err(|(doing, reason)| host(doing, reason))?;
        let ending = ended
            .try_clone()
            .map_err(|error| host("duplicating it", error.to_string()))?;
        let process = Process::prepare(&kernel.0, spec, kill.clone())?;
        let thread = {
            let kernel = kernel.clone();
            let kill = kill.clone();
            std::thread::Builder::new()
                .name("process".into())
                .stack_size(GUEST_STACK + HOST_STACK + THREAD_OVERHEAD)
                .spawn(move || {
                    let _announce = AnnounceEnd(ending);
                    let _here = kill.enter_thread();
                    process.run(&kernel.0)
                })
                .map_err(|error| host("starting its thread", error.to_string()))?
        };
        Ok(Running {
            kernel: kernel.clone(),
            kill,
            ended,
            thread,
        })
    }

    /// Makes it die of `signal`, by Linux's number, whatever it is doing; returns when it has.
    pub fn kill(&self, signal: i32) {
        self.kill
            .kill_until_ended(signal, &self.kernel.0.engine, || self.thread.is_finished());
    }

    /// Becomes readable when it has ended.
    #[must_use]
    pub fn ended(&self) -> BorrowedFd<'_> {
        self.ended.as_fd()
    }

    /// Waits for its end.
    #[must_use]
    pub fn wait(self) -> ExitStatus {
        self.thread.join().unwrap_or_else(|_| {
            // The panic's own message is on the kernel's standard error.
            ExitStatus::Trap("the virtual kernel failed inside a host call".to_owned())
        })
    }
}

/// Writes to the event descriptor when the thread's work is over, also when it panicked.
struct AnnounceEnd(OwnedFd);

impl Drop for AnnounceEnd {
    fn drop(&mut self) {
        // An eventfd with room for this cannot fail to take it.
        let _ = rustix::io::write(&self.0, &1u64.to_ne_bytes());
    }
}

/// Runs a process on the calling thread; nobody can kill it.
pub(super) fn run_here(kernel: &Kernel, spec: ProcessSpec) -> Result<ExitStatus, ExecError> {
    let kill = KillToken::new().map_err(|error| ExecError::Host {
        path: shown(&spec.target),
        doing: "making an event descriptor",
        reason: error.to_string(),
    })?;
    let process = Process::prepare(&kernel.0, spec, kill.clone())?;
    let _here = kill.enter_thread();
    Ok(process.run(&kernel.0))
}

/// A process that may run, before it does.
struct Process {
    state: ProcState,
    digest: Digest,
}

impl Process {
    /// Everything that can fail without the process having existed.
    fn prepare(kernel: &Shared, spec: ProcessSpec, kill: KillToken) -> Result<Process, ExecError> {
        let pid = 1;
        let mut fds = FdTable::new(kernel.limits.descriptors);
        let name = shown(&spec.target);
        let failed = |doing| {
            let path = name.clone();
            move |errno: Errno| ExecError::Host {
                path,
                doing,
                reason: errno.to_string(),
            }
        };
        let root = kernel
            .vfs
            .open_root()
            .map_err(failed("opening the root directory"))?;
        fds.insert_at(ROOT_DIR, Descriptor::preopen(root, b"/"))
            .map_err(failed("handing it the root directory"))?;
        let stdio = spec
            .stdio
            .into_iter()
            .enumerate()
            .map(|(fd, host)| (fd as u32, host));
        let passed = spec.passed.into_iter().enumerate();
        let passed = passed.map(|(at, host)| (FIRST_PASSED + at as u32, Some(host)));
        let mut next = FIRST_PASSED;
        for (fd, host) in stdio.chain(passed) {
            let Some(host) = host else { continue };
            Descriptor::inherited(host)
                .and_then(|descriptor| fds.insert_at(fd, descriptor))
                .map_err(failed("handing it a descriptor"))?;
            next = next.max(fd + 1);
        }

        let variable = spec
            .env
            .iter()
            .find_map(|entry| entry.strip_prefix(b"PATH="));
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
            variable,
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
        let mut script = None;
        if let Some(copy) = found.script {
            Descriptor::inherited(copy)
                .and_then(|descriptor| fds.insert_at(next, descriptor))
                .map_err(failed("handing it the script"))?;
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
        })
    }

    /// Runs it to its end, in a store and an instance that nothing ran in before and nothing will
    /// run in again.
    fn run(self, kernel: &Shared) -> ExitStatus {
        let mut store = Store::new(&kernel.engine, self.state);
        store.limiter(|state| &mut state.limits);
        store.epoch_deadline_callback(|context| match context.data().kill.check() {
            Err(Fail::End(end)) => Err(wasmtime::Error::new(end)),
            // Somebody else's end: the epoch is the engine's.
            _ => Ok(UpdateDeadline::Continue(1)),
        });
        store.set_epoch_deadline(1);
        let result = dispatch(kernel, &mut store, &self.digest);
        let state = store.data();
        let status = outcome::status(result, &state.program);
        if let ExitStatus::Trap(message) = &status {
            report(state, message);
        }
        status
    }
}

fn dispatch(
    kernel: &Shared,
    store: &mut Store<ProcState>,
    digest: &Digest,
) -> wasmtime::Result<i32> {
    let instance = kernel.instance.instantiate(&mut *store)?;
    let memory = instance
        .get_module_export(&mut *store, &kernel.memory)
        .and_then(wasmtime::Extern::into_memory);
    store.data_mut().memory = memory;
    let dispatch = instance
        .get_module_export(&mut *store, &kernel.dispatch)
        .and_then(wasmtime::Extern::into_func)
        .ok_or_else(|| wasmtime::Error::msg("`_dispatch` is not a function"))?
        .typed::<(u64, u64, u64, u64), i32>(&*store)?;
    let [a, b, c, d] = digest.words();
    dispatch.call(store, (a, b, c, d))
}

/// Tells whoever reads the process's standard error why it is no more.
fn report(state: &ProcState, message: &str) {
    let Ok(descriptor) = state.fds.get(2) else {
        return;
    };
    let Ok(host) = descriptor.host(Errno::BADF) else {
        return;
    };
    let text = format!("megarun: {message}\n");
    // SAFETY: the text is valid for its length. Not retried and its failure not told to anyone:
    // the process is gone, and its standard error may be full or closed.
    unsafe { libc::write(host.as_fd().as_raw_fd(), text.as_ptr().cast(), text.len()) };
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

fn shown(target: &ExecTarget) -> String {
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
