//! Where the base lies: addresses for the libraries' data, numbers for their function pointers. The
//! same for all programs, whatever each of them uses.

use std::collections::BTreeMap;

use super::library::{FunctionId, Libraries, SegmentId};
use super::matching::Matches;
use super::program::Program;

/// Zeros between the base's data and the next, in bytes: more than those that the linker keeps
/// inside one piece of an image, so that the base is a piece of its own, equal in all programs.
const GAP: u32 = 2048;

pub(super) struct Base {
    /// Its first address.
    pub start: u32,
    /// The address of each segment.
    pub segments: BTreeMap<SegmentId, u32>,
    /// The number of each function that a pointer of some program names.
    pub pointers: BTreeMap<FunctionId, u32>,
    /// The address after its last, gap included.
    pub end: u64,
}

/// Lays whatever one of the programs uses.
pub(super) fn lay(programs: &[(&Program<'_>, &Matches)], libraries: &Libraries<'_>) -> Base {
    let floor = programs.iter().map(|(program, _)| program.floor).max();
    let start = floor.unwrap_or(0).next_multiple_of(16);
    // Those of zeros last, so that they need no bytes.
    let mut used: Vec<(bool, SegmentId)> = Vec::new();
    let mut pointers: Vec<FunctionId> = Vec::new();
    for (program, matches) in programs {
        used.extend(matches.segments.keys().map(|id| {
            let zeros = libraries.segment(*id).iter().all(|byte| *byte == 0)
                && relocs_of(libraries, *id) == 0;
            (zeros, *id)
        }));
        let named = program
            .pointers()
            .filter_map(|own| matches.functions.get(&own));
        pointers.extend(named);
    }
    used.sort_unstable();
    used.dedup();
    pointers.sort_unstable();
    pointers.dedup();
    let mut at = u64::from(start);
    let mut segments = BTreeMap::new();
    for (_, id) in used {
        let segment = &libraries.objects[id.0].unit.segments[id.1 as usize];
        at = at.next_multiple_of(u64::from(segment.align));
        // Beyond what 32 bits can address no program is laid: `end` says so.
        segments.insert(id, u32::try_from(at).unwrap_or(u32::MAX));
        at += segment.place.len() as u64;
    }
    Base {
        start,
        segments,
        pointers: pointers.into_iter().zip(1..).collect(),
        end: at + u64::from(GAP),
    }
}

fn relocs_of(libraries: &Libraries<'_>, (object, segment): SegmentId) -> usize {
    let unit = &libraries.objects[object].unit;
    unit.relocs_in(&unit.segments[segment as usize].place).len()
}

/// How one program moves.
pub(super) struct Move<'a> {
    pub base: &'a Base,
    pub matches: &'a Matches,
    /// What is added to its own addresses.
    pub delta: u32,
    /// By the address in the program: end, and address in the base.
    moved: BTreeMap<u32, (u32, u32)>,
}

impl<'a> Move<'a> {
    /// `None` where its addresses would not fit in 32 bits.
    pub(super) fn new(
        program: &Program<'_>,
        matches: &'a Matches,
        base: &'a Base,
        libraries: &Libraries<'_>,
    ) -> Option<Self> {
        let delta = base.end - u64::from(program.floor.min(base.start));
        let delta = u32::try_from(delta.next_multiple_of(u64::from(program.align))).ok()?;
        let moved = matches.segments.iter().filter_map(|(id, address)| {
            let len = libraries.segment(*id).len() as u32;
            let to = base.segments.get(id)?;
            (len > 0).then_some((*address, (address + len, *to)))
        });
        Some(Self {
            base,
            matches,
            delta,
            moved: moved.collect(),
        })
    }

    /// The parts of the program's memory that are the base's now: first address, end, address in the base.
    pub(super) fn moved(&self) -> impl Iterator<Item = (u32, u32, u32)> {
        self.moved
            .iter()
            .map(|(start, (end, to))| (*start, *end, *to))
    }

    /// Where the data of `size` at `address` lies afterwards, if it is the base's.
    pub(super) fn in_base(&self, address: u32, size: u32) -> Option<u32> {
        let (start, (end, to)) = self.moved.range(..=address).next_back()?;
        let inside = address < *end && u64::from(address) + u64::from(size) <= u64::from(*end);
        inside.then(|| to + (address - start))
    }
}
