//! One module for each subcommand: from what was said to what is done.

mod create;
mod events;
mod exec;
mod features;
mod list;
mod ps;
mod run;
mod spec;
mod state;
mod update;

use thiserror::Error;

use vkernel::identity::is_host_root;
use vkernel::places::Places;

use crate::cli::{CgroupManager, Cli, Command, Global};
use crate::config::NodeConfig;
use crate::container::{ContainerId, Store, StoreError};
use crate::failure::Failure;
use crate::lifecycle::inherited::Inherited;
use crate::lifecycle::{LifecycleError, delete, signal, start};
use crate::sandbox::cgroup::Manager;

/// Why a command failed.
#[derive(Debug, Error)]
pub enum CommandError {
    /// A step of a container's life failed.
    #[error(transparent)]
    Lifecycle(#[from] LifecycleError),
    /// A program could not be run in a container.
    #[error(transparent)]
    Exec(Box<CommandError>),
    /// The command line asks for something that this runtime does not do.
    #[error("{0}")]
    Refused(String),
    /// The system refused.
    #[error(transparent)]
    System(#[from] Failure),
}

impl CommandError {
    /// The program's exit code for it.
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Lifecycle(error) => error.exit_code(),
            Self::Exec(error) => match error.exit_code() {
                // As runc: no exit code of a program's own, of which 1 is the most common.
                1 => 255,
                // Shells' codes for a ticket that is none or not found.
                code => code,
            },
            _ => 1,
        }
    }
}

macro_rules! through_lifecycle {
    ($($error:ty),* $(,)?) => {$(
        impl From<$error> for CommandError {
            fn from(error: $error) -> Self {
                Self::Lifecycle(error.into())
            }
        }
    )*};
}

through_lifecycle!(
    crate::container::id::IdError,
    crate::container::StoreError,
    crate::config::NodeConfigError,
    crate::sandbox::cgroup::CgroupError,
);

/// Does what the command line says. Returns the exit code.
pub fn run(cli: Cli, inherited: &Inherited) -> Result<u8, CommandError> {
    let Cli { global, command } = cli;
    let Some(command) = command else {
        return Err(CommandError::Refused(
            "no command given; `megarun --help` lists them".to_owned(),
        ));
    };
    let root = (global.root.clone()).unwrap_or_else(|| Places::own().state());
    let store =
        Store::new(std::path::absolute(&root).map_err(|error| {
            Failure::new(format!("finding --root `{}`", root.display()), error)
        })?);
    match command {
        Command::Create(args) => create::run(args, &global, &store, inherited)?,
        Command::Start(args) => start::until_ready(&store, &id(&args.id)?)?,
        Command::State(args) => state::run(&id(&args.id)?, &store)?,
        Command::Kill(args) => {
            let signal = signal::wanted(&args.signal).map_err(CommandError::Refused)?;
            each(&store, &args.id, args.regex, |id| {
                signal::kill(&store, id, signal, args.all)
            })?;
        }
        Command::Delete(args) => {
            each(&store, &args.id, args.regex, |id| {
                delete::delete(&store, id, args.force)
            })?;
        }
        Command::Run(args) => return run::run(args, &global, &store, inherited),
        Command::Exec(args) => return exec::run(args, &global, &store, inherited),
        Command::List(args) => list::run(&args, &store)?,
        Command::Ps(args) => ps::run(&args, &store)?,
        Command::Pause(args) => signal::freeze(&store, &id(&args.id)?, true)?,
        Command::Resume(args) => signal::freeze(&store, &id(&args.id)?, false)?,
        Command::Update(args) => update::run(&args, &store)?,
        Command::Spec(args) => spec::run(&args)?,
        Command::Features => features::run()?,
        Command::Events(args) => events::run(&args, &store)?,
        Command::Checkpoint(_) => refuse(true, "checkpoint", NO_CHECKPOINT)?,
        Command::Restore(_) => refuse(true, "restore", NO_CHECKPOINT)?,
    }
    Ok(0)
}

/// Does something with the container of this name or, with `--regex`, with every one in whose id
/// the pattern is found. What fails with one is said, and the others are gone on with; the first
/// failure is the command's.
fn each(
    store: &Store,
    name: &str,
    pattern: bool,
    mut what: impl FnMut(&ContainerId) -> Result<(), LifecycleError>,
) -> Result<(), CommandError> {
    if !pattern {
        return Ok(what(&id(name)?)?);
    }
    let pattern = regex::Regex::new(name)
        .map_err(|error| CommandError::Refused(format!("--regex `{name}`: {error}")))?;
    let mut failed = None;
    for id in store.ids()? {
        if !pattern.is_match(&id.to_string()) {
            continue;
        }
        match what(&id) {
            // Another command may remove one meanwhile.
            Ok(()) | Err(LifecycleError::Store(StoreError::NotFound(_))) => {}
            Err(error) if failed.is_some() => log::error!("{error}"),
            Err(error) => failed = Some(error),
        }
    }
    failed.map_or(Ok(()), |error| Err(error.into()))
}

const NO_CHECKPOINT: &str = "the container's programs are in one process that CRIU cannot save";

/// Refuses, by its name, an option or command that was given.
fn refuse(given: bool, name: &str, why: &str) -> Result<(), CommandError> {
    match given {
        true => Err(CommandError::Refused(format!(
            "{name} is not supported: {why}"
        ))),
        false => Ok(()),
    }
}

fn id(text: &str) -> Result<ContainerId, CommandError> {
    Ok(text.parse()?)
}

fn node(global: &Global) -> Result<NodeConfig, CommandError> {
    Ok(NodeConfig::load(global.node_config.as_deref())?)
}

fn manager(global: &Global) -> Manager {
    match global.cgroup_manager {
        CgroupManager::Disabled => Manager::Nobody,
        CgroupManager::Cgroupfs if !global.systemd_cgroup => match global.rootless.as_str() {
            "true" => Manager::FilesIfAllowed,
            "auto" if !is_host_root() => Manager::FilesIfAllowed,
            _ => Manager::Files,
        },
        CgroupManager::Cgroupfs | CgroupManager::Systemd => Manager::Systemd,
    }
}

/// Prints a value as indented JSON with a newline, as crun and runc do.
fn print_json(value: &impl serde::Serialize) -> Result<(), Failure> {
    let text = serde_json::to_string_pretty(value)
        .expect("documents of ours have only keys that are texts");
    print(&(text + "\n"))
}

fn print(text: &str) -> Result<(), Failure> {
    use std::io::Write;

    use crate::failure::Doing;
    let mut out = std::io::stdout().lock();
    out.write_all(text.as_bytes())
        .and_then(|()| out.flush())
        .doing(|| "writing to standard output")
}
