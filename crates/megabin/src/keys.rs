//! Keys in files: a private `ID.key` (PKCS#8 PEM, mode 0600) and a public `ID.pem` (SPKI PEM).

use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};

use megabinary::names::{KeyId, NameError};
use megabinary::signing::{KeyError, SigningKey, VerifyingKey};
use megabinary::trust::TrustedKey;

use crate::files::{self, Existing, FileError, io_error};

/// No key file is longer than this, in bytes.
const MAX_KEY_BYTES: usize = 64 << 10;

/// What went wrong with a key.
#[derive(Debug, thiserror::Error)]
pub enum KeysError {
    /// A file cannot be read or written.
    #[error(transparent)]
    File(#[from] FileError),
    /// A key is there already.
    #[error(
        "{path} exists: a key is never overwritten by accident; choose another --key-id, or give \
         --force to replace it"
    )]
    Exists {
        /// The file.
        path: PathBuf,
    },
    /// Not a key.
    #[error("{path}: {source}")]
    Key {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        source: KeyError,
    },
    /// Not text.
    #[error("{path}: not a PEM file")]
    NotPem {
        /// The file.
        path: PathBuf,
    },
    /// A file name that is no key id.
    #[error("{path}: the file name gives no key id: {source}; rename it, or give --key-id")]
    Id {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        source: NameError,
    },
    /// No random numbers.
    #[error("reading random bytes: {0}")]
    Random(std::io::Error),
}

/// Files of a new key.
#[derive(Debug)]
pub struct NewKey {
    /// The private key, mode 0600.
    pub private: PathBuf,
    /// The public key.
    pub public: PathBuf,
}

/// Makes a key pair `folder/ID.key` and `folder/ID.pem`.
///
/// # Errors
/// Where either file exists and `force` is not given, or the system refuses.
pub fn generate(id: &KeyId, folder: &Path, force: bool) -> Result<NewKey, KeysError> {
    let files = NewKey {
        private: folder.join(format!("{id}.key")),
        public: folder.join(format!("{id}.pem")),
    };
    let existing = if force {
        Existing::Replace
    } else {
        Existing::Keep
    };
    for path in [&files.private, &files.public] {
        if !force && path.symlink_metadata().is_ok() {
            return Err(KeysError::Exists { path: path.clone() });
        }
    }
    std::fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(folder)
        .map_err(io_error("making the folder", folder))?;
    let key = random_key()?;
    let wrote = |path: &Path, result| match result {
        Err(FileError::Io { source, .. }) if source.kind() == std::io::ErrorKind::AlreadyExists => {
            Err(KeysError::Exists {
                path: path.to_owned(),
            })
        }
        other => other.map_err(KeysError::from),
    };
    let private = files::write(&files.private, key.to_pem().as_bytes(), 0o600, existing);
    wrote(&files.private, private)?;
    let public = files::write(
        &files.public,
        key.verifying_key().to_pem().as_bytes(),
        0o644,
        existing,
    );
    if let Err(error) = wrote(&files.public, public) {
        if !force {
            // Half a pair is of no use; this private key was made a moment ago.
            let _ = std::fs::remove_file(&files.private);
        }
        return Err(error);
    }
    Ok(files)
}

fn random_key() -> Result<SigningKey, KeysError> {
    loop {
        let mut bytes = [0; 32];
        let mut filled = 0;
        while filled < bytes.len() {
            let flags = rustix::rand::GetRandomFlags::empty();
            filled += rustix::rand::getrandom(&mut bytes[filled..], flags)
                .map_err(|e| KeysError::Random(e.into()))?;
        }
        if let Some(key) = SigningKey::from_random(&bytes) {
            return Ok(key);
        }
    }
}

/// A private key and what is odd about its file.
#[derive(Debug)]
pub struct PrivateKey {
    /// The key.
    pub key: SigningKey,
    /// Its id: the stem of its file, unless the caller gave one.
    pub id: KeyId,
    /// Something the user should know.
    pub warning: Option<String>,
}

/// Reads a private key; its id is `id`, else the stem of the file.
///
/// # Errors
/// Where the file is no PKCS#8 PEM of a P-256 key, or its name is no key id.
pub fn load_private(path: &Path, id: Option<&KeyId>) -> Result<PrivateKey, KeysError> {
    let text = read_pem(path)?;
    let key = SigningKey::from_pem(&text).map_err(|source| KeysError::Key {
        path: path.to_owned(),
        source,
    })?;
    let id = match id {
        Some(id) => id.clone(),
        None => stem(path)?,
    };
    let mode = std::fs::metadata(path)
        .map_err(io_error("reading", path))?
        .mode()
        & 0o777;
    let warning = (mode & 0o077 != 0).then(|| {
        format!(
            "the private key {} is open to others (mode {mode:03o}): chmod 600 it",
            path.display()
        )
    });
    Ok(PrivateKey { key, id, warning })
}

/// Reads all `*.pem` of a trust directory, in the order of their names.
///
/// # Errors
/// Where the directory cannot be read, or one of the files is no P-256 public key.
pub fn load_trust(folder: &Path) -> Result<Vec<TrustedKey>, KeysError> {
    let mut paths = std::fs::read_dir(folder)
        .and_then(|entries| {
            entries
                .map(|e| e.map(|e| e.path()))
                .collect::<Result<Vec<_>, std::io::Error>>()
        })
        .map_err(io_error("reading the trust directory", folder))?;
    paths.retain(|path| path.extension().is_some_and(|e| e == "pem"));
    paths.sort();
    paths
        .into_iter()
        .map(|path| {
            let text = read_pem(&path)?;
            let key = VerifyingKey::from_pem(&text).map_err(|source| KeysError::Key {
                path: path.clone(),
                source,
            })?;
            Ok(TrustedKey {
                id: stem(&path)?,
                key,
                names: Vec::new(),
            })
        })
        .collect()
}

fn read_pem(path: &Path) -> Result<String, KeysError> {
    let bytes = files::read(path, MAX_KEY_BYTES)?;
    String::from_utf8(bytes).map_err(|_| KeysError::NotPem {
        path: path.to_owned(),
    })
}

fn stem(path: &Path) -> Result<KeyId, KeysError> {
    let stem = path.file_stem().unwrap_or_default().to_string_lossy();
    stem.parse().map_err(|source| KeysError::Id {
        path: path.to_owned(),
        source,
    })
}
