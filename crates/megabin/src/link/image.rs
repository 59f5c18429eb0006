//! A program's initial memory, painted from its data segments and cut into few pieces.

use std::collections::BTreeMap;

use super::error::Refusal;
use super::input::{DataKind, DataSegment};

/// A WebAssembly page, in bytes.
pub(crate) const PAGE: u64 = 65_536;

/// Runs of zeros up to this length, in bytes, are kept inside a piece: another piece costs more
/// than the bytes.
const MAX_GAP: usize = 1024;

/// A run of initial memory that starts and ends with a byte that is not zero.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Piece {
    /// Its address in the program's memory.
    pub address: u32,
    pub bytes: Vec<u8>,
}

/// Paints the active segments in their order, so that later ones win where they overlap, and
/// returns what is not zero. Fresh memory is zero, so a segment of zeros costs nothing.
pub(crate) fn paint(segments: &[DataSegment<'_>], pages: u64) -> Result<Vec<Piece>, Refusal> {
    let size = pages.saturating_mul(PAGE);
    let mut canvas: BTreeMap<u64, Box<[u8]>> = BTreeMap::new();
    for (index, segment) in segments.iter().enumerate() {
        let DataKind::Active { offset } = segment.kind else {
            continue;
        };
        let start = u64::from(offset);
        let end = start + segment.bytes.len() as u64;
        if end > size {
            return Err(Refusal::DataBounds {
                segment: index,
                end,
                pages,
            });
        }
        paint_one(&mut canvas, start, segment.bytes);
    }
    Ok(pieces(&canvas))
}

fn paint_one(canvas: &mut BTreeMap<u64, Box<[u8]>>, mut address: u64, mut bytes: &[u8]) {
    while !bytes.is_empty() {
        let within = (address % PAGE) as usize;
        let (now, rest) = bytes.split_at(bytes.len().min(PAGE as usize - within));
        let page = address / PAGE;
        // Zeros on a page that nothing has touched change nothing: `.bss` written out stays free.
        if canvas.contains_key(&page) || now.iter().any(|b| *b != 0) {
            let page = canvas
                .entry(page)
                .or_insert_with(|| vec![0; PAGE as usize].into_boxed_slice());
            page[within..within + now.len()].copy_from_slice(now);
        }
        address += now.len() as u64;
        bytes = rest;
    }
}

fn pieces(canvas: &BTreeMap<u64, Box<[u8]>>) -> Vec<Piece> {
    let mut pieces: Vec<Piece> = Vec::new();
    for (page, bytes) in canvas {
        let mut at = 0;
        while let Some(start) = bytes[at..].iter().position(|b| *b != 0).map(|i| at + i) {
            let end = bytes[start..]
                .iter()
                .position(|b| *b == 0)
                .map_or(bytes.len(), |i| start + i);
            append(&mut pieces, page * PAGE + start as u64, &bytes[start..end]);
            at = end;
        }
    }
    pieces
}

/// Adds a run to the last piece where the gap is small, else as a new piece.
fn append(pieces: &mut Vec<Piece>, address: u64, run: &[u8]) {
    if let Some(last) = pieces.last_mut() {
        let gap = (address - u64::from(last.address)) as usize - last.bytes.len();
        if gap <= MAX_GAP {
            last.bytes.resize(last.bytes.len() + gap, 0);
            last.bytes.extend_from_slice(run);
            return;
        }
    }
    let address = u32::try_from(address).expect("a 32-bit memory's byte has a 32-bit address");
    pieces.push(Piece {
        address,
        bytes: run.to_vec(),
    });
}

#[cfg(test)]
#[allow(clippy::unwrap_used)] // A failed unwrap is a failed test.
mod tests {
    use super::*;

    fn active(offset: u32, bytes: &[u8]) -> DataSegment<'_> {
        DataSegment {
            kind: DataKind::Active { offset },
            bytes,
        }
    }

    fn piece(address: u32, bytes: &[u8]) -> Piece {
        Piece {
            address,
            bytes: bytes.to_vec(),
        }
    }

    #[test]
    fn later_segments_win() {
        let painted = paint(
            &[active(8, b"abcdef"), active(10, b"XY"), active(7, b"-")],
            1,
        );
        assert_eq!(painted.unwrap(), [piece(7, b"-abXYef")]);
    }

    #[test]
    fn a_later_zero_erases() {
        let painted = paint(&[active(0, b"ab"), active(1, &[0])], 1);
        assert_eq!(painted.unwrap(), [piece(0, b"a")]);
    }

    #[test]
    fn zeros_cost_nothing_and_far_pieces_stay_apart() {
        let zeros = vec![0; 3 * PAGE as usize];
        let mut long = vec![1];
        long.extend(vec![0; MAX_GAP + 1]);
        long.push(2);
        let painted = paint(&[active(0, &zeros), active(100, &long)], 3).unwrap();
        assert_eq!(
            painted,
            [piece(100, &[1]), piece(100 + MAX_GAP as u32 + 2, &[2])]
        );
    }

    #[test]
    fn small_gaps_are_closed_also_across_a_page_border() {
        let painted = paint(&[active(65_530, b"a"), active(65_540, b"b")], 2).unwrap();
        assert_eq!(painted, [piece(65_530, b"a\0\0\0\0\0\0\0\0\0b")]);
    }

    #[test]
    fn the_last_byte_of_the_memory_counts_and_the_next_is_refused() {
        assert_eq!(
            paint(&[active(65_535, b"z")], 1).unwrap(),
            [piece(65_535, b"z")]
        );
        let over = paint(&[active(65_535, b"zz")], 1).unwrap_err();
        assert!(matches!(
            over,
            Refusal::DataBounds {
                segment: 0,
                end: 65_537,
                pages: 1
            }
        ));
        // An empty segment beyond the end traps as well.
        assert!(paint(&[active(65_537, b"")], 1).is_err());
        assert!(paint(&[active(65_536, b"")], 1).unwrap().is_empty());
        assert_eq!(
            paint(&[active(u32::MAX, b"q")], 65_536).unwrap(),
            [piece(u32::MAX, b"q")]
        );
    }
}
