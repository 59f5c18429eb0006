//! `megabin payload`.

use std::path::PathBuf;

use crate::container::Folder;

/// Print exactly the bytes that are signed, for other tools to check
#[derive(Debug, clap::Args)]
#[command(after_help = "Example, a check with nothing but openssl and jq:
  megabin payload toolbox > payload
  jq -r .signatures.signature toolbox/manifest.json | base64 -d > signature
  openssl dgst -sha256 -verify keys/demo.pem -signature signature payload")]
pub(super) struct Args {
    /// Folder of the container
    #[arg(value_name = "DIR")]
    folder: PathBuf,
}

pub(super) fn run(args: &Args) -> super::Outcome {
    super::print(&Folder::open(&args.folder)?.manifest.payload())
}
