//! Slots: the globals that hold the constants in which folded functions differ.
//!
//! A slot costs each program that uses it a few bytes in its entry shim and a store at each exec,
//! and every instance a global. So the same values serve all functions that want them, programs that
//! do not meet in a function share slots, and there is a limit. A class that gets no slots is
//! written once for each variant.
//!
//! Most of these constants are addresses, and what a library lays down as one is as far apart in
//! every program: one slot and a distance serve all of it. A compiler then reads the slot once for
//! all the variables that a piece of code uses, where a slot for each would be as many loads.

use std::cmp::Reverse;
use std::collections::{BTreeMap, HashMap};

use super::Varying;
use super::partition::Partition;
use super::variants::variants;
use crate::link::code::{Code, HoleKind};

/// Bytes that setting a slot takes in an entry shim: a constant of three or four bytes, a global of
/// two, two opcodes.
const SETTING: f64 = 7.0;

/// Bytes that a function takes besides its code: its type and its length, and the arm of a switch
/// that leads to it.
const VARIANT: usize = 12;

/// Most slots. Every instance has them all and zeroes them: two nanoseconds each at every exec,
/// measured, so a microsecond at most. Programs of one language need a few hundred.
const MAX_SLOTS: usize = 500;

/// Offsets from this on, in bytes, could make code check bounds that otherwise are guard pages.
const MAX_DISPLACEMENT: u32 = 1 << 20;

/// A constant that varies: its value in each program, in their order.
type Column = Vec<(usize, u32)>;

/// Where a varying constant is found: at this distance from what the slot holds, modulo 2^32.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Place {
    pub slot: u32,
    pub distance: u32,
}

/// Which slots there are and what they hold.
#[derive(Debug, Default)]
pub(super) struct Slots {
    /// Per class the number of each varying hole, and where its value is found.
    by_class: BTreeMap<u32, Vec<(usize, Place)>>,
    /// Per slot each program's value.
    held: Vec<BTreeMap<usize, u32>>,
}

impl Slots {
    pub(super) fn count(&self) -> u32 {
        self.held.len() as u32
    }

    /// Whether the constants of a class vary and have slots.
    pub(super) fn has(&self, class: u32) -> bool {
        self.by_class.contains_key(&class)
    }

    /// What fills the varying holes of `members`, which are of one class.
    pub(super) fn varying(
        &self,
        code: &Code,
        class: u32,
        members: &[u32],
    ) -> BTreeMap<usize, Varying> {
        let places = self.by_class.get(&class).map_or(&[][..], Vec::as_slice);
        let mut varying: BTreeMap<usize, Varying> = places
            .iter()
            .map(|(hole, place)| (*hole, Varying::Slot(*place)))
            .collect();
        let holes = |member: u32| &code.functions[member as usize].body.holes;
        for (nth, hole) in holes(members[0]).iter().enumerate() {
            let address = hole.value as usize;
            if hole.kind == HoleKind::Displacement
                && let Some(Varying::Slot(Place { slot, distance })) = varying.get(&address).copied()
                && (1..MAX_DISPLACEMENT).contains(&distance)
                // An offset is added without wrapping.
                && members.iter().all(|m| holes(*m)[address].value >= distance)
            {
                varying.insert(address, Varying::Slot(Place { slot, distance: 0 }));
                varying.insert(nth, Varying::Displacement(distance));
            }
        }
        varying
    }

    /// For each program the slots it uses and their values.
    pub(super) fn values(&self, programs: usize) -> Vec<Vec<(u32, i32)>> {
        let mut values = vec![Vec::new(); programs];
        for (held, slot) in self.held.iter().zip(0..) {
            for (program, value) in held {
                values[*program].push((slot, value.cast_signed()));
            }
        }
        values
    }

    /// Finds slots for the varying constants of a class; `None`, and nothing changes, where there are
    /// not enough.
    fn take(&mut self, columns: &[(usize, Column)]) -> Option<Vec<(usize, Place)>> {
        let mut added = Vec::new();
        let mut chosen: Vec<(usize, Place)> = Vec::with_capacity(columns.len());
        for (hole, column) in columns {
            let used = |slot: u32| chosen.iter().any(|(_, place)| place.slot == slot);
            let place = match self.fitting(column, used) {
                Some(place) => place,
                None if self.held.len() < MAX_SLOTS => {
                    self.held.push(BTreeMap::new());
                    let slot = self.held.len() as u32 - 1;
                    Place { slot, distance: 0 }
                }
                None => {
                    for (slot, program) in added {
                        let held: &mut BTreeMap<usize, u32> = &mut self.held[slot];
                        held.remove(&program);
                    }
                    return None;
                }
            };
            let slot = place.slot as usize;
            for (program, value) in column {
                let base = value.wrapping_sub(place.distance);
                if self.held[slot].insert(*program, base).is_none() {
                    added.push((slot, *program));
                }
            }
            chosen.push((*hole, place));
        }
        Some(chosen)
    }

    /// The place that takes `column` with the fewest new values: in no slot that is at another
    /// distance for one of its programs. Among equals one that is `used` already, so that it is
    /// read once, or needs no addition.
    fn fitting(&self, column: &Column, used: impl Fn(u32) -> bool) -> Option<Place> {
        (0..)
            .zip(&self.held)
            .filter_map(|(slot, held)| {
                let mut held = column
                    .iter()
                    .filter_map(|(program, value)| Some(value.wrapping_sub(*held.get(program)?)));
                let Some(distance) = held.next() else {
                    return Some((0, false, true, Reverse(slot), 0));
                };
                let same = held.try_fold(1, |same, other| (other == distance).then_some(same + 1));
                Some((same?, used(slot), distance == 0, Reverse(slot), distance))
            })
            .max()
            .map(|(.., Reverse(slot), distance)| Place { slot, distance })
    }
}

/// What `column` needs of a slot: columns that differ by a distance need the same.
fn needs(column: &Column) -> Column {
    let first = column.first().map_or(0, |(_, value)| *value);
    let relative = |(program, value): &(usize, u32)| (*program, value.wrapping_sub(first));
    column.iter().map(relative).collect()
}

/// The varying constants of a class: number of the hole and values.
struct Candidate {
    class: u32,
    columns: Vec<(usize, Column)>,
    /// Bytes that are not written again for further variants.
    saved: usize,
}

/// Gives slots to the classes where they save most.
pub(super) fn choose(partition: &Partition<'_>, code: &Code) -> Slots {
    let candidates = candidates(partition, code);
    let mut uses: HashMap<Column, u32> = HashMap::new();
    for (_, column) in candidates.iter().flat_map(|c| &c.columns) {
        *uses.entry(needs(column)).or_default() += 1;
    }
    // What one use of a column gains, its settings shared among all its uses, times 16 to keep
    // whole numbers: an order that does not depend on how a machine rounds.
    let gain = |candidate: &Candidate| {
        let cost: f64 = candidate
            .columns
            .iter()
            .map(|(_, column)| SETTING * column.len() as f64 / f64::from(uses[&needs(column)]))
            .sum();
        let gain = (candidate.saved as f64 - cost) / candidate.columns.len() as f64;
        (gain * 16.0) as i64
    };
    let mut order: Vec<(Reverse<i64>, &Candidate)> =
        candidates.iter().map(|c| (Reverse(gain(c)), c)).collect();
    order.retain(|(Reverse(gain), _)| *gain > 0);
    order.sort_by_key(|(gain, candidate)| (*gain, candidate.class));

    let mut slots = Slots::default();
    for (_, candidate) in order {
        if let Some(chosen) = slots.take(&candidate.columns) {
            slots.by_class.insert(candidate.class, chosen);
        }
    }
    slots
}

/// The classes whose only differences are constants.
fn candidates(partition: &Partition<'_>, code: &Code) -> Vec<Candidate> {
    let holes = |member: u32| &code.functions[member as usize].body.holes;
    let mut all = Vec::new();
    for (members, class) in partition.classes().iter().zip(0..) {
        let varies = |nth: usize| {
            let value = |member: &u32| holes(*member)[nth].value;
            members.iter().any(|m| value(m) != value(&members[0]))
        };
        let of_kind = |kind: HoleKind| {
            let kinds = holes(members[0]).iter().enumerate();
            kinds.filter(move |(_, hole)| hole.kind == kind)
        };
        // An offset cannot be a global.
        if members.len() == 1 || of_kind(HoleKind::Offset).any(|(nth, _)| varies(nth)) {
            continue;
        }
        let mut columns: Vec<(usize, Column)> = of_kind(HoleKind::Constant)
            .filter(|(nth, _)| varies(*nth))
            .map(|(nth, _)| {
                let value = |member: &u32| {
                    let program = code.functions[*member as usize].program;
                    let program = program.expect("helpers have no constants that vary");
                    (program, holes(*member)[nth].value)
                };
                let column: BTreeMap<usize, u32> = members.iter().map(value).collect();
                (nth, column.into_iter().collect())
            })
            .collect();
        // The lowest first: what lies behind it is at a distance that an offset can bridge.
        columns.sort_by_key(|(nth, column)| (column[0].1, *nth));
        if !columns.is_empty() {
            let body = &code.functions[members[0] as usize].body;
            let size = body.bytes.len() + body.holes.len() + VARIANT;
            let saved = (variants(code, members).len() - 1) * size;
            all.push(Candidate {
                class,
                columns,
                saved,
            });
        }
    }
    all
}
