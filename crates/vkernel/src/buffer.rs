//! Room for whole files.

use rustix::mm::{Advice, madvise};

/// Files of fewer bytes are read into pages of the usual size.
const LARGE: usize = 4 << 20;

/// An empty vector with room for `size` bytes: where that is much, in huge pages if the host has
/// them. A megabinary of 40 MB is ten thousand usual pages, and to have the host hand them out one
/// by one costs more than to read what comes into them.
#[must_use]
pub fn with_room(size: usize) -> Vec<u8> {
    let mut bytes: Vec<u8> = Vec::with_capacity(size);
    let page = rustix::param::page_size();
    let start = bytes.as_ptr().align_offset(page);
    let len = size.saturating_sub(start) / page * page;
    if size >= LARGE && len > 0 {
        let room = bytes.spare_capacity_mut()[start..].as_mut_ptr();
        // SAFETY: whole pages of the vector's own memory, of whose content advice changes nothing.
        // Without it all is as it was.
        let _ = unsafe { madvise(room.cast(), len, Advice::LinuxHugepage) };
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Whether huge pages are advised for what is mapped at `address`.
    fn advised(address: usize) -> bool {
        let maps = std::fs::read_to_string("/proc/self/smaps").unwrap();
        let mut inside = false;
        maps.lines().any(|line| {
            let range = line
                .split(' ')
                .next()
                .and_then(|range| range.split_once('-'));
            let bounds = range.and_then(|(start, end)| {
                let number = |text| usize::from_str_radix(text, 16).ok();
                Some(number(start)?..number(end)?)
            });
            if let Some(bounds) = bounds {
                inside = bounds.contains(&address);
            }
            inside && line.starts_with("VmFlags:") && line.contains(" hg")
        })
    }

    #[test]
    fn there_is_room_and_much_of_it_comes_in_huge_pages() {
        let host_has_them = std::path::Path::new("/sys/kernel/mm/transparent_hugepage").exists();
        for (size, huge) in [
            (0, false),
            (100, false),
            (LARGE, true),
            (LARGE + 4097, true),
        ] {
            let mut bytes = with_room(size);
            assert!(bytes.is_empty() && bytes.capacity() >= size);
            let (start, room) = (bytes.as_ptr() as usize, bytes.capacity());
            assert_eq!(advised(start + size / 2), huge && host_has_them, "{size}");
            bytes.resize(size, 7);
            assert_eq!((bytes.as_ptr() as usize, bytes.capacity()), (start, room));
        }
    }
}
