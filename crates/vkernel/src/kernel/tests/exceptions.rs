//! Programs that throw exceptions, which is also what `longjmp` does.

use super::*;
use crate::kernel::ExitStatus;
use crate::kernel::tests::guest::spec;

/// Runs `$body` and leaves with the number that is thrown out of it, or 99.
macro_rules! catching {
    ($body:expr) => {
        concat!(
            "(call $proc_exit (block $caught (result i32) (try_table (catch $thrown $caught) ",
            $body,
            ") (i32.const 99)))"
        )
    };
}

#[test]
fn what_a_program_throws_it_catches() {
    let container = Box::new(&[
        Guest::new("here", catching!("(throw $thrown (i32.const 7))")),
        Guest::new("not", catching!("")),
        // A hundred frames down.
        Guest::new(
            "deep",
            catching!(
                "(global.set $counter (i32.add (global.get $counter) (i32.const 1)))
                 (if (i32.eq (global.get $counter) (i32.const 100)) (then (throw $thrown (i32.const 8))))
                 (call $deep)"
            ),
        ),
        // More than the heap for them holds, each dropped before the next.
        Guest::new(
            "often",
            "(local $i i32)
             (loop $again
               (drop (block $caught (result i32)
                 (try_table (catch $thrown $caught) (throw $thrown (local.get $i))) (i32.const 0)))
               (local.set $i (i32.add (local.get $i) (i32.const 1)))
               (br_if $again (i32.lt_u (local.get $i) (i32.const 3000000))))
             (call $proc_exit (i32.const 5))",
        ),
        Guest::new("plain", "(call $proc_exit (i32.const 4))"),
    ]);
    for _ in 0..3 {
        for (name, code) in [("here", 7), ("not", 99), ("deep", 8), ("plain", 4)] {
            assert_eq!(container.run(&[name]).0, ExitStatus::Code(code), "{name}");
        }
    }
    assert_eq!(container.run(&["often"]).0, ExitStatus::Code(5));
}

#[test]
fn what_nothing_catches_ends_the_program_as_a_trap_does() {
    let container = Box::new(&[Guest::new("throws", "(throw $thrown (i32.const 1))")]);
    let (status, out, err) = container.run(&["throws"]);
    assert_eq!((status.code(), out.as_str()), (134, ""));
    let said = "megarun: /bin/throws: an exception that it does not catch\n    at throws\n";
    assert!(err.starts_with(said), "{err}");
}

/// A program that catches everything cannot catch its own end.
#[test]
fn ends_are_no_exceptions() {
    const ALL: &str = "(block $caught (try_table (catch_all $caught)";
    let exits: &str =
        "(block $caught (try_table (catch_all $caught) (call $proc_exit (i32.const 3))))
         (throw $thrown (i32.const 0))";
    let container = Box::new(&[
        Guest::new("exits", exits),
        Guest::new(
            "traps",
            "(block $caught (try_table (catch_all $caught) (unreachable))) (call $proc_exit (i32.const 0))",
        ),
        Guest::new(
            "loops",
            "(loop $again (block $caught (try_table (catch_all $caught)
               (loop $inside (br $inside)))) (br $again))",
        ),
    ]);
    assert!(exits.starts_with(ALL));
    assert_eq!(container.run(&["exits"]).0, ExitStatus::Code(3));
    assert_eq!(container.run(&["traps"]).0.code(), 134);
    let running = container.kernel.spawn(spec(&["loops"])).unwrap();
    running.kill(9);
    assert_eq!(running.wait(), ExitStatus::Signal(9));
}

/// A handler that throws leaves the call which the signal interrupted.
#[test]
fn a_signal_handler_can_jump_out_of_a_call() {
    let jumps = Guest {
        handler: Some("(throw $thrown (local.get $signal))"),
        ..Guest::new(
            "jumps",
            concat!(
                "(call $on (i32.const 15) (i32.const 2))",
                catching!("(drop (call $kill (i32.const 1) (i32.const 15)))")
            ),
        )
    };
    let container = Box::new(&[jumps]);
    assert_eq!(container.run(&["jumps"]).0, ExitStatus::Code(15));
}

/// Whoever keeps all exceptions dies of it alone, and what they were is not left for the next.
#[test]
fn the_heap_for_exceptions_is_bounded() {
    let keeps = "(local $i i32)
        (loop $again
          (table.set $kept (i32.const 0) (block $caught (result exnref)
            (try_table (catch_all_ref $caught) (throw $thrown (local.get $i))) (unreachable)))
          (if (i32.eq (i32.const -1) (table.grow $kept (table.get $kept (i32.const 0)) (i32.const 1))) (then (unreachable)))
          (local.set $i (i32.add (local.get $i) (i32.const 1)))
          (br $again))";
    let container = Box::new(&[
        Guest::new("keeps", keeps),
        Guest::new("here", catching!("(throw $thrown (i32.const 7))")),
    ]);
    let (status, _, err) = container.run(&["keeps"]);
    assert_eq!(status.code(), 134, "{err}");
    for _ in 0..3 {
        assert_eq!(container.run(&["here"]).0, ExitStatus::Code(7));
    }
}
