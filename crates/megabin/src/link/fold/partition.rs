//! Classes of functions that do the same: the coarsest partition in which all members of a class
//! have the same type and code, and call functions of the same classes.
//!
//! It starts with one class for each code and splits until nothing changes, so functions that call
//! each other in a circle stay together. Only splitting happens, so further splits by other rules
//! can come between and [`Partition::refine`] settles the callers again.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::hash::Hash;

use crate::link::code::{Code, Hole, HoleKind};

/// How a hole takes part in the comparison.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Link {
    /// Its value must be equal.
    Fixed(u32),
    /// The functions it names must be of one class.
    Class(u32),
    /// It may differ.
    Free,
}

/// Functions are numbered from 0 here: provisional number less the imports.
pub(super) struct Partition<'a> {
    code: &'a Code,
    link: &'a dyn Fn(&Hole) -> Link,
    class_of: Vec<u32>,
    /// In ascending order.
    members: Vec<Vec<u32>>,
    /// For each function, those of its callers that were not alone in their class at the start.
    callers: Vec<Vec<u32>>,
    dirty: BTreeSet<u32>,
}

#[derive(PartialEq, Eq, Hash)]
struct Shape<'a> {
    ty: u32,
    bytes: &'a [u8],
    holes: Vec<(u32, HoleKind, Option<u32>)>,
}

impl<'a> Partition<'a> {
    /// The coarsest partition of `code` under `link`.
    pub(super) fn new(code: &'a Code, link: &'a dyn Fn(&Hole) -> Link) -> Self {
        let mut classes: HashMap<Shape<'a>, u32> = HashMap::new();
        let mut members: Vec<Vec<u32>> = Vec::new();
        let mut class_of = Vec::with_capacity(code.functions.len());
        for (function, number) in code.functions.iter().zip(0..) {
            let hole = |hole: &Hole| {
                let fixed = match link(hole) {
                    Link::Fixed(value) => Some(value),
                    Link::Class(callee) if callee < code.imports => Some(callee),
                    Link::Class(_) | Link::Free => None,
                };
                (hole.at, hole.kind, fixed)
            };
            let shape = Shape {
                ty: function.ty,
                bytes: &function.body.bytes,
                holes: function.body.holes.iter().map(hole).collect(),
            };
            let class = *classes.entry(shape).or_insert_with(|| {
                members.push(Vec::new());
                members.len() as u32 - 1
            });
            members[class as usize].push(number);
            class_of.push(class);
        }
        Self::refined(code, link, class_of, members)
    }

    /// The coarsest partition under `link` that keeps `groups` apart, which hold every function once.
    pub(super) fn of(
        code: &'a Code,
        link: &'a dyn Fn(&Hole) -> Link,
        groups: Vec<Vec<u32>>,
    ) -> Self {
        let mut class_of = vec![0; code.functions.len()];
        for (group, class) in groups.iter().zip(0..) {
            for member in group {
                class_of[*member as usize] = class;
            }
        }
        Self::refined(code, link, class_of, groups)
    }

    /// Every function in a class of its own.
    pub(super) fn finest(code: &'a Code, link: &'a dyn Fn(&Hole) -> Link) -> Self {
        let groups = (0..code.functions.len() as u32).map(|f| vec![f]);
        Self::of(code, link, groups.collect())
    }

    fn refined(
        code: &'a Code,
        link: &'a dyn Fn(&Hole) -> Link,
        class_of: Vec<u32>,
        members: Vec<Vec<u32>>,
    ) -> Self {
        let mut partition = Self {
            code,
            link,
            class_of,
            members,
            callers: Vec::new(),
            dirty: BTreeSet::new(),
        };
        partition.note_callers();
        partition.refine();
        partition
    }

    fn note_callers(&mut self) {
        let mut callers = vec![Vec::new(); self.class_of.len()];
        for (members, class) in self.members.iter().zip(0..) {
            if members.len() > 1 {
                self.dirty.insert(class);
                for member in members {
                    for callee in self.callees(*member) {
                        callers[callee as usize].push(*member);
                    }
                }
            }
        }
        self.callers = callers;
    }

    pub(super) fn class_of(&self, function: u32) -> u32 {
        self.class_of[function as usize]
    }

    pub(super) fn classes(&self) -> &[Vec<u32>] {
        &self.members
    }

    pub(super) fn into_classes(self) -> Vec<Vec<u32>> {
        self.members
    }

    /// Splits a class by what `key` says of its members. Callers are not settled before
    /// [`Self::refine`].
    pub(super) fn split<K: Hash + Eq>(&mut self, class: u32, mut key: impl FnMut(u32) -> K) {
        let mut groups: Vec<Vec<u32>> = Vec::new();
        let mut known: HashMap<K, usize> = HashMap::new();
        for member in &self.members[class as usize] {
            let group = *known.entry(key(*member)).or_insert_with(|| {
                groups.push(Vec::new());
                groups.len() - 1
            });
            groups[group].push(*member);
        }
        // Members of a class that waits to be looked at still wait when they have left it.
        let waits = self.dirty.contains(&class);
        // The largest group keeps the class: the fewer move, the fewer callers are looked at again.
        let largest = (0..groups.len()).rev().max_by_key(|g| groups[*g].len());
        let first = self.members.len();
        for (group, members) in groups.into_iter().enumerate() {
            if Some(group) == largest {
                self.members[class as usize] = members;
                continue;
            }
            let new = self.members.len() as u32;
            for member in &members {
                self.class_of[*member as usize] = new;
            }
            self.members.push(members);
            if waits {
                self.dirty.insert(new);
            }
        }
        // Not before all have moved: the callers may be among them.
        for member in self.members[first..].iter().flatten() {
            for caller in &self.callers[*member as usize] {
                self.dirty.insert(self.class_of[*caller as usize]);
            }
        }
    }

    /// Splits until all members of each class call functions of the same classes.
    pub(super) fn refine(&mut self) {
        while let Some(class) = self.dirty.pop_first() {
            if self.members[class as usize].len() < 2 {
                continue;
            }
            let keys: BTreeMap<u32, Vec<u32>> = self.members[class as usize]
                .iter()
                .map(|m| {
                    let callees = self.callees(*m);
                    (*m, callees.map(|c| self.class_of(c)).collect())
                })
                .collect();
            self.split(class, |member| keys[&member].clone());
            // A class that calls itself may have to be split again: `split` marked its callers,
            // itself among them.
        }
    }

    /// The functions, imports left out, that must be of the same class as another member's.
    fn callees(&self, function: u32) -> impl Iterator<Item = u32> {
        let (imports, link) = (self.code.imports, self.link);
        let holes = &self.code.functions[function as usize].body.holes;
        holes.iter().filter_map(move |hole| match link(hole) {
            Link::Class(callee) => callee.checked_sub(imports),
            Link::Fixed(_) | Link::Free => None,
        })
    }
}
