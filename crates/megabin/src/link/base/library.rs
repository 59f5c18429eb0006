//! The libraries of the base: the objects of all archives, and what they define by name.

use std::collections::BTreeMap;

use wasmparser::SymbolFlags;

use super::archive;
use super::error::LibraryError;
use super::unit::{SymbolKind, Unit};

/// A function of the libraries: its object and its number there.
pub(super) type FunctionId = (usize, u32);

/// A data segment of the libraries: its object and its number there.
pub(super) type SegmentId = (usize, u32);

/// A library as it is given.
#[derive(Debug, Clone)]
pub struct Library {
    /// Its file, for messages.
    pub origin: String,
    /// The bytes of the archive.
    pub bytes: Vec<u8>,
}

pub(super) struct Libraries<'a> {
    pub objects: Vec<Object<'a>>,
    /// Functions that other objects can name.
    pub functions: BTreeMap<&'a str, FunctionId>,
    /// Data that other objects can name, and where in its segment it lies.
    pub data: BTreeMap<&'a str, (SegmentId, u32)>,
}

pub(super) struct Object<'a> {
    pub unit: Unit<'a>,
    /// The library it comes from.
    pub origin: &'a str,
}

impl<'a> Libraries<'a> {
    pub(super) fn empty() -> Self {
        Self {
            objects: Vec::new(),
            functions: BTreeMap::new(),
            data: BTreeMap::new(),
        }
    }

    /// Adds a library. What an earlier one defines stays, as for a linker.
    pub(super) fn add(&mut self, library: &'a Library) -> Result<(), LibraryError> {
        for member in archive::members(&library.bytes)? {
            if !member.starts_with(b"\0asm") {
                return Err(LibraryError::NotAnObject);
            }
            let unit = Unit::read(member)?;
            let object = self.objects.len();
            for symbol in &unit.symbols {
                let hidden = SymbolFlags::BINDING_LOCAL | SymbolFlags::UNDEFINED;
                if symbol.flags.intersects(hidden) {
                    continue;
                }
                match symbol.kind {
                    SymbolKind::Function(index) if index >= unit.imports => {
                        let defined = self.functions.entry(symbol.name);
                        defined.or_insert((object, index));
                    }
                    SymbolKind::Data(segment, offset, _)
                        if (segment as usize) < unit.segments.len() =>
                    {
                        let defined = self.data.entry(symbol.name);
                        defined.or_insert(((object, segment), offset));
                    }
                    _ => {}
                }
            }
            self.objects.push(Object {
                unit,
                origin: &library.origin,
            });
        }
        Ok(())
    }

    /// The bytes of a segment.
    pub(super) fn segment(&self, (object, segment): SegmentId) -> &'a [u8] {
        let unit = &self.objects[object].unit;
        &unit.bytes[unit.segments[segment as usize].place.clone()]
    }
}
