//! Writes the moved program: its own data behind the base, the base's data before it.

use std::collections::BTreeMap;

use wasm_encoder::reencode::{Reencode, RoundtripReencoder};
use wasm_encoder::{
    ConstExpr, DataSection, ElementSection, Elements, GlobalSection, MemorySection, Module,
    RawSection, TableSection,
};
use wasmparser::{
    ElementItems, ElementKind, GlobalSectionReader, Operator, Parser, Payload, TableSectionReader,
};

use super::error::{BaseRefusal, Malformed};
use super::patch;
use super::place::Move;
use super::program::Program;

/// A page of memory, in bytes.
const PAGE: u64 = 65_536;
const PAGES: u64 = 65_536;

pub(super) struct Writer<'a> {
    pub program: &'a Program<'a>,
    pub to: &'a Move<'a>,
    /// The program's file with its values moved.
    pub bytes: &'a [u8],
    /// The base's data without the zeros at its end.
    pub base: &'a [u8],
}

impl Writer<'_> {
    pub(super) fn module(&self) -> Result<Vec<u8>, BaseRefusal> {
        let mut module = Module::new();
        for payload in Parser::new(0).parse_all(self.bytes) {
            let payload = payload.map_err(Malformed::from)?;
            let section = payload.as_section();
            match payload {
                Payload::TableSection(tables) => {
                    module.section(&self.tables(tables)?);
                }
                Payload::MemorySection(memories) => {
                    module.section(&self.memory(memories)?);
                }
                Payload::GlobalSection(globals) => {
                    module.section(&self.globals(globals)?);
                }
                Payload::ElementSection(elements) => {
                    module.section(&self.elements(elements)?);
                }
                Payload::DataSection(_) => {
                    module.section(&self.data());
                }
                // How many there are is only asked for by what passive segments need.
                Payload::DataCountSection { .. } => {}
                Payload::CustomSection(custom) if custom.name() != "name" => {}
                _ => {
                    if let Some((id, range)) = section {
                        let data = &self.bytes[range];
                        module.section(&RawSection { id, data });
                    }
                }
            }
        }
        if self.program.unit.segments.is_empty() {
            module.section(&self.data());
        }
        Ok(module.finish())
    }

    fn tables(&self, tables: TableSectionReader<'_>) -> Result<TableSection, BaseRefusal> {
        let mut section = TableSection::new();
        if tables.count() != 1 {
            return Err(BaseRefusal::Table);
        }
        for table in tables {
            let mut ty = table.map_err(Malformed::from)?.ty;
            let more = self.to.base.pointers.len() as u64;
            ty.initial = ty.initial.saturating_add(more);
            ty.maximum = ty.maximum.map(|maximum| maximum.saturating_add(more));
            let ty = RoundtripReencoder.table_type(ty);
            section.table(ty.map_err(|_| BaseRefusal::Table)?);
        }
        Ok(section)
    }

    fn memory(
        &self,
        memories: wasmparser::MemorySectionReader<'_>,
    ) -> Result<MemorySection, BaseRefusal> {
        let mut section = MemorySection::new();
        for memory in memories {
            let mut memory = memory.map_err(Malformed::from)?;
            let more = u64::from(self.to.delta).div_ceil(PAGE);
            memory.initial = memory.initial.saturating_add(more);
            let max = memory.maximum.unwrap_or(PAGES);
            if memory.initial > max {
                return Err(BaseRefusal::Memory {
                    pages: memory.initial,
                    max,
                });
            }
            let ty = RoundtripReencoder.memory_type(memory);
            section.memory(ty.map_err(|_| BaseRefusal::Table)?);
        }
        Ok(section)
    }

    /// Addresses that the linker left in globals: the stack's, and those that it exports.
    fn globals(&self, globals: GlobalSectionReader<'_>) -> Result<GlobalSection, BaseRefusal> {
        let mut section = GlobalSection::new();
        for global in globals {
            let global = global.map_err(Malformed::from)?;
            let first = global.init_expr.get_operators_reader().read();
            let init = match first.map_err(Malformed::from)? {
                Operator::I32Const { value } => ConstExpr::i32_const(self.global(value)),
                _ => RoundtripReencoder
                    .const_expr(global.init_expr)
                    .map_err(|_| Malformed::Missing("value of a global"))?,
            };
            let ty = RoundtripReencoder.global_type(global.ty);
            section.global(ty.map_err(|_| Malformed::Missing("global's type"))?, &init);
        }
        Ok(section)
    }

    fn global(&self, value: i32) -> i32 {
        let address = value.cast_unsigned();
        let is_stack_first = self.program.stack_is_first && address == self.program.floor;
        if address < self.program.floor || is_stack_first {
            return value;
        }
        value.wrapping_add(self.to.delta.cast_signed())
    }

    fn elements(
        &self,
        elements: wasmparser::ElementSectionReader<'_>,
    ) -> Result<ElementSection, BaseRefusal> {
        let (base, matches) = (self.to.base, self.to.matches);
        let mut entries: BTreeMap<u32, u32> = BTreeMap::new();
        for element in elements {
            let element = element.map_err(Malformed::from)?;
            let (
                ElementKind::Active {
                    table_index: None | Some(0),
                    offset_expr,
                },
                ElementItems::Functions(functions),
            ) = (element.kind, element.items)
            else {
                return Err(BaseRefusal::Table);
            };
            let first = offset_expr.get_operators_reader().read();
            let Operator::I32Const { value } = first.map_err(Malformed::from)? else {
                return Err(BaseRefusal::Table);
            };
            let own = (value.cast_unsigned()..).zip(functions);
            for (index, function) in own {
                let function = function.map_err(Malformed::from)?;
                let id = matches.functions.get(&function);
                let number = match id.and_then(|id| base.pointers.get(id)) {
                    Some(number) => *number,
                    None => index
                        .checked_add(base.pointers.len() as u32)
                        .ok_or(BaseRefusal::Table)?,
                };
                entries.insert(number, function);
            }
        }
        let mut section = ElementSection::new();
        let entries: Vec<(u32, u32)> = entries.into_iter().collect();
        for run in entries.chunk_by(|a, b| a.0 + 1 == b.0) {
            let offset = ConstExpr::i32_const(run[0].0.cast_signed());
            let functions: Vec<u32> = run.iter().map(|(_, function)| *function).collect();
            section.active(None, &offset, Elements::Functions(functions.into()));
        }
        Ok(section)
    }

    fn data(&self) -> DataSection {
        let mut section = DataSection::new();
        let unneeded = patch::unneeded(self.program, self.to);
        for segment in &self.program.unit.segments {
            let address = segment.address.expect("passive data was refused");
            let mut bytes = self.bytes[segment.place.clone()].to_vec();
            for (start, end) in &unneeded {
                let within = |at: &u32| (at.saturating_sub(address) as usize).min(bytes.len());
                let place = within(start)..within(end);
                bytes[place].fill(0);
            }
            let moved = address.wrapping_add(self.to.delta).cast_signed();
            section.active(0, &ConstExpr::i32_const(moved), bytes);
        }
        let start = self.to.base.start.cast_signed();
        section.active(0, &ConstExpr::i32_const(start), self.base.iter().copied());
        section
    }
}
