//! Writes a container to its folder: all of it, or nothing that looks like it.
//!
//! Everything is made in a hidden folder inside the output first and moved into place when it is
//! complete. The manifest, without which a folder is no container, goes first and comes back last.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use megabinary::digest::Digest;
use megabinary::limits;
use megabinary::manifest::FILE_NAME;

use super::{BuildError, Bytes, Container};
use crate::files::{self, io_error};
use crate::progress::Progress;
use crate::rootfs::Rootfs;

/// File name of the megabinary.
pub const MEGABINARY: &str = "container.wasm";
/// Folder of the root file system.
pub const ROOTFS: &str = "rootfs";
/// Prefix of the folder in which everything is made.
const STAGING: &str = ".megabin-build-";

impl Container {
    /// Writes `container.wasm`, `manifest.json` and `rootfs/` into `folder`, over those of an
    /// earlier build; other files there stay. Returns what the user should know.
    ///
    /// # Errors
    /// Where the folder holds a `rootfs` that no build made, another build writes to it, or the
    /// system refuses. What was in the folder before is whole then, or has no manifest.
    pub fn write(&self, folder: &Path, progress: &Progress) -> Result<Vec<String>, BuildError> {
        fs::create_dir_all(folder).map_err(io_error("making the folder", folder))?;
        let _lock = lock(folder)?;
        self.check_output(folder)?;
        remove_leftovers(folder)?;
        let staging = Staging::create(folder)?;
        progress.step("laying the root file system");
        let warnings = self.lay_rootfs(&staging.path.join(ROOTFS))?;
        progress.step("writing the container");
        files::write_new(&staging.path.join(MEGABINARY), &self.wasm, 0o644)?;
        let manifest = self.manifest.to_json_pretty();
        files::write_new(&staging.path.join(FILE_NAME), &manifest, 0o644)?;
        staging.commit(folder)?;
        Ok(warnings)
    }

    /// Refuses to replace a `rootfs` that may be somebody's own.
    fn check_output(&self, folder: &Path) -> Result<(), BuildError> {
        let rootfs = folder.join(ROOTFS);
        let refuse = |reason: String| {
            Err(BuildError::Output {
                path: rootfs.clone(),
                reason,
            })
        };
        if rootfs.symlink_metadata().is_err() {
            return Ok(());
        }
        let canonical = rootfs
            .canonicalize()
            .map_err(io_error("reading", &rootfs))?;
        for copied in &self.copy {
            let copied = copied.canonicalize().map_err(io_error("reading", copied))?;
            if copied.starts_with(&canonical) || canonical.starts_with(&copied) {
                let reason = "it is copied by the recipe and would be replaced by the output; \
                              choose another folder with -o";
                return refuse(reason.to_owned());
            }
        }
        let built = folder.join(MEGABINARY).is_file();
        let empty = fs::read_dir(&rootfs).is_ok_and(|mut entries| entries.next().is_none());
        if built || empty {
            return Ok(());
        }
        let reason = format!(
            "it exists, but no {MEGABINARY} beside it says that a build made it; remove it, or \
             choose another folder with -o"
        );
        refuse(reason)
    }

    fn lay_rootfs(&self, path: &Path) -> Result<Vec<String>, BuildError> {
        let rootfs = Rootfs::create(path)?;
        let mut warnings = Vec::new();
        for folder in &self.copy {
            rootfs.copy_tree(folder)?;
        }
        for (path, bytes) in &self.files {
            let bytes = match bytes {
                Bytes::Own(bytes) => bytes,
                Bytes::Module(program) => &self.modules.programs[*program].bytes,
            };
            if rootfs.executable(Path::new(path.as_str()), bytes)? {
                warnings.push(format!(
                    "binary {path} replaces a file that rootfs.copy brought"
                ));
            }
        }
        for (link, target) in &self.links {
            rootfs.link(Path::new(link.as_str()), Path::new(target.as_str()))?;
        }
        let mut unknown = Vec::new();
        for file in crate::rootfs::executables(path)? {
            // As whoever executes it decides: by its bytes.
            let bytes = files::read(&path.join(&file), limits::CONTAINER_BYTES)?;
            if !self.manifest.binaries.contains_key(&Digest::of(&bytes)) {
                unknown.push(format!("/{}", file.display()));
            }
        }
        warnings.extend(super::warnings::unknown_executables(&unknown));
        Ok(warnings)
    }
}

/// Keeps other builds out of the folder while the descriptor lives.
fn lock(folder: &Path) -> Result<File, BuildError> {
    let file = File::open(folder).map_err(io_error("opening", folder))?;
    match rustix::fs::flock(&file, rustix::fs::FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => Ok(file),
        Err(rustix::io::Errno::WOULDBLOCK) => Err(BuildError::Output {
            path: folder.to_owned(),
            reason: "another megabin is writing to it; wait for it, or choose another folder"
                .into(),
        }),
        Err(error) => Err(io_error("locking", folder)(error.into()).into()),
    }
}

/// Removes what builds that were killed left behind; the lock keeps living ones away.
fn remove_leftovers(folder: &Path) -> Result<(), BuildError> {
    let entries = fs::read_dir(folder)
        .and_then(|entries| entries.collect::<Result<Vec<_>, _>>())
        .map_err(io_error("reading the folder", folder))?;
    for entry in entries {
        if entry.file_name().to_string_lossy().starts_with(STAGING) {
            let path = entry.path();
            fs::remove_dir_all(&path).map_err(io_error("removing", &path))?;
        }
    }
    Ok(())
}

/// The hidden folder; what is left in it is removed when it is dropped.
struct Staging {
    path: PathBuf,
}

impl Staging {
    fn create(folder: &Path) -> Result<Self, BuildError> {
        let path = folder.join(format!("{STAGING}{}", std::process::id()));
        fs::create_dir(&path).map_err(io_error("making the folder", &path))?;
        Ok(Self { path })
    }

    fn commit(self, folder: &Path) -> Result<(), BuildError> {
        let manifest = folder.join(FILE_NAME);
        absent_is_fine(fs::remove_file(&manifest)).map_err(io_error("removing", &manifest))?;
        let rootfs = folder.join(ROOTFS);
        absent_is_fine(fs::rename(&rootfs, self.path.join("old")))
            .map_err(io_error("replacing", &rootfs))?;
        for name in [ROOTFS, MEGABINARY, FILE_NAME] {
            let target = folder.join(name);
            fs::rename(self.path.join(name), &target).map_err(io_error("writing", &target))?;
        }
        Ok(())
    }
}

impl Drop for Staging {
    fn drop(&mut self) {
        // Best effort: the next build removes it otherwise.
        let _ = fs::remove_dir_all(&self.path);
    }
}

fn absent_is_fine(result: io::Result<()>) -> io::Result<()> {
    match result {
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(()),
        other => other,
    }
}
