//! The tables of guests' command lines, `guests/cases/*.toml`, and the recipes
//! that say which module stands at which path.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::Deserialize;

/// One command line of a guest and what it must come to.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Case {
    /// The program's path in the root file system, then its arguments.
    pub run: Vec<String>,
    /// Its standard input.
    #[serde(default)]
    pub stdin: String,
    /// The exit code it has everywhere: the case is what it claims to be.
    #[serde(default)]
    pub exit: i32,
    /// It ends in a trap; `exit` then says nothing.
    #[serde(default)]
    pub trap: bool,
    /// A part of standard output or standard error that proves it did its work.
    #[serde(default)]
    pub shows: Option<String>,
    /// How `wasmtime-wasi` is not what a container is; `container` holds there.
    #[serde(default)]
    pub wasmtime_wasi: Option<String>,
    /// What the case comes to in a container, where that differs.
    #[serde(default)]
    pub container: Option<Claim>,
}

/// What a run must come to.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Claim {
    /// The exit code.
    pub exit: i32,
    /// A part of standard output or standard error.
    pub shows: String,
}

/// A file of `guests/cases/`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Table {
    case: Vec<Case>,
}

/// The part of a recipe that says where modules stand.
#[derive(Debug, Deserialize)]
struct Recipe {
    binary: Vec<Binary>,
}

/// One `[[binary]]` of a recipe.
#[derive(Debug, Deserialize)]
struct Binary {
    path: String,
    module: Option<PathBuf>,
    #[serde(default)]
    links: Vec<String>,
}

/// Reads the tables, in the order of their names.
///
/// # Panics
///
/// When one cannot be read or is not such a table.
pub fn load(guests: &Path) -> Vec<Case> {
    let folder = guests.join("cases");
    let mut paths: Vec<PathBuf> = std::fs::read_dir(&folder)
        .unwrap_or_else(|error| panic!("{}: {error}", folder.display()))
        .map(|entry| entry.expect("listing the tables").path())
        .collect();
    paths.sort();
    paths.iter().flat_map(|path| table(path)).collect()
}

fn table(path: &Path) -> Vec<Case> {
    let text =
        std::fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let table: Table =
        toml::from_str(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    for case in &table.case {
        assert_eq!(
            case.wasmtime_wasi.is_some(),
            case.container.is_some(),
            "{:?}: `wasmtime_wasi` and `container` go together",
            case.run
        );
    }
    table.case
}

/// Which module each path of a recipe runs; links lead to the module of what
/// they name.
///
/// # Panics
///
/// When the recipe cannot be read.
pub fn modules(recipe: &Path) -> BTreeMap<String, PathBuf> {
    let text = std::fs::read_to_string(recipe)
        .unwrap_or_else(|error| panic!("{}: {error}", recipe.display()));
    let parsed: Recipe =
        toml::from_str(&text).unwrap_or_else(|error| panic!("{}: {error}", recipe.display()));
    let folder = recipe.parent().expect("a recipe lies in a folder");
    let mut modules = BTreeMap::new();
    for binary in parsed.binary {
        let Some(module) = binary.module else {
            continue;
        };
        for path in binary.links.into_iter().chain([binary.path]) {
            modules.insert(path, folder.join(&module));
        }
    }
    modules
}
