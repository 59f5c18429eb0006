//! `megabin image`: a container as an image archive that engines load and registries take.
//!
//! The archive's bytes follow from the container alone: sorted names, no owners, no times but those
//! of data files, layers that are not compressed (who pushes them compresses them).

mod document;
mod layer;
mod reference;
mod tar;

use std::fs::{File, Permissions};
use std::io::{self, BufWriter, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use megabinary::digest::Digest;
use sha2::{Digest as _, Sha256};

use crate::build::ROOTFS;
use crate::container::Container;
use crate::files::{self, FileError, io_error};
use crate::rootfs::RootfsError;

pub use document::{Architecture, Process};
pub use reference::{Reference, ReferenceError};

use layer::Layer;
use tar::{Head, Kind};

/// The kind of archive.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Format {
    /// An OCI image layout, as podman, skopeo and containerd read it
    Oci,
    /// What `docker load` reads
    Docker,
}

/// Why an image cannot be written.
#[derive(Debug, thiserror::Error)]
pub enum ImageError {
    /// A file cannot be read or written.
    #[error(transparent)]
    File(#[from] FileError),
    /// The root file system holds what an archive cannot.
    #[error(transparent)]
    Rootfs(#[from] RootfsError),
    /// A name with a meaning of its own in images.
    #[error(
        "{path}: an image keeps this name for itself (`/.megabinary` carries the container, \
         `.wh.` marks removed files): leave it out of the root file system"
    )]
    Reserved {
        /// The file.
        path: PathBuf,
    },
    /// A layer came out otherwise the second time.
    #[error(
        "the root file system changed while the image was written: try again when nothing writes to it"
    )]
    Changed,
}

/// What the image is called and what it runs.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Its name.
    pub reference: Reference,
    /// The kind of archive.
    pub format: Format,
    /// The machines whose engines take it. The code is the same for all.
    pub architecture: Architecture,
    /// What it runs unless told otherwise.
    pub process: Process,
}

/// Names a blob by its contents.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Blob {
    digest: Digest,
    size: u64,
}

impl Blob {
    fn of(bytes: &[u8]) -> Self {
        Self {
            digest: Digest::of(bytes),
            size: bytes.len() as u64,
        }
    }

    fn hex(&self) -> String {
        self.digest
            .as_bytes()
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect()
    }
}

/// Writes the image of the container in `folder`, whose files are `container`, to `output`, which
/// is replaced in one step.
///
/// # Errors
/// Where the root file system cannot be put into an image, or the system refuses. Nothing is left
/// behind then.
pub fn write(
    folder: &Path,
    container: &Container,
    settings: &Settings,
    output: &Path,
) -> Result<Digest, ImageError> {
    let layers = layer::layers(container, &folder.join(ROOTFS))?;
    let blobs = layers
        .iter()
        .map(|layer| {
            let mut hasher = Hasher::new(io::sink());
            layer.write(&mut hasher)?;
            Ok(hasher.blob())
        })
        .collect::<Result<Vec<_>, ImageError>>()?;
    let manifest = container.megabinary.manifest();
    let config = document::config(manifest, settings, &layers, &blobs);
    let mut file = files::temporary()
        .permissions(Permissions::from_mode(0o666))
        .tempfile_in(files::folder_of(output))
        .map_err(io_error("writing", output))?;
    let mut archive = Archive {
        out: BufWriter::with_capacity(1 << 20, file.as_file_mut()),
        path: output,
    };
    match settings.format {
        Format::Oci => {
            let manifest_document = document::oci_manifest(manifest, &config, &blobs);
            let index = document::oci_index(&manifest_document, settings);
            archive.bytes("oci-layout", document::OCI_LAYOUT)?;
            archive.bytes("index.json", &index)?;
            archive.folder("blobs")?;
            archive.folder("blobs/sha256")?;
            for text in [&manifest_document, &config] {
                archive.bytes(&format!("blobs/sha256/{}", Blob::of(text).hex()), text)?;
            }
            for (layer, blob) in layers.iter().zip(&blobs) {
                archive.layer(&format!("blobs/sha256/{}", blob.hex()), layer, blob)?;
            }
        }
        Format::Docker => {
            archive.bytes(
                "manifest.json",
                &document::docker_manifest(settings, &config, &blobs),
            )?;
            archive.bytes(&format!("{}.json", Blob::of(&config).hex()), &config)?;
            for (layer, blob) in layers.iter().zip(&blobs) {
                archive.layer(&format!("{}.tar", blob.hex()), layer, blob)?;
            }
        }
    }
    archive.finish()?;
    file.persist(output)
        .map_err(|refused| io_error("writing", output)(refused.error))?;
    Ok(Blob::of(&config).digest)
}

/// The archive that is being written.
struct Archive<'a> {
    out: BufWriter<&'a mut File>,
    path: &'a Path,
}

impl Archive<'_> {
    fn head(&mut self, name: &str, mode: u32, kind: Kind) -> Result<(), ImageError> {
        let head = Head {
            name: name.into(),
            mode,
            time: 0,
            kind,
        };
        Ok(tar::head(&mut self.out, &head).map_err(io_error("writing", self.path))?)
    }

    fn folder(&mut self, name: &str) -> Result<(), ImageError> {
        self.head(&format!("{name}/"), 0o755, Kind::Folder)
    }

    fn bytes(&mut self, name: &str, bytes: &[u8]) -> Result<(), ImageError> {
        let size = bytes.len() as u64;
        self.head(name, 0o644, Kind::File(size))?;
        Ok(tar::contents(&mut self.out, &mut &bytes[..], size)
            .map_err(io_error("writing", self.path))?)
    }

    /// A layer, which must come out as it did when its digest was taken.
    fn layer(&mut self, name: &str, layer: &Layer<'_>, blob: &Blob) -> Result<(), ImageError> {
        self.head(name, 0o644, Kind::File(blob.size))?;
        let mut hasher = Hasher::new(&mut self.out);
        layer.write(&mut hasher)?;
        // Whole blocks by nature: nothing is left to fill up.
        match hasher.blob() == *blob {
            true => Ok(()),
            false => Err(ImageError::Changed),
        }
    }

    fn finish(mut self) -> Result<(), ImageError> {
        let path = self.path;
        tar::end(&mut self.out).map_err(io_error("writing", path))?;
        let file = self
            .out
            .into_inner()
            .map_err(|error| io_error("writing", path)(error.into_error()))?;
        Ok(file.sync_all().map_err(io_error("writing", path))?)
    }
}

/// Passes bytes on and keeps their digest and number.
struct Hasher<W> {
    out: W,
    hash: Sha256,
    size: u64,
}

impl<W: Write> Hasher<W> {
    fn new(out: W) -> Self {
        Self {
            out,
            hash: Sha256::new(),
            size: 0,
        }
    }

    fn blob(self) -> Blob {
        Blob {
            digest: Digest::from_bytes(self.hash.finalize().into()),
            size: self.size,
        }
    }
}

impl<W: Write> Write for Hasher<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.out.write(bytes)?;
        self.hash.update(&bytes[..written]);
        self.size += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}
