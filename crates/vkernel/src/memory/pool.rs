//! Memories that wait for a process.

use super::Layout;
use super::slot::Slot;

/// Memories that wait at most. The one that waits longest goes.
const MAX_WAITING: usize = 64;

/// Bytes that one waiting memory keeps resident at most: what is kept is restored by copying,
/// which costs less than a page fault but is done at every end of a process.
const MAX_RESIDENT: usize = 512 << 10;

/// Bytes that all waiting memories keep resident at most: they count for the container's cgroup.
const MAX_RESIDENT_TOGETHER: usize = 8 << 20;

/// Restored memories, the one that came last at the end.
#[derive(Default)]
pub struct Pool {
    waiting: Vec<Waiting>,
    resident: usize,
}

struct Waiting {
    slot: Slot,
    resident: usize,
}

impl Pool {
    /// One that is laid out as `wanted`, else, where no more can wait, the one that waits longest,
    /// else none: then a new one costs nobody else's.
    pub fn take(&mut self, wanted: Layout, shape: (usize, usize)) -> Option<Slot> {
        let at = match self.find(wanted, shape) {
            Some(at) => at,
            None if self.waiting.len() < MAX_WAITING => return None,
            None if self.waiting[0].slot.shape() == shape => 0,
            None => return None,
        };
        let taken = self.waiting.remove(at);
        self.resident -= taken.resident;
        Some(taken.slot)
    }

    /// Whether there is one that is laid out as `wanted`.
    pub fn has(&self, wanted: Layout, shape: (usize, usize)) -> bool {
        self.find(wanted, shape).is_some()
    }

    fn find(&self, wanted: Layout, shape: (usize, usize)) -> Option<usize> {
        let same =
            |waiting: &Waiting| waiting.slot.layout() == wanted && waiting.slot.shape() == shape;
        self.waiting.iter().rposition(same)
    }

    /// How many bytes the next one that comes may keep resident.
    pub fn room(&self) -> usize {
        MAX_RESIDENT_TOGETHER
            .saturating_sub(self.resident)
            .min(MAX_RESIDENT)
    }

    /// Adds one with so many bytes resident. Gives back the one that has to go for it.
    pub fn put(&mut self, slot: Slot, resident: usize) -> Option<Slot> {
        let gone = (self.waiting.len() == MAX_WAITING).then(|| self.waiting.remove(0));
        self.resident -= gone.as_ref().map_or(0, |gone| gone.resident);
        self.resident += resident;
        self.waiting.push(Waiting { slot, resident });
        gone.map(|gone| gone.slot)
    }

    /// Where those that wait begin.
    #[cfg(test)]
    pub fn bases(&self) -> Vec<usize> {
        let base = |waiting: &Waiting| waiting.slot.base() as usize;
        self.waiting.iter().map(base).collect()
    }
}
