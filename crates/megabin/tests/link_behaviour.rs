//! A linked program behaves as the original: same output, same exit code, traps where it trapped.
//! Every program is linked beside others, so that nothing keeps its own index by chance, and with
//! every way to fold.
#![allow(clippy::unwrap_used, missing_docs)]

mod support;

use megabinary::digest::Digest;
use support::{
    FOLDINGS, Outcome, Setup, engine, link_all, link_folded, run_linked, run_original, wat, words,
};
use wasmtime::{Module, Val};

const SETUP: Setup<'_> = Setup {
    args: &["prog", "one"],
    stdin: "",
    dir: None,
};

/// Neighbours with other types, globals, tables, memories and imports before and after.
const FIRST: &str = r#"(module
  (import "wasi_snapshot_preview1" "sched_yield" (func (result i32)))
  (type (func (param i64 i64) (result i64)))
  (memory (export "memory") 1 2)
  (table 8 funcref) (elem (i32.const 0) $f $f $f $f $f $f $f $f)
  (global (mut i32) (i32.const 99)) (global (mut i64) (i64.const 98))
  (data (i32.const 0) "neighbour neighbour neighbour")
  (func $f (result i32) (i32.const 666))
  (func (export "_start") (drop (call_indirect (result i32) (i32.const 1)))))"#;
const LAST: &str = r#"(module
  (memory (export "memory") 9) (tag (param i64)) (tag (param i32))
  (global (mut f64) (f64.const 1)) (global (mut i32) (i32.const 7))
  (data (i32.const 65536) "another neighbour")
  (func (export "_start")))"#;

/// Runs `text` alone and linked; both must do the same, which is returned.
fn same(text: &str) -> Outcome {
    let wasm = wat(text);
    let (first, last) = (wat(FIRST), wat(LAST));
    let engine = engine();
    let programs = [
        ("a-first", &first[..]),
        ("prog", &wasm[..]),
        ("z-last", &last[..]),
    ];
    let original = run_original(&engine, &wasm, &SETUP);
    for folding in FOLDINGS {
        let linked = link_folded(&programs, folding);
        let module = Module::new(&engine, &linked.wasm).unwrap();
        let linked = run_linked(&engine, &module, &Digest::of(&wasm), &SETUP);
        assert_eq!(original.stdout, linked.stdout, "{folding:?}");
        assert_eq!(original.stderr, linked.stderr, "{folding:?}");
        match (&original.end, &linked.end) {
            (Ok(a), Ok(b)) => assert_eq!(a, b, "{folding:?}"),
            // A trap keeps being a trap; its kind may become `unreachable`.
            (Err(_), Err(_)) => {}
            (a, b) => panic!("original {a:?}, linked {b:?}, {folding:?}"),
        }
    }
    original
}

/// A program that exits with the value of `body`, an i32 expression.
fn exits(fields: &str, body: &str) -> String {
    format!(
        r#"(module (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
           {fields} (func (export "_start") (call $exit {body})))"#
    )
}

fn exit_code(fields: &str, body: &str) -> i32 {
    same(&exits(fields, body)).end.unwrap()
}

fn traps(fields: &str, body: &str) {
    let outcome = same(&exits(fields, body));
    assert!(outcome.end.is_err(), "{body} must trap, {outcome:?}");
}

const MEMORY: &str = r#"(memory (export "memory") 1)"#;

#[test]
fn globals_start_with_the_programs_own_values() {
    let fields = r#"(memory (export "memory") 1)
      (global $a (mut i32) (i32.const 40)) (global $b (mut i32) (i32.const 1))
      (global $c (mut i64) (i64.const -5)) (global $d (mut f32) (f32.const 1.5))
      (global $e (mut f64) (f64.const 2.5)) (global $zero (mut i32) (i32.const 0))
      (global $k i32 (i32.const 17)) (global $k2 (mut i32) (i32.sub (i32.const 20) (i32.const 3)))
      (global $nan (mut f32) (f32.const nan:0x200001)) (global $constnan f32 (f32.const nan:0x200001))
      (global $v (mut v128) (v128.const i32x4 1 2 3 4))"#;
    let sum = r#"(block (result i32)
      (global.set $b (i32.add (global.get $b) (i32.const 1)))
      (i32.add (global.get $a) (i32.add (global.get $b) (i32.add (global.get $zero)
        (i32.add (i32.wrap_i64 (global.get $c)) (i32.add (i32.trunc_f32_s (global.get $d))
          (i32.add (i32.trunc_f64_s (global.get $e)) (i32.add (global.get $k)
            (i32.add (global.get $k2) (i32x4.extract_lane 3 (global.get $v)))))))))))"#;
    assert_eq!(exit_code(fields, sum), 40 + 2 - 5 + 1 + 2 + 17 + 17 + 4);
    let bits = "(i32.eq (i32.reinterpret_f32 (global.get $nan)) (i32.const 0x7fa00001))";
    assert_eq!(exit_code(fields, bits), 1);
    let bits = "(i32.eq (i32.reinterpret_f32 (global.get $constnan)) (i32.const 0x7fa00001))";
    assert_eq!(exit_code(fields, bits), 1);
}

#[test]
fn memory_has_the_programs_own_size_and_maximum() {
    let fields = r#"(memory (export "memory") 3 5)"#;
    assert_eq!(exit_code(fields, "(memory.size)"), 3);
    assert_eq!(exit_code(fields, "(memory.grow (i32.const 2))"), 3);
    assert_eq!(
        exit_code(
            fields,
            "(i32.eq (memory.grow (i32.const 3)) (i32.const -1))"
        ),
        1
    );
    assert_eq!(
        exit_code(
            fields,
            "(i32.eq (memory.grow (i32.const -1)) (i32.const -1))"
        ),
        1
    );
    let twice = "(i32.add (memory.grow (i32.const 1)) (i32.add (memory.grow (i32.const 1)) (memory.grow (i32.const 1))))";
    assert_eq!(exit_code(fields, twice), 3 + 4 - 1);
    assert_eq!(exit_code(fields, "(i32.load (i32.const 196604))"), 0);
    traps(fields, "(i32.load (i32.const 196605))");
    let endless = r#"(memory (export "memory") 2)"#;
    assert_eq!(exit_code(endless, "(memory.grow (i32.const 200))"), 2);
    // A full address space is what no maximum means.
    let full = r#"(memory (export "memory") 1 65536)"#;
    assert_eq!(exit_code(full, "(memory.grow (i32.const 100))"), 1);
}

/// Alone it could not even call WASI, which wants a memory; beside others it gets the shared one.
#[test]
fn a_program_may_have_no_memory() {
    let wasm = wat(&exits("", "(i32.const 4)"));
    let engine = engine();
    let linked = link_all(&[("a", &wasm), ("b", &wat(LAST))]);
    let module = Module::new(&engine, &linked.wasm).unwrap();
    assert_eq!(
        run_linked(&engine, &module, &Digest::of(&wasm), &SETUP).end,
        Ok(4)
    );
}

#[test]
fn indirect_calls_reach_what_the_table_held_and_nothing_else() {
    let table = |body: &str| {
        (
            r#"(memory (export "memory") 1)
            (type $unary (func (param i32) (result i32))) (type $nullary (func (result i32)))
            (type $other (func (param i64) (result i32)))
            (table 20 funcref)
            (elem (i32.const 1) $inc $dec $nine) (elem (i32.const 3) $dec $inc)
            (elem (i32.const 15) func $exit)
            (func $inc (param i32) (result i32) (i32.add (local.get 0) (i32.const 1)))
            (func $dec (param i32) (result i32) (i32.sub (local.get 0) (i32.const 1)))
            (func $nine (result i32) (i32.const 9))"#,
            body.to_owned(),
        )
    };
    let unary = |i: i64| format!("(call_indirect (type $unary) (i32.const 50) (i32.const {i}))");
    for (index, expected) in [(1, 51), (2, 49), (3, 49), (4, 51)] {
        let (fields, body) = table(&unary(index));
        assert_eq!(exit_code(fields, &body), expected, "index {index}");
    }
    // Null, beyond the end, negative, another type, a host function of another type.
    for index in [0, 5, 14, 19, 20, 1000, -1, i64::from(i32::MIN), 15] {
        let (fields, body) = table(&unary(index));
        traps(fields, &body);
    }
    // `$nine` was overwritten by a later segment.
    let (fields, body) = table("(call_indirect (type $nullary) (i32.const 3))");
    traps(fields, &body);
    // A type that no entry has; the neighbour has functions of type `nullary` at every index.
    let (fields, body) = table("(call_indirect (type $other) (i64.const 1) (i32.const 1))");
    traps(fields, &body);
    // A host function through the table.
    let (fields, body) = table(
        "(block (result i32) (call_indirect (param i32) (i32.const 23) (i32.const 15)) (i32.const 1))",
    );
    assert_eq!(exit_code(fields, &body), 23);
}

#[test]
fn sparse_and_long_tables_are_searched_right() {
    let count = 9000;
    let functions: String = (0..count)
        .map(|i| format!("(func $f{i} (result i32) (i32.const {i}))"))
        .collect();
    let places = |i: u32| if i < 5000 { i } else { i * 7 };
    let elements: String = (0..count)
        .map(|i| format!("(elem (i32.const {}) $f{i})", places(i)))
        .collect();
    let fields = format!("{MEMORY} (table 70000 funcref) {functions} {elements}");
    let wasm = wat(&exits(
        &format!("{fields} (global $i (mut i32) (i32.const 0))"),
        // Sums f(i) over all entries by their places, modulo 2^32, then folds to one byte.
        r#"(block (result i32) (local.set 0 (i32.const 0))
          (loop $l
            (local.set 0 (i32.add (local.get 0) (call_indirect (result i32)
              (select (global.get $i) (i32.mul (global.get $i) (i32.const 7))
                (i32.lt_u (global.get $i) (i32.const 5000))))))
            (global.set $i (i32.add (global.get $i) (i32.const 1)))
            (br_if $l (i32.lt_u (global.get $i) (i32.const 9000))))
          (i32.rem_u (local.get 0) (i32.const 125)))"#,
    )
    .replace(
        "(func (export \"_start\")",
        "(func (export \"_start\") (local i32)",
    ));
    let engine = engine();
    let linked = link_all(&[("prog", &wasm)]);
    let module = Module::new(&engine, &linked.wasm).unwrap();
    let outcome = run_linked(&engine, &module, &Digest::of(&wasm), &SETUP);
    assert_eq!(
        outcome.end,
        Ok((0..9000u32).sum::<u32>().cast_signed() % 125)
    );
    // Between two entries.
    traps(&fields, "(call_indirect (result i32) (i32.const 35001))");
}

#[test]
fn a_tail_call_through_a_table_does_not_grow_the_stack() {
    let fields = format!(
        r#"{MEMORY} (table 1 funcref) (elem (i32.const 0) $loop)
        (type $t (func (param i32) (result i32)))
        (func $loop (param i32) (result i32)
          (if (i32.eqz (local.get 0)) (then (return (i32.const 11))))
          (return_call_indirect (type $t) (i32.sub (local.get 0) (i32.const 1)) (i32.const 0)))"#
    );
    assert_eq!(exit_code(&fields, "(call $loop (i32.const 3000000))"), 11);
}

#[test]
fn programs_that_use_tables_as_objects_keep_them() {
    let fields = r#"(memory (export "memory") 1)
      (type $n (func (result i32)))
      (table $a 3 10 funcref) (table $b 2 funcref)
      (elem $active (table $a) (i32.const 1) func $one $two)
      (elem $passive func $three $one)
      (elem $nulls funcref (ref.null func) (ref.func $two))
      (elem declare func $three)
      (func $one (result i32) (i32.const 1)) (func $two (result i32) (i32.const 2))
      (func $three (result i32) (i32.const 3))"#;
    assert_eq!(exit_code(fields, "(table.size $a)"), 3);
    assert_eq!(
        exit_code(fields, "(call_indirect $a (type $n) (i32.const 2))"),
        2
    );
    traps(
        fields,
        "(block (result i32) (drop (table.size $a)) (call_indirect $b (type $n) (i32.const 1)))",
    );
    let set = "(block (result i32) (table.set $b (i32.const 1) (ref.func $three)) (call_indirect $b (type $n) (i32.const 1)))";
    assert_eq!(exit_code(fields, set), 3);
    let init = "(block (result i32) (table.init $b $passive (i32.const 0) (i32.const 0) (i32.const 2)) (call_indirect $b (type $n) (i32.const 0)))";
    assert_eq!(exit_code(fields, init), 3);
    let nulls = "(block (result i32) (table.init $b $nulls (i32.const 0) (i32.const 0) (i32.const 2)) (i32.add (ref.is_null (table.get $b (i32.const 0))) (call_indirect $b (type $n) (i32.const 1))))";
    assert_eq!(exit_code(fields, nulls), 3);
    let dropped = "(block (result i32) (elem.drop $passive) (table.init $b $passive (i32.const 0) (i32.const 0) (i32.const 1)) (i32.const 0))";
    traps(fields, dropped);
    let grow = "(i32.add (table.grow $a (ref.func $one) (i32.const 7)) (i32.add (table.grow $a (ref.null func) (i32.const 1)) (call_indirect $a (type $n) (i32.const 9))))";
    assert_eq!(exit_code(fields, grow), 3);
    let copy = "(block (result i32) (table.copy $b $a (i32.const 0) (i32.const 1) (i32.const 2)) (call_indirect $b (type $n) (i32.const 1)))";
    assert_eq!(exit_code(fields, copy), 2);
}

#[test]
fn two_tables_that_are_only_called_through_need_no_table() {
    let fields = format!(
        r#"{MEMORY} (table $a 2 funcref) (table $b 2 funcref)
        (elem (table $a) (i32.const 0) func $one) (elem (table $b) (i32.const 0) func $two)
        (func $one (result i32) (i32.const 1)) (func $two (result i32) (i32.const 2))"#
    );
    let body = "(i32.add (call_indirect $a (result i32) (i32.const 0)) (i32.mul (i32.const 10) (call_indirect $b (result i32) (i32.const 0))))";
    assert_eq!(exit_code(&fields, body), 21);
    let wasm = wat(&exits(&fields, body));
    let linked = link_all(&[("prog", &wasm)]);
    let tables = wasmparser::Parser::new(0)
        .parse_all(&linked.wasm)
        .any(|p| matches!(p.unwrap(), wasmparser::Payload::TableSection(_)));
    assert!(!tables);
}

#[test]
fn function_references_work_without_tables() {
    let fields = format!(
        r#"{MEMORY} (global $f (mut funcref) (ref.func $one)) (global $n funcref (ref.null func))
        (global $g funcref (ref.func $one)) (func $one)"#
    );
    let body = "(i32.add (ref.is_null (global.get $f)) (i32.add (ref.is_null (global.get $g)) (i32.add (i32.const 4) (ref.is_null (global.get $n)))))";
    assert_eq!(exit_code(&fields, body), 5);
}

#[test]
fn data_is_laid_in_order_and_before_the_start_function() {
    let fields = r#"(memory (export "memory") 2)
      (data (i32.const 100) "\01\02\03\04") (data (i32.const 102) "\09")
      (data (i32.const 100) "\05") (data (i32.add (i32.const 60) (i32.const 43)) "\00")
      (data (i32.const 131071) "\07")
      (start $s)
      (func $s (i32.store8 (i32.const 104) (i32.mul (i32.load8_u (i32.const 102)) (i32.const 10))))"#;
    let at = |a: u32| exit_code(fields, &format!("(i32.load8_u (i32.const {a}))"));
    let bytes = [100, 101, 102, 103, 104, 131_071].map(at);
    assert_eq!(bytes, [5, 2, 9, 0, 90, 7]);
}

#[test]
fn passive_data_keeps_its_traps() {
    let fields = r#"(memory (export "memory") 1)
      (data $p "abcdef") (data $q "xyz") (data $active (i32.const 8) "gone")"#;
    let init = |seg: &str, d: u32, s: i64, n: i64| {
        format!(
            "(block (result i32) (memory.init ${seg} (i32.const {d}) (i32.const {s}) (i32.const {n})) (i32.load8_u (i32.const {d})))"
        )
    };
    assert_eq!(exit_code(fields, &init("p", 20, 1, 3)), i32::from(b'b'));
    assert_eq!(exit_code(fields, &init("q", 20, 2, 1)), i32::from(b'z'));
    assert_eq!(exit_code(fields, &init("p", 20, 6, 0)), 0);
    for (seg, d, s, n) in [
        ("p", 20, 1, 6),
        ("p", 20, 7, 0),
        ("p", 20, -1, 2),
        ("q", 20, 3, 1),
        ("p", 65_535, 0, 2),
        // An active segment is dropped when the program starts.
        ("active", 20, 0, 1),
    ] {
        traps(fields, &init(seg, d, s, n));
    }
    assert_eq!(exit_code(fields, &init("active", 8, 0, 0)), i32::from(b'g'));
    let dropped = |n: u32| {
        format!(
            "(block (result i32) (data.drop $p) (memory.init $p (i32.const 0) (i32.const 0) (i32.const {n})) (i32.const 3))"
        )
    };
    assert_eq!(exit_code(fields, &dropped(0)), 3);
    traps(fields, &dropped(1));
}

#[test]
fn blocks_with_types_vectors_and_select_survive() {
    let fields = format!(
        r#"{MEMORY} (type $pair (func (param i32 i32) (result i32 i32)))
        (func $swap (type $pair) (local.get 1) (local.get 0))"#
    );
    let body = r#"(i32.const 3) (i32.const 8) (call $swap)
      (block (type $pair) (call $swap) (call $swap)) (i32.sub)
      (select (result i32) (i32.const 2) (i32.const 1)) (i32.add (i32.const 40))"#;
    // 8 - 3 is 5; select takes it over 2, because 1 is not 0.
    assert_eq!(exit_code(&fields, body), 45);
}

#[test]
fn exceptions_are_caught_where_they_were() {
    let tags = "(memory (export \"memory\") 1) (tag $one (param i32)) (tag $other (param i32)) (tag $pair (param i32 i64) )
        (type $thrower (func (param i32)))
        (table funcref (elem $throw_one $throw_other $throw_pair))
        (func $throw_one (type $thrower) (throw $one (local.get 0)))
        (func $throw_other (type $thrower) (throw $other (i32.mul (local.get 0) (i32.const 2))))
        (func $throw_pair (type $thrower) (throw $pair (local.get 0) (i64.const 5)))
        (func $catch (param $which i32) (result i32)
          (block $h1 (result i32)
            (block $h2 (result i32)
              (block $h3 (result i32 i64)
                (try_table (catch $one $h1) (catch $other $h2) (catch $pair $h3)
                  (call_indirect (type $thrower) (i32.const 10) (local.get $which)))
                (return (i32.const 1)))
              (i32.wrap_i64) (i32.add) (return))
            (i32.add (i32.const 100)) (return)))";
    for (which, code) in [(0, 10), (1, 120), (2, 15)] {
        let body = format!("(call $catch (i32.const {which}))");
        assert_eq!(exit_code(tags, &body), code);
    }
    // An index that is no entry traps, which is no exception.
    traps(tags, "(call $catch (i32.const 3))");
    traps(tags, "(throw $one (i32.const 1))");
}

/// Only catching everything names no tag.
#[test]
fn exceptions_without_a_tag_of_their_own() {
    let everything = "(memory (export \"memory\") 1) (func $f (result i32)
        (block $all (try_table (catch_all $all) (return (i32.const 4)))) (i32.const 5))";
    assert_eq!(exit_code(everything, "(call $f)"), 4);
    for fields in [
        "(global $g (mut exnref) (ref.null exn))",
        "(table $t 3 exnref)",
        "(func $f (param exnref))",
        "(func $f (local exnref))",
        "(func $f (drop (ref.null exn)))",
        "(func $f (drop (block (result exnref) unreachable)))",
        "(func $f unreachable select (result exnref) drop)",
        "(table $t 3 exnref) (elem (i32.const 1) exnref (ref.null exn))",
    ] {
        let fields = &format!("{MEMORY} {fields}");
        assert_eq!(exit_code(fields, "(i32.const 6)"), 6, "{fields}");
    }
}

#[test]
fn references_to_exceptions_are_kept_and_thrown_again() {
    let fields = "(memory (export \"memory\") 1) (tag $t (param i32)) (tag $t2 (param i32))
        (global $kept (mut exnref) (ref.null exn)) (table $table 2 exnref)
        (elem declare exnref (ref.null exn))
        (func $again (param $from_table i32) (result i32)
          (global.set $kept (block $h (result exnref)
            (try_table (catch_all_ref $h) (throw $t2 (i32.const 21))) (unreachable)))
          (table.set $table (i32.const 1) (global.get $kept))
          (block $h (result i32)
            (try_table (catch $t2 $h)
              (if (local.get $from_table)
                (then (throw_ref (table.get $table (i32.const 1))))
                (else (throw_ref (global.get $kept)))))
            (i32.const 1)))";
    for from_table in 0..2 {
        let body = format!("(call $again (i32.const {from_table}))");
        assert_eq!(exit_code(fields, &body), 21);
    }
    traps(fields, "(throw_ref (global.get $kept))");
}

#[test]
fn arguments_and_output_go_through_wasi() {
    let text = r#"(module
      (import "wasi_snapshot_preview1" "args_get" (func $args (param i32 i32) (result i32)))
      (import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
      (memory (export "memory") 1)
      (func (export "_start")
        (drop (call $args (i32.const 0) (i32.const 100)))
        (i32.store (i32.const 16) (i32.const 100)) (i32.store (i32.const 20) (i32.const 8))
        (drop (call $write (i32.const 1) (i32.const 16) (i32.const 1) (i32.const 24)))
        (drop (call $write (i32.const 2) (i32.const 16) (i32.const 1) (i32.const 24)))))"#;
    let outcome = same(text);
    assert_eq!(
        (outcome.stdout.as_str(), outcome.stderr.as_str()),
        ("prog\0one", "prog\0one")
    );
    assert_eq!(outcome.end, Ok(0), "the entry returned");
}

#[test]
fn dispatch_refuses_unknown_ids_and_the_host_may_map_the_image() {
    let wasm = wat(&exits(
        r#"(memory (export "memory") 2) (data (i32.const 70000) "*") (global $g (mut i32) (i32.const 1))"#,
        "(i32.add (global.get $g) (i32.load8_u (i32.const 70000)))",
    ));
    let engine = engine();
    let linked = link_all(&[("prog", &wasm)]);
    let module = Module::new(&engine, &linked.wasm).unwrap();
    let unknown = run_linked(&engine, &module, &Digest::of(b"unknown"), &SETUP);
    assert_eq!(unknown.end, Ok(-1));
    let laid = run_linked(&engine, &module, &Digest::of(&wasm), &SETUP);
    assert_eq!(laid.end, Ok(43));
    // With the switch on, the shim lays nothing and still sets globals.
    let mut guest = support::Guest::new(&engine, &module, &SETUP);
    let switch = &linked.section.image_switch;
    let global = guest.instance.get_global(&mut guest.store, switch).unwrap();
    global.set(&mut guest.store, Val::I32(1)).unwrap();
    assert_eq!(
        guest.call("_dispatch", &words(&Digest::of(&wasm))).end,
        Ok(1)
    );
}

#[test]
fn entry_points_start_their_program() {
    let (one, two) = (
        wat(&exits(MEMORY, "(i32.const 1)")),
        wat(&exits(MEMORY, "(i32.const 2)")),
    );
    let engine = engine();
    let linked = link_all(&[("[", &two), ("ls", &one)]);
    let module = Module::new(&engine, &linked.wasm).unwrap();
    let names: Vec<&str> = linked.entries.iter().map(|e| e.as_str()).collect();
    assert_eq!(names, ["x5b_start", "ls_start"]);
    for (name, code) in [("ls_start", 1), ("x5b_start", 2)] {
        let guest = support::Guest::new(&engine, &module, &SETUP);
        assert_eq!(guest.call(name, &[]).end, Ok(code));
    }
}

#[test]
fn exports_for_the_kernel_are_kept_per_program_and_all_others_go() {
    let text = r#"(module (memory (export "memory") 1)
      (global (export "__stack_pointer") (mut i32) (i32.const 5)) (global (export "__heap_base") i32 (i32.const 6))
      (func (export "asyncify_get_state") (result i32) (i32.const 0)) (func (export "malloc"))
      (func (export "_start")))"#;
    let wasm = wat(text);
    let linked = link_all(&[("a", &wasm), ("b", &wat(LAST))]);
    let engine = engine();
    let module = Module::new(&engine, &linked.wasm).unwrap();
    let mut exports: Vec<&str> = module.exports().map(|e| e.name()).collect();
    exports.sort_unstable();
    let expected = [
        "_dispatch",
        "a:__stack_pointer",
        "a:asyncify_get_state",
        "a_start",
        "b_start",
        "megabinary_image",
        "memory",
    ];
    assert_eq!(exports, expected);
    let recorded = &linked.section.programs[0].extra_exports;
    assert!(recorded.contains(&("__stack_pointer".into(), "a:__stack_pointer".into())));
}

#[test]
fn traps_name_program_and_function() {
    let text = r#"(module (memory (export "memory") 1)
      (func $crash unreachable) (func (export "_start") (call $crash)))"#;
    let wasm = wat(text);
    let engine = engine();
    let module = Module::new(&engine, &link_all(&[("prog", &wasm)]).wasm).unwrap();
    let mut guest = support::Guest::new(&engine, &module, &SETUP);
    let start = guest
        .instance
        .get_typed_func::<(), ()>(&mut guest.store, "prog_start")
        .unwrap();
    let error = start.call(&mut guest.store, ()).unwrap_err();
    assert!(format!("{error:?}").contains("prog::crash"), "{error:?}");
}

#[test]
fn the_output_depends_on_nothing_but_the_programs() {
    let programs = [wat(FIRST), wat(LAST), wat(&exits(MEMORY, "(i32.const 1)"))];
    let (a, b, c) = (
        ("a", &programs[0][..]),
        ("b", &programs[1][..]),
        ("c", &programs[2][..]),
    );
    let one = link_all(&[a, b, c]);
    assert_eq!(one.wasm, link_all(&[a, b, c]).wasm);
    let other = link_all(&[c, a, b]);
    assert_eq!(one.wasm, other.wasm);
    assert_eq!(
        other.entries[0].as_str(),
        "c_start",
        "entries follow the request"
    );
}

#[test]
fn equal_images_are_stored_once() {
    let data = format!(r#"(data (i32.const 10) "{}")"#, "x".repeat(5000));
    let one = wat(&exits(&format!("{MEMORY} {data}"), "(i32.const 1)"));
    let two = wat(&exits(&format!("{MEMORY} {data}"), "(i32.const 2)"));
    let alone = link_all(&[("one", &one)]).wasm.len();
    let both = link_all(&[("one", &one), ("two", &two)]).wasm.len();
    assert!(both < alone + 1000, "{alone} alone, {both} together");
}
