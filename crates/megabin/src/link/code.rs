//! Functions of the output before their final numbers are known: code with holes.
//!
//! Until folding has decided which functions stay, a function's number is *provisional*: its place
//! among all functions of all programs ([`super::layout`]). Every number and every `i32.const` is a
//! hole in the code, as are offsets that can be addresses, so that functions can be compared without them and completed afterwards.

use wasm_encoder::{Encode, Function, Instruction, InstructionSink};

/// What stands in a hole.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum HoleKind {
    /// The provisional number of a function that is called or referred to.
    Function,
    /// The same of a trampoline that is called for a `call_indirect`.
    Trampoline,
    /// The value of an `i32.const`.
    Constant,
    /// The offset of a load or store, where it can be an address.
    Offset,
    /// The offset, zero, of a load or store whose address is the constant in the hole of this number.
    Displacement,
}

/// A place in a function's code, one byte long there, that is filled when it is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Hole {
    /// Place of the operand. The byte before it is the opcode, but for offsets.
    pub at: u32,
    pub kind: HoleKind,
    /// Provisional number, the constant's bits, or the number of a hole.
    pub value: u32,
    /// It is a call in a loop: whatever the call costs more is paid at each turn.
    pub hot: bool,
}

/// What fills a hole in the output.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Filling {
    /// A function's final number.
    Function(u32),
    /// A constant.
    Constant(i32),
    /// The offset of a load or store.
    Offset(u32),
    /// The global that holds the constant of whichever program runs, less a distance.
    Global { index: u32, distance: i32 },
}

/// A function's code, locals included.
#[derive(Debug, Default)]
pub(crate) struct Body {
    pub bytes: Vec<u8>,
    /// In ascending order of place.
    pub holes: Vec<Hole>,
}

impl Body {
    /// Appends the finished code to `out`; `fill` says what stands in the n-th hole.
    pub(crate) fn write(&self, out: &mut Vec<u8>, mut fill: impl FnMut(usize, &Hole) -> Filling) {
        const I32_CONST: u8 = 0x41;
        const I32_ADD: u8 = 0x6a;
        const GLOBAL_GET: u8 = 0x23;
        let mut from = 0;
        for (nth, hole) in self.holes.iter().enumerate() {
            let at = hole.at as usize;
            out.extend_from_slice(&self.bytes[from..at]);
            match fill(nth, hole) {
                Filling::Function(value) | Filling::Offset(value) => value.encode(out),
                Filling::Constant(value) => value.encode(out),
                Filling::Global { index, distance } => {
                    *out.last_mut().expect("an opcode precedes every hole") = GLOBAL_GET;
                    index.encode(out);
                    if distance != 0 {
                        out.push(I32_CONST);
                        distance.encode(out);
                        out.push(I32_ADD);
                    }
                }
            }
            from = at + 1;
        }
        out.extend_from_slice(&self.bytes[from..]);
    }
}

/// Writes one [`Body`].
pub(crate) struct Builder {
    function: Function,
    holes: Vec<Hole>,
    /// Whether calls that are written now lie in a loop.
    pub calls_are_hot: bool,
}

impl Builder {
    /// Continues `function`, which has its locals and no code yet.
    pub(crate) fn new(function: Function) -> Self {
        Self {
            function,
            holes: Vec::new(),
            calls_are_hot: false,
        }
    }

    /// For instructions that name no function.
    pub(crate) fn sink(&mut self) -> InstructionSink<'_> {
        self.function.instructions()
    }

    pub(crate) fn plain(&mut self, instruction: &Instruction<'_>) {
        self.function.instruction(instruction);
    }

    pub(crate) fn call(&mut self, kind: HoleKind, function: u32, tail: bool) {
        let instruction = if tail {
            Instruction::ReturnCall(0)
        } else {
            Instruction::Call(0)
        };
        self.hole(&instruction, kind, function);
    }

    pub(crate) fn ref_func(&mut self, function: u32) {
        self.hole(&Instruction::RefFunc(0), HoleKind::Function, function);
    }

    /// An `i32.const`; returns the number of its hole.
    pub(crate) fn constant(&mut self, value: i32) -> usize {
        let bits = value.cast_unsigned();
        self.hole(&Instruction::I32Const(0), HoleKind::Constant, bits);
        self.holes.len() - 1
    }

    /// Changes the value of a constant that was written before.
    pub(crate) fn set_constant(&mut self, hole: usize, value: u32) {
        self.holes[hole].value = value;
    }

    pub(crate) fn constant_value(&self, hole: usize) -> u32 {
        self.holes[hole].value
    }

    /// Makes a hole of the offset of the load or store that was just written with offset 0.
    pub(crate) fn offset(&mut self, value: u32) {
        self.hole_here(HoleKind::Offset, value);
    }

    /// Makes a hole of the offset of the load or store that was just written with offset 0 and
    /// that has the constant in `hole` for its address.
    pub(crate) fn displacement(&mut self, hole: usize) {
        self.hole_here(HoleKind::Displacement, hole as u32);
    }

    /// How many holes there are so far.
    pub(crate) fn holes(&self) -> usize {
        self.holes.len()
    }

    fn hole(&mut self, instruction: &Instruction<'_>, kind: HoleKind, value: u32) {
        self.function.instruction(instruction);
        self.hole_here(kind, value);
    }

    fn hole_here(&mut self, kind: HoleKind, value: u32) {
        // The operand is 0, which is one byte long, and the last.
        let at = (self.function.byte_len() - 1) as u32;
        let call = matches!(kind, HoleKind::Function | HoleKind::Trampoline);
        self.holes.push(Hole {
            at,
            kind,
            value,
            hot: call && self.calls_are_hot,
        });
    }

    pub(crate) fn finish(self) -> Body {
        Body {
            bytes: self.function.into_raw_body(),
            holes: self.holes,
        }
    }
}

/// A trampoline stands for this table and this type of the output.
pub(crate) type TrampolineKey = (u32, u32);

/// One function under its provisional number.
#[derive(Debug)]
pub(crate) struct CodeFunction {
    /// Its type in the output.
    pub ty: u32,
    /// The program it belongs to; `None` for helpers of all.
    pub program: Option<usize>,
    pub trampoline: Option<TrampolineKey>,
    pub body: Body,
}

/// All functions of all programs, by provisional number, which starts after the imports.
#[derive(Debug, Default)]
pub(crate) struct Code {
    pub imports: u32,
    pub functions: Vec<CodeFunction>,
}

impl Code {
    /// The function with a provisional number; `None` for imports.
    pub(crate) fn get(&self, number: u32) -> Option<&CodeFunction> {
        self.functions
            .get(number.checked_sub(self.imports)? as usize)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn holes_are_filled_where_they_are() {
        let mut builder = Builder::new(Function::new([]));
        builder.constant(-1);
        builder.constant(7);
        builder.constant(7);
        builder.call(HoleKind::Function, 3, false);
        builder.sink().end();
        let body = builder.finish();
        let mut out = vec![0xaa];
        body.write(&mut out, |nth, hole| match nth {
            0 => Filling::Constant(hole.value.cast_signed()),
            1 => Filling::Global {
                index: 200,
                distance: 0,
            },
            2 => Filling::Global {
                index: 200,
                distance: -2,
            },
            _ => Filling::Function(300),
        });
        let expected = [
            0xaa, 0, 0x41, 0x7f, 0x23, 0xc8, 1, 0x23, 0xc8, 1, 0x41, 0x7e, 0x6a, 0x10, 0xac, 2,
            0x0b,
        ];
        assert_eq!(out, expected);
    }
}
