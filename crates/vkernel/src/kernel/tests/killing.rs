//! Killing works wherever a process is.

use std::time::{Duration, Instant};

use super::*;
use crate::kernel::tests::guest::{pipe, spec};
use crate::kernel::{ExitStatus, ProcessSpec};

/// Long enough to be blocked in what it blocks in, on a machine that is busy.
const SETTLE: Duration = Duration::from_millis(30);

fn guests() -> [Guest; 8] {
    [
        Guest::new("loops", "(loop $again (br $again))"),
        Guest::new("calls", "(loop $again (drop (call $sched_yield)) (br $again))"),
        Guest::new("reads", "(drop (call $read (i32.const 0) (i32.const 256) (i32.const 1)))"),
        Guest::new(
            "writes",
            "(loop $again (drop (call $write (i32.const 1) (i32.const 256) (i32.const 4096))) (br $again))",
        ),
        // A relative timeout of 1,000 seconds on the monotonic clock.
        Guest::new(
            "sleeps",
            "(i32.store8 (i32.const 1032) (i32.const 0)) (i32.store (i32.const 1040) (i32.const 1))
             (i64.store (i32.const 1048) (i64.const 1000000000000))
             (drop (call $poll_oneoff (i32.const 1024) (i32.const 2048) (i32.const 1) (i32.const 8)))",
        ),
        // Standard input readable.
        Guest::new(
            "polls",
            "(i32.store8 (i32.const 1032) (i32.const 1)) (i32.store (i32.const 1040) (i32.const 0))
             (drop (call $poll_oneoff (i32.const 1024) (i32.const 2048) (i32.const 1) (i32.const 8)))",
        ),
        Guest::new("fills", "(loop $again (drop (call $random_get (i32.const 0) (i32.const 65536))) (br $again))"),
        Guest::new("recurses", "(call $fills) (call $recurses)"),
    ]
}

#[test]
fn a_process_can_be_killed_whatever_it_does() {
    let container = Box::new(&guests());
    for guest in guests() {
        for settle in [Duration::ZERO, SETTLE] {
            // Both pipes stay open at the other end: nothing but the kill can end it.
            let (input, output) = (pipe(), pipe());
            let stdio = [Some(input.0), Some(output.1), None];
            let running = container
                .kernel
                .spawn(ProcessSpec {
                    stdio,
                    ..spec(&[guest.name])
                })
                .unwrap();
            std::thread::sleep(settle);
            let start = Instant::now();
            running.kill(libc::SIGTERM);
            assert_eq!(
                running.wait(),
                ExitStatus::Signal(libc::SIGTERM),
                "{}",
                guest.name
            );
            assert!(start.elapsed() < Duration::from_secs(5), "{}", guest.name);
            drop((input.1, output.0));
        }
    }
}

#[test]
fn killing_one_leaves_the_others() {
    let container = Box::new(&guests());
    let start = |name: &str| {
        let input = pipe();
        let stdio = [Some(input.0), None, None];
        let running = container
            .kernel
            .spawn(ProcessSpec {
                stdio,
                ..spec(&[name])
            })
            .unwrap();
        (running, input.1)
    };
    let (looping, _a) = start("loops");
    let (reading, write) = start("reads");
    let (victim, _b) = start("loops");
    std::thread::sleep(SETTLE);
    victim.kill(libc::SIGKILL);
    assert_eq!(victim.wait(), ExitStatus::Signal(libc::SIGKILL));
    rustix::io::write(&write, b"x").unwrap();
    assert_eq!(reading.wait(), ExitStatus::Code(0));
    looping.kill(libc::SIGINT);
    assert_eq!(looping.wait().code(), 130);
}

#[test]
fn the_first_signal_counts_and_a_dead_process_can_be_killed() {
    let container = Box::new(&guests());
    let running = container.kernel.spawn(spec(&["loops"])).unwrap();
    running.kill(libc::SIGHUP);
    running.kill(libc::SIGKILL);
    assert_eq!(running.wait(), ExitStatus::Signal(libc::SIGHUP));
}
