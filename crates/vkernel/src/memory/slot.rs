//! Address space for one linear memory, and what is mapped there.
//!
//! ```text
//! guard | 0 .. size: accessible | size .. reserved: inaccessible | guard
//! ```
//!
//! A slot that is used again must not be told from a new one. Pages that are its own, because
//! the process wrote to them, are written over with what they were, or given back to the host;
//! what the memory grew by is mapped anew. On any doubt the slot is thrown away.

use std::io;
use std::os::fd::BorrowedFd;
use std::ptr::{NonNull, null_mut};

use rustix::mm::{
    Advice, MapFlags, MprotectFlags, ProtFlags, madvise, mmap, mmap_anonymous, mprotect, munmap,
};

mod shared;

use super::Layout;
use super::scan::{Run, Scan};
use crate::image::{Extent, Image};
pub use shared::SettleError;
use shared::{Aside, Piece};

/// Runs of own pages beyond which a slot is thrown away rather than restored.
const MAX_RUNS: usize = 256;

/// See the module's description.
pub struct Slot {
    /// Where the guard before the memory begins.
    start: NonNull<u8>,
    guard: usize,
    reserved: usize,
    layout: Layout,
    /// Accessible bytes.
    size: usize,
    /// Whether its process may fork.
    forks: bool,
    /// Whether it is known to be large.
    large: bool,
    /// What is mapped from files besides its image, ascending.
    pieces: Vec<Piece>,
    /// What was left of forks.
    aside: Vec<Aside>,
    /// For what the next one leaves.
    room: Option<Aside>,
}

// SAFETY: a slot is address space that nothing else refers to; it may be used from any thread.
unsafe impl Send for Slot {}
// SAFETY: through a shared reference only its numbers can be read.
unsafe impl Sync for Slot {}

/// How to tell own pages, and what to do with them.
pub struct Own<'a> {
    /// Tells them. Without it every page counts.
    pub scan: Option<&'a dyn Scan>,
    /// What the memory was laid out with.
    pub image: Option<Image<'a>>,
    /// Bytes to keep resident; the rest is given back.
    pub keep: usize,
}

/// The slot cannot be used again.
#[derive(Debug)]
pub struct Unfit;

impl From<rustix::io::Errno> for Unfit {
    fn from(_: rustix::io::Errno) -> Self {
        Unfit
    }
}

impl Slot {
    /// Reserves addresses. `reserved` and `guard` are in bytes, whole pages.
    pub fn reserve(reserved: usize, guard: usize) -> io::Result<Slot> {
        let len = guard
            .checked_mul(2)
            .and_then(|guards| reserved.checked_add(guards))
            .ok_or(io::ErrorKind::OutOfMemory)?;
        let flags = MapFlags::PRIVATE | MapFlags::NORESERVE;
        // SAFETY: a new mapping at an address of the kernel's choice disturbs nobody.
        let start = unsafe { mmap_anonymous(null_mut(), len, ProtFlags::empty(), flags) }?;
        Ok(Slot {
            start: NonNull::new(start.cast()).ok_or(io::ErrorKind::OutOfMemory)?,
            guard,
            reserved,
            layout: Layout {
                size: 0,
                image: None,
            },
            size: 0,
            forks: false,
            large: false,
            pieces: Vec::new(),
            aside: Vec::new(),
            room: None,
        })
    }

    /// What it was laid out as.
    pub fn layout(&self) -> Layout {
        self.layout
    }

    /// Accessible bytes.
    pub fn size(&self) -> usize {
        self.size
    }

    /// Bytes it can grow to.
    pub fn reserved(&self) -> usize {
        self.reserved
    }

    /// Bytes it can grow to, and of each guard.
    pub fn shape(&self) -> (usize, usize) {
        (self.reserved, self.guard)
    }

    /// Where the memory begins.
    pub fn base(&self) -> *mut u8 {
        // SAFETY: the reservation is longer than its first guard.
        unsafe { self.start.as_ptr().add(self.guard) }
    }

    /// From now on its process may fork.
    pub fn will_fork(&mut self) {
        self.forks = true;
    }

    /// Some of its accessible bytes.
    pub fn content(&self, start: usize, end: usize) -> io::Result<&[u8]> {
        if start > end || end > self.size {
            return Err(io::ErrorKind::InvalidInput.into());
        }
        // SAFETY: the bytes are readable, and nothing writes them while the slot is borrowed: the
        // instance that has the memory does not run.
        Ok(unsafe { std::slice::from_raw_parts(self.at(start).cast(), end - start) })
    }

    /// Where in the memory; `at` is at most `reserved`.
    fn at(&self, at: usize) -> *mut libc::c_void {
        debug_assert!(at <= self.reserved);
        // SAFETY: inside the reservation, or at the second guard's start.
        unsafe { self.base().add(at).cast() }
    }

    /// Gives a slot that has nothing in it its layout. After an error it must not be used.
    pub fn lay(&mut self, layout: Layout, image: Option<Image<'_>>) -> io::Result<()> {
        self.protect(0, layout.size, true)?;
        if let Some(image) = image
            && let Some(file) = image.file()
        {
            for extent in image.extents() {
                self.map(extent, layout.size, file)?;
            }
        }
        if layout.size > 0 {
            // A huge page would be written over whole for one byte. What a memory grows by may
            // have them. Fails where the host has none.
            //
            // SAFETY: advice on pages of this slot, which changes no content.
            let _ = unsafe { madvise(self.at(0), layout.size, Advice::LinuxNoHugepage) };
        }
        self.layout = layout;
        self.size = layout.size;
        Ok(())
    }

    /// Takes some bytes over from another memory.
    pub fn copy_from(&mut self, other: &Slot, start: usize, end: usize) -> io::Result<()> {
        let content = other.content(start, end)?;
        if end > self.size {
            return Err(io::ErrorKind::InvalidInput.into());
        }
        // SAFETY: the bytes are writable and nobody else uses them (`&mut self`); the other slot
        // is elsewhere.
        unsafe {
            (self.at(start).cast::<u8>()).copy_from_nonoverlapping(content.as_ptr(), content.len());
        }
        Ok(())
    }

    /// Gives a restored slot another layout. After an error it must not be used.
    pub fn lay_again(&mut self, layout: Layout, image: Option<Image<'_>>) -> io::Result<()> {
        let old = self.layout;
        if old == layout {
            return Ok(());
        }
        if old.image.is_some() || layout.image.is_some() {
            self.seal(0, old.size)?;
            return self.lay(layout, image);
        }
        // Zeros both. Pages that become inaccessible stay, as zeros.
        if old.size < layout.size {
            self.protect(old.size, layout.size, true)?;
        } else {
            self.protect(layout.size, old.size, false)?;
        }
        self.layout = layout;
        self.size = layout.size;
        Ok(())
    }

    /// Makes `size` bytes accessible.
    pub fn grow(&mut self, size: usize) -> io::Result<()> {
        if size > self.reserved || size < self.size {
            return Err(io::ErrorKind::OutOfMemory.into());
        }
        if self.grows_live(size) {
            match self.grow_live(size) {
                Ok(()) => return Ok(()),
                // Then a fork has to copy it.
                Err(SettleError::Io(_)) => {}
                Err(SettleError::Lost(error)) => return Err(error),
            }
        }
        self.protect(self.size, size, true)?;
        self.size = size;
        Ok(())
    }

    /// Makes the slot what it was when it was laid out. Says how many bytes it keeps resident
    /// besides the image's own.
    pub fn restore(&mut self, own: &Own<'_>) -> Result<usize, Unfit> {
        if self.start_is_shared() {
            return Err(Unfit);
        }
        let size = self.layout.size;
        self.seal(size, self.size)?;
        self.size = size;
        self.forks = false;
        self.large = false;
        self.pieces.clear();
        self.aside.clear();
        self.room = None;
        if size == 0 {
            return Ok(0);
        }
        let Some(scan) = own.scan.filter(|_| own.keep > 0) else {
            self.give_up(0, size)?;
            return Ok(0);
        };
        let (base, page) = (self.base() as usize, rustix::param::page_size());
        let mut runs = [Run::default(); MAX_RUNS];
        let found = scan.scan(base..base + size, &mut runs).map_err(|_| Unfit)?;
        let mut kept = 0;
        for run in runs.get(..found).ok_or(Unfit)? {
            let (start, end) = (run.start as usize, run.end as usize);
            let whole = start % page == 0 && end % page == 0;
            if !whole || start < base || end <= start || end > base + size {
                return Err(Unfit);
            }
            let (start, end) = (start - base, end - base);
            let room = match run.swapped() {
                true => 0,
                false => (own.keep - kept) / page * page,
            };
            let middle = end.min(start + room);
            self.write_over(start, middle, own.image);
            kept += middle - start;
            if middle < end {
                self.give_up(middle, end)?;
            }
        }
        Ok(kept)
    }

    /// Has pages of its own, with what they hold anyway, where others like it have theirs. Says how
    /// many bytes these are, `most` at most.
    pub fn bring_in(&mut self, others: &[Run], most: usize, image: Option<Image<'_>>) -> usize {
        let mut left = most;
        for run in others {
            let (start, end) = (run.start as usize, (run.end as usize).min(self.layout.size));
            if start < end && end - start <= left {
                self.write_over(start, end, image);
                left -= end - start;
            }
        }
        most - left
    }

    /// Writes what the layout says over whole pages.
    fn write_over(&mut self, start: usize, end: usize, image: Option<Image<'_>>) {
        let page = rustix::param::page_size();
        for at in (start..end).step_by(page) {
            let content = image.and_then(|image| image.content(at, page));
            let to = self.at(at).cast::<u8>();
            // SAFETY: the page lies inside the first `size` bytes, which are writable; `&mut
            // self`: nobody uses them. The content is a page long and elsewhere.
            unsafe {
                match content {
                    Some(content) => to.copy_from_nonoverlapping(content.as_ptr(), page),
                    None => to.write_bytes(0, page),
                }
            }
        }
    }

    /// Gives own pages back to the host: the next access finds the file's, or zeros.
    fn give_up(&mut self, start: usize, end: usize) -> Result<(), Unfit> {
        // SAFETY: pages of this slot, which nobody uses (`&mut self`) and nobody wants to keep.
        // The mappings are private, of a file that does not change or of nothing.
        unsafe { madvise(self.at(start), end - start, Advice::LinuxDontNeed) }?;
        Ok(())
    }

    /// Maps an extent of an image over pages of the first `size` bytes.
    fn map(&mut self, extent: Extent, size: usize, file: BorrowedFd<'_>) -> io::Result<()> {
        let (address, len) = (extent.address as usize, extent.len as usize);
        if address.checked_add(len).is_none_or(|end| end > size) {
            return Err(io::ErrorKind::InvalidInput.into());
        }
        let protection = ProtFlags::READ | ProtFlags::WRITE;
        let flags = MapFlags::PRIVATE | MapFlags::FIXED;
        // SAFETY: the range lies inside this slot, where nobody has anything (`&mut self`). The
        // mapping is private: writes reach nobody else. The file does not change: the cache
        // replaces artifacts, it never writes them.
        unsafe {
            mmap(
                self.at(address),
                len,
                protection,
                flags,
                file,
                extent.offset,
            )
        }?;
        Ok(())
    }

    fn protect(&mut self, start: usize, end: usize, accessible: bool) -> io::Result<()> {
        if end > self.reserved || start > end {
            return Err(io::ErrorKind::InvalidInput.into());
        }
        let protection = match accessible {
            true => MprotectFlags::READ | MprotectFlags::WRITE,
            false => MprotectFlags::empty(),
        };
        if start < end {
            // SAFETY: the range lies inside this slot; the engine learns its size from here.
            unsafe { mprotect(self.at(start), end - start, protection) }?;
        }
        Ok(())
    }

    /// Puts inaccessible nothing where something was.
    fn seal(&mut self, start: usize, end: usize) -> rustix::io::Result<()> {
        if start >= end {
            return Ok(());
        }
        let flags = MapFlags::PRIVATE | MapFlags::NORESERVE | MapFlags::FIXED;
        // SAFETY: the range lies inside this slot and nobody uses it (`&mut self`).
        unsafe { mmap_anonymous(self.at(start), end - start, ProtFlags::empty(), flags) }?;
        Ok(())
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        // SAFETY: all of the reservation and nothing else; nobody refers to it any more.
        let _ = unsafe { munmap(self.start.as_ptr().cast(), self.reserved + 2 * self.guard) };
    }
}
