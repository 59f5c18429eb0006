//! A container's folder: `manifest.json` and the megabinary beside it, read once and checked.

use std::path::{Path, PathBuf};

use megabinary::limits;
use megabinary::manifest::{FILE_NAME, Manifest, ManifestError, UnverifiedManifest, Verified};
use megabinary::module::{self, Megabinary, Module, ModuleError};
use megabinary::names::KeyId;
use megabinary::signing::SigningKey;
use megabinary::trust::{self, NodePolicy, TrustError};
use vkernel::artifact::{Cache, CacheKey};

use crate::files::{self, Existing, FileError};

/// Why a folder is not a container, or not one to believe.
#[derive(Debug, thiserror::Error)]
pub enum ContainerError {
    /// A file cannot be read or written.
    #[error(transparent)]
    File(#[from] FileError),
    /// The manifest is wrong.
    #[error("{path}: {source}")]
    Manifest {
        /// The manifest's file.
        path: PathBuf,
        /// What is wrong.
        source: Box<ManifestError>,
    },
    /// The manifest is not to be believed.
    #[error("{path}: {source}")]
    Trust {
        /// The manifest's file.
        path: PathBuf,
        /// Why not, and what would change that.
        source: Box<TrustError>,
    },
    /// The megabinary is wrong, or does not belong to the manifest.
    #[error("{path}: {source}")]
    Module {
        /// The megabinary's file.
        path: PathBuf,
        /// What is wrong.
        source: Box<ModuleError>,
    },
}

/// A manifest as it was read, not yet believed, and where from.
#[derive(Debug)]
pub struct Folder {
    folder: PathBuf,
    /// The manifest's bytes.
    pub manifest_json: Vec<u8>,
    /// The manifest.
    pub manifest: UnverifiedManifest,
}

/// A container whose parts agree.
#[derive(Debug)]
pub struct Container {
    /// Manifest and module, which agree.
    pub megabinary: Megabinary,
    /// The bytes of the module.
    pub wasm: Vec<u8>,
    /// The bytes of the manifest.
    pub manifest_json: Vec<u8>,
}

/// Which modules have their function bodies validated when they are read. Everything else about
/// them is checked in any case, their digest first.
#[derive(Clone, Copy)]
pub enum Bodies<'c> {
    /// All.
    Validated,
    /// Those that this cache has no compiled code of. The compiler validates what it compiles, and
    /// code is found by the digest of every byte that it was made of: what is there was valid.
    ValidatedUnlessCompiled(&'c Cache),
}

impl Bodies<'_> {
    fn are_known(self, module: &Module) -> bool {
        match self {
            Bodies::Validated => false,
            Bodies::ValidatedUnlessCompiled(cache) => cache
                .lookup(&CacheKey::of(&module.id))
                .is_ok_and(|artifact| artifact.is_some()),
        }
    }
}

impl Folder {
    /// Reads the manifest of the container in `folder`.
    ///
    /// # Errors
    /// Where it is not there or not strict JSON.
    pub fn open(folder: &Path) -> Result<Self, ContainerError> {
        let path = folder.join(FILE_NAME);
        let manifest_json = files::read(&path, limits::MANIFEST_BYTES)?;
        let manifest = UnverifiedManifest::parse(&manifest_json).map_err(|source| {
            ContainerError::Manifest {
                path,
                source: Box::new(source),
            }
        })?;
        Ok(Self {
            folder: folder.to_owned(),
            manifest_json,
            manifest,
        })
    }

    /// Checks everything, the signature first.
    ///
    /// # Errors
    /// The first reason not to believe the container.
    pub fn verify(
        self,
        policy: &NodePolicy,
        bodies: Bodies<'_>,
    ) -> Result<Container, ContainerError> {
        let path = self.path();
        let manifest =
            trust::decide(&self.manifest, policy).map_err(|source| ContainerError::Trust {
                path,
                source: Box::new(source),
            })?;
        self.with_module(manifest, bodies)
    }

    /// Checks everything but the signature: for signing, looking at, and the developer's loop.
    ///
    /// # Errors
    /// Whatever breaks the format, and parts that do not agree.
    pub fn accept_unsigned(self, bodies: Bodies<'_>) -> Result<Container, ContainerError> {
        let path = self.path();
        let manifest =
            self.manifest
                .accept_unsigned()
                .map_err(|source| ContainerError::Manifest {
                    path,
                    source: Box::new(source),
                })?;
        self.with_module(manifest, bodies)
    }

    fn path(&self) -> PathBuf {
        self.folder.join(FILE_NAME)
    }

    fn with_module(
        self,
        manifest: Verified<Manifest>,
        bodies: Bodies<'_>,
    ) -> Result<Container, ContainerError> {
        let path = self.folder.join(manifest.megabinary.as_str());
        let wasm = files::read(&path, limits::CONTAINER_BYTES)?;
        let wrong = |source| ContainerError::Module {
            path: path.clone(),
            source: Box::new(source),
        };
        let module = Module::parse(&wasm).map_err(wrong)?;
        if !bodies.are_known(&module) {
            module::validate(&wasm).map_err(wrong)?;
        }
        let megabinary = module::check_agreement(&manifest, &module).map_err(wrong)?;
        Ok(Container {
            megabinary,
            wasm,
            manifest_json: self.manifest_json,
        })
    }
}

/// Signs the manifest in `folder` with `key`, after checking that it belongs to its megabinary: a
/// pair that would be refused later is not signed.
///
/// # Errors
/// Whatever breaks the format, and that the manifest cannot be written.
pub fn sign(folder: &Path, id: &KeyId, key: &SigningKey) -> Result<(), ContainerError> {
    let container = Folder::open(folder)?.accept_unsigned(Bodies::Validated)?;
    let manifest = container.megabinary.manifest().clone().into_inner();
    let signed = manifest.signed(id.clone(), key);
    files::write(
        &folder.join(FILE_NAME),
        &signed.to_json_pretty(),
        0o644,
        Existing::Replace,
    )?;
    Ok(())
}
