//! The command line: one file per subcommand, each with its arguments and what they do.
//!
//! Exit codes: 0 done, 1 refused or failed (`megabin: error: ...` on stderr), 2 wrong usage.

mod build;
mod bundle;
mod diff;
mod image;
mod inspect;
mod keygen;
mod payload;
mod precompile;
mod run;
mod sign;
mod syscalls;
mod verify;

use std::error::Error;
use std::io::Write;
use std::path::Path;
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use megabinary::trust::NodePolicy;
use vkernel::artifact::Cache;
use vkernel::places::Places;

use crate::container::{Bodies, Container, Folder};

/// Builds, signs, checks and runs megabinaries.
#[derive(Debug, Parser)]
#[command(name = "megabin", version, about, disable_help_subcommand = true)]
#[command(after_help = "Example:
  megabin keygen --key-id demo --out keys
  megabin build toolbox.toml -o toolbox --key keys/demo.key
  megabin verify toolbox --trust keys
  megabin bundle toolbox -o bundle -- /usr/bin/ls -la
  megarun run --bundle bundle demo")]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Keygen(keygen::Args),
    Build(build::Args),
    Sign(sign::Args),
    Verify(verify::Args),
    Payload(payload::Args),
    Inspect(inspect::Args),
    Diff(diff::Args),
    Syscalls(syscalls::Args),
    Bundle(bundle::Args),
    Image(image::Args),
    Run(run::Args),
    Precompile(precompile::Args),
}

/// What a subcommand ends with.
type Outcome = Result<ExitCode, Failed>;
type Failed = Box<dyn Error + Send + Sync>;

/// Runs the command line of this process.
pub fn main() -> ExitCode {
    #[cfg(feature = "documents")]
    if let Some(written) = documents() {
        return written;
    }
    let outcome = match Cli::parse().command {
        Command::Keygen(args) => keygen::run(&args),
        Command::Build(args) => build::run(&args),
        Command::Sign(args) => sign::run(&args),
        Command::Verify(args) => verify::run(&args),
        Command::Payload(args) => payload::run(&args),
        Command::Inspect(args) => inspect::run(&args),
        Command::Diff(args) => diff::run(&args),
        Command::Syscalls(args) => syscalls::run(&args),
        Command::Bundle(args) => bundle::run(&args),
        Command::Image(args) => image::run(&args),
        Command::Run(args) => run::run(&args),
        Command::Precompile(args) => precompile::run(&args),
    };
    outcome.unwrap_or_else(|error| {
        say("error", &error.to_string());
        ExitCode::FAILURE
    })
}

/// `documents DIR`: manual pages and completions.
#[cfg(feature = "documents")]
fn documents() -> Option<ExitCode> {
    let mut args = std::env::args_os().skip(1);
    args.next().filter(|word| word == "documents")?;
    let dir = args.next()?;
    let command = <Cli as clap::CommandFactory>::command();
    Some(match documents::write(&command, dir.as_ref()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            say("error", &format!("writing documents: {error}"));
            ExitCode::FAILURE
        }
    })
}

/// Trust in the keys of a folder, and nothing else.
fn trusting(keys: &Path) -> Result<NodePolicy, Failed> {
    Ok(NodePolicy {
        keys: crate::keys::load_trust(keys)?,
        ..NodePolicy::default()
    })
}

/// A container whose code is wanted, signed with one of the keys in the folder `trust` if there is
/// one, and where compiled code is kept: in `cache`, or the usual place.
fn with_code(
    folder: &Path,
    trust: Option<&Path>,
    cache: Option<&Path>,
) -> Result<(Container, Cache), Failed> {
    let folder = Folder::open(folder)?;
    let place = cache.map_or_else(|| Places::own().cache(), Path::to_owned);
    // Made only for a container that is believed.
    let there = Cache::open(&place).ok();
    let bodies = (there.as_ref()).map_or(Bodies::Validated, Bodies::ValidatedUnlessCompiled);
    let container = match trust {
        Some(keys) => folder.verify(&trusting(keys)?, bodies),
        None => folder.accept_unsigned(bodies),
    }?;
    let cache = there.map_or_else(|| Cache::open_or_create(&place), Ok)?;
    Ok((container, cache))
}

/// Prints to stderr; a closed stderr changes nothing.
fn say(kind: &str, text: &str) {
    let _ = writeln!(std::io::stderr(), "megabin: {kind}: {text}");
}

fn warn(text: &str) {
    say("warning", text);
}

/// Prints to stdout. A reader that has gone (`| head`) ends the command quietly.
fn print(bytes: &[u8]) -> Outcome {
    let mut out = std::io::stdout().lock();
    match out.write_all(bytes).and_then(|()| out.flush()) {
        Err(e) if e.kind() != std::io::ErrorKind::BrokenPipe => {
            Err(format!("writing to stdout: {e}").into())
        }
        _ => Ok(ExitCode::SUCCESS),
    }
}
