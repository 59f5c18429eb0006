//! Reading config.json.

use std::io::Read;
use std::os::unix::fs::FileTypeExt;
use std::path::{Path, PathBuf};

use oci_spec::runtime::{Process, Spec};
use rustix::fs::{FileType, Mode, OFlags};
use rustix::io::Errno;
use thiserror::Error;

use super::lenient;
use crate::failure::{Doing, Failure};

/// Largest config.json. Kubernetes limits a pod's specification to about a tenth.
pub const MAX_BYTES: u64 = 16 << 20;

/// Why there is no usable configuration.
#[derive(Debug, Error)]
pub enum ConfigError {
    /// No file.
    #[error(
        "bundle `{0}` has no config.json; `megarun spec --bundle {0}` writes one to start from"
    )]
    Missing(PathBuf),
    /// Not a file.
    #[error("`{0}` is not a regular file")]
    NotAFile(PathBuf),
    /// Too much of it.
    #[error("`{0}` is larger than {MAX_BYTES} bytes")]
    TooLarge(PathBuf),
    /// Not JSON, or not the specification's.
    #[error("reading `{path}`: {reason}")]
    Invalid {
        /// The file.
        path: PathBuf,
        /// The parser's reason, with line and column.
        reason: String,
    },
    /// The root file system is not a directory.
    #[error("config.json, root.path: `{path}` {reason}")]
    Root {
        /// The path as resolved.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// The system refused.
    #[error(transparent)]
    System(#[from] Failure),
}

#[derive(serde::Deserialize)]
struct Version {
    #[serde(rename = "ociVersion")]
    _oci_version: String,
}

/// A bundle with its configuration.
#[derive(Debug)]
pub struct Bundle {
    /// Absolute path.
    pub path: PathBuf,
    /// config.json.
    pub spec: Spec,
    /// Absolute path of the root file system.
    pub rootfs: PathBuf,
}

impl Bundle {
    /// Loads `config` (by default config.json) of the bundle at `path`.
    pub fn load(path: &Path, config: Option<&Path>) -> Result<Self, ConfigError> {
        let path =
            std::fs::canonicalize(path).doing(|| format!("opening bundle `{}`", path.display()))?;
        let file = path.join(config.unwrap_or(Path::new("config.json")));
        let bytes = read_limited(&file, MAX_BYTES).map_err(|error| match error {
            ConfigError::System(failure) if failure.is(Errno::NOENT) => {
                ConfigError::Missing(path.clone())
            }
            error => error,
        })?;
        // The types give a missing version a default, which the specification does not.
        let Version { .. } = parse(&file, &bytes)?;
        let spec: Spec = parse_leniently(&file, &bytes)?;
        let rootfs = rootfs(&path, &spec)?;
        Ok(Self { path, spec, rootfs })
    }
}

/// Loads the process document of `exec --process`, which may come through a pipe that the shell
/// has made (`<(...)`).
pub fn load_process(path: &Path) -> Result<Process, ConfigError> {
    let doing = || format!("reading `{}`", path.display());
    let file = std::fs::File::open(path).doing(doing)?;
    let kind = file.metadata().doing(doing)?.file_type();
    if !kind.is_file() && !kind.is_fifo() {
        return Err(ConfigError::NotAFile(path.to_owned()));
    }
    let mut process: serde_json::Value = parse(path, &read_to_limit(file, path, MAX_BYTES)?)?;
    if let Some(fields) = process.as_object_mut() {
        // As runc: who leaves the user out means root.
        let root = || serde_json::json!({"uid": 0, "gid": 0});
        fields.entry("user").or_insert_with(root);
    }
    overlook(path, &mut process);
    serde_json::from_value(process).map_err(|error| invalid(path, &error))
}

/// Without what others overlook too. It is looked for only where something is wrong.
fn parse_leniently<T: serde::de::DeserializeOwned>(
    path: &Path,
    bytes: &[u8],
) -> Result<T, ConfigError> {
    parse(path, bytes).or_else(|wrong| {
        let Ok(mut document) = serde_json::from_slice(bytes) else {
            return Err(wrong);
        };
        match overlook(path, &mut document) {
            true => serde_json::from_value(document).map_err(|error| invalid(path, &error)),
            false => Err(wrong),
        }
    })
}

/// Whether there was something to overlook.
fn overlook(path: &Path, document: &mut serde_json::Value) -> bool {
    let unknown = lenient::take_unknown_capabilities(document);
    if !unknown.is_empty() {
        let names = unknown.join(", ");
        log::warn!("`{}`: {names}: no such capability", path.display());
    }
    !unknown.is_empty()
}

fn parse<T: serde::de::DeserializeOwned>(path: &Path, bytes: &[u8]) -> Result<T, ConfigError> {
    serde_json::from_slice(bytes).map_err(|error| invalid(path, &error))
}

fn invalid(path: &Path, error: &serde_json::Error) -> ConfigError {
    ConfigError::Invalid {
        path: path.to_owned(),
        reason: error.to_string(),
    }
}

fn rootfs(bundle: &Path, spec: &Spec) -> Result<PathBuf, ConfigError> {
    let Some(root) = spec.root() else {
        let reason = "is missing; set root.path in config.json".to_owned();
        return Err(ConfigError::Root {
            path: bundle.to_owned(),
            reason,
        });
    };
    let path = bundle.join(root.path());
    let wrong = |reason: String| ConfigError::Root {
        path: path.clone(),
        reason,
    };
    let real = std::fs::canonicalize(&path)
        .map_err(|error| wrong(Failure::new("cannot be opened", error).to_string()))?;
    if !real.is_dir() {
        return Err(wrong("is not a directory".to_owned()));
    }
    if real == Path::new("/") {
        return Err(wrong("is the host's own root".to_owned()));
    }
    Ok(real)
}

/// Reads a regular file of at most `limit` bytes, without waiting on a fifo or device.
fn read_limited(path: &Path, limit: u64) -> Result<Vec<u8>, ConfigError> {
    let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::CLOEXEC | OFlags::NOCTTY;
    let file = rustix::fs::open(path, flags, Mode::empty())
        .doing(|| format!("opening `{}`", path.display()))?;
    let stat = rustix::fs::fstat(&file).doing(|| format!("reading `{}`", path.display()))?;
    if FileType::from_raw_mode(stat.st_mode) != FileType::RegularFile {
        return Err(ConfigError::NotAFile(path.to_owned()));
    }
    read_to_limit(file.into(), path, limit)
}

fn read_to_limit(file: std::fs::File, path: &Path, limit: u64) -> Result<Vec<u8>, ConfigError> {
    let mut bytes = Vec::new();
    file.take(limit + 1)
        .read_to_end(&mut bytes)
        .doing(|| format!("reading `{}`", path.display()))?;
    if bytes.len() as u64 > limit {
        return Err(ConfigError::TooLarge(path.to_owned()));
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn load(config: &[u8]) -> Result<Bundle, String> {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir(dir.path().join("rootfs")).unwrap();
        std::fs::write(dir.path().join("file"), "").unwrap();
        std::fs::write(dir.path().join("config.json"), config).unwrap();
        Bundle::load(dir.path(), None).map_err(|error| error.to_string())
    }

    #[test]
    fn the_root_is_relative_to_the_bundle() {
        let bundle = load(br#"{"ociVersion":"1.0.2","root":{"path":"rootfs"}}"#).unwrap();
        assert!(bundle.rootfs.ends_with("rootfs") && bundle.rootfs.is_absolute());
    }

    #[test]
    fn bad_input_gives_one_clear_error() {
        let deep = "[".repeat(100_000);
        let cases: [(&[u8], &str); 11] = [
            (b"", "config.json"),
            (b"{", "config.json"),
            (b"\xff\xfe", "config.json"),
            (b"[]", "config.json"),
            (deep.as_bytes(), "config.json"),
            (b"{}", "ociVersion"),
            (br#"{"ociVersion":"1.0.2"}"#, "root.path"),
            (
                br#"{"ociVersion":"1.0.2","root":{"path":"none"}}"#,
                "No such file",
            ),
            (
                br#"{"ociVersion":"1.0.2","root":{"path":"file"}}"#,
                "not a directory",
            ),
            (
                br#"{"ociVersion":"1.0.2","root":{"path":"/"}}"#,
                "host's own root",
            ),
            (
                br#"{"ociVersion":"1.0.2","mounts":[{"type":"x"}],"root":{"path":"rootfs"}}"#,
                "destination",
            ),
        ];
        for (config, expected) in cases {
            let error = load(config).unwrap_err();
            assert!(error.contains(expected), "{error}");
            assert_eq!(error.lines().count(), 1, "{error}");
        }
    }

    #[test]
    fn a_fifo_or_directory_instead_of_the_file_is_refused_at_once() {
        let dir = tempfile::tempdir().unwrap();
        let error = Bundle::load(dir.path(), None).unwrap_err().to_string();
        assert!(error.contains("megarun spec"), "{error}");
        let path = dir.path().join("config.json");
        rustix::fs::mknodat(rustix::fs::CWD, &path, FileType::Fifo, Mode::RUSR, 0).unwrap();
        assert!(matches!(
            Bundle::load(dir.path(), None),
            Err(ConfigError::NotAFile(_))
        ));
        std::fs::remove_file(&path).unwrap();
        std::fs::create_dir(&path).unwrap();
        assert!(matches!(
            Bundle::load(dir.path(), None),
            Err(ConfigError::NotAFile(_))
        ));
    }

    #[test]
    fn a_huge_file_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let file = std::fs::File::create(dir.path().join("config.json")).unwrap();
        file.set_len(MAX_BYTES + 1).unwrap();
        assert!(matches!(
            Bundle::load(dir.path(), None),
            Err(ConfigError::TooLarge(_))
        ));
    }
}
