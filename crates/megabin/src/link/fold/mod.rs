//! Folding: functions that do the same are written once, whichever programs they come from.
//!
//! *Exact* folds functions that are equal: same type, locals and code, where calls are equal if
//! they call functions that are folded with each other ([`partition`]).
//!
//! *Full* also brings together functions of different programs that differ in the values of
//! `i32.const` and in the offsets of loads and stores: mostly addresses, since each program lays its
//! data elsewhere. One instance runs one program, so what differs between programs can be settled
//! when the program starts:
//!
//! - a constant that varies is read from a global, a *slot*, which each program's entry shim sets to
//!   the program's own value, or lies at a fixed distance from it ([`slots`]);
//! - where that does not pay, or an offset varies, the function is written once for each variant,
//!   and a *switch* stands before the variants, which calls that of the running program. Whatever
//!   calls the function is folded all the same ([`variants`]);
//! - calls through function pointers go through a switch to the program's own trampoline.
//!
//! Two functions of one program that differ are never brought together ([`conflicts`]).

mod conflicts;
mod partition;
mod slots;
mod variants;

use std::collections::{BTreeMap, BTreeSet};

use super::code::{Code, Hole, HoleKind, TrampolineKey};
use partition::{Link, Partition};
pub(crate) use slots::Place;
use slots::Slots;

/// Which functions are written once.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Folding {
    /// Each function of each program is written.
    None,
    /// Equal functions.
    Exact,
    /// Also functions of different programs that differ in constants.
    #[default]
    Full,
}

/// What folding has to know of the programs besides their code.
pub(crate) trait Programs {
    /// How many there are.
    fn count(&self) -> usize;
    /// Whether `value` can be an address of something the program's image or `.bss` holds.
    fn is_address(&self, program: usize, value: u32) -> bool;
    /// The function's name in its program, by its place in [`Code::functions`].
    fn symbol(&self, function: u32) -> Option<&str>;
}

/// A hole of a written function that is filled with neither a constant nor one function.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Varying {
    Slot(Place),
    /// An offset by which a load or store is as far from a slot's value as its address is.
    Displacement(u32),
    Switch(u32),
}

/// A function that is written.
#[derive(Debug)]
pub(crate) struct Kept {
    /// All functions it stands for, by their places in [`Code::functions`], ascending; its code is
    /// the first one's.
    pub members: Vec<u32>,
    /// By the number of the hole.
    pub varying: BTreeMap<usize, Varying>,
}

/// Calls the running program's own one of several functions that have the same type.
#[derive(Debug, Default)]
pub(crate) struct Switch {
    /// Provisional number of each program's function.
    pub arms: BTreeMap<usize, u32>,
}

/// What is written, and under which final numbers: imports, the functions kept, switches; what
/// follows is the encoder's.
#[derive(Debug)]
pub(crate) struct Folded {
    imports: u32,
    final_of: Vec<u32>,
    pub kept: Vec<Kept>,
    pub switches: Vec<Switch>,
    /// How many slots there are.
    pub slots: u32,
    /// Each program's values of the slots it uses.
    pub values: Vec<Vec<(u32, i32)>>,
    /// The programs whose number a switch asks for.
    pub numbered: BTreeSet<usize>,
}

impl Folded {
    /// The final number for a provisional one.
    pub(crate) fn function(&self, number: u32) -> u32 {
        match number.checked_sub(self.imports) {
            Some(place) => self.final_of[place as usize],
            None => number,
        }
    }

    pub(crate) fn first_switch(&self) -> u32 {
        self.imports + self.kept.len() as u32
    }

    /// The first number after all of these.
    pub(crate) fn end(&self) -> u32 {
        self.first_switch() + self.switches.len() as u32
    }
}

/// Folds `code`.
pub(crate) fn fold(code: &Code, programs: &dyn Programs, folding: Folding) -> Folded {
    let keys = trampoline_keys(code);
    let link = |hole: &Hole| match (hole.kind, folding) {
        (HoleKind::Function, _) => Link::Class(hole.value),
        (HoleKind::Trampoline, Folding::None | Folding::Exact) => Link::Class(hole.value),
        (HoleKind::Trampoline, Folding::Full) => Link::Fixed(keys[&hole.value]),
        (HoleKind::Constant | HoleKind::Offset, Folding::None | Folding::Exact) => {
            Link::Fixed(hole.value)
        }
        (HoleKind::Constant | HoleKind::Offset, Folding::Full) => Link::Free,
        (HoleKind::Displacement, _) => Link::Fixed(hole.value),
    };
    let (partition, slots) = match folding {
        Folding::None => (Partition::finest(code, &link), Slots::default()),
        Folding::Exact => (Partition::new(code, &link), Slots::default()),
        Folding::Full => {
            let mut partition = Partition::new(code, &link);
            conflicts::separate(&mut partition, code, programs);
            let slots = slots::choose(&partition, code);
            (partition, slots)
        }
    };
    variants::write(code, &partition, &slots, programs.count())
}

/// For each trampoline a number that those of other programs for the same table and type share.
fn trampoline_keys(code: &Code) -> BTreeMap<u32, u32> {
    let mut numbers: BTreeMap<TrampolineKey, u32> = BTreeMap::new();
    (code.imports..)
        .zip(&code.functions)
        .filter_map(|(number, function)| {
            let next = numbers.len() as u32;
            let key = *numbers.entry(function.trampoline?).or_insert(next);
            Some((number, key))
        })
        .collect()
}
