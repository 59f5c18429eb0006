//! `megabin verify`.

use std::path::PathBuf;

use crate::container::{Bodies, Folder};

/// Check a container: signature, container id, metadata, dispatcher, and that all agree
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:
  megabin verify toolbox --trust keys")]
pub(super) struct Args {
    /// Folder of the container
    #[arg(value_name = "DIR")]
    folder: PathBuf,
    /// Folder of public keys, each `KEY_ID.pem`
    #[arg(long, value_name = "DIR")]
    trust: PathBuf,
}

pub(super) fn run(args: &Args) -> super::Outcome {
    let policy = super::trusting(&args.trust)?;
    let container = Folder::open(&args.folder)?.verify(&policy, Bodies::Validated)?;
    let manifest = container.megabinary.manifest();
    let signer = manifest
        .signer()
        .map_or_else(String::new, |id| format!("signed by {id}"));
    let name = manifest.name.as_ref().map_or("(no name)", |n| n.as_str());
    let text = format!(
        "{name} {} {}\n{signer}, {} binaries, {} agent tools: everything agrees\n",
        manifest.version,
        manifest.container_id,
        manifest.binaries.len(),
        manifest.agent_tools.len(),
    );
    super::print(text.as_bytes())
}
