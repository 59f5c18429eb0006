//! Signals between processes, and handlers.

use std::time::{Duration, Instant};

use super::*;
use crate::errno::Errno;
use crate::kernel::ExitStatus;
use crate::kernel::tests::guest::{pipe, spec};

/// Counts what it is told at 3000.
const COUNTS: &str =
    "(i32.store (i32.const 3000) (i32.add (i32.load (i32.const 3000)) (i32.const 1)))";

fn catching(name: &'static str, body: &'static str) -> Guest {
    Guest {
        handler: Some(COUNTS),
        ..Guest::new(name, body)
    }
}

#[test]
fn a_handler_runs_when_a_call_returns_and_the_process_goes_on() {
    let container = Box::new(&[catching(
        "self",
        "(call $on (i32.const 15) (i32.const 2))
         (drop (call $kill (i32.const 1) (i32.const 15)))
         (drop (call $kill (i32.const 0) (i32.const 15)))
         (call $proc_exit (i32.load (i32.const 3000)))",
    )]);
    assert_eq!(container.run(&["self"]).0, ExitStatus::Code(2));
}

#[test]
fn a_program_that_cannot_be_told_cannot_catch() {
    let container = Box::new(&[Guest::new(
        "plain",
        "(i64.store (i32.const 48) (i64.const 2))
         (call $proc_exit (call $sigaction (i32.const 15) (i32.const 48) (i32.const 0)))",
    )]);
    let nosys = Errno::NOSYS.raw() as u8;
    assert_eq!(container.run(&["plain"]).0, ExitStatus::Code(nosys));
}

#[test]
fn a_handler_interrupts_a_sleep_and_restarts_a_read_that_asks_for_it() {
    let container = Box::new(&[
        catching(
            "sleeper",
            "(call $on (i32.const 15) (i32.const 2))
             (drop (call $write (i32.const 1) (i32.const 256) (i32.const 1)))
             (call $proc_exit (i32.add (call $sleep (i32.const 100000)) (i32.load (i32.const 3000))))",
        ),
        catching(
            "reader",
            "(i64.store (i32.const 48) (i64.const 0x100000002)) (i64.store (i32.const 56) (i64.const 0))
             (drop (call $sigaction (i32.const 15) (i32.const 48) (i32.const 0)))
             (drop (call $write (i32.const 1) (i32.const 256) (i32.const 1)))
             (drop (call $read (i32.const 0) (i32.const 3100) (i32.const 1)))
             (call $proc_exit (i32.add (i32.load8_u (i32.const 3100)) (i32.load (i32.const 3000))))",
        ),
    ]);
    for name in ["sleeper", "reader"] {
        let (input, output) = (pipe(), pipe());
        let mut spec = spec(&[name]);
        spec.stdio = [Some(input.0), Some(output.1), None];
        let running = container.kernel.spawn(spec).unwrap();
        rustix::io::read(&output.0, &mut [0; 1]).unwrap();
        std::thread::sleep(Duration::from_millis(20));
        running.signal(libc::SIGTERM);
        std::thread::sleep(Duration::from_millis(20));
        // The sleeper is gone by now.
        let _ = rustix::io::write(&input.1, b"@");
        let expected = match name {
            "sleeper" => Errno::INTR.raw() as u8 + 1,
            _ => b'@' + 1,
        };
        assert_eq!(running.wait(), ExitStatus::Code(expected), "{name}");
    }
}

#[test]
fn a_handler_interrupts_code_that_calls_nothing() {
    let container = Box::new(&[catching(
        "loops",
        "(call $on (i32.const 10) (i32.const 2))
         (drop (call $write (i32.const 1) (i32.const 256) (i32.const 1)))
         (loop $again (br_if $again (i32.lt_u (i32.load (i32.const 3000)) (i32.const 3))))",
    )]);
    let output = pipe();
    let mut spec = spec(&["loops"]);
    spec.stdio[1] = Some(output.1);
    let running = container.kernel.spawn(spec).unwrap();
    rustix::io::read(&output.0, &mut [0; 1]).unwrap();
    for _ in 0..3 {
        running.signal(libc::SIGUSR1);
        std::thread::sleep(Duration::from_millis(50));
    }
    assert_eq!(running.wait(), ExitStatus::Code(0));
}

#[test]
fn a_handler_that_never_returns_can_be_killed_wherever_it_was_called() {
    for body in [
        "(call $on (i32.const 10) (i32.const 2)) (call $tell (i32.const 1))
         (loop $again (br $again))",
        "(call $on (i32.const 10) (i32.const 2)) (call $tell (i32.const 1))
         (drop (call $sleep (i32.const 100000)))",
    ] {
        for handler in [
            "(loop $again (br $again))",
            "(drop (call $sleep (i32.const 100000)))",
        ] {
            let container = Box::new(&[Guest {
                handler: Some(handler),
                ..Guest::new("stuck", body)
            }]);
            let output = pipe();
            let mut spec = spec(&["stuck"]);
            spec.stdio[1] = Some(output.1);
            let running = container.kernel.spawn(spec).unwrap();
            rustix::io::read(&output.0, &mut [0; 4]).unwrap();
            running.signal(libc::SIGUSR1);
            std::thread::sleep(Duration::from_millis(50));
            let start = Instant::now();
            running.signal(libc::SIGTERM);
            assert_eq!(
                running.wait(),
                ExitStatus::Signal(libc::SIGTERM),
                "{body} {handler}"
            );
            assert!(start.elapsed() < Duration::from_secs(5));
        }
    }
}

#[test]
fn the_end_of_a_child_is_a_signal_that_ends_a_suspension() {
    let container = Box::new(&[
        Guest::new("child", ""),
        catching(
            "parent",
            "(call $on (i32.const 17) (i32.const 2))
             (drop (call $sigprocmask (i32.const 0) (i64.const 0x10000) (i32.const 0)))
             (drop (call $start (global.get $path.child)))
             (if (i32.ne (call $sigsuspend (i64.const 0)) (i32.const 27)) (then unreachable))
             (if (i32.ne (i32.load (i32.const 3000)) (i32.const 1)) (then unreachable))
             (drop (call $sigprocmask (i32.const 3) (i64.const 0) (i32.const 100)))
             (if (i64.ne (i64.load (i32.const 100)) (i64.const 0x10000)) (then unreachable))
             (call $proc_exit (call $await (i32.const -1)))",
        ),
    ]);
    assert_eq!(container.run(&["parent"]).0, ExitStatus::Code(0));
}

#[test]
fn who_ignores_sigpipe_gets_the_error() {
    let container = Box::new(&[Guest::new(
        "writer",
        "(local $in i32) (call $on (i32.const 13) (i32.const 1))
         (local.set $in (call $make_pipe))
         (drop (call $fd_close (local.get $in)))
         (call $proc_exit (call $write (i32.load (i32.const 44)) (i32.const 256) (i32.const 1)))",
    )]);
    assert_eq!(
        container.run(&["writer"]).0,
        ExitStatus::Code(Errno::PIPE.raw() as u8)
    );
}

#[test]
fn a_stopped_child_stops_and_goes_on_and_its_parent_is_told() {
    let container = Box::new(&[
        Guest::new("child", "(loop $again (br $again))"),
        Guest::new(
            "parent",
            "(local $child i32)
             (drop (call $start (global.get $path.child)))
             (local.set $child (i32.load (i32.const 16)))
             (drop (call $sleep (i32.const 5)))
             (drop (call $kill (local.get $child) (i32.const 19)))
             (drop (call $wait (local.get $child) (i32.const 2) (i32.const 20) (i32.const 24)))
             (call $tell (i32.load (i32.const 24)))
             (drop (call $kill (local.get $child) (i32.const 18)))
             (drop (call $wait (local.get $child) (i32.const 8) (i32.const 20) (i32.const 24)))
             (call $tell (i32.load (i32.const 24)))
             (drop (call $kill (local.get $child) (i32.const 19)))
             (drop (call $kill (local.get $child) (i32.const 9)))
             (call $tell (call $await (local.get $child)))",
        ),
    ]);
    let (status, out, _) = container.run_raw(&["parent"]);
    let words: Vec<_> = out
        .chunks(4)
        .map(|w| u32::from_le_bytes(w.try_into().unwrap()))
        .collect();
    assert_eq!(status, ExitStatus::Code(0));
    assert_eq!(words, [0x137f, 0xffff, 9]);
}

#[test]
fn an_alarm_ends_a_process_that_sleeps_computes_or_waits_for_its_child() {
    let container = Box::new(&[
        Guest::new("child", "(drop (call $sleep (i32.const 300)))"),
        Guest::new(
            "sleeps",
            "(drop (call $setitimer (i64.const 30000) (i64.const 0) (i32.const 0)))
             (drop (call $sleep (i32.const 100000)))",
        ),
        Guest::new(
            "computes",
            "(drop (call $setitimer (i64.const 30000) (i64.const 0) (i32.const 0)))
             (loop $again (br $again))",
        ),
        Guest::new(
            "waits",
            "(drop (call $setitimer (i64.const 30000) (i64.const 0) (i32.const 0)))
             (drop (call $start (global.get $path.child)))
             (drop (call $await (i32.const -1)))",
        ),
        Guest::new(
            "parent",
            "(drop (call $start (global.get $path.waits))) (call $proc_exit (call $await (i32.const -1)))",
        ),
    ]);
    for name in ["sleeps", "computes", "waits"] {
        assert_eq!(
            container.run(&[name]).0,
            ExitStatus::Signal(libc::SIGALRM),
            "{name}"
        );
    }
    assert_eq!(
        container.run(&["parent"]).0,
        ExitStatus::Code(libc::SIGALRM as u8)
    );
}

#[test]
fn a_timer_that_repeats_is_caught_each_time_and_can_be_asked_and_stopped() {
    let container = Box::new(&[catching(
        "ticks",
        "(call $on (i32.const 14) (i32.const 2))
         (drop (call $setitimer (i64.const 2000) (i64.const 2000) (i32.const 0)))
         (loop $again (br_if $again (i32.lt_u (i32.load (i32.const 3000)) (i32.const 5))))
         (drop (call $setitimer (i64.const 0) (i64.const 0) (i32.const 104)))
         (if (i64.ne (i64.load (i32.const 112)) (i64.const 2000)) (then unreachable))
         (i32.store (i32.const 3000) (i32.const 0))
         (drop (call $sleep (i32.const 20)))
         (call $proc_exit (i32.load (i32.const 3000)))",
    )]);
    assert_eq!(container.run(&["ticks"]).0, ExitStatus::Code(0));
}
