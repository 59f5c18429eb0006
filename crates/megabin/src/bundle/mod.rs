//! A complete OCI bundle from a container's folder.

mod config;

use std::fs;
use std::path::{Path, PathBuf};

use megabinary::manifest::FILE_NAME;

use crate::build::ROOTFS;
use crate::container::Container;
use crate::files::{self, FileError, io_error};
use crate::rootfs::{Rootfs, RootfsError};

pub use config::{PATH, Process};

/// Why a bundle cannot be written.
#[derive(Debug, thiserror::Error)]
pub enum BundleError {
    /// A file cannot be read or written.
    #[error(transparent)]
    File(#[from] FileError),
    /// The root file system cannot be copied.
    #[error(transparent)]
    Rootfs(#[from] RootfsError),
    /// Something is there already.
    #[error(
        "{path} exists and is not empty: remove it, choose another folder with -o, or give --force \
         to replace a bundle"
    )]
    Exists {
        /// The output folder.
        path: PathBuf,
    },
    /// `--force` on something that is no bundle.
    #[error("{path} has no config.json, so it is not a bundle that --force may replace: remove it")]
    NotABundle {
        /// The output folder.
        path: PathBuf,
    },
}

/// Writes a bundle of the container in `folder`, whose files are `container`, to `output`.
///
/// # Errors
/// Where `output` exists (with `force`: is no bundle), or the system refuses. Nothing is left
/// behind then.
pub fn write(
    folder: &Path,
    container: &Container,
    process: &Process,
    output: &Path,
    force: bool,
) -> Result<(), BundleError> {
    let replaces = check_output(output, force)?;
    if let Some(parent) = output.parent().filter(|p| !p.as_os_str().is_empty()) {
        fs::create_dir_all(parent).map_err(io_error("making the folder", parent))?;
    }
    let staging = Staging::create(output)?;
    let config = config::config(process, container.megabinary.manifest());
    let manifest = container.megabinary.manifest();
    files::write_new(
        &staging.0.join(manifest.megabinary.as_str()),
        &container.wasm,
        0o644,
    )?;
    files::write_new(&staging.0.join(FILE_NAME), &container.manifest_json, 0o644)?;
    files::write_new(&staging.0.join("config.json"), &config, 0o644)?;
    // Copied, not linked: who edits a bundle's files must not edit the build's with them.
    let rootfs = Rootfs::create(&staging.0.join(ROOTFS))?;
    let source = folder.join(ROOTFS);
    if source.is_dir() {
        rootfs.copy_tree(&source)?;
    }
    for mount_point in config::MOUNT_POINTS {
        rootfs.folder(Path::new(mount_point))?;
    }
    if replaces {
        let old = temporary(output, "old");
        fs::rename(output, &old).map_err(io_error("replacing", output))?;
        staging.commit(output)?;
        return Ok(fs::remove_dir_all(&old).map_err(io_error("removing", &old))?);
    }
    staging.commit(output)
}

/// Whether `output` holds a bundle that is replaced.
fn check_output(output: &Path, force: bool) -> Result<bool, BundleError> {
    let exists = || BundleError::Exists {
        path: output.to_owned(),
    };
    let Ok(meta) = output.symlink_metadata() else {
        return Ok(false);
    };
    if !meta.is_dir() {
        return Err(exists());
    }
    let mut entries = fs::read_dir(output).map_err(io_error("reading the folder", output))?;
    if entries.next().is_none() {
        // An empty folder gives way to a rename.
        return Ok(false);
    }
    if !force {
        return Err(exists());
    }
    if !output.join("config.json").is_file() {
        return Err(BundleError::NotABundle {
            path: output.to_owned(),
        });
    }
    Ok(true)
}

/// The folder in which the bundle is made, beside its final place.
struct Staging(PathBuf);

impl Staging {
    fn create(output: &Path) -> Result<Self, BundleError> {
        let path = temporary(output, "new");
        if path.symlink_metadata().is_ok() {
            // Left by a process of this number that was killed.
            fs::remove_dir_all(&path).map_err(io_error("removing", &path))?;
        }
        fs::create_dir(&path).map_err(io_error("making the folder", &path))?;
        Ok(Self(path))
    }

    fn commit(self, output: &Path) -> Result<(), BundleError> {
        Ok(fs::rename(&self.0, output).map_err(io_error("writing", output))?)
    }
}

impl Drop for Staging {
    fn drop(&mut self) {
        // Best effort; after a commit there is nothing here.
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn temporary(output: &Path, kind: &str) -> PathBuf {
    let name = output.file_name().unwrap_or_default().to_string_lossy();
    output.with_file_name(format!(".{name}.megabin-{}-{kind}", std::process::id()))
}
