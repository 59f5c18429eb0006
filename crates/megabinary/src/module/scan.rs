//! One pass over a module's sections, which keeps what the structural check needs.

use std::collections::HashMap;
use std::ops::Range;

use wasmparser::{
    ConstExpr, DataKind, Encoding, ExternalKind, FuncType, GlobalType, MemoryType, Parser, Payload,
    TypeRef,
};

use super::ModuleError;
use crate::limits;
use crate::section::SECTION_NAME;

/// The parts of a module, borrowed from its bytes.
#[derive(Default)]
pub(super) struct Scan<'a> {
    pub(super) bytes: &'a [u8],
    pub(super) types: Vec<FuncType>,
    pub(super) imports: Vec<(&'a str, &'a str, TypeRef)>,
    /// Type index of each function, imported ones first.
    pub(super) functions: Vec<u32>,
    pub(super) imported_functions: usize,
    pub(super) memories: Vec<MemoryType>,
    pub(super) globals: Vec<(GlobalType, ConstExpr<'a>)>,
    pub(super) exports: HashMap<&'a str, (ExternalKind, u32)>,
    pub(super) start: bool,
    /// It has a tag section.
    pub(super) tags: bool,
    /// Bodies of the module's own functions, without their size.
    pub(super) bodies: Vec<Range<usize>>,
    /// Where in the file the content of each data segment is; none for active ones.
    pub(super) data: Vec<Option<Range<usize>>>,
    sections: Vec<(Range<usize>, &'a [u8])>,
}

impl<'a> Scan<'a> {
    pub(super) fn of(bytes: &'a [u8]) -> Result<Self, ModuleError> {
        let mut scan = Self {
            bytes,
            ..Self::default()
        };
        let mut parser = Parser::new(0);
        parser.set_features(super::features(true));
        for payload in parser.parse_all(bytes) {
            let payload = payload.map_err(|error| {
                // A component's header makes this parser fail as "unsupported": say it plainly.
                if bytes.get(4..8) == Some(&[0x0d, 0, 1, 0]) {
                    ModuleError::Component
                } else {
                    ModuleError::malformed(&error)
                }
            })?;
            if matches!(
                payload,
                Payload::Version {
                    encoding: Encoding::Component,
                    ..
                }
            ) {
                return Err(ModuleError::Component);
            }
            bound(&payload)?;
            scan.add(payload)
                .map_err(|error| ModuleError::malformed(&error))?;
        }
        Ok(scan)
    }

    fn add(&mut self, payload: Payload<'a>) -> Result<(), wasmparser::BinaryReaderError> {
        match payload {
            Payload::TypeSection(reader) => {
                for ty in reader.into_iter_err_on_gc_types() {
                    self.types.push(ty?);
                }
            }
            Payload::ImportSection(reader) => {
                for import in reader.into_imports() {
                    let import = import?;
                    if let TypeRef::Func(ty) = import.ty {
                        self.functions.push(ty);
                    }
                    self.imports.push((import.module, import.name, import.ty));
                }
                self.imported_functions = self.functions.len();
            }
            Payload::FunctionSection(reader) => {
                for ty in reader {
                    self.functions.push(ty?);
                }
            }
            Payload::MemorySection(reader) => {
                for memory in reader {
                    self.memories.push(memory?);
                }
            }
            Payload::GlobalSection(reader) => {
                for global in reader {
                    let global = global?;
                    self.globals.push((global.ty, global.init_expr));
                }
            }
            Payload::ExportSection(reader) => {
                for export in reader {
                    let export = export?;
                    self.exports
                        .insert(export.name, (export.kind, export.index));
                }
            }
            Payload::StartSection { .. } => self.start = true,
            Payload::TagSection(_) => self.tags = true,
            Payload::CodeSectionEntry(body) => self.bodies.push(body.range()),
            Payload::DataSection(reader) => {
                for segment in reader {
                    let segment = segment?;
                    self.data.push(match segment.kind {
                        // The content is the last thing in a segment.
                        DataKind::Passive => {
                            let end = segment.range.end;
                            Some(end - segment.data.len()..end)
                        }
                        DataKind::Active { .. } => None,
                    });
                }
            }
            Payload::CustomSection(reader) if reader.name() == SECTION_NAME => {
                self.sections.push((reader.range(), reader.data()));
            }
            _ => {}
        }
        Ok(())
    }

    /// Where in the file the content of data segment 0 is; empty where there is none.
    pub(super) fn image_data(&self) -> Range<usize> {
        self.data.first().cloned().flatten().unwrap_or(0..0)
    }

    /// The metadata section's payload with the container id; `len` is the file's length.
    pub(super) fn section_payload(&self, len: usize) -> Result<&'a [u8], ModuleError> {
        match self.sections.as_slice() {
            [] => Err(ModuleError::NoSection),
            [(range, data)] if range.end == len => Ok(data),
            [(range, _)] => Err(ModuleError::NotLast {
                after: len - range.end,
            }),
            _ => Err(ModuleError::SecondSection),
        }
    }

    /// The type of a function; none for an index the module does not have.
    pub(super) fn function_type(&self, function: u32) -> Option<&FuncType> {
        let ty = *self.functions.get(usize::try_from(function).ok()?)?;
        self.types.get(usize::try_from(ty).ok()?)
    }
}

/// Refuses sections whose items would need far more memory than the file: the engine would refuse
/// them too, but only when it compiles.
fn bound(payload: &Payload<'_>) -> Result<(), ModuleError> {
    let (what, count, limit) = match payload {
        Payload::TypeSection(reader) => ("types", reader.count(), limits::MODULE_ITEMS),
        Payload::ImportSection(reader) => ("imports", reader.count(), limits::MODULE_ITEMS),
        Payload::FunctionSection(reader) => ("functions", reader.count(), limits::MODULE_ITEMS),
        Payload::MemorySection(reader) => ("memories", reader.count(), limits::MODULE_ITEMS),
        Payload::TagSection(reader) => ("tags", reader.count(), limits::MODULE_ITEMS),
        Payload::GlobalSection(reader) => ("globals", reader.count(), limits::MODULE_ITEMS),
        Payload::ExportSection(reader) => ("exports", reader.count(), limits::MODULE_ITEMS),
        Payload::DataSection(reader) => ("data segments", reader.count(), limits::DATA_SEGMENTS),
        _ => return Ok(()),
    };
    let found = count as usize;
    if found > limit {
        return Err(ModuleError::TooMany { what, found, limit });
    }
    Ok(())
}
