//! From the signed section's segments to images: which pages there are, and their content.

use megabinary::section::{Program, Section};

use super::Extent;
use super::file::{Index, write_index};

/// Data of fewer bytes is copied by the entry point faster than a mapping of its own is made.
const WORTH_MAPPING: u64 = 64 << 10;

/// Untouched bytes between two pieces that are laid along: one mapping more costs more.
const MAX_GAP: u64 = 64 << 10;

/// A program whose data is scattered over more pieces has no image: each is two mappings more of
/// every live process, and the host has a limit on those.
const MAX_EXTENTS: usize = 8;

/// A program whose image would be so many times its data has none.
const MAX_BLOAT: u64 = 4;

/// Bytes that all images together may have beyond twice the data they are made of. Programs may
/// share data, so images could be without end.
const MAX_EXTRA: u64 = 64 << 20;

/// Why there are no images.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("laying out initial images: a segment of `{program}` lies outside the data or the memory")]
pub struct ImageError {
    /// The program. Verification excludes it.
    pub program: String,
}

/// Puts the images of `section`'s programs behind `code`. `data` is the content of data segment 0
/// of the module that the section belongs to; `page` the size of the host's pages in bytes.
///
/// The result depends on nothing else, and is `code` as it was with something behind it.
pub fn append(
    mut code: Vec<u8>,
    section: &Section,
    data: &[u8],
    page: u64,
) -> Result<Vec<u8>, ImageError> {
    code.resize(code.len().next_multiple_of(page as usize), 0);
    let start = code.len() as u64;
    let mut room = (data.len() as u64).saturating_mul(2) + MAX_EXTRA;
    let mut index = Index::new(start, page);
    for program in &section.programs {
        let extents = extents(program, page).filter(|extents| len(extents) <= room);
        let Some(mut extents) = extents else {
            index.push(&[]);
            continue;
        };
        room -= len(&extents);
        for extent in &mut extents {
            extent.offset = code.len() as u64;
            code.resize(code.len() + extent.len as usize, 0);
        }
        paint(&mut code, &extents, program, data).ok_or_else(|| ImageError {
            program: program.name.to_string(),
        })?;
        index.push(&extents);
    }
    write_index(&mut code, &index);
    Ok(code)
}

fn len(extents: &[Extent]) -> u64 {
    extents.iter().map(|extent| u64::from(extent.len)).sum()
}

/// The pages that a program's segments touch, in pieces; none where mapping does not pay.
fn extents(program: &Program, page: u64) -> Option<Vec<Extent>> {
    let data: u64 = program.segments.iter().map(|s| u64::from(s.len)).sum();
    if data < WORTH_MAPPING {
        return None;
    }
    let mut pieces: Vec<(u64, u64)> = Vec::new();
    // Segments ascend and do not overlap.
    for segment in &program.segments {
        let start = u64::from(segment.address) / page * page;
        let end = (u64::from(segment.address) + u64::from(segment.len)).next_multiple_of(page);
        match pieces.last_mut() {
            Some(last) if start <= last.1 + MAX_GAP => last.1 = last.1.max(end),
            _ => pieces.push((start, end)),
        }
        if pieces.len() > MAX_EXTENTS {
            return None;
        }
    }
    let whole: u64 = pieces.iter().map(|(start, end)| end - start).sum();
    if whole > data.saturating_mul(MAX_BLOAT) {
        return None;
    }
    let extent = |(start, end): (u64, u64)| {
        Some(Extent {
            address: u32::try_from(start).ok()?,
            len: u32::try_from(end - start).ok()?,
            offset: 0,
        })
    };
    pieces.into_iter().map(extent).collect()
}

/// Copies a program's segments to where its extents lie in `out`; none if something does not fit.
fn paint(out: &mut [u8], extents: &[Extent], program: &Program, data: &[u8]) -> Option<()> {
    let memory = program.min_pages.checked_mul(64 << 10)?;
    let last = extents.last()?;
    if u64::from(last.address) + u64::from(last.len) > memory {
        return None;
    }
    for segment in &program.segments {
        let bytes = data
            .get(segment.data_offset as usize..)?
            .get(..segment.len as usize)?;
        let at = extents.partition_point(|extent| extent.address <= segment.address);
        let extent = extents.get(at.checked_sub(1)?)?;
        let start = extent.offset + u64::from(segment.address - extent.address);
        out.get_mut(start as usize..)?
            .get_mut(..bytes.len())?
            .copy_from_slice(bytes);
    }
    Some(())
}

#[cfg(test)]
mod tests {
    use megabinary::section::Segment;

    use super::*;

    const PAGE: u64 = 4096;

    fn program(min_pages: u64, segments: &[(u32, u32)]) -> Program {
        let segments = segments.iter().map(|(address, len)| Segment {
            address: *address,
            data_offset: 0,
            len: *len,
        });
        Program {
            name: "p".parse().unwrap(),
            entry: "p_start".parse().unwrap(),
            min_pages,
            max_pages: None,
            segments: segments.collect(),
            extra_exports: Vec::new(),
        }
    }

    fn pieces(segments: &[(u32, u32)]) -> Option<Vec<(u32, u32)>> {
        let extents = extents(&program(65536, segments), PAGE)?;
        Some(extents.iter().map(|e| (e.address, e.len)).collect())
    }

    #[test]
    fn images_are_whole_pages_with_near_pieces_joined_and_far_ones_apart() {
        assert_eq!(pieces(&[(1024, 65535)]), None);
        assert_eq!(pieces(&[(1024, 65536)]), Some(vec![(0, 69632)]));
        assert_eq!(
            pieces(&[(4096, 65536), (4096 + 65536 + 65536, 1)]),
            Some(vec![(4096, 2 * 65536 + 4096)])
        );
        assert_eq!(
            pieces(&[(4096, 65536), (4096 + 65536 + 65536 + 4096, 1)]),
            Some(vec![(4096, 65536), (4096 + 65536 + 65536 + 4096, 4096)])
        );
        // The last byte there can be.
        assert_eq!(
            pieces(&[(u32::MAX - 65535, 65536)]),
            Some(vec![(u32::MAX - 65535, 65536)])
        );
    }

    #[test]
    fn scattered_or_shared_data_makes_no_endless_image() {
        let scattered: Vec<_> = (0..40).map(|at| (at << 20, 4096)).collect();
        assert_eq!(pieces(&scattered), None);
        let thin: Vec<_> = (0..65536).map(|at| (at * 60_000, 1)).collect();
        assert_eq!(pieces(&thin), None);

        let data = vec![1; 32 << 20];
        let whole = program(1024, &[(0, 32 << 20)]);
        let section = Section {
            programs: vec![whole; 10],
            ..section()
        };
        let out = append(vec![0; 10], &section, &data, PAGE).unwrap();
        // Twice the data and 64 MiB: four of the ten.
        assert_eq!(out.len() >> 20, 4 * 32);
    }

    #[test]
    fn a_segment_outside_is_an_error_whoever_verified_it() {
        let data = vec![1; 70_000];
        for bad in [program(1, &[(0, 70_000)]), program(4, &[(0, 70_001)])] {
            let section = Section {
                programs: vec![bad],
                ..section()
            };
            assert!(append(Vec::new(), &section, &data, PAGE).is_err());
        }
    }

    fn section() -> Section {
        Section {
            format_version: megabinary::section::FORMAT_VERSION,
            name: "box".parse().unwrap(),
            version: "1.0".parse().unwrap(),
            vkernel_version: ">=0.2.0".parse().unwrap(),
            image_switch: "image".into(),
            programs: Vec::new(),
            targets: Vec::new(),
        }
    }
}
