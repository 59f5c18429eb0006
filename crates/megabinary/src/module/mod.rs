//! `container.wasm`: the structural check of a whole module, and putting the metadata section on
//! (`runtime-spec/megabinary.md`).

mod agreement;
mod error;
mod finish;
mod imports;
mod scan;
mod structure;
mod validate;

pub use agreement::{Megabinary, check_agreement};
pub use error::ModuleError;
pub use finish::finish;
pub use validate::{features, validate};

use std::ops::Range;

use crate::digest::{DIGEST_BYTES, Digest};
use crate::limits;
use crate::section::Section;

/// Export name of the memory.
pub const MEMORY_EXPORT: &str = "memory";

/// What a structurally sound `container.wasm` says about itself. Function bodies other than
/// `_dispatch`'s are not looked at: the engine validates them when it compiles, [`validate()`]
/// without one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Module {
    /// The container id: recomputed, and equal to the file's last 32 bytes.
    pub id: Digest,
    /// The metadata section.
    pub section: Section,
    /// Imported functions as (module, function), in the module's order.
    pub imports: Vec<(String, String)>,
    /// Whether its code may throw and catch exceptions: it has a tag section.
    pub exceptions: bool,
    /// Where in the file the content of data segment 0 is, of which initial images are made.
    pub image_data: Range<usize>,
}

impl Module {
    /// Checks everything `runtime-spec/megabinary.md` demands of the file except the validity of
    /// function bodies.
    ///
    /// # Errors
    /// The first rule that is broken. Any bytes give a value or an error.
    pub fn parse(bytes: &[u8]) -> Result<Self, ModuleError> {
        if bytes.len() > limits::CONTAINER_BYTES {
            return Err(ModuleError::TooLarge { bytes: bytes.len() });
        }
        let scan = scan::Scan::of(bytes)?;
        let payload = scan.section_payload(bytes.len())?;
        let Some((payload, stored)) = payload.split_last_chunk::<DIGEST_BYTES>() else {
            return Err(ModuleError::NoId);
        };
        let stored = Digest::from_bytes(*stored);
        let id = container_id(bytes).ok_or(ModuleError::NoId)?;
        if stored != id {
            return Err(ModuleError::IdMismatch {
                stored,
                computed: id,
            });
        }
        let section = Section::decode(payload)?;
        structure::check(&scan, &section)?;
        let imports = imports::check(&scan)?;
        Ok(Self {
            id,
            section,
            imports,
            exceptions: scan.tags,
            image_data: scan.image_data(),
        })
    }
}

/// The container id of a file: the digest of every byte before the last 32.
pub fn container_id(bytes: &[u8]) -> Option<Digest> {
    let (covered, _) = bytes.split_last_chunk::<DIGEST_BYTES>()?;
    Some(Digest::of(covered))
}
