//! `megabin sign`.

use std::path::PathBuf;

use megabinary::names::KeyId;

/// Sign the manifest of a container, in place of any signature it has
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:
  megabin sign toolbox --key keys/demo.key")]
pub(super) struct Args {
    /// Folder of the container
    #[arg(value_name = "DIR")]
    folder: PathBuf,
    /// The private key
    #[arg(long, value_name = "FILE")]
    key: PathBuf,
    /// The key's id, where it is not the key file's name
    #[arg(long, value_name = "ID")]
    key_id: Option<KeyId>,
}

pub(super) fn run(args: &Args) -> super::Outcome {
    let key = crate::keys::load_private(&args.key, args.key_id.as_ref())?;
    if let Some(warning) = &key.warning {
        super::warn(warning);
    }
    crate::container::sign(&args.folder, &key.id, &key.key)?;
    super::print(format!("{}: signed by {}\n", args.folder.display(), key.id).as_bytes())
}
