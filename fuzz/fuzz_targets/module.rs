//! `cargo fuzz run module`, see fuzz/README.md.
#![no_main]

#[path = "../../crates/megabinary/tests/support/invariants.rs"]
#[allow(dead_code, reason = "each target calls one of them")]
mod invariants;

libfuzzer_sys::fuzz_target!(|data: &[u8]| invariants::module(data));
