//! Why nothing was executed.

use megabinary::digest::Digest;

use crate::errno::Errno;

/// Why nothing was executed, in the words that engines look for: "executable file `x` not found
/// in $PATH: no such file or directory" makes them report 127, "permission denied" 126.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ExecError {
    /// There is no such file.
    #[error("executable file `{name}` not found in $PATH: no such file or directory")]
    NotFound {
        /// As it was asked for.
        name: String,
    },
    /// The file cannot be executed, whatever it holds.
    #[error(
        "executing `{path}`: permission denied: it is no regular file, or its mode or a directory above it does not let this user execute it"
    )]
    NotExecutable {
        /// The path.
        path: String,
    },
    /// The path cannot be followed.
    #[error("executing `{path}`: {errno}")]
    Unreachable {
        /// The path.
        path: String,
        /// Why.
        errno: Errno,
    },
    /// The file cannot be read, or a script not copied.
    #[error("reading `{path}` to execute it: {errno}")]
    Read {
        /// The path.
        path: String,
        /// Why.
        errno: Errno,
    },
    /// No entry of the manifest has this file's digest.
    #[error(
        "executing `{path}`: permission denied: its digest {found} is not in the manifest of container {container}"
    )]
    Unknown {
        /// The path.
        path: String,
        /// Digest of the file.
        found: Digest,
        /// The container's id.
        container: Digest,
    },
    /// The manifest names this path with another digest.
    #[error(
        "executing `{path}`: permission denied: the file was modified: its digest is {found}, the manifest of container {container} expects {expected}"
    )]
    Modified {
        /// The path.
        path: String,
        /// Digest of the file.
        found: Digest,
        /// Digest in the manifest.
        expected: Digest,
        /// The container's id.
        container: Digest,
    },
    /// No entry has the digest asked for.
    #[error(
        "digest {digest} is not in the manifest of container {container}: no such file or directory"
    )]
    UnknownDigest {
        /// As it was asked for.
        digest: Digest,
        /// The container's id.
        container: Digest,
    },
    /// No agent tool has the name asked for.
    #[error(
        "tool `{name}` is not in the manifest of container {container}: no such file or directory"
    )]
    UnknownTool {
        /// As it was asked for.
        name: String,
        /// The container's id.
        container: Digest,
    },
    /// The manifest lets the calling program execute only what it lists, and not this.
    #[error(
        "executing `{path}`: permission denied: the manifest's list of what the calling program may execute does not name it"
    )]
    NotListed {
        /// The path.
        path: String,
    },
    /// The program needs more memory than it may have.
    #[error(
        "executing `{path}`: Cannot allocate memory: it starts with {needed} bytes and its limit is {limit}; raise the limit"
    )]
    Memory {
        /// The path.
        path: String,
        /// What it starts with.
        needed: u64,
        /// What it may have.
        limit: u64,
    },
    /// A socket was handed to a container that has none.
    #[error(
        "executing `{path}`: descriptor {fd} is a socket and the manifest's networking is `none`; do not hand it in, or sign a manifest with `restricted`"
    )]
    Socket {
        /// The path.
        path: String,
        /// Its number in the guest.
        fd: u32,
    },
    /// The host gave no thread, descriptor or memory.
    #[error("executing `{path}`: {doing}: {reason}")]
    Host {
        /// The path.
        path: String,
        /// What was being done.
        doing: &'static str,
        /// The host's reason.
        reason: String,
    },
}

impl ExecError {
    /// The error of a path that did not open.
    pub(super) fn open(path: String, errno: Errno) -> ExecError {
        match errno {
            Errno::NOENT | Errno::NOTDIR => ExecError::NotFound { name: path },
            Errno::ACCES | Errno::PERM | Errno::ISDIR => ExecError::NotExecutable { path },
            errno => ExecError::Unreachable { path, errno },
        }
    }

    /// What a process that called exec is told.
    #[must_use]
    pub fn errno(&self) -> Errno {
        match self {
            ExecError::NotFound { .. }
            | ExecError::UnknownDigest { .. }
            | ExecError::UnknownTool { .. } => Errno::NOENT,
            ExecError::NotExecutable { .. }
            | ExecError::Unknown { .. }
            | ExecError::Modified { .. }
            | ExecError::NotListed { .. } => Errno::ACCES,
            ExecError::Unreachable { errno, .. } | ExecError::Read { errno, .. } => *errno,
            ExecError::Memory { .. } => Errno::NOMEM,
            ExecError::Socket { .. } => Errno::PERM,
            ExecError::Host { .. } => Errno::AGAIN,
        }
    }

    /// The exit status of a container whose process 1 this was: 127 where there is nothing, 126
    /// where there is something that may not or cannot run.
    #[must_use]
    pub fn exit_status(&self) -> u8 {
        if self.errno() == Errno::NOENT {
            127
        } else {
            126
        }
    }
}
