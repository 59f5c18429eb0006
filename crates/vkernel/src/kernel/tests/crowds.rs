//! Many processes, limits, and ends in disorder.

use std::time::{Duration, Instant};

use super::*;
use crate::errno::Errno;
use crate::kernel::tests::guest::{ends_within, pipe, spec, write_executable};
use crate::kernel::{ExitStatus, Limits};
use crate::ps::State;

/// Starts so many of a program, `$many`, then does the rest.
fn starter(count: u32, rest: &str) -> &'static str {
    let text = format!(
        "(local $left i32) (local $errno i32) (local.set $left (i32.const {count}))
         (loop $again
           (local.set $errno (call $start (global.get $path.child)))
           (if (local.get $errno) (then (call $proc_exit (i32.add (i32.const 100) (local.get $errno)))))
           (local.set $left (i32.sub (local.get $left) (i32.const 1)))
           (br_if $again (local.get $left)))
         {rest}"
    );
    String::leak(text)
}

const READS: &str = "(drop (call $read (i32.const 0) (i32.const 300) (i32.const 1)))";

#[test]
fn hundreds_live_at_a_time_and_all_are_waited_for() {
    let container = Box::new(&[
        Guest::new("child", READS),
        Guest::new(
            "parent",
            starter(
                400,
                "(drop (call $write (i32.const 1) (i32.const 256) (i32.const 1)))
                 (local.set $left (i32.const 0))
                 (loop $more
                   (if (i32.eqz (call $await (i32.const -1))) (then
                     (local.set $left (i32.add (local.get $left) (i32.const 1))) (br $more))))
                 (call $proc_exit (i32.eq (local.get $left) (i32.const 400)))",
            ),
        ),
    ]);
    let (input, output) = (pipe(), pipe());
    let mut spec = spec(&["parent"]);
    spec.stdio = [Some(input.0), Some(output.1), None];
    let running = container.kernel.spawn(spec).unwrap();
    rustix::io::read(&output.0, &mut [0; 1]).unwrap();
    assert_eq!(running.processes().len(), 401);
    drop(input.1);
    assert_eq!(running.wait(), ExitStatus::Code(1));
}

#[test]
fn a_slow_reader_blocks_the_writer() {
    let container = Box::new(&[Guest::new(
        "writer",
        "(loop $again (drop (call $write (i32.const 1) (i32.const 256) (i32.const 4096))) (br $again))",
    )]);
    let output = pipe();
    let room = rustix::pipe::fcntl_getpipe_size(&output.0).unwrap() as u64;
    let mut spec = spec(&["writer"]);
    spec.stdio[1] = Some(output.1);
    let running = container.kernel.spawn(spec).unwrap();
    let processes = running.processes().clone();
    let state = || {
        let report = crate::ps::report::Report::of(&processes, &container.kernel.0.vfs);
        (report.processes[0].state, report.processes[0].cpu_ms)
    };
    for _ in 0..5 {
        let start = Instant::now();
        while rustix::io::ioctl_fionread(&output.0).unwrap() < room || state().0 != State::Sleeping
        {
            assert!(start.elapsed() < Duration::from_secs(10));
            std::thread::sleep(Duration::from_millis(1));
        }
        // It makes room for some more, and no more comes than that.
        rustix::io::read(&output.0, &mut [0; 3 * 4096]).unwrap();
    }
    running.kill(9);
    assert_eq!(running.wait(), ExitStatus::Signal(9));
}

#[test]
fn what_each_process_does_is_reported() {
    let container = Box::new(&[
        Guest::new("reads", READS),
        Guest::new("loops", "(loop $again (br $again))"),
        Guest::new("nothing", ""),
        Guest::new(
            "parent",
            "(drop (call $start (global.get $path.reads)))
             (drop (call $start (global.get $path.loops)))
             (drop (call $start (global.get $path.loops)))
             (drop (call $kill (i32.load (i32.const 16)) (i32.const 19)))
             (drop (call $start (global.get $path.nothing)))
             (drop (call $read (i32.const 0) (i32.const 300) (i32.const 1)))",
        ),
    ]);
    let input = pipe();
    let mut spec = spec(&["parent"]);
    spec.stdio[0] = Some(input.0);
    let running = container.kernel.spawn(spec).unwrap();
    let processes = running.processes().clone();
    let report = || crate::ps::report::Report::of(&processes, &container.kernel.0.vfs).processes;
    let wanted = [
        (1, 0, "parent", State::Sleeping),
        (2, 1, "reads", State::Sleeping),
        (3, 1, "loops", State::Running),
        (4, 1, "loops", State::Stopped),
        (5, 1, "nothing", State::Zombie),
    ];
    let start = Instant::now();
    loop {
        let got: Vec<_> = (report().iter())
            .map(|one| {
                (
                    one.pid,
                    one.ppid,
                    one.args[0].clone(),
                    one.program.clone(),
                    one.state,
                )
            })
            .collect();
        let fits = |got: &(u32, u32, String, String, State), want: &(u32, u32, &str, State)| {
            let path = format!("/bin/{}", want.2);
            let called = if want.0 == 1 { want.2 } else { &path };
            (got.0, got.1, got.2.as_str(), &got.3, got.4) == (want.0, want.1, called, &path, want.3)
        };
        if got.len() == 5 && got.iter().zip(&wanted).all(|(got, want)| fits(got, want)) {
            break;
        }
        assert!(start.elapsed() < Duration::from_secs(10), "{got:?}");
        std::thread::sleep(Duration::from_millis(1));
    }
    // Only who computes uses the processor.
    let before = report();
    while report()[2].cpu_ms < before[2].cpu_ms + 20 {
        assert!(start.elapsed() < Duration::from_secs(20));
    }
    let after = report();
    for at in [0, 1, 3, 4] {
        assert!(after[at].cpu_ms <= before[at].cpu_ms + 5, "{:?}", after[at]);
    }
    drop(input.1);
    assert_eq!(running.wait(), ExitStatus::Code(0));
}

#[test]
fn the_end_of_process_1_ends_everything() {
    for body in [
        READS,
        "(loop $again (br $again))",
        "(drop (call $sleep (i32.const 100000)))",
    ] {
        let container = Box::new(&[
            Guest::new("child", body),
            Guest::new(
                "parent",
                starter(
                    30,
                    "(drop (call $sleep (i32.const 10))) (call $proc_exit (i32.const 7))",
                ),
            ),
        ]);
        let input = pipe();
        let mut spec = spec(&["parent"]);
        spec.stdio[0] = Some(input.0);
        let start = Instant::now();
        let running = container.kernel.spawn(spec).unwrap();
        let processes = running.processes().clone();
        assert_eq!(running.wait(), ExitStatus::Code(7));
        assert_eq!(processes.len(), 1, "{body}");
        assert!(start.elapsed() < Duration::from_secs(10));
        // Nobody holds the pipe any more; a test that is just starting a program may for a moment.
        while rustix::io::write(&input.1, b"x").is_ok() {
            assert!(start.elapsed() < Duration::from_secs(10), "{body}");
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}

#[test]
fn a_bomb_meets_its_limit_and_the_container_goes_on() {
    let limits = Limits {
        processes: 50,
        ..Limits::default()
    };
    let container = Box::build(
        &[
            // Each starts another until there is no room, then waits for it.
            Guest::new(
                "bomb",
                "(if (i32.eqz (call $start (global.get $path.bomb))) (then
                   (drop (call $start (global.get $path.bomb)))
                   (drop (call $await (i32.const -1))) (drop (call $await (i32.const -1)))))",
            ),
            Guest::new("child", READS),
            Guest::new("parent", starter(60, "")),
            Guest::new(
                "init",
                "(drop (call $start (global.get $path.bomb)))
                 (if (call $await (i32.const -1)) (then unreachable))
                 (if (call $start (global.get $path.bomb)) (then unreachable))
                 (call $proc_exit (call $await (i32.const -1)))",
            ),
        ],
        &[],
        limits,
    );
    // The bomb's children are held open by an endless input for the second.
    let input = pipe();
    let mut spec = spec(&["parent"]);
    spec.stdio[0] = Some(input.0);
    let again = 100 + Errno::AGAIN.raw() as u8;
    assert_eq!(
        container.kernel.spawn(spec).unwrap().wait(),
        ExitStatus::Code(again)
    );
    assert_eq!(container.run(&["init"]).0, ExitStatus::Code(0));
}

/// Waits for a message on a pair of sockets, and sends messages that nobody takes.
const HEARS: &str = "
    (drop (call $socketpair (i32.const 1) (i32.const 1) (i32.const 0) (i32.const 3100)))
    (i32.store (i32.const 0) (i32.const 256)) (i32.store (i32.const 4) (i32.const 16))
    (drop (call $recvfrom (i32.load (i32.const 3100)) (i32.const 0) (i32.const 1) (i32.const 0)
      (i32.const 0) (i32.const 0) (i32.const 3120)))
    (unreachable)";
const TALKS: &str = "
    (drop (call $socketpair (i32.const 1) (i32.const 1) (i32.const 0) (i32.const 3100)))
    (i32.store (i32.const 0) (i32.const 256)) (i32.store (i32.const 4) (i32.const 4096))
    (loop $again
      (drop (call $sendto (i32.load (i32.const 3100)) (i32.const 0) (i32.const 1) (i32.const 0)
        (i32.const 0) (i32.const 0) (i32.const 3120)))
      (br $again))";

/// How many threads this program has, and what its descriptors are open on. Executed files stay open
/// for the next exec, each once: those are not counted.
fn resources() -> (usize, Vec<String>) {
    let threads = std::fs::read_dir("/proc/self/task").unwrap().count();
    let mut open: Vec<_> = std::fs::read_dir("/proc/self/fd")
        .unwrap()
        .filter_map(|entry| std::fs::read_link(entry.unwrap().path()).ok())
        .map(|target| target.to_string_lossy().into_owned())
        .collect();
    open.sort();
    let kept: Vec<_> = (open.extract_if(.., |path| path.contains("/root/bin/"))).collect();
    assert!(kept.windows(2).all(|two| two[0] != two[1]), "{kept:?}");
    (threads, open)
}

#[test]
fn thousands_of_kills_leave_no_thread_no_descriptor_and_no_zombie() {
    // In a program of its own: other tests have threads and descriptors too.
    if !alone("thousands_of_kills_leave_no_thread_no_descriptor_and_no_zombie") {
        return;
    }
    let container = Box::new(&[
        Guest::new("loops", "(loop $again (br $again))"),
        Guest::new("reads", READS),
        Guest::new("sleeps", "(drop (call $sleep (i32.const 100000)))"),
        Guest::new("writes", "(loop $again (drop (call $write (i32.const 1) (i32.const 256) (i32.const 4096))) (br $again))"),
        Guest::new("spawns", "(loop $again (drop (call $start (global.get $path.nothing))) (drop (call $await (i32.const -1))) (br $again))"),
        Guest::new("nothing", ""),
        Guest::new("hears", HEARS),
        Guest::new("talks", TALKS),
        Guest::new(
            "nests",
            "(drop (call $start (global.get $path.reads))) (drop (call $await (i32.const -1)))",
        ),
        Guest::new(
            "killer",
            "(local $round i32) (local $in i32) (local $out i32) (local $which i32)
             (local.set $in (call $make_pipe)) (local.set $out (i32.load (i32.const 44)))
             (loop $again
               (drop (call $random_get (i32.const 3000) (i32.const 8)))
               (call $act (i32.const 1) (local.get $in) (i32.const 0))
               (call $act (i32.const 1) (local.get $out) (i32.const 1))
               (local.set $which (i32.rem_u (i32.load (i32.const 3000)) (i32.const 8)))
               (block $done
                 (block $talks (block $hears (block $nests (block $spawns (block $writes (block $sleeps (block $reads (block $loops
                   (br_table $loops $reads $sleeps $writes $spawns $nests $hears $talks (local.get $which)))
                   (drop (call $start (global.get $path.loops))) (br $done))
                   (drop (call $start (global.get $path.reads))) (br $done))
                   (drop (call $start (global.get $path.sleeps))) (br $done))
                   (drop (call $start (global.get $path.writes))) (br $done))
                   (drop (call $start (global.get $path.spawns))) (br $done))
                   (drop (call $start (global.get $path.nests))) (br $done))
                   (drop (call $start (global.get $path.hears))) (br $done))
                 (drop (call $start (global.get $path.talks))))
               ;; At any moment: at once, or after a little work or sleep.
               (if (i32.and (i32.load (i32.const 3004)) (i32.const 1))
                 (then (drop (call $sleep (i32.and (i32.shr_u (i32.load (i32.const 3004)) (i32.const 8)) (i32.const 3))))))
               (drop (call $kill (i32.load (i32.const 16))
                 (select (i32.const 9) (i32.const 15) (i32.and (i32.load (i32.const 3004)) (i32.const 2)))))
               (if (i32.gt_u (call $await (i32.load (i32.const 16))) (i32.const 15)) (then unreachable))
               (local.set $round (i32.add (local.get $round) (i32.const 1)))
               (br_if $again (i32.lt_u (local.get $round) (i32.const 3000))))
             (call $proc_exit (i32.const 5))",
        ),
    ]);
    // What is made once is made now.
    container.run(&["nothing"]);
    std::thread::sleep(Duration::from_secs(2));
    let before = resources();
    let running = container.kernel.spawn(spec(&["killer"])).unwrap();
    let processes = running.processes().clone();
    assert_eq!(running.wait(), ExitStatus::Code(5));
    assert_eq!(processes.len(), 1);
    drop(processes);
    // And from outside, the whole tree at a random moment.
    for round in 0..300 {
        let mut spec = spec(&["spawns"]);
        let (input, output) = (pipe(), pipe());
        spec.stdio = [Some(input.0), Some(output.1), None];
        let running = container.kernel.spawn(spec).unwrap();
        let processes = running.processes().clone();
        std::thread::sleep(Duration::from_micros(round * 7));
        running.kill(libc::SIGKILL);
        assert_eq!(running.wait(), ExitStatus::Signal(libc::SIGKILL));
        assert_eq!(processes.len(), 1);
    }
    let deadline = Instant::now() + Duration::from_secs(10);
    while resources() != before {
        assert!(
            Instant::now() < deadline,
            "{before:?} became {:?}",
            resources()
        );
        std::thread::sleep(Duration::from_millis(50));
    }
}

#[test]
fn the_kernels_own_thread_is_there_from_the_first_process_to_the_last() {
    if !alone("the_kernels_own_thread_is_there_from_the_first_process_to_the_last") {
        return;
    }
    let caretakers = || {
        (std::fs::read_dir("/proc/self/task").unwrap())
            .filter_map(|task| std::fs::read_to_string(task.unwrap().path().join("comm")).ok())
            .filter(|name| name.trim_end() == "caretaker")
            .count()
    };
    let container = Box::new(&[Guest::new("nothing", "")]);
    for _ in 0..2 {
        container.run(&["nothing"]);
        // Not even a long rest ends it: there may be no thread to be had when it is needed.
        std::thread::sleep(Duration::from_secs(1));
        assert_eq!(caretakers(), 1);
    }
    drop(container);
    let deadline = Instant::now() + Duration::from_secs(10);
    while caretakers() != 0 {
        assert!(Instant::now() < deadline);
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// Whether this program was started for one test only; otherwise starts one that is.
fn alone(test: &str) -> bool {
    const MARK: &str = "VKERNEL_TEST_ALONE";
    if std::env::var_os(MARK).is_some() {
        return true;
    }
    let name = format!("kernel::tests::crowds::{test}");
    let status = std::process::Command::new(std::env::current_exe().unwrap())
        .args([name.as_str(), "--exact", "--nocapture"])
        .env(MARK, "1")
        .status()
        .unwrap();
    assert!(status.success());
    false
}

#[test]
fn a_wait_for_any_child_hears_of_each_and_not_only_of_the_last() {
    let container = Box::new(&[
        Guest::new(
            "first",
            "(drop (call $sleep (i32.const 50))) (call $proc_exit (i32.const 3))",
        ),
        Guest::new("reader", READS),
        // The reader ends when its parent has heard of the first one's end.
        Guest::new(
            "parent",
            "(local $end i32)
             (drop (call $start (global.get $path.first)))
             (local.set $end (call $make_pipe))
             (call $act (i32.const 1) (local.get $end) (i32.const 0))
             (call $act (i32.const 0) (i32.load (i32.const 44)) (i32.const 0))
             (drop (call $start (global.get $path.reader)))
             (if (i32.ne (call $await (i32.const -1)) (i32.const 0x300)) (then unreachable))
             (drop (call $fd_close (i32.load (i32.const 44))))
             (if (call $await (i32.const -1)) (then unreachable))",
        ),
    ]);
    let running = container.kernel.spawn(spec(&["parent"])).unwrap();
    let ended = ends_within(&running, Duration::from_secs(10));
    if !ended {
        running.kill(9);
    }
    assert_eq!((ended, running.wait()), (true, ExitStatus::Code(0)));
}

#[test]
fn a_kill_at_the_moment_a_parent_begins_to_run_its_child_is_not_lost() {
    let container = Box::new(&[
        Guest::new("child", "(drop (call $sleep (i32.const 100000)))"),
        Guest::new(
            "parent",
            "(drop (call $start (global.get $path.child))) (drop (call $await (i32.const -1)))",
        ),
    ]);
    for round in 0..3000u32 {
        let running = container.kernel.spawn(spec(&["parent"])).unwrap();
        // Every moment of the first quarter of a millisecond.
        let moment = Duration::from_nanos(u64::from(round * 7919 % 250_000));
        let start = Instant::now();
        while start.elapsed() < moment {
            std::hint::spin_loop();
        }
        running.kill(9);
        assert!(ends_within(&running, Duration::from_secs(10)), "{round}");
        assert_eq!(running.wait(), ExitStatus::Signal(9));
    }
}

#[test]
fn a_kill_ends_a_process_that_executes_a_file_without_end() {
    let container = Box::new(&[
        Guest::new("vast", ""),
        Guest::new(
            "parent",
            "(drop (call $write (i32.const 1) (i32.const 256) (i32.const 1)))
             (drop (call $start (global.get $path.vast)))",
        ),
    ]);
    let path = container.root.join("bin/vast");
    write_executable(&path, "");
    let vast = std::fs::OpenOptions::new().write(true).open(&path).unwrap();
    vast.set_len(1 << 40).unwrap();
    let output = pipe();
    let mut spec = spec(&["parent"]);
    spec.stdio[1] = Some(output.1);
    let running = container.kernel.spawn(spec).unwrap();
    rustix::io::read(&output.0, &mut [0; 1]).unwrap();
    std::thread::sleep(Duration::from_millis(20));
    running.kill(15);
    let ended = ends_within(&running, Duration::from_secs(10));
    vast.set_len(0).unwrap();
    assert_eq!((ended, running.wait()), (true, ExitStatus::Signal(15)));
}
