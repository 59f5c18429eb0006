//! Folding: what is written once, that each program still does what it did, and that no program
//! gets at another's functions or constants.
#![allow(clippy::unwrap_used, missing_docs)]

mod support;

use std::collections::BTreeMap;

use megabin::link::{Folding, Linked};
use megabinary::digest::Digest;
use support::{
    FOLDINGS, Guest, Outcome, Setup, engine, link_folded, run_linked, run_original, wat,
};
use wasmparser::{KnownCustom, Name, Operator, Parser, Payload};
use wasmtime::Module;

const SETUP: Setup<'_> = Setup {
    args: &["prog"],
    stdin: "",
    dir: None,
};

const EXIT: &str = r#"(import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
  (memory (export "memory") 2)"#;

/// Names of the functions that have code.
fn functions(linked: &Linked) -> Vec<String> {
    let mut names = Vec::new();
    for payload in Parser::new(0).parse_all(&linked.wasm) {
        let Payload::CustomSection(section) = payload.unwrap() else {
            continue;
        };
        let KnownCustom::Name(section) = section.as_known() else {
            continue;
        };
        for name in section {
            if let Name::Function(map) = name.unwrap() {
                names.extend(map.into_iter().map(|n| n.unwrap().name.to_owned()));
            }
        }
    }
    names
}

fn count(linked: &Linked, name: &str) -> usize {
    functions(linked)
        .iter()
        .filter(|n| n.ends_with(name))
        .count()
}

/// Every program does with every folding what it does alone; returns the ends, and what each
/// folding linked.
fn ends(programs: &[(&str, &[u8])]) -> (Vec<Result<i32, String>>, BTreeMap<u8, Linked>) {
    let engine = engine();
    let originals: Vec<Outcome> = programs
        .iter()
        .map(|(_, wasm)| run_original(&engine, wasm, &SETUP))
        .collect();
    let mut all = BTreeMap::new();
    for (folding, key) in FOLDINGS.into_iter().zip(0..) {
        let linked = link_folded(programs, folding);
        let module = Module::new(&engine, &linked.wasm).unwrap();
        for ((name, wasm), original) in programs.iter().zip(&originals) {
            let outcome = run_linked(&engine, &module, &Digest::of(wasm), &SETUP);
            match (&original.end, &outcome.end) {
                (Ok(a), Ok(b)) => assert_eq!(a, b, "{name}, {folding:?}"),
                (Err(_), Err(_)) => {}
                (a, b) => panic!("{name}, {folding:?}: alone {a:?}, linked {b:?}"),
            }
        }
        all.insert(key, linked);
    }
    (originals.into_iter().map(|o| o.end).collect(), all)
}

const NONE: u8 = 0;
const EXACT: u8 = 1;
const FULL: u8 = 2;

#[test]
fn equal_functions_are_written_once_also_in_circles() {
    let program = |extra: &str, n: i32| {
        wat(&format!(
            r#"(module {EXIT} {extra}
            (func $even (param i32) (result i32)
              (if (result i32) (i32.eqz (local.get 0)) (then (i32.const 1))
                (else (call $odd (i32.sub (local.get 0) (i32.const 1))))))
            (func $odd (param i32) (result i32)
              (if (result i32) (i32.eqz (local.get 0)) (then (i32.const 0))
                (else (call $even (i32.sub (local.get 0) (i32.const 1))))))
            (func (export "_start") (call $exit (call $even (i32.const {n})))))"#
        ))
    };
    let (one, two) = (program("", 10), program("(func $other)", 11));
    let (ends, linked) = ends(&[("one", &one), ("two", &two)]);
    assert_eq!(ends, [Ok(1), Ok(0)]);
    assert_eq!(count(&linked[&NONE], "::even"), 2);
    for folding in [EXACT, FULL] {
        let names = functions(&linked[&folding]);
        for name in ["shared::even", "shared::odd", "two::other"] {
            assert_eq!(names.iter().filter(|n| *n == name).count(), 1, "{names:?}");
        }
    }
}

/// Functions that look alike but reach different code stay apart.
#[test]
fn a_difference_far_down_keeps_all_callers_apart() {
    let program = |leaf: &str| {
        wat(&format!(
            r#"(module {EXIT} (func $leaf (result i32) {leaf})
            (func $middle (result i32) (i32.add (call $leaf) (i32.const 1)))
            (func $top (result i32) (i32.add (call $middle) (call $middle)))
            (func (export "_start") (call $exit (call $top))))"#
        ))
    };
    let one = program("(i32.const 3)");
    let two = program("(i32.add (i32.const 3) (i32.const 4))");
    let (ends, linked) = ends(&[("one", &one), ("two", &two)]);
    assert_eq!(ends, [Ok(8), Ok(16)]);
    for folding in [EXACT, FULL] {
        assert_eq!(count(&linked[&folding], "::top"), 2);
    }
}

/// Functions that call different ones are apart also where they were split for their constants
/// meanwhile. Without names, which would tell them apart at once.
#[test]
fn a_split_does_not_lose_sight_of_the_callees() {
    let leaf = |n: u32| format!("(func (result i32) (i32.const {n}))");
    let caller = |leaf: u32, n: u32| {
        format!(
            "(func (result i32) (i32.add (call {leaf}) (i32.mul (i32.const {n}) (i32.const 1))))"
        )
    };
    // Function 0 is imported. The larger group of callers keeps its class.
    let functions = [
        leaf(1),
        leaf(2),
        caller(1, 10),
        caller(2, 10),
        caller(1, 20),
        caller(1, 20),
        caller(1, 20),
    ];
    let program = wat(&format!(
        r#"(module {EXIT} {}
        (func (export "_start") (call $exit
          (i32.add (i32.mul (call 3) (i32.const 2)) (i32.mul (call 4) (i32.const 3))))))"#,
        functions.concat()
    ));
    let (ends, _) = ends(&[("one", &program)]);
    assert_eq!(ends, [Ok(11 * 2 + 12 * 3)]);
}

/// Functions that look alike and call each other are apart where what is at the end of the chain
/// differs, also when one split moves both a function and who calls it.
#[test]
fn a_split_does_not_lose_sight_of_callers_that_it_moves() {
    let caller = |of: u32| format!("(func (result i32) (i32.add (call {of}) (i32.const 0)))");
    // Function 0 is imported. Those that call function 1 are most, and keep their class; function 3
    // leaves it, and then 4 and 5, which were alike as long as 3 was in the class of 6.
    let functions = [
        "(func (result i32) (i32.const 1))".to_owned(),
        "(func (result i32) (i32.mul (i32.const 2) (i32.const 1)))".to_owned(),
        caller(2),
        caller(3),
        caller(6),
        caller(1),
        caller(1),
        caller(1),
    ];
    let program = wat(&format!(
        r#"(module {EXIT} {}
        (func (export "_start") (call $exit
          (i32.add (i32.mul (call 4) (i32.const 2)) (i32.mul (call 5) (i32.const 3))))))"#,
        functions.concat()
    ));
    let (ends, _) = ends(&[("one", &program)]);
    assert_eq!(ends, [Ok(2 * 2 + 3)]);
}

/// Random chains of calls through functions that look alike, each to one of three ends.
#[test]
fn whatever_calls_what_comes_to_the_end_it_came_to() {
    const FUNCTIONS: usize = 40;
    let mut state = 1u64;
    let mut random = |below: usize| {
        state = (state.wrapping_mul(6364136223846793005)).wrapping_add(1442695040888963407);
        (state >> 33) as usize % below
    };
    for round in 0..40 {
        // Where each function stands, which has nothing to do with what it calls.
        let mut places: Vec<usize> = (0..FUNCTIONS).collect();
        (1..FUNCTIONS).for_each(|at| places.swap(at, random(at + 1)));
        let mut results = vec![1, 2, 3];
        let mut functions = vec![String::new(); FUNCTIONS];
        functions[places[0]] = "(func (result i32) (i32.const 1))".into();
        functions[places[1]] = "(func (result i32) (i32.mul (i32.const 2) (i32.const 1)))".into();
        functions[places[2]] = "(func (result i32) (i32.sub (i32.const 4) (i32.const 1)))".into();
        for at in results.len()..FUNCTIONS {
            let callee = random(at);
            results.push(results[callee]);
            // Function 0 is imported.
            let number = places[callee] + 1;
            functions[places[at]] =
                format!("(func (result i32) (i32.add (call {number}) (i32.const 0)))");
        }
        let checks = (results.iter().zip(&places)).map(|(result, place)| {
            let number = place + 1;
            format!(
                "(if (i32.ne (call {number}) (i32.const {result})) (then (call $exit (i32.const 1))))"
            )
        });
        let program = wat(&format!(
            r#"(module {EXIT} {} (func (export "_start") {} (call $exit (i32.const 7))))"#,
            functions.concat(),
            checks.collect::<String>()
        ));
        let (ends, _) = ends(&[("one", &program)]);
        assert_eq!(ends, [Ok(7)], "round {round}");
    }
}

/// A program with its data, and a table of it, at addresses of its own.
fn addressing(base: u32) -> Vec<u8> {
    let (counter, table) = (base + 4, base + 100);
    // Long enough that a slot pays.
    let work = "(drop (i32.mul (local.get 0) (i32.clz (local.get 0))))".repeat(20);
    wat(&format!(
        r#"(module {EXIT} (data (i32.const {base}) "1234\07\00\00\00") (data (i32.const {table}) "abcdefgh")
        (func $count (param i32) {work}
          (i32.store (i32.const {counter}) (i32.add (i32.load (i32.const {counter})) (local.get 0))))
        (func $count_by_offset (param i32) {work}
          (i32.store offset={counter} (i32.const 0)
            (i32.add (i32.load offset={counter} (i32.const 0)) (local.get 0))))
        (func $lookup (param i32) (result i32) {work} (i32.load8_u offset={table} (local.get 0)))
        (func $all (param i32) (result i32)
          (call $count (local.get 0)) (call $count_by_offset (local.get 0))
          (i32.add (call $lookup (i32.const 2)) (i32.load (i32.const {counter}))))
        (func (export "_start") (call $exit (call $all (i32.const 5)))))"#
    ))
}

#[test]
fn functions_that_differ_in_addresses_are_written_once() {
    let programs: Vec<Vec<u8>> = [2000, 3000, 70_000].map(addressing).into();
    let names = ["a", "b", "c"];
    let programs: Vec<(&str, &[u8])> = names
        .into_iter()
        .zip(programs.iter().map(|p| &p[..]))
        .collect();
    let (ends, linked) = ends(&programs);
    assert_eq!(ends, vec![Ok(i32::from(b'c') + 17); 3]);
    assert_eq!(count(&linked[&EXACT], "::count"), 3);
    let full = &linked[&FULL];
    for name in ["shared::count", "shared::all"] {
        assert_eq!(
            functions(full).iter().filter(|n| *n == name).count(),
            1,
            "{name}"
        );
    }
    // The same as `count`, spelled otherwise.
    assert_eq!(count(full, "::count_by_offset"), 0);
    // Its offset varies: once for each program, behind a switch.
    assert_eq!(count(full, "::lookup"), 4);
}

/// Operators of the functions of this name that have code, in order.
fn operators(linked: &Linked, name: &str) -> Vec<String> {
    let names = functions(linked);
    let mut imports = 0;
    let mut bodies = Vec::new();
    for payload in Parser::new(0).parse_all(&linked.wasm) {
        match payload.unwrap() {
            Payload::ImportSection(section) => imports = section.into_imports().count(),
            Payload::CodeSectionEntry(body) => bodies.push(body),
            _ => {}
        }
    }
    let at = names.iter().position(|n| n == name).unwrap() - imports;
    let operators = bodies[at].get_operators_reader().unwrap().into_iter();
    operators.map(|o| format!("{:?}", o.unwrap())).collect()
}

/// What lies as far apart in all programs is found from one slot: by the offsets of loads and
/// stores where it is an address, else by an addition.
#[test]
fn a_slot_serves_all_constants_at_a_distance_from_it() {
    let program = |base: u32| {
        let [first, second, value] = [base, base + 24, base + 40];
        let work = "(drop (i32.mul (local.get 0) (i32.clz (local.get 0))))".repeat(20);
        wat(&format!(
            r#"(module {EXIT}
            (func $work (param i32) (result i32) {work}
              (i32.store (i32.const {first}) (i32.const 2))
              (i32.store (i32.const {second}) (i32.add (i32.load (i32.const {first})) (local.get 0)))
              (i32.sub (i32.add (i32.load (i32.const {second})) (i32.const {value})) (i32.const {first})))
            (func (export "_start") (call $exit (call $work (i32.const 5)))))"#
        ))
    };
    let programs = [2000, 3000, 70_000].map(program);
    let named: Vec<(&str, &[u8])> = ["a", "b", "c"]
        .into_iter()
        .zip(programs.iter().map(|p| &p[..]))
        .collect();
    let (ends, linked) = ends(&named);
    assert_eq!(ends, vec![Ok(47); 3]);
    let code = operators(&linked[&FULL], "shared::work");
    let having = |what: &str| code.iter().filter(|o| o.contains(what)).collect::<Vec<_>>();
    let reads = having("GlobalGet");
    assert!(
        reads.len() == 6 && reads.iter().all(|r| *r == reads[0]),
        "{code:?}"
    );
    assert_eq!(having("offset: 24").len(), 2, "{code:?}");
    assert_eq!(having("I32Const { value: 40 }").len(), 1, "{code:?}");
}

/// A slot and a distance are added modulo 2^32, a slot and an offset are not.
#[test]
fn an_address_before_its_slot_is_not_reached_by_an_offset() {
    let program = |value: u32| {
        let address = value.wrapping_add(1000);
        let work = "(drop (i32.mul (local.get 0) (i32.clz (local.get 0))))".repeat(20);
        wat(&format!(
            r#"(module {EXIT}
            (func $work (param i32) (result i32) {work}
              (i32.store8 (i32.const {address}) (i32.const 9))
              (i32.sub (i32.add (i32.load8_u (i32.const {address})) (i32.const {value})) (i32.const {value})))
            (func (export "_start") (call $exit (call $work (i32.const 5)))))"#
        ))
    };
    let programs = [program(2000), program(3000), program(0xffff_fff0)];
    let named: Vec<(&str, &[u8])> = ["a", "b", "c"]
        .into_iter()
        .zip(programs.iter().map(|p| &p[..]))
        .collect();
    let (ends, linked) = ends(&named);
    assert_eq!(ends, vec![Ok(9); 3]);
    assert_eq!(count(&linked[&FULL], "::work"), 1);
}

/// Constants of all kinds of distances, for addresses and for others.
#[test]
fn whatever_is_folded_reads_its_own_constants() {
    let mut state = 7u64;
    let mut random = |below: u32| {
        state = (state.wrapping_mul(6364136223846793005)).wrapping_add(1442695040888963407);
        (state >> 33) as u32 % below
    };
    for round in 0..40 {
        const CONSTANTS: usize = 8;
        // Which of them belong together, where in their group they are, and what they are for.
        let shape: Vec<(usize, u32, u32)> = (0..CONSTANTS)
            .map(|_| (random(3) as usize, random(4) * 500, random(3)))
            .collect();
        let functions = 1 + random(3);
        let programs: Vec<Vec<u8>> = (0..4)
            .map(|_| {
                let far = [0, u32::MAX - 700][random(8) as usize / 7];
                let bases = [far.wrapping_add(random(900)), 4096 + random(30_000), 70_000];
                let body: String = shape
                    .iter()
                    .map(|(group, at, use_)| {
                        let value = bases[*group].wrapping_add(*at).cast_signed();
                        let read = match use_ {
                            0 => format!("(i32.const {value})"),
                            1 => format!("(i32.load8_u (i32.const {value}))"),
                            _ => format!("(i32.load8_u offset={} (i32.const 0))", value as u32),
                        };
                        format!("(local.set 0 (i32.add (i32.mul (local.get 0) (i32.const 31)) {read}))")
                    })
                    .collect();
                let work: String = (0..functions)
                    .map(|n| format!("(func $f{n} (param i32) (result i32) {body} (i32.rotl (local.get 0) (i32.const {n})))"))
                    .collect();
                let calls: String = (0..functions)
                    .map(|n| format!("(local.set 0 (call $f{n} (local.get 0)))"))
                    .collect();
                let data: String = (0..64).map(|n| format!("\\{:02x}", n * 37 % 251)).collect();
                let data = data.repeat(80);
                wat(&format!(
                    r#"(module {EXIT} (data (i32.const 0) "{data}") (data (i32.const 70000) "{data}") {work}
                    (func (export "_start") (local i32) {calls}
                      (call $exit (i32.and (i32.xor (local.get 0) (i32.shr_u (local.get 0) (i32.const 9))) (i32.const 127)))))"#
                ))
            })
            .collect();
        let named: Vec<(&str, &[u8])> = ["a", "b", "c", "d"]
            .into_iter()
            .zip(programs.iter().map(|p| &p[..]))
            .collect();
        // `ends` compares with the programs alone, traps included.
        let (ends, linked) = ends(&named);
        assert_eq!(ends.len(), 4, "round {round}");
        assert!(count(&linked[&FULL], "::f0") <= 5, "round {round}");
    }
}

/// An offset never wraps around, whatever is folded.
#[test]
fn addresses_beyond_the_memory_still_trap() {
    let program = |offset: u32, index: i64| {
        wat(&format!(
            r#"(module {EXIT}
            (func $read (param i32) (result i32) (i32.load8_u offset={offset} (local.get 0)))
            (func $write (param i32)
              (i32.store8 (i32.const 0) (i32.const 9)) (i32.store8 offset={offset} (i32.const 0) (local.get 0)))
            (func (export "_start") (call $write (i32.const 1)) (call $exit (call $read (i32.const {index})))))"#
        ))
    };
    let programs = [
        program(5000, 0),
        program(6000, -1),
        program(131_072, 0),
        program(131_071, 1),
        program(u32::MAX, 1),
    ];
    let names = ["a", "b", "c", "d", "e"];
    let programs: Vec<(&str, &[u8])> = names
        .into_iter()
        .zip(programs.iter().map(|p| &p[..]))
        .collect();
    let (ends, _) = ends(&programs);
    assert_eq!(ends[0], Ok(1));
    assert!(ends[1..].iter().all(Result::is_err), "{ends:?}");
}

/// Two functions of one program need two values at once: they cannot share a slot.
#[test]
fn functions_of_one_program_keep_their_own_constants() {
    let program = |a: i32, b: i32, names: [&str; 2]| {
        let work = "(drop (i32.mul (local.get 0) (i32.clz (local.get 0))))".repeat(20);
        let [f, g] = names;
        wat(&format!(
            r#"(module {EXIT}
            (func {f} (param i32) (result i32) {work} (i32.add (local.get 0) (i32.const {a})))
            (func {g} (param i32) (result i32) {work} (i32.add (local.get 0) (i32.const {b})))
            (func (export "_start") (call $exit (i32.sub (call 1 (i32.const 50)) (call 2 (i32.const 3))))))"#
        ))
    };
    let named = ["$f", "$g"];
    let programs = [
        program(1, 2, named),
        program(2, 1, named),
        program(30, 40, ["", ""]),
        program(40, 30, ["$g", "$f"]),
        program(5, 5, named),
    ];
    let names = ["a", "b", "c", "d", "e"];
    let programs: Vec<(&str, &[u8])> = names
        .into_iter()
        .zip(programs.iter().map(|p| &p[..]))
        .collect();
    let (ends, _) = ends(&programs);
    assert_eq!(ends, [Ok(46), Ok(48), Ok(37), Ok(57), Ok(47)]);
}

/// A program whose shared function calls through a pointer; `entry` is the index it calls.
fn pointing(own: i32, entry: i32, more: &str) -> Vec<u8> {
    wat(&format!(
        r#"(module {EXIT} (table 8 funcref)
        (elem (i32.const 2) $own $typed) (elem (i32.const 5) $own2)
        (func $own (param i32) (result i32) (i32.add (local.get 0) (i32.const {own})))
        (func $own2 (param i32) (result i32) (i32.mul (local.get 0) (i32.const {own})))
        (func $typed (result i32) (i32.const 77)) {more}
        (func $apply (param i32 i32) (result i32)
          (call_indirect (param i32) (result i32) (local.get 0) (local.get 1)))
        (func $tail (param i32 i32) (result i32)
          (return_call_indirect (param i32) (result i32) (local.get 0) (local.get 1)))
        (func (export "_start") (call $exit
          (i32.add (call $apply (i32.const 6) (i32.const {entry})) (call $tail (i32.const 6) (i32.const {entry}))))))"#
    ))
}

#[test]
fn shared_functions_call_the_programs_own_pointers_and_no_others() {
    let elsewhere = "(table 30 funcref) (elem (table 1) (i32.const 20) func $own)";
    let programs = [
        pointing(1, 2, ""),
        pointing(2, 2, ""),
        pointing(3, 5, "(func $more)"),
        // Null, of another type, beyond the table, and an entry that only a neighbour has.
        pointing(4, 4, ""),
        pointing(5, 3, ""),
        pointing(6, 8, ""),
        pointing(7, -1, ""),
        pointing(8, 20, ""),
        pointing(9, 2, elsewhere),
    ];
    let names = ["a", "b", "c", "d", "e", "f", "g", "h", "i"];
    let programs: Vec<(&str, &[u8])> = names
        .into_iter()
        .zip(programs.iter().map(|p| &p[..]))
        .collect();
    let (ends, linked) = ends(&programs);
    assert_eq!(ends[..3], [Ok(14), Ok(16), Ok(36)]);
    assert!(ends[3..8].iter().all(Result::is_err), "{ends:?}");
    assert_eq!(ends[8], Ok(30));
    assert_eq!(count(&linked[&FULL], "shared::apply"), 1);
    assert_eq!(count(&linked[&EXACT], "::apply"), 9);
}

/// One instance after another, in every order: a slot has no memory of the program before.
#[test]
fn every_entry_sets_all_slots_that_its_program_reads() {
    let bases = [2000, 3000, 0x1_0000];
    let programs: Vec<Vec<u8>> = bases.map(addressing).into();
    let named: Vec<(&str, &[u8])> = ["a", "b", "c"]
        .into_iter()
        .zip(programs.iter().map(|p| &p[..]))
        .collect();
    let linked = link_folded(&named, Folding::Full);
    let engine = engine();
    let module = Module::new(&engine, &linked.wasm).unwrap();
    for order in [[0, 1, 2], [2, 1, 0], [1, 0, 1]] {
        for program in order {
            let guest = Guest::new(&engine, &module, &SETUP);
            let end = guest.call(linked.entries[program].as_str(), &[]).end;
            assert_eq!(end, Ok(i32::from(b'c') + 17));
        }
    }
}

/// Code with a constant address is the same however the compiler spelled it, and only there.
#[test]
fn an_offset_moves_only_to_the_constant_it_is_added_to() {
    let program = |body: &str| {
        wat(&format!(
            r#"(module {EXIT} (data (i32.const 2000) "\01\02\03\04") {body})"#
        ))
    };
    let programs = [
        // The constant is used on two ways.
        program(
            r#"(func (export "_start") (call $exit (i32.load8_u offset=2001
            (block (result i32) (i32.const 0) (br_if 0 (i32.load8_u (i32.const 2000))) (drop) (i32.const 1)))))"#,
        ),
        // It is kept and used again.
        program(
            r#"(func (export "_start") (local i32)
            (drop (i32.load8_u offset=2001 (local.tee 0 (i32.const 0)))) (call $exit (local.get 0)))"#,
        ),
        // It lies below a block whose dead end only seems to use it.
        program(
            r#"(func (export "_start") (i32.const 0)
            (block (br 0) (drop (i32.load8_u offset=2002)))
            (call $exit (i32.load8_u offset=2003)))"#,
        ),
        // The value stored is a constant 0 too.
        program(
            r#"(func (export "_start") (i32.store8 offset=2000 (i32.const 0) (i32.const 0))
            (call $exit (i32.shr_u (i32.load offset=2000 (i32.const 0)) (i32.const 24))))"#,
        ),
    ];
    let named: Vec<(&str, &[u8])> = ["a", "b", "c", "d"]
        .into_iter()
        .zip(programs.iter().map(|p| &p[..]))
        .collect();
    let (ends, _) = ends(&named);
    assert_eq!(ends, [Ok(2), Ok(0), Ok(4), Ok(4)]);
}

#[test]
fn the_output_depends_on_nothing_but_the_programs() {
    let mut programs: Vec<Vec<u8>> = [2000, 3000, 70_000].map(addressing).into();
    programs.push(pointing(1, 2, ""));
    programs.push(pointing(2, 2, ""));
    let named: Vec<(&str, &[u8])> = ["a", "b", "c", "d", "e"]
        .into_iter()
        .zip(programs.iter().map(|p| &p[..]))
        .collect();
    let mut turned = named.clone();
    turned.rotate_left(2);
    for folding in FOLDINGS {
        let one = link_folded(&named, folding);
        assert!(one.wasm == link_folded(&named, folding).wasm);
        assert!(one.wasm == link_folded(&turned, folding).wasm);
    }
}

/// The sum of what 500 variants of a program hold falls to what one of them holds, nearly.
#[test]
fn five_hundred_variants_cost_little_more_than_one() {
    let programs: Vec<Vec<u8>> = (0..500).map(|i| addressing(2000 + 8 * i)).collect();
    let names: Vec<String> = (0..500).map(|i| format!("v{i}")).collect();
    let named: Vec<(&str, &[u8])> = names
        .iter()
        .map(String::as_str)
        .zip(programs.iter().map(|p| &p[..]))
        .collect();
    let code = |linked: &Linked| {
        let mut operators = 0;
        for payload in Parser::new(0).parse_all(&linked.wasm) {
            if let Payload::CodeSectionEntry(body) = payload.unwrap() {
                let reader = body.get_operators_reader().unwrap();
                operators += reader
                    .into_iter()
                    .filter(|o| !matches!(o, Ok(Operator::End)))
                    .count();
            }
        }
        operators
    };
    let (none, full) = (
        link_folded(&named, Folding::None),
        link_folded(&named, Folding::Full),
    );
    assert!(
        code(&full) * 2 < code(&none),
        "{} of {}",
        code(&full),
        code(&none)
    );
}
