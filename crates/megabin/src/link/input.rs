//! One input program: its sections, read once, with everything refused that cannot be linked.

use std::borrow::Cow;
use std::collections::BTreeMap;

use wasmparser::{
    Encoding, ExternalKind, FuncToValidate, FuncType, FunctionBody, GlobalType, Parser, Payload,
    RefType, TableInit, TableType, TypeRef, ValidPayload, Validator, ValidatorResources,
};

use super::consts::{Const, evaluate};
use super::error::Refusal;
use super::extras;
use super::imports;

/// An imported function.
#[derive(Debug)]
pub(crate) struct Import<'a> {
    pub module: &'a str,
    pub name: &'a str,
}

/// Initial and maximum size, in pages of 64 KiB.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Memory {
    pub min: u64,
    pub max: Option<u64>,
}

#[derive(Debug)]
pub(crate) struct Global {
    pub ty: GlobalType,
    pub init: Const,
}

#[derive(Debug, Clone, Copy)]
pub(crate) enum DataKind {
    Active { offset: u32 },
    Passive,
}

#[derive(Debug)]
pub(crate) struct DataSegment<'a> {
    pub kind: DataKind,
    pub bytes: &'a [u8],
}

#[derive(Debug, Clone, Copy)]
pub(crate) enum ElementKind {
    Active { table: u32, offset: u32 },
    Passive,
    Declared,
}

/// An element segment: `Some` is one of the program's functions, `None` a null reference.
#[derive(Debug)]
pub(crate) struct ElementSegment {
    pub kind: ElementKind,
    pub ty: RefType,
    pub items: Vec<Option<u32>>,
}

/// An export besides `_start` and the memory that the virtual kernel has use for.
#[derive(Debug)]
pub(crate) struct Extra<'a> {
    pub name: Cow<'a, str>,
    pub kind: ExternalKind,
    pub index: u32,
}

/// A function with a body, not yet validated.
pub(crate) struct Body<'a> {
    pub validate: FuncToValidate<ValidatorResources>,
    pub body: FunctionBody<'a>,
}

/// One program's module. Indices are the program's own.
pub(crate) struct Input<'a> {
    /// Prefix of its names in the output.
    pub name: &'a str,
    /// File or name for messages.
    pub origin: &'a str,
    pub types: Vec<FuncType>,
    pub imports: Vec<Import<'a>>,
    /// Type index of every function, imports first.
    pub functions: Vec<u32>,
    pub tables: Vec<TableType>,
    pub memory: Option<Memory>,
    pub globals: Vec<Global>,
    /// Type index of every tag.
    pub tags: Vec<u32>,
    pub start: Option<u32>,
    /// The function exported as `_start`.
    pub entry: u32,
    pub extras: Vec<Extra<'a>>,
    pub elements: Vec<ElementSegment>,
    pub data: Vec<DataSegment<'a>>,
    pub bodies: Vec<Body<'a>>,
    /// Names of functions, as far as the program has them.
    pub names: BTreeMap<u32, &'a str>,
}

impl Input<'_> {
    /// The type of a function.
    pub(crate) fn function_type(&self, index: u32) -> &FuncType {
        &self.types[self.functions[index as usize] as usize]
    }
}

/// Reads the module of the program `name`.
pub(crate) fn read<'a>(
    name: &'a str,
    origin: &'a str,
    wasm: &'a [u8],
) -> Result<Input<'a>, Refusal> {
    check_header(wasm)?;
    if is_object(wasm) {
        return Err(Refusal::Object);
    }
    let mut reader = Reader {
        // An output that needs none of the exceptions has no tags.
        validator: Validator::new_with_features(megabinary::module::features(true)),
        start_export: None,
        input: Input {
            name,
            origin,
            types: Vec::new(),
            imports: Vec::new(),
            functions: Vec::new(),
            tables: Vec::new(),
            memory: None,
            globals: Vec::new(),
            tags: Vec::new(),
            start: None,
            entry: 0,
            extras: Vec::new(),
            elements: Vec::new(),
            data: Vec::new(),
            bodies: Vec::new(),
            names: BTreeMap::new(),
        },
    };
    for payload in Parser::new(0).parse_all(wasm) {
        reader.payload(&payload?)?;
    }
    reader.finish()
}

pub(super) fn check_header(wasm: &[u8]) -> Result<(), Refusal> {
    if !wasm.starts_with(b"\0asm") {
        let start = wasm
            .iter()
            .take(8)
            .map(|b| format!("{b:02x}"))
            .collect::<Vec<_>>()
            .join(" ");
        let start = if start.is_empty() {
            "nothing: it is empty".into()
        } else {
            start
        };
        return Err(Refusal::NotWasm(start));
    }
    // The second half of the header's second word is the layer: 0 module, 1 component.
    if wasm.get(6..8) == Some(&[1, 0]) {
        return Err(Refusal::Component);
    }
    Ok(())
}

/// Whether it is for a linker: programs may keep symbols and relocations too, but they have an entry.
fn is_object(wasm: &[u8]) -> bool {
    let (mut symbols, mut starts) = (false, false);
    for payload in Parser::new(0).parse_all(wasm) {
        match payload {
            Ok(Payload::CustomSection(section)) => symbols |= section.name() == "linking",
            Ok(Payload::ExportSection(exports)) => {
                let mut names = exports.into_iter().flatten();
                starts |= names.any(|export| export.name == "_start");
            }
            Ok(_) => {}
            // What is wrong is said where it is read.
            Err(_) => return false,
        }
    }
    symbols && !starts
}

impl From<wasmparser::Error> for Refusal {
    fn from(error: wasmparser::Error) -> Refusal {
        Refusal::invalid(&error)
    }
}

struct Reader<'a> {
    validator: Validator,
    start_export: Option<(ExternalKind, u32)>,
    input: Input<'a>,
}

impl<'a> Reader<'a> {
    fn payload(&mut self, payload: &Payload<'a>) -> Result<(), Refusal> {
        // Refusals with a name come before the validator, which only knows that a feature is off.
        match payload {
            Payload::ImportSection(section) => refuse_imports(section.clone())?,
            Payload::MemorySection(section) => self.memories(section.clone())?,
            _ => {}
        }
        if let ValidPayload::Func(validate, body) = self.validator.payload(payload)? {
            self.input.bodies.push(Body { validate, body });
            return Ok(());
        }
        match payload {
            Payload::Version {
                encoding: Encoding::Component,
                ..
            } => Err(Refusal::Component),
            Payload::TypeSection(section) => {
                for ty in section.clone().into_iter_err_on_gc_types() {
                    self.input.types.push(ty?);
                }
                Ok(())
            }
            Payload::ImportSection(section) => self.imports(section.clone()),
            Payload::FunctionSection(section) => {
                for ty in section.clone() {
                    self.input.functions.push(ty?);
                }
                Ok(())
            }
            Payload::TableSection(section) => self.tables(section.clone()),
            Payload::TagSection(section) => {
                for tag in section.clone() {
                    self.input.tags.push(tag?.func_type_idx);
                }
                Ok(())
            }
            Payload::GlobalSection(section) => self.globals(section.clone()),
            Payload::ExportSection(section) => self.exports(section.clone()),
            Payload::StartSection { func, .. } => {
                self.input.start = Some(*func);
                Ok(())
            }
            Payload::ElementSection(section) => self.elements(section.clone()),
            Payload::DataSection(section) => self.data(section.clone()),
            Payload::CustomSection(section) => {
                if let wasmparser::KnownCustom::Name(names) = section.as_known() {
                    // Names only serve messages: a damaged section is as good as none.
                    let _ = self.names(names);
                }
                Ok(())
            }
            _ => Ok(()),
        }
    }

    fn imports(&mut self, section: wasmparser::ImportSectionReader<'a>) -> Result<(), Refusal> {
        for import in section.into_imports() {
            let import = import?;
            let TypeRef::Func(ty) = import.ty else {
                unreachable!("`refuse_imports` lets only functions through")
            };
            let found = &self.input.types[ty as usize];
            imports::check(import.module, import.name, found)?;
            self.input.imports.push(Import {
                module: import.module,
                name: import.name,
            });
            self.input.functions.push(ty);
        }
        Ok(())
    }

    fn memories(&mut self, section: wasmparser::MemorySectionReader<'a>) -> Result<(), Refusal> {
        for memory in section {
            let memory = memory?;
            if memory.shared {
                return Err(Refusal::Shared);
            }
            if memory.memory64 {
                return Err(Refusal::Memory64);
            }
            if memory.page_size_log2.is_some() {
                return Err(Refusal::PageSize);
            }
            // The whole address space is what a memory without a maximum has too.
            let max = memory.maximum.filter(|max| *max < 65_536);
            let memory = Memory {
                min: memory.initial,
                max,
            };
            if self.input.memory.replace(memory).is_some() {
                return Err(Refusal::Memories);
            }
        }
        Ok(())
    }

    fn tables(&mut self, section: wasmparser::TableSectionReader<'a>) -> Result<(), Refusal> {
        for table in section {
            let table = table?;
            if let TableInit::Expr(expr) = &table.init {
                // Only `ref.null` can be an initial value of the tables accepted here, and tables
                // start with it anyway.
                if !matches!(self.constant(expr)?, Const::Null(_)) {
                    return Err(super::consts::ConstError::Malformed.into());
                }
            }
            self.input.tables.push(table.ty);
        }
        Ok(())
    }

    fn globals(&mut self, section: wasmparser::GlobalSectionReader<'a>) -> Result<(), Refusal> {
        for global in section {
            let global = global?;
            let init = self.constant(&global.init_expr)?;
            self.input.globals.push(Global {
                ty: global.ty,
                init,
            });
        }
        Ok(())
    }

    fn exports(&mut self, section: wasmparser::ExportSectionReader<'a>) -> Result<(), Refusal> {
        for export in section {
            let export = export?;
            if export.name == "_start" {
                self.start_export = Some((export.kind, export.index));
            } else if extras::serves_the_kernel(export.name, export.kind) {
                let extra = Extra {
                    name: export.name.into(),
                    kind: export.kind,
                    index: export.index,
                };
                self.input.extras.push(extra);
            }
        }
        Ok(())
    }

    fn elements(&mut self, section: wasmparser::ElementSectionReader<'a>) -> Result<(), Refusal> {
        for (index, element) in section.into_iter().enumerate() {
            let element = element?;
            let (ty, items) = self.element_items(element.items)?;
            let kind = match element.kind {
                wasmparser::ElementKind::Passive => ElementKind::Passive,
                wasmparser::ElementKind::Declared => ElementKind::Declared,
                wasmparser::ElementKind::Active {
                    table_index,
                    offset_expr,
                } => {
                    let table = table_index.unwrap_or(0);
                    let offset = self.offset(&offset_expr)?;
                    let end = u64::from(offset) + items.len() as u64;
                    let entries = self.input.tables[table as usize].initial;
                    if end > entries {
                        return Err(Refusal::ElementBounds {
                            segment: index,
                            end,
                            entries,
                        });
                    }
                    ElementKind::Active { table, offset }
                }
            };
            self.input.elements.push(ElementSegment { kind, ty, items });
        }
        Ok(())
    }

    fn element_items(
        &self,
        items: wasmparser::ElementItems<'a>,
    ) -> Result<(RefType, Vec<Option<u32>>), Refusal> {
        match items {
            wasmparser::ElementItems::Functions(functions) => {
                let items = functions.into_iter().map(|f| Ok(Some(f?)));
                Ok((RefType::FUNCREF, items.collect::<Result<_, Refusal>>()?))
            }
            wasmparser::ElementItems::Expressions(ty, expressions) => {
                let items = expressions
                    .into_iter()
                    .map(|expr| match self.constant(&expr?)? {
                        Const::Func(index) => Ok(Some(index)),
                        Const::Null(_) => Ok(None),
                        _ => Err(super::consts::ConstError::Malformed.into()),
                    });
                Ok((ty, items.collect::<Result<_, Refusal>>()?))
            }
        }
    }

    fn data(&mut self, section: wasmparser::DataSectionReader<'a>) -> Result<(), Refusal> {
        for data in section {
            let data = data?;
            let kind = match &data.kind {
                wasmparser::DataKind::Passive => DataKind::Passive,
                wasmparser::DataKind::Active { offset_expr, .. } => DataKind::Active {
                    offset: self.offset(offset_expr)?,
                },
            };
            self.input.data.push(DataSegment {
                kind,
                bytes: data.data,
            });
        }
        Ok(())
    }

    fn names(&mut self, names: wasmparser::NameSectionReader<'a>) -> wasmparser::Result<()> {
        for name in names {
            if let wasmparser::Name::Function(map) = name? {
                for naming in map {
                    let naming = naming?;
                    self.input.names.insert(naming.index, naming.name);
                }
            }
        }
        Ok(())
    }

    fn constant(&self, expr: &wasmparser::ConstExpr<'a>) -> Result<Const, Refusal> {
        let value = |index: u32| {
            let global = self.input.globals.get(index as usize)?;
            (!global.ty.mutable).then_some(global.init)
        };
        Ok(evaluate(expr, value)?)
    }

    fn offset(&self, expr: &wasmparser::ConstExpr<'a>) -> Result<u32, Refusal> {
        match self.constant(expr)? {
            Const::I32(value) => Ok(value.cast_unsigned()),
            _ => Err(super::consts::ConstError::Malformed.into()),
        }
    }

    fn finish(mut self) -> Result<Input<'a>, Refusal> {
        let Some((kind, index)) = self.start_export else {
            return Err(Refusal::NoStart);
        };
        if kind != ExternalKind::Func {
            return Err(Refusal::StartType);
        }
        let ty = self.input.function_type(index);
        if !ty.params().is_empty() || !ty.results().is_empty() {
            return Err(Refusal::StartType);
        }
        self.input.entry = index;
        if extras::can_fork(&self.input) {
            let extras = extras::for_fork(&self.input);
            self.input.extras.extend(extras);
        }
        Ok(self.input)
    }
}

/// Refuses imports of anything but functions.
fn refuse_imports(section: wasmparser::ImportSectionReader<'_>) -> Result<(), Refusal> {
    for import in section.into_imports() {
        let import = import?;
        let kind = match import.ty {
            TypeRef::Func(_) => continue,
            TypeRef::FuncExact(_) => "function with an exact type",
            TypeRef::Memory(_) => "memory",
            TypeRef::Table(_) => "table",
            TypeRef::Global(_) => "global",
            TypeRef::Tag(_) => "exception tag",
        };
        let advice = match import.ty {
            TypeRef::Tag(_) => "link with -lsetjmp for setjmp, with -lunwind for C++",
            _ => "drop --import-memory, --import-table, -shared and -fPIC",
        };
        let (module, name) = (import.module.to_owned(), import.name.to_owned());
        return Err(Refusal::ImportKind {
            kind,
            module,
            name,
            advice,
        });
    }
    Ok(())
}
