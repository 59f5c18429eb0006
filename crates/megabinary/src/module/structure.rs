//! The structural rules: one memory, no start function, passive data, the exports, and `_dispatch`.

use std::collections::HashMap;

use wasmparser::{ExternalKind, Operator, ValType};

use super::scan::Scan;
use super::{MEMORY_EXPORT, ModuleError};
use crate::dispatch;
use crate::section::{Program, Section};

pub(super) fn check(scan: &Scan<'_>, section: &Section) -> Result<(), ModuleError> {
    if scan.start {
        return Err(ModuleError::StartFunction);
    }
    check_memory(scan, section)?;
    check_data(scan, section)?;
    check_image_switch(scan, &section.image_switch)?;
    let mut entries = HashMap::new();
    for program in &section.programs {
        let index = function_export(
            scan,
            program.entry.as_str(),
            "an entry point",
            "a function () -> ()",
            &[],
            &[],
        )?;
        entries.insert(&program.entry, index);
        check_extra_exports(scan, program)?;
    }
    let words = [ValType::I64; 4];
    let dispatcher = function_export(
        scan,
        dispatch::EXPORT,
        "the dispatcher",
        "a function (i64, i64, i64, i64) -> i32",
        &words,
        &[ValType::I32],
    )?;
    // `Section::check` held: every target's entry point is a program's.
    let targets: Vec<_> = section
        .targets
        .iter()
        .map(|target| (target.digest, entries[&target.entry]))
        .collect();
    let canonical = dispatch::canonical_body(&targets).into_raw_body();
    match body(scan, dispatcher) {
        Some(bytes) if bytes == canonical => Ok(()),
        _ => Err(ModuleError::Dispatch),
    }
}

/// The bytes of a function's body; none for an imported function.
fn body<'a>(scan: &Scan<'a>, function: u32) -> Option<&'a [u8]> {
    let own = usize::try_from(function)
        .ok()?
        .checked_sub(scan.imported_functions)?;
    scan.bytes.get(scan.bodies.get(own)?.clone())
}

fn check_memory(scan: &Scan<'_>, section: &Section) -> Result<(), ModuleError> {
    let wrong = |what| Err(ModuleError::Memory { what });
    let [memory] = scan.memories.as_slice() else {
        return wrong("there must be exactly one");
    };
    if memory.memory64 || memory.shared || memory.page_size_log2.is_some() {
        return wrong("it must be a 32-bit, unshared one with pages of 64 KiB");
    }
    match scan.exports.get(MEMORY_EXPORT) {
        Some((ExternalKind::Memory, 0)) => {}
        _ => return wrong("it must be exported as `memory`"),
    }
    for program in &section.programs {
        let size = |bound, module| ModuleError::MemorySize {
            bound,
            module,
            program: program.name.to_string(),
            needed: program.min_pages,
        };
        if memory.initial > program.min_pages {
            return Err(size("at least", memory.initial));
        }
        if let Some(maximum) = memory
            .maximum
            .filter(|&maximum| maximum < program.min_pages)
        {
            return Err(size("at most", maximum));
        }
    }
    Ok(())
}

fn check_data(scan: &Scan<'_>, section: &Section) -> Result<(), ModuleError> {
    if let Some(index) = scan.data.iter().position(Option::is_none) {
        return Err(ModuleError::ActiveData {
            index: index as u32,
        });
    }
    let data = scan.image_data().len() as u64;
    for program in &section.programs {
        for (index, segment) in program.segments.iter().enumerate() {
            let end = u64::from(segment.data_offset) + u64::from(segment.len);
            if end > data {
                return Err(ModuleError::SegmentData {
                    program: program.name.to_string(),
                    index,
                    end,
                    data,
                });
            }
        }
    }
    Ok(())
}

/// The image switch starts at 0, so that a host which does not know it gets its images laid.
fn check_image_switch(scan: &Scan<'_>, name: &str) -> Result<(), ModuleError> {
    let expected = "a mutable i32 global of its own with initial value 0";
    let wrong = || ModuleError::ExportType {
        name: name.to_owned(),
        expected,
    };
    let (kind, index) = export(scan, name, "the image switch")?;
    let global = usize::try_from(index)
        .ok()
        .and_then(|index| scan.globals.get(index));
    let Some((ty, init)) = global.filter(|_| kind == ExternalKind::Global) else {
        return Err(wrong());
    };
    let mut operators = init.get_operators_reader();
    let zero = matches!(operators.read(), Ok(Operator::I32Const { value: 0 }))
        && matches!(operators.read(), Ok(Operator::End))
        && operators.eof();
    if ty.mutable && !ty.shared && ty.content_type == ValType::I32 && zero {
        Ok(())
    } else {
        Err(wrong())
    }
}

fn check_extra_exports(scan: &Scan<'_>, program: &Program) -> Result<(), ModuleError> {
    program
        .extra_exports
        .iter()
        .try_for_each(|(_, name)| export(scan, name, "an extra export of a program").map(drop))
}

fn export(
    scan: &Scan<'_>,
    name: &str,
    what: &'static str,
) -> Result<(ExternalKind, u32), ModuleError> {
    let found = scan.exports.get(name).copied();
    found.ok_or_else(|| ModuleError::NoExport {
        name: name.to_owned(),
        what,
    })
}

fn function_export(
    scan: &Scan<'_>,
    name: &str,
    what: &'static str,
    expected: &'static str,
    params: &[ValType],
    results: &[ValType],
) -> Result<u32, ModuleError> {
    let (kind, index) = export(scan, name, what)?;
    let fits = scan.function_type(index).is_some_and(|ty| {
        kind == ExternalKind::Func && ty.params() == params && ty.results() == results
    });
    if fits {
        Ok(index)
    } else {
        Err(ModuleError::ExportType {
            name: name.to_owned(),
            expected,
        })
    }
}
