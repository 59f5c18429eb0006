//! `megabin inspect`.

use std::path::PathBuf;

use crate::container::{Bodies, Folder};
use crate::inspect;

/// Show what a container holds: programs, sizes, rights. Does not check the signature
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:
  megabin inspect toolbox
  megabin inspect toolbox --json | jq '.targets[] | {path, syscalls}'")]
pub(super) struct Args {
    /// Folder of the container
    #[arg(value_name = "DIR")]
    folder: PathBuf,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

pub(super) fn run(args: &Args) -> super::Outcome {
    let container = Folder::open(&args.folder)?.accept_unsigned(Bodies::Validated)?;
    if args.json {
        return super::print(format!("{:#}\n", inspect::json(&container)).as_bytes());
    }
    super::print(inspect::text(&container).as_bytes())
}
