//! Rewrites one program's functions from its own index spaces to the output's.

use std::convert::Infallible;

use wasm_encoder::Instruction;
use wasm_encoder::reencode::{Error, Reencode};
use wasmparser::{FunctionBody, Operator};

use super::addresses::{self, Addresses};
use super::code::{Body, Builder, HoleKind};
use super::consts::Const;
use super::error::Refusal;
use super::input::Input;
use super::layout::{GlobalPlace, Places};

/// Rewrites instructions of the program `input` that lies at `places`.
pub(crate) struct Rewriter<'a> {
    pub input: &'a Input<'a>,
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

    fn tag_index(&mut self, tag: u32) -> Result<u32, Error<Infallible>> {
        Ok(self.places.tags[tag as usize])
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
    /// The body for the output.
    pub(crate) fn body(&mut self, body: &FunctionBody<'_>) -> Result<Body, Refusal> {
        self.function(body).map_err(|e| match e {
            Error::ParseError(e) => Refusal::invalid(&e),
            other => Refusal::Invalid {
                reason: other.to_string(),
                offset: body.range().start,
                advice: "report this as a fault of megabin",
            },
        })
    }

    fn function(&mut self, body: &FunctionBody<'_>) -> Result<Body, Error<Infallible>> {
        let mut out = Builder::new(self.new_function_with_parsed_locals(body)?);
        let mut addresses = Addresses::new(self.input);
        let mut loops = Loops::default();
        let mut operators = body.get_operators_reader()?;
        while !operators.eof() {
            let (operator, address) = addresses.settle(operators.read()?, &mut out);
            out.calls_are_hot = loops.after(&operator);
            self.operator(operator, &mut out)?;
            if let Some(hole) = address {
                out.displacement(hole);
            }
        }
        Ok(out.finish())
    }

    fn operator(
        &mut self,
        operator: Operator<'_>,
        out: &mut Builder,
    ) -> Result<(), Error<Infallible>> {
        match operator {
            Operator::I32Const { value } => {
                out.constant(value);
            }
            Operator::Call { function_index } => {
                out.call(
                    HoleKind::Function,
                    self.places.function(function_index),
                    false,
                );
            }
            Operator::ReturnCall { function_index } => {
                out.call(
                    HoleKind::Function,
                    self.places.function(function_index),
                    true,
                );
            }
            Operator::RefFunc { function_index } => {
                out.ref_func(self.places.function(function_index));
            }
            Operator::CallIndirect {
                type_index,
                table_index,
            } if let Some(trampoline) = self.trampoline(table_index, type_index) => {
                out.call(HoleKind::Trampoline, trampoline, false);
            }
            Operator::ReturnCallIndirect {
                type_index,
                table_index,
            } if let Some(trampoline) = self.trampoline(table_index, type_index) => {
                out.call(HoleKind::Trampoline, trampoline, true);
            }
            Operator::GlobalGet { global_index } => {
                match self.places.globals[global_index as usize] {
                    GlobalPlace::Const(Const::I32(value)) => {
                        out.constant(value);
                    }
                    GlobalPlace::Const(Const::Func(function)) => {
                        out.ref_func(self.places.function(function));
                    }
                    GlobalPlace::Const(value) => out.plain(&value.instruction(|f| f)),
                    GlobalPlace::Slot(slot) => out.plain(&Instruction::GlobalGet(slot)),
                }
            }
            Operator::MemoryGrow { mem } => match self.places.grow {
                Some(helper) => out.call(HoleKind::Function, helper, false),
                None => out.plain(&Instruction::MemoryGrow(mem)),
            },
            Operator::MemoryInit { data_index, .. } => {
                let helper = self.places.passive[&data_index].init;
                let helper = helper.expect("`memory.init` of it was seen by the scan");
                out.call(HoleKind::Function, helper, false);
            }
            Operator::DataDrop { data_index } => {
                out.plain(&Instruction::I32Const(0));
                let slot = self.places.passive[&data_index].slot;
                out.plain(&Instruction::GlobalSet(slot));
            }
            mut other => {
                let offset = addresses::take_offset(&mut other);
                out.plain(&self.instruction(other)?);
                if let Some(offset) = offset {
                    out.offset(offset);
                }
            }
        }
        Ok(())
    }

    fn trampoline(&self, table: u32, ty: u32) -> Option<u32> {
        self.places
            .trampolines
            .get(&(table, self.places.types[ty as usize]))
            .copied()
    }
}

/// The blocks that are open, and how many of them are loops.
#[derive(Default)]
struct Loops {
    blocks: Vec<bool>,
    loops: usize,
}

impl Loops {
    /// Whether code after `operator`, the next one, lies in a loop.
    fn after(&mut self, operator: &Operator<'_>) -> bool {
        match operator {
            Operator::Loop { .. } => {
                self.blocks.push(true);
                self.loops += 1;
            }
            Operator::Block { .. } | Operator::If { .. } | Operator::TryTable { .. } => {
                self.blocks.push(false);
            }
            // The last `end` is the function's own.
            Operator::End => self.loops -= usize::from(self.blocks.pop() == Some(true)),
            _ => {}
        }
        self.loops > 0
    }
}
