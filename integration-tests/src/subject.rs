//! The programs under test and the guests, as `make test` names them.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

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
    let status = fs::read_to_string("/proc/self/status").expect("this process has a status");
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
    fs::read(path).unwrap_or_else(|error| {
        panic!(
            "guest {}: {error}; run `guests/build.sh test`, as `make test` does",
            path.display()
        )
    })
}

/// Where the tests of this process keep compiled code, so that each megabinary is compiled once for all of them.
///
/// A folder of this process: code that another version of the compiler's settings made is not met again.
pub fn artifacts() -> &'static Path {
    static FOLDER: OnceLock<PathBuf> = OnceLock::new();
    FOLDER.get_or_init(|| {
        let all = megabin().with_file_name("test-artifacts");
        fs::create_dir_all(&all).expect("making the folder of compiled code");
        let left = fs::read_dir(&all).expect("reading the folder of compiled code");
        for owner in left.flatten().map(|entry| entry.file_name()) {
            if !Path::new("/proc").join(&owner).exists() {
                // Another process may do the same now.
                let _ = fs::remove_dir_all(all.join(owner));
            }
        }
        all.join(std::process::id().to_string())
    })
}
