//! Where every part of every program lies in the output. Decided before any code is rewritten, so
//! that the rewriting can run in parallel and its result does not depend on its order.
//!
//! Provisional function numbers, in this order: imports; then for each program its functions and its
//! trampolines; then the helpers. Folding makes them final; switches, entry shims and `_dispatch`
//! follow what it keeps.

mod data;
mod tables;

use std::collections::BTreeMap;

use wasmparser::{FuncType, ValType};

use super::consts::Const;
use super::error::LinkError;
use super::image::Piece;
use super::input::Input;
use super::scan::Usage;
use super::trampoline::Class;
use data::{Blob, data};
use tables::{keeps_tables, tables, trampolines};

/// Limits that engines agreed on (the JS API's), and the validator enforces.
const MAX_FUNCTIONS: u64 = 1_000_000;

/// Index of the host-image switch among the output's globals; the slots follow it.
pub(crate) const SWITCH: u32 = 0;

/// What became of a program's global.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum GlobalPlace {
    /// It shares this global of the output with other programs'.
    Slot(u32),
    /// It never changes: its uses become this constant.
    Const(Const),
}

/// What became of a passive data segment that the program's code names.
#[derive(Debug)]
pub(crate) struct PassivePlace {
    /// Helper that does `memory.init` on it; `None` where only `data.drop` names it.
    pub init: Option<u32>,
    /// Slot that holds its length, 0 once dropped.
    pub slot: u32,
    /// Where its bytes lie in the output's data segment.
    pub offset: u32,
    pub len: u32,
}

/// The parts of one program in the output's index spaces.
#[derive(Debug, Default)]
pub(crate) struct Places {
    pub imports: Vec<u32>,
    pub first_function: u32,
    pub types: Vec<u32>,
    pub globals: Vec<GlobalPlace>,
    pub tags: Vec<u32>,
    /// Trampolines by (table, output type): the functions that stand for `call_indirect`.
    pub trampolines: BTreeMap<(u32, u32), u32>,
    /// What each trampoline calls, in the order of their function indices.
    pub classes: Vec<Class>,
    /// The program's own tables and element segments, where it keeps them.
    pub tables: Option<Kept>,
    /// Helper for `memory.grow` that respects the program's own maximum.
    pub grow: Option<u32>,
    pub passive: BTreeMap<u32, PassivePlace>,
    /// The initial memory and where each piece lies in the output's data segment.
    pub image: Vec<(Piece, u32)>,
}

/// Tables that a program keeps because its code uses them as objects.
#[derive(Debug)]
pub(crate) struct Kept {
    pub first_table: u32,
    /// Output index of each of the program's element segments.
    pub elements: Vec<u32>,
}

impl Places {
    /// The provisional number of one of the program's functions.
    pub(crate) fn function(&self, index: u32) -> u32 {
        match self.imports.get(index as usize) {
            Some(import) => *import,
            None => self.first_function + (index - self.imports.len() as u32),
        }
    }
}

/// A function that the linker itself writes, besides trampolines and shims.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Helper {
    /// `memory.grow` up to `max` pages.
    Grow { max: u64 },
    /// `memory.init` from the program's passive segment `segment`.
    Init { program: usize, segment: u32 },
}

/// The plan of the output.
#[derive(Debug, Default)]
pub(crate) struct Layout {
    pub types: Types,
    /// Module, name and type of each import.
    pub imports: Vec<(String, String, u32)>,
    /// Types of the slots, which are globals `SWITCH + 1 ..`.
    pub slots: Vec<ValType>,
    /// Types of the tags. None where no program has to do with exceptions.
    pub tags: Vec<u32>,
    pub programs: Vec<Places>,
    pub helpers: Vec<Helper>,
    pub first_helper: u32,
    /// Smallest initial size over the programs that have a memory, in pages.
    pub min_pages: u64,
    /// Largest maximum, `None` if one program has none.
    pub max_pages: Option<u64>,
    pub data: Vec<u8>,
}

/// The output's function types, each once.
#[derive(Debug, Default)]
pub(crate) struct Types {
    pub list: Vec<FuncType>,
    index: BTreeMap<FuncType, u32>,
}

impl Types {
    /// The index of a type that [`plan`] interned.
    pub(crate) fn get(&self, ty: &FuncType) -> u32 {
        *self
            .index
            .get(ty)
            .expect("the plan interns the type of every function")
    }

    /// The index of `ty`, which is added if it is new.
    pub(crate) fn intern(&mut self, ty: &FuncType) -> u32 {
        if let Some(index) = self.index.get(ty) {
            return *index;
        }
        let index = self.list.len() as u32;
        self.list.push(ty.clone());
        self.index.insert(ty.clone(), index);
        index
    }
}

/// Plans the output for `inputs`, whose code uses `usages`.
pub(crate) fn plan(inputs: &[Input<'_>], usages: &[Usage]) -> Result<Layout, LinkError> {
    let mut layout = Layout::default();
    memory(&mut layout, inputs);
    let mut slots = Slots::default();
    for input in inputs {
        layout.programs.push(Places {
            types: input
                .types
                .iter()
                .map(|ty| layout.types.intern(ty))
                .collect(),
            globals: globals(input, &mut slots),
            ..Places::default()
        });
    }
    imports(&mut layout, inputs)?;
    tags(&mut layout, inputs, usages);
    functions(&mut layout, inputs, usages)?;
    tables(&mut layout, inputs)?;
    let mut blob = Blob::default();
    for (index, input) in inputs.iter().enumerate() {
        data(
            &mut layout,
            &mut slots,
            &mut blob,
            index,
            input,
            &usages[index],
        )?;
    }
    layout.data = blob.bytes;
    layout.slots = slots.list;
    helpers(&mut layout, inputs, usages);
    Ok(layout)
}

fn memory(layout: &mut Layout, inputs: &[Input<'_>]) {
    let memories = || inputs.iter().filter_map(|input| input.memory);
    layout.min_pages = memories().map(|m| m.min).min().unwrap_or(0);
    layout.max_pages = memories()
        .map(|m| m.max)
        .reduce(|a, b| Some(a?.max(b?)))
        // Without any memory of its own, no program can use or grow the one that the format wants.
        .unwrap_or(Some(0));
}

/// Shared slots: the n-th mutable global of a type is the same slot in every program, so that the
/// same code in two programs stays the same bytes.
#[derive(Default)]
struct Slots {
    list: Vec<ValType>,
    index: BTreeMap<(String, u32), u32>,
}

impl Slots {
    fn get(&mut self, ty: ValType, nth: u32) -> u32 {
        // `ValType` has no order; its name is unique.
        *self.index.entry((ty.to_string(), nth)).or_insert_with(|| {
            self.list.push(ty);
            SWITCH + self.list.len() as u32
        })
    }
}

fn globals(input: &Input<'_>, slots: &mut Slots) -> Vec<GlobalPlace> {
    let mut counts: BTreeMap<String, u32> = BTreeMap::new();
    input
        .globals
        .iter()
        .map(|global| {
            if !global.ty.mutable {
                return GlobalPlace::Const(global.init);
            }
            let ty = global.ty.content_type;
            let nth = counts.entry(ty.to_string()).or_default();
            let slot = slots.get(ty, *nth);
            *nth += 1;
            GlobalPlace::Slot(slot)
        })
        .collect()
}

/// Shared tags, as slots are shared: the n-th tag of a type is the same in every program. Nothing that
/// one program throws can reach another, which runs in another instance.
fn tags(layout: &mut Layout, inputs: &[Input<'_>], usages: &[Usage]) {
    let mut index: BTreeMap<(u32, u32), u32> = BTreeMap::new();
    for (input, places) in inputs.iter().zip(&mut layout.programs) {
        let mut counts: BTreeMap<u32, u32> = BTreeMap::new();
        for ty in &input.tags {
            let ty = places.types[*ty as usize];
            let nth = counts.entry(ty).or_default();
            let tag = *index.entry((ty, *nth)).or_insert_with(|| {
                layout.tags.push(ty);
                layout.tags.len() as u32 - 1
            });
            *nth += 1;
            places.tags.push(tag);
        }
    }
    // The format tells by the tags whether there are exceptions.
    if layout.tags.is_empty() && usages.iter().any(|usage| usage.exceptions) {
        let empty = layout.types.intern(&FuncType::new([], []));
        layout.tags.push(empty);
    }
}

fn imports(layout: &mut Layout, inputs: &[Input<'_>]) -> Result<(), LinkError> {
    let mut all: BTreeMap<(&str, &str), (u32, &str)> = BTreeMap::new();
    for (input, places) in inputs.iter().zip(&layout.programs) {
        for (import, ty) in input.imports.iter().zip(&input.functions) {
            let ty = places.types[*ty as usize];
            let known = all
                .entry((import.module, import.name))
                .or_insert((ty, input.origin));
            // The table of host calls settles most types; it does not know those of all modules.
            if known.0 != ty {
                return Err(LinkError::ImportConflict {
                    module: import.module.to_owned(),
                    name: import.name.to_owned(),
                    first: known.1.to_owned(),
                    second: input.origin.to_owned(),
                });
            }
        }
    }
    let index: BTreeMap<_, u32> = all.keys().copied().zip(0..).collect();
    for (input, places) in inputs.iter().zip(&mut layout.programs) {
        places.imports = input
            .imports
            .iter()
            .map(|i| index[&(i.module, i.name)])
            .collect();
    }
    layout.imports = all
        .into_iter()
        .map(|((module, name), (ty, _))| (module.to_owned(), name.to_owned(), ty))
        .collect();
    Ok(())
}

fn functions(layout: &mut Layout, inputs: &[Input<'_>], usages: &[Usage]) -> Result<(), LinkError> {
    let mut next = layout.imports.len() as u64;
    for (index, input) in inputs.iter().enumerate() {
        // Truncation is caught by the limit below.
        layout.programs[index].first_function = next as u32;
        next += input.bodies.len() as u64;
        if keeps_tables(input, &usages[index]) {
            layout.programs[index].tables = Some(Kept {
                first_table: 0,
                elements: Vec::new(),
            });
        } else {
            trampolines(
                &mut layout.programs[index],
                input,
                &usages[index],
                next as u32,
            );
            next += layout.programs[index].classes.len() as u64;
        }
    }
    layout.first_helper = next as u32;
    // Helpers and shims are counted generously: a grow helper, a shim and one per passive segment.
    let rest: u64 = usages
        .iter()
        .map(|u| 2 + u.memory_init.len() as u64)
        .sum::<u64>()
        + 1;
    check_limit("functions", next + rest, MAX_FUNCTIONS, inputs, |i| {
        i.functions.len() as u64
    })
}

fn helpers(layout: &mut Layout, inputs: &[Input<'_>], usages: &[Usage]) {
    let mut next = layout.first_helper;
    let mut grows: BTreeMap<u64, u32> = BTreeMap::new();
    for (index, (input, usage)) in inputs.iter().zip(usages).enumerate() {
        let places = &mut layout.programs[index];
        let own_max = input.memory.and_then(|m| m.max);
        if let Some(max) = own_max.filter(|_| usage.memory_grow && own_max != layout.max_pages) {
            places.grow = Some(*grows.entry(max).or_insert_with(|| {
                layout.helpers.push(Helper::Grow { max });
                next += 1;
                next - 1
            }));
        }
        for segment in &usage.memory_init {
            let place = places
                .passive
                .get_mut(segment)
                .expect("every named segment has a place");
            place.init = Some(next);
            layout.helpers.push(Helper::Init {
                program: index,
                segment: *segment,
            });
            next += 1;
        }
    }
    layout.types.intern(&FuncType::new([], []));
    for helper in &layout.helpers {
        layout.types.intern(&helper.ty());
    }
    layout.types.intern(&dispatch_type());
    for places in &layout.programs {
        for class in &places.classes {
            layout.types.intern(&class.function_type());
        }
    }
}

impl Helper {
    /// The program it belongs to, where it is not for all.
    pub(crate) fn program(&self) -> Option<usize> {
        match self {
            Helper::Grow { .. } => None,
            Helper::Init { program, .. } => Some(*program),
        }
    }

    /// The helper's type.
    pub(crate) fn ty(&self) -> FuncType {
        match self {
            Helper::Grow { .. } => FuncType::new([ValType::I32], [ValType::I32]),
            Helper::Init { .. } => FuncType::new([ValType::I32; 3], []),
        }
    }
}

/// The type of `_dispatch`.
pub(crate) fn dispatch_type() -> FuncType {
    FuncType::new([ValType::I64; 4], [ValType::I32])
}

fn check_limit(
    what: &'static str,
    count: u64,
    limit: u64,
    inputs: &[Input<'_>],
    share: impl Fn(&Input<'_>) -> u64,
) -> Result<(), LinkError> {
    if count <= limit {
        return Ok(());
    }
    let largest = inputs
        .iter()
        .max_by_key(|i| share(i))
        .expect("a count over 0 has an input");
    Err(LinkError::Limit {
        what,
        count,
        limit,
        largest: largest.origin.to_owned(),
        largest_count: share(largest),
    })
}
