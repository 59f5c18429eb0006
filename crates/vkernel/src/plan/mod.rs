//! What start and exec need of a verified megabinary, ready to use.
//!
//! `create` verifies once and stores the plan where only root can write; from then on nothing
//! parses a manifest again. Loading is decoding records of fixed size: ten thousand entries take
//! well under a millisecond, and a lookup is a binary search.

mod build;
mod encode;

use megabinary::capability::HostCallSet;
use megabinary::digest::Digest;

use crate::engine::Code;

pub use build::PlanBuildError;
#[cfg(test)]
pub(crate) use build::{Builder as PlanBuilder, NewTarget};
pub use encode::PlanError;

/// Everything about a container that decides what may run in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plan {
    container_id: Digest,
    name: Text,
    version: Text,
    image_switch: Text,
    networking: NetworkPolicy,
    exec: ExecRule,
    code: Code,
    programs: Vec<Program>,
    /// In ascending order of their digests.
    targets: Vec<TargetRecord>,
    /// Elements of the lists of all targets.
    list: Vec<Text>,
    /// All texts, one after the other.
    pool: String,
}

/// A piece of the pool: start and length in bytes, checked when the plan was made or decoded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
struct Text {
    start: u32,
    len: u32,
}

/// A piece of the list: first element and count, checked likewise.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
struct List {
    start: u32,
    count: u32,
}

/// What sockets the container's programs may have (manifest.md, `networking`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NetworkPolicy {
    /// None.
    None,
    /// Only those handed in or inherited.
    Restricted,
    /// Whatever the container's network namespace allows.
    Host,
}

/// Who may execute whom (manifest.md, `exec`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ExecRule {
    /// Everyone everything that the manifest names.
    Any,
    /// Only what the executing program's entry lists.
    Listed,
}

/// A program of the megabinary.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Program {
    entry: Text,
    name: Text,
    min_pages: u32,
    /// 65536 where the program names no maximum.
    max_pages: u32,
    /// The module's export for [`DELIVER`], if the program has one.
    deliver: Option<Text>,
    /// The module's exports for [`FORK`] and for the program's globals, if it has them all.
    fork: List,
}

/// Export of a program that is told of the signals it catches (vkernel-abi.md, "Signals").
pub const DELIVER: &str = "__vkernel_signal";

/// Exports that a program needs to be copied while it runs, besides one for each of its globals
/// (megabinary.md, "Extra exports").
pub const FORK: [&str; 5] = [
    "asyncify_start_unwind",
    "asyncify_stop_unwind",
    "asyncify_start_rewind",
    "asyncify_stop_rewind",
    "_start",
];

/// What exports of a program's globals are called, before their number.
pub const FORK_GLOBAL: &str = "global:";

/// What the kernel has to know of a program to call it.
pub struct ProgramExports<'p> {
    /// Its entry point.
    pub entry: &'p str,
    /// The module's export for [`DELIVER`].
    pub deliver: Option<&'p str>,
    /// The module's exports for [`FORK`], then those for its globals; none if it cannot fork.
    pub fork: Vec<&'p str>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct TargetRecord {
    digest: Digest,
    rights: HostCallSet,
    program: u32,
    path: Option<Text>,
    tool: Option<Text>,
    args: List,
    exec: List,
    shares_entry: bool,
}

/// One digest of the manifest and what executing it means.
#[derive(Clone, Copy)]
pub struct Target<'p> {
    plan: &'p Plan,
    record: &'p TargetRecord,
}

impl Plan {
    /// The container's identity: the digest its megabinary and its manifest name.
    #[must_use]
    pub fn container_id(&self) -> &Digest {
        &self.container_id
    }

    /// The container's name, for people.
    #[must_use]
    pub fn name(&self) -> &str {
        self.text(self.name)
    }

    /// The container's version.
    #[must_use]
    pub fn version(&self) -> &str {
        self.text(self.version)
    }

    /// Export name of the switch that tells an entry point the host has laid its image.
    #[must_use]
    pub fn image_switch(&self) -> &str {
        self.text(self.image_switch)
    }

    /// What sockets the container's programs may have.
    #[must_use]
    pub fn networking(&self) -> NetworkPolicy {
        self.networking
    }

    /// Who may execute whom.
    #[must_use]
    pub fn exec_rule(&self) -> ExecRule {
        self.exec
    }

    /// What kind of code the megabinary is.
    #[must_use]
    pub fn code(&self) -> Code {
        self.code
    }

    /// How many digests it names.
    #[must_use]
    pub fn len(&self) -> usize {
        self.targets.len()
    }

    /// Whether nothing can be executed.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.targets.is_empty()
    }

    /// The target with this digest: the only resolution there is.
    #[must_use]
    pub fn lookup(&self, digest: &Digest) -> Option<Target<'_>> {
        let at = self
            .targets
            .binary_search_by(|record| record.digest.cmp(digest))
            .ok()?;
        Some(self.target(&self.targets[at]))
    }

    /// The agent tool of this name.
    #[must_use]
    pub fn tool(&self, name: &str) -> Option<Target<'_>> {
        self.find(|record| record.tool, name)
    }

    /// What the manifest names for this path, to tell a modified file from an unknown one.
    #[must_use]
    pub fn named_for_path(&self, path: &str) -> Option<Target<'_>> {
        self.find(|record| record.path, path)
    }

    /// All targets, in the order of their digests.
    pub fn targets(&self) -> impl Iterator<Item = Target<'_>> {
        self.targets.iter().map(|record| self.target(record))
    }

    /// What all programs export.
    pub fn programs(&self) -> impl Iterator<Item = ProgramExports<'_>> {
        (self.programs.iter()).map(|program| ProgramExports {
            entry: self.text(program.entry),
            deliver: program.deliver.map(|text| self.text(text)),
            fork: self.texts(program.fork).collect(),
        })
    }

    fn find(&self, key: impl Fn(&TargetRecord) -> Option<Text>, text: &str) -> Option<Target<'_>> {
        let found = self
            .targets
            .iter()
            .find(|record| key(record).is_some_and(|key| self.text(key) == text))?;
        Some(self.target(found))
    }

    fn target<'p>(&'p self, record: &'p TargetRecord) -> Target<'p> {
        Target { plan: self, record }
    }

    fn text(&self, text: Text) -> &str {
        let start = text.start as usize;
        &self.pool[start..start + text.len as usize]
    }

    fn texts(&self, list: List) -> impl Iterator<Item = &str> {
        let start = list.start as usize;
        self.list[start..start + list.count as usize]
            .iter()
            .map(|text| self.text(*text))
    }
}

impl<'p> Target<'p> {
    /// Its digest.
    #[must_use]
    pub fn digest(&self) -> &'p Digest {
        &self.record.digest
    }

    /// What a process that runs it may call: the manifest's defaults and its own overrides.
    #[must_use]
    pub fn rights(&self) -> HostCallSet {
        self.record.rights
    }

    /// Export of the megabinary that starts it.
    #[must_use]
    pub fn entry(&self) -> &'p str {
        self.plan.text(self.program().entry)
    }

    /// Number of the program behind the entry point, in the order of the signed section.
    #[must_use]
    pub fn program_number(&self) -> usize {
        self.record.program as usize
    }

    /// Name of the program behind the entry point.
    #[must_use]
    pub fn program_name(&self) -> &'p str {
        self.plan.text(self.program().name)
    }

    /// The most memory the program may grow to, in pages of 64 KiB.
    #[must_use]
    pub fn max_pages(&self) -> u32 {
        self.program().max_pages
    }

    /// The memory the program starts with, in pages of 64 KiB.
    #[must_use]
    pub fn min_pages(&self) -> u32 {
        self.program().min_pages
    }

    /// Where the manifest says its file stands, if it is a binary.
    #[must_use]
    pub fn path(&self) -> Option<&'p str> {
        self.record.path.map(|path| self.plan.text(path))
    }

    /// Its name as an agent tool, if it is one.
    #[must_use]
    pub fn tool_name(&self) -> Option<&'p str> {
        self.record.tool.map(|tool| self.plan.text(tool))
    }

    /// Arguments that go between `argv[0]` and the caller's.
    pub fn args(&self) -> impl Iterator<Item = &'p str> {
        self.plan.texts(self.record.args)
    }

    /// Paths of the binaries it may execute where only listed ones may be.
    pub fn may_execute(&self) -> impl Iterator<Item = &'p str> {
        self.plan.texts(self.record.exec)
    }

    /// Whether another digest has the same entry point, which every script's interpreter has.
    #[must_use]
    pub fn shares_entry(&self) -> bool {
        self.record.shares_entry
    }

    fn program(&self) -> &'p Program {
        &self.plan.programs[self.record.program as usize]
    }
}

#[cfg(test)]
mod tests;
