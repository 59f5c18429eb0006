//! The programs under test and the guests, as `make test` names them.

use std::path::{Path, PathBuf};

/// The path that the environment variable `name` holds.
///
/// # Panics
///
/// When it is unset or names nothing: a test without its subject fails, and
/// says how to get it.
fn path_from(name: &str) -> PathBuf {
    let value = std::env::var_os(name).unwrap_or_else(|| {
        panic!("{name} is not set; run `make test`, which builds and names what the tests need")
    });
    let path = PathBuf::from(value);
    assert!(
        path.exists(),
        "{name} names {}, which does not exist; run `make test`",
        path.display()
    );
    path
}

/// The toolchain, `megabin`.
pub fn megabin() -> PathBuf {
    path_from("MEGABIN_BIN")
}

/// The OCI runtime, `megarun`.
pub fn megarun() -> PathBuf {
    path_from("MEGARUN_BIN")
}

/// The folder `guests/` of the repository.
pub fn guests() -> PathBuf {
    path_from("GUESTS_DIR")
}

/// A recipe of `guests/recipes/`.
pub fn recipe(name: &str) -> PathBuf {
    let path = guests().join("recipes").join(format!("{name}.toml"));
    assert!(path.exists(), "no recipe {}", path.display());
    path
}

/// Whether this process may make namespaces and mounts.
///
/// # Panics
///
/// When it is not root: container tests cannot run, and are not skipped.
pub fn require_root() {
    let status = std::fs::read_to_string("/proc/self/status").expect("this process has a status");
    let uid = status
        .lines()
        .find_map(|line| line.strip_prefix("Uid:"))
        .and_then(|ids| ids.split_whitespace().nth(1));
    assert_eq!(
        uid,
        Some("0"),
        "containers need root; run `make test` as root"
    );
}

/// The bytes of a guest module.
pub fn module(path: &Path) -> Vec<u8> {
    std::fs::read(path).unwrap_or_else(|error| {
        panic!(
            "guest {}: {error}; run `guests/build.sh test`, as `make test` does",
            path.display()
        )
    })
}
