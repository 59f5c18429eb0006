//! `create`: everything is verified first, made second, and unmade again when anything fails.

use std::collections::BTreeMap;
use std::io::Write;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use super::LifecycleError;
use super::plan::{Plan, deprecated_prestart};
use super::spawn::{self, Inside, Spawn};
use crate::bundle::artifact;
use crate::bundle::config::Bundle;
use crate::bundle::megabinary::{self, VerifiedCode};
use crate::bundle::{sealed, supported};
use crate::config::{NodeConfig, trust};
use crate::container::store::{self, Locked};
use crate::container::{
    ContainerDir, ContainerId, Intent, Record, Status, Store, StoreError, record,
};
use crate::failure::Doing;
use crate::init;
use crate::init::channel::Message;
use crate::init::request::{Entry, Guest, Handing, ProcessRequest, Request};
use crate::sandbox::{hooks, namespaces, terminal};

/// What is asked for.
pub struct Create<'a> {
    /// `--root`.
    pub store: &'a Store,
    /// The node's configuration.
    pub node: &'a NodeConfig,
    /// The new container's id.
    pub id: ContainerId,
    /// `--bundle`.
    pub bundle: PathBuf,
    /// Another name for config.json.
    pub config: Option<PathBuf>,
    /// `--pid-file`.
    pub pid_file: Option<PathBuf>,
    /// Where the terminal goes.
    pub console: Console,
    /// `--preserve-fds`.
    pub preserved: u32,
    /// Whether there are cgroups.
    pub cgroups: bool,
}

/// Who takes the terminal's master side.
pub enum Console {
    /// Nobody: the process must not have one.
    None,
    /// The engine, at a socket.
    Socket(PathBuf),
    /// This program, which relays it (`run`): the socket's other end.
    Relayed(OwnedFd),
}

/// The container is made and waits for `start`. Returns a pidfd of its process.
pub fn create(request: Create<'_>) -> Result<OwnedFd, LifecycleError> {
    // Nothing of the host changes before all of this has held.
    let bundle = Bundle::load(&request.bundle, request.config.as_deref())?;
    let plan = Plan::new(&bundle.spec, &request.id, request.cgroups)?;
    let console = console(&bundle, request.console)?;
    let code = match supported::is_sandbox(&bundle.spec) {
        true => None,
        false => {
            let policy = trust::policy(request.node)?;
            Some(megabinary::verify(&bundle.path, &bundle.rootfs, &policy)?)
        }
    };
    let compiled = match &code {
        Some(code) => Some(artifact::obtain(&code.wasm, &code.id, request.node)?),
        None => None,
    };

    let (dir, lock) = request.store.create(&request.id, clear_left)?;
    let mut unmade = Unmade {
        dir: &dir,
        intent: Intent::default(),
        poststop: None,
        keep: false,
        _lock: lock,
    };
    let mut handing = Handing::default();
    let (channel, child_channel) = spawn::channel(&mut handing)?;
    let guest = match (&code, compiled) {
        (Some(code), Some(compiled)) => Some(guest(
            code,
            compiled.into(),
            &dir,
            request.node,
            &request.id,
            &mut handing,
        )?),
        _ => None,
    };

    // Only now: what an earlier create left under this id has just been cleared.
    plan.cgroup.check_unused()?;
    unmade.intent = plan.cgroup.intent();
    dir.write_intent(&unmade.intent)?;
    unmade.intent = plan.cgroup.make()?;
    dir.write_intent(&unmade.intent)?;
    if request.cgroups {
        plan.cgroup.apply(&plan.resources, true)?;
    }

    let mut record = new_record(&request.id, &bundle, &plan, code.as_ref());
    let creating = document(&record, Status::Creating);
    let build = plan.build(&bundle, &dir, creating, &mut handing)?;
    let process = bundle.spec.process().clone().unwrap_or_default();
    let title = process.args().clone().unwrap_or_default();
    let linux = bundle.spec.linux().as_ref();
    let inside_request = init::write_request(&Request {
        channel: child_channel,
        entry: Entry::Build(Box::new(build)),
        process: ProcessRequest {
            config: process,
            seccomp: linux.and_then(|linux| linux.seccomp().clone()),
            console: console.map(|console| handing.give(console)),
            preserved: request.preserved,
            guest,
        },
    })?;
    for (flag, path) in &plan.namespaces.join {
        if *flag == libc::CLONE_NEWPID as u32 {
            let namespace = std::fs::File::open(path)
                .doing(|| format!("opening namespace `{}`", path.display()))?;
            namespaces::join(*flag, &namespace.into())?;
        }
    }
    let user_namespace = plan.namespaces.makes(libc::CLONE_NEWUSER);
    let inside = spawn::spawn(Spawn {
        // A cgroup namespace is made from inside, once its process is in its cgroup.
        namespaces: plan.namespaces.new & !(libc::CLONE_NEWCGROUP as u32),
        cgroup_v1: plan.cgroup.open_v1_tasks()?,
        cgroup_v2: plan.cgroup.open_v2()?,
        mappings: user_namespace.then_some((plan.uids.as_slice(), plan.gids.as_slice())),
        handing: &handing,
        preserved: request.preserved,
        request: inside_request,
        title: &title,
        channel,
    })?;
    // The child has its own: with these closed, each side notices the end of the other.
    drop(handing);
    record.process = inside.process;
    finish(&request.pid_file, &bundle, record, inside, &mut unmade)
}

/// From the clone to a container that waits: hooks, record, pid file, in the order in which a
/// crash at any point leaves nothing half done.
fn finish(
    pid_file: &Option<PathBuf>,
    bundle: &Bundle,
    mut record: Record,
    inside: Inside,
    unmade: &mut Unmade<'_>,
) -> Result<OwnedFd, LifecycleError> {
    inside.expect(&Message::Mounted)?;
    let state = document(&record, Status::Creating);
    unmade.poststop = Some((record.poststop.clone(), document(&record, Status::Stopped)));
    hooks::run(
        "prestart",
        deprecated_prestart(&bundle.spec),
        &state,
        &bundle.path,
    )?;
    let all = bundle.spec.hooks().as_ref();
    let create_runtime = all.and_then(|hooks| hooks.create_runtime().as_deref());
    hooks::run(
        "createRuntime",
        create_runtime.unwrap_or_default(),
        &state,
        &bundle.path,
    )?;
    inside.send(&Message::HooksDone)?;
    inside.expect(&Message::Ready)?;
    record.created = record::rfc3339(SystemTime::now());
    if let Some(path) = pid_file {
        write_pid_file(path, record.process.pid)?;
    }
    unmade.dir.write_record(&record)?;
    let pidfd = inside.release()?;
    unmade.keep = true;
    Ok(pidfd)
}

/// Everything made so far; removed when dropped unless it is to be kept.
struct Unmade<'a> {
    dir: &'a ContainerDir,
    intent: Intent,
    poststop: Option<(Vec<oci_spec::runtime::Hook>, String)>,
    keep: bool,
    _lock: Locked,
}

impl Drop for Unmade<'_> {
    fn drop(&mut self) {
        if self.keep {
            return;
        }
        // What fails here stays on record in the intent, for `delete --force` or the next create.
        match self.intent.remove_cgroups() {
            Ok(()) => {
                if let Err(error) = self.dir.remove() {
                    log::warn!("cleaning up after a failed create: {error}");
                }
            }
            Err(error) => log::warn!("cleaning up after a failed create: {error}"),
        }
        if let Some((list, state)) = &self.poststop
            && let Err(error) = hooks::run("poststop", list, state, Path::new("/"))
        {
            log::warn!("cleaning up after a failed create: {error}");
        }
    }
}

/// Removes what a create that was killed left under the id.
pub fn clear_left(left: &ContainerDir) -> Result<(), StoreError> {
    let intent = left.intent()?.unwrap_or_default();
    intent
        .remove_cgroups()
        .map_err(|error| StoreError::Left(error.to_string()))
}

fn console(bundle: &Bundle, console: Console) -> Result<Option<OwnedFd>, LifecycleError> {
    let wanted = bundle
        .spec
        .process()
        .as_ref()
        .and_then(|process| process.terminal())
        == Some(true);
    match (wanted, console) {
        (true, Console::Socket(path)) => Ok(Some(terminal::connect(&path)?)),
        (true, Console::Relayed(socket)) => Ok(Some(socket)),
        (true, Console::None) => Err(LifecycleError::NoConsole),
        (false, Console::Socket(_)) => Err(LifecycleError::NoTerminal),
        (false, _) => Ok(None),
    }
}

fn guest(
    code: &VerifiedCode,
    artifact: OwnedFd,
    dir: &ContainerDir,
    node: &NodeConfig,
    id: &ContainerId,
    handing: &mut Handing,
) -> Result<Guest, LifecycleError> {
    let plan = code.plan.encode();
    dir.write(store::PLAN, &plan)?;
    Ok(Guest {
        plan: handing.give(sealed::seal("plan", &plan)?),
        artifact: handing.give(artifact),
        audit: open_audit(node)?.map(|file| handing.give(file)),
        container: id.to_string(),
        process_memory: node.limits.process_memory,
        tool: None,
    })
}

/// Opens the node's audit file for appending.
pub fn open_audit(node: &NodeConfig) -> Result<Option<OwnedFd>, LifecycleError> {
    use std::os::unix::fs::OpenOptionsExt;
    let open = |path: &PathBuf| {
        std::fs::OpenOptions::new()
            .append(true)
            .create(true)
            .mode(0o600)
            .custom_flags(libc::O_NOFOLLOW | libc::O_NOCTTY)
            .open(path)
            .doing(|| format!("opening the audit file `{}`", path.display()))
    };
    Ok(node.audit.as_ref().map(open).transpose()?.map(Into::into))
}

fn new_record(
    id: &ContainerId,
    bundle: &Bundle,
    plan: &Plan,
    code: Option<&VerifiedCode>,
) -> Record {
    let spec = &bundle.spec;
    let hooks = spec.hooks().as_ref();
    let annotations: BTreeMap<String, String> = spec
        .annotations()
        .iter()
        .flatten()
        .map(|(k, v)| (k.clone(), v.clone()))
        .collect();
    Record {
        oci_version: spec.version().clone(),
        id: id.to_string(),
        process: crate::container::ProcessId {
            pid: 0,
            start_time: 0,
        },
        bundle: bundle.path.clone(),
        rootfs: bundle.rootfs.clone(),
        created: record::rfc3339(SystemTime::now()),
        annotations,
        cgroup: plan.cgroup.clone(),
        poststart: hooks
            .and_then(|hooks| hooks.poststart().clone())
            .unwrap_or_default(),
        poststop: hooks
            .and_then(|hooks| hooks.poststop().clone())
            .unwrap_or_default(),
        config: Box::new(spec.clone()),
        megabinary: code.map(|code| code.record.clone()),
    }
}

/// The state document for hooks.
pub fn document(record: &Record, status: Status) -> String {
    serde_json::to_string(&record.document(status))
        .expect("a state document has only texts and numbers")
}

/// Writes a pid file whole or not at all.
pub fn write_pid_file(path: &Path, pid: i32) -> Result<(), LifecycleError> {
    let name = path
        .file_name()
        .ok_or_else(|| LifecycleError::PidFile(path.to_owned()))?;
    let temporary = path.with_file_name(format!(".{}.new", name.to_string_lossy()));
    let doing = || format!("writing --pid-file `{}`", path.display());
    let mut file = std::fs::File::create(&temporary).doing(doing)?;
    file.write_all(pid.to_string().as_bytes()).doing(doing)?;
    std::fs::rename(&temporary, path).doing(doing)?;
    Ok(())
}
