//! The programs under test and the guests, as `make test` names them.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use sha2::{Digest, Sha256};

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

/// Where the tests keep compiled code, so that each megabinary is compiled once for all of them, and
/// not again as long as the toolchain is the same.
///
/// A folder of this very `megabin`: code that another compiler, or other settings of it, made is not
/// met again. Those of others are removed.
///
/// # Panics
///
/// When the folder cannot be made.
pub fn artifacts() -> &'static Path {
    static FOLDER: OnceLock<PathBuf> = OnceLock::new();
    FOLDER.get_or_init(|| {
        let program = fs::read(megabin()).expect("reading megabin");
        let digest = Sha256::digest(program);
        let own: String = digest[..8]
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect();
        let all = megabin().with_file_name("test-artifacts");
        fs::create_dir_all(all.join(&own)).expect("making the folder of compiled code");
        let left = fs::read_dir(&all).expect("reading the folder of compiled code");
        for other in left.flatten().filter(|entry| *entry.file_name() != *own) {
            // Another process may do the same now.
            let _ = fs::remove_dir_all(other.path());
        }
        all.join(own)
    })
}
