//! `megarun exec`.

use super::{CommandError, id, node};
use crate::bundle::config;
use crate::cli::{ExecArgs, Global};
use crate::container::Store;
use crate::lifecycle::create::Console;
use crate::lifecycle::exec::{self, Changes, Exec, What};
use crate::lifecycle::foreground::{self, Relay};
use crate::lifecycle::inherited::Inherited;
use crate::sandbox::cgroup::SubCgroup;

/// Runs another program in a container. Returns its exit code, or 0 with `--detach`.
pub fn run(
    args: ExecArgs,
    global: &Global,
    store: &Store,
    inherited: &Inherited,
) -> Result<u8, CommandError> {
    let ended = exec(args, global, store, inherited);
    ended.map_err(|error| CommandError::Exec(Box::new(error)))
}

fn exec(
    args: ExecArgs,
    global: &Global,
    store: &Store,
    inherited: &Inherited,
) -> Result<u8, CommandError> {
    let cgroups = SubCgroup::parse(&args.cgroup)?;
    let node = node(global)?;
    let (what, terminal) = match args.process {
        Some(path) => {
            let file =
                config::load_process(&path).map_err(crate::lifecycle::LifecycleError::from)?;
            // --tty has no say here: the file is the whole process.
            let terminal = file.terminal() == Some(true);
            (What::Whole(Box::new(file)), terminal)
        }
        None => {
            if args.args.is_empty() && args.tool.is_none() {
                let reason = "exec: name a program, or an agent tool with --tool";
                return Err(CommandError::Refused(reason.to_owned()));
            }
            let changes = Changes {
                args: args.args,
                tool: args.tool,
                cwd: args.cwd,
                env: args.env,
                user: args.user,
                groups: args.additional_gids,
                capabilities: args.cap,
                apparmor: args.apparmor,
                label: args.process_label,
                tty: args.tty,
            };
            (What::Changes(changes), args.tty)
        }
    };
    let (console, receiver) = match args.console_socket {
        Some(path) => (Console::Socket(path), None),
        None if args.detach || !terminal => (Console::None, None),
        None => {
            let (send, receive) = exec::relayed()?;
            (Console::Relayed(send), Some(receive))
        }
    };
    let (process, pidfd) = exec::exec(Exec {
        store,
        node: &node,
        id: id(&args.id)?,
        what,
        cgroups,
        ignore_paused: args.ignore_paused,
        pid_file: args.pid_file,
        console,
        inherited,
    })?;
    if args.detach {
        return Ok(0);
    }
    let relay = receiver.as_ref().map(Relay::receive).transpose()?;
    Ok(foreground::wait(process, &pidfd, relay.as_ref(), None)?)
}
