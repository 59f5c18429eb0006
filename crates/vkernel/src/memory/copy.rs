//! A memory with what another holds, for a process that forks.
//!
//! What both have of the program's image stays shared, and so does what the parent has in files
//! ([`slot::shared`](super::slot)): of a program that can fork, whatever it grew by. Of the pages
//! that are the parent's own, few are copied. Many are put into files, which are then mapped copy
//! on write by both, so that they are written down once and the next fork finds few again. A
//! process alone with a file brings that up to date; one that shares it with others, which may not
//! see it change, gets a new one.
//!
//! Only a process and those that descend from it by forks share files. A memory whose start is
//! mapped from one is never used again for anything else.

use std::io;
use std::sync::Arc;

use super::lease::{Handle, Lease};
use super::scan::Run;
use super::slot::{SettleError, Slot};
use super::{Layout, Memories};

/// Bytes of own pages that are copied rather than put into a file.
const COPIED_AT_MOST: usize = 256 << 10;

/// Runs of own pages beyond which everything is put into a file, and how many there mostly are at
/// most.
const MAX_RUNS: usize = 1024;
const FEW_RUNS: usize = 32;

/// Bytes at the end of the start of a memory that are part of what it grows by, as allocators see
/// it: what they asked for is theirs in whole pages of WebAssembly.
const TAIL: usize = 64 << 10;

/// Files that one memory is mapped from beyond which all becomes one.
const MAX_FILES: usize = 16;

/// A memory that waits for its instance.
pub struct Copied {
    pub(super) lease: Lease,
    pub(super) size: usize,
}

impl Memories {
    /// A memory of the same size with the same content, for an instance of the same program.
    ///
    /// Nothing of the instance that `of` belongs to may run meanwhile. After [`CopyError::Lost`] it
    /// must not run again.
    pub fn copy(self: &Arc<Self>, of: &Handle) -> Result<Copied, CopyError> {
        let copied = of.with(|parent| {
            parent.settle().map_err(CopyError::Lost)?;
            let mut own = self.own(parent);
            if let Some(runs) = own.as_mut()
                && bytes(runs) > COPIED_AT_MOST
            {
                *runs = parent.write_back(runs)?;
            }
            let few = |runs: &&Vec<Run>| bytes(runs) <= COPIED_AT_MOST;
            let slot = match own.as_ref().filter(few) {
                Some(runs) if parent.pieces() <= MAX_FILES => {
                    let mut slot = self.alike(parent)?;
                    for run in runs {
                        slot.copy_from(parent, run.start as usize, run.end as usize)?;
                    }
                    slot
                }
                _ => {
                    let Layout { size, image } = parent.layout();
                    let known = image.map(|program| self.images.of(program, size).ok());
                    match known {
                        None => parent.freeze(own.as_deref(), None)?,
                        Some(Some(image)) => parent.freeze(own.as_deref(), Some(image))?,
                        // Then all of it is written down.
                        Some(None) => parent.freeze(None, None)?,
                    }
                    self.alike(parent)?
                }
            };
            Ok(Copied {
                size: slot.size(),
                lease: Lease::new(slot, self.clone()),
            })
        });
        copied.unwrap_or_else(|| Err(io::Error::from(io::ErrorKind::NotFound).into()))
    }

    /// Has a memory wait for the copy of one that became large: a process that is about to write
    /// that much does not feel what its first fork would.
    pub(super) fn prepare_copy(&self, of: &Slot) {
        let (layout, shape) = (of.layout(), of.shape());
        if self.pool().has(layout, shape) {
            return;
        }
        let image = match layout.image.map(|n| self.images.of(n, layout.size)) {
            None => None,
            Some(Ok(image)) => Some(image),
            Some(Err(_)) => return,
        };
        let own = self.own(of);
        let (Some(mut own), Ok(mut slot)) = (own, self.slot(layout, shape.0, shape.1)) else {
            return;
        };
        // What is to be written begins where the memory had not grown yet.
        own.push(Run {
            start: layout.size.saturating_sub(TAIL) as u64,
            end: layout.size as u64,
            ..Run::default()
        });
        let room = self.pool().room();
        let resident = slot.bring_in(&own, room, image);
        let _too_many = self.pool().put(slot, resident);
    }

    /// The pages that a memory does not share with its image or with files, from its start;
    /// nothing where that is not known. What is live is in a file.
    fn own(&self, slot: &Slot) -> Option<Vec<Run>> {
        let scan = self.scan.as_deref().filter(|scan| scan.works())?;
        let (base, size) = (slot.base() as usize, slot.size());
        let range = base..base + size;
        let mut few = [Run::default(); FEW_RUNS];
        let mut runs = match scan.scan(range.clone(), &mut few) {
            Ok(found) => few.get(..found)?.to_vec(),
            // There may be more.
            Err(_) => {
                let mut runs = vec![Run::default(); MAX_RUNS];
                let found = scan.scan(range, &mut runs).ok()?;
                runs.truncate(found);
                runs
            }
        };
        let page = rustix::param::page_size();
        for run in &mut runs {
            run.start = run.start.checked_sub(base as u64)?;
            run.end = run.end.checked_sub(base as u64)?;
            let (start, end) = (run.start as usize, run.end as usize);
            if start % page != 0 || end % page != 0 || start >= end || end > size {
                return None;
            }
        }
        Some(runs)
    }

    /// A memory of the same size that holds what `parent` shares.
    fn alike(self: &Arc<Self>, parent: &Slot) -> io::Result<Slot> {
        let (reserved, guard) = parent.shape();
        let mut slot = match parent.start_is_shared() {
            true => Slot::reserve(reserved, guard)?,
            false => self.slot(parent.layout(), reserved, guard)?,
        };
        slot.share(parent)?;
        Ok(slot)
    }
}

/// Why there is no copy.
#[derive(Debug, thiserror::Error)]
pub enum CopyError {
    /// The host has no room for it.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// The memory itself was lost on the way.
    #[error("the host took a process's memory back: {0}")]
    Lost(io::Error),
}

impl From<SettleError> for CopyError {
    fn from(error: SettleError) -> Self {
        match error {
            SettleError::Io(error) => CopyError::Io(error),
            SettleError::Lost(error) => CopyError::Lost(error),
        }
    }
}

fn bytes(runs: &[Run]) -> usize {
    runs.iter().map(|run| (run.end - run.start) as usize).sum()
}
