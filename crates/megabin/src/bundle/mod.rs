//! A complete OCI bundle from a container's folder.

mod config;

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
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
    let parent = files::folder_of(output);
    fs::create_dir_all(parent).map_err(io_error("making the folder", parent))?;
    // With it goes what a failure leaves and the bundle that is replaced.
    let staging = files::temporary()
        .permissions(Permissions::from_mode(0o755))
        .tempdir_in(parent)
        .map_err(io_error("making a folder in", parent))?;
    let made = staging.path().join("new");
    fs::create_dir(&made).map_err(io_error("making the folder", &made))?;
    let config = config::config(process, container.megabinary.manifest());
    let manifest = container.megabinary.manifest();
    let megabinary = made.join(manifest.megabinary.as_str());
    files::write_new(&megabinary, &container.wasm, 0o644)?;
    files::write_new(&made.join(FILE_NAME), &container.manifest_json, 0o644)?;
    files::write_new(&made.join("config.json"), &config, 0o644)?;
    // Copied, not linked: who edits a bundle's files must not edit the build's with them.
    let rootfs = Rootfs::create(&made.join(ROOTFS))?;
    let source = folder.join(ROOTFS);
    if source.is_dir() {
        rootfs.copy_tree(&source)?;
    }
    for mount_point in config::MOUNT_POINTS {
        rootfs.folder(Path::new(mount_point))?;
    }
    let old = staging.path().join("old");
    if replaces {
        fs::rename(output, &old).map_err(io_error("replacing", output))?;
    }
    if let Err(error) = fs::rename(&made, output) {
        if replaces {
            // Best effort: the error that counts is there already.
            let _ = fs::rename(&old, output);
        }
        return Err(io_error("writing", output)(error).into());
    }
    let path = staging.path().to_owned();
    Ok(staging.close().map_err(io_error("removing", &path))?)
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
