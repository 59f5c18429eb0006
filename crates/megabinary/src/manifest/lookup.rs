//! Questions the kernel asks a manifest.

use super::{ExecPolicy, Manifest, Overrides};
use crate::capability::SyscallSet;
use crate::digest::Digest;
use crate::names::{BinaryPath, EntryPoint, ToolName};

/// What a digest starts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Target<'a> {
    /// The entry point.
    pub entry: &'a EntryPoint,
    /// Arguments inserted between argv\[0\] and the caller's.
    pub args: &'a [String],
    /// Its own rights.
    pub overrides: &'a Overrides,
    /// Where it was found.
    pub kind: TargetKind<'a>,
}

/// Which of the two maps a target is from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TargetKind<'a> {
    /// `binaries`, with its path.
    Binary(&'a BinaryPath),
    /// `agent_tools` only, with its name.
    Tool(&'a ToolName),
}

impl Manifest {
    /// What a digest starts: `binaries` first, then `agent_tools`. A digest in both starts the same
    /// in both.
    pub fn lookup(&self, id: &Digest) -> Option<Target<'_>> {
        if let Some(binary) = self.binaries.get(id) {
            return Some(Target {
                entry: &binary.entry,
                args: &binary.args,
                overrides: &binary.overrides,
                kind: TargetKind::Binary(&binary.path),
            });
        }
        self.tool(id)
    }

    fn tool(&self, id: &Digest) -> Option<Target<'_>> {
        self.agent_tools.get(id).map(|tool| Target {
            entry: &tool.entry,
            args: &tool.args,
            overrides: &tool.overrides,
            kind: TargetKind::Tool(&tool.name),
        })
    }

    /// The agent tool of a name. Linear in the number of tools.
    pub fn lookup_tool(&self, name: &str) -> Option<(Digest, Target<'_>)> {
        let (id, _) = self
            .agent_tools
            .iter()
            .find(|(_, tool)| tool.name.as_str() == name)?;
        Some((*id, self.tool(id)?))
    }

    /// The digest the manifest expects at a path. Linear in the number of binaries.
    pub fn lookup_path(&self, path: &str) -> Option<Digest> {
        let found = self
            .binaries
            .iter()
            .find(|(_, binary)| binary.path.as_str() == path);
        found.map(|(id, _)| *id)
    }

    /// Every target once, in ascending order of the digests.
    pub fn targets(&self) -> impl Iterator<Item = (Digest, Target<'_>)> {
        let ids: std::collections::BTreeSet<_> = self
            .binaries
            .keys()
            .chain(self.agent_tools.keys())
            .copied()
            .collect();
        ids.into_iter()
            .filter_map(|id| Some((id, self.lookup(&id)?)))
    }

    /// The system call names a target has: the default ones and its own.
    pub fn rights(&self, target: &Target<'_>) -> SyscallSet {
        self.policies
            .default_syscalls
            .union(target.overrides.syscalls)
    }

    /// Whether `caller` may execute `target`. With [`ExecPolicy::Listed`] the caller's list must
    /// have the target's path; a tool without a path can then be executed by nobody inside. A
    /// command from outside the container has no caller and is not asked about here.
    pub fn may_exec(&self, caller: &Digest, target: &Digest) -> bool {
        match self.policies.exec {
            ExecPolicy::Any => true,
            ExecPolicy::Listed => {
                let list = self.lookup(caller).map(|caller| &caller.overrides.exec);
                let path = self.binaries.get(target).map(|binary| &binary.path);
                list.zip(path)
                    .is_some_and(|(list, path)| list.contains(path))
            }
        }
    }
}
