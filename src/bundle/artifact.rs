//! Compiled code: from the node's cache, else compiled once by a separate program.
//!
//! This program links no compiler. On a miss it runs `megabin precompile` by absolute path on the
//! bytes that were verified: without privileges, within limits, and only then stores the result.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use megabinary::digest::Digest;
use rustix::fs::{FileType, MemfdFlags, Mode, OFlags};
use rustix::process::{Resource, Rlimit};
use thiserror::Error;
use vkernel::artifact::{Artifact, Cache, CacheError, CacheKey};

use super::sealed;
use crate::config::NodeConfig;
use crate::failure::{Doing, Failure};
use crate::sys::fds;

/// `nobody`: owns nothing and may write nothing.
const UNPRIVILEGED: u32 = 65_534;
/// How much of the compiler's standard error an error message shows.
const SHOWN: u64 = 4096;

/// Why there is no compiled code.
#[derive(Debug, Error)]
pub enum ArtifactError {
    /// The cache cannot be used, or compiling failed.
    #[error(transparent)]
    Cache(#[from] CacheError),
}

/// Why the compiler gave nothing.
#[derive(Debug, Error)]
pub enum CompileError {
    /// The program is not one to run as part of the runtime.
    #[error(
        "the precompiler `{path}` {reason}; install `megabin` there, set `precompiler` in the \
         node's configuration, or fill the cache with `megabin precompile`"
    )]
    Program {
        /// The program.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// It ended with a failure.
    #[error("`{path} precompile` failed with {status}{said}")]
    Failed {
        /// The program.
        path: PathBuf,
        /// How it ended.
        status: std::process::ExitStatus,
        /// What it said.
        said: String,
    },
    /// It took too long.
    #[error(
        "`{path} precompile` was stopped after {seconds} s; raise limits.compile_seconds in the \
         node's configuration"
    )]
    TimedOut {
        /// The program.
        path: PathBuf,
        /// The limit.
        seconds: u64,
    },
    /// The system refused.
    #[error(transparent)]
    System(#[from] Failure),
}

/// The compiled form of verified code: looked up, or compiled by whichever of several creates
/// comes first.
pub fn obtain(wasm: &[u8], id: &Digest, node: &NodeConfig) -> Result<Artifact, ArtifactError> {
    let cache = Cache::open_or_create(&node.cache)?;
    Ok(cache.get_or_compile(&CacheKey::of(id), || compile(wasm, node))?)
}

/// The compiled form of code that an earlier create verified, for `exec`.
pub fn cached(id: &Digest, node: &NodeConfig) -> Result<Option<Artifact>, ArtifactError> {
    Ok(Cache::open_or_create(&node.cache)?.lookup(&CacheKey::of(id))?)
}

fn compile(wasm: &[u8], node: &NodeConfig) -> Result<Vec<u8>, CompileError> {
    let (path, program) = program(node)?;
    let doing = || format!("running `{} precompile`", path.display());
    let memory = |name: &str| {
        rustix::fs::memfd_create(name, MemfdFlags::CLOEXEC)
            .map(File::from)
            .doing(doing)
    };
    let (mut output, mut said) = (memory("artifact")?, memory("precompile-stderr")?);
    // What was checked, not what is there by now; and the way to it may be closed to whoever runs it.
    let mut command = Command::new(format!("/proc/self/fd/{}", program.as_raw_fd()));
    command
        .arg0(&path)
        .args(["precompile", "--pipe"])
        .env_clear()
        .current_dir("/")
        .stdin(sealed::seal("container.wasm", wasm)?)
        .stdout(output.try_clone().doing(doing)?)
        .stderr(said.try_clone().doing(doing)?);
    let limits = node.limits.clone();
    let drop_privileges = move || {
        fds::keep_on_exec(&program)?;
        confine(limits.compile_memory, limits.compile_seconds)
    };
    // SAFETY: between fork and exec the closure only makes system calls; it takes no lock and
    // allocates nothing.
    unsafe { command.pre_exec(drop_privileges) };
    let mut child = command.spawn().doing(doing)?;
    let deadline = Instant::now() + Duration::from_secs(node.limits.compile_seconds);
    let status = loop {
        if let Some(status) = child.try_wait().doing(doing)? {
            break status;
        }
        if Instant::now() > deadline {
            child.kill().and_then(|()| child.wait()).doing(doing)?;
            let seconds = node.limits.compile_seconds;
            return Err(CompileError::TimedOut { path, seconds });
        }
        std::thread::sleep(Duration::from_millis(2));
    };
    if !status.success() {
        let said = tail(&mut said);
        return Err(CompileError::Failed { path, status, said });
    }
    let mut bytes = Vec::new();
    output
        .seek(SeekFrom::Start(0))
        .and_then(|_| output.read_to_end(&mut bytes))
        .doing(|| "reading the compiled code")?;
    Ok(bytes)
}

/// Gives up everything that compiling does not need.
fn confine(memory: u64, seconds: u64) -> std::io::Result<()> {
    use rustix::thread::{Gid, Uid};
    let limit = |resource, value: u64| {
        let limit = Rlimit {
            current: Some(value),
            maximum: Some(value),
        };
        rustix::process::setrlimit(resource, limit)
    };
    limit(Resource::As, memory)?;
    limit(Resource::Cpu, seconds.saturating_mul(4))?;
    limit(Resource::Core, 0)?;
    rustix::process::set_parent_process_death_signal(Some(rustix::process::Signal::KILL))?;
    if rustix::process::geteuid().is_root() {
        let (uid, gid) = (Uid::from_raw(UNPRIVILEGED), Gid::from_raw(UNPRIVILEGED));
        rustix::thread::set_thread_groups(&[])?;
        rustix::thread::set_thread_res_gid(gid, gid, gid)?;
        rustix::thread::set_thread_res_uid(uid, uid, uid)?;
    }
    rustix::thread::set_no_new_privs(true)?;
    Ok(())
}

fn tail(said: &mut File) -> String {
    let mut text = Vec::new();
    let length = said.seek(SeekFrom::End(0)).unwrap_or(0);
    let _ = said.seek(SeekFrom::Start(length.saturating_sub(SHOWN)));
    let _ = said.take(SHOWN).read_to_end(&mut text);
    let text = String::from_utf8_lossy(&text).trim().to_owned();
    if text.is_empty() {
        text
    } else {
        format!(": {text}")
    }
}

/// The precompiler: configured, else `megabin` beside this program; and the file itself. Only one that nobody else
/// can replace: what it writes runs as root's containers.
fn program(node: &NodeConfig) -> Result<(PathBuf, OwnedFd), CompileError> {
    let path = match &node.precompiler {
        Some(path) => path.clone(),
        None => std::env::current_exe()
            .doing(|| "finding this program's own path")?
            .with_file_name("megabin"),
    };
    match open_program(&path) {
        Ok(file) => Ok((path, file)),
        Err(reason) => Err(CompileError::Program { path, reason }),
    }
}

/// Opens it, or says what is wrong with it.
fn open_program(path: &Path) -> Result<OwnedFd, String> {
    let unusable = |error| Failure::new("cannot be used", error).to_string();
    let file = rustix::fs::open(path, OFlags::PATH | OFlags::CLOEXEC, Mode::empty());
    let file = file.map_err(unusable)?;
    let meta = rustix::fs::fstat(&file).map_err(unusable)?;
    let root = rustix::process::geteuid().is_root();
    let mode = meta.st_mode & 0o7777;
    if FileType::from_raw_mode(meta.st_mode) != FileType::RegularFile || mode & 0o111 == 0 {
        return Err("is not an executable file".to_owned());
    }
    if meta.st_uid != 0 && meta.st_uid != rustix::process::geteuid().as_raw() {
        return Err(format!("belongs to user {}", meta.st_uid));
    }
    if mode & 0o022 != 0 {
        return Err(format!("can be written by others (mode {mode:o})"));
    }
    if root && mode & 0o001 == 0 {
        return Err(format!(
            "may not be executed by user {UNPRIVILEGED}, who compiles (mode {mode:o})"
        ));
    }
    Ok(file)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    /// A stand-in for the compiler, which a shell interprets.
    fn script(text: &str) -> (tempfile::TempDir, NodeConfig) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("megabin");
        std::fs::write(&path, format!("#!/bin/sh\n{text}\n")).unwrap();
        for path in [dir.path(), path.as_path()] {
            std::fs::set_permissions(path, PermissionsExt::from_mode(0o755)).unwrap();
        }
        let mut config = NodeConfig {
            precompiler: Some(path),
            ..NodeConfig::default()
        };
        config.limits.compile_seconds = 2;
        (dir, config)
    }

    #[test]
    fn it_gets_the_code_on_stdin_and_only_that() {
        let (_dir, node) =
            script(r#"test "$*" = "precompile --pipe" && test -z "$HOME" && cat && id -u"#);
        let out = compile(b"code", &node).unwrap();
        let user = if rustix::process::geteuid().is_root() {
            UNPRIVILEGED
        } else {
            rustix::process::geteuid().as_raw()
        };
        assert_eq!(String::from_utf8(out).unwrap(), format!("code{user}\n"));
    }

    #[test]
    fn it_is_run_from_a_directory_that_its_user_may_not_enter() {
        let (dir, node) = script("cat");
        std::fs::set_permissions(dir.path(), PermissionsExt::from_mode(0o700)).unwrap();
        assert_eq!(compile(b"code", &node).unwrap(), b"code");
        let path = dir.path().join("megabin");
        std::fs::set_permissions(&path, PermissionsExt::from_mode(0o700)).unwrap();
        if rustix::process::geteuid().is_root() {
            let message = compile(b"code", &node).unwrap_err().to_string();
            assert!(message.contains("may not be executed"), "{message}");
        }
    }

    #[test]
    fn what_it_says_when_it_fails_is_shown() {
        let (_dir, node) = script("echo no such feature >&2; exit 3");
        let message = compile(b"", &node).unwrap_err().to_string();
        assert!(message.contains("no such feature"), "{message}");
    }

    #[test]
    fn one_that_hangs_is_stopped() {
        let (_dir, node) = script("exec sleep 60");
        assert!(matches!(
            compile(b"", &node),
            Err(CompileError::TimedOut { .. })
        ));
    }

    #[test]
    fn a_missing_or_unsafe_program_is_not_run() {
        let (dir, mut node) = script("true");
        let path = dir.path().join("megabin");
        std::fs::set_permissions(&path, PermissionsExt::from_mode(0o777)).unwrap();
        assert!(matches!(
            compile(b"", &node),
            Err(CompileError::Program { .. })
        ));
        node.precompiler = Some(dir.path().join("none"));
        let message = compile(b"", &node).unwrap_err().to_string();
        assert!(message.contains("megabin precompile"), "{message}");
    }
}
