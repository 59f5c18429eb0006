//! `exec`: another process in a running container, under the manifest that create pinned.

use std::os::fd::{AsFd, OwnedFd};
use std::path::PathBuf;

use oci_spec::runtime::{Capabilities, Capability, LinuxCapabilities, Process, User};
use rustix::fs::{Mode, OFlags};

use super::agent::Agent;
use super::create::open_audit;
use super::inherited::Inherited;
use super::payload::{filter, hand_filter, personality};
use super::pid_file::PidFile;
use super::spawn::{self, Spawn};
use super::start::load;
use super::{LifecycleError, create};
use crate::bundle::{artifact, supported};
use crate::config::{Native, NodeConfig};
use crate::container::kernels::Asked;
use crate::container::record::PayloadRecord;
use crate::container::store::PLAN;
use crate::container::{ContainerDir, ContainerId, ProcessId, Record, Status, Store, StoreError};
use crate::failure::Doing;
use crate::init::channel::Message;
use crate::init::request::{self, Entry, Guest, Handing, Join, Payload, ProcessRequest, Request};
use crate::sandbox::cgroup::SubCgroup;
use crate::sandbox::credentials::Runs;
use crate::sandbox::labels::Modules;
use crate::sandbox::{namespaces, terminal};

/// What is asked for.
pub struct Exec<'a> {
    /// `--root`.
    pub store: &'a Store,
    /// The node's configuration.
    pub node: &'a NodeConfig,
    /// The container.
    pub id: ContainerId,
    /// The process.
    pub what: What,
    /// `--pid-file`.
    pub pid_file: Option<PathBuf>,
    /// The cgroups to join below the container's own.
    pub cgroups: Vec<SubCgroup>,
    /// Also where the container is paused: the process runs when it is resumed.
    pub ignore_paused: bool,
    /// Where a terminal goes.
    pub console: create::Console,
    /// What the caller hands the process.
    pub inherited: &'a Inherited,
}

/// The process to make.
pub enum What {
    /// All of it, as engines give it in a file.
    Whole(Box<Process>),
    /// The container's own process with changes.
    Changes(Changes),
}

/// Changes to the container's own process.
#[derive(Debug, Default)]
pub struct Changes {
    /// The program and its arguments; for a tool, its arguments.
    pub args: Vec<String>,
    /// An agent tool by name.
    pub tool: Option<String>,
    /// Working directory.
    pub cwd: Option<PathBuf>,
    /// Variables to set.
    pub env: Vec<String>,
    /// User and group.
    pub user: Option<(u32, Option<u32>)>,
    /// Further groups.
    pub groups: Vec<u32>,
    /// Further capabilities, by name.
    pub capabilities: Vec<String>,
    /// AppArmor profile.
    pub apparmor: Option<String>,
    /// SELinux label.
    pub label: Option<String>,
    /// Give it a terminal.
    pub tty: bool,
}

/// Makes the process. Returns its name and a pidfd.
pub fn exec(request: Exec<'_>) -> Result<(ProcessId, OwnedFd), LifecycleError> {
    let dir = request.store.open(&request.id)?;
    let (record, status) = load(&dir)?;
    let record = match record {
        Some(record) if status.can_exec() => record,
        Some(record) if status == Status::Paused && request.ignore_paused => record,
        Some(_) if status == Status::Paused => return Err(LifecycleError::Paused(request.id)),
        _ => {
            return Err(LifecycleError::State {
                step: "exec in",
                id: request.id,
                status,
                hint: "",
            });
        }
    };
    let tool = match &request.what {
        What::Changes(changes) => changes.tool.clone(),
        What::Whole(_) => None,
    };
    let mut process = match request.what {
        What::Whole(process) => *process,
        What::Changes(changes) => {
            changed(record.config.process().clone().unwrap_or_default(), changes)
        }
    };
    request.inherited.tell(&mut process);
    supported::process(&process, true)?;
    supported::labels(&process, Modules::of_host())?;
    let wants_terminal = process.terminal() == Some(true);
    let console = match (wants_terminal, request.console) {
        (true, create::Console::Socket(path)) => Some(terminal::connect(&path)?),
        (true, create::Console::Relayed(socket)) => Some(socket),
        (true, create::Console::None) => return Err(LifecycleError::NoConsole),
        (false, create::Console::Socket(_)) => return Err(LifecycleError::NoTerminal),
        (false, _) => None,
    };

    let not_running = || LifecycleError::NotRunning {
        id: request.id.clone(),
        status: Status::Stopped,
    };
    let cgroup = record.cgroup.below(&request.cgroups)?;
    let container = record.process.open().map_err(|_| not_running())?;
    let pid_flag = libc::CLONE_NEWPID as u32;
    let foreign = namespaces::foreign_of(record.process.pid, pid_flag)? != 0;
    let mut inside = spawn::spawn(&Spawn {
        namespaces: 0,
        pid_namespace: foreign.then(|| container.as_fd()),
        cgroup_v2: cgroup.open_v2()?,
        mappings: None,
        preserved: &request.inherited.descriptors,
        keeps_groups: false,
        title: process.args().as_deref().unwrap_or_default(),
    })?;
    let mut handing = Handing::default();
    let (payload, asked) = payload(&dir, &record, request.node, &request.id, tool, &mut handing)?;
    let namespaces = namespaces::foreign(record.process.pid)?;
    // While it starts: a long profile takes as long as that.
    let linux = record.config.linux().as_ref();
    let runs = match record.payload {
        PayloadRecord::Native => Runs::Native,
        _ => Runs::Guests,
    };
    let filter = filter(linux, runs)?;
    let agent = Agent::connect(linux, filter.as_ref())?;
    let root = format!("/proc/{}/root", record.process.pid);
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    // Its own, since the pidfd is joined afterwards: then it lives.
    let root = rustix::fs::open(&root, flags, Mode::empty())
        .doing(|| "opening the container's root directory")?;
    let root = handing.give(root);
    let pidfd = handing.give(container);
    let what = Request {
        cgroups: cgroup.hand_tasks(&mut handing),
        entry: Entry::Join(Join {
            pidfd,
            root,
            namespaces,
        }),
        process: ProcessRequest {
            config: process,
            filter: hand_filter(filter, &mut handing)?,
            console: console.map(|console| handing.give(console)),
            personality: personality(linux),
            preserved: request.inherited.descriptors.clone(),
            keeps_groups: create::keeps_groups(&record.annotations),
            payload,
        },
    };
    inside.request(&what, &mut handing)?;
    inside.cgroups_are_made(handing)?;
    let process = inside.process;
    if let Some(asked) = asked {
        asked.belongs_to(process.pid)?;
    }
    let early = request.pid_file.is_none() && agent.is_none();
    if early {
        // Nobody has to know of it before it runs: it need not wait once more.
        inside.send(&Message::Commit)?;
    }
    if let Some(agent) = agent {
        agent.tell(&mut inside, &record, Status::Running)?;
    }
    let ready = inside.expect(&Message::Ready);
    ready.map_err(|error| match (error, &record.payload) {
        // As runc, whatever of it could not be executed.
        (LifecycleError::Inside { message, .. }, PayloadRecord::Native) => {
            LifecycleError::Inside { message, code: 1 }
        }
        (error, _) => error,
    })?;
    if let Some(path) = &request.pid_file {
        PidFile::lay(path, process.pid)?.place()?;
    }
    let pidfd = match early {
        true => inside.released(),
        false => inside.release(),
    };
    Ok((process, pidfd?))
}

/// What the process runs, and the socket of its kernel if that has one.
fn payload<'d>(
    dir: &'d ContainerDir,
    record: &Record,
    node: &NodeConfig,
    id: &ContainerId,
    tool: Option<String>,
    handing: &mut Handing,
) -> Result<(Payload, Option<Asked<'d>>), LifecycleError> {
    let megabinary = match (&record.payload, tool.is_some(), node.native) {
        (PayloadRecord::Megabinary(megabinary), ..) => megabinary,
        (PayloadRecord::Sandbox, ..) => return Err(LifecycleError::Sandbox(id.clone())),
        (PayloadRecord::Native, false, Native::Allow) => {
            return Ok((Payload::Native(request::Native::default()), None));
        }
        (PayloadRecord::Native, ..) => return Err(LifecycleError::Native(id.clone())),
    };
    let damaged = |reason: String| StoreError::Damaged {
        path: PLAN.into(),
        reason,
    };
    let code = megabinary
        .container_id
        .parse()
        .map_err(|error: megabinary::digest::DigestError| damaged(error.to_string()))?;
    let plan = dir
        .open_file(PLAN)?
        .ok_or_else(|| damaged("No such file".to_owned()))?;
    let compiled = artifact::cached(&code, node)?.ok_or_else(|| LifecycleError::NoArtifact {
        id: id.clone(),
        cache: node.cache.clone(),
    })?;
    let (socket, asked) = dir.listen()?;
    let guest = Guest {
        plan: handing.give(plan.into()),
        artifact: handing.give(compiled.into()),
        audit: open_audit(node)?.map(|file| handing.give(file)),
        asked: handing.give(socket),
        container: id.to_string(),
        process_memory: node.limits.process_memory,
        tool,
    };
    Ok((Payload::Guest(guest), Some(asked)))
}

/// The container's process with what was asked for instead.
fn changed(mut process: Process, changes: Changes) -> Process {
    let args = match &changes.tool {
        Some(tool) => [tool.clone()].into_iter().chain(changes.args).collect(),
        None => changes.args,
    };
    process.set_args(Some(args));
    process.set_terminal(Some(changes.tty));
    if let Some(cwd) = changes.cwd {
        process.set_cwd(cwd);
    }
    let mut env = process.env().clone().unwrap_or_default();
    for variable in changes.env {
        let name = variable.split('=').next().unwrap_or_default().to_owned() + "=";
        env.retain(|known| !known.starts_with(&name));
        env.push(variable);
    }
    process.set_env(Some(env));
    if let Some((uid, gid)) = changes.user {
        let mut user = User::default();
        user.set_uid(uid)
            .set_gid(gid.unwrap_or(0))
            .set_umask(process.user().umask());
        process.set_user(user);
    }
    if !changes.groups.is_empty() {
        let mut user = process.user().clone();
        let mut groups = user.additional_gids().clone().unwrap_or_default();
        groups.extend(changes.groups);
        user.set_additional_gids(Some(groups));
        process.set_user(user);
    }
    for name in changes.capabilities {
        let all = process.capabilities().clone().unwrap_or_else(none);
        process.set_capabilities(Some(granted(all, &name)));
    }
    if changes.apparmor.is_some() {
        process.set_apparmor_profile(changes.apparmor);
    }
    if changes.label.is_some() {
        process.set_selinux_label(changes.label);
    }
    process
}

/// No capabilities. The type's own default has some.
fn none() -> LinuxCapabilities {
    let sets = serde_json::from_str("{}");
    sets.expect("each of the sets may be left out")
}

/// The sets with a further capability, as crun's and runc's `--cap`: what is executed later inherits
/// nothing of it, and what nobody knows is overlooked.
fn granted(mut all: LinuxCapabilities, name: &str) -> LinuxCapabilities {
    let Ok(capability) = serde_json::from_value::<Capability>(name.into()) else {
        log::warn!("exec --cap {name}: no such capability");
        return all;
    };
    let with = |set: &Option<Capabilities>| {
        let mut set = set.clone().unwrap_or_default();
        set.insert(capability);
        Some(set)
    };
    let (bounding, effective) = (with(all.bounding()), with(all.effective()));
    let permitted = with(all.permitted());
    all.set_bounding(bounding)
        .set_effective(effective)
        .set_permitted(permitted);
    all
}

/// `UID[:GID]`, in numbers: names would have to come from a file of the image.
pub fn parse_user(text: &str) -> Result<(u32, Option<u32>), String> {
    let number = |text: &str| {
        text.parse()
            .map_err(|_| format!("`{text}` is not a number; give the user as UID[:GID]"))
    };
    match text.split_once(':') {
        Some((uid, gid)) => Ok((number(uid)?, Some(number(gid)?))),
        None => Ok((number(text)?, None)),
    }
}

/// A socket pair through which a terminal comes to this program: the end to send through, and the
/// end to receive from.
pub fn relayed() -> Result<(OwnedFd, OwnedFd), LifecycleError> {
    let pair = rustix::net::socketpair(
        rustix::net::AddressFamily::UNIX,
        rustix::net::SocketType::STREAM,
        rustix::net::SocketFlags::CLOEXEC,
        None,
    )
    .doing(|| "making a socket for the terminal")?;
    Ok(pair)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn base() -> Process {
        serde_json::from_value(serde_json::json!({
            "terminal": true, "user": {"uid": 7, "gid": 8, "umask": 63}, "args": ["a"],
            "env": ["PATH=/bin", "A=1"], "cwd": "/work"
        }))
        .unwrap()
    }

    #[test]
    fn what_is_not_changed_is_the_containers() {
        let process = changed(
            base(),
            Changes {
                args: vec!["b".into()],
                ..Changes::default()
            },
        );
        assert_eq!(process.args().as_deref(), Some(&["b".to_owned()][..]));
        assert_eq!(process.terminal(), Some(false));
        assert_eq!(process.user().uid(), 7);
        assert_eq!(process.cwd(), std::path::Path::new("/work"));
    }

    #[test]
    fn variables_and_user_are_replaced() {
        let changes = Changes {
            tool: Some("grep".into()),
            args: vec!["-c".into()],
            env: vec!["A=2".into(), "B=".into()],
            user: Some((1, None)),
            ..Changes::default()
        };
        let process = changed(base(), changes);
        assert_eq!(process.args().as_deref().unwrap(), ["grep", "-c"]);
        assert_eq!(
            process.env().as_deref().unwrap(),
            ["PATH=/bin", "A=2", "B="]
        );
        assert_eq!((process.user().uid(), process.user().gid()), (1, 0));
        assert_eq!(process.user().umask(), Some(63));
    }

    #[test]
    fn capabilities_and_groups_are_added() {
        let changes = Changes {
            groups: vec![5, 6],
            capabilities: vec!["CAP_CHOWN".into(), "CAP_KILL".into()],
            ..Changes::default()
        };
        let process = changed(base(), changes);
        assert_eq!(
            process.user().additional_gids().as_deref(),
            Some(&[5, 6][..])
        );
        let all = process.capabilities().as_ref().unwrap();
        for set in [all.bounding(), all.effective(), all.permitted()] {
            assert_eq!(set.as_ref().unwrap().len(), 2);
        }
        for set in [all.inheritable(), all.ambient()] {
            assert_eq!(*set, None);
        }
        let changes = Changes {
            capabilities: vec!["CAP_NOTHING".into()],
            ..Changes::default()
        };
        assert_eq!(*changed(base(), changes).capabilities(), Some(none()));
    }

    #[test]
    fn users_are_numbers() {
        assert_eq!(parse_user("5"), Ok((5, None)));
        assert_eq!(parse_user("5:6"), Ok((5, Some(6))));
        for text in ["", "root", "5:", ":6", "-1", "5:6:7"] {
            assert!(parse_user(text).is_err(), "{text}");
        }
    }
}
