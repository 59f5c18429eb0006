//! The one body `_dispatch` may have (`runtime-spec/dispatch.md`): a binary search over the four
//! words of the target id. Writer and verifier both take it from here, so a verified module starts
//! exactly what its map says.

use wasm_encoder::{BlockType, Function, InstructionSink, ValType};

use crate::digest::Digest;

/// Export name of the dispatcher.
pub const EXPORT: &str = "_dispatch";
/// What it returns after the entry point returned.
pub const RAN: i32 = 0;
/// What it returns for an id the map lacks.
pub const UNKNOWN: i32 = -1;

/// The canonical body for `targets`: ids in strictly ascending order, each with the index of its
/// entry function.
pub fn canonical_body(targets: &[(Digest, u32)]) -> Function {
    debug_assert!(targets.is_sorted_by(|a, b| a.0 < b.0));
    let mut function = Function::new([]);
    let mut sink = function.instructions();
    search(&mut sink, targets);
    sink.end();
    function
}

/// Leaves the result of looking the four parameters up in `targets` on the stack.
fn search(sink: &mut InstructionSink<'_>, targets: &[(Digest, u32)]) {
    match targets {
        [] => {
            sink.i32_const(UNKNOWN);
        }
        [(digest, function)] => {
            equal(sink, digest.words());
            sink.if_(BlockType::Result(ValType::I32));
            sink.call(*function).i32_const(RAN);
            sink.else_().i32_const(UNKNOWN).end();
        }
        _ => {
            let (low, high) = targets.split_at(targets.len() / 2);
            let (below, pivot) = (low[low.len() - 1].0.words(), high[0].0.words());
            // Digests nearly always differ in their first word, so one comparison does.
            let last = (0..4).find(|&i| below[i] != pivot[i]).unwrap_or(3);
            less(sink, &pivot[..=last], 0);
            sink.if_(BlockType::Result(ValType::I32));
            search(sink, low);
            sink.else_();
            search(sink, high);
            sink.end();
        }
    }
}

/// Whether all four parameters equal `words`, without a branch.
fn equal(sink: &mut InstructionSink<'_>, words: [u64; 4]) {
    for (local, word) in (0u32..).zip(words) {
        sink.local_get(local)
            .i64_const(word.cast_signed())
            .i64_xor();
        if local > 0 {
            sink.i64_or();
        }
    }
    sink.i64_eqz();
}

/// Whether the parameters from `local` on are, read as one number, below `words[local..]`.
fn less(sink: &mut InstructionSink<'_>, words: &[u64], local: u32) {
    let word = words[local as usize].cast_signed();
    sink.local_get(local).i64_const(word).i64_lt_u();
    if local as usize + 1 < words.len() {
        sink.local_get(local).i64_const(word).i64_eq();
        less(sink, words, local + 1);
        sink.i32_and().i32_or();
    }
}
