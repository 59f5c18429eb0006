//! Which functions each program can reach: a walk over the calls from its entry point.
//!
//! Works on any module. What the linker writes so that a shared function reaches the running
//! program's own code, a *switch* on a global that only entry points set, is followed only to the arm
//! of that program; anything else counts as reaching all that it names.

use std::collections::{BTreeMap, BTreeSet};

use wasmparser::{ElementItems, ElementKind, FunctionBody, Operator, Parser, Payload};

/// What a function names.
#[derive(Debug, Default)]
struct Calls {
    functions: Vec<u32>,
    /// Tables that it calls through.
    tables: Vec<u32>,
    /// Element segments that it copies.
    segments: Vec<u32>,
    /// Constants that it sets globals to; `None` for other values.
    sets: BTreeMap<u32, Option<i32>>,
    /// It is a switch: the global, and the function for each of its values.
    switch: Option<(u32, Vec<Option<u32>>)>,
}

/// The calls of a whole module.
#[derive(Debug, Default)]
pub(super) struct CallGraph {
    imports: u32,
    functions: Vec<Calls>,
    /// Bytes of each function's code.
    pub sizes: Vec<u64>,
    exports: BTreeMap<String, u32>,
    /// The table of each active element segment, and the functions of all segments.
    segments: Vec<(Option<u32>, Vec<u32>)>,
}

impl CallGraph {
    /// Reads a valid module; what cannot be read counts as nothing.
    pub(super) fn read(wasm: &[u8]) -> Self {
        let mut graph = Self::default();
        for payload in Parser::new(0).parse_all(wasm).map_while(Result::ok) {
            // A damaged part was refused before.
            let _ = graph.payload(payload);
        }
        graph
    }

    fn payload(&mut self, payload: Payload<'_>) -> wasmparser::Result<()> {
        match payload {
            Payload::ImportSection(section) => {
                for import in section.into_imports() {
                    if matches!(import?.ty, wasmparser::TypeRef::Func(_)) {
                        self.imports += 1;
                    }
                }
            }
            Payload::ExportSection(section) => {
                for export in section {
                    let export = export?;
                    if export.kind == wasmparser::ExternalKind::Func {
                        self.exports.insert(export.name.to_owned(), export.index);
                    }
                }
            }
            Payload::ElementSection(section) => {
                for element in section {
                    let element = element?;
                    let table = match element.kind {
                        ElementKind::Active { table_index, .. } => Some(table_index.unwrap_or(0)),
                        ElementKind::Passive | ElementKind::Declared => None,
                    };
                    self.segments.push((table, items(element.items)?));
                }
            }
            Payload::CodeSectionEntry(body) => {
                self.sizes.push(body.range().len() as u64);
                self.functions.push(calls(&body)?);
            }
            _ => {}
        }
        Ok(())
    }

    /// The functions with code that are reached from the exports `roots`, of which the first is the
    /// program's entry point; by their places in the code section.
    pub(super) fn reached<'r>(&self, mut roots: impl Iterator<Item = &'r str>) -> BTreeSet<u32> {
        let mut todo = Vec::new();
        let entry = roots
            .next()
            .and_then(|name| self.exports.get(name).copied());
        let empty = Calls::default();
        let entry_calls = entry
            .and_then(|entry| {
                self.functions
                    .get(entry.checked_sub(self.imports)? as usize)
            })
            .unwrap_or(&empty);
        todo.extend(entry);
        todo.extend(roots.filter_map(|name| self.exports.get(name).copied()));
        let mut seen = BTreeSet::new();
        while let Some(function) = todo.pop() {
            let Some(place) = function.checked_sub(self.imports) else {
                continue;
            };
            let Some(calls) = self.functions.get(place as usize) else {
                continue;
            };
            if !seen.insert(place) {
                continue;
            }
            if let Some((global, arms)) = &calls.switch {
                // A global that the entry point does not set is 0.
                if let Some(value) = entry_calls.sets.get(global).unwrap_or(&Some(0)) {
                    let arm = usize::try_from(*value).ok().and_then(|v| arms.get(v));
                    todo.extend(arm.copied().flatten());
                    continue;
                }
            }
            todo.extend(&calls.functions);
            for table in &calls.tables {
                let active = self.segments.iter().filter(|(of, _)| *of == Some(*table));
                todo.extend(active.flat_map(|(_, functions)| functions));
            }
            for segment in &calls.segments {
                todo.extend(
                    self.segments
                        .get(*segment as usize)
                        .iter()
                        .flat_map(|s| &s.1),
                );
            }
        }
        seen
    }

    /// Takes from switches what makes them switches where another function than one of `entries`
    /// sets their global.
    pub(super) fn distrust(&mut self, entries: &BTreeSet<&str>) {
        let entries: BTreeSet<u32> = entries
            .iter()
            .filter_map(|name| self.exports.get(*name)?.checked_sub(self.imports))
            .collect();
        let set_elsewhere: BTreeSet<u32> = (0u32..)
            .zip(&self.functions)
            .filter(|(place, _)| !entries.contains(place))
            .flat_map(|(_, calls)| calls.sets.keys().copied())
            .collect();
        for calls in &mut self.functions {
            calls.switch = calls
                .switch
                .take()
                .filter(|(global, _)| !set_elsewhere.contains(global));
        }
    }
}

fn items(items: ElementItems<'_>) -> wasmparser::Result<Vec<u32>> {
    match items {
        ElementItems::Functions(functions) => functions.into_iter().collect(),
        ElementItems::Expressions(_, expressions) => {
            let mut functions = Vec::new();
            for expression in expressions {
                let mut operators = expression?.get_operators_reader();
                while !operators.eof() {
                    if let Operator::RefFunc { function_index } = operators.read()? {
                        functions.push(function_index);
                    }
                }
            }
            Ok(functions)
        }
    }
}

fn calls(body: &FunctionBody<'_>) -> wasmparser::Result<Calls> {
    let mut calls = Calls::default();
    let mut constant = None;
    let mut operators = body.get_operators_reader()?;
    while !operators.eof() {
        let operator = operators.read()?;
        let before = constant.take();
        match operator {
            Operator::I32Const { value } => constant = Some(value),
            Operator::GlobalSet { global_index } => {
                let known = calls.sets.entry(global_index).or_insert(before);
                *known = known.filter(|value| Some(*value) == before);
            }
            Operator::Call { function_index }
            | Operator::ReturnCall { function_index }
            | Operator::RefFunc { function_index } => calls.functions.push(function_index),
            Operator::CallIndirect { table_index, .. }
            | Operator::ReturnCallIndirect { table_index, .. } => calls.tables.push(table_index),
            Operator::TableInit { elem_index, .. } => calls.segments.push(elem_index),
            _ => {}
        }
    }
    calls.switch = switch(body)?;
    Ok(calls)
}

/// Reads `block* (global.get g) (br_table ...)`, then for each block its `end` and a tail call with
/// the function's own parameters; all else is no switch.
fn switch(body: &FunctionBody<'_>) -> wasmparser::Result<Option<(u32, Vec<Option<u32>>)>> {
    let mut operators = body.get_operators_reader()?;
    let mut blocks = 0;
    let global = loop {
        match operators.read()? {
            Operator::Block { .. } => blocks += 1,
            Operator::GlobalGet { global_index } => break global_index,
            _ => return Ok(None),
        }
    };
    let Operator::BrTable { targets } = operators.read()? else {
        return Ok(None);
    };
    let mut arms = Vec::new();
    for _ in 1..blocks {
        if !matches!(operators.read()?, Operator::End) {
            return Ok(None);
        }
        let called = loop {
            match operators.read()? {
                Operator::LocalGet { .. } => {}
                Operator::ReturnCall { function_index } => break function_index,
                _ => return Ok(None),
            }
        };
        arms.push(called);
    }
    let labels = targets
        .targets()
        .collect::<wasmparser::Result<Vec<u32>>>()?;
    let arm = |label: u32| arms.get(label as usize).copied();
    Ok(Some((global, labels.into_iter().map(arm).collect())))
}
