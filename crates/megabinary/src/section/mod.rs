//! The custom section `megabinary`: which programs a container has, where their initial images
//! lie, and which digest starts which (`runtime-spec/megabinary.md`, "Metadata section").

mod bytes;
mod check;
mod decode;
mod encode;

use crate::digest::Digest;
use crate::names::{ContainerName, ContainerVersion, EntryPoint, NameError, ProgramName};

/// Name of the custom section.
pub const SECTION_NAME: &str = "megabinary";
/// The only format version there is.
pub const FORMAT_VERSION: u32 = 1;

/// The section's content without the container id that follows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Section {
    /// Always [`FORMAT_VERSION`].
    pub format_version: u32,
    /// Name of the container.
    pub name: ContainerName,
    /// Version of the container.
    pub version: ContainerVersion,
    /// Which versions of the virtual kernel can run it.
    pub vkernel_version: semver::VersionReq,
    /// Export name of the mutable i32 global which a host that has laid a program's image itself
    /// sets to 1.
    pub image_switch: String,
    /// The programs, each entry point and each name once.
    pub programs: Vec<Program>,
    /// What starts what, in ascending order of the digests, each once.
    pub targets: Vec<Target>,
}

/// One linked program.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Program {
    /// Name for traps and listings.
    pub name: ProgramName,
    /// Export that lays the image and starts it.
    pub entry: EntryPoint,
    /// Size of its memory at start, in pages of 64 KiB.
    pub min_pages: u64,
    /// Size beyond which its memory may not grow, in pages; none: the engine's limit.
    pub max_pages: Option<u64>,
    /// Its initial image: ascending, not overlapping, none empty; all else is zero.
    pub segments: Vec<Segment>,
    /// Exports for the kernel: the name in the original module, the name in the megabinary.
    pub extra_exports: Vec<(String, String)>,
}

/// A piece of a program's initial image.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Segment {
    /// Address in memory 0, in bytes.
    pub address: u32,
    /// Where its bytes begin in data segment 0 of the module.
    pub data_offset: u32,
    /// Length in bytes, at least 1.
    pub len: u32,
}

/// A digest and the entry point it starts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    /// Digest of the executable or of the tool's ticket.
    pub digest: Digest,
    /// Entry of one of the programs.
    pub entry: EntryPoint,
}

impl Section {
    /// The program whose entry point this is.
    pub fn program(&self, entry: &EntryPoint) -> Option<&Program> {
        self.programs.iter().find(|program| program.entry == *entry)
    }

    /// The entry point of a digest.
    pub fn entry(&self, digest: &Digest) -> Option<&EntryPoint> {
        let found = self
            .targets
            .binary_search_by(|target| target.digest.cmp(digest));
        found.ok().map(|index| &self.targets[index].entry)
    }
}

/// Why bytes are not the metadata section, or why a section may not be written.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SectionError {
    /// The bytes end inside a value.
    #[error("metadata section ends inside {what}, at byte {offset}")]
    Truncated {
        /// What was being read.
        what: &'static str,
        /// Offset from the start of the payload.
        offset: usize,
    },
    /// A LEB128 number is longer than its value needs, or larger than its type.
    #[error(
        "metadata section, byte {offset}: {what} is not a number in shortest LEB128 within its range"
    )]
    Number {
        /// What was being read.
        what: &'static str,
        /// Offset from the start of the payload.
        offset: usize,
    },
    /// A text is not UTF-8.
    #[error("metadata section, byte {offset}: {what} is not UTF-8")]
    Utf8 {
        /// What was being read.
        what: &'static str,
        /// Offset from the start of the payload.
        offset: usize,
    },
    /// A count or length exceeds its published limit.
    #[error("metadata section: {what} is {found}, the limit is {limit}")]
    Limit {
        /// What is too large.
        what: &'static str,
        /// The number found.
        found: u64,
        /// The published limit.
        limit: u64,
    },
    /// A format version this reader does not know.
    #[error(
        "metadata section has format version {found}, this reader knows {FORMAT_VERSION}: use a newer one"
    )]
    Version {
        /// The version found.
        found: u32,
    },
    /// An unknown subsection that must be understood.
    #[error("metadata section has the unknown critical subsection {id}: use a newer reader")]
    UnknownCritical {
        /// Its number without the critical bit.
        id: u8,
    },
    /// A subsection that must be critical lacks the bit.
    #[error("subsection {id} of the metadata section must have the critical bit")]
    NotCritical {
        /// Its number.
        id: u8,
    },
    /// Subsections repeat or are not in ascending order.
    #[error("subsection {id} of the metadata section is repeated or out of order")]
    Order {
        /// Its number.
        id: u8,
    },
    /// A required subsection is not there.
    #[error("metadata section lacks the subsection {id} ({what})")]
    Missing {
        /// Its number.
        id: u8,
        /// What it holds.
        what: &'static str,
    },
    /// A subsection goes on after its content.
    #[error("subsection {id} of the metadata section has {excess} bytes after its content")]
    Trailing {
        /// Its number.
        id: u8,
        /// How many bytes are left.
        excess: usize,
    },
    /// A flag is neither 0 nor 1.
    #[error("metadata section, byte {offset}: {what} must be 0 or 1")]
    Flag {
        /// What was being read.
        what: &'static str,
        /// Offset from the start of the payload.
        offset: usize,
    },
    /// A name breaks its rule.
    #[error("metadata section: {0}")]
    Name(#[from] NameError),
    /// The required vkernel version is not a semver requirement in its published form.
    #[error("metadata section: vkernel_version {found:?}: {reason}")]
    Requirement {
        /// The text found.
        found: String,
        /// What is wrong.
        reason: String,
    },
    /// A program's name or entry point is used twice.
    #[error("metadata section: two programs have the {what} `{name}`")]
    DuplicateProgram {
        /// `name` or `entry point`.
        what: &'static str,
        /// The name used twice.
        name: String,
    },
    /// Memory sizes that no 32-bit memory can have.
    #[error(
        "program `{program}`: memory of {min_pages} to {max_pages:?} pages, allowed are 0 to 65536 and a maximum not below the minimum"
    )]
    Memory {
        /// The program.
        program: ProgramName,
        /// Its initial size, in pages.
        min_pages: u64,
        /// Its maximum, in pages.
        max_pages: Option<u64>,
    },
    /// An image segment is empty, out of order, overlapping, or outside the initial memory.
    #[error("program `{program}`: image segment {index} {what}")]
    Segment {
        /// The program.
        program: ProgramName,
        /// Position in the program's list.
        index: usize,
        /// What is wrong with it.
        what: &'static str,
    },
    /// Targets are not in strictly ascending order of their digests.
    #[error("metadata section: target {digest} is repeated or out of order")]
    TargetOrder {
        /// The digest that is not above its predecessor.
        digest: Digest,
    },
    /// A target names an entry point that no program has.
    #[error("metadata section: target {digest} starts `{entry}`, which no program provides")]
    TargetEntry {
        /// The target.
        digest: Digest,
        /// The entry point.
        entry: EntryPoint,
    },
}

impl SectionError {
    /// The stable id of this error in the test vectors.
    pub fn id(&self) -> &'static str {
        match self {
            Self::Truncated { .. } => "section.truncated",
            Self::Number { .. } => "section.number",
            Self::Utf8 { .. } => "section.utf8",
            Self::Limit { .. } => "section.limit",
            Self::Version { .. } => "section.version",
            Self::UnknownCritical { .. } => "section.unknown-critical",
            Self::NotCritical { .. } => "section.not-critical",
            Self::Order { .. } => "section.order",
            Self::Missing { .. } => "section.missing",
            Self::Trailing { .. } => "section.trailing",
            Self::Flag { .. } => "section.flag",
            Self::Name(_) => "section.name",
            Self::Requirement { .. } => "section.requirement",
            Self::DuplicateProgram { .. } => "section.duplicate-program",
            Self::Memory { .. } => "section.memory",
            Self::Segment { .. } => "section.segment",
            Self::TargetOrder { .. } => "section.target-order",
            Self::TargetEntry { .. } => "section.target-entry",
        }
    }
}

#[cfg(test)]
mod tests;
