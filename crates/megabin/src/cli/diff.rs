//! `megabin diff`.

use std::path::PathBuf;

use crate::container::{Bodies, Folder};
use crate::diff::Diff;

/// Show what changed between two containers: tools and rights. Does not check signatures
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:
  megabin diff toolbox-1.4 toolbox-1.5")]
pub(super) struct Args {
    /// Folder of the container before
    #[arg(value_name = "OLD")]
    old: PathBuf,
    /// Folder of the container now
    #[arg(value_name = "NEW")]
    new: PathBuf,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

pub(super) fn run(args: &Args) -> super::Outcome {
    let old = Folder::open(&args.old)?.accept_unsigned(Bodies::Validated)?;
    let new = Folder::open(&args.new)?.accept_unsigned(Bodies::Validated)?;
    let diff = Diff::of(&old, &new);
    if args.json {
        return super::print(format!("{:#}\n", diff.json()).as_bytes());
    }
    super::print(diff.text().as_bytes())
}
