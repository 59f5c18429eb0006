//! `cargo fuzz run input`, see fuzz/README.md. Any bytes as a program: linked or refused, never a panic.
#![no_main]

use megabin::link::{Folding, Program, Request, Target, link};
use megabinary::digest::Digest;

libfuzzer_sys::fuzz_target!(|wasm: &[u8]| {
    let request = Request {
        name: "fuzz".parse().expect("a name"),
        version: "1".parse().expect("a version"),
        vkernel_version: ">=0.2.0".parse().expect("a requirement"),
        programs: vec![Program {
            name: "program".parse().expect("a name"),
            origin: "program.wasm".to_owned(),
            wasm,
        }],
        targets: vec![Target {
            digest: Digest::of(wasm),
            program: 0,
        }],
        folding: Folding::Full,
    };
    let _ = link(&request);
});
