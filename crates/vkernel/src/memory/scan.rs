//! Which pages of a memory are its own: written to, and so different from the image.

use std::ops::Range;
use std::os::fd::{AsRawFd, OwnedFd};
use std::ptr::null_mut;
use std::sync::OnceLock;

use rustix::mm::{MapFlags, ProtFlags, mmap_anonymous, munmap};

/// A run of pages that are a memory's own.
#[repr(C)]
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Run {
    /// Address of the first.
    pub start: u64,
    /// Address behind the last.
    pub end: u64,
    /// `PAGE_IS_*` of all of them.
    pub categories: u64,
}

impl Run {
    /// Whether the pages are somewhere else than in memory.
    pub fn swapped(&self) -> bool {
        self.categories & PAGE_IS_SWAPPED != 0
    }
}

/// It is not known which pages are a memory's own.
#[derive(Debug)]
pub struct Doubt;

/// Tells which pages are a memory's own.
pub trait Scan: Send + Sync {
    /// Whether it can tell at all, on this host and in this process.
    fn works(&self) -> bool;

    /// Puts every run of own pages of `range` into `runs`, ascending, and says how many there
    /// are. Pages that hold what the mapping would give anyway may be left out, no others.
    fn scan(&self, range: Range<usize>, runs: &mut [Run]) -> Result<usize, Doubt>;
}

const PAGE_IS_FILE: u64 = 1 << 2;
const PAGE_IS_PRESENT: u64 = 1 << 3;
const PAGE_IS_SWAPPED: u64 = 1 << 4;
const PAGE_IS_PFNZERO: u64 = 1 << 5;

/// `struct pm_scan_arg` of Linux 6.7 and later.
#[repr(C)]
struct PmScanArg {
    size: u64,
    flags: u64,
    start: u64,
    end: u64,
    walk_end: u64,
    vec: u64,
    vec_len: u64,
    max_pages: u64,
    category_inverted: u64,
    category_mask: u64,
    category_anyof_mask: u64,
    return_mask: u64,
}

/// `_IOWR('f', 16, struct pm_scan_arg)`.
const PAGEMAP_SCAN: u32 = 3 << 30 | (size_of::<PmScanArg>() as u32) << 16 | (b'f' as u32) << 8 | 16;

/// The host kernel's own account, by `PAGEMAP_SCAN`.
pub struct PageMap {
    file: OwnedFd,
    /// Whether a page that was written was found, and no other; asked once.
    sound: OnceLock<bool>,
}

impl PageMap {
    /// Takes this process's `/proc/self/pagemap`. It says what was the memory of whoever opened
    /// it, so that is checked before the first answer counts.
    pub fn new(file: OwnedFd) -> PageMap {
        PageMap {
            file,
            sound: OnceLock::new(),
        }
    }

    fn ask(&self, range: Range<usize>, runs: &mut [Run]) -> Result<usize, Doubt> {
        let mut arg = PmScanArg {
            size: size_of::<PmScanArg>() as u64,
            flags: 0,
            start: range.start as u64,
            end: range.end as u64,
            walk_end: 0,
            vec: runs.as_mut_ptr() as u64,
            vec_len: runs.len() as u64,
            max_pages: 0,
            // Neither the file's page nor the page of zeros, but there: in memory or swapped.
            category_inverted: PAGE_IS_FILE | PAGE_IS_PFNZERO,
            category_mask: PAGE_IS_FILE | PAGE_IS_PFNZERO,
            category_anyof_mask: PAGE_IS_PRESENT | PAGE_IS_SWAPPED,
            return_mask: PAGE_IS_PRESENT | PAGE_IS_SWAPPED,
        };
        // SAFETY: the argument has the layout and the size that the call is told, and `runs` is
        // writable for as many elements as it is told; each is three numbers.
        let found =
            unsafe { libc::ioctl(self.file.as_raw_fd(), PAGEMAP_SCAN as libc::Ioctl, &mut arg) };
        let found = usize::try_from(found).map_err(|_| Doubt)?;
        // Full: there may be more. Short: there may be more behind.
        if found >= runs.len() || arg.walk_end != range.end as u64 {
            return Err(Doubt);
        }
        Ok(found)
    }

    /// Whether it sees this process's memory: of three pages exactly the one that was written.
    fn check(&self) -> bool {
        let page = rustix::param::page_size();
        let protection = ProtFlags::READ | ProtFlags::WRITE;
        // SAFETY: a new mapping at an address of the kernel's choice.
        let probe = unsafe { mmap_anonymous(null_mut(), 3 * page, protection, MapFlags::PRIVATE) };
        let Ok(probe) = probe else { return false };
        // SAFETY: inside the mapping, which is writable.
        unsafe { probe.cast::<u8>().add(page).write_volatile(1) };
        let start = probe as usize;
        let mut runs = [Run::default(); 4];
        let found = self.ask(start..start + 3 * page, &mut runs);
        // SAFETY: nobody else knows of the mapping.
        let _ = unsafe { munmap(probe, 3 * page) };
        let own = |run: &Run| (run.start as usize, run.end as usize);
        matches!(found, Ok(1)) && own(&runs[0]) == (start + page, start + 2 * page)
    }
}

impl Scan for PageMap {
    fn works(&self) -> bool {
        *self.sound.get_or_init(|| self.check())
    }

    fn scan(&self, range: Range<usize>, runs: &mut [Run]) -> Result<usize, Doubt> {
        match self.works() {
            true => self.ask(range, runs),
            false => Err(Doubt),
        }
    }
}
