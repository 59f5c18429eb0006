//! Images as they lie in an artifact.
//!
//! ```text
//! code | zeros up to a page | content of the images, each in whole pages | index | trailer
//! index   = first extent of each program and one number more : u32 each
//!           extents : address u32, length u32, offset in the artifact u64
//! trailer = magic [16] | page size u64 | start of the content u64 | start of the index u64
//!           | programs u32 | extents u32
//! ```
//!
//! Numbers are little-endian. Programs are in the order of the signed section. The engine reads
//! the code by its own header and does not see what is behind.

use std::fs::File;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::ptr::NonNull;

use rustix::mm::{MapFlags, ProtFlags, mmap, munmap};

use super::Extent;

const MAGIC: &[u8; 16] = b"megarun images1\n";
const TRAILER: usize = 16 + 3 * 8 + 2 * 4;
const EXTENT: usize = 16;

/// Images that contradict themselves: the artifact was damaged after it was stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the initial images in the artifact are damaged ({0})")]
pub struct Damaged(&'static str);

/// The index while it is made.
pub(super) struct Index {
    start: u64,
    page: u64,
    first: Vec<u32>,
    extents: Vec<Extent>,
}

impl Index {
    pub(super) fn new(start: u64, page: u64) -> Index {
        Index {
            start,
            page,
            first: vec![0],
            extents: Vec::new(),
        }
    }

    /// Adds the next program.
    pub(super) fn push(&mut self, extents: &[Extent]) {
        self.extents.extend_from_slice(extents);
        // At most 8 each of 65,536 programs.
        self.first.push(self.extents.len() as u32);
    }
}

/// Ends an artifact.
pub(super) fn write_index(out: &mut Vec<u8>, index: &Index) {
    let at = out.len() as u64;
    for first in &index.first {
        out.extend_from_slice(&first.to_le_bytes());
    }
    for extent in &index.extents {
        out.extend_from_slice(&extent.address.to_le_bytes());
        out.extend_from_slice(&extent.len.to_le_bytes());
        out.extend_from_slice(&extent.offset.to_le_bytes());
    }
    out.extend_from_slice(MAGIC);
    for number in [index.page, index.start, at] {
        out.extend_from_slice(&number.to_le_bytes());
    }
    for count in [index.first.len() - 1, index.extents.len()] {
        out.extend_from_slice(&(count as u32).to_le_bytes());
    }
}

/// The images of an artifact, ready to be mapped.
#[derive(Debug)]
pub struct Images(Option<Opened>);

#[derive(Debug)]
struct Opened {
    file: OwnedFd,
    /// Everything from the content's start to the end of the file, read-only.
    map: Map,
    /// Where the map begins in the file.
    start: u64,
    /// Where the index begins in the map.
    index: usize,
    programs: usize,
    extents: usize,
}

impl Images {
    /// No images: entry points lay their data themselves.
    #[must_use]
    pub fn none() -> Images {
        Images(None)
    }

    /// Finds the images in an artifact. There are none where the artifact has no trailer, or was
    /// made where pages have another size.
    pub fn open(artifact: &File) -> Result<Images, OpenError> {
        let len = artifact.metadata()?.len();
        let mut trailer = [0; TRAILER];
        let Some(end) = len.checked_sub(TRAILER as u64) else {
            return Ok(Images::none());
        };
        std::os::unix::fs::FileExt::read_exact_at(artifact, &mut trailer, end)?;
        if trailer[..16] != *MAGIC {
            return Ok(Images::none());
        }
        let long = |at: usize| u64::from_le_bytes(array(&trailer, 16 + 8 * at));
        let count = |at: usize| u32::from_le_bytes(array(&trailer, 40 + 4 * at)) as usize;
        let (page, start, index) = (long(0), long(1), long(2));
        let (programs, extents) = (count(0), count(1));
        if page != rustix::param::page_size() as u64 || extents == 0 {
            return Ok(Images::none());
        }
        let size = ((programs + 1) * 4 + extents * EXTENT) as u64;
        if start % page != 0 || start > index || index.checked_add(size) != Some(end) {
            return Err(Damaged("the trailer").into());
        }
        let file = OwnedFd::from(artifact.try_clone()?);
        // `start` is at most the length of the file.
        let map = Map::new(file.as_fd(), start, (len - start) as usize)?;
        Ok(Images(Some(Opened {
            file,
            map,
            start,
            index: (index - start) as usize,
            programs,
            extents,
        })))
    }

    /// The image of the program with this number, for a memory of `size` bytes; empty where it
    /// has none. Extents ascend and do not overlap.
    pub fn of(&self, program: usize, size: usize) -> Result<Image<'_>, Damaged> {
        let Some(opened) = &self.0 else {
            return Ok(Image(None));
        };
        if program >= opened.programs {
            return Err(Damaged("the number of programs"));
        }
        let bytes = opened.map.bytes();
        let first = |at: usize| u32::from_le_bytes(array(bytes, opened.index + at * 4)) as usize;
        let (from, to) = (first(program), first(program + 1));
        if from > to || to > opened.extents {
            return Err(Damaged("the index"));
        }
        let image = Image(Some((opened, from, to)));
        let page = rustix::param::page_size() as u64;
        let mut end = 0;
        for extent in image.extents() {
            let Extent {
                address,
                len,
                offset,
            } = extent;
            let (address, len) = (u64::from(address), u64::from(len));
            let inside = opened.start + opened.index as u64;
            let aligned = [address, len, offset].iter().all(|n| n % page == 0);
            let fits = address >= end
                && address + len <= size as u64
                && offset >= opened.start
                && offset.checked_add(len).is_some_and(|end| end <= inside);
            if !aligned || len == 0 || !fits {
                return Err(Damaged("an extent"));
            }
            end = address + len;
        }
        Ok(if from == to { Image(None) } else { image })
    }
}

/// Why images cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// They contradict themselves.
    #[error(transparent)]
    Damaged(#[from] Damaged),
    /// The file cannot be read or mapped.
    #[error("reading the initial images: {0}")]
    Io(#[from] std::io::Error),
}

/// The initial image of one program, checked.
#[derive(Debug, Clone, Copy)]
pub struct Image<'i>(Option<(&'i Opened, usize, usize)>);

impl<'i> Image<'i> {
    /// Whether the host has nothing to lay.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_none()
    }

    /// Its pieces.
    pub fn extents(self) -> impl Iterator<Item = Extent> + use<'i> {
        let list = self.0.map(|(opened, from, to)| {
            let table = opened.index + (opened.programs + 1) * 4;
            (from..to).map(move |at| {
                let bytes = opened.map.bytes();
                let at = table + at * EXTENT;
                Extent {
                    address: u32::from_le_bytes(array(bytes, at)),
                    len: u32::from_le_bytes(array(bytes, at + 4)),
                    offset: u64::from_le_bytes(array(bytes, at + 8)),
                }
            })
        });
        list.into_iter().flatten()
    }

    /// The file that extents' offsets are in.
    #[must_use]
    pub fn file(&self) -> Option<BorrowedFd<'i>> {
        self.0.map(|(opened, ..)| opened.file.as_fd())
    }

    /// What memory holds at the start in `len` bytes from `address`, or nothing where that is
    /// zeros. A range that is partly in an extent is none of an image's pages: also nothing.
    #[must_use]
    pub fn content(&self, address: usize, len: usize) -> Option<&'i [u8]> {
        let (opened, ..) = self.0?;
        let extent = self.extents().find(|extent| {
            let start = extent.address as usize;
            start <= address && address + len <= start + extent.len as usize
        })?;
        let at = (extent.offset - opened.start) as usize + (address - extent.address as usize);
        opened.map.bytes().get(at..at + len)
    }
}

fn array<const N: usize>(bytes: &[u8], at: usize) -> [u8; N] {
    bytes[at..at + N].try_into().expect("a slice of N bytes")
}

/// Read-only memory with the content of a file.
#[derive(Debug)]
struct Map {
    at: NonNull<u8>,
    len: usize,
}

// SAFETY: the memory is only read, by whoever borrows the map.
unsafe impl Send for Map {}
// SAFETY: likewise.
unsafe impl Sync for Map {}

impl Map {
    fn new(file: BorrowedFd<'_>, offset: u64, len: usize) -> std::io::Result<Map> {
        // SAFETY: a new mapping at an address of the kernel's choice disturbs nobody.
        let at = unsafe {
            let flags = MapFlags::PRIVATE;
            mmap(
                std::ptr::null_mut(),
                len,
                ProtFlags::READ,
                flags,
                file,
                offset,
            )
        }?;
        let at = NonNull::new(at.cast()).ok_or(std::io::ErrorKind::OutOfMemory)?;
        Ok(Map { at, len })
    }

    fn bytes(&self) -> &[u8] {
        // SAFETY: the mapping is readable for its whole length until it is dropped, and nobody
        // writes the file: the cache replaces artifacts, it does not change them.
        unsafe { std::slice::from_raw_parts(self.at.as_ptr(), self.len) }
    }
}

impl Drop for Map {
    fn drop(&mut self) {
        // SAFETY: the mapping is this value's alone, and nothing borrows it any more.
        let _ = unsafe { munmap(self.at.as_ptr().cast(), self.len) };
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    fn page() -> usize {
        rustix::param::page_size()
    }

    /// Code of ten bytes, and two programs: one without an image, one of two extents.
    fn artifact() -> Vec<u8> {
        let page = page();
        let mut out = vec![9; 10];
        out.resize(page, 0);
        let mut index = Index::new(page as u64, page as u64);
        index.push(&[]);
        let extent = |address: usize, len: usize, offset: usize| Extent {
            address: address as u32,
            len: len as u32,
            offset: offset as u64,
        };
        index.push(&[
            extent(page, page, page),
            extent(4 * page, 2 * page, 2 * page),
        ]);
        for fill in 1..=3 {
            out.resize(out.len() + page, fill);
        }
        write_index(&mut out, &index);
        out
    }

    fn open(bytes: &[u8]) -> Result<Images, OpenError> {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(bytes).unwrap();
        Images::open(&file)
    }

    #[test]
    fn what_was_written_is_found_by_its_program() {
        let (page, size) = (page(), 64 << 10);
        let images = open(&artifact()).unwrap();
        assert!(images.of(0, size).unwrap().is_empty());
        let image = images.of(1, size).unwrap();
        assert_eq!(image.extents().count(), 2);
        assert_eq!(image.content(page, page).unwrap(), vec![1; page]);
        assert_eq!(image.content(5 * page, page).unwrap(), vec![3; page]);
        for (address, len) in [(0, page), (2 * page, page), (6 * page, page)] {
            assert_eq!(image.content(address, len), None);
        }
        assert!(images.of(2, size).is_err());
        // A memory that is too small for it.
        assert!(images.of(1, 5 * page).is_err());
    }

    #[test]
    fn an_artifact_without_images_has_none() {
        for bytes in [&b""[..], &[0; 200]] {
            assert!(open(bytes).unwrap().of(7, 0).unwrap().is_empty());
        }
    }

    #[test]
    fn damage_is_an_error_or_no_image_and_never_a_page_of_something_else() {
        let sound = artifact();
        let index = sound.len() - TRAILER - 3 * 4 - 2 * EXTENT;
        for at in index..sound.len() {
            for bit in 0..8 {
                let mut bytes = sound.clone();
                bytes[at] ^= 1 << bit;
                let Ok(images) = open(&bytes) else { continue };
                for program in 0..2 {
                    let Ok(image) = images.of(program, 1 << 20) else {
                        continue;
                    };
                    for extent in image.extents() {
                        assert!(extent.offset >= page() as u64);
                        assert!(extent.offset + u64::from(extent.len) <= index as u64);
                        assert!(u64::from(extent.address) + u64::from(extent.len) <= 1 << 20);
                    }
                }
            }
        }
        for len in [index, index + 7, sound.len() - 1] {
            assert!(open(&sound[..len]).is_ok_and(|images| images.0.is_none()));
        }
    }
}
