//! Recipes whose programs in C stand on a base layer.

use std::path::Path;

use toml::{Table, Value};

/// The recipe at `recipe` with the module of each program that `relocs` has too, linked with
/// relocations, in place of its own, on a base of `libc`; and one program that stands on none.
///
/// # Panics
///
/// When the recipe cannot be read, or has no such program.
pub fn recipe(recipe: &Path, relocs: &Path, libc: &Path) -> String {
    let folder = recipe.parent().expect("a recipe lies in a folder");
    let text = std::fs::read_to_string(recipe).expect("reading a recipe");
    let mut table: Table = toml::from_str(&text).expect("a recipe is TOML");
    let absolute = |path: &mut Value| {
        let joined = folder.join(path.as_str().expect("a path"));
        *path = Value::from(joined.display().to_string());
    };
    let mut standing = 0;
    for kind in ["binary", "agent_tool"] {
        let entries = table.get_mut(kind).and_then(Value::as_array_mut);
        let Some(entries) = entries else { continue };
        entries.retain(|entry| {
            let module = entry.get("module").and_then(Value::as_str).map(Path::new);
            module
                .and_then(Path::file_name)
                .is_some_and(|name| relocs.join(name).exists() || name == "mawk.wasm")
        });
        for entry in entries {
            let entry = entry.as_table_mut().expect("a table");
            for key in ["file", "module", "input_schema"] {
                if let Some(path) = entry.get_mut(key) {
                    absolute(path);
                }
            }
            let module = entry.get("module").and_then(Value::as_str).map(Path::new);
            let name = module.and_then(Path::file_name);
            if let Some(path) = name
                .map(|name| relocs.join(name))
                .filter(|path| path.exists())
            {
                entry.insert("module".into(), path.display().to_string().into());
                entry.insert("base".into(), true.into());
                standing += 1;
            }
        }
    }
    assert!(
        standing > 0,
        "{} is empty: run guests/relocs.sh",
        relocs.display()
    );
    let copy = table["rootfs"]["copy"].as_array_mut().expect("folders");
    copy.iter_mut().for_each(absolute);
    let libraries = Value::from(vec![libc.display().to_string()]);
    table.insert(
        "base".into(),
        Table::from_iter([("libraries".to_owned(), libraries)]).into(),
    );
    toml::to_string(&table).expect("a recipe is TOML again")
}
