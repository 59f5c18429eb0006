//! The cgroups of a pod, which a kubelet makes before and removes after it.

use std::fs;
use std::path::{Path, PathBuf};

/// Where hierarchies are mounted.
const MOUNTS: &str = "/sys/fs/cgroup";

/// The directory of every hierarchy for the cgroup `parent`.
fn all(parent: &str) -> Vec<PathBuf> {
    let Ok(hierarchies) = fs::read_dir(MOUNTS) else {
        return Vec::new();
    };
    let below = |entry: fs::DirEntry| entry.path().join(parent.trim_start_matches('/'));
    hierarchies
        .flatten()
        .map(below)
        .filter(|dir| dir.is_dir())
        .collect()
}

/// The cgroups below `parent`, in every hierarchy.
pub fn below(parent: &str) -> Vec<PathBuf> {
    let children = |dir: PathBuf| fs::read_dir(dir).into_iter().flatten().flatten();
    let dirs = all(parent).into_iter().flat_map(children);
    dirs.map(|entry| entry.path())
        .filter(|path| path.is_dir())
        .collect()
}

/// A file of the cgroup `path` in the hierarchy of `controller`.
///
/// # Panics
///
/// When it cannot be read.
#[track_caller]
pub fn read(controller: &str, path: &str, file: &str) -> String {
    let path = Path::new(MOUNTS)
        .join(controller)
        .join(path.trim_start_matches('/'))
        .join(file);
    let text = fs::read_to_string(&path);
    let text = text.unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    text.trim().to_owned()
}

/// Removes the cgroup `parent` with what is empty below it.
pub fn remove(parent: &str) {
    for dir in below(parent).into_iter().chain(all(parent)) {
        // One that is still in use stays, and the test that looks for it fails.
        let _ = fs::remove_dir(dir);
    }
}
