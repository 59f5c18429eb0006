//! `megabin build`.

use std::path::PathBuf;

use megabinary::names::KeyId;

use crate::link::Folding;
use crate::progress::Progress;
use crate::recipe::Recipe;

/// Link the programs of a recipe: DIR/container.wasm, DIR/manifest.json, DIR/rootfs/
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:
  megabin build toolbox.toml -o toolbox --key keys/demo.key

A recipe (paths of modules and files are relative to its own folder):
  name = \"toolbox\"
  version = \"1.0\"

  [[binary]]
  path = \"/usr/bin/ls\"          # where its file stands in the root file system
  module = \"wasm/ls.wasm\"       # what runs: a wasm32-wasip1 command module
  base = true                    # optional: it stands on the base

  [base]                         # optional: libraries that lie once, at the same addresses, for all
  libraries = [\"libc.a\"]        # programs with `base = true`, linked with -Wl,--emit-relocs

  [[binary]]                     # a script
  path = \"/usr/bin/report\"
  file = \"scripts/report.py\"
  interpreter = \"/usr/bin/python3\"

  [rootfs]
  copy = [\"rootfs\"]             # folders laid over the root")]
pub(super) struct Args {
    /// The recipe
    #[arg(value_name = "RECIPE.toml")]
    recipe: PathBuf,
    /// Folder for the output; other files in it stay
    #[arg(short, long, value_name = "DIR")]
    output: PathBuf,
    /// Sign with this private key
    #[arg(long, value_name = "FILE")]
    key: Option<PathBuf>,
    /// The key's id, where it is not the key file's name
    #[arg(long, value_name = "ID", requires = "key")]
    key_id: Option<KeyId>,
    /// Which functions of the programs are written once
    #[arg(long, value_name = "WHICH", value_enum, default_value_t)]
    fold: Fold,
}

/// [`Folding`] as the command line says it.
#[derive(Debug, Clone, Copy, Default, clap::ValueEnum)]
enum Fold {
    /// Each function of each program is written
    None,
    /// Functions that are equal are written once
    Exact,
    /// So are those of different programs that differ in constants, mostly addresses
    #[default]
    Full,
}

impl From<Fold> for Folding {
    fn from(fold: Fold) -> Folding {
        match fold {
            Fold::None => Folding::None,
            Fold::Exact => Folding::Exact,
            Fold::Full => Folding::Full,
        }
    }
}

pub(super) fn run(args: &Args) -> super::Outcome {
    let recipe = Recipe::load(&args.recipe)?;
    // A key that cannot be read should fail before minutes of work.
    let key = match &args.key {
        Some(path) => Some(crate::keys::load_private(path, args.key_id.as_ref())?),
        None => None,
    };
    let progress = Progress::new();
    let mut container = crate::build::build(&recipe, args.fold.into(), &progress)?;
    if let Some(key) = &key {
        container.sign(key);
    }
    let mut warnings = std::mem::take(&mut container.warnings);
    warnings.extend(key.as_ref().and_then(|k| k.warning.clone()));
    warnings.extend(container.write(&args.output, &progress)?);
    drop(progress);
    for warning in &warnings {
        super::warn(warning);
    }
    let manifest = container.manifest();
    let signed = match &manifest.signature {
        Some(signature) => format!("signed by {}", signature.key_id),
        None => "not signed: see `megabin sign`".to_owned(),
    };
    let text = format!(
        "{} {} {}\n{} programs, {} binaries, {} agent tools, {}, {signed}\n",
        recipe.name,
        manifest.version,
        manifest.container_id,
        container.programs(),
        manifest.binaries.len(),
        manifest.agent_tools.len(),
        crate::inspect::bytes(container.wasm().len() as u64),
    );
    super::print(text.as_bytes())
}
