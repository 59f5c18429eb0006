//! `cargo fuzz run base`, see fuzz/README.md. A program and an archive: the length of the first in
//! three bytes, then both.
#![no_main]

use megabin::link::base::{Library, Standing, lay};

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let Some((&[a, b, c], rest)) = data.split_first_chunk::<3>() else {
        return;
    };
    let len = u32::from_le_bytes([a, b, c, 0]) as usize;
    let (wasm, archive) = rest.split_at(len.min(rest.len()));
    let library = Library {
        origin: "library".to_owned(),
        bytes: archive.to_vec(),
    };
    let origin = "program";
    // Laid or refused: whatever the sections say, nothing panics.
    let _ = lay(&[Standing { origin, wasm }], &[library]);
});
