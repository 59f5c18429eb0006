//! The node's configuration. Without it every setting has its safe default: unsigned images and
//! unknown keys are refused, native code never runs.

use std::collections::BTreeMap;
use std::io::Read;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;
use serde::Deserialize;
use thiserror::Error;
use vkernel::identity;
use vkernel::places::Places;

use crate::failure::{Doing, Failure};

const MAX_BYTES: u64 = 1 << 20;

/// The node's settings.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "snake_case")]
pub struct NodeConfig {
    /// Refuse images without a signature.
    pub require_signature: bool,
    /// Directories of `<key_id>.pem` whose keys are trusted.
    pub trust: Vec<PathBuf>,
    /// Container names that a key may sign, by key id; a key that is not here may sign any.
    pub keys: BTreeMap<String, KeyRule>,
    /// The lowest version accepted of a container, by its name.
    pub floors: BTreeMap<String, String>,
    /// Keys that are no longer trusted, by id.
    pub revoked_keys: Vec<String>,
    /// Containers that may no longer run, by container id.
    pub revoked_ids: Vec<String>,
    /// Whether bundles without a megabinary run as native code: for a configuration of its own,
    /// under a handler of its own, or taking an image's megabinary away would free its programs.
    pub native: Native,
    /// Directory of compiled code.
    pub cache: PathBuf,
    /// The program that compiles, by absolute path; none for `megabin` beside this program.
    pub precompiler: Option<PathBuf>,
    /// File to append decisions to, as JSON lines; none to keep none.
    pub audit: Option<PathBuf>,
    /// Bounds.
    pub limits: Limits,
}

/// What one key may sign.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KeyRule {
    /// Patterns of container names; `*` stands for any characters.
    pub names: Vec<String>,
}

/// Whether native code runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Native {
    /// Never.
    Deny,
    /// Bundles without a megabinary run natively.
    Allow,
}

/// Bounds on what a node spends.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Limits {
    /// Linear memory of one virtual process, in bytes.
    pub process_memory: u64,
    /// Memory of the compiler, in bytes.
    pub compile_memory: u64,
    /// Wall-clock time of one compilation, in seconds.
    pub compile_seconds: u64,
}

impl Default for NodeConfig {
    fn default() -> Self {
        let places = Places::own();
        Self {
            require_signature: true,
            trust: places.trust(),
            keys: BTreeMap::new(),
            floors: BTreeMap::new(),
            revoked_keys: Vec::new(),
            revoked_ids: Vec::new(),
            native: Native::Deny,
            cache: places.cache(),
            precompiler: None,
            audit: None,
            limits: Limits::default(),
        }
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            process_memory: 4 << 30,
            compile_memory: 8 << 30,
            compile_seconds: 600,
        }
    }
}

/// Why the configuration cannot be used.
#[derive(Debug, Error)]
pub enum NodeConfigError {
    /// Somebody else decides what it says.
    #[error(
        "node configuration `{path}` {why}: whoever can write it decides what runs here; {fix}"
    )]
    Unsafe {
        /// The file, or a directory above it.
        path: PathBuf,
        /// What is wrong.
        why: String,
        /// What to do.
        fix: &'static str,
    },
    /// It is not a configuration.
    #[error("node configuration `{path}`: {reason}")]
    Invalid {
        /// The file.
        path: PathBuf,
        /// What is wrong, with the place.
        reason: String,
    },
    /// The system refused.
    #[error(transparent)]
    System(#[from] Failure),
}

impl NodeConfig {
    /// Loads the file that `--config` names, which must exist, or the first of the
    /// [places](Places::configurations) for one that is there.
    pub fn load(named: Option<&Path>) -> Result<Self, NodeConfigError> {
        if let Some(path) = named {
            return Self::read(path);
        }
        for path in Places::own().configurations() {
            match Self::read(&path) {
                Err(NodeConfigError::System(failure)) if failure.is(Errno::NOENT) => {}
                read => return read,
            }
        }
        Ok(Self::default())
    }

    fn read(path: &Path) -> Result<Self, NodeConfigError> {
        let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::CLOEXEC | OFlags::NOCTTY;
        let file = match rustix::fs::open(path, flags, Mode::empty()) {
            Ok(file) => std::fs::File::from(file),
            Err(error) => {
                let doing = format!("opening node configuration `{}`", path.display());
                return Err(Failure::new(doing, error).into());
            }
        };
        check_owner(path, &file)?;
        let mut text = String::new();
        file.take(MAX_BYTES + 1)
            .read_to_string(&mut text)
            .doing(|| format!("reading node configuration `{}`", path.display()))?;
        let invalid = |reason: String| NodeConfigError::Invalid {
            path: path.to_owned(),
            reason,
        };
        if text.len() as u64 > MAX_BYTES {
            return Err(invalid(format!("is larger than {MAX_BYTES} bytes")));
        }
        let config: Self =
            toml::from_str(&text).map_err(|error| invalid(error.to_string().trim().to_owned()))?;
        config.check().map_err(invalid)?;
        Ok(config)
    }

    fn check(&self) -> Result<(), String> {
        let paths = self
            .trust
            .iter()
            .chain([&self.cache])
            .chain(&self.precompiler)
            .chain(&self.audit);
        for path in paths {
            if !path.is_absolute() {
                return Err(format!("`{}` must be an absolute path", path.display()));
            }
        }
        Ok(())
    }
}

fn check_owner(path: &Path, file: &std::fs::File) -> Result<(), NodeConfigError> {
    let doing = || format!("reading node configuration `{}`", path.display());
    let meta = file.metadata().doing(doing)?;
    let unsafe_ = |path: &Path, why: String| NodeConfigError::Unsafe {
        path: path.to_owned(),
        why,
        fix: "give it to root, or a user's own to that user, with mode 0644",
    };
    if !meta.is_file() {
        return Err(unsafe_(path, "is not a regular file".to_owned()));
    }
    let check = |path: &Path, uid: u32, mode: u32, sticky: bool| {
        if !identity::is_trusted(uid) {
            return Err(unsafe_(path, format!("belongs to user {uid}")));
        }
        if mode & 0o022 != 0 && !sticky {
            return Err(unsafe_(
                path,
                format!("can be written by others (mode {:o})", mode & 0o7777),
            ));
        }
        Ok(())
    };
    check(path, meta.uid(), meta.mode(), false)?;
    // Who can write a directory above it can put another file in its place.
    let real = std::fs::canonicalize(path).doing(doing)?;
    for dir in real.ancestors().skip(1) {
        let meta = std::fs::metadata(dir).doing(doing)?;
        check(dir, meta.uid(), meta.mode(), meta.mode() & 0o1000 != 0)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    fn load(text: &str) -> Result<NodeConfig, String> {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("config.toml");
        std::fs::write(&path, text).unwrap();
        NodeConfig::load(Some(&path)).map_err(|error| error.to_string())
    }

    #[test]
    fn nothing_said_is_the_safe_default() {
        let config = load("").unwrap();
        assert_eq!(config, NodeConfig::default());
        assert!(config.require_signature);
        assert_eq!(config.native, Native::Deny);
    }

    #[test]
    fn settings_are_read() {
        let config = load(
            "require_signature = false\ntrust = [\"/a\"]\nrevoked_keys = [\"old\"]\n\
             [keys.ci]\nnames = [\"tools-*\"]\n[floors]\ntools = \"1.4\"\n\
             [limits]\nprocess_memory = 1048576\n",
        )
        .unwrap();
        assert!(!config.require_signature);
        assert_eq!(config.keys["ci"].names, ["tools-*"]);
        assert_eq!(config.floors["tools"], "1.4");
        assert_eq!(config.limits.process_memory, 1 << 20);
        assert_eq!(config.limits.compile_seconds, 600);
        assert_eq!(config.native, Native::Deny);
        assert_eq!(load("native = \"allow\"").unwrap().native, Native::Allow);
    }

    #[test]
    fn mistakes_are_named() {
        for (text, expected) in [
            ("require_signatures = false", "require_signatures"),
            ("require_signature = \"no\"", "require_signature"),
            ("[limits]\nmemory = 1", "memory"),
            ("[keys.ci]\npatterns = []", "patterns"),
            ("native = \"maybe\"", "maybe"),
            ("cache = \"relative\"", "absolute"),
            ("= [", "config.toml"),
        ] {
            let message = load(text).unwrap_err();
            assert!(message.contains(expected), "{message}");
        }
        assert!(NodeConfig::load(Some(Path::new("/nonexistent.toml"))).is_err());
    }

    #[test]
    fn a_file_that_others_can_write_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("config.toml");
        std::fs::write(&path, "").unwrap();
        std::fs::set_permissions(&path, PermissionsExt::from_mode(0o666)).unwrap();
        assert!(matches!(
            NodeConfig::load(Some(&path)),
            Err(NodeConfigError::Unsafe { .. })
        ));
        std::fs::set_permissions(&path, PermissionsExt::from_mode(0o600)).unwrap();
        std::fs::set_permissions(dir.path(), PermissionsExt::from_mode(0o777)).unwrap();
        assert!(matches!(
            NodeConfig::load(Some(&path)),
            Err(NodeConfigError::Unsafe { .. })
        ));
    }
}
