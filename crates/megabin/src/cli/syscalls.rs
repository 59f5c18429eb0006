//! `megabin syscalls`.

use std::fmt::Write;
use std::path::PathBuf;

use megabinary::capability::{self, SyscallSet};
use megabinary::limits;

use crate::{files, link};

/// Print the system calls that a module can need, judged by its imports
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:
  megabin syscalls wasm/ls.wasm
  # The last line fits a recipe: syscalls = [...]")]
pub(super) struct Args {
    /// A wasm32-wasip1 module
    #[arg(value_name = "FILE.wasm")]
    file: PathBuf,
}

pub(super) fn run(args: &Args) -> super::Outcome {
    let wasm = files::read(&args.file, limits::CONTAINER_BYTES)?;
    let mut imports = link::imports_of(&args.file.display().to_string(), &wasm)?;
    imports.sort();
    imports.dedup();
    let mut all = SyscallSet::EMPTY;
    let mut text = String::new();
    for (module, name) in &imports {
        let needs = match capability::needed(module, name) {
            None => "unknown: a program that imports it cannot be linked".to_owned(),
            Some(set) if set.is_empty() => "always allowed".to_owned(),
            Some(set) => {
                all = all.union(set);
                set.iter().map(|s| s.name()).collect::<Vec<_>>().join(" ")
            }
        };
        // Writing to a String cannot fail.
        let _ = writeln!(text, "{:45} {needs}", format!("{module}.{name}"));
    }
    let names = all
        .iter()
        .map(|s| format!("{:?}", s.name()))
        .collect::<Vec<_>>()
        .join(", ");
    let _ = writeln!(text, "syscalls = [{names}]");
    super::print(text.as_bytes())
}
