//! From a path, digest or tool's name to the one thing that may run for it.
//!
//! The digest lookup is the only resolution: nothing a file says about itself chooses an entry
//! point, arguments or rights. The steps are those of exec in every system, with the signature's
//! manifest where others have a loader.

mod error;
mod file;
mod search;

use std::os::fd::OwnedFd;
use std::sync::Arc;

use megabinary::digest::Digest;

use crate::audit::{Audit, Decision};
use crate::errno::Errno;
use crate::kill::KillToken;
use crate::plan::{ExecRule, Plan, Target};
use crate::process::Program;

pub use error::ExecError;
use file::Contents;
pub use file::MAX_SCRIPT;
pub use search::DEFAULT_PATH;

/// What a process is asked to execute.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ExecTarget {
    /// A name as `execvp` takes it: with a slash a path, otherwise searched in `PATH`.
    Search(Vec<u8>),
    /// A path, relative to the working directory unless absolute.
    Path(Vec<u8>),
    /// A digest of the manifest; no file is looked at.
    Digest(Digest),
    /// An agent tool of the manifest, by its name.
    Tool(String),
}

/// An executable file as the resolver opened it.
#[derive(Debug)]
pub struct Executable {
    /// A regular file with execute permission, open for reading; its offset is nobody's.
    pub fd: Arc<OwnedFd>,
    /// Where it really stands in the container's root.
    pub path: Vec<u8>,
    /// Its size in bytes when it was found: a hint, for it may have changed.
    pub size: u64,
}

/// Opens a path for execution: `ENOENT` and the like where there is nothing, `EACCES` for what is
/// no regular file or lacks execute permission.
pub type OpenExecutable<'a> = dyn Fn(&[u8]) -> Result<Executable, Errno> + 'a;

/// What was found and may run.
pub struct Found<'p> {
    /// The manifest's entry.
    pub target: Target<'p>,
    /// Path in the root, the tool's name or the digest: for reports.
    pub label: String,
    /// The sealed copy of a script's bytes, which hash to the entry's digest.
    pub script: Option<OwnedFd>,
}

/// Who asks for an execution.
#[derive(Clone, Copy)]
pub struct Caller<'c> {
    /// Its number, for records.
    pub pid: u32,
    /// The program it runs, and what may end it meanwhile; none for the host, whom no list binds.
    process: Option<(&'c Program, &'c KillToken)>,
}

impl<'c> Caller<'c> {
    /// The host, on behalf of process `pid` to be.
    #[must_use]
    pub fn host(pid: u32) -> Caller<'c> {
        Caller { pid, process: None }
    }

    /// A process that runs `program`.
    #[must_use]
    pub fn process(pid: u32, program: &'c Program, kill: &'c KillToken) -> Caller<'c> {
        Caller {
            pid,
            process: Some((program, kill)),
        }
    }

    /// Whether nobody wants an answer any more.
    fn must_end(&self) -> bool {
        self.process.is_some_and(|(_, kill)| kill.must_end())
    }

    /// Whether the manifest lets it execute `target` (manifest.md, `exec`).
    fn may_execute(&self, plan: &Plan, target: &Target<'_>) -> bool {
        let Some((program, _)) = self.process else {
            return true;
        };
        if plan.exec_rule() == ExecRule::Any {
            return true;
        }
        let (Some(own), Some(path)) = (plan.lookup(&program.digest), target.path()) else {
            return false;
        };
        own.may_execute().any(|listed| listed == path)
    }
}

/// Decides what `target` executes for `caller`, and records the decision.
///
/// `search_path` is where a name without a slash is searched, as in `PATH`.
pub fn find<'p>(
    plan: &'p Plan,
    target: &ExecTarget,
    search_path: Option<&[u8]>,
    open: &OpenExecutable<'_>,
    audit: &Audit,
    caller: Caller<'_>,
) -> Result<Found<'p>, ExecError> {
    let pid = caller.pid;
    let found = match target {
        ExecTarget::Search(name) => search::search(name, search_path, |path| {
            by_path(plan, path, open, audit, caller)
        }),
        ExecTarget::Path(path) => by_path(plan, path, open, audit, caller),
        ExecTarget::Digest(digest) => match plan.lookup(digest) {
            Some(target) => known(plan, target, open, audit, caller),
            None => {
                audit.exec(pid, "", Some(*digest), None, Decision::Unknown);
                Err(ExecError::UnknownDigest {
                    digest: *digest,
                    container: *plan.container_id(),
                })
            }
        },
        ExecTarget::Tool(name) => match plan.tool(name) {
            Some(target) => known(plan, target, open, audit, caller),
            None => {
                audit.exec(pid, name, None, None, Decision::Unknown);
                Err(ExecError::UnknownTool {
                    name: name.clone(),
                    container: *plan.container_id(),
                })
            }
        },
    }?;
    let allowed = caller.may_execute(plan, &found.target);
    let decision = match allowed {
        true => Decision::Allowed,
        false => Decision::NotListed,
    };
    audit.exec(
        pid,
        &found.label,
        Some(*found.target.digest()),
        Some(found.target.entry()),
        decision,
    );
    if allowed {
        Ok(found)
    } else {
        Err(ExecError::NotListed { path: found.label })
    }
}

fn by_path<'p>(
    plan: &'p Plan,
    path: &[u8],
    open: &OpenExecutable<'_>,
    audit: &Audit,
    caller: Caller<'_>,
) -> Result<Found<'p>, ExecError> {
    let shown = || String::from_utf8_lossy(path).into_owned();
    let executable = open(path).map_err(|errno| ExecError::open(shown(), errno))?;
    let contents =
        Contents::read(&executable, || caller.must_end()).map_err(|errno| ExecError::Read {
            path: shown(),
            errno,
        })?;
    let label = text(executable.path);
    let Some(target) = plan.lookup(contents.digest()) else {
        // The manifest may name the path as asked for or where the links lead.
        let expected = plan
            .named_for_path(&label)
            .or_else(|| plan.named_for_path(&shown()))
            .map(|target| *target.digest());
        let (found, container) = (*contents.digest(), *plan.container_id());
        let (decision, error) = match expected {
            None => (
                Decision::Unknown,
                ExecError::Unknown {
                    path: shown(),
                    found,
                    container,
                },
            ),
            Some(expected) => (
                Decision::Modified { expected },
                ExecError::Modified {
                    path: shown(),
                    found,
                    expected,
                    container,
                },
            ),
        };
        audit.exec(caller.pid, &label, Some(found), None, decision);
        return Err(error);
    };
    let script = contents
        .script_for(&target)
        .map_err(|errno| ExecError::Read {
            path: shown(),
            errno,
        })?;
    Ok(Found {
        target,
        label,
        script,
    })
}

/// Bytes that are almost always text, as text.
fn text(bytes: Vec<u8>) -> String {
    String::from_utf8(bytes)
        .unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned())
}

/// An entry that was named rather than found by its file.
///
/// Its file is looked at only where it may be a script, whose bytes the interpreter needs: the
/// entry has a path and shares its entry point. Then the file must be there and unmodified. A
/// tool without a path has no file, so it can be no script.
fn known<'p>(
    plan: &'p Plan,
    target: Target<'p>,
    open: &OpenExecutable<'_>,
    audit: &Audit,
    caller: Caller<'_>,
) -> Result<Found<'p>, ExecError> {
    let label = target
        .tool_name()
        .or(target.path())
        .map_or_else(|| target.digest().to_string(), str::to_owned);
    let mut script = None;
    if let Some(path) = target.path().filter(|_| target.shares_entry()) {
        let executable =
            open(path.as_bytes()).map_err(|errno| ExecError::open(path.to_owned(), errno))?;
        let read = |errno| ExecError::Read {
            path: path.to_owned(),
            errno,
        };
        let contents = Contents::read(&executable, || caller.must_end()).map_err(read)?;
        let (found, expected) = (*contents.digest(), *target.digest());
        if found != expected {
            let decision = Decision::Modified { expected };
            audit.exec(caller.pid, path, Some(found), None, decision);
            return Err(ExecError::Modified {
                path: path.to_owned(),
                found,
                expected,
                container: *plan.container_id(),
            });
        }
        script = contents.script_for(&target).map_err(read)?;
    }
    Ok(Found {
        target,
        label,
        script,
    })
}
