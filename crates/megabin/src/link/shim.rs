//! The functions that the linker writes: entry shims and helpers.

use wasm_encoder::{BlockType, Function, Ieee32, Ieee64, InstructionSink};

use super::code::{Body, Builder};
use super::consts::{Const, null};
use super::extras;
use super::fold::Switch;
use super::input::Input;
use super::layout::{GlobalPlace, Layout, PassivePlace, SWITCH};
use super::output::Output;

/// Value of the image switch by which a host that copies a running process says that memory is
/// laid and the program is not to start.
const GLOBALS_ONLY: i32 = 2;

/// A program's entry point: gives a fresh instance the state in which the program's own module
/// would have started, then starts it.
///
/// The memory grows to the program's own minimum first. The initial image is laid only where the
/// host has not mapped it already (the switch is 0); globals are always set.
pub(crate) fn entry(output: &Output<'_>, input: &Input<'_>, program: usize) -> Function {
    let layout: &Layout = output.layout;
    let places = &layout.programs[program];
    let mut function = Function::new([]);
    let mut sink = function.instructions();
    let min = input.memory.map_or(0, |m| m.min);
    if min > layout.min_pages {
        let min = (min as u32).cast_signed();
        sink.memory_size(0)
            .i32_const(min)
            .i32_lt_u()
            .if_(BlockType::Empty);
        sink.i32_const(min).memory_size(0).i32_sub().memory_grow(0);
        sink.i32_const(-1)
            .i32_eq()
            .if_(BlockType::Empty)
            .unreachable()
            .end();
        sink.end();
    }
    if !places.image.is_empty() {
        sink.global_get(SWITCH).i32_eqz().if_(BlockType::Empty);
        for (piece, offset) in &places.image {
            sink.i32_const(piece.address.cast_signed())
                .i32_const(offset.cast_signed())
                .i32_const((piece.bytes.len() as u32).cast_signed())
                .memory_init(0, 0);
        }
        sink.end();
    }
    for (global, place) in input.globals.iter().zip(&places.globals) {
        if let GlobalPlace::Slot(slot) = place
            && !global.init.is_zero()
        {
            push(&mut sink, global.init, |f| output.function(program, f));
            sink.global_set(*slot);
        }
    }
    for (slot, value) in &output.folded.values[program] {
        if *value != 0 {
            sink.i32_const(*value).global_set(output.slot(*slot));
        }
    }
    if output.folded.numbered.contains(&program) && program != 0 {
        sink.i32_const(program as i32)
            .global_set(output.program_number());
    }
    for place in places.passive.values().filter(|p| p.len > 0) {
        sink.i32_const(place.len.cast_signed())
            .global_set(place.slot);
    }
    if extras::forks(input, layout, program) {
        sink.global_get(SWITCH)
            .i32_const(GLOBALS_ONLY)
            .i32_eq()
            .if_(BlockType::Empty)
            .return_()
            .end();
    }
    if let Some(start) = input.start {
        sink.call(output.function(program, start));
    }
    sink.call(output.function(program, input.entry)).end();
    function
}

/// What a folded function calls where its programs need different functions: calls that of the program
/// that runs, in its own place, so that no frame is added.
pub(crate) fn switch(output: &Output<'_>, switch: &Switch) -> Function {
    let mut functions: Vec<u32> = switch
        .arms
        .values()
        .map(|function| output.folded.function(*function))
        .collect();
    functions.sort_unstable();
    functions.dedup();
    let default = functions.len() as u32;
    let last = switch.arms.keys().last().copied().unwrap_or(0);
    let labels: Vec<u32> = (0..=last)
        .map(|program| {
            let function = output.folded.function(*switch.arms.get(&program)?);
            functions.binary_search(&function).ok()
        })
        .map(|label| label.map_or(default, |l| l as u32))
        .collect();
    let params = output.switch_function_type(switch).params().len() as u32;
    let mut function = Function::new([]);
    let mut sink = function.instructions();
    for _ in 0..=functions.len() {
        sink.block(BlockType::Empty);
    }
    sink.global_get(output.program_number())
        .br_table(labels, default);
    for function in functions {
        sink.end();
        for param in 0..params {
            sink.local_get(param);
        }
        sink.return_call(function);
    }
    sink.end().unreachable().end();
    function
}

fn push(sink: &mut InstructionSink<'_>, value: Const, function: impl Fn(u32) -> u32) {
    match value {
        Const::I32(v) => sink.i32_const(v),
        Const::I64(v) => sink.i64_const(v),
        Const::F32(bits) => sink.f32_const(Ieee32::new(bits)),
        Const::F64(bits) => sink.f64_const(Ieee64::new(bits)),
        Const::V128(v) => sink.v128_const(v),
        Const::Null(ty) => sink.ref_null(null(ty)),
        Const::Func(index) => sink.ref_func(function(index)),
    };
}

/// `memory.grow` for a program whose own maximum, in pages, is below the shared memory's: fails
/// with -1 beyond it, as the program's own memory would have.
pub(crate) fn grow(max: u64) -> Body {
    let mut function = Function::new([]);
    let mut sink = function.instructions();
    let max = (max as u32).cast_signed();
    // The size never exceeds the maximum, so this difference does not wrap.
    sink.local_get(0)
        .i32_const(max)
        .memory_size(0)
        .i32_sub()
        .i32_gt_u();
    sink.if_(BlockType::Result(wasm_encoder::ValType::I32));
    sink.i32_const(-1)
        .else_()
        .local_get(0)
        .memory_grow(0)
        .end()
        .end();
    Builder::new(function).finish()
}

/// `memory.init` from one of a program's passive segments, which is a part of the one segment of
/// the output: traps beyond the part, and beyond nothing once it is dropped.
pub(crate) fn init(place: &PassivePlace) -> Body {
    let (dest, source, len) = (0, 1, 2);
    let mut function = Function::new([]);
    let mut sink = function.instructions();
    sink.local_get(source)
        .i64_extend_i32_u()
        .local_get(len)
        .i64_extend_i32_u()
        .i64_add();
    sink.global_get(place.slot).i64_extend_i32_u().i64_gt_u();
    // Traps as the program's own would: the source is beyond every segment.
    sink.if_(BlockType::Empty)
        .i32_const(0)
        .i32_const(-1)
        .i32_const(1)
        .memory_init(0, 0)
        .end();
    sink.local_get(dest)
        .i32_const(place.offset.cast_signed())
        .local_get(source)
        .i32_add();
    sink.local_get(len).memory_init(0, 0).end();
    Builder::new(function).finish()
}
