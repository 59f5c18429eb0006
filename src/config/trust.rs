//! From the node's configuration to the policy that decides about a manifest.

use std::collections::BTreeSet;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use megabinary::names::KeyId;
use megabinary::signing::VerifyingKey;
use megabinary::trust::{NodePolicy, TrustedKey};
use thiserror::Error;

use super::node::NodeConfig;
use crate::failure::{Doing, Failure};

/// A public key is a few hundred bytes.
const MAX_KEY_BYTES: u64 = 64 << 10;

/// Why the policy could not be made.
#[derive(Debug, Error)]
pub enum TrustConfigError {
    /// A value of the configuration is not what it should be.
    #[error("node configuration, {setting}: {reason}")]
    Setting {
        /// The setting.
        setting: String,
        /// What is wrong.
        reason: String,
    },
    /// A key's file.
    #[error("trusted key `{path}`: {reason}")]
    Key {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// The system refused.
    #[error(transparent)]
    System(#[from] Failure),
}

/// Reads the trust directories. A directory that does not exist holds no keys.
pub fn policy(config: &NodeConfig) -> Result<NodePolicy, TrustConfigError> {
    let mut keys: Vec<TrustedKey> = Vec::new();
    for dir in &config.trust {
        for path in key_files(dir)? {
            let key = load_key(&path, config)?;
            if keys.iter().any(|known| known.id == key.id) {
                let reason = format!("another trust directory has a key `{}` too", key.id);
                return Err(TrustConfigError::Key { path, reason });
            }
            keys.push(key);
        }
    }
    let floors = config
        .floors
        .iter()
        .map(|(name, floor)| {
            let setting = || format!("floors.{name}");
            Ok((parse(name, setting)?, parse(floor, setting)?))
        })
        .collect::<Result<_, TrustConfigError>>()?;
    Ok(NodePolicy {
        require_signature: config.require_signature,
        keys,
        floors,
        revoked_keys: parse_all(&config.revoked_keys, "revoked_keys")?,
        revoked_ids: parse_all(&config.revoked_ids, "revoked_ids")?,
    })
}

fn parse<T: FromStr>(text: &str, setting: impl Fn() -> String) -> Result<T, TrustConfigError>
where
    T::Err: std::fmt::Display,
{
    text.parse()
        .map_err(|error: T::Err| TrustConfigError::Setting {
            setting: setting(),
            reason: format!("`{}`: {error}", text.escape_debug()),
        })
}

fn parse_all<T: FromStr + Ord>(
    texts: &[String],
    setting: &str,
) -> Result<BTreeSet<T>, TrustConfigError>
where
    T::Err: std::fmt::Display,
{
    texts
        .iter()
        .map(|text| parse(text, || setting.to_owned()))
        .collect()
}

/// The `.pem` files of a trust directory, sorted.
fn key_files(dir: &Path) -> Result<Vec<PathBuf>, TrustConfigError> {
    let doing = || format!("reading trust directory `{}`", dir.display());
    let entries = match std::fs::read_dir(dir) {
        Ok(entries) => entries,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(Failure::new(doing(), error).into()),
    };
    check_private(dir, &std::fs::metadata(dir).doing(doing)?)?;
    let mut files = Vec::new();
    for entry in entries {
        let path = entry.doing(doing)?.path();
        if path.extension().is_some_and(|extension| extension == "pem") {
            files.push(path);
        }
    }
    files.sort();
    Ok(files)
}

fn load_key(path: &Path, config: &NodeConfig) -> Result<TrustedKey, TrustConfigError> {
    let wrong = |reason: String| TrustConfigError::Key {
        path: path.to_owned(),
        reason,
    };
    let doing = || format!("reading trusted key `{}`", path.display());
    let id = path
        .file_stem()
        .and_then(|stem| stem.to_str())
        .unwrap_or_default();
    let id: KeyId = id
        .parse()
        .map_err(|error| wrong(format!("its name is no key id: {error}")))?;
    let meta = std::fs::metadata(path).doing(doing)?;
    if !meta.is_file() || meta.len() > MAX_KEY_BYTES {
        return Err(wrong("is not a file of a public key".to_owned()));
    }
    check_private(path, &meta)?;
    let pem = std::fs::read_to_string(path).doing(doing)?;
    let key = VerifyingKey::from_pem(&pem).map_err(|error| wrong(error.to_string()))?;
    let names = match config.keys.get(id.as_str()) {
        Some(rule) => rule
            .names
            .iter()
            .map(|name| parse(name, || format!("keys.{id}.names")))
            .collect::<Result<Vec<_>, _>>()?,
        None => Vec::new(),
    };
    // An empty list means "all" to the policy; here it would mean that somebody allowed nothing.
    if config
        .keys
        .get(id.as_str())
        .is_some_and(|rule| rule.names.is_empty())
    {
        return Err(TrustConfigError::Setting {
            setting: format!("keys.{id}.names"),
            reason: "is empty; add a pattern, or remove the key's file".to_owned(),
        });
    }
    Ok(TrustedKey { id, key, names })
}

/// Whoever can write a key decides what runs.
fn check_private(path: &Path, meta: &std::fs::Metadata) -> Result<(), TrustConfigError> {
    let reason = if !vkernel::identity::is_trusted(meta.uid()) {
        format!("belongs to user {}; give it to root", meta.uid())
    } else if meta.mode() & 0o022 != 0 {
        format!(
            "can be written by others (mode {:o}); run `chmod go-w` on it",
            meta.mode() & 0o7777
        )
    } else {
        return Ok(());
    };
    Err(TrustConfigError::Key {
        path: path.to_owned(),
        reason,
    })
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use megabinary::signing::SigningKey;

    use super::*;
    use crate::config::node::KeyRule;

    fn with_key(name: &str) -> (tempfile::TempDir, NodeConfig) {
        let dir = tempfile::tempdir().unwrap();
        let key = SigningKey::from_random(&[7; 32]).unwrap().verifying_key();
        std::fs::write(dir.path().join(name), key.to_pem()).unwrap();
        let config = NodeConfig {
            trust: vec![dir.path().to_owned()],
            ..NodeConfig::default()
        };
        (dir, config)
    }

    fn error(config: &NodeConfig) -> String {
        policy(config).unwrap_err().to_string()
    }

    #[test]
    fn a_key_is_called_what_its_file_is() {
        let (dir, config) = with_key("ci-2026.pem");
        std::fs::write(dir.path().join("README"), "not a key").unwrap();
        let policy = policy(&config).unwrap();
        assert_eq!(policy.keys.len(), 1);
        assert_eq!(policy.keys[0].id.as_str(), "ci-2026");
        assert!(policy.require_signature);
    }

    #[test]
    fn no_directory_is_no_keys() {
        let config = NodeConfig {
            trust: vec!["/nonexistent/trust".into()],
            ..NodeConfig::default()
        };
        assert!(policy(&config).unwrap().keys.is_empty());
    }

    #[test]
    fn what_others_can_write_is_not_trusted() {
        let (dir, config) = with_key("ci.pem");
        let file = dir.path().join("ci.pem");
        std::fs::set_permissions(&file, PermissionsExt::from_mode(0o664)).unwrap();
        assert!(error(&config).contains("ci.pem"));
        std::fs::set_permissions(&file, PermissionsExt::from_mode(0o644)).unwrap();
        std::fs::set_permissions(dir.path(), PermissionsExt::from_mode(0o777)).unwrap();
        assert!(error(&config).contains("written by others"));
    }

    #[test]
    fn a_broken_key_is_named_and_not_passed_over() {
        let (dir, config) = with_key("ci.pem");
        std::fs::write(dir.path().join("bad.pem"), "-----BEGIN NOTHING-----").unwrap();
        assert!(error(&config).contains("bad.pem"));
    }

    #[test]
    fn settings_that_are_no_names_versions_or_digests_are_named() {
        let (_dir, config) = with_key("ci.pem");
        let rule = |names: &[&str]| KeyRule {
            names: names.iter().map(|n| (*n).into()).collect(),
        };
        for (config, setting) in [
            (
                NodeConfig {
                    floors: [("a".into(), "x".into())].into(),
                    ..config.clone()
                },
                "floors.a",
            ),
            (
                NodeConfig {
                    revoked_ids: vec!["sha256:xyz".into()],
                    ..config.clone()
                },
                "revoked_ids",
            ),
            (
                NodeConfig {
                    revoked_keys: vec!["../x".into()],
                    ..config.clone()
                },
                "revoked_keys",
            ),
            (
                NodeConfig {
                    keys: [("ci".into(), rule(&["a b"]))].into(),
                    ..config.clone()
                },
                "keys.ci",
            ),
            (
                NodeConfig {
                    keys: [("ci".into(), rule(&[]))].into(),
                    ..config.clone()
                },
                "keys.ci",
            ),
        ] {
            assert!(error(&config).contains(setting), "{}", error(&config));
        }
    }
}
