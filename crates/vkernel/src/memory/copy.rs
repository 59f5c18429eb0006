//! A memory with what another holds, for a process that forks.
//!
//! What both have of the program's image stays shared. Of the pages that are the parent's own, few
//! are copied. Many are *frozen*: put into a file that has no name, which is then mapped copy on
//! write by both, so that they are written down once and the next fork finds few again. A process
//! alone with its frozen file brings that up to date where it forks again; one that shares it with
//! others, which may not see it change, gets a new one.
//!
//! Only a process and those that descend from it by forks have a frozen file. A memory with one is
//! never used again for anything else.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::sync::Arc;

use rustix::fs::{MemfdFlags, memfd_create};

use super::lease::{Handle, Lease};
use super::scan::Run;
use super::slot::Slot;
use super::{Layout, Memories};
use crate::image::Image;

/// Bytes of own pages that are copied rather than frozen.
const COPIED_AT_MOST: usize = 256 << 10;

/// Runs of own pages beyond which all is frozen.
const MAX_RUNS: usize = 1024;

/// What a memory held when it was frozen, from its start. The slots that are mapped from the file,
/// and no one else, share it.
#[derive(Clone)]
pub struct Frozen {
    pub(super) file: Arc<File>,
    pub(super) size: usize,
}

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
            let own = self.own(parent);
            let few = own.as_ref().filter(|runs| bytes(runs) <= COPIED_AT_MOST);
            let slot = match few {
                Some(runs) => {
                    let mut slot = self.alike(parent)?;
                    for run in runs {
                        slot.copy_from(parent, run.start as usize, run.end as usize)?;
                    }
                    slot
                }
                None => {
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

    /// The pages that a memory does not share with its image or frozen file, from its start;
    /// nothing where that is not known.
    fn own(&self, slot: &Slot) -> Option<Vec<Run>> {
        let scan = self.scan.as_deref().filter(|scan| scan.works())?;
        let (base, size) = (slot.base() as usize, slot.size());
        let mut runs = vec![Run::default(); MAX_RUNS];
        let found = scan.scan(base..base + size, &mut runs).ok()?;
        runs.truncate(found);
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
        let mut slot = match parent.frozen() {
            Some(frozen) => {
                let mut slot = Slot::reserve(reserved, guard)?;
                slot.lay_frozen(parent.layout(), frozen.clone())?;
                slot
            }
            None => self.slot(parent.layout(), reserved, guard)?,
        };
        slot.grow(parent.size())?;
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

fn bytes(runs: &[Run]) -> usize {
    runs.iter().map(|run| (run.end - run.start) as usize).sum()
}

fn nameless() -> io::Result<Arc<File>> {
    let file = memfd_create("memory", MemfdFlags::CLOEXEC)?;
    Ok(Arc::new(file.into()))
}

impl Slot {
    /// Puts everything that the memory holds into a file that it is then mapped from. `own` are
    /// the pages that it does not share, `image` what it was laid out with.
    fn freeze(&mut self, own: Option<&[Run]>, image: Option<Image<'_>>) -> Result<(), CopyError> {
        let size = self.size();
        let before = self.frozen().map(|frozen| frozen.file.clone());
        let file = match (before, own) {
            // Nobody else has it (the slot and this function do), and its own pages hide what
            // changes below them.
            (Some(file), Some(runs)) if Arc::strong_count(&file) == 2 => {
                file.set_len(size as u64)?;
                self.write_down(&file, runs)?;
                file
            }
            (None, Some(runs)) => {
                let file = nameless()?;
                file.set_len(size as u64)?;
                for extent in image.iter().flat_map(|image| image.extents()) {
                    let content = image
                        .and_then(|i| i.content(extent.address as usize, extent.len as usize))
                        .ok_or_else(|| io::Error::from(io::ErrorKind::InvalidData))?;
                    file.write_all_at(content, u64::from(extent.address))?;
                }
                self.write_down(&file, runs)?;
                file
            }
            _ => {
                let file = nameless()?;
                file.set_len(size as u64)?;
                let all = Run {
                    start: 0,
                    end: size as u64,
                    ..Run::default()
                };
                self.write_down(&file, &[all])?;
                file
            }
        };
        self.map_frozen(Frozen { file, size })
            .map_err(CopyError::Lost)
    }

    fn write_down(&self, file: &File, runs: &[Run]) -> io::Result<()> {
        runs.iter().try_for_each(|run| {
            let content = self.content(run.start as usize, run.end as usize)?;
            file.write_all_at(content, run.start)
        })
    }
}
