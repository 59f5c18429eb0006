//! Scratch copies of a root file system, and what a guest changed in one.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

/// What one path holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Node {
    /// A directory.
    Directory,
    /// A symbolic link and its target.
    Link(PathBuf),
    /// A file and its bytes.
    File(Vec<u8>),
}

/// Copies the tree `from` to `to` (made here): contents, links, permissions
/// and times, so that a listing of either reads the same.
///
/// # Panics
///
/// On any I/O error: tests cannot go on.
pub fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).expect("making a directory");
    for entry in fs::read_dir(from).expect("reading a directory") {
        let entry = entry.expect("reading a directory");
        let (source, target) = (entry.path(), to.join(entry.file_name()));
        let kind = entry.file_type().expect("reading a directory");
        if kind.is_dir() {
            copy(&source, &target);
        } else if kind.is_symlink() {
            symlink(fs::read_link(&source).expect("reading a link"), &target)
                .expect("making a link");
        } else {
            fs::copy(&source, &target).expect("copying a file");
            set_times(&source, &target);
        }
    }
    fs::set_permissions(to, fs::metadata(from).expect("a directory").permissions())
        .expect("setting a mode");
    set_times(from, to);
}

/// Gives `target` the times of `source`.
fn set_times(source: &Path, target: &Path) {
    let meta = fs::metadata(source).expect("the source is there");
    let times = fs::FileTimes::new()
        .set_accessed(meta.accessed().expect("Linux has access times"))
        .set_modified(meta.modified().expect("Linux has times"));
    fs::File::open(target)
        .expect("the copy is there")
        .set_times(times)
        .expect("setting times");
}

/// Every path below `root`, and what it holds.
pub fn snapshot(root: &Path) -> BTreeMap<PathBuf, Node> {
    let mut nodes = BTreeMap::new();
    let mut pending = vec![root.to_path_buf()];
    while let Some(directory) = pending.pop() {
        for entry in fs::read_dir(&directory).expect("reading a directory") {
            let path = entry.expect("reading a directory").path();
            let meta = fs::symlink_metadata(&path).expect("an entry just read");
            let node = if meta.is_dir() {
                pending.push(path.clone());
                Node::Directory
            } else if meta.is_symlink() {
                Node::Link(fs::read_link(&path).expect("reading a link"))
            } else {
                Node::File(fs::read(&path).unwrap_or_default())
            };
            nodes.insert(
                path.strip_prefix(root)
                    .expect("it lies below")
                    .to_path_buf(),
                node,
            );
        }
    }
    nodes
}
