//! Putting the metadata section and the container id at a module's end.

use crate::digest::{DIGEST_BYTES, Digest};
use crate::section::{SECTION_NAME, Section};

/// Id of a custom section in the WebAssembly binary format.
const CUSTOM: u8 = 0;

/// Appends the section `megabinary` with `section` and the container id to a module that does not
/// have it yet. [`super::Module::parse`] of the result says whether all of it is sound.
pub fn finish(mut wasm: Vec<u8>, section: &Section) -> Vec<u8> {
    let payload = section.encode();
    let mut head = Vec::with_capacity(1 + SECTION_NAME.len());
    leb(&mut head, SECTION_NAME.len());
    head.extend_from_slice(SECTION_NAME.as_bytes());
    wasm.push(CUSTOM);
    leb(&mut wasm, head.len() + payload.len() + DIGEST_BYTES);
    wasm.extend_from_slice(&head);
    wasm.extend_from_slice(&payload);
    let id = Digest::of(&wasm);
    wasm.extend_from_slice(id.as_bytes());
    wasm
}

fn leb(out: &mut Vec<u8>, mut value: usize) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}
