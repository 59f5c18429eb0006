//! `cargo fuzz run link`, see fuzz/README.md. The first byte chooses features, the rest becomes a
//! program, which must do linked what it does alone.
#![no_main]

use std::sync::LazyLock;

use wasmtime::Engine;

#[path = "../../crates/megabin/tests/support/random.rs"]
mod random;

static ENGINE: LazyLock<Engine> = LazyLock::new(random::engine);

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let Some((&kind, bytes)) = data.split_first() else {
        return;
    };
    let Some(wasm) = random::program(kind.into(), bytes) else {
        return;
    };
    random::compare(&ENGINE, kind.into(), &wasm, None, &mut random::Tally::default());
});
