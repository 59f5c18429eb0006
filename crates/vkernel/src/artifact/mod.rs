//! Ahead-of-time compiled code, and the directory it is kept in.
//!
//! Loading an artifact runs whatever it holds, outside every sandbox. So an artifact counts only
//! when nobody but its owner, who is also its reader, could have written it: see [`Cache`].
//!
//! An artifact is one file: what the compiler made, and behind it the initial images of the
//! programs ([`crate::image`]), which are as good as code.

mod cache;
mod key;

use std::fs::File;
use std::io::Read;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

pub use cache::{Cache, CacheError, KeyLock};
pub use key::CacheKey;

use wasmtime::{Engine, Module};

use crate::image::{Images, OpenError};

/// An opened artifact that came out of a [`Cache`], checked there.
#[derive(Debug)]
pub struct Artifact(File);

/// An artifact that does not load.
#[derive(Debug, thiserror::Error)]
pub enum ArtifactError {
    /// The engine refuses it.
    #[error("loading compiled code: {0}; remove it from the cache to have it compiled again")]
    Load(wasmtime::Error),
    /// Its images are wrong.
    #[error("{0}; remove it from the cache to have it compiled again")]
    Images(#[from] OpenError),
    /// It cannot be read.
    #[error("reading compiled code: {0}")]
    Read(#[from] std::io::Error),
}

impl Artifact {
    /// Takes an artifact's descriptor that another process of this program opened and handed over.
    ///
    /// # Safety
    /// The descriptor must have come out of an [`Artifact`]: whatever it holds is run as it is.
    #[must_use]
    pub unsafe fn from_checked_fd(fd: OwnedFd) -> Artifact {
        Artifact(File::from(fd))
    }

    /// Its programs' initial images.
    pub fn images(&self) -> Result<Images, ArtifactError> {
        Ok(Images::open(&self.0)?)
    }

    /// Loads the code into `engine`.
    pub fn load(self, engine: &Engine) -> Result<Module, ArtifactError> {
        let copy = self.0.try_clone()?;
        // SAFETY: the engine trusts these bytes, and they are what `Engine::precompile_module`
        // returned to this user: `Cache` opened the file in a directory and under a mode that let
        // no other user write it, it is never written in place (a new artifact is a new file that
        // replaces the name), and the key names the engine's version and settings. The same holds
        // for the mapping: nobody changes or truncates a file that is mapped.
        match unsafe { Module::deserialize_open_file(engine, self.0) } {
            Ok(module) => Ok(module),
            // A cache on a file system mounted noexec cannot be mapped for execution.
            Err(_) => Self::load_copy(copy, engine),
        }
    }

    fn load_copy(mut file: File, engine: &Engine) -> Result<Module, ArtifactError> {
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes)?;
        // SAFETY: the same bytes as in `load`, and this copy is nobody else's.
        unsafe { Module::deserialize(engine, bytes) }.map_err(ArtifactError::Load)
    }
}

impl AsFd for Artifact {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

impl From<Artifact> for OwnedFd {
    fn from(artifact: Artifact) -> OwnedFd {
        artifact.0.into()
    }
}
