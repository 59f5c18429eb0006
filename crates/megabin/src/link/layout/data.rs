//! Initial memory and passive data: every program's bytes in the one data segment.

use std::collections::{BTreeMap, BTreeSet};

use wasmparser::ValType;

use super::{Layout, PassivePlace, Slots};
use crate::link::error::{LinkError, Refusal};
use crate::link::image;
use crate::link::input::{DataKind, Global, Input};
use crate::link::scan::Usage;

/// The bytes of the output's data segment; equal pieces lie there once.
#[derive(Default)]
pub(super) struct Blob {
    pub bytes: Vec<u8>,
    known: BTreeMap<[u8; 32], u32>,
}

impl Blob {
    fn add(&mut self, piece: &[u8]) -> Option<u32> {
        let digest = *megabinary::digest::Digest::of(piece).as_bytes();
        if let Some(offset) = self.known.get(&digest) {
            return Some(*offset);
        }
        let offset = u32::try_from(self.bytes.len()).ok()?;
        u32::try_from(self.bytes.len() + piece.len()).ok()?;
        self.bytes.extend_from_slice(piece);
        self.known.insert(digest, offset);
        Some(offset)
    }
}

pub(super) fn data(
    layout: &mut Layout,
    slots: &mut Slots,
    blob: &mut Blob,
    index: usize,
    input: &Input<'_>,
    usage: &Usage,
) -> Result<(), LinkError> {
    let pages = input.memory.map_or(0, |m| m.min);
    let places = &mut layout.programs[index];
    let full = || LinkError::Limit {
        what: "bytes of initial memory",
        count: u64::from(u32::MAX) + 1,
        limit: u64::from(u32::MAX),
        largest: input.origin.to_owned(),
        largest_count: input.data.iter().map(|d| d.bytes.len() as u64).sum(),
    };
    for piece in image::paint(&input.data, pages).map_err(|r: Refusal| r.of(input.origin))? {
        let offset = blob.add(&piece.bytes).ok_or_else(full)?;
        places.image.push((piece, offset));
    }
    let mutable_i32 = |g: &&Global| g.ty.mutable && g.ty.content_type == ValType::I32;
    let own = input.globals.iter().filter(mutable_i32).count() as u32;
    let named: BTreeSet<u32> = usage.memory_init.union(&usage.data_drop).copied().collect();
    for (nth, segment) in (own..).zip(named) {
        let data = &input.data[segment as usize];
        // An active segment is dropped before the program starts: its length is 0.
        let bytes = if matches!(data.kind, DataKind::Passive) {
            data.bytes
        } else {
            &[]
        };
        let place = PassivePlace {
            init: None,
            slot: slots.get(ValType::I32, nth),
            offset: blob.add(bytes).ok_or_else(full)?,
            len: bytes.len() as u32,
        };
        places.passive.insert(segment, place);
    }
    Ok(())
}
