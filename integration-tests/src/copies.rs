//! Copies of one tree for many runs, each of which has one alone.
//!
//! What a run left as it was serves again: most change nothing, and to make and remove hundreds of
//! files, which file systems do ever slower the more they did of late, costs more than those runs.

use std::collections::BTreeMap;
use std::fs::{self, File, FileTimes};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::SystemTime;

use crate::scratch::{self, Node};

/// Every path of a tree and what it holds.
pub type Tree = Arc<BTreeMap<PathBuf, Node>>;

/// The folder in a copy that is the copied tree.
const ROOT: &str = "rootfs";

/// Gives out copies of a tree, and takes them back.
pub struct Copies {
    source: PathBuf,
    beside: Vec<PathBuf>,
    tree: Tree,
    free: Mutex<Vec<Copy>>,
}

/// A directory with a tree that cannot be told from a fresh copy.
pub struct Copy {
    folder: tempfile::TempDir,
    marks: BTreeMap<PathBuf, Mark>,
}

/// What tells whether a file is as it was: any change of it gives it another time of change.
#[derive(PartialEq, Eq)]
struct Mark {
    inode: u64,
    links: u64,
    mode: u32,
    owner: (u32, u32),
    modified: SystemTime,
    changed: (i64, i64),
}

impl Mark {
    fn of(meta: &fs::Metadata) -> Self {
        Self {
            inode: meta.ino(),
            links: meta.nlink(),
            mode: meta.mode(),
            owner: (meta.uid(), meta.gid()),
            modified: meta.modified().expect("Linux has times"),
            changed: (meta.ctime(), meta.ctime_nsec()),
        }
    }
}

impl Copies {
    /// Of the tree at `source`, with the files `beside` next to it (they are not copied).
    ///
    /// # Panics
    ///
    /// Here and below on any I/O error: tests cannot go on.
    pub fn new(source: &Path, beside: &[PathBuf]) -> Self {
        Self {
            source: source.to_owned(),
            beside: beside.to_vec(),
            tree: Arc::new(scratch::snapshot(source)),
            free: Mutex::default(),
        }
    }

    /// A copy that nobody else has.
    pub fn take(&self) -> Copy {
        let free = self.free.lock().expect("no holder panics").pop();
        free.unwrap_or_else(|| self.fresh())
    }

    fn fresh(&self) -> Copy {
        // On the file system of what is linked there.
        let parent = self.source.parent().expect("a tree lies in a folder");
        let folder = tempfile::tempdir_in(parent).expect("a temporary directory");
        for file in &self.beside {
            let name = file.file_name().expect("the name of a file");
            fs::hard_link(file, folder.path().join(name)).expect("linking a file");
        }
        let root = folder.path().join(ROOT);
        scratch::copy(&self.source, &root);
        let marks = marks(&root);
        self.settled(Copy { folder, marks })
    }

    /// What the copy holds by now. One that holds what it did will be given out again.
    pub fn give_back(&self, copy: Copy) -> Tree {
        let root = copy.root();
        let same = copy.marks == marks(&root);
        let tree = scratch::snapshot(&root);
        if tree != *self.tree {
            return Arc::new(tree);
        }
        if same {
            let copy = self.settled(copy);
            self.free.lock().expect("no holder panics").push(copy);
        }
        self.tree.clone()
    }

    /// A copy with the times of access that reading it, also here, has changed.
    fn settled(&self, mut copy: Copy) -> Copy {
        let root = copy.root();
        for (path, mark) in &mut copy.marks {
            let path = path.strip_prefix(&root).expect("it lies below");
            let meta = |path: &Path| fs::symlink_metadata(path).expect("it is there");
            let (theirs, ours) = (self.source.join(path), root.join(path));
            if !meta(&ours).is_symlink() {
                reset_access(&theirs, &ours);
            }
            *mark = Mark::of(&meta(&ours));
        }
        copy
    }
}

impl Copy {
    /// The directory, with the tree and what is beside it.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// The tree.
    pub fn root(&self) -> PathBuf {
        self.folder.path().join(ROOT)
    }
}

/// Gives `copy` the times of `source`.
fn reset_access(source: &Path, copy: &Path) {
    let times = |path: &Path| {
        let meta = fs::metadata(path).expect("it is there");
        let time = |time: std::io::Result<SystemTime>| time.expect("Linux has times");
        (time(meta.accessed()), time(meta.modified()))
    };
    let (accessed, modified) = times(source);
    if times(copy) != (accessed, modified) {
        let times = FileTimes::new()
            .set_accessed(accessed)
            .set_modified(modified);
        let file = File::open(copy).expect("opening a copy");
        file.set_times(times).expect("setting times");
    }
}

fn marks(root: &Path) -> BTreeMap<PathBuf, Mark> {
    let mut marks = BTreeMap::new();
    let mut pending = vec![root.to_owned()];
    while let Some(path) = pending.pop() {
        let meta = fs::symlink_metadata(&path).expect("an entry just read");
        if meta.is_dir() {
            let entries = fs::read_dir(&path).expect("reading a directory");
            pending.extend(entries.map(|entry| entry.expect("reading a directory").path()));
        }
        marks.insert(path, Mark::of(&meta));
    }
    marks
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    fn copies() -> (tempfile::TempDir, Copies) {
        let folder = tempfile::tempdir().expect("a directory");
        let source = folder.path().join("source");
        fs::create_dir(&source).expect("a directory");
        fs::create_dir(source.join("d")).expect("a directory");
        fs::write(source.join("d/f"), "text").expect("a file");
        std::os::unix::fs::symlink("d/f", source.join("l")).expect("a link");
        let copies = Copies::new(&source, &[]);
        (folder, copies)
    }

    #[test]
    fn what_was_only_read_serves_again_as_if_it_had_not_been() {
        let (_folder, copies) = copies();
        let source = copies.source.clone();
        let copy = copies.take();
        let (first, root) = (copy.folder().to_owned(), copy.root());
        assert_eq!(fs::read(root.join("l")).expect("it is there"), b"text");
        assert_eq!(copies.give_back(copy), copies.tree);
        let copy = copies.take();
        assert_eq!(copy.folder(), first);
        assert_ne!(copies.take().folder(), first, "it is taken");
        let accessed = |path: &Path| fs::metadata(path).and_then(|meta| meta.accessed());
        for path in ["", "d", "d/f"] {
            let (theirs, ours) = (source.join(path), root.join(path));
            assert_eq!(accessed(&theirs).ok(), accessed(&ours).ok(), "{path}");
        }
    }

    type Change = fn(&Path) -> std::io::Result<()>;

    #[test]
    fn what_was_changed_in_any_way_does_not_serve_again() {
        let changes: [(&str, Change); 7] = [
            ("written", |root| fs::write(root.join("d/f"), "other")),
            ("the same written", |root| {
                fs::write(root.join("d/f"), "text")
            }),
            ("made", |root| fs::write(root.join("d/g"), "")),
            ("removed", |root| fs::remove_file(root.join("l"))),
            ("made and removed", |root| {
                fs::write(root.join("g"), "")?;
                fs::remove_file(root.join("g"))
            }),
            ("mode", |root| {
                fs::set_permissions(root.join("d/f"), fs::Permissions::from_mode(0o600))
            }),
            ("another name", |root| {
                fs::hard_link(root.join("d/f"), root.join("h"))
            }),
        ];
        for (what, change) in changes {
            let (_folder, copies) = copies();
            let copy = copies.take();
            let first = copy.folder().to_owned();
            // Another tick of the clock that changes are told by.
            std::thread::sleep(std::time::Duration::from_millis(20));
            change(&copy.root()).expect(what);
            let found = scratch::snapshot(&copy.root());
            assert_eq!(*copies.give_back(copy), found, "{what}");
            assert_ne!(copies.take().folder(), first, "{what}");
        }
    }
}
