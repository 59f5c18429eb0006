//! Parts of a memory that lie in files without a name, so that a fork need not copy them.
//!
//! ```text
//! image and anonymous pages | frozen: copy on write | live: shared with the file alone
//! ```
//!
//! What a program that can fork grows by is *live*: mapped shared from a file that nobody else
//! has, so that everything it writes there is in the file already. At a fork that is *settled*:
//! mapped again copy on write, by the parent and by the child, and never written in the file again
//! while both live. A memory's bytes lie at their own address in each of its files.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::ptr::null_mut;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use rustix::fs::{MemfdFlags, memfd_create};
use rustix::mm::{MapFlags, MremapFlags, ProtFlags, mmap, mmap_anonymous, mremap_fixed, munmap};

use super::Slot;
use crate::image::Image;
use crate::memory::scan::Run;

/// Bytes that a memory grows by before any of it is shared: a few pages cost less to copy than a
/// file does.
const GROWN_ALONE: usize = 256 << 10;

/// Bytes of live memory from which on its page table is set aside at a fork rather than emptied.
const SET_ASIDE_FROM: usize = 1 << 20;

/// Page tables that one memory has set aside at most.
const MOST_ASIDE: usize = 4;

/// Bytes that a page of a page table maps: what is moved by a multiple of this moves with it.
const TABLE: usize = 2 << 20;

/// A part of a memory that is mapped from a file.
pub(super) struct Piece {
    /// Shared by the memories that have a part of it mapped, and no one else: each has at most one
    /// piece of it. Given up after the mapping, so that whoever is alone with it is.
    file: Arc<File>,
    /// Where the piece begins, in the memory and in the file alike.
    start: usize,
    end: usize,
    /// Where it begins to be live.
    live: usize,
    /// Whether this memory made the file, and so may make it longer.
    grows: bool,
}

impl Piece {
    fn alone(&self) -> bool {
        Arc::strong_count(&self.file) == 1
    }
}

/// Addresses that keep a page table which nothing uses, until there is time to take it apart, or
/// that wait for one.
pub(super) struct Aside {
    start: usize,
    len: usize,
}

/// Whether the host moves page tables of shared mappings (Linux 5.13 and later), as far as is known.
static MOVES: AtomicBool = AtomicBool::new(true);

impl Aside {
    /// Room for the page table of so many bytes.
    fn reserve(len: usize) -> io::Result<Aside> {
        let len = len + TABLE;
        let flags = MapFlags::PRIVATE | MapFlags::NORESERVE;
        // SAFETY: a new mapping at an address of the kernel's choice disturbs nobody.
        let start = unsafe { mmap_anonymous(null_mut(), len, ProtFlags::empty(), flags) }?;
        let start = start as usize;
        Ok(Aside { start, len })
    }

    /// Moves the page table of a shared mapping here; the mapping stays, with no page in it. Gives
    /// nothing where there is no room for it or the host does not do it.
    ///
    /// # Safety
    ///
    /// The range lies in one shared mapping of a file, and nobody uses it.
    unsafe fn take(self, at: *mut libc::c_void, len: usize) -> Option<Aside> {
        let to = self.start + (at as usize).wrapping_sub(self.start) % TABLE;
        if to + len > self.start + self.len {
            return None;
        }
        let flags = MremapFlags::MAYMOVE | MremapFlags::DONTUNMAP;
        // SAFETY: the new range lies in this room, which is inaccessible; the old one is the
        // caller's.
        match unsafe { mremap_fixed(at, len, len, flags, to as *mut libc::c_void) } {
            Ok(_) => Some(self),
            Err(_) => {
                MOVES.store(false, Ordering::Relaxed);
                // Somebody else may have addresses in there by now, so they are given up for lost.
                std::mem::forget(self);
                None
            }
        }
    }
}

impl Drop for Aside {
    fn drop(&mut self) {
        // SAFETY: the mapping is this value's alone.
        let _ = unsafe { munmap(self.start as *mut libc::c_void, self.len) };
    }
}

impl Slot {
    /// Whether what it had at the start is mapped from a file since a fork.
    pub fn start_is_shared(&self) -> bool {
        self.pieces
            .iter()
            .any(|piece| piece.start < self.layout.size)
    }

    /// How many files it is mapped from.
    pub fn pieces(&self) -> usize {
        self.pieces.len()
    }

    /// Whether the bytes it would grow by are to be live.
    pub(super) fn grows_live(&self, size: usize) -> bool {
        self.forks && size - self.layout.size > GROWN_ALONE
    }

    /// Whether it has just got so much live memory that its page table will be set aside. Has
    /// room for that; said once.
    pub fn became_large(&mut self) -> bool {
        let mut live = self.pieces.iter().map(|piece| piece.end - piece.live);
        let large = live.find(|live| *live >= SET_ASIDE_FROM);
        let Some(live) = large.filter(|_| !self.large) else {
            return false;
        };
        self.large = true;
        // It may grow on.
        self.room = Aside::reserve(2 * live).ok();
        true
    }

    /// Makes `size` bytes accessible, what is new of them live.
    pub(super) fn grow_live(&mut self, size: usize) -> Result<(), SettleError> {
        let from = self.size;
        let last = self.pieces.len().checked_sub(1);
        let last = last.filter(|at| self.pieces[*at].grows && self.pieces[*at].end == from);
        let file = match last {
            Some(at) => self.pieces[at].file.clone(),
            None => nameless()?,
        };
        file.set_len(size as u64)?;
        if let Err(error) = self.map_file(&file, from, size, MapFlags::SHARED) {
            // Nobody else may get addresses in here.
            self.seal(from, size)
                .map_err(|error| SettleError::Lost(error.into()))?;
            return Err(error.into());
        }
        match last {
            Some(at) => self.pieces[at].end = size,
            None => self.pieces.push(Piece {
                file,
                start: from,
                end: size,
                live: from,
                grows: true,
            }),
        }
        self.size = size;
        Ok(())
    }

    /// Has nothing live any more: the files hold what they will hold. After an error the memory
    /// is lost.
    pub fn settle(&mut self) -> io::Result<()> {
        for at in 0..self.pieces.len() {
            let Piece { live, end, .. } = self.pieces[at];
            if live == end {
                continue;
            }
            if end - live >= SET_ASIDE_FROM && MOVES.load(Ordering::Relaxed) {
                let fits = |room: &Aside| room.len >= end - live + TABLE;
                let room = self.room.take().filter(fits);
                let room = room.map_or_else(|| Aside::reserve(end - live), Ok);
                // SAFETY: the live part of a piece is one shared mapping; `&mut self`: nobody
                // uses it. Where the host does not move it, it is replaced below all the same.
                let aside = room
                    .ok()
                    .and_then(|room| unsafe { room.take(self.at(live), end - live) });
                self.aside.truncate(MOST_ASIDE - 1);
                self.aside.extend(aside);
            }
            let file = self.pieces[at].file.clone();
            self.map_file(&file, live, end, MapFlags::PRIVATE)?;
            self.pieces[at].live = end;
        }
        Ok(())
    }

    /// Has a slot that was laid out like another, or that has nothing in it, share what that one
    /// has in files, which is settled. After an error it must not be used.
    pub fn share(&mut self, other: &Slot) -> io::Result<()> {
        self.layout = other.layout;
        let mut end = self.size;
        for piece in &other.pieces {
            debug_assert_eq!(piece.live, piece.end);
            self.protect(end, piece.start.max(end), true)?;
            end = piece.end;
            self.map_file(&piece.file, piece.start, piece.end, MapFlags::PRIVATE)?;
            self.pieces.push(Piece {
                file: piece.file.clone(),
                live: piece.end,
                grows: false,
                ..*piece
            });
        }
        self.protect(end, other.size, true)?;
        self.size = other.size;
        Ok(())
    }

    /// Puts own pages into the files they lie above, where nobody else has those; says which are
    /// its own still. It must be settled.
    pub fn write_back(&mut self, own: &[Run]) -> Result<Vec<Run>, SettleError> {
        let mut rest = own.to_vec();
        for at in 0..self.pieces.len() {
            let Piece { start, end, .. } = self.pieces[at];
            let inside = clipped(&rest, start, end);
            if !self.pieces[at].alone() || inside.is_empty() {
                continue;
            }
            let file = self.pieces[at].file.clone();
            // The pages hide what changes below them.
            self.write_down(&file, &inside)?;
            self.map_file(&file, start, end, MapFlags::PRIVATE)
                .map_err(SettleError::Lost)?;
            let mut others = clipped(&rest, 0, start);
            others.extend(clipped(&rest, end, self.size));
            rest = others;
        }
        Ok(rest)
    }

    /// Puts everything that the memory holds into one new file that it is then mapped from. `own`
    /// are the pages that it does not share, `image` what it was laid out with; without them all
    /// is written.
    pub fn freeze(
        &mut self,
        own: Option<&[Run]>,
        image: Option<Image<'_>>,
    ) -> Result<(), SettleError> {
        let size = self.size;
        let file = nameless()?;
        file.set_len(size as u64)?;
        match own.filter(|_| self.pieces.is_empty()) {
            Some(runs) => {
                for extent in image.iter().flat_map(|image| image.extents()) {
                    let content = image
                        .and_then(|i| i.content(extent.address as usize, extent.len as usize))
                        .ok_or_else(|| io::Error::from(io::ErrorKind::InvalidData))?;
                    file.write_all_at(content, u64::from(extent.address))?;
                }
                self.write_down(&file, runs)?;
            }
            None => {
                let all = Run {
                    start: 0,
                    end: size as u64,
                    ..Run::default()
                };
                self.write_down(&file, &[all])?;
            }
        }
        self.map_file(&file, 0, size, MapFlags::PRIVATE)
            .map_err(SettleError::Lost)?;
        self.aside.clear();
        self.pieces = vec![Piece {
            file,
            start: 0,
            end: size,
            live: size,
            grows: true,
        }];
        Ok(())
    }

    fn write_down(&self, file: &File, runs: &[Run]) -> io::Result<()> {
        runs.iter().try_for_each(|run| {
            let content = self.content(run.start as usize, run.end as usize)?;
            file.write_all_at(content, run.start)
        })
    }

    /// Maps some bytes from the same place in a file.
    fn map_file(&self, file: &File, start: usize, end: usize, sharing: MapFlags) -> io::Result<()> {
        if start > end || end > self.reserved {
            return Err(io::ErrorKind::InvalidInput.into());
        }
        if start < end {
            let protection = ProtFlags::READ | ProtFlags::WRITE;
            let flags = sharing | MapFlags::FIXED;
            // SAFETY: the range lies inside this slot, and nobody uses it: callers have it for
            // themselves. What is mapped shared no one else has mapped; what others have mapped
            // is changed only below pages that hide the change.
            unsafe {
                mmap(
                    self.at(start),
                    end - start,
                    protection,
                    flags,
                    file,
                    start as u64,
                )
            }?;
        }
        Ok(())
    }
}

/// Why a memory cannot be shared.
#[derive(Debug)]
pub enum SettleError {
    /// The host has no room; the memory is what it was.
    Io(io::Error),
    /// The memory was lost on the way.
    Lost(io::Error),
}

impl From<io::Error> for SettleError {
    fn from(error: io::Error) -> Self {
        SettleError::Io(error)
    }
}

fn nameless() -> io::Result<Arc<File>> {
    let file = memfd_create("memory", MemfdFlags::CLOEXEC)?;
    Ok(Arc::new(file.into()))
}

/// The parts of runs that lie in a range.
fn clipped(runs: &[Run], start: usize, end: usize) -> Vec<Run> {
    let (start, end) = (start as u64, end as u64);
    let inside = runs.iter().map(|run| Run {
        start: run.start.max(start),
        end: run.end.min(end),
        ..*run
    });
    inside.filter(|run| run.start < run.end).collect()
}
