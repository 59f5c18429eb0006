//! Rewrites one program's functions from its own index spaces to the output's.

use std::convert::Infallible;

use wasm_encoder::reencode::{Error, Reencode};
use wasm_encoder::{Function, Instruction};
use wasmparser::{FunctionBody, Operator};

use super::error::Refusal;
use super::input::Input;
use super::layout::{GlobalPlace, Places};

/// Longest function that engines take, in bytes.
const MAX_FUNCTION_SIZE: usize = 7_654_321;

/// Rewrites instructions of the program that lies at `places`.
pub(crate) struct Rewriter<'a> {
    pub places: &'a Places,
}

impl Reencode for Rewriter<'_> {
    type Error = Infallible;

    fn function_index(&mut self, func: u32) -> Result<u32, Error<Infallible>> {
        Ok(self.places.function(func))
    }

    fn type_index(&mut self, ty: u32) -> Result<u32, Error<Infallible>> {
        Ok(self.places.types[ty as usize])
    }

    fn table_index(&mut self, table: u32) -> Result<u32, Error<Infallible>> {
        Ok(self
            .places
            .tables
            .as_ref()
            .map_or(table, |kept| kept.first_table + table))
    }

    fn element_index(&mut self, element: u32) -> Result<u32, Error<Infallible>> {
        let kept = self.places.tables.as_ref();
        Ok(kept.map_or(element, |kept| kept.elements[element as usize]))
    }

    fn global_index(&mut self, global: u32) -> Result<u32, Error<Infallible>> {
        Ok(match self.places.globals[global as usize] {
            GlobalPlace::Slot(slot) => slot,
            // `global.get` of a constant is replaced before it comes here, and a valid module has
            // no `global.set` of one.
            GlobalPlace::Const(_) => unreachable!("a constant global is never addressed"),
        })
    }
}

impl Rewriter<'_> {
    /// The body for the output; `name` names the function in a refusal.
    pub(crate) fn body(
        &mut self,
        body: &FunctionBody<'_>,
        name: impl Fn() -> String,
    ) -> Result<Vec<u8>, Refusal> {
        let function = self.function(body).map_err(|e| match e {
            Error::ParseError(e) => Refusal::invalid(&e),
            other => Refusal::Invalid {
                reason: other.to_string(),
                offset: body.range().start,
                advice: "report this as a fault of megabin",
            },
        })?;
        let bytes = function.into_raw_body();
        if bytes.len() > MAX_FUNCTION_SIZE {
            let limit = MAX_FUNCTION_SIZE;
            return Err(Refusal::FunctionSize {
                name: name(),
                bytes: bytes.len(),
                limit,
            });
        }
        Ok(bytes)
    }

    fn function(&mut self, body: &FunctionBody<'_>) -> Result<Function, Error<Infallible>> {
        let mut function = self.new_function_with_parsed_locals(body)?;
        let mut operators = body.get_operators_reader()?;
        while !operators.eof() {
            let instruction = match operators.read()? {
                Operator::CallIndirect {
                    type_index,
                    table_index,
                } => match self.trampoline(table_index, type_index) {
                    Some(trampoline) => Instruction::Call(trampoline),
                    None => self.instruction(Operator::CallIndirect {
                        type_index,
                        table_index,
                    })?,
                },
                Operator::ReturnCallIndirect {
                    type_index,
                    table_index,
                } => match self.trampoline(table_index, type_index) {
                    Some(trampoline) => Instruction::ReturnCall(trampoline),
                    None => self.instruction(Operator::ReturnCallIndirect {
                        type_index,
                        table_index,
                    })?,
                },
                Operator::GlobalGet { global_index } => {
                    match self.places.globals[global_index as usize] {
                        GlobalPlace::Const(value) => value.instruction(|f| self.places.function(f)),
                        GlobalPlace::Slot(slot) => Instruction::GlobalGet(slot),
                    }
                }
                Operator::MemoryGrow { mem } => match self.places.grow {
                    Some(helper) => Instruction::Call(helper),
                    None => Instruction::MemoryGrow(mem),
                },
                Operator::MemoryInit { data_index, .. } => {
                    let helper = self.places.passive[&data_index].init;
                    Instruction::Call(helper.expect("`memory.init` of it was seen by the scan"))
                }
                Operator::DataDrop { data_index } => {
                    function.instruction(&Instruction::I32Const(0));
                    Instruction::GlobalSet(self.places.passive[&data_index].slot)
                }
                other => self.instruction(other)?,
            };
            function.instruction(&instruction);
        }
        Ok(function)
    }

    fn trampoline(&self, table: u32, ty: u32) -> Option<u32> {
        self.places
            .trampolines
            .get(&(table, self.places.types[ty as usize]))
            .copied()
    }
}

/// A function's name for messages and for the names section: its own, or its number.
pub(crate) fn function_name(input: &Input<'_>, index: u32) -> String {
    match input.names.get(&index) {
        Some(name) => (*name).to_owned(),
        None => format!("function {index}"),
    }
}
