//! A thousand programs and ten thousand targets in one module.
#![allow(clippy::unwrap_used, missing_docs)]

mod support;

use megabin::link::{Folding, Target, link};
use megabinary::digest::Digest;
use support::{Setup, engine, request, run_linked, run_original, wat};
use wasmtime::Module;

/// A program with data at an address of its own and an exit status made of it and of what a
/// function pointer leads to.
fn program(nth: usize) -> Vec<u8> {
    let base = 2048 + 16 * nth;
    wat(&format!(
        r#"(module (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
        (memory (export "memory") 1) (data (i32.const {base}) "{nth:04}")
        (table 3 funcref) (elem (i32.const {entry}) $own)
        (func $own (result i32) (i32.const {own}))
        (func $digit (param i32) (result i32)
          (i32.sub (i32.load8_u (i32.add (i32.const {base}) (local.get 0))) (i32.const 48)))
        (func $sum (result i32)
          (i32.add (i32.add (call $digit (i32.const 0)) (call $digit (i32.const 1)))
            (i32.add (call $digit (i32.const 2)) (call $digit (i32.const 3)))))
        (func $apply (result i32) (i32.add (call $sum) (call_indirect (result i32) (i32.const {entry}))))
        (func (export "_start") (call $exit (call $apply))))"#,
        entry = nth % 3,
        own = nth % 50,
    ))
}

#[test]
fn a_thousand_programs_and_ten_thousand_targets_dispatch() {
    let setup = Setup {
        args: &["prog"],
        stdin: "",
        dir: None,
    };
    let programs: Vec<Vec<u8>> = (0..1000).map(program).collect();
    let names: Vec<String> = (0..1000).map(|i| format!("p{i}")).collect();
    let named: Vec<(&str, &[u8])> = names
        .iter()
        .map(String::as_str)
        .zip(programs.iter().map(Vec::as_slice))
        .collect();
    let mut request = request(&named);
    let script = |nth: usize| Digest::of(format!("script {nth}").as_bytes());
    request.targets.extend((0..10_000).map(|nth| Target {
        digest: script(nth),
        program: nth % 7,
    }));
    let linked = link(&request).unwrap();
    assert_eq!(linked.section.targets.len(), 11_000);
    request.folding = Folding::None;
    let unfolded = link(&request).unwrap().wasm.len();
    // Beside the targets: what each program keeps for itself is its data and its entry point.
    let saved = unfolded.saturating_sub(linked.wasm.len());
    assert!(saved > 100 * 1000, "{saved} of {unfolded}");
    let engine = engine();
    let module = Module::new(&engine, &linked.wasm).unwrap();
    for nth in (0..1000).step_by(97) {
        let expected = run_original(&engine, &programs[nth], &setup).end;
        let found = run_linked(&engine, &module, &Digest::of(&programs[nth]), &setup).end;
        assert!(
            expected.is_ok() && expected == found,
            "{nth}: {expected:?}, {found:?}"
        );
    }
    for nth in (0..10_000).step_by(997) {
        let expected = run_original(&engine, &programs[nth % 7], &setup).end;
        let found = run_linked(&engine, &module, &script(nth), &setup).end;
        assert_eq!(expected, found, "script {nth}");
    }
    let unknown = run_linked(&engine, &module, &script(10_000), &setup);
    assert_eq!(unknown.end, Ok(-1));
}
