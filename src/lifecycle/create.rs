//! `create`: everything is verified first, made second, and unmade again when anything fails.

use std::collections::BTreeMap;
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use super::LifecycleError;
use super::agent::Agent;
use super::inherited::Inherited;
use super::notify;
use super::payload::{self, Payload};
use super::pid_file::PidFile;
use super::plan::{Plan, deprecated_prestart, follows_mounting};
use super::spawn::{self, Inside, Spawn};
use crate::bundle::config::Bundle;
use crate::bundle::megabinary::VerifiedCode;
use crate::bundle::{engine_init, sealed, supported};
use crate::config::NodeConfig;
use crate::container::record::PayloadRecord;
use crate::container::store::{self, Locked};
use crate::container::{
    ContainerDir, ContainerId, Intent, Record, Status, Store, StoreError, record,
};
use crate::failure::Doing;
use crate::init::channel::Message;
use crate::init::request::{self, Entry, Guest, Handing, ProcessRequest, Request};
use crate::sandbox::cgroup::{CgroupPaths, Manager};
use crate::sandbox::credentials::KEEP_GROUPS;
use crate::sandbox::{hooks, terminal};

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
    /// What the caller hands the process.
    pub inherited: &'a Inherited,
    /// Whether the root is changed by pivot_root: not with `--no-pivot`.
    pub pivot: bool,
    /// Who makes cgroups.
    pub cgroups: Manager,
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
    let mut bundle = Bundle::load(&request.bundle, request.config.as_deref())?;
    let mut plan = Plan::new(&bundle.spec, &request.id, request.cgroups)?;
    let console = console(&bundle, request.console)?;
    // The program may yet turn out not to hold; a process that waits is nothing of the host's.
    let early = match plan.cgroup.v2.is_none() && plan.cgroup.unit.is_none() {
        true => Some(spawn(&bundle, &plan, request.inherited)?),
        // It is cloned into its cgroup.
        false => None,
    };
    let payload = Payload::of(&bundle, request.node)?;
    if !matches!(payload, Payload::Native) {
        supported::without_native(&bundle.spec)?;
        plan.namespaces.check_own_mounts()?;
        engine_init::strip(&mut bundle.spec);
    }

    let linux = bundle.spec.linux().as_ref();
    let filter = payload::filter(linux, payload.runs())?;
    let agent = Agent::connect(linux, filter.as_ref())?;

    let (dir, lock) = request.store.create(&request.id, clear_left)?;
    let mut unmade = Unmade {
        dir: &dir,
        intent: Intent::default(),
        poststop: None,
        keep: false,
        _lock: lock,
    };
    let manager = notify::manager();
    if let Some(manager) = &manager {
        notify::show(manager, &dir, &mut bundle.spec)?;
    }
    let mut handing = Handing::default();
    let payload_record = payload.record();
    let (guest, asked) = match payload {
        Payload::Code { code, compiled } => {
            let (socket, asked) = dir.listen()?;
            let kernel = Kernel {
                artifact: compiled.into(),
                asked: socket,
            };
            let (node, id) = (request.node, &request.id);
            let guest = guest(&code, kernel, &dir, node, id, &mut handing)?;
            (Some(guest), Some(asked))
        }
        Payload::Sandbox | Payload::Native => (None, None),
    };

    // Only now: what an earlier create left under this id has just been cleared.
    plan.cgroup.check_unused()?;
    // A scope ends with its holder, and that with this process: only one that was made is this
    // container's to stop.
    let holder = plan.start_unit()?;
    let (inside, made) = match early {
        Some(inside) => (inside, false),
        None => {
            make_cgroups(&plan, &mut unmade)?;
            (spawn(&bundle, &plan, request.inherited)?, true)
        }
    };
    // Its process is in the scope now.
    drop(holder);
    let mut record = new_record(&request.id, &bundle, &plan, payload_record);
    record.process = inside.process;
    let creating = document(&record, Status::Creating);
    let build = plan.build(&bundle, &dir, creating, request.pivot, &mut handing)?;
    let process = bundle.spec.process().clone();
    let mut process = process.unwrap_or_else(supported::no_process);
    request.inherited.tell(&mut process);
    if let Some(manager) = &manager {
        notify::tell(manager, &mut process);
    }
    let linux = bundle.spec.linux().as_ref();
    let what = Request {
        cgroups: plan.cgroup.hand_tasks(&mut handing),
        entry: Entry::Build(Box::new(build)),
        process: ProcessRequest {
            config: process,
            filter: payload::hand_filter(filter, &mut handing)?,
            console: console.map(|console| handing.give(console)),
            personality: payload::personality(linux),
            preserved: request.inherited.descriptors.clone(),
            keeps_groups: keeps_groups(&record.annotations),
            payload: match (guest, &record.payload) {
                (Some(guest), _) => request::Payload::Guest(guest),
                (None, PayloadRecord::Native) => request::Payload::Native(payload::native(&record)),
                (None, _) => request::Payload::Sandbox,
            },
        },
    };
    inside.request(&what, &mut handing)?;
    // While it mounts.
    if !made {
        make_cgroups(&plan, &mut unmade)?;
    }
    inside.cgroups_are_made(handing)?;
    if let Some(asked) = asked {
        asked.belongs_to(inside.process.pid)?;
    }
    let pid_file = &request.pid_file;
    finish(pid_file, &bundle, record, inside, agent, &mut unmade)
}

/// Makes the cgroups with their limits. What is about to be made is on record before it is, and
/// what was made before anybody enters it.
fn make_cgroups(plan: &Plan, unmade: &mut Unmade<'_>) -> Result<(), LifecycleError> {
    unmade.intent = plan.cgroup.intent();
    unmade.dir.write_intent(&unmade.intent)?;
    unmade.intent = plan.cgroup.make()?;
    unmade.dir.write_intent(&unmade.intent)?;
    plan.cgroup.check_thawed()?;
    if plan.cgroup != CgroupPaths::default() {
        plan.cgroup.apply(&plan.resources, true)?;
    }
    Ok(())
}

/// The process inside, waiting to be told what to do.
fn spawn(bundle: &Bundle, plan: &Plan, inherited: &Inherited) -> Result<Inside, LifecycleError> {
    let joined = plan.namespaces.join.iter();
    let pid_namespace = joined
        .filter(|(flag, _)| *flag == libc::CLONE_NEWPID as u32)
        .map(|(_, path)| {
            std::fs::File::open(path).doing(|| format!("opening namespace `{}`", path.display()))
        })
        .next()
        .transpose()?;
    let user_namespace = plan.namespaces.makes(libc::CLONE_NEWUSER);
    spawn::spawn(&Spawn {
        // A cgroup namespace is made from inside, once its process is in its cgroup.
        namespaces: plan.namespaces.new & !(libc::CLONE_NEWCGROUP as u32),
        pid_namespace: pid_namespace.as_ref().map(AsFd::as_fd),
        cgroup_v2: plan.cgroup.open_v2()?,
        mappings: user_namespace.then_some((plan.uids.as_slice(), plan.gids.as_slice())),
        preserved: &inherited.descriptors,
        keeps_groups: bundle.spec.annotations().as_ref().is_some_and(keeps_groups),
        title: engine_init::program(&bundle.spec),
    })
}

/// Whether the container's processes keep the runtime's supplementary groups.
pub fn keeps_groups<'a>(annotations: impl IntoIterator<Item = (&'a String, &'a String)>) -> bool {
    let mut annotations = annotations.into_iter();
    annotations.any(|(name, value)| name == KEEP_GROUPS && value != "0")
}

/// From the clone to a container that waits: hooks, record, pid file, in the order in which a
/// crash at any point leaves nothing half done.
fn finish(
    pid_file: &Option<PathBuf>,
    bundle: &Bundle,
    mut record: Record,
    mut inside: Inside,
    agent: Option<Agent>,
    unmade: &mut Unmade<'_>,
) -> Result<OwnedFd, LifecycleError> {
    if follows_mounting(&bundle.spec) {
        inside.expect(&Message::Mounted)?;
        run_runtime_hooks(bundle, &record, unmade)?;
        inside.send(&Message::HooksDone)?;
    }
    // Written while the process inside builds, put in place when it is ready.
    record.created = record::rfc3339(SystemTime::now());
    let pid = record.process.pid;
    let pid_file = pid_file.as_ref().map(|path| PidFile::lay(path, pid));
    let pid_file = pid_file.transpose()?;
    unmade.dir.lay_record(&record)?;
    if let Some(agent) = agent {
        agent.tell(&mut inside, &record, Status::Creating)?;
    }
    inside.expect(&Message::Ready)?;
    pid_file.map(PidFile::place).transpose()?;
    unmade.dir.place_record()?;
    let pidfd = inside.release()?;
    unmade.keep = true;
    Ok(pidfd)
}

/// The hooks between mounting and the change of the root.
fn run_runtime_hooks(
    bundle: &Bundle,
    record: &Record,
    unmade: &mut Unmade<'_>,
) -> Result<(), LifecycleError> {
    let state = document(record, Status::Creating);
    unmade.poststop = Some((record.poststop.clone(), document(record, Status::Stopped)));
    // From before there was `creating`: its programs know `created` alone.
    let created = document(record, Status::Created);
    hooks::run(
        "prestart",
        deprecated_prestart(&bundle.spec),
        &created,
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
    Ok(())
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

/// What its kernel is handed.
struct Kernel {
    /// The compiled code.
    artifact: OwnedFd,
    /// Where it says who runs in it.
    asked: OwnedFd,
}

fn guest(
    code: &VerifiedCode,
    kernel: Kernel,
    dir: &ContainerDir,
    node: &NodeConfig,
    id: &ContainerId,
    handing: &mut Handing,
) -> Result<Guest, LifecycleError> {
    let plan = code.plan.encode();
    dir.write(store::PLAN, &plan)?;
    Ok(Guest {
        plan: handing.give(sealed::seal("plan", &plan)?),
        artifact: handing.give(kernel.artifact),
        audit: open_audit(node)?.map(|file| handing.give(file)),
        asked: handing.give(kernel.asked),
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

fn new_record(id: &ContainerId, bundle: &Bundle, plan: &Plan, payload: PayloadRecord) -> Record {
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
        payload,
    }
}

/// The state document for hooks.
pub fn document(record: &Record, status: Status) -> String {
    serde_json::to_string(&record.document(status))
        .expect("a state document has only texts and numbers")
}
