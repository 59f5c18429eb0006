//! Tables: trampolines instead of them, or a table of the program's own.

use std::collections::BTreeMap;

use super::{Layout, Places, check_limit};
use crate::link::error::LinkError;
use crate::link::input::{ElementKind, Input};
use crate::link::scan::Usage;
use crate::link::trampoline::Class;

/// A program with more table entries than this keeps its table: trampolines would cost more
/// compile time and code than a table costs at instantiation.
const MAX_TRAMPOLINE_ENTRIES: usize = 65_536;

/// Limits that engines agreed on (the JS API's), and the validator enforces.
const MAX_TABLES: u64 = 100;
const MAX_PARAMS: usize = 1000;

/// Whether the program's tables are kept as tables: its code uses them as objects, or there are
/// too many entries, or a type whose trampoline would have too many parameters.
pub(super) fn keeps_tables(input: &Input<'_>, usage: &Usage) -> bool {
    let entries: usize = input.elements.iter().map(|e| e.items.len()).sum();
    usage.table_access
        || entries > MAX_TRAMPOLINE_ENTRIES
        || usage
            .indirect
            .iter()
            .any(|(_, ty)| input.types[*ty as usize].params().len() >= MAX_PARAMS)
}

pub(super) fn trampolines(places: &mut Places, input: &Input<'_>, usage: &Usage, first: u32) {
    let contents = table_contents(input);
    for (table, ty) in &usage.indirect {
        let out = places.types[*ty as usize];
        let tail = usage.tail.contains(&(*table, *ty));
        let nth = places.classes.len() as u32;
        if let Some(existing) = places.trampolines.get(&(*table, out)) {
            // Two of the program's types are the same type: one trampoline serves both.
            places.classes[(existing - first) as usize].tail |= tail;
            continue;
        }
        let wanted = &input.types[*ty as usize];
        let entries = contents[*table as usize]
            .iter()
            .filter(|(_, function)| input.function_type(**function) == wanted)
            .map(|(entry, function)| (*entry, places.function(*function)))
            .collect();
        places.trampolines.insert((*table, out), first + nth);
        places.classes.push(Class {
            ty: wanted.clone(),
            entries,
            tail,
        });
    }
}

/// What each table holds before the program runs: entry to function, null entries left out.
fn table_contents(input: &Input<'_>) -> Vec<BTreeMap<u32, u32>> {
    let mut contents = vec![BTreeMap::new(); input.tables.len()];
    for segment in &input.elements {
        let ElementKind::Active { table, offset } = segment.kind else {
            continue;
        };
        let table = &mut contents[table as usize];
        for (entry, item) in (offset..).zip(&segment.items) {
            match item {
                Some(function) => table.insert(entry, *function),
                None => table.remove(&entry),
            };
        }
    }
    contents
}

pub(super) fn tables(layout: &mut Layout, inputs: &[Input<'_>]) -> Result<(), LinkError> {
    let (mut next_table, mut next_element) = (0, 0);
    for (places, input) in layout.programs.iter_mut().zip(inputs) {
        let Some(kept) = &mut places.tables else {
            continue;
        };
        kept.first_table = next_table;
        kept.elements = (next_element..).take(input.elements.len()).collect();
        next_table += input.tables.len() as u32;
        next_element += input.elements.len() as u32;
    }
    let kept = |i: &Input<'_>| i.tables.len() as u64;
    check_limit(
        "tables of their own",
        u64::from(next_table),
        MAX_TABLES,
        inputs,
        kept,
    )
}
