//! Constant expressions, evaluated at link time: with imported globals refused, each has one value.

use wasm_encoder::reencode::{Reencode, RoundtripReencoder};
use wasm_encoder::{ConstExpr, Encode, Ieee32, Ieee64, Instruction};
use wasmparser::{HeapType, Operator, ValType};

/// The value of a constant expression. References keep the program's own function indices.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Const {
    I32(i32),
    I64(i64),
    /// The bits, so that a NaN's payload survives.
    F32(u32),
    F64(u64),
    V128(i128),
    /// The null reference of a type, which has no index.
    Null(HeapType),
    Func(u32),
}

/// Why a constant expression has no value.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum ConstError {
    /// It cannot be read.
    #[error("a constant expression cannot be read: {0}")]
    Unreadable(String),
    /// It uses an instruction that is not constant here.
    #[error("a constant expression uses {0}, which megabin does not evaluate")]
    Operator(String),
    /// It reads a global that is not defined before it, or changes later.
    #[error("a constant expression reads global {0}, which is not a constant defined before it")]
    Global(u32),
    /// Operands are missing or left over: the module is not valid.
    #[error("a constant expression is malformed")]
    Malformed,
}

impl Const {
    /// Whether a fresh slot already holds this value.
    pub(crate) fn is_zero(self) -> bool {
        matches!(
            self,
            Const::I32(0)
                | Const::I64(0)
                | Const::F32(0)
                | Const::F64(0)
                | Const::V128(0)
                | Const::Null(_)
        )
    }

    /// The zero of a type; `None` for types the linker does not accept.
    pub(crate) fn zero(ty: ValType) -> Option<Const> {
        Some(match ty {
            ValType::I32 => Const::I32(0),
            ValType::I64 => Const::I64(0),
            ValType::F32 => Const::F32(0),
            ValType::F64 => Const::F64(0),
            ValType::V128 => Const::V128(0),
            ValType::Ref(r) if r.is_nullable() => Const::Null(r.heap_type()),
            ValType::Ref(_) => return None,
        })
    }

    /// The instruction that pushes this value; `function` maps a program's function index to the
    /// output's.
    pub(crate) fn instruction(self, function: impl Fn(u32) -> u32) -> Instruction<'static> {
        match self {
            Const::I32(v) => Instruction::I32Const(v),
            Const::I64(v) => Instruction::I64Const(v),
            Const::F32(bits) => Instruction::F32Const(Ieee32::new(bits)),
            Const::F64(bits) => Instruction::F64Const(Ieee64::new(bits)),
            Const::V128(v) => Instruction::V128Const(v),
            Const::Null(ty) => Instruction::RefNull(null(ty)),
            Const::Func(index) => Instruction::RefFunc(function(index)),
        }
    }

    /// The constant expression that has this value.
    pub(crate) fn expr(self, function: impl Fn(u32) -> u32) -> ConstExpr {
        let mut bytes = Vec::new();
        self.instruction(function).encode(&mut bytes);
        ConstExpr::raw(bytes)
    }
}

/// The type of a null reference, for the output.
pub(crate) fn null(ty: HeapType) -> wasm_encoder::HeapType {
    RoundtripReencoder
        .heap_type(ty)
        .expect("the types that the features allow have no index")
}

/// Evaluates `expr`; `global` gives the value of an immutable global defined before it.
pub(crate) fn evaluate(
    expr: &wasmparser::ConstExpr<'_>,
    global: impl Fn(u32) -> Option<Const>,
) -> Result<Const, ConstError> {
    let unreadable = |e: wasmparser::Error| ConstError::Unreadable(e.message().to_owned());
    let mut stack = Vec::new();
    let mut ops = expr.get_operators_reader();
    while !ops.is_end_then_eof() {
        let value = match ops.read().map_err(unreadable)? {
            Operator::I32Const { value } => Const::I32(value),
            Operator::I64Const { value } => Const::I64(value),
            Operator::F32Const { value } => Const::F32(value.bits()),
            Operator::F64Const { value } => Const::F64(value.bits()),
            Operator::V128Const { value } => Const::V128(value.i128()),
            Operator::RefNull {
                hty: hty @ HeapType::Abstract { .. },
            } => Const::Null(hty),
            Operator::RefFunc { function_index } => Const::Func(function_index),
            Operator::GlobalGet { global_index } => {
                global(global_index).ok_or(ConstError::Global(global_index))?
            }
            Operator::I32Add => binary32(&mut stack, i32::wrapping_add)?,
            Operator::I32Sub => binary32(&mut stack, i32::wrapping_sub)?,
            Operator::I32Mul => binary32(&mut stack, i32::wrapping_mul)?,
            Operator::I64Add => binary64(&mut stack, i64::wrapping_add)?,
            Operator::I64Sub => binary64(&mut stack, i64::wrapping_sub)?,
            Operator::I64Mul => binary64(&mut stack, i64::wrapping_mul)?,
            other => return Err(ConstError::Operator(format!("{other:?}"))),
        };
        stack.push(value);
    }
    match stack[..] {
        [value] => Ok(value),
        _ => Err(ConstError::Malformed),
    }
}

fn binary32(stack: &mut Vec<Const>, op: fn(i32, i32) -> i32) -> Result<Const, ConstError> {
    match (stack.pop(), stack.pop()) {
        (Some(Const::I32(b)), Some(Const::I32(a))) => Ok(Const::I32(op(a, b))),
        _ => Err(ConstError::Malformed),
    }
}

fn binary64(stack: &mut Vec<Const>, op: fn(i64, i64) -> i64) -> Result<Const, ConstError> {
    match (stack.pop(), stack.pop()) {
        (Some(Const::I64(b)), Some(Const::I64(a))) => Ok(Const::I64(op(a, b))),
        _ => Err(ConstError::Malformed),
    }
}
