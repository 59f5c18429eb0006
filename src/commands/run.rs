//! `megarun run`.

use super::{CommandError, create, id, node};
use crate::bundle::config::Bundle;
use crate::cli::{Global, RunArgs};
use crate::container::{ContainerId, Store};
use crate::lifecycle::create::Console;
use crate::lifecycle::foreground::{self, Relay};
use crate::lifecycle::inherited::Inherited;
use crate::lifecycle::{LifecycleError, delete, exec, start};

/// Makes a container, starts it, waits for its end and removes it. Returns its exit code.
pub fn run(
    args: RunArgs,
    global: &Global,
    store: &Store,
    inherited: &Inherited,
) -> Result<u8, CommandError> {
    let id = id(&args.create.id)?;
    let node = node(global)?;
    let (console, receiver) = match &args.create.console_socket {
        Some(path) => (Console::Socket(path.clone()), None),
        None if args.detach => (Console::None, None),
        None => {
            let (send, receive) = exec::relayed()?;
            (Console::Relayed(send), Some(receive))
        }
    };
    let terminal = wants_terminal(&args)?;
    let pidfd = crate::lifecycle::create::create(create::request(
        args.create,
        console,
        global,
        store,
        &node,
        inherited,
    )?)?;
    if args.detach {
        return undo_unless(start::until_ready(store, &id), store, &id).map(|()| 0);
    }
    let code = (|| {
        let process = store.open(&id)?.record()?.map(|record| record.process);
        let process =
            process.ok_or_else(|| LifecycleError::Died("its state is gone".to_owned()))?;
        let relay = match receiver {
            Some(socket) if terminal => Some(Relay::receive(&socket)?),
            _ => None,
        };
        let readiness = start::start(store, &id)?;
        foreground::wait(process, &pidfd, relay.as_ref(), readiness)
    })();
    if args.keep && code.is_ok() {
        return Ok(code?);
    }
    let deleted = delete::delete(store, &id, true);
    let code = code?;
    deleted?;
    Ok(code)
}

fn wants_terminal(args: &RunArgs) -> Result<bool, LifecycleError> {
    let bundle = Bundle::load(&args.create.bundle, args.create.spec_file.as_deref())?;
    let process = bundle.spec.process().as_ref();
    Ok(process.and_then(|process| process.terminal()) == Some(true))
}

fn undo_unless(
    started: Result<(), LifecycleError>,
    store: &Store,
    id: &ContainerId,
) -> Result<(), CommandError> {
    if let Err(error) = started {
        delete::delete(store, id, true)?;
        return Err(error.into());
    }
    Ok(())
}
