//! Whether code has to do with exceptions.
//!
//! A module with exceptions has a tag section, by which a host knows it before it compiles. What
//! catches whatever is thrown, or passes references to exceptions on, names no tag: so this must be
//! found in the code.

use wasmparser::{AbstractHeapType, BlockType, HeapType, Operator, RefType, ValType};

use super::input::Input;

/// Whether one of the module's own types is of exceptions.
pub(super) fn in_types(input: &Input<'_>) -> bool {
    let mut types = input.types.iter();
    let mut globals = input.globals.iter();
    let mut tables = input.tables.iter();
    let mut elements = input.elements.iter();
    types.any(|ty| ty.params().iter().chain(ty.results()).any(is))
        || globals.any(|global| is(&global.ty.content_type))
        || tables.any(|table| refers(table.element_type))
        || elements.any(|segment| refers(segment.ty))
}

/// Whether an instruction is, or mentions them.
pub(super) fn in_operator(operator: &Operator<'_>) -> bool {
    match operator {
        Operator::TryTable { .. } | Operator::Throw { .. } | Operator::ThrowRef => true,
        Operator::Block { blockty } | Operator::Loop { blockty } | Operator::If { blockty } => {
            matches!(blockty, BlockType::Type(ty) if is(ty))
        }
        Operator::TypedSelect { ty } => is(ty),
        Operator::RefNull { hty } => RefType::new(true, *hty).is_some_and(refers),
        _ => false,
    }
}

/// Whether a value of this type is an exception.
pub(super) fn is(ty: &ValType) -> bool {
    matches!(ty, ValType::Ref(ty) if refers(*ty))
}

fn refers(ty: RefType) -> bool {
    let exception = AbstractHeapType::Exn;
    matches!(ty.heap_type(), HeapType::Abstract { ty, .. } if ty == exception)
}
