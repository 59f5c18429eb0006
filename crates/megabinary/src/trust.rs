//! The node's decision whether a manifest may be believed (`runtime-spec/signing.md`, "Trust"):
//! pure, over a policy that the caller read from the node's configuration.

use std::collections::{BTreeMap, BTreeSet};
use std::str::FromStr;

use crate::digest::Digest;
use crate::manifest::{Manifest, ManifestError, UnverifiedManifest, Verified};
use crate::names::{ContainerName, ContainerVersion, KeyId};
use crate::signing::VerifyingKey;

/// What a node trusts. The default trusts nothing: signatures are required and there is no key.
#[derive(Debug, Clone)]
pub struct NodePolicy {
    /// Whether a manifest without a signature is refused.
    pub require_signature: bool,
    /// The keys of the trust directories.
    pub keys: Vec<TrustedKey>,
    /// Lowest version accepted of a container, against rollback.
    pub floors: BTreeMap<ContainerName, ContainerVersion>,
    /// Keys that were trusted once.
    pub revoked_keys: BTreeSet<KeyId>,
    /// Containers that must not run, whoever signed them.
    pub revoked_ids: BTreeSet<Digest>,
}

impl Default for NodePolicy {
    fn default() -> Self {
        Self {
            require_signature: true,
            keys: Vec::new(),
            floors: BTreeMap::new(),
            revoked_keys: BTreeSet::new(),
            revoked_ids: BTreeSet::new(),
        }
    }
}

/// A key and the containers it may sign.
#[derive(Debug, Clone)]
pub struct TrustedKey {
    /// Its id: the stem of its file.
    pub id: KeyId,
    /// The key.
    pub key: VerifyingKey,
    /// The container names it may sign; empty: all, also containers without a name.
    pub names: Vec<NamePattern>,
}

/// A container name in which each `*` stands for any characters, `/` included, also none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NamePattern(String);

/// Why a text is not a pattern.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("a name pattern is 1 to 128 of A-Z a-z 0-9 . _ - / and `*`, found {0:?}")]
pub struct PatternError(String);

impl FromStr for NamePattern {
    type Err = PatternError;

    fn from_str(text: &str) -> Result<Self, PatternError> {
        let allowed = |b: u8| b.is_ascii_alphanumeric() || b"._-/*".contains(&b);
        if (1..=128).contains(&text.len()) && text.bytes().all(allowed) {
            Ok(Self(text.to_owned()))
        } else {
            Err(PatternError(crate::names::excerpt(text)))
        }
    }
}

impl NamePattern {
    /// Whether a name fits the pattern; time at most length times length.
    pub fn matches(&self, name: &ContainerName) -> bool {
        let mut parts = self.0.split('*');
        // `split` gives at least one part.
        let first = parts.next().unwrap_or_default();
        let Some(mut rest) = name.as_str().strip_prefix(first) else {
            return false;
        };
        let Some(last) = parts.next_back() else {
            return rest.is_empty();
        };
        // The leftmost place for each part in the middle leaves most for the others.
        for part in parts {
            match rest.find(part) {
                None => return false,
                Some(at) => rest = &rest[at + part.len()..],
            }
        }
        rest.ends_with(last)
    }

    /// The pattern as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Why a node does not believe a manifest. Each text names the command or the setting of the node's
/// configuration that would allow it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TrustError {
    /// No signature where one is required.
    #[error(
        "the manifest is not signed and this node requires it: sign it with `megabin sign DIR --key FILE`, or set `require_signature = false` in the node's configuration"
    )]
    Unsigned,
    /// A key that was revoked.
    #[error(
        "the manifest is signed with the revoked key `{key}`: sign it with another key, or remove the key from `revoked_keys` in the node's configuration"
    )]
    RevokedKey {
        /// The key.
        key: KeyId,
    },
    /// A key this node does not have.
    #[error(
        "the manifest is signed with the key `{key}`, which this node does not trust: to trust it, `install -m 0644 {key}.pem /etc/megarun/trust/{key}.pem`, or put it in another directory of the setting `trust`"
    )]
    UnknownKey {
        /// The key.
        key: KeyId,
    },
    /// A key that is trusted for other containers.
    #[error(
        "the key `{key}` may not sign containers named {name}: it may sign {patterns}; add a pattern to `keys.{key}.names` in the node's configuration, or sign with another key"
    )]
    KeyNotForName {
        /// The key.
        key: KeyId,
        /// The container's name, or that it has none.
        name: String,
        /// What the key may sign.
        patterns: String,
    },
    /// A container without a name where floors are set.
    #[error(
        "the manifest has no `name`, so the version floors of this node cannot be applied: build it with a name, or remove `floors` from the node's configuration"
    )]
    Unnamed,
    /// A version below the floor.
    #[error(
        "version {version} of `{name}` is below this node's floor {floor}: run a newer version, or lower `floors.\"{name}\"` in the node's configuration"
    )]
    BelowFloor {
        /// The container.
        name: ContainerName,
        /// Its version.
        version: ContainerVersion,
        /// The lowest version accepted.
        floor: ContainerVersion,
    },
    /// A container that was revoked.
    #[error(
        "the container {id} is revoked: run another version, or remove it from `revoked_ids` in the node's configuration"
    )]
    RevokedId {
        /// The container.
        id: Digest,
    },
    /// The signature or the manifest itself is wrong; no setting allows it.
    #[error(transparent)]
    Manifest(#[from] ManifestError),
}

impl TrustError {
    /// The stable id of this error in the test vectors.
    pub fn id(&self) -> &'static str {
        match self {
            Self::Unsigned => "trust.unsigned",
            Self::RevokedKey { .. } => "trust.revoked-key",
            Self::UnknownKey { .. } => "trust.unknown-key",
            Self::KeyNotForName { .. } => "trust.key-not-for-name",
            Self::Unnamed => "trust.unnamed",
            Self::BelowFloor { .. } => "trust.below-floor",
            Self::RevokedId { .. } => "trust.revoked-id",
            Self::Manifest(error) => error.id(),
        }
    }
}

/// Decides whether `manifest` may be believed under `policy`. The signature is checked before any
/// value of the manifest is looked at; a signature that is there must hold even where none is
/// required.
///
/// # Errors
/// The first reason not to believe it.
pub fn decide(
    manifest: &UnverifiedManifest,
    policy: &NodePolicy,
) -> Result<Verified<Manifest>, TrustError> {
    let verified = match manifest.key_id() {
        None if policy.require_signature => return Err(TrustError::Unsigned),
        None => manifest.accept_unsigned()?,
        Some(key) => verify_signed(manifest, key, policy)?,
    };
    check_floor(&verified, policy)?;
    let id = verified.container_id;
    if policy.revoked_ids.contains(&id) {
        return Err(TrustError::RevokedId { id });
    }
    Ok(verified)
}

fn verify_signed(
    manifest: &UnverifiedManifest,
    id: &KeyId,
    policy: &NodePolicy,
) -> Result<Verified<Manifest>, TrustError> {
    if policy.revoked_keys.contains(id) {
        return Err(TrustError::RevokedKey { key: id.clone() });
    }
    let Some(trusted) = policy.keys.iter().find(|trusted| trusted.id == *id) else {
        return Err(TrustError::UnknownKey { key: id.clone() });
    };
    let verified = manifest.verify(&trusted.key)?;
    let fits = |name: &ContainerName| trusted.names.iter().any(|pattern| pattern.matches(name));
    if trusted.names.is_empty() || verified.name.as_ref().is_some_and(fits) {
        return Ok(verified);
    }
    let patterns: Vec<_> = trusted
        .names
        .iter()
        .map(|pattern| format!("`{}`", pattern.as_str()))
        .collect();
    Err(TrustError::KeyNotForName {
        key: id.clone(),
        name: verified
            .name
            .as_ref()
            .map_or_else(|| "(none)".to_owned(), |name| format!("`{name}`")),
        patterns: patterns.join(", "),
    })
}

fn check_floor(manifest: &Manifest, policy: &NodePolicy) -> Result<(), TrustError> {
    if policy.floors.is_empty() {
        return Ok(());
    }
    let Some(name) = &manifest.name else {
        return Err(TrustError::Unnamed);
    };
    match policy.floors.get(name) {
        Some(floor) if manifest.version < *floor => Err(TrustError::BelowFloor {
            name: name.clone(),
            version: manifest.version.clone(),
            floor: floor.clone(),
        }),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_match_as_globs() {
        let matches = |pattern: &str, name: &str| {
            let pattern: NamePattern = pattern.parse().expect("a pattern");
            pattern.matches(&name.parse().expect("a name"))
        };
        for (pattern, name) in [
            ("*", "a"),
            ("toolbox", "toolbox"),
            ("tool*", "toolbox"),
            ("*box", "toolbox"),
            ("t*b*x", "toolbox"),
            ("example.com/*", "example.com/a/b"),
            ("**", "a"),
            ("a*a", "aa"),
            ("tool*box", "toolbox"),
        ] {
            assert!(matches(pattern, name), "{pattern} {name}");
        }
        for (pattern, name) in [
            ("toolbox", "toolbox2"),
            ("tool", "toolbox"),
            ("box", "toolbox"),
            ("a*a", "a"),
            ("*b", "ba"),
            ("example.com/*", "example.community/a"),
            ("t*b*o", "toolbox"),
            ("ab*ba", "aba"),
        ] {
            assert!(!matches(pattern, name), "{pattern} {name}");
        }
        for bad in ["", "a b", "a?", "[a]", "é"] {
            assert!(bad.parse::<NamePattern>().is_err(), "{bad:?}");
        }
        assert!(!matches(&"*a".repeat(60), &format!("{}b", "a".repeat(127))));
    }
}
