//! Hooks: programs of the host that the engine runs at points of the lifecycle.

use std::fs::File;
use std::io::{PipeReader, Read, Seek, Write};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use oci_spec::runtime::Hook;
use rustix::event::{PollFd, PollFlags};
use rustix::fs::{MemfdFlags, OFlags};
use rustix::io::Errno;
use rustix::process::{Pid, PidfdFlags, Signal};
use rustix::time::Timespec;
use thiserror::Error;

use crate::failure::{Doing, Failure};
use crate::init::request::VARIABLE;
use crate::seccomp::{self, Program};

/// How much of the end of a hook's standard error an error message shows.
const SHOWN: usize = 4096;
/// How much is read at once; and after the hook's end at most sixteen times, for what it left
/// behind may write for ever.
const CHUNK: usize = 64 << 10;

/// Why a hook did not do its work.
#[derive(Debug, Error)]
pub enum HookError {
    /// It ended with a failure.
    #[error("{kind} hook `{path}` failed with {status}{said}")]
    Failed {
        /// Which kind of hook.
        kind: &'static str,
        /// The program.
        path: PathBuf,
        /// How it ended.
        status: ExitStatus,
        /// What it said on standard error.
        said: String,
    },
    /// It took longer than its timeout.
    #[error("{kind} hook `{path}` was killed: it took longer than its timeout of {seconds} s")]
    TimedOut {
        /// Which kind of hook.
        kind: &'static str,
        /// The program.
        path: PathBuf,
        /// Its timeout.
        seconds: i64,
    },
    /// Its path or timeout is not allowed.
    #[error("config.json, hooks.{kind} `{path}`: {reason}")]
    Config {
        /// Which kind of hook.
        kind: &'static str,
        /// The program.
        path: PathBuf,
        /// What is wrong.
        reason: &'static str,
    },
    /// The system refused.
    #[error(transparent)]
    System(#[from] Failure),
}

/// Checks hooks before anything is made.
pub fn check(kind: &'static str, hooks: &[Hook]) -> Result<(), HookError> {
    for hook in hooks {
        let wrong = |reason| HookError::Config {
            kind,
            path: hook.path().clone(),
            reason,
        };
        if !hook.path().is_absolute() {
            return Err(wrong("the path must be absolute"));
        }
        if hook.timeout().is_some_and(|seconds| seconds <= 0) {
            return Err(wrong("the timeout must be greater than zero"));
        }
    }
    Ok(())
}

/// Runs hooks in order, each with the state document on its standard input.
pub fn run(kind: &'static str, hooks: &[Hook], state: &str, cwd: &Path) -> Result<(), HookError> {
    run_filtered(kind, hooks, state, cwd, None)
}

/// The same for hooks that are the container's own programs: under the filter that its process will
/// have, where that is not loaded yet.
pub fn run_filtered(
    kind: &'static str,
    hooks: &[Hook],
    state: &str,
    cwd: &Path,
    filter: Option<&Program>,
) -> Result<(), HookError> {
    hooks
        .iter()
        .try_for_each(|hook| run_one(kind, hook, state, cwd, filter))
}

fn run_one(
    kind: &'static str,
    hook: &Hook,
    state: &str,
    cwd: &Path,
    filter: Option<&Program>,
) -> Result<(), HookError> {
    let path = hook.path();
    let doing = || format!("running {kind} hook `{}`", path.display());
    let mut stdin = memory("hook-state").doing(doing)?;
    stdin
        .write_all(state.as_bytes())
        .and_then(|()| stdin.rewind())
        .doing(doing)?;
    let (stderr, writer) = std::io::pipe().doing(doing)?;
    // What a hook leaves behind may keep the pipe open: that must not hold the lifecycle up.
    rustix::fs::fcntl_setfl(&stderr, OFlags::NONBLOCK).doing(doing)?;
    let mut command = Command::new(path);
    let args = hook.args().as_deref().unwrap_or_default();
    if let Some((name, rest)) = args.split_first() {
        command.arg0(name).args(rest);
    }
    // Exactly the environment that config.json gives. Where it names none, it is this program's
    // own, as with crun and runc: hooks of engines find their programs by its PATH. Inside the
    // container that is empty but for the variable that says what this program is.
    command.env_remove(VARIABLE);
    if let Some(env) = hook.env() {
        command.env_clear();
        for variable in env {
            let (name, value) = variable.split_once('=').unwrap_or((variable, ""));
            command.env(name, value);
        }
    }
    let filter = filter.cloned();
    // SAFETY: two system calls, which take no lock and no memory; of an error only the number is
    // used.
    unsafe {
        command.pre_exec(move || {
            // A hook is nobody's when the runtime is killed.
            rustix::process::set_parent_process_death_signal(Some(Signal::KILL))?;
            match filter.as_ref().map(seccomp::load) {
                None | Some(Ok(_)) => Ok(()),
                Some(Err(_)) => Err(std::io::Error::last_os_error()),
            }
        });
    }
    let child = command
        .current_dir(cwd)
        // What it started goes with it where its time is up.
        .process_group(0)
        .stdin(stdin)
        .stdout(Stdio::null())
        .stderr(writer)
        .spawn()
        .doing(doing)?;
    // The command holds its end of the pipe open.
    drop(command);
    let Some((status, said)) = wait(child, stderr, hook.timeout()).doing(doing)? else {
        let seconds = hook.timeout().unwrap_or_default();
        return Err(HookError::TimedOut {
            kind,
            path: path.clone(),
            seconds,
        });
    };
    if status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&said).trim().to_owned();
    let said = if said.is_empty() {
        said
    } else {
        format!(": {said}")
    };
    Err(HookError::Failed {
        kind,
        path: path.clone(),
        status,
        said,
    })
}

fn memory(name: &str) -> Result<File, rustix::io::Errno> {
    rustix::fs::memfd_create(name, MemfdFlags::CLOEXEC).map(File::from)
}

/// Waits for the hook, and keeps the end of what it says; none when it had to be killed.
fn wait(
    mut child: Child,
    mut stderr: PipeReader,
    timeout: Option<i64>,
) -> std::io::Result<Option<(ExitStatus, Vec<u8>)>> {
    let pid = Pid::from_raw(child.id() as i32).ok_or(Errno::SRCH)?;
    let pidfd = rustix::process::pidfd_open(pid, PidfdFlags::empty())?;
    let deadline =
        timeout.map(|seconds| Instant::now() + Duration::from_secs(seconds.unsigned_abs()));
    let mut said = Vec::new();
    let mut open = true;
    loop {
        let left = deadline.map(|deadline| {
            let left = deadline.saturating_duration_since(Instant::now());
            Timespec {
                tv_sec: left.as_secs() as i64,
                tv_nsec: left.subsec_nanos().into(),
            }
        });
        let mut ready = [
            PollFd::new(&pidfd, PollFlags::IN),
            PollFd::new(&stderr, PollFlags::IN),
        ];
        // A pipe that has ended would be ready all the time.
        let watched = if open {
            &mut ready[..]
        } else {
            &mut ready[..1]
        };
        match rustix::event::poll(watched, left.as_ref()) {
            Ok(0) => {
                // The group is gone only when the hook has ended this very moment.
                let _ = rustix::process::kill_process_group(pid, Signal::KILL);
                child.wait()?;
                return Ok(None);
            }
            Ok(_) => {}
            Err(Errno::INTR) => continue,
            Err(error) => return Err(error.into()),
        }
        if !ready[0].revents().is_empty() {
            for _ in 0..16 {
                if !matches!(listen(&mut stderr, &mut said), Ok(1..)) {
                    break;
                }
            }
            return Ok(Some((child.wait()?, said)));
        }
        open = !matches!(listen(&mut stderr, &mut said), Ok(0));
    }
}

/// Reads a part of what the hook says, and forgets what an error message would not show.
fn listen(stderr: &mut PipeReader, said: &mut Vec<u8>) -> std::io::Result<usize> {
    let mut chunk = vec![0; CHUNK];
    let got = stderr.read(&mut chunk)?;
    said.extend_from_slice(&chunk[..got]);
    said.drain(..said.len().saturating_sub(SHOWN));
    Ok(got)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn run_json(hook: serde_json::Value) -> Result<(), HookError> {
        let hook: Hook = serde_json::from_value(hook).unwrap();
        check("prestart", std::slice::from_ref(&hook))?;
        run("prestart", &[hook], "{\"id\":\"c1\"}", Path::new("/"))
    }

    fn shell(script: &str) -> serde_json::Value {
        json!({"path": "/bin/sh", "args": ["hook-name", "-c", script]})
    }

    #[test]
    fn gets_the_state_and_its_own_environment_or_the_runtimes() {
        run_json(shell(
            r#"test "$(cat)" = '{"id":"c1"}' && test "$0" = hook-name"#,
        ))
        .unwrap();
        run_json(shell(r#"test -n "$CARGO""#)).unwrap();
        let mut with = shell(r#"test -z "$CARGO" && test "$A" = "b=c""#);
        with["env"] = json!(["A=b=c"]);
        run_json(with).unwrap();
    }

    #[test]
    fn a_failure_shows_what_the_hook_said() {
        let message = run_json(shell("echo no bridge >&2; exit 3"))
            .unwrap_err()
            .to_string();
        assert!(
            message.contains("/bin/sh") && message.contains("no bridge"),
            "{message}"
        );
    }

    #[test]
    fn a_hook_that_hangs_is_killed() {
        let mut hang = shell("sleep 60");
        hang["timeout"] = json!(1);
        let start = std::time::Instant::now();
        assert!(matches!(run_json(hang), Err(HookError::TimedOut { .. })));
        assert!(start.elapsed() < Duration::from_secs(20));
    }

    #[test]
    fn one_that_does_not_read_its_input_is_no_error_and_a_left_child_does_not_hold_it_up() {
        let start = std::time::Instant::now();
        run_json(shell("sleep 30 & exit 0")).unwrap();
        assert!(start.elapsed() < Duration::from_secs(20));
    }

    #[test]
    fn of_megabytes_the_end_is_shown() {
        let much = "i=0; while [ $i -lt 400 ]; do printf '%01024d' 7 >&2; i=$((i+1)); done";
        run_json(shell(much)).unwrap();
        let message = run_json(shell(&format!("{much}; {much}; echo the end >&2; exit 1")))
            .unwrap_err()
            .to_string();
        assert!(message.ends_with("the end"), "{message}");
        assert!(message.len() < 2 * SHOWN, "{}", message.len());
    }

    #[test]
    fn what_a_hook_started_is_killed_with_it() {
        let dir = tempfile::tempdir().unwrap();
        let pid = dir.path().join("pid");
        let script = format!("sleep 60 & echo $! > {}; wait", pid.display());
        let mut hang = shell(&script);
        hang["timeout"] = json!(1);
        assert!(matches!(run_json(hang), Err(HookError::TimedOut { .. })));
        let pid = std::fs::read_to_string(pid).unwrap();
        // Gone, or dead and not yet reaped by whoever does that here.
        let is_dead = || {
            let stat = std::fs::read_to_string(format!("/proc/{}/stat", pid.trim()));
            stat.map_or(true, |stat| stat.contains(") Z "))
        };
        // It has been told; on a busy host it dies when it is next on a processor.
        let told = Instant::now();
        while !is_dead() {
            assert!(told.elapsed() < Duration::from_secs(20), "{pid} lives");
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    #[test]
    fn paths_and_timeouts_are_checked() {
        assert!(run_json(json!({"path": "sh"})).is_err());
        assert!(run_json(json!({"path": "/bin/true", "timeout": 0})).is_err());
        assert!(run_json(json!({"path": "/nonexistent"})).is_err());
    }
}
