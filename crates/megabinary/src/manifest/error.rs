//! What can be wrong with a manifest, and where.

use crate::capability::UnknownSyscall;
use crate::digest::{Digest, DigestError};
use crate::json::{JsonError, JsonReason, Place};
use crate::names::NameError;

/// Why bytes are not a manifest, with the place.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("manifest.json, at {}: {reason}", Place(pointer))]
pub struct ManifestError {
    /// JSON pointer (RFC 6901) of the value; empty for the whole document.
    pub pointer: String,
    /// What is wrong.
    pub reason: ManifestReason,
}

/// What is wrong with a manifest.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ManifestReason {
    /// Not strict JSON.
    #[error("{reason} (byte {offset})")]
    Json {
        /// Offset in the text.
        offset: usize,
        /// What is wrong.
        reason: JsonReason,
    },
    /// A value of another type.
    #[error("must be {expected}, found {found}")]
    Type {
        /// What it must be.
        expected: &'static str,
        /// What it is.
        found: &'static str,
    },
    /// A required field is not there.
    #[error("the field `{field}` is missing")]
    MissingField {
        /// Its name.
        field: &'static str,
    },
    /// A field that schema v1 does not have.
    #[error("there is no such field in manifest schema v1; it has {known}")]
    UnknownField {
        /// The fields there are.
        known: String,
    },
    /// An extension this reader does not understand.
    #[error("the critical extension {name:?} is unknown: use a reader that understands it")]
    UnknownCritical {
        /// Its name.
        name: String,
    },
    /// Not a digest.
    #[error(transparent)]
    Digest(#[from] DigestError),
    /// Not a name of its kind.
    #[error(transparent)]
    Name(#[from] NameError),
    /// Not a semver requirement.
    #[error("{found:?} is not a semver requirement such as \">=0.2.0\": {reason}")]
    Requirement {
        /// The text.
        found: String,
        /// What is wrong with it.
        reason: String,
    },
    /// Not a system call.
    #[error(transparent)]
    UnknownSyscall(#[from] UnknownSyscall),
    /// One of a fixed set of words was expected.
    #[error("must be {allowed}, found {found:?}")]
    UnknownWord {
        /// The word.
        found: String,
        /// The words there are.
        allowed: String,
    },
    /// An item that the list already has.
    #[error("{item:?} is in the list twice")]
    DuplicateItem {
        /// The item.
        item: String,
    },
    /// More items than the limit.
    #[error("has {found} items, the limit is {limit}")]
    TooMany {
        /// How many.
        found: usize,
        /// The limit.
        limit: usize,
    },
    /// A text beyond its limit.
    #[error("is {found} bytes long, the limit is {limit}")]
    TooLong {
        /// Its length.
        found: usize,
        /// The limit.
        limit: usize,
    },
    /// An argument with a NUL character, which no process can receive.
    #[error("an argument cannot hold a NUL character")]
    NulInArgument,
    /// Two binaries with the same path.
    #[error("the path {path} already belongs to {other}: one file has one digest")]
    DuplicatePath {
        /// The path.
        path: String,
        /// The digest that has it.
        other: Digest,
    },
    /// Two agent tools with the same name.
    #[error("the tool name {name} already belongs to {other}")]
    DuplicateTool {
        /// The name.
        name: String,
        /// The digest that has it.
        other: Digest,
    },
    /// A digest in both maps with different content.
    #[error("the digest is in `binaries` too, with another {field}: both must agree")]
    Disagreement {
        /// `entry_point`, `args` or `overrides`.
        field: &'static str,
    },
    /// A list of executables where everything may be executed.
    #[error(
        "an `exec` list binds only with global_policies.exec = \"listed\": set that, or remove the list"
    )]
    ExecNotListed,
    /// A path that no binary has.
    #[error("{path} is not the path of a binary of this manifest")]
    ExecUnknownPath {
        /// The path.
        path: String,
    },
    /// There is no signature.
    #[error("the manifest is not signed: sign it with `megabin sign DIR --key FILE`")]
    Unsigned,
    /// The signature is not base64 of a DER ECDSA P-256 signature.
    #[error("is not a base64 ECDSA P-256 signature in DER")]
    SignatureEncoding,
    /// The signature does not hold.
    #[error(
        "the signature does not match the manifest's content and the key {key_id}: the manifest was changed after it was signed, or another key signed it"
    )]
    SignatureMismatch {
        /// The key id the manifest names.
        key_id: String,
    },
}

impl ManifestError {
    pub(super) fn at(pointer: impl Into<String>, reason: impl Into<ManifestReason>) -> Self {
        Self {
            pointer: pointer.into(),
            reason: reason.into(),
        }
    }

    /// The stable id of this error in the test vectors.
    pub fn id(&self) -> &'static str {
        self.reason.id()
    }
}

impl ManifestReason {
    /// The stable id of this error in the test vectors.
    pub fn id(&self) -> &'static str {
        match self {
            Self::Json { reason, .. } => reason.id(),
            Self::Type { .. } => "manifest.type",
            Self::MissingField { .. } => "manifest.missing-field",
            Self::UnknownField { .. } => "manifest.unknown-field",
            Self::UnknownCritical { .. } => "manifest.unknown-critical",
            Self::Digest(_) => "manifest.digest",
            Self::Name(_) => "manifest.name",
            Self::Requirement { .. } => "manifest.requirement",
            Self::UnknownSyscall(_) => "manifest.unknown-syscall",
            Self::UnknownWord { .. } => "manifest.unknown-word",
            Self::DuplicateItem { .. } => "manifest.duplicate-item",
            Self::TooMany { .. } => "manifest.too-many",
            Self::TooLong { .. } => "manifest.too-long",
            Self::NulInArgument => "manifest.nul-in-argument",
            Self::DuplicatePath { .. } => "manifest.duplicate-path",
            Self::DuplicateTool { .. } => "manifest.duplicate-tool",
            Self::Disagreement { .. } => "manifest.disagreement",
            Self::ExecNotListed => "manifest.exec-not-listed",
            Self::ExecUnknownPath { .. } => "manifest.exec-unknown-path",
            Self::Unsigned => "signature.missing",
            Self::SignatureEncoding => "signature.encoding",
            Self::SignatureMismatch { .. } => "signature.mismatch",
        }
    }
}

impl From<JsonError> for ManifestError {
    fn from(error: JsonError) -> Self {
        let (offset, reason) = (error.offset, error.reason);
        Self::at(error.pointer, ManifestReason::Json { offset, reason })
    }
}
