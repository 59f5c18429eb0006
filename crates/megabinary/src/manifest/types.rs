//! What a manifest says.

use std::collections::BTreeMap;

use crate::capability::SyscallSet;
use crate::digest::Digest;
use crate::json::Value;
use crate::names::{
    BinaryPath, ContainerName, ContainerVersion, EntryPoint, FileName, KeyId, ToolName,
};

/// The typed manifest. Whoever reads one gets it [`Verified`](super::Verified); a writer makes one
/// and calls [`Manifest::check`].
#[derive(Debug, Clone, PartialEq)]
pub struct Manifest {
    /// Id of the `container.wasm` it belongs to.
    pub container_id: Digest,
    /// Name of the container; optional to read, writers always write it.
    pub name: Option<ContainerName>,
    /// The container's own version.
    pub version: ContainerVersion,
    /// Name of the megabinary's file, beside the manifest.
    pub megabinary: FileName,
    /// Which versions of the virtual kernel can run it.
    pub vkernel_version: semver::VersionReq,
    /// What holds for every program.
    pub policies: GlobalPolicies,
    /// Executable files by their digest.
    pub binaries: BTreeMap<Digest, Binary>,
    /// Tools an agent calls by name, by the digest of their file or module.
    pub agent_tools: BTreeMap<Digest, AgentTool>,
    /// Extensions a reader must understand; this version knows none.
    pub critical: Vec<String>,
    /// The signature, if there is one.
    pub signature: Option<Signature>,
}

/// What holds for every program of the container.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GlobalPolicies {
    /// System call names every program has.
    pub default_syscalls: SyscallSet,
    /// What sockets there are.
    pub networking: Networking,
    /// Who may execute whom.
    pub exec: ExecPolicy,
}

/// Which sockets programs may have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Networking {
    /// None at all.
    None,
    /// Only those inherited or handed in by the engine.
    Restricted,
    /// Whatever the container's network namespace allows.
    Host,
}

impl Networking {
    pub(super) const NAMES: [(&'static str, Self); 3] = [
        ("none", Self::None),
        ("restricted", Self::Restricted),
        ("host", Self::Host),
    ];

    /// The name in the manifest.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Restricted => "restricted",
            Self::Host => "host",
        }
    }
}

/// Who may execute whom.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub enum ExecPolicy {
    /// Every program may execute every other.
    #[default]
    Any,
    /// A program may execute only what its `overrides.exec` names.
    Listed,
}

impl ExecPolicy {
    pub(super) const NAMES: [(&'static str, Self); 2] =
        [("any", Self::Any), ("listed", Self::Listed)];

    /// The name in the manifest.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Any => "any",
            Self::Listed => "listed",
        }
    }
}

/// An executable file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Binary {
    /// Where it stands in the root file system.
    pub path: BinaryPath,
    /// What it starts.
    pub entry: EntryPoint,
    /// Arguments inserted between argv\[0\] and the caller's.
    pub args: Vec<String>,
    /// Its own rights.
    pub overrides: Overrides,
}

/// Rights beyond those of every program.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Overrides {
    /// System call names besides the default ones.
    pub syscalls: SyscallSet,
    /// With [`ExecPolicy::Listed`], the binaries it may execute.
    pub exec: Vec<BinaryPath>,
}

/// A tool an agent calls by name.
#[derive(Debug, Clone, PartialEq)]
pub struct AgentTool {
    /// Its name, unique in the manifest.
    pub name: ToolName,
    /// What it starts.
    pub entry: EntryPoint,
    /// Arguments inserted between argv\[0\] and the caller's.
    pub args: Vec<String>,
    /// Its own rights.
    pub overrides: Overrides,
    /// For agents: what it does.
    pub description: Option<String>,
    /// For agents: a JSON Schema of its input; an object, otherwise not interpreted here.
    pub input_schema: Option<Value>,
}

/// A signature and the key it was made with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Signature {
    /// Which key.
    pub key_id: KeyId,
    /// ECDSA P-256 in DER, base64.
    pub signature_b64: String,
}
