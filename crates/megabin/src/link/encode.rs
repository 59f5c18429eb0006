//! Writes the output: sections in the order of the binary format, from the layout and the code.

use std::collections::BTreeSet;

use megabinary::digest::Digest;
use wasm_encoder::reencode::{Reencode, RoundtripReencoder};
use wasm_encoder::{
    CodeSection, DataCountSection, DataSection, DataSegment, DataSegmentMode, ElementMode,
    ElementSection, ElementSegment, Elements, EntityType, ExportKind, ExportSection, Function,
    FunctionSection, GlobalSection, GlobalType, ImportSection, MemorySection, MemoryType, Module,
    RefType, TableSection, TableType, TypeSection,
};
use wasmparser::ExternalKind;

use super::consts::Const;
use super::input::{ElementKind, Input};
use super::layout::{GlobalPlace, Helper, Layout, dispatch_type};
use super::scan::Usage;
use super::{Code, SWITCH_EXPORT, names, shim};

/// Everything the output is written from.
pub(crate) struct Parts<'a> {
    pub module_name: &'a str,
    pub layout: &'a Layout,
    pub inputs: &'a [Input<'a>],
    pub usages: &'a [Usage],
    /// The rewritten functions of each program, in order.
    pub code: &'a Code,
    /// Digests and the program each of them starts.
    pub targets: &'a [(Digest, usize)],
    /// Export name of each program's entry point.
    pub entries: &'a [String],
    /// Exports for the virtual kernel: program, its index of the export, the name in the output.
    pub extras: &'a [(usize, usize, String)],
}

/// The module without its metadata section.
pub(crate) fn module(parts: &Parts<'_>) -> Vec<u8> {
    let mut module = Module::new();
    module.section(&types(parts.layout));
    module.section(&imports(parts.layout));
    module.section(&functions(parts));
    if let Some(tables) = tables(parts) {
        module.section(&tables);
    }
    module.section(&memory(parts.layout));
    module.section(&globals(parts.layout));
    module.section(&exports(parts));
    if let Some(elements) = elements(parts) {
        module.section(&elements);
    }
    module.section(&DataCountSection { count: 1 });
    module.section(&code(parts));
    let mut data = DataSection::new();
    let bytes = parts.layout.data.iter().copied();
    data.segment(DataSegment {
        mode: DataSegmentMode::Passive,
        data: bytes,
    });
    module.section(&data);
    module.section(&names::section(
        parts.module_name,
        parts.layout,
        parts.inputs,
    ));
    module.finish()
}

fn val(ty: wasmparser::ValType) -> wasm_encoder::ValType {
    RoundtripReencoder
        .val_type(ty)
        .expect("numbers, vectors and funcref have no type index")
}

fn types(layout: &Layout) -> TypeSection {
    let mut section = TypeSection::new();
    for ty in &layout.types.list {
        let params = ty.params().iter().map(|t| val(*t));
        let results = ty.results().iter().map(|t| val(*t));
        section
            .ty()
            .function(params.collect::<Vec<_>>(), results.collect::<Vec<_>>());
    }
    section
}

fn imports(layout: &Layout) -> ImportSection {
    let mut section = ImportSection::new();
    for (module, name, ty) in &layout.imports {
        section.import(module, name, EntityType::Function(*ty));
    }
    section
}

fn functions(parts: &Parts<'_>) -> FunctionSection {
    let layout = parts.layout;
    let ty = |ty: &wasmparser::FuncType| layout.types.get(ty);
    let mut section = FunctionSection::new();
    for (input, places) in parts.inputs.iter().zip(&layout.programs) {
        for own in &input.functions[input.imports.len()..] {
            section.function(places.types[*own as usize]);
        }
        for class in &places.classes {
            section.function(ty(&class.function_type()));
        }
    }
    for helper in &layout.helpers {
        section.function(ty(&helper.ty()));
    }
    for _ in &layout.programs {
        section.function(ty(&wasmparser::FuncType::new([], [])));
    }
    section.function(ty(&dispatch_type()));
    section
}

fn tables(parts: &Parts<'_>) -> Option<TableSection> {
    let mut section = TableSection::new();
    for (input, places) in parts.inputs.iter().zip(&parts.layout.programs) {
        for table in input.tables.iter().filter(|_| places.tables.is_some()) {
            section.table(TableType {
                element_type: RefType::FUNCREF,
                table64: false,
                minimum: table.initial,
                maximum: table.maximum,
                shared: false,
            });
        }
    }
    (!section.is_empty()).then_some(section)
}

fn memory(layout: &Layout) -> MemorySection {
    let mut section = MemorySection::new();
    section.memory(MemoryType {
        minimum: layout.min_pages,
        maximum: layout.max_pages,
        memory64: false,
        shared: false,
        page_size_log2: None,
    });
    section
}

fn globals(layout: &Layout) -> GlobalSection {
    let mut section = GlobalSection::new();
    for ty in std::iter::once(&wasmparser::ValType::I32).chain(&layout.slots) {
        let zero = Const::zero(*ty).expect("slots have types that the features allow");
        let ty = GlobalType {
            val_type: val(*ty),
            mutable: true,
            shared: false,
        };
        section.global(ty, &zero.expr(|f| f));
    }
    section
}

fn exports(parts: &Parts<'_>) -> ExportSection {
    let mut section = ExportSection::new();
    section.export("memory", ExportKind::Memory, 0);
    section.export("_dispatch", ExportKind::Func, parts.layout.dispatch);
    section.export(SWITCH_EXPORT, ExportKind::Global, super::layout::SWITCH);
    for (entry, places) in parts.entries.iter().zip(&parts.layout.programs) {
        section.export(entry, ExportKind::Func, places.shim);
    }
    for (program, extra, name) in parts.extras {
        let places = &parts.layout.programs[*program];
        let extra = &parts.inputs[*program].extras[*extra];
        match (extra.kind, places.globals.get(extra.index as usize)) {
            (ExternalKind::Func, _) => {
                section.export(name, ExportKind::Func, places.function(extra.index));
            }
            (ExternalKind::Global, Some(GlobalPlace::Slot(slot))) => {
                section.export(name, ExportKind::Global, *slot);
            }
            _ => unreachable!("`exported_extras` lets only functions and slots through"),
        }
    }
    section
}

/// Kept tables' segments, then one that declares every function that `ref.func` names.
fn elements(parts: &Parts<'_>) -> Option<ElementSection> {
    let mut section = ElementSection::new();
    for (input, places) in parts.inputs.iter().zip(&parts.layout.programs) {
        let Some(kept) = &places.tables else { continue };
        for segment in &input.elements {
            let items = segment.items.iter();
            let functions: Option<Vec<u32>> = items
                .clone()
                .map(|f| f.map(|f| places.function(f)))
                .collect();
            let expressions: Vec<wasm_encoder::ConstExpr> = match functions {
                Some(_) => Vec::new(),
                None => items
                    .map(|f| {
                        f.map_or(Const::NullFunc, Const::Func)
                            .expr(|f| places.function(f))
                    })
                    .collect(),
            };
            let elements = match functions {
                Some(functions) => Elements::Functions(functions.into()),
                None => Elements::Expressions(RefType::FUNCREF, expressions.into()),
            };
            let offset = match segment.kind {
                ElementKind::Active { offset, .. } => Const::I32(offset.cast_signed()),
                _ => Const::I32(0),
            }
            .expr(|f| f);
            let mode = match segment.kind {
                ElementKind::Passive => ElementMode::Passive,
                ElementKind::Declared => ElementMode::Declared,
                ElementKind::Active { table, .. } => ElementMode::Active {
                    table: Some(kept.first_table + table).filter(|t| *t != 0),
                    offset: &offset,
                },
            };
            section.segment(ElementSegment { mode, elements });
        }
    }
    let declared: BTreeSet<u32> = parts
        .usages
        .iter()
        .zip(&parts.layout.programs)
        .flat_map(|(usage, places)| usage.ref_func.iter().map(|f| places.function(*f)))
        .collect();
    if !declared.is_empty() {
        let declared: Vec<u32> = declared.into_iter().collect();
        section.segment(ElementSegment {
            mode: ElementMode::Declared,
            elements: Elements::Functions(declared.into()),
        });
    }
    (!section.is_empty()).then_some(section)
}

fn code(parts: &Parts<'_>) -> CodeSection {
    let layout = parts.layout;
    let mut section = CodeSection::new();
    for (program, places) in layout.programs.iter().enumerate() {
        for body in parts.code.of(program) {
            section.raw(body);
        }
        for class in &places.classes {
            section.function(&class.function());
        }
    }
    for helper in &layout.helpers {
        section.function(&helper_code(layout, *helper));
    }
    for (input, places) in parts.inputs.iter().zip(&layout.programs) {
        section.function(&shim::entry(layout, input, places));
    }
    let targets: Vec<(Digest, u32)> = parts
        .targets
        .iter()
        .map(|(digest, program)| (*digest, layout.programs[*program].shim))
        .collect();
    section.function(&megabinary::dispatch::canonical_body(&targets));
    section
}

fn helper_code(layout: &Layout, helper: Helper) -> Function {
    match helper {
        Helper::Grow { max } => shim::grow(max),
        Helper::Init { program, segment } => {
            shim::init(&layout.programs[program].passive[&segment])
        }
    }
}
