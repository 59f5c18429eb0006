//! `megabin precompile`.

use std::io::Read;
use std::path::PathBuf;

use megabinary::limits;
use megabinary::module::Module;
use vkernel::artifact::CacheKey;

use crate::precompile;

/// Compile a container's code for this machine, ahead of its first start
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:
  megabin precompile toolbox --trust keys
  megabin precompile --pipe < container.wasm > container.cwasm")]
pub(super) struct Args {
    /// Folder of the container
    #[arg(value_name = "DIR", required_unless_present = "pipe")]
    folder: Option<PathBuf>,
    /// Folder of public keys: compile only what one of them signed
    #[arg(long, value_name = "DIR", conflicts_with = "pipe")]
    trust: Option<PathBuf>,
    /// Directory of compiled code, which only its owner may write
    /// [default: /var/cache/megarun for root, else ~/.cache/megarun]
    #[arg(long, value_name = "DIR", conflicts_with = "pipe")]
    cache: Option<PathBuf>,
    /// Read container.wasm from standard input and write the compiled code to standard output:
    /// for a runtime that keeps the cache itself and lets the compiler touch no file
    #[arg(long, conflicts_with = "folder")]
    pipe: bool,
}

pub(super) fn run(args: &Args) -> super::Outcome {
    let Some(folder) = &args.folder else {
        return pipe();
    };
    // Compiling gives no rights: whoever starts the container verifies it, and finds the code only
    // under the digest of what it verified.
    let (container, cache) =
        super::with_code(folder, args.trust.as_deref(), args.cache.as_deref())?;
    let module = container.megabinary.module();
    let key = CacheKey::of(&module.id);
    let known = cache.lookup(&key)?.is_some();
    precompile::cached(module, &container.wasm, &cache)?;
    let path = cache.artifact_path(&key);
    let done = if known {
        "was compiled already"
    } else {
        "compiled"
    };
    super::print(format!("{}: {done}: {}\n", module.id, path.display()).as_bytes())
}

fn pipe() -> super::Outcome {
    let mut wasm = Vec::new();
    std::io::stdin()
        .take(limits::CONTAINER_BYTES as u64 + 1)
        .read_to_end(&mut wasm)
        .map_err(|error| format!("reading container.wasm from standard input: {error}"))?;
    let module = Module::parse(&wasm).map_err(|error| format!("standard input: {error}"))?;
    super::print(&precompile::compile(&module, &wasm)?)
}
