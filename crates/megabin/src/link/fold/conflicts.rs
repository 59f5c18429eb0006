//! Conflicts: functions of one class and one program that need different constants. Slots have one
//! value in a program, so such functions go to different classes.
//!
//! Which of program A's functions then meets which of program B's decides how much is saved, not
//! whether it is right. Tried in turn, each only where the one before left a conflict: those of the
//! same name; those with the same constants apart from addresses; the first with the first.

use std::collections::BTreeMap;

use super::Programs;
use super::partition::Partition;
use super::variants::constants;
use crate::link::code::Code;

/// Splits until no program has two functions of one class with different constants.
pub(super) fn separate(partition: &mut Partition<'_>, code: &Code, programs: &dyn Programs) {
    loop {
        let classes = 0..partition.classes().len() as u32;
        let conflicts: Vec<u32> = classes
            .filter(|class| in_conflict(code, &partition.classes()[*class as usize]))
            .collect();
        if conflicts.is_empty() {
            return;
        }
        for class in conflicts {
            split(partition, code, programs, class);
        }
        partition.refine();
    }
}

fn in_conflict(code: &Code, members: &[u32]) -> bool {
    let mut seen: BTreeMap<Option<usize>, u32> = BTreeMap::new();
    members.iter().any(|member| {
        let program = code.functions[*member as usize].program;
        let first = *seen.entry(program).or_insert(*member);
        !constants(code, first).eq(constants(code, *member))
    })
}

fn split(partition: &mut Partition<'_>, code: &Code, programs: &dyn Programs, class: u32) {
    let members = partition.classes()[class as usize].clone();
    let others = |member: u32| -> Vec<Option<u32>> {
        let program = code.functions[member as usize].program;
        constants(code, member)
            .map(|v| {
                program
                    .is_none_or(|p| !programs.is_address(p, v))
                    .then_some(v)
            })
            .collect()
    };
    let name = |member: u32| programs.symbol(member);
    if differ(&members, name) {
        return partition.split(class, name);
    }
    if differ(&members, others) {
        return partition.split(class, others);
    }
    let mut variants: BTreeMap<Option<usize>, Vec<Vec<u32>>> = BTreeMap::new();
    partition.split(class, |member| {
        let own: Vec<u32> = constants(code, member).collect();
        let known = variants
            .entry(code.functions[member as usize].program)
            .or_default();
        known.iter().position(|v| *v == own).unwrap_or_else(|| {
            known.push(own);
            known.len() - 1
        })
    });
}

fn differ<K: PartialEq>(members: &[u32], key: impl Fn(u32) -> K) -> bool {
    let first = key(members[0]);
    members[1..].iter().any(|member| key(*member) != first)
}
