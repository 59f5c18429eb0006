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
use crate::container::{ContainerId, Store};
use crate::failure::Failure;
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
pub fn run(cli: Cli) -> Result<u8, CommandError> {
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
        Command::Create(args) => create::run(args, &global, &store)?,
        Command::Start(args) => start::start(&store, &id(&args.id)?)?,
        Command::State(args) => state::run(&id(&args.id)?, &store)?,
        Command::Kill(args) => {
            refuse(args.regex, "kill --regex", "name each container")?;
            let signal = signal::wanted(&args.signal).map_err(CommandError::Refused)?;
            signal::kill(&store, &id(&args.id)?, signal, args.all)?;
        }
        Command::Delete(args) => {
            refuse(args.regex, "delete --regex", "name each container")?;
            delete::delete(&store, &id(&args.id)?, args.force)?;
        }
        Command::Run(args) => return run::run(args, &global, &store),
        Command::Exec(args) => return exec::run(args, &global, &store),
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
