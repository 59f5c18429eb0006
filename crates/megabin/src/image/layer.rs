//! The layers of an image: what they hold, in which order, and their bytes.
//!
//! Three layers, each on top of those that change less often than it: the code, the root file
//! system, the manifest. Data that changes leaves the code's layer alone, and a new signature
//! changes a few kilobytes.

use std::fs::{self, File};
use std::io::{self, Write};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use megabinary::manifest::FILE_NAME;

use super::ImageError;
use super::tar::{self, Head, Kind};
use crate::container::Container;
use crate::files::io_error;
use crate::rootfs::RootfsError;

/// Where a runtime looks for the container in an image (`runtime-spec/megabinary.md`).
const IN_IMAGE: &str = ".megabinary";
/// Folders that engines mount over.
const MOUNT_POINTS: [&str; 3] = ["dev", "proc", "sys"];
/// How a layer says that a file of a lower one is gone.
const WHITEOUT: &[u8] = b".wh.";

/// One layer.
#[derive(Debug)]
pub struct Layer<'a> {
    /// What it holds, for the image's history.
    pub title: &'static str,
    entries: Vec<Entry<'a>>,
}

#[derive(Debug)]
struct Entry<'a> {
    head: Head,
    source: Source<'a>,
}

#[derive(Debug)]
enum Source<'a> {
    /// A folder or a link.
    None,
    Bytes(&'a [u8]),
    Disk(PathBuf),
}

impl Layer<'_> {
    /// Writes the layer as a tar archive: the same bytes every time.
    ///
    /// # Errors
    /// Names the file that cannot be read, or has changed since the layer was planned.
    pub fn write(&self, out: &mut impl Write) -> Result<(), ImageError> {
        let written = io_error("writing", Path::new("the image"));
        for Entry { head, source } in &self.entries {
            tar::head(out, head).map_err(io_error("writing", Path::new("the image")))?;
            let Kind::File(size) = head.kind else {
                continue;
            };
            match source {
                Source::None => {}
                Source::Bytes(bytes) => tar::contents(out, &mut &bytes[..], size)
                    .map_err(io_error("writing", Path::new("the image")))?,
                Source::Disk(path) => File::open(path)
                    .and_then(|mut file| tar::contents(out, &mut file, size))
                    .map_err(io_error("copying", path))?,
            }
        }
        Ok(tar::end(out).map_err(written)?)
    }
}

/// The layers of `container`, whose root file system is the folder `rootfs`, lowest first.
///
/// # Errors
/// Where the root file system holds what an image cannot have.
pub fn layers<'a>(container: &'a Container, rootfs: &Path) -> Result<[Layer<'a>; 3], ImageError> {
    let megabinary = container.megabinary.manifest().megabinary.as_str();
    let mut entries = Vec::new();
    if rootfs.is_dir() {
        walk(rootfs, b"", &mut entries)?;
    }
    for name in MOUNT_POINTS {
        let stands = |entry: &Entry<'_>| {
            let known = &entry.head.name;
            known.strip_suffix(b"/").unwrap_or(known) == name.as_bytes()
        };
        if !entries.iter().any(stands) {
            entries.push(folder(name.as_bytes(), 0o755));
        }
    }
    Ok([
        carried("code", megabinary, &container.wasm),
        Layer {
            title: "root file system",
            entries,
        },
        carried("manifest", FILE_NAME, &container.manifest_json),
    ])
}

/// A layer of one file in the image's folder for the container.
fn carried<'a>(title: &'static str, name: &str, bytes: &'a [u8]) -> Layer<'a> {
    let file = Entry {
        head: Head {
            name: format!("{IN_IMAGE}/{name}").into_bytes(),
            mode: 0o644,
            time: 0,
            kind: Kind::File(bytes.len() as u64),
        },
        source: Source::Bytes(bytes),
    };
    Layer {
        title,
        entries: vec![folder(IN_IMAGE.as_bytes(), 0o755), file],
    }
}

fn folder<'a>(name: &[u8], mode: u32) -> Entry<'a> {
    Entry {
        head: Head {
            name: [name, b"/"].concat(),
            mode,
            time: 0,
            kind: Kind::Folder,
        },
        source: Source::None,
    }
}

/// Adds everything in `from`, in the order of the names' bytes, below `below`.
fn walk<'a>(from: &Path, below: &[u8], entries: &mut Vec<Entry<'a>>) -> Result<(), ImageError> {
    let mut found = fs::read_dir(from)
        .and_then(|found| found.collect::<io::Result<Vec<_>>>())
        .map_err(io_error("reading the folder", from))?;
    found.sort_by_key(fs::DirEntry::file_name);
    for entry in found {
        let (path, name) = (entry.path(), entry.file_name());
        let name = [below, name.as_bytes()].concat();
        if name == IN_IMAGE.as_bytes() || entry.file_name().as_bytes().starts_with(WHITEOUT) {
            return Err(ImageError::Reserved { path });
        }
        let meta = fs::symlink_metadata(&path).map_err(io_error("reading", &path))?;
        let mode = meta.mode() & 0o7777;
        if meta.is_dir() {
            entries.push(folder(&name, mode));
            walk(&path, &[&name[..], b"/"].concat(), entries)?;
            continue;
        }
        let (mode, time, kind, source) = if meta.is_symlink() {
            let target = fs::read_link(&path).map_err(io_error("reading", &path))?;
            let target = target.as_os_str().as_bytes().to_vec();
            (0o777, 0, Kind::Link(target), Source::None)
        } else if meta.is_file() {
            // A build lays executable files, whenever that was; data keeps the time of what it was
            // copied from, by which Python for one judges its compiled files.
            let time = if mode & 0o111 == 0 { meta.mtime() } else { 0 };
            (mode, time, Kind::File(meta.len()), Source::Disk(path))
        } else {
            return Err(RootfsError::Special { path }.into());
        };
        let head = Head {
            name,
            mode,
            time,
            kind,
        };
        entries.push(Entry { head, source });
    }
    Ok(())
}
