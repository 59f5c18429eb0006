//! Writes the output: sections in the order of the binary format, from the layout and the code.

use std::collections::BTreeSet;

use megabinary::digest::Digest;
use wasm_encoder::reencode::{Reencode, RoundtripReencoder};
use wasm_encoder::{
    CodeSection, DataCountSection, DataSection, DataSegment, DataSegmentMode, ElementMode,
    ElementSection, ElementSegment, Elements, EntityType, ExportKind, ExportSection,
    FunctionSection, GlobalSection, GlobalType, ImportSection, MemorySection, MemoryType, Module,
    TableSection, TableType, TagKind, TagSection, TagType, TypeSection,
};
use wasmparser::ExternalKind;

use super::consts::Const;
use super::error::{LinkError, Refusal};
use super::input::{ElementKind, Input};
use super::layout::{GlobalPlace, Layout, dispatch_type};
use super::names::Namer;
use super::output::Output;
use super::scan::Usage;
use super::{SWITCH_EXPORT, names, shim};

/// Longest function that engines take, in bytes.
const MAX_FUNCTION_SIZE: usize = 7_654_321;

/// Everything the output is written from.
pub(crate) struct Parts<'a> {
    pub module_name: &'a str,
    pub output: Output<'a>,
    pub inputs: &'a [Input<'a>],
    pub usages: &'a [Usage],
    /// Digests and the program each of them starts.
    pub targets: &'a [(Digest, usize)],
    /// Export name of each program's entry point.
    pub entries: &'a [String],
    /// Exports for the virtual kernel: program, its index of the export, the name in the output.
    pub extras: &'a [(usize, usize, String)],
}

/// The module without its metadata section.
pub(crate) fn module(parts: &Parts<'_>) -> Result<Vec<u8>, LinkError> {
    let layout = parts.output.layout;
    let mut module = Module::new();
    module.section(&types(layout));
    module.section(&imports(layout));
    module.section(&functions(parts));
    if let Some(tables) = tables(parts) {
        module.section(&tables);
    }
    module.section(&memory(layout));
    if !layout.tags.is_empty() {
        module.section(&tags(layout));
    }
    module.section(&globals(&parts.output));
    module.section(&exports(parts));
    if let Some(elements) = elements(parts) {
        module.section(&elements);
    }
    module.section(&DataCountSection { count: 1 });
    module.section(&code(parts)?);
    let mut data = DataSection::new();
    let bytes = layout.data.iter().copied();
    data.segment(DataSegment {
        mode: DataSegmentMode::Passive,
        data: bytes,
    });
    module.section(&data);
    module.section(&names::section(
        parts.module_name,
        &parts.output,
        parts.inputs,
    ));
    Ok(module.finish())
}

fn val(ty: wasmparser::ValType) -> wasm_encoder::ValType {
    RoundtripReencoder
        .val_type(ty)
        .expect("numbers, vectors and the references that the features allow have no type index")
}

fn reference(ty: wasmparser::RefType) -> wasm_encoder::RefType {
    RoundtripReencoder
        .ref_type(ty)
        .expect("the references that the features allow have no type index")
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
    let output = &parts.output;
    let ty = |ty: &wasmparser::FuncType| output.layout.types.get(ty);
    let mut section = FunctionSection::new();
    for kept in &output.folded.kept {
        section.function(output.code.functions[kept.members[0] as usize].ty);
    }
    for switch in &output.folded.switches {
        section.function(output.switch_type(switch));
    }
    for _ in &output.layout.programs {
        section.function(ty(&wasmparser::FuncType::new([], [])));
    }
    section.function(ty(&dispatch_type()));
    section
}

fn tables(parts: &Parts<'_>) -> Option<TableSection> {
    let mut section = TableSection::new();
    for (input, places) in parts.inputs.iter().zip(&parts.output.layout.programs) {
        for table in input.tables.iter().filter(|_| places.tables.is_some()) {
            section.table(TableType {
                element_type: reference(table.element_type),
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

fn tags(layout: &Layout) -> TagSection {
    let mut section = TagSection::new();
    for ty in &layout.tags {
        section.tag(TagType {
            kind: TagKind::Exception,
            func_type_idx: *ty,
        });
    }
    section
}

fn globals(output: &Output<'_>) -> GlobalSection {
    let i32 = wasmparser::ValType::I32;
    let extra = vec![i32; output.extra_globals() as usize];
    let mut section = GlobalSection::new();
    for ty in std::iter::once(&i32)
        .chain(&output.layout.slots)
        .chain(&extra)
    {
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
    let output = &parts.output;
    let mut section = ExportSection::new();
    section.export("memory", ExportKind::Memory, 0);
    section.export("_dispatch", ExportKind::Func, output.dispatch());
    section.export(SWITCH_EXPORT, ExportKind::Global, super::layout::SWITCH);
    for (program, entry) in parts.entries.iter().enumerate() {
        section.export(entry, ExportKind::Func, output.shim(program));
    }
    for (program, extra, name) in parts.extras {
        let places = &output.layout.programs[*program];
        let extra = &parts.inputs[*program].extras[*extra];
        match (extra.kind, places.globals.get(extra.index as usize)) {
            (ExternalKind::Func, _) => {
                let function = output.function(*program, extra.index);
                section.export(name, ExportKind::Func, function);
            }
            (ExternalKind::Global, Some(GlobalPlace::Slot(slot))) => {
                section.export(name, ExportKind::Global, *slot);
            }
            _ => unreachable!("`extras::exported` lets only functions and slots through"),
        }
    }
    section
}

/// Kept tables' segments, then one that declares every function that `ref.func` names.
fn elements(parts: &Parts<'_>) -> Option<ElementSection> {
    let output = &parts.output;
    let mut section = ElementSection::new();
    for (program, (input, places)) in parts.inputs.iter().zip(&output.layout.programs).enumerate() {
        let Some(kept) = &places.tables else { continue };
        let function = |own: u32| output.function(program, own);
        for segment in &input.elements {
            let items = segment.items.iter();
            let functions: Option<Vec<u32>> = match segment.ty.is_func_ref() {
                true => items.clone().map(|f| f.map(function)).collect(),
                false => None,
            };
            let null = Const::Null(segment.ty.heap_type());
            let expressions: Vec<wasm_encoder::ConstExpr> = match functions {
                Some(_) => Vec::new(),
                None => items
                    .map(|f| f.map_or(null, Const::Func).expr(function))
                    .collect(),
            };
            let elements = match functions {
                Some(functions) => Elements::Functions(functions.into()),
                None => Elements::Expressions(reference(segment.ty), expressions.into()),
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
        .enumerate()
        .flat_map(|(program, usage)| {
            usage
                .ref_func
                .iter()
                .map(move |f| output.function(program, *f))
        })
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

fn code(parts: &Parts<'_>) -> Result<CodeSection, LinkError> {
    let output = &parts.output;
    let mut section = CodeSection::new();
    for kept in &output.folded.kept {
        let body = output.body(kept);
        if body.len() > MAX_FUNCTION_SIZE {
            return Err(too_long(parts, kept.members[0], body.len()));
        }
        section.raw(&body);
    }
    for switch in &output.folded.switches {
        section.function(&shim::switch(output, switch));
    }
    for (program, input) in parts.inputs.iter().enumerate() {
        section.function(&shim::entry(output, input, program));
    }
    let targets: Vec<(Digest, u32)> = parts
        .targets
        .iter()
        .map(|(digest, program)| (*digest, output.shim(*program)))
        .collect();
    section.function(&megabinary::dispatch::canonical_body(&targets));
    Ok(section)
}

fn too_long(parts: &Parts<'_>, function: u32, bytes: usize) -> LinkError {
    let (layout, inputs) = (parts.output.layout, parts.inputs);
    let (program, name) = Namer { layout, inputs }.name(function);
    Refusal::FunctionSize {
        name,
        bytes,
        limit: MAX_FUNCTION_SIZE,
    }
    .of(program.map_or("megabin", |program| inputs[program].origin))
}
