//! What one process cannot see of another, and what its rights do not let it do.

use super::*;
use crate::audit::Decision;
use crate::kernel::ExitStatus;
use crate::rights::HostCall;

#[test]
fn nothing_of_a_process_is_left_for_the_next() {
    // Leaves marks in memory below and beyond the initial size and in a global; 0 if it found none.
    let body = "
        (if (i32.load (i32.const 4096)) (then (call $proc_exit (i32.const 1))))
        (if (global.get $counter) (then (call $proc_exit (i32.const 2))))
        (if (i32.ne (memory.size) (i32.const 1)) (then (call $proc_exit (i32.const 3))))
        (if (i32.ne (i32.load8_u (i32.const 256)) (i32.const 104)) (then (call $proc_exit (i32.const 4))))
        (drop (memory.grow (i32.const 4)))
        (if (i32.load (i32.const 200000)) (then (call $proc_exit (i32.const 5))))
        (i32.store (i32.const 4096) (i32.const 1))
        (i32.store (i32.const 256) (i32.const 0))
        (i32.store (i32.const 200000) (i32.const 1))
        (global.set $counter (i32.const 1))";
    let container = Box::new(&[Guest::new("marks", body)]);
    for _ in 0..20 {
        assert_eq!(container.run(&["marks"]).0, ExitStatus::Code(0));
    }
}

#[test]
fn beyond_its_memory_a_process_traps_also_where_an_earlier_one_had_grown() {
    // Of one size, so that they get the same memory one after the other.
    let container = Box::new(&[
        Guest::new(
            "grows",
            "(drop (memory.grow (i32.const 4)))
             (memory.fill (i32.const 0) (i32.const 0xaa) (i32.const 327680))",
        ),
        Guest::new("peeks", "(drop (i32.load8_u (i32.const 65536)))"),
        Guest::new(
            "far",
            "(drop (i32.load8_u offset=0xffffffff (i32.const -1)))",
        ),
        Guest::new(
            "edge",
            "(drop (memory.grow (i32.const 1)))
             (if (i32.load (i32.const 131068)) (then unreachable))
             (drop (i32.load8_u (i32.const 131072)))",
        ),
    ]);
    for _ in 0..3 {
        assert_eq!(container.run(&["grows"]).0, ExitStatus::Code(0));
        for name in ["peeks", "far", "edge"] {
            let (status, _, err) = container.run(&[name]);
            assert_eq!(status.code(), 134, "{name}");
            assert!(err.contains("out of bounds memory access"), "{name}: {err}");
        }
    }
}

#[test]
fn a_call_outside_the_rights_is_refused_and_recorded_once() {
    let body = "
        (local $i i32)
        (loop $again
          (if (i32.ne (call $random_get (i32.const 0) (i32.const 8)) (i32.const 76)) (then unreachable))
          (if (i64.ne (i64.load (i32.const 0)) (i64.const 0)) (then unreachable))
          (if (i32.ne (call $clock_time_get (i32.const 0) (i64.const 0) (i32.const 0)) (i32.const 76)) (then unreachable))
          (local.set $i (i32.add (local.get $i) (i32.const 1)))
          (br_if $again (i32.lt_u (local.get $i) (i32.const 100))))
        (drop (call $write (i32.const 1) (i32.const 256) (i32.const 6)))";
    let container = Box::new(&[Guest::new("asks", body).with_rights(&[HostCall::FdWrite])]);
    for _ in 0..2 {
        assert_eq!(
            container.run(&["asks"]),
            (ExitStatus::Code(0), "hello\n".into(), String::new())
        );
    }
    let records = container.records.lock().unwrap();
    let denied: Vec<_> = records
        .iter()
        .filter_map(|record| match &record.decision {
            Decision::DeniedCall { call } => Some((call.as_str(), &*record.path)),
            _ => None,
        })
        .collect();
    let each = [("random_get", "/bin/asks"), ("clock_time_get", "/bin/asks")];
    assert_eq!(denied, [each, each].concat());
}

#[test]
fn a_call_with_addresses_outside_memory_is_a_fault_and_harms_nobody() {
    let body = "
        (if (i32.ne (call $random_get (i32.const -8) (i32.const 16)) (i32.const 21)) (then unreachable))
        (if (i32.ne (call $random_get (i32.const 65530) (i32.const 16)) (i32.const 21)) (then unreachable))
        (if (i32.ne (call $args_get (i32.const -1) (i32.const -1)) (i32.const 21)) (then unreachable))
        (if (i32.ne (call $fd_write (i32.const 1) (i32.const -8) (i32.const 2) (i32.const 0)) (i32.const 21)) (then unreachable))
        (if (i32.ne (call $clock_time_get (i32.const 9) (i64.const 0) (i32.const 0)) (i32.const 28)) (then unreachable))";
    let container = Box::new(&[Guest::new("faults", body)]);
    assert_eq!(
        container.run(&["faults"]),
        (ExitStatus::Code(0), String::new(), String::new())
    );
}
