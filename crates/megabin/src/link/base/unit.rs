//! A module with symbols and relocations: a library's object file, or a program linked with
//! `--emit-relocs` (tool-conventions, Linking.md). Read once, every index and place checked.

use std::ops::Range;

use wasmparser::{
    DataKind, FuncType, KnownCustom, Linking, Operator, Parser, Payload, RelocationType,
    SymbolFlags, SymbolInfo, TypeRef,
};

use super::error::Malformed;

/// Places are offsets in the file.
pub(super) struct Unit<'a> {
    pub bytes: &'a [u8],
    pub types: Vec<FuncType>,
    /// Type index of every function, imports first.
    pub functions: Vec<u32>,
    pub imports: u32,
    /// Names of imported functions and globals: what a symbol without a name of its own is called.
    imported: [Vec<&'a str>; 2],
    /// The code of each function that has some, locals included.
    pub bodies: Vec<Range<usize>>,
    pub segments: Vec<Segment<'a>>,
    pub symbols: Vec<Symbol<'a>>,
    /// Of code and data, in ascending order of place; they do not overlap.
    pub relocs: Vec<Reloc>,
    /// Whether there is a `linking` section.
    pub linking: bool,
}

pub(super) struct Segment<'a> {
    /// Its address in a program, 0 in an object file; `None` where it is passive.
    pub address: Option<u32>,
    pub place: Range<usize>,
    pub name: &'a str,
    /// A power of two, in bytes.
    pub align: u32,
}

pub(super) struct Symbol<'a> {
    pub name: &'a str,
    pub flags: SymbolFlags,
    pub kind: SymbolKind,
}

#[derive(Clone, Copy)]
pub(super) enum SymbolKind {
    /// By number.
    Function(u32),
    /// Segment, offset in it, size.
    Data(u32, u32, u32),
    /// Data that something else defines, or nothing.
    UndefinedData,
    Global,
    Other,
}

#[derive(Clone, Copy)]
pub(super) struct Reloc {
    pub at: usize,
    pub ty: RelocationType,
    /// Of a symbol; of a type for [`RelocationType::TypeIndexLeb`].
    pub index: u32,
    pub addend: i32,
}

impl Symbol<'_> {
    pub(super) fn is_undefined(&self) -> bool {
        self.flags.contains(SymbolFlags::UNDEFINED)
    }

    pub(super) fn is_local(&self) -> bool {
        self.flags.contains(SymbolFlags::BINDING_LOCAL)
    }
}

impl<'a> Unit<'a> {
    pub(super) fn read(bytes: &'a [u8]) -> Result<Self, Malformed> {
        let mut unit = Self {
            bytes,
            types: Vec::new(),
            functions: Vec::new(),
            imports: 0,
            imported: [Vec::new(), Vec::new()],
            bodies: Vec::new(),
            segments: Vec::new(),
            symbols: Vec::new(),
            relocs: Vec::new(),
            linking: false,
        };
        // Contents of every section, and whether relocations there matter.
        let mut sections: Vec<(Range<usize>, bool)> = Vec::new();
        for payload in Parser::new(0).parse_all(bytes) {
            let payload = payload?;
            if let Some((_, range)) = payload.as_section() {
                let moves = matches!(
                    payload,
                    Payload::CodeSectionStart { .. } | Payload::DataSection(_)
                );
                sections.push((range, moves));
            }
            unit.payload(payload, &sections)?;
        }
        unit.check()?;
        Ok(unit)
    }

    fn payload(
        &mut self,
        payload: Payload<'a>,
        sections: &[(Range<usize>, bool)],
    ) -> Result<(), Malformed> {
        match payload {
            Payload::TypeSection(section) => {
                for ty in section.into_iter_err_on_gc_types() {
                    self.types.push(ty?);
                }
            }
            Payload::ImportSection(section) => {
                for import in section.into_imports() {
                    let import = import?;
                    match import.ty {
                        TypeRef::Func(ty) => {
                            self.functions.push(ty);
                            self.imports += 1;
                            self.imported[0].push(import.name);
                        }
                        TypeRef::Global(_) => self.imported[1].push(import.name),
                        _ => {}
                    }
                }
            }
            Payload::FunctionSection(section) => {
                for ty in section {
                    self.functions.push(ty?);
                }
            }
            Payload::CodeSectionEntry(body) => self.bodies.push(body.range()),
            Payload::DataSection(section) => {
                for data in section {
                    let data = data?;
                    let end = data.range.end;
                    let address = match data.kind {
                        DataKind::Passive => None,
                        DataKind::Active { offset_expr, .. } => {
                            match offset_expr.get_operators_reader().read()? {
                                Operator::I32Const { value } => Some(value.cast_unsigned()),
                                _ => return Err(Malformed::Missing("constant address of data")),
                            }
                        }
                    };
                    self.segments.push(Segment {
                        address,
                        place: end - data.data.len()..end,
                        name: "",
                        align: 1,
                    });
                }
            }
            Payload::CustomSection(section) => match section.as_known() {
                KnownCustom::Linking(linking) => {
                    self.linking = true;
                    for part in linking.subsections() {
                        self.linking(part?)?;
                    }
                }
                KnownCustom::Reloc(relocs) => {
                    let target = sections.get(relocs.section_index() as usize);
                    let (range, moves) = target.ok_or(Malformed::Missing("section"))?;
                    for entry in relocs.entries() {
                        let entry = entry?;
                        let place = entry.relocation_range()?;
                        let at = range.start.saturating_add(place.start);
                        if at.saturating_add(place.len()) > range.end {
                            return Err(Malformed::Place(at));
                        }
                        if *moves {
                            self.relocs.push(Reloc {
                                at,
                                ty: entry.ty,
                                index: entry.index,
                                // All that are accepted later have addends of 32 bits.
                                addend: entry.addend as i32,
                            });
                        }
                    }
                }
                _ => {}
            },
            _ => {}
        }
        Ok(())
    }

    fn linking(&mut self, part: Linking<'a>) -> Result<(), Malformed> {
        match part {
            Linking::SegmentInfo(infos) => {
                for (at, info) in infos.into_iter().enumerate() {
                    let info = info?;
                    // What is zero may have a description and no segment.
                    if let Some(segment) = self.segments.get_mut(at) {
                        segment.name = info.name;
                        segment.align = 1u32.checked_shl(info.alignment.min(16)).unwrap_or(1);
                    }
                }
            }
            Linking::SymbolTable(symbols) => {
                for symbol in symbols {
                    self.symbols.push(match symbol? {
                        SymbolInfo::Func { flags, index, name } => Symbol {
                            name: name.unwrap_or_else(|| self.imported(0, index)),
                            flags,
                            kind: SymbolKind::Function(index),
                        },
                        SymbolInfo::Data {
                            flags,
                            name,
                            symbol,
                        } => Symbol {
                            name,
                            flags,
                            kind: match symbol {
                                Some(data) => SymbolKind::Data(data.index, data.offset, data.size),
                                None => SymbolKind::UndefinedData,
                            },
                        },
                        SymbolInfo::Global { flags, index, name } => Symbol {
                            name: name.unwrap_or_else(|| self.imported(1, index)),
                            flags,
                            kind: SymbolKind::Global,
                        },
                        SymbolInfo::Section { flags, .. }
                        | SymbolInfo::Event { flags, .. }
                        | SymbolInfo::Table { flags, .. } => Symbol {
                            name: "",
                            flags,
                            kind: SymbolKind::Other,
                        },
                    });
                }
            }
            _ => {}
        }
        Ok(())
    }

    fn imported(&self, kind: usize, index: u32) -> &'a str {
        let names = &self.imported[kind];
        names.get(index as usize).copied().unwrap_or_default()
    }

    /// What the rest relies on: relocations in order, each of a symbol of its kind.
    fn check(&mut self) -> Result<(), Malformed> {
        if self.functions.len() != self.imports as usize + self.bodies.len() {
            return Err(Malformed::Missing("function's code"));
        }
        if self
            .functions
            .iter()
            .any(|ty| *ty as usize >= self.types.len())
        {
            return Err(Malformed::Missing("function's type"));
        }
        let functions = self.functions.len() as u32;
        for symbol in &self.symbols {
            if let SymbolKind::Function(index) = symbol.kind
                && index >= functions
            {
                return Err(Malformed::Missing("function"));
            }
        }
        self.relocs.sort_by_key(|reloc| reloc.at);
        for pair in self.relocs.windows(2) {
            if pair[1].at < pair[0].at + pair[0].ty.extent() {
                return Err(Malformed::Place(pair[1].at));
            }
        }
        for reloc in &self.relocs {
            let kind = self.symbols.get(reloc.index as usize).map(|s| s.kind);
            let right = match reloc.ty {
                RelocationType::TypeIndexLeb => (reloc.index as usize) < self.types.len(),
                RelocationType::FunctionIndexLeb
                | RelocationType::TableIndexSleb
                | RelocationType::TableIndexI32 => matches!(kind, Some(SymbolKind::Function(_))),
                RelocationType::MemoryAddrLeb
                | RelocationType::MemoryAddrSleb
                | RelocationType::MemoryAddrI32 => {
                    matches!(kind, Some(SymbolKind::Data(..) | SymbolKind::UndefinedData))
                }
                _ => kind.is_some(),
            };
            if !right {
                return Err(Malformed::Symbol(reloc.at));
            }
        }
        Ok(())
    }

    /// The relocations in a range of the file.
    pub(super) fn relocs_in(&self, place: &Range<usize>) -> &[Reloc] {
        let from = self.relocs.partition_point(|reloc| reloc.at < place.start);
        let to = self.relocs.partition_point(|reloc| reloc.at < place.end);
        &self.relocs[from..to.max(from)]
    }

    pub(super) fn symbol(&self, reloc: &Reloc) -> &Symbol<'a> {
        &self.symbols[reloc.index as usize]
    }

    /// What stands at a relocation.
    pub(super) fn value(&self, reloc: &Reloc) -> Result<u32, Malformed> {
        let place = reloc.at..reloc.at + reloc.ty.extent();
        let wrong = Malformed::Value(reloc.at);
        let bytes = self.bytes.get(place).ok_or(Malformed::Place(reloc.at))?;
        match *bytes {
            [a, b, c, d] => Ok(u32::from_le_bytes([a, b, c, d])),
            [a, b, c, d, e] if a & b & c & d & 0x80 != 0 && e & 0x80 == 0 => {
                let low = [a, b, c, d].into_iter().enumerate();
                let low: u32 = low
                    .map(|(at, byte)| u32::from(byte & 0x7f) << (7 * at))
                    .sum();
                Ok(low | u32::from(e) << 28)
            }
            _ => Err(wrong),
        }
    }
}

/// Writes a value at a relocation, as wide as what stands there.
pub(super) fn write(bytes: &mut [u8], reloc: &Reloc, value: u32) {
    let place = &mut bytes[reloc.at..reloc.at + reloc.ty.extent()];
    match reloc.ty {
        RelocationType::TableIndexI32 | RelocationType::MemoryAddrI32 => {
            place.copy_from_slice(&value.to_le_bytes());
        }
        ty => {
            for (at, byte) in place.iter_mut().enumerate() {
                *byte = (value >> (7 * at)) as u8 & 0x7f | if at < 4 { 0x80 } else { 0 };
            }
            // Signed: the last byte carries the sign on.
            let signed = matches!(
                ty,
                RelocationType::TableIndexSleb | RelocationType::MemoryAddrSleb
            );
            if signed && value >> 31 == 1 {
                place[4] |= 0x70;
            }
        }
    }
}
