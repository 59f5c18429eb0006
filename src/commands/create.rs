//! `megarun create`.

use super::{CommandError, id, manager, node};
use crate::cli::{CreateArgs, Global};
use crate::config::NodeConfig;
use crate::container::Store;
use crate::lifecycle::create::{self, Console, Create};
use crate::lifecycle::inherited::Inherited;

/// Makes a container that waits for `start`.
pub fn run(
    args: CreateArgs,
    global: &Global,
    store: &Store,
    inherited: &Inherited,
) -> Result<(), CommandError> {
    let console = args
        .console_socket
        .clone()
        .map_or(Console::None, Console::Socket);
    let node = node(global)?;
    create::create(request(args, console, global, store, &node, inherited)?)?;
    Ok(())
}

/// The request that the arguments make.
pub fn request<'a>(
    args: CreateArgs,
    console: Console,
    global: &Global,
    store: &'a Store,
    node: &'a NodeConfig,
    inherited: &'a Inherited,
) -> Result<Create<'a>, CommandError> {
    Ok(Create {
        store,
        node,
        id: id(&args.id)?,
        bundle: args.bundle,
        config: args.spec_file,
        pid_file: args.pid_file,
        console,
        inherited,
        pivot: !args.no_pivot,
        cgroups: manager(global),
    })
}
