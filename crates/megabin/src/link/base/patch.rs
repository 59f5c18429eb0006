//! Writes the values of a program's relocations for its new place.

use wasmparser::{RelocationType as Ty, SymbolFlags};

use super::error::Malformed;
use super::place::Move;
use super::program::Program;
use super::unit::{self, Reloc, SymbolKind};

/// The program's file with every address and function pointer moved.
pub(super) fn values(program: &Program<'_>, to: &Move<'_>) -> Result<Vec<u8>, Malformed> {
    let unit = &program.unit;
    let mut bytes = unit.bytes.to_vec();
    for reloc in &unit.relocs {
        let old = unit.value(reloc)?;
        let new = match reloc.ty {
            Ty::MemoryAddrLeb | Ty::MemoryAddrSleb | Ty::MemoryAddrI32 => {
                address(program, to, reloc, old)
            }
            Ty::TableIndexSleb | Ty::TableIndexI32 => pointer(program, to, reloc, old),
            _ => continue,
        };
        unit::write(&mut bytes, reloc, new);
    }
    Ok(bytes)
}

fn address(program: &Program<'_>, to: &Move<'_>, reloc: &Reloc, old: u32) -> u32 {
    let symbol = program.unit.symbol(reloc);
    if symbol.is_undefined() {
        // A weak symbol that nothing defines: 0, whatever is added to it.
        return old;
    }
    if let Some((id, within)) = to.matches.sites.get(&reloc.at)
        && let Some(base) = to.base.segments.get(id)
    {
        // Checked where the site was noted: with the segment's old address it is `old`.
        return base.wrapping_add(*within as u32);
    }
    let added = reloc.addend.cast_unsigned();
    let address = old.wrapping_sub(added);
    if let Some((start, size)) = program.data_at(reloc)
        && !symbol.flags.contains(SymbolFlags::ABSOLUTE)
        && let Some(moved) = to.in_base(start, size)
    {
        return moved.wrapping_add(added);
    }
    // What lies below its data is its stack, which stays. Where it ends is the data's first address.
    if address < program.floor || symbol.name == "__stack_high" && program.stack_is_first {
        return old;
    }
    old.wrapping_add(to.delta)
}

fn pointer(program: &Program<'_>, to: &Move<'_>, reloc: &Reloc, old: u32) -> u32 {
    let SymbolKind::Function(own) = program.unit.symbol(reloc).kind else {
        return old;
    };
    match to
        .matches
        .functions
        .get(&own)
        .and_then(|id| to.base.pointers.get(id))
    {
        // A weak function that nothing defines.
        _ if old == 0 => 0,
        Some(number) => *number,
        None => old.wrapping_add(to.base.pointers.len() as u32),
    }
}

/// The parts of its own data that nothing but the base's symbols name: the base has them now.
pub(super) fn unneeded(program: &Program<'_>, to: &Move<'_>) -> Vec<(u32, u32)> {
    let staying: Vec<(u32, u32)> = program
        .all_data()
        .filter(|(start, size)| to.in_base(*start, *size).is_none())
        .collect();
    let is_free = |start: u32, end: u32| {
        staying
            .iter()
            .all(|(at, size)| *at >= end || u64::from(*at) + u64::from(*size) <= u64::from(start))
    };
    to.moved()
        .filter(|(start, end, _)| is_free(*start, *end))
        .map(|(start, end, _)| (start, end))
        .collect()
}
