//! Which functions are written: one for each class whose constants are equal or have slots, else one
//! for each variant; and the switches that choose between them.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, HashMap};

use super::partition::{Link, Partition};
use super::slots::Slots;
use super::{Folded, Kept, Switch, Varying};
use crate::link::code::{Code, Hole, HoleKind, TrampolineKey};

/// The constants and offsets of a function, in order.
pub(super) fn constants(code: &Code, function: u32) -> impl Iterator<Item = u32> {
    let holes = &code.functions[function as usize].body.holes;
    holes
        .iter()
        .filter(|hole| matches!(hole.kind, HoleKind::Constant | HoleKind::Offset))
        .map(|hole| hole.value)
}

/// The members of a class by their constants and offsets, in the order of their first.
pub(super) fn variants(code: &Code, members: &[u32]) -> Vec<Vec<u32>> {
    let mut variants: Vec<Vec<u32>> = Vec::new();
    let mut known: HashMap<Vec<u32>, usize> = HashMap::new();
    for member in members {
        let variant = *known
            .entry(constants(code, *member).collect())
            .or_insert_with(|| {
                variants.push(Vec::new());
                variants.len() - 1
            });
        variants[variant].push(*member);
    }
    variants
}

/// The functions that are written: classes with slots whole, others by variant; and where a call
/// in a loop would have to choose, one for each choice. So a switch is never called from a loop,
/// where it would cost time at each turn, nor from a trampoline.
fn written(code: &Code, partition: &Partition<'_>, slots: &Slots) -> Vec<Vec<u32>> {
    let mut groups = Vec::new();
    for (members, class) in partition.classes().iter().zip(0..) {
        if members.len() == 1 || slots.has(class) {
            groups.push(members.clone());
        } else {
            groups.extend(variants(code, members));
        }
    }
    let hot_call = |hole: &Hole| match hole.kind {
        HoleKind::Function | HoleKind::Trampoline if hole.hot => Link::Class(hole.value),
        _ => Link::Free,
    };
    let mut written = Partition::of(code, &hot_call, groups).into_classes();
    // What many programs use lies together, so that what one of them uses is near.
    written.sort_by_cached_key(|members| {
        let program = |member: &u32| code.functions[*member as usize].program;
        let programs: BTreeSet<_> = members.iter().map(program).collect();
        (Reverse(programs.len()), members[0])
    });
    written
}

/// Numbers what is written.
pub(super) fn write(
    code: &Code,
    partition: &Partition<'_>,
    slots: &Slots,
    programs: usize,
) -> Folded {
    let written = written(code, partition, slots);
    let mut final_of = vec![0; code.functions.len()];
    for (members, number) in written.iter().zip(code.imports..) {
        for member in members {
            final_of[*member as usize] = number;
        }
    }
    let mut switches = Switches::default();
    let kept = written
        .into_iter()
        .map(|members| {
            let mut varying = slots.varying(code, partition.class_of(members[0]), &members);
            switches.find(code, partition, &final_of, &members, &mut varying);
            Kept { members, varying }
        })
        .collect();
    Folded {
        imports: code.imports,
        final_of,
        kept,
        switches: switches.list,
        slots: slots.count(),
        values: slots.values(programs),
        numbered: switches.numbered,
    }
}

/// What a switch chooses from.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
enum Choice {
    Class(u32),
    Trampoline(TrampolineKey),
}

#[derive(Default)]
struct Switches {
    list: Vec<Switch>,
    by_choice: BTreeMap<Choice, u32>,
    numbered: BTreeSet<usize>,
}

impl Switches {
    /// Adds to `varying` the calls that must reach different functions for different members.
    fn find(
        &mut self,
        code: &Code,
        partition: &Partition<'_>,
        final_of: &[u32],
        members: &[u32],
        varying: &mut BTreeMap<usize, Varying>,
    ) {
        let function = |place: u32| &code.functions[place as usize];
        for (nth, hole) in function(members[0]).body.holes.iter().enumerate() {
            let call = matches!(hole.kind, HoleKind::Function | HoleKind::Trampoline);
            if !call || hole.value < code.imports {
                continue;
            }
            let callee = |member: u32| function(member).body.holes[nth].value - code.imports;
            let first = final_of[callee(members[0]) as usize];
            if members
                .iter()
                .all(|m| final_of[callee(*m) as usize] == first)
            {
                continue;
            }
            let choice = match function(callee(members[0])).trampoline {
                Some(key) if hole.kind == HoleKind::Trampoline => Choice::Trampoline(key),
                _ => Choice::Class(partition.class_of(callee(members[0]))),
            };
            let switch = *self.by_choice.entry(choice).or_insert_with(|| {
                self.list.push(Switch::default());
                self.list.len() as u32 - 1
            });
            for member in members {
                let program = function(*member).program;
                let program = program.expect("helpers call nothing that varies");
                let callee = callee(*member);
                let arms = &mut self.list[switch as usize].arms;
                let before = arms.insert(program, callee + code.imports);
                // Equal functions of one program are one function. A linker that is wrong about it
                // must not write a program that is.
                let written = |number: u32| final_of[(number - code.imports) as usize];
                assert!(
                    before.is_none_or(|other| written(other) == final_of[callee as usize]),
                    "two functions of one program that differ were folded"
                );
                self.numbered.insert(program);
            }
            varying.insert(nth, Varying::Switch(switch));
        }
    }
}
