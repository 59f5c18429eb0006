//! Programs with more data segments than engines take: Go's linker starts a new one at every few
//! zeros, so that large programs in Go come to more than no engine would load.
//!
//! What goes on where the segment before it ended, or soon after, can be one segment: memory is zero
//! at first. The output has one data segment for all programs in any case, so nothing else changes.

use std::borrow::Cow;

use wasm_encoder::{ConstExpr, DataCountSection, DataSection, Module, RawSection};
use wasmparser::{DataKind, DataSectionReader, Operator, Parser, Payload};

/// Data segments that engines take.
const MAX_SEGMENTS: u32 = 100_000;

/// Zeros between two pieces that are written out, in bytes.
const MAX_GAP: u64 = 1024;

/// The module, with fewer data segments if it has too many and they can be joined: all active, in
/// ascending order and apart from each other. What cannot be read or joined is left as it is, for
/// the validator to say why.
pub(crate) fn joined(wasm: &[u8]) -> Cow<'_, [u8]> {
    join(wasm).map_or(Cow::Borrowed(wasm), Cow::Owned)
}

fn join(wasm: &[u8]) -> Option<Vec<u8>> {
    let mut pieces = None;
    for payload in Parser::new(0).parse_all(wasm) {
        if let Payload::DataSection(section) = payload.ok()? {
            if section.count() <= MAX_SEGMENTS {
                return None;
            }
            pieces = Some(joined_pieces(section)?);
        }
    }
    let pieces = pieces?;
    let mut data = DataSection::new();
    for (offset, bytes) in &pieces {
        let offset = ConstExpr::i32_const(offset.cast_signed());
        data.active(0, &offset, bytes.iter().copied());
    }
    let mut module = Module::new();
    for payload in Parser::new(0).parse_all(wasm) {
        match payload.ok()? {
            Payload::DataSection(_) => drop(module.section(&data)),
            Payload::DataCountSection { .. } => {
                let count = pieces.len() as u32;
                module.section(&DataCountSection { count });
            }
            other => {
                if let Some((id, range)) = other.as_section() {
                    let data = &wasm[range];
                    module.section(&RawSection { id, data });
                }
            }
        }
    }
    Some(module.finish())
}

/// The segments with what belongs together joined: offset and bytes.
fn joined_pieces(section: DataSectionReader<'_>) -> Option<Vec<(u32, Vec<u8>)>> {
    let mut pieces: Vec<(u32, Vec<u8>)> = Vec::new();
    for segment in section {
        let segment = segment.ok()?;
        let DataKind::Active {
            memory_index: 0,
            offset_expr,
        } = segment.kind
        else {
            return None;
        };
        let mut operators = offset_expr.get_operators_reader();
        let Ok(Operator::I32Const { value }) = operators.read() else {
            return None;
        };
        if !operators.is_end_then_eof() {
            return None;
        }
        let offset = value.cast_unsigned();
        let end = |(start, bytes): &(u32, Vec<u8>)| u64::from(*start) + bytes.len() as u64;
        let gap = match pieces.last() {
            Some(last) => u64::from(offset).checked_sub(end(last))?,
            None => u64::MAX,
        };
        match pieces.last_mut().filter(|_| gap <= MAX_GAP) {
            Some((_, bytes)) => {
                bytes.resize(bytes.len() + gap as usize, 0);
                bytes.extend_from_slice(segment.data);
            }
            None => pieces.push((offset, segment.data.to_vec())),
        }
    }
    Some(pieces)
}
