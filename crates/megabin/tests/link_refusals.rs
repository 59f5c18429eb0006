//! What cannot be linked is refused with a message that names the input, the reason and what to do;
//! no input makes the linker panic.
#![allow(clippy::unwrap_used, missing_docs)]

mod support;

use support::{link_all, refusal, refusal_of, request, wat};

const START: &str = r#"(memory (export "memory") 1) (func (export "_start"))"#;

fn refused(fields: &str, parts: &[&str]) {
    let text = refusal(&format!("(module {fields} {START})"));
    assert!(text.starts_with("linking bad.wasm: "), "{text}");
    for part in parts {
        assert!(text.contains(part), "{text:?} lacks {part:?}");
    }
}

#[test]
fn other_kinds_of_files() {
    assert!(refusal_of(b"").contains("it is empty"));
    assert!(refusal_of(b"\x7fELF....").contains("7f 45 4c 46"));
    assert!(refusal_of(b"\0asm\x0d\0\x01\0").contains("component"));
    assert!(refusal_of(b"\0asm\x01\0\0").contains("build it again"));
    let linking = [&[0, 9, 7][..], b"linking\x02"].concat();
    let import = r#"(module (import "env" "__linear_memory" (memory 0)))"#;
    let object = [wat(import), linking.clone()].concat();
    assert!(refusal_of(&object).contains("an object file: link it"));
    // A program may keep what its linker knew.
    let program = [wat(&format!("(module {START})")), linking].concat();
    link_all(&[("program", &program)]);
}

#[test]
fn libraries_and_odd_starts() {
    let text = refusal(r#"(module (memory (export "memory") 1) (func (export "_initialize")))"#);
    assert!(
        text.contains("no `_start`") && text.contains("-mexec-model=reactor"),
        "{text}"
    );
    let text = refusal(r#"(module (func (export "_start") (param i32)))"#);
    assert!(text.contains("not a function of type () -> ()"), "{text}");
    let text = refusal(r#"(module (memory (export "_start") 1))"#);
    assert!(text.contains("not a function"), "{text}");
}

#[test]
fn imports() {
    refused(
        r#"(import "env" "fork" (func (result i32)))"#,
        &["`env.fork`", "left undefined"],
    );
    refused(
        r#"(import "wasi_unstable" "fd_close" (func))"#,
        &["preview 0"],
    );
    refused(
        r#"(import "wasi_snapshot_preview1" "nope" (func))"#,
        &["not part of WASI preview 1"],
    );
    refused(r#"(import "vkernel" "nope" (func))"#, &["vkernel-abi.md"]);
    refused(
        r#"(import "wasi_snapshot_preview1" "fd_close" (func (param i64) (result i32)))"#,
        &["(i64) -> i32", "(i32) -> i32", "matching header"],
    );
    refused(
        r#"(import "env" "t" (table 1 funcref))"#,
        &["imports the table `env.t`"],
    );
    refused(
        r#"(import "env" "g" (global i32))"#,
        &["imports the global `env.g`"],
    );
    let text = refusal(r#"(module (import "env" "memory" (memory 1)) (func (export "_start")))"#);
    assert!(text.contains("imports the memory `env.memory`"), "{text}");
}

#[test]
fn segments_that_would_trap_before_the_start() {
    refused(
        r#"(data (i32.const 65530) "1234567")"#,
        &["data segment 0", "0x10001", "1 pages"],
    );
    refused(r#"(data (i32.const -1) "")"#, &["data segment 0"]);
    refused(
        r#"(table 2 funcref) (elem (i32.const 1) $f $f) (func $f)"#,
        &["element segment 0", "3"],
    );
}

#[test]
fn requests() {
    let good = wat(&format!("(module {START})"));
    let two = request(&[("same", &good), ("same", &good)]);
    let text = megabin::link::link(&two).unwrap_err().to_string();
    assert!(text.contains("two programs are called `same`"), "{text}");
    assert!(megabin::link::link(&request(&[])).is_err());
    let mut twice = request(&[("a", &good)]);
    twice.targets.push(twice.targets[0]);
    assert!(
        megabin::link::link(&twice)
            .unwrap_err()
            .to_string()
            .contains("given twice")
    );
    let mut unknown = request(&[("a", &good)]);
    unknown.targets[0].program = 7;
    assert!(megabin::link::link(&unknown).is_err());
}

/// Truncated and damaged modules give an error or a module that validates, never a panic.
#[test]
fn damaged_modules_never_panic() {
    let good = wat(
        r#"(module (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
        (memory (export "memory") 1 4) (table 4 funcref) (elem (i32.const 1) $exit $f)
        (global $g (mut i32) (i32.const 3)) (global $c i64 (i64.const 3))
        (data (i32.const 9) "abc") (data $p "passive")
        (func $f (param i32) (memory.init $p (i32.const 0) (i32.const 0) (i32.const 2)) (data.drop $p))
        (func (export "_start") (call_indirect (param i32) (global.get $g) (i32.const 2))
          (drop (memory.grow (i32.const 1))) (br_table 0 0 (i32.const 0))))"#,
    );
    link_all(&[("good", &good)]);
    for end in 0..good.len() {
        let _ = megabin::link::link(&request(&[("cut", &good[..end])]));
    }
    let mut state = 1u64;
    for at in 8..good.len() {
        for _ in 0..6 {
            // Numerical Recipes' generator: any spread of bytes does, and it is reproducible.
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            let mut bad = good.clone();
            bad[at] = (state >> 33) as u8;
            let _ = megabin::link::link(&request(&[("bad", &bad)]));
        }
    }
}
