//! What is in a directory, to compare two.

use std::os::unix::fs::MetadataExt;
use std::path::Path;

/// Every object below `dir`: its path, sort, links, and contents or target.
pub fn snapshot(dir: &Path) -> Vec<String> {
    let mut found = Vec::new();
    collect(dir, "", &mut found);
    found.sort();
    found
}

fn collect(dir: &Path, prefix: &str, found: &mut Vec<String>) {
    for entry in std::fs::read_dir(dir).unwrap() {
        let entry = entry.unwrap();
        let path = format!("{prefix}/{}", entry.file_name().to_string_lossy());
        let meta = entry.path().symlink_metadata().unwrap();
        if meta.is_dir() {
            found.push(format!("{path} directory"));
            collect(&entry.path(), &path, found);
        } else if meta.is_symlink() {
            let target = std::fs::read_link(entry.path()).unwrap();
            found.push(format!("{path} link {}", target.display()));
        } else {
            let contents = std::fs::read(entry.path()).unwrap();
            found.push(format!("{path} file {} {contents:?}", meta.nlink()));
        }
    }
}
