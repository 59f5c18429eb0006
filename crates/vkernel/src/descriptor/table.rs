//! The descriptor table of a process.

use super::Descriptor;
use crate::errno::Errno;
use crate::fs::Result;

/// Guest descriptor numbers and what they stand for. Cloning it is what `fork` and `spawn` do:
/// the open files are shared.
#[derive(Clone, Debug)]
pub struct FdTable {
    slots: Vec<Option<Descriptor>>,
    /// No number below this one is free.
    first_free: usize,
    limit: u32,
}

impl Default for FdTable {
    fn default() -> Self {
        FdTable::new(Self::DEFAULT_LIMIT)
    }
}

impl FdTable {
    /// Numbers of a process whose config names no `RLIMIT_NOFILE`.
    pub const DEFAULT_LIMIT: u32 = 1024;

    /// The most numbers a process can have, as Linux's `fs.nr_open`: the table is as long as its
    /// highest number, which a guest chooses.
    pub const MAX_LIMIT: u32 = 1 << 20;

    /// A table that gives out the numbers below `limit` (`RLIMIT_NOFILE` of the process), and
    /// never more than [`Self::MAX_LIMIT`].
    #[must_use]
    pub fn new(limit: u32) -> Self {
        FdTable {
            slots: Vec::new(),
            first_free: 0,
            limit: limit.min(Self::MAX_LIMIT),
        }
    }

    /// One more than the highest number the table gives out.
    #[must_use]
    pub fn limit(&self) -> u32 {
        self.limit
    }

    /// Changes that; what is open beyond stays open.
    pub fn set_limit(&mut self, limit: u32) {
        self.limit = limit.min(Self::MAX_LIMIT);
    }

    /// The descriptor `fd`, or `EBADF`.
    #[inline]
    pub fn get(&self, fd: u32) -> Result<&Descriptor> {
        self.slots
            .get(fd as usize)
            .and_then(Option::as_ref)
            .ok_or(Errno::BADF)
    }

    /// The descriptor `fd` to change, or `EBADF`.
    pub fn get_mut(&mut self, fd: u32) -> Result<&mut Descriptor> {
        self.slots
            .get_mut(fd as usize)
            .and_then(Option::as_mut)
            .ok_or(Errno::BADF)
    }

    /// Whether one more descriptor fits; asked before the effects of an open. `EMFILE`.
    pub fn check_room(&self) -> Result<()> {
        if self.lowest_free(0) < self.limit as usize {
            Ok(())
        } else {
            Err(Errno::MFILE)
        }
    }

    /// Gives `descriptor` the lowest free number; `EMFILE` at the limit.
    pub fn insert(&mut self, descriptor: Descriptor) -> Result<u32> {
        self.insert_from(descriptor, 0)
    }

    /// Gives `descriptor` the lowest free number that is at least `min` (`F_DUPFD`).
    pub fn insert_from(&mut self, descriptor: Descriptor, min: u32) -> Result<u32> {
        let at = self.lowest_free(min as usize);
        if at >= self.limit as usize {
            return Err(Errno::MFILE);
        }
        self.put(at, descriptor);
        if (min as usize) <= self.first_free {
            self.first_free = at + 1;
        }
        Ok(at as u32)
    }

    /// Puts `descriptor` at number `fd`, closing what was there: how `dup2` and the kernel set
    /// a table up. `EBADF` beyond the limit.
    pub fn insert_at(&mut self, fd: u32, descriptor: Descriptor) -> Result<()> {
        if fd >= self.limit {
            return Err(Errno::BADF);
        }
        self.put(fd as usize, descriptor);
        Ok(())
    }

    /// Takes the descriptor out of the table; dropping it closes the file if it was the last.
    pub fn remove(&mut self, fd: u32) -> Result<Descriptor> {
        let slot = self.slots.get_mut(fd as usize).ok_or(Errno::BADF)?;
        let descriptor = slot.take().ok_or(Errno::BADF)?;
        self.first_free = self.first_free.min(fd as usize);
        Ok(descriptor)
    }

    /// Moves `from` to number `to`, closing what was there, with no moment in between at which
    /// either number is free or both are the same file.
    pub fn renumber(&mut self, from: u32, to: u32) -> Result<()> {
        self.get(from)?;
        if to >= self.limit {
            return Err(Errno::BADF);
        }
        if from == to {
            return Ok(());
        }
        let moved = self.remove(from)?;
        self.insert_at(to, moved)
    }

    /// `dup2`: makes `to` stand for what `from` does, closing what it was. `EBADF` beyond the
    /// limit. Where the two are the same number nothing changes.
    pub fn duplicate_to(&mut self, from: u32, to: u32, close_on_exec: bool) -> Result<()> {
        let copy = self.get(from)?.duplicate();
        if to >= self.limit {
            return Err(Errno::BADF);
        }
        if from == to {
            return Ok(());
        }
        self.insert_at(to, copy.closing_on_exec(close_on_exec))
    }

    /// Closes every number for which `closed` holds.
    pub fn close_where(&mut self, mut closed: impl FnMut(u32, &Descriptor) -> bool) {
        for (number, slot) in self.slots.iter_mut().enumerate() {
            // The table has at most `MAX_LIMIT` numbers.
            if slot
                .as_ref()
                .is_some_and(|file| closed(number as u32, file))
            {
                *slot = None;
                self.first_free = self.first_free.min(number);
            }
        }
    }

    /// Every open number with its descriptor, ascending.
    pub fn iter(&self) -> impl Iterator<Item = (u32, &Descriptor)> {
        self.slots
            .iter()
            .enumerate()
            .filter_map(|(number, slot)| slot.as_ref().map(|file| (number as u32, file)))
    }

    fn lowest_free(&self, min: usize) -> usize {
        let start = self.first_free.max(min);
        (start..self.slots.len())
            .find(|at| self.slots[*at].is_none())
            .unwrap_or(self.slots.len().max(start))
    }

    fn put(&mut self, at: usize, descriptor: Descriptor) {
        if self.slots.len() <= at {
            self.slots.resize_with(at + 1, || None);
        }
        self.slots[at] = Some(descriptor);
    }
}

#[cfg(test)]
mod tests {
    use super::{Descriptor, FdTable};
    use crate::descriptor::OpenFile;
    use crate::errno::Errno;
    use crate::fs::vnode::VNode;

    fn file() -> Descriptor {
        Descriptor::new(OpenFile::Virtual(VNode::Empty))
    }

    #[test]
    fn the_lowest_free_number_is_given_out_up_to_the_limit() {
        let mut table = FdTable::new(4);
        table.insert_at(1, file()).unwrap();
        assert_eq!(table.insert(file()), Ok(0));
        assert_eq!(table.insert(file()), Ok(2));
        assert_eq!(table.insert(file()), Ok(3));
        assert_eq!(table.insert(file()).err(), Some(Errno::MFILE));
        assert_eq!(table.check_room(), Err(Errno::MFILE));
        table.remove(1).unwrap();
        table.remove(0).unwrap();
        assert_eq!(table.insert_from(file(), 1), Ok(1));
        assert_eq!(table.insert(file()), Ok(0));
        assert_eq!(table.insert_at(4, file()).err(), Some(Errno::BADF));
        assert_eq!(table.remove(9).err(), Some(Errno::BADF));
    }

    #[test]
    fn a_minimum_leaves_lower_numbers_free() {
        let mut table = FdTable::new(100);
        assert_eq!(table.insert_from(file(), 10), Ok(10));
        assert_eq!(table.insert_from(file(), 10), Ok(11));
        assert_eq!(table.insert(file()), Ok(0));
        assert_eq!(table.insert(file()), Ok(1));
        assert_eq!(
            table.iter().map(|(fd, _)| fd).collect::<Vec<_>>(),
            [0, 1, 10, 11]
        );
    }

    #[test]
    fn without_a_limit_a_number_still_cannot_make_the_table_endless() {
        let mut table = FdTable::new(u32::MAX);
        assert_eq!(table.insert(file()), Ok(0));
        for far in [1 << 20, u32::MAX - 1] {
            assert_eq!(table.renumber(0, far).err(), Some(Errno::BADF));
            assert_eq!(table.insert_from(file(), far).err(), Some(Errno::MFILE));
        }
        assert_eq!(table.renumber(0, (1 << 20) - 1), Ok(()));
    }

    #[test]
    fn renumbering_moves_and_closes() {
        let mut table = FdTable::new(8);
        for _ in 0..3 {
            table.insert(file()).unwrap();
        }
        table.renumber(2, 0).unwrap();
        assert_eq!(table.iter().map(|(fd, _)| fd).collect::<Vec<_>>(), [0, 1]);
        assert_eq!(table.renumber(2, 0).err(), Some(Errno::BADF));
        assert_eq!(table.renumber(1, 1), Ok(()));
        assert_eq!(table.renumber(1, 8).err(), Some(Errno::BADF));
        assert_eq!(table.renumber(1, 7), Ok(()));
        assert_eq!(table.insert(file()), Ok(1));
    }
}
