//! `megabin keygen`.

use std::path::PathBuf;

use megabinary::names::KeyId;

/// Make a key pair: DIR/ID.key (private, mode 0600) and DIR/ID.pem (public)
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:
  megabin keygen --key-id demo --out keys
  # keys/demo.key signs; copy keys/demo.pem to the trust directory of each node.")]
pub(super) struct Args {
    /// Name of the key: letters, digits, `.`, `_` and `-`
    #[arg(long, value_name = "ID")]
    key_id: KeyId,
    /// Folder for the two files; made if it does not exist
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// Replace a key of that name
    #[arg(long)]
    force: bool,
}

pub(super) fn run(args: &Args) -> super::Outcome {
    let new = crate::keys::generate(&args.key_id, &args.out, args.force)?;
    let text = format!("{}\n{}\n", new.private.display(), new.public.display());
    super::print(text.as_bytes())
}
