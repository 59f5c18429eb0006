//! Static addresses are written in one way.
//!
//! Compilers address a variable at a known place as `i32.const 0` and a load or store with the
//! address as its offset. The same address as the constant and no offset means the same, traps
//! included, and leaves one kind of instruction that names addresses.

use wasmparser::{
    BlockType, ContType, FrameKind, FuncType, MemArg, ModuleArity, Operator, RefType, SubType,
};

use super::code::Builder;
use super::input::Input;

/// Follows the operands of one function, in order of its instructions.
pub(crate) struct Addresses<'a> {
    input: &'a Input<'a>,
    /// For the topmost operands that are known: the hole of the constant that pushed it, if one did.
    stack: Vec<Option<usize>>,
}

impl<'a> Addresses<'a> {
    pub(crate) fn new(input: &'a Input<'a>) -> Self {
        let stack = Vec::new();
        Self { input, stack }
    }

    /// Notes what `operator`, the next one to be written to `out`, does to the operands. Where its
    /// address is the constant 0, moves its offset there. Returns the hole of its address where it
    /// is a constant and the whole of it.
    pub(crate) fn settle<'o>(
        &mut self,
        operator: Operator<'o>,
        out: &mut Builder,
    ) -> (Operator<'o>, Option<usize>) {
        if let Operator::I32Const { .. } = operator {
            self.stack.push(Some(out.holes()));
            return (operator, None);
        }
        let mut operator = operator;
        let mut address = None;
        if let Some((memarg, above)) = access(&mut operator)
            && let Ok(offset) = u32::try_from(memarg.offset)
            && let Some(Some(hole)) = self.stack.iter().rev().nth(above)
        {
            if out.constant_value(*hole) == 0 {
                out.set_constant(*hole, offset);
                memarg.offset = 0;
            }
            address = (memarg.offset == 0).then_some(*hole);
        }
        match self.arity(&operator) {
            Some((pops, pushes)) => {
                let left = self.stack.len().saturating_sub(pops as usize);
                self.stack.truncate(left);
                self.stack.extend((0..pushes).map(|_| None));
            }
            // Where control flow meets or leaves, nothing is known: an operand from outside a block
            // can be used on more than one way, or only seem to be used in code that cannot run.
            None => self.stack.clear(),
        }
        (operator, address)
    }

    fn arity(&self, operator: &Operator<'_>) -> Option<(u32, u32)> {
        let of = |ty: &FuncType| Some((ty.params().len() as u32, ty.results().len() as u32));
        match operator {
            Operator::Call { function_index } => of(self.input.function_type(*function_index)),
            Operator::CallIndirect { type_index, .. } => {
                let (params, results) = of(&self.input.types[*type_index as usize])?;
                Some((params + 1, results))
            }
            Operator::Block { .. }
            | Operator::Loop { .. }
            | Operator::If { .. }
            | Operator::TryTable { .. }
            | Operator::Else
            | Operator::End => None,
            other => other.operator_arity(&NoBlocks),
        }
    }
}

/// Linkers leave at least this much of the memory free, in bytes, so that no address is smaller;
/// the offsets of fields are.
const LOWEST: u64 = 1024;

/// Takes the offset from a load or store, where it can be an address: the start of a table that a
/// variable indexes.
pub(crate) fn take_offset(operator: &mut Operator<'_>) -> Option<u32> {
    let (memarg, _) = access(operator)?;
    let offset = u32::try_from(memarg.offset)
        .ok()
        .filter(|_| memarg.offset >= LOWEST)?;
    memarg.offset = 0;
    Some(offset)
}

/// The memory argument of a scalar load or store, and how many operands lie above its address.
fn access<'m>(operator: &'m mut Operator<'_>) -> Option<(&'m mut MemArg, usize)> {
    use Operator::*;
    match operator {
        I32Load { memarg }
        | I64Load { memarg }
        | F32Load { memarg }
        | F64Load { memarg }
        | I32Load8S { memarg }
        | I32Load8U { memarg }
        | I32Load16S { memarg }
        | I32Load16U { memarg }
        | I64Load8S { memarg }
        | I64Load8U { memarg }
        | I64Load16S { memarg }
        | I64Load16U { memarg }
        | I64Load32S { memarg }
        | I64Load32U { memarg } => Some((memarg, 0)),
        I32Store { memarg }
        | I64Store { memarg }
        | F32Store { memarg }
        | F64Store { memarg }
        | I32Store8 { memarg }
        | I32Store16 { memarg }
        | I64Store8 { memarg }
        | I64Store16 { memarg }
        | I64Store32 { memarg } => Some((memarg, 1)),
        _ => None,
    }
}

/// Answers nothing, so that only operators whose effect does not depend on types have an arity.
struct NoBlocks;

impl ModuleArity for NoBlocks {
    fn sub_type_at(&self, _: u32) -> Option<&SubType> {
        None
    }

    fn tag_type_arity(&self, _: u32) -> Option<(u32, u32)> {
        None
    }

    fn type_index_of_function(&self, _: u32) -> Option<u32> {
        None
    }

    fn func_type_of_cont_type(&self, _: &ContType) -> Option<&FuncType> {
        None
    }

    fn sub_type_of_ref_type(&self, _: &RefType) -> Option<&SubType> {
        None
    }

    fn control_stack_height(&self) -> u32 {
        0
    }

    fn label_block(&self, _: u32) -> Option<(BlockType, FrameKind)> {
        None
    }
}
