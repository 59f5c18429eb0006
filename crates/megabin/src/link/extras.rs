//! What a program exports besides its start, for the virtual kernel.
//!
//! A program that Asyncify has instrumented can be copied while it runs (`vkernel-abi.md`, `fork`):
//! its stack goes to memory and comes back from there. For that the host needs more of it than the
//! program's own module exports: the start without what an entry point does before, and the
//! globals that running code changes.

use wasmparser::{ExternalKind, ValType};

use super::input::{DataKind, Extra, Input};
use super::layout::{GlobalPlace, Layout};

/// What Asyncify exports, all of which a fork needs.
const ASYNCIFY: [&str; 4] = [
    "asyncify_start_unwind",
    "asyncify_stop_unwind",
    "asyncify_start_rewind",
    "asyncify_stop_rewind",
];

/// Name of the start itself.
const START: &str = "_start";

/// Names of the globals that change, before their number in the program.
const GLOBAL: &str = "global:";

/// Whether the virtual kernel may call or set this export: stack switching by Asyncify, the
/// library's own call-backs, the stack pointer. All other exports (Go's, Rust's, `--export-all`)
/// have no caller once the program is linked.
pub(crate) fn serves_the_kernel(name: &str, kind: ExternalKind) -> bool {
    match kind {
        ExternalKind::Func => name.starts_with("asyncify_") || name.starts_with("__vkernel_"),
        ExternalKind::Global => name == "__stack_pointer" || name.starts_with("__vkernel_"),
        _ => false,
    }
}

/// Whether the program can be copied while it runs, as far as its own module says.
///
/// What has run before its start cannot be entered again, and what is not in memory and globals is
/// not copied.
pub(crate) fn can_fork(input: &Input<'_>) -> bool {
    let exports = |wanted: &&str| {
        let of_that_name = |extra: &&Extra<'_>| extra.name == *wanted;
        (input.extras.iter())
            .find(of_that_name)
            .is_some_and(|extra| extra.kind == ExternalKind::Func)
    };
    ASYNCIFY.iter().all(exports)
        && input.start.is_none()
        && (input.data.iter()).all(|data| matches!(data.kind, DataKind::Active { .. }))
        && (input.globals.iter())
            .all(|global| !global.ty.mutable || !matches!(global.ty.content_type, ValType::Ref(_)))
}

/// What a fork needs besides the program's own exports.
pub(crate) fn for_fork(input: &Input<'_>) -> Vec<Extra<'static>> {
    let start = Extra {
        name: START.into(),
        kind: ExternalKind::Func,
        index: input.entry,
    };
    let globals = (0..)
        .zip(&input.globals)
        .filter(|(_, global)| global.ty.mutable)
        .map(|(index, _)| Extra {
            name: format!("{GLOBAL}{index}").into(),
            kind: ExternalKind::Global,
            index,
        });
    std::iter::once(start).chain(globals).collect()
}

/// Exports for the virtual kernel, under a name that no entry point can have: program, index of
/// the export in its input, name in the output.
pub(crate) fn exported(inputs: &[Input<'_>], layout: &Layout) -> Vec<(usize, usize, String)> {
    let mut extras = Vec::new();
    for (program, input) in inputs.iter().enumerate() {
        let places = &layout.programs[program];
        for (index, extra) in input.extras.iter().enumerate() {
            let constant = extra.kind == ExternalKind::Global
                && matches!(places.globals[extra.index as usize], GlobalPlace::Const(_));
            // Tables are not copied.
            let vain = places.tables.is_some() && is_for_fork(&extra.name);
            if !constant && !vain {
                extras.push((program, index, format!("{}:{}", input.name, extra.name)));
            }
        }
    }
    extras
}

/// Whether an entry point has to be able to do no more than set its program's globals.
pub(crate) fn forks(input: &Input<'_>, layout: &Layout, program: usize) -> bool {
    layout.programs[program].tables.is_none() && can_fork(input)
}

fn is_for_fork(name: &str) -> bool {
    name == START || name.starts_with(GLOBAL)
}
