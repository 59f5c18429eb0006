//! Functions that call others: with whom they are folded, and whom they reach then.

use super::*;

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

/// A program whose shared function calls through a pointer; `entry` is the index it calls.
pub fn pointing(own: i32, entry: i32, more: &str) -> Vec<u8> {
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
    let programs = named(&programs);
    let (ends, linked) = ends(&programs);
    assert_eq!(ends[..3], [Ok(14), Ok(16), Ok(36)]);
    assert!(ends[3..8].iter().all(Result::is_err), "{ends:?}");
    assert_eq!(ends[8], Ok(30));
    assert_eq!(count(&linked[&FULL], "shared::apply"), 1);
    assert_eq!(count(&linked[&EXACT], "::apply"), 9);
}
