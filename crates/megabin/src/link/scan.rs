//! Validates every function and notes what it uses, in parallel over all programs.

use std::collections::BTreeSet;
use std::ops::Range;

use wasmparser::{FuncToValidate, FuncValidatorAllocations, Operator};

use super::error::{LinkError, Refusal};
use super::exceptions;
use super::input::{Body, Input};
use super::parallel;

/// How many functions one unit of work holds: small enough that one large program keeps all cores
/// busy, large enough that the bookkeeping does not show.
pub(crate) const CHUNK: usize = 512;

/// What a program's code uses.
#[derive(Debug, Default)]
pub(crate) struct Usage {
    /// Pairs of table and type that `call_indirect` and `return_call_indirect` name.
    pub indirect: BTreeSet<(u32, u32)>,
    /// Those of them that a tail call names.
    pub tail: BTreeSet<(u32, u32)>,
    /// An instruction reads, writes, grows or measures a table.
    pub table_access: bool,
    pub memory_grow: bool,
    /// Data segments named by `memory.init`.
    pub memory_init: BTreeSet<u32>,
    /// Data segments named by `data.drop`.
    pub data_drop: BTreeSet<u32>,
    /// Functions named by `ref.func`.
    pub ref_func: BTreeSet<u32>,
    /// It has to do with exceptions.
    pub exceptions: bool,
}

impl Usage {
    fn merge(&mut self, other: Usage) {
        self.indirect.extend(other.indirect);
        self.tail.extend(other.tail);
        self.table_access |= other.table_access;
        self.memory_grow |= other.memory_grow;
        self.memory_init.extend(other.memory_init);
        self.data_drop.extend(other.data_drop);
        self.ref_func.extend(other.ref_func);
        self.exceptions |= other.exceptions;
    }

    fn note(&mut self, operator: &Operator<'_>) {
        self.exceptions |= exceptions::in_operator(operator);
        match *operator {
            Operator::CallIndirect {
                type_index,
                table_index,
            } => {
                self.indirect.insert((table_index, type_index));
            }
            Operator::ReturnCallIndirect {
                type_index,
                table_index,
            } => {
                self.indirect.insert((table_index, type_index));
                self.tail.insert((table_index, type_index));
            }
            Operator::TableGet { .. }
            | Operator::TableSet { .. }
            | Operator::TableGrow { .. }
            | Operator::TableSize { .. }
            | Operator::TableFill { .. }
            | Operator::TableCopy { .. }
            | Operator::TableInit { .. }
            | Operator::ElemDrop { .. } => self.table_access = true,
            Operator::MemoryGrow { .. } => self.memory_grow = true,
            Operator::MemoryInit { data_index, .. } => {
                self.memory_init.insert(data_index);
            }
            Operator::DataDrop { data_index } => {
                self.data_drop.insert(data_index);
            }
            Operator::RefFunc { function_index } => {
                self.ref_func.insert(function_index);
            }
            _ => {}
        }
    }
}

/// A run of functions of one program: the unit of parallel work.
pub(crate) struct Chunk {
    pub program: usize,
    pub bodies: Range<usize>,
}

/// Cuts all programs' functions into chunks, in order.
pub(crate) fn chunks(inputs: &[Input<'_>]) -> Vec<Chunk> {
    let mut chunks = Vec::new();
    for (program, input) in inputs.iter().enumerate() {
        for start in (0..input.bodies.len()).step_by(CHUNK) {
            let end = (start + CHUNK).min(input.bodies.len());
            chunks.push(Chunk {
                program,
                bodies: start..end,
            });
        }
    }
    chunks
}

/// Validates all functions of all programs and returns each program's usage.
pub(crate) fn scan(inputs: &[Input<'_>], chunks: &[Chunk]) -> Result<Vec<Usage>, LinkError> {
    let results = parallel::map(chunks, |chunk| {
        let input = &inputs[chunk.program];
        scan_chunk(&input.bodies[chunk.bodies.clone()]).map_err(|r| r.of(input.origin))
    });
    let mut usages: Vec<Usage> = inputs.iter().map(|_| Usage::default()).collect();
    for (chunk, usage) in chunks.iter().zip(results) {
        usages[chunk.program].merge(usage?);
    }
    for (usage, input) in usages.iter_mut().zip(inputs) {
        usage.exceptions |= !input.tags.is_empty() || exceptions::in_types(input);
        for global in &input.globals {
            if let super::consts::Const::Func(index) = global.init {
                usage.ref_func.insert(index);
            }
        }
    }
    Ok(usages)
}

fn scan_chunk(bodies: &[Body<'_>]) -> Result<Usage, Refusal> {
    let mut usage = Usage::default();
    let mut allocations = FuncValidatorAllocations::default();
    for body in bodies {
        let unit = FuncToValidate {
            resources: body.validate.resources.clone(),
            index: body.validate.index,
            ty: body.validate.ty,
            features: body.validate.features,
        };
        let mut validator = unit.into_validator(allocations);
        let mut locals = body.body.get_binary_reader();
        validator.read_locals(&mut locals)?;
        for local in body.body.get_locals_reader()? {
            usage.exceptions |= exceptions::is(&local?.1);
        }
        let mut operators = body.body.get_operators_reader()?;
        while !operators.eof() {
            let (operator, offset) = operators.read_with_offset()?;
            validator.op(offset, &operator)?;
            usage.note(&operator);
        }
        operators.finish()?;
        allocations = validator.into_allocations();
    }
    Ok(usage)
}
