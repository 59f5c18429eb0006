//! The final numbers of everything in the output: what folding kept, then the linker's own.

use wasmparser::FuncType;

use super::code::{Code, Filling, Hole, HoleKind};
use super::fold::{Folded, Kept, Switch, Varying};
use super::layout::{Layout, SWITCH};

/// The plan of the output, complete. Functions in this order: imports; those kept; switches; an
/// entry shim for each program; `_dispatch`. Globals: the image switch; the programs' own; slots;
/// the number of the program that runs.
pub(crate) struct Output<'a> {
    pub layout: &'a Layout,
    pub code: &'a Code,
    pub folded: &'a Folded,
}

impl Output<'_> {
    /// One of a program's own functions.
    pub(crate) fn function(&self, program: usize, own: u32) -> u32 {
        self.folded
            .function(self.layout.programs[program].function(own))
    }

    pub(crate) fn shim(&self, program: usize) -> u32 {
        self.folded.end() + program as u32
    }

    pub(crate) fn dispatch(&self) -> u32 {
        self.folded.end() + self.layout.programs.len() as u32
    }

    /// The global of a slot.
    pub(crate) fn slot(&self, slot: u32) -> u32 {
        SWITCH + 1 + self.layout.slots.len() as u32 + slot
    }

    /// The global by which switches know the program; only there if there are switches.
    pub(crate) fn program_number(&self) -> u32 {
        self.slot(self.folded.slots)
    }

    /// How many i32 globals follow the programs' own.
    pub(crate) fn extra_globals(&self) -> u32 {
        self.folded.slots + u32::from(!self.folded.switches.is_empty())
    }

    /// The type of a switch and of the functions it calls.
    pub(crate) fn switch_type(&self, switch: &Switch) -> u32 {
        let function = switch.arms.values().next().expect("a switch has programs");
        let function = self.code.get(*function).expect("no import varies");
        function.ty
    }

    pub(crate) fn switch_function_type(&self, switch: &Switch) -> &FuncType {
        &self.layout.types.list[self.switch_type(switch) as usize]
    }

    /// The finished code of a function that was kept.
    pub(crate) fn body(&self, kept: &Kept) -> Vec<u8> {
        let body = &self.code.functions[kept.members[0] as usize].body;
        let mut bytes = Vec::with_capacity(body.bytes.len() + 2 * body.holes.len());
        body.write(&mut bytes, |nth, hole| self.filling(kept, nth, hole));
        bytes
    }

    fn filling(&self, kept: &Kept, nth: usize, hole: &Hole) -> Filling {
        match kept.varying.get(&nth) {
            Some(Varying::Slot(place)) => Filling::Global {
                index: self.slot(place.slot),
                distance: place.distance.cast_signed(),
            },
            Some(Varying::Displacement(distance)) => Filling::Offset(*distance),
            Some(Varying::Switch(switch)) => Filling::Function(self.folded.first_switch() + switch),
            None => match hole.kind {
                HoleKind::Constant => Filling::Constant(hole.value.cast_signed()),
                HoleKind::Offset => Filling::Offset(hole.value),
                HoleKind::Displacement => Filling::Offset(0),
                HoleKind::Function | HoleKind::Trampoline => {
                    Filling::Function(self.folded.function(hole.value))
                }
            },
        }
    }
}
