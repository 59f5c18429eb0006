//! `megabin run`.

use std::path::PathBuf;
use std::process::ExitCode;

use vkernel::exec::{DEFAULT_PATH, ExecTarget};

use crate::precompile;
use crate::run::{self, Command, RunError};

/// Run a program of a container, without root and without a container
///
/// The program sees DIR/rootfs as its root directory and has the rights of the manifest. There are
/// no namespaces and no limits: use `megarun` for that. The exit status is the program's, 128 and
/// the signal's number if one killed it, 134 after a trap, 127 if it was not found, 126 if it may
/// not be executed.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:
  megabin run toolbox --trust keys -- /usr/bin/ls -la /
  megabin run toolbox --insecure-unsigned --tool search -- needle")]
#[command(group = clap::ArgGroup::new("belief").required(true))]
pub(super) struct Args {
    /// Folder of the container
    #[arg(value_name = "DIR")]
    folder: PathBuf,
    /// Folder of public keys, each `KEY_ID.pem`: one of them must have signed the container
    #[arg(long, value_name = "DIR", group = "belief")]
    trust: Option<PathBuf>,
    /// Run it whether or not anyone signed it: only for containers built here
    #[arg(long, group = "belief")]
    insecure_unsigned: bool,
    /// Environment variable of the program; may be given several times
    #[arg(long, value_name = "K=V", value_parser = super::bundle::variable)]
    env: Vec<String>,
    /// Working directory of the program
    #[arg(long, value_name = "PATH", default_value = "/", value_parser = super::bundle::absolute)]
    cwd: String,
    /// Run the agent tool of this name
    #[arg(long, value_name = "NAME")]
    tool: Option<String>,
    /// Directory of compiled code [default: /var/cache/megarun for root, else ~/.cache/megarun]
    #[arg(long, value_name = "DIR")]
    cache: Option<PathBuf>,
    /// Append a record of each decision to this file, as JSON lines
    #[arg(long, value_name = "FILE")]
    audit: Option<PathBuf>,
    /// The program in the root file system, and its arguments; with --tool only the arguments
    #[arg(
        last = true,
        required_unless_present = "tool",
        value_name = "PATH ARGS"
    )]
    args: Vec<String>,
}

pub(super) fn run(args: &Args) -> super::Outcome {
    let (container, cache) =
        super::with_code(&args.folder, args.trust.as_deref(), args.cache.as_deref())?;
    let artifact = precompile::cached(container.megabinary.module(), &container.wasm, &cache)?;
    match run::run(&args.folder, &container.megabinary, artifact, command(args)) {
        Ok(status) => Ok(ExitCode::from(status.code())),
        Err(RunError::Exec(error)) => {
            super::say("error", &error.to_string());
            Ok(ExitCode::from(error.exit_status()))
        }
        Err(error) => Err(error.into()),
    }
}

fn command(args: &Args) -> Command {
    let mut env = args.env.clone();
    if !env.iter().any(|variable| variable.starts_with("PATH=")) {
        env.push(format!("PATH={}", String::from_utf8_lossy(DEFAULT_PATH)));
    }
    let (target, argv) = match &args.tool {
        Some(tool) => {
            let argv = std::iter::once(tool).chain(&args.args).cloned().collect();
            (ExecTarget::Tool(tool.clone()), argv)
        }
        // Without a tool there is at least one: the command line was refused otherwise.
        None => {
            let program = args.args.first().cloned().unwrap_or_default();
            (ExecTarget::Search(program.into_bytes()), args.args.clone())
        }
    };
    Command {
        target,
        argv,
        env,
        cwd: args.cwd.clone(),
        audit: args.audit.clone(),
    }
}
