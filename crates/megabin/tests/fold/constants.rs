//! Functions that differ in constants: where they are read from, and what they are for each program.

use super::*;

/// A program with its data, and a table of it, at addresses of its own.
pub fn addressing(base: u32) -> Vec<u8> {
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
    let programs = named(&programs);
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
    let programs = named(&programs);
    let (ends, linked) = ends(&programs);
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
    let programs = named(&programs);
    let (ends, linked) = ends(&programs);
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
        let programs = named(&programs);
        // `ends` compares with the programs alone, traps included.
        let (ends, linked) = ends(&programs);
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
    let programs = named(&programs);
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
    let in_order = ["$f", "$g"];
    let programs = [
        program(1, 2, in_order),
        program(2, 1, in_order),
        program(30, 40, ["", ""]),
        program(40, 30, ["$g", "$f"]),
        program(5, 5, in_order),
    ];
    let programs = named(&programs);
    let (ends, _) = ends(&programs);
    assert_eq!(ends, [Ok(46), Ok(48), Ok(37), Ok(57), Ok(47)]);
}

/// One instance after another, in every order: a slot has no memory of the program before.
#[test]
fn every_entry_sets_all_slots_that_its_program_reads() {
    let bases = [2000, 3000, 0x1_0000];
    let programs: Vec<Vec<u8>> = bases.map(addressing).into();
    let programs = named(&programs);
    let linked = link_folded(&programs, Folding::Full);
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
    let programs = named(&programs);
    let (ends, _) = ends(&programs);
    assert_eq!(ends, [Ok(2), Ok(0), Ok(4), Ok(4)]);
}

/// The sum of what 500 variants of a program hold falls to what one of them holds, nearly.
#[test]
fn five_hundred_variants_cost_little_more_than_one() {
    let programs: Vec<Vec<u8>> = (0..500).map(|i| addressing(2000 + 8 * i)).collect();
    let names: Vec<String> = (0..500).map(|i| format!("v{i}")).collect();
    let programs: Vec<(&str, &[u8])> = names
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
        link_folded(&programs, Folding::None),
        link_folded(&programs, Folding::Full),
    );
    assert!(
        code(&full) * 2 < code(&none),
        "{} of {}",
        code(&full),
        code(&none)
    );
}
