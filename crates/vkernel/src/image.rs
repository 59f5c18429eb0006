//! Initial images laid by the host (`runtime-spec/megabinary.md`, "Images").
//!
//! An entry point copies its program's initial data into memory, which for 8 MiB costs
//! milliseconds and as much memory again. A host that has the data as a file maps it copy on
//! write instead and tells the entry point so by the image switch.
//!
//! Images are built from the signed section's segments and the signed data, never by running
//! guest code. Here they lie in a sealed memory file of the kernel; one that is kept beside the
//! compiled code, and a memory that is reused from process to process, would take its place.

use std::collections::HashMap;
use std::os::fd::{AsRawFd, OwnedFd};

use megabinary::section::Section;
use rustix::fs::{MemfdFlags, SealFlags, fcntl_add_seals, ftruncate, memfd_create};
use wasmtime::{AsContextMut, Global, Memory, Val};

/// Images smaller than this, in bytes, are copied faster than mapped.
const WORTH_MAPPING: u64 = 64 << 10;

/// Bytes of a page of WebAssembly memory.
const WASM_PAGE: u64 = 64 << 10;

/// Why there are no images.
#[derive(Debug, thiserror::Error)]
pub enum ImageError {
    /// A segment names bytes that are not there. Verification excludes it.
    #[error("program `{program}`: an image segment lies outside the data or the memory")]
    Segment {
        /// The program.
        program: String,
    },
    /// The host gave no memory file.
    #[error("making the file of the initial images: {0}")]
    Host(#[from] rustix::io::Errno),
}

/// The initial images of a megabinary's programs.
pub struct Images {
    file: OwnedFd,
    by_entry: HashMap<String, Image>,
}

/// Where an image lies, in whole pages of the host.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Image {
    /// In the file.
    offset: u64,
    /// In the program's memory.
    address: u64,
    len: u64,
    /// The memory the program starts with, in pages of WebAssembly.
    min_pages: u64,
}

impl Images {
    /// Builds the images of all programs for which mapping pays. `data` is the content of data
    /// segment 0 of the module that `section` belongs to.
    pub fn build(section: &Section, data: &[u8]) -> Result<Images, ImageError> {
        let page = rustix::param::page_size() as u64;
        let file = memfd_create("images", MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING)?;
        let mut by_entry = HashMap::new();
        let mut end = 0;
        for program in &section.programs {
            let (Some(first), Some(last)) = (program.segments.first(), program.segments.last())
            else {
                continue;
            };
            // Segments are ascending and do not overlap.
            let address = u64::from(first.address) / page * page;
            let len =
                (u64::from(last.address) + u64::from(last.len)).next_multiple_of(page) - address;
            if len < WORTH_MAPPING {
                continue;
            }
            let wrong = || ImageError::Segment {
                program: program.name.to_string(),
            };
            if address + len > program.min_pages * WASM_PAGE {
                return Err(wrong());
            }
            let image = Image {
                offset: end,
                address,
                len,
                min_pages: program.min_pages,
            };
            end += len;
            ftruncate(&file, end)?;
            for segment in &program.segments {
                let start = segment.data_offset as usize;
                let bytes = start
                    .checked_add(segment.len as usize)
                    .and_then(|stop| data.get(start..stop))
                    .ok_or_else(wrong)?;
                let at = image.offset + u64::from(segment.address) - image.address;
                write_all(&file, bytes, at)?;
            }
            by_entry.insert(program.entry.to_string(), image);
        }
        let all = SealFlags::SEAL | SealFlags::SHRINK | SealFlags::GROW | SealFlags::WRITE;
        fcntl_add_seals(&file, all)?;
        Ok(Images { file, by_entry })
    }

    /// Gives `memory` the initial size and image of the program that `entry` starts, then sets
    /// the switch. Does neither where the program has no image here.
    ///
    /// An error leaves the memory unfit for use: the instance must not run.
    pub fn lay(
        &self,
        entry: &str,
        mut store: impl AsContextMut,
        memory: Memory,
        switch: Global,
    ) -> wasmtime::Result<()> {
        let Some(image) = self.by_entry.get(entry) else {
            return Ok(());
        };
        let size = memory.size(&store);
        if size < image.min_pages {
            memory.grow(&mut store, image.min_pages - size)?;
        }
        let bytes = memory.data_mut(&mut store);
        let target = bytes
            .get_mut(image.address as usize..(image.address + image.len) as usize)
            .ok_or_else(|| wasmtime::Error::msg("the memory is smaller than its initial image"))?;
        // SAFETY: the range is inside the instance's accessible memory and, as memories start on
        // a page, made of whole pages; it is borrowed exclusively, so nobody looks while its
        // content changes. The new mapping has the protection the old one had, goes when the
        // engine unmaps the whole reservation, and is private: the file is sealed, so its
        // content cannot change or vanish, and writes reach only this process.
        let mapped = unsafe {
            libc::mmap(
                target.as_mut_ptr().cast(),
                target.len(),
                libc::PROT_READ | libc::PROT_WRITE,
                libc::MAP_PRIVATE | libc::MAP_FIXED,
                self.file.as_raw_fd(),
                image.offset as libc::off_t,
            )
        };
        if mapped == libc::MAP_FAILED {
            let error = std::io::Error::last_os_error();
            return Err(wasmtime::Error::msg(format!(
                "mapping its initial image: {error}"
            )));
        }
        switch.set(store, Val::I32(1))
    }
}

fn write_all(file: &OwnedFd, mut bytes: &[u8], mut at: u64) -> Result<(), rustix::io::Errno> {
    while !bytes.is_empty() {
        let written = rustix::io::pwrite(file, bytes, at)?;
        bytes = &bytes[written..];
        at += written as u64;
    }
    Ok(())
}
