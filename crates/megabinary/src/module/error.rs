//! What can be wrong with a `container.wasm`.

use crate::digest::Digest;
use crate::limits;
use crate::names::EntryPoint;
use crate::section::{SECTION_NAME, SectionError};

/// Why a file is not a megabinary.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ModuleError {
    /// Larger than the published limit.
    #[error(
        "container.wasm has {bytes} bytes, the limit is {}",
        limits::CONTAINER_BYTES
    )]
    TooLarge {
        /// Its size.
        bytes: usize,
    },
    /// Not a WebAssembly binary, or a malformed one.
    #[error("container.wasm is not a well-formed WebAssembly module: {reason} (at byte {offset})")]
    Malformed {
        /// Where the parser stopped.
        offset: usize,
        /// What it said.
        reason: String,
    },
    /// A component instead of a core module.
    #[error(
        "container.wasm is a WebAssembly component: build it with `megabin build`, which writes a core module"
    )]
    Component,
    /// Function bodies do not validate.
    #[error("container.wasm does not validate: {reason} (at byte {offset})")]
    Invalid {
        /// Where the validator stopped.
        offset: usize,
        /// What it said.
        reason: String,
    },
    /// No metadata section.
    #[error(
        "container.wasm has no `{SECTION_NAME}` section: it was not built by `megabin build`, or was stripped afterwards"
    )]
    NoSection,
    /// More than one metadata section.
    #[error("container.wasm has more than one `{SECTION_NAME}` section")]
    SecondSection,
    /// Something follows the metadata section.
    #[error(
        "the `{SECTION_NAME}` section of container.wasm is not the last one: {after} bytes follow it"
    )]
    NotLast {
        /// How many bytes follow.
        after: usize,
    },
    /// The metadata section is too short for the container id.
    #[error("the `{SECTION_NAME}` section of container.wasm is too short to hold the container id")]
    NoId,
    /// The file was changed after it was built.
    #[error(
        "container.wasm was changed after it was built: it says it is {stored}, its bytes are {computed}"
    )]
    IdMismatch {
        /// The id in its last 32 bytes.
        stored: Digest,
        /// The digest of all bytes before them.
        computed: Digest,
    },
    /// The metadata section is wrong.
    #[error(transparent)]
    Section(#[from] SectionError),
    /// More items than engines allow.
    #[error("container.wasm has {found} {what}, the limit is {limit}")]
    TooMany {
        /// What there is too much of.
        what: &'static str,
        /// How many.
        found: usize,
        /// The limit.
        limit: usize,
    },
    /// A `start` function would run before any right is decided.
    #[error("container.wasm has a start function, which would run before `_dispatch`")]
    StartFunction,
    /// Not exactly one memory, or not a plain 32-bit one of its own.
    #[error("memory of container.wasm: {what}")]
    Memory {
        /// What is wrong.
        what: &'static str,
    },
    /// The module's memory cannot be the start of a program's memory.
    #[error(
        "memory of container.wasm has {module} pages {bound}, program `{program}` needs {needed}"
    )]
    MemorySize {
        /// `at least` or `at most`.
        bound: &'static str,
        /// The module's size in pages.
        module: u64,
        /// The program's name.
        program: String,
        /// Its initial size in pages.
        needed: u64,
    },
    /// Data segment 0 is missing or active, or another one is active.
    #[error(
        "data segment {index} of container.wasm is active: images are passive, so that only the chosen program's is laid"
    )]
    ActiveData {
        /// Position of the segment.
        index: u32,
    },
    /// An image segment lies outside data segment 0.
    #[error(
        "program `{program}`: image segment {index} needs data up to byte {end}, data segment 0 has {data}"
    )]
    SegmentData {
        /// The program's name.
        program: String,
        /// Position in the program's list.
        index: usize,
        /// End of its bytes.
        end: u64,
        /// Length of data segment 0.
        data: u64,
    },
    /// A required export is not there.
    #[error("container.wasm does not export `{}` ({what})", name.escape_debug())]
    NoExport {
        /// Its name.
        name: String,
        /// What it is for.
        what: &'static str,
    },
    /// A required export has the wrong kind or type.
    #[error("export `{}` of container.wasm must be {expected}", name.escape_debug())]
    ExportType {
        /// Its name.
        name: String,
        /// What it must be.
        expected: &'static str,
    },
    /// `_dispatch` does something else than its map says.
    #[error("`_dispatch` of container.wasm is not the canonical dispatcher of its module map")]
    Dispatch,
    /// An import that is not a function.
    #[error("container.wasm imports `{}.{}`, which is not a function", module.escape_debug(), name.escape_debug())]
    ImportKind {
        /// Import module.
        module: String,
        /// Imported name.
        name: String,
    },
    /// An import that no virtual kernel has.
    #[error("container.wasm imports `{}.{}`: only functions of wasi_snapshot_preview1 and vkernel can be imported", module.escape_debug(), name.escape_debug())]
    UnknownImport {
        /// Import module.
        module: String,
        /// Imported name.
        name: String,
    },
    /// An import with another type than the function has.
    #[error("container.wasm imports `{}.{}` with another type than it has", module.escape_debug(), name.escape_debug())]
    ImportType {
        /// Import module.
        module: String,
        /// Imported name.
        name: String,
    },
    /// Manifest and module have different container ids.
    #[error(
        "manifest.json is for the container {manifest}, container.wasm is {module}: use the pair that one `megabin build` wrote"
    )]
    AgreeId {
        /// The manifest's.
        manifest: Digest,
        /// The module's.
        module: Digest,
    },
    /// Manifest and section differ in name, version or required vkernel version.
    #[error("{field} is {manifest:?} in manifest.json and {module:?} in container.wasm")]
    AgreeField {
        /// Which field.
        field: &'static str,
        /// The manifest's value.
        manifest: String,
        /// The section's value.
        module: String,
    },
    /// One of the two lacks a target.
    #[error("{digest} is a target of {present} but not of {absent}")]
    AgreeTarget {
        /// The target.
        digest: Digest,
        /// Which has it.
        present: &'static str,
        /// Which lacks it.
        absent: &'static str,
    },
    /// The two give a target different entry points.
    #[error("{digest} starts `{manifest}` by manifest.json and `{module}` by container.wasm")]
    AgreeEntry {
        /// The target.
        digest: Digest,
        /// The manifest's entry point.
        manifest: EntryPoint,
        /// The section's.
        module: EntryPoint,
    },
}

impl ModuleError {
    /// The stable id of this error in the test vectors.
    pub fn id(&self) -> &'static str {
        match self {
            Self::TooLarge { .. } => "module.too-large",
            Self::Malformed { .. } => "module.malformed",
            Self::Component => "module.component",
            Self::Invalid { .. } => "module.invalid",
            Self::NoSection => "module.no-section",
            Self::SecondSection => "module.second-section",
            Self::NotLast { .. } => "module.section-not-last",
            Self::NoId => "module.no-id",
            Self::IdMismatch { .. } => "module.id-mismatch",
            Self::Section(error) => error.id(),
            Self::TooMany { .. } => "module.too-many",
            Self::StartFunction => "module.start-function",
            Self::Memory { .. } => "module.memory",
            Self::MemorySize { .. } => "module.memory-size",
            Self::ActiveData { .. } => "module.active-data",
            Self::SegmentData { .. } => "module.segment-data",
            Self::NoExport { .. } => "module.no-export",
            Self::ExportType { .. } => "module.export-type",
            Self::Dispatch => "module.dispatch",
            Self::ImportKind { .. } => "module.import-kind",
            Self::UnknownImport { .. } => "module.unknown-import",
            Self::ImportType { .. } => "module.import-type",
            Self::AgreeId { .. } => "agree.id",
            Self::AgreeField { .. } => "agree.field",
            Self::AgreeTarget { .. } => "agree.target",
            Self::AgreeEntry { .. } => "agree.entry",
        }
    }

    pub(super) fn malformed(error: &wasmparser::BinaryReaderError) -> Self {
        Self::Malformed {
            offset: error.offset(),
            reason: error.message().to_owned(),
        }
    }
}
