//! How processes end.

use super::*;
use crate::kernel::ExitStatus;
use crate::kernel::tests::guest::{drain, null, pipe, spec};
use crate::kernel::{Limits, ProcessSpec};

#[test]
fn the_status_is_what_the_program_says_cut_to_eight_bits() {
    let container = Box::new(&[
        Guest::new("returns", ""),
        Guest::new("three", "(call $proc_exit (i32.const 3))"),
        Guest::new("large", "(call $proc_exit (i32.const 263))"),
        Guest::new("negative", "(call $proc_exit (i32.const -1))"),
        Guest::new("raises", "(drop (call $proc_raise (i32.const 15)))"),
        Guest::new("ignores", "(drop (call $proc_raise (i32.const 17)))"),
    ]);
    for (name, status) in [
        ("returns", ExitStatus::Code(0)),
        ("three", ExitStatus::Code(3)),
        ("large", ExitStatus::Code(7)),
        ("negative", ExitStatus::Code(255)),
        ("raises", ExitStatus::Signal(15)),
        ("ignores", ExitStatus::Code(0)),
    ] {
        assert_eq!(
            container.run(&[name]),
            (status, String::new(), String::new()),
            "{name}"
        );
    }
    assert_eq!(ExitStatus::Signal(15).code(), 143);
    assert_eq!(ExitStatus::Signal(9).code(), 137);
}

#[test]
fn a_trap_is_an_abort_with_the_functions_names_on_standard_error() {
    let container = Box::new(&[
        Guest::new("unreachable", "(unreachable)"),
        Guest::new("zero", "(drop (i32.div_s (i32.const 1) (i32.const 0)))"),
        Guest::new("beyond", "(drop (i32.load (i32.const 0x7fffffff)))"),
        Guest::new("recurses", "(call $recurses) (call $recurses)"),
    ]);
    for (name, reason) in [
        ("unreachable", "unreachable"),
        ("zero", "divide by zero"),
        ("beyond", "out of bounds memory access"),
        ("recurses", "call stack exhausted"),
    ] {
        let (status, out, err) = container.run(&[name]);
        assert_eq!((status.code(), out.as_str()), (134, ""), "{name}");
        assert!(
            err.starts_with(&format!("megarun: /bin/{name}: trap: ")),
            "{err}"
        );
        assert!(err.contains(reason), "{err}");
        assert!(err.contains(&format!("\n    at {name}\n")), "{err}");
        assert!(err.lines().count() < 40, "{err}");
    }
}

#[test]
fn a_trap_with_standard_error_closed_or_full_still_ends_the_process() {
    let container = Box::new(&[Guest::new("unreachable", "(unreachable)")]);
    let status = container
        .kernel
        .spawn(spec(&["unreachable"]))
        .unwrap()
        .wait();
    assert_eq!(status.code(), 134);
    let (read, write) = pipe();
    drop(read);
    let closed = ProcessSpec {
        stdio: [None, None, Some(write)],
        ..spec(&["unreachable"])
    };
    assert_eq!(container.kernel.spawn(closed).unwrap().wait().code(), 134);
}

#[test]
fn writing_where_nobody_reads_ends_the_writer_by_sigpipe() {
    let container = Box::new(&[Guest::new(
        "yes",
        "(loop $again (drop (call $write (i32.const 1) (i32.const 256) (i32.const 6))) (br $again))",
    )]);
    let (read, write) = pipe();
    let running = container
        .kernel
        .spawn(ProcessSpec {
            stdio: [null(), Some(write), None],
            ..spec(&["yes"])
        })
        .unwrap();
    let mut first = [0; 6];
    rustix::io::read(&read, &mut first).unwrap();
    assert_eq!(&first, b"hello\n");
    drop(read);
    assert_eq!(running.wait(), ExitStatus::Signal(libc::SIGPIPE));
}

#[test]
fn memory_grows_to_the_limit_and_not_beyond() {
    let body = "
        (drop (memory.grow (i32.const 3)))
        (if (i32.ne (memory.grow (i32.const 1)) (i32.const -1)) (then unreachable))
        (call $proc_exit (memory.size))";
    let four_pages = Limits {
        memory: 4 << 16,
        ..Limits::default()
    };
    let container = Box::build(&[Guest::new("grows", body)], &[], four_pages);
    assert_eq!(container.run(&["grows"]).0, ExitStatus::Code(4));

    let mut own_maximum = Guest::new("grows", body);
    own_maximum.max_pages = Some(4);
    assert_eq!(
        Box::new(&[own_maximum]).run(&["grows"]).0,
        ExitStatus::Code(4)
    );
}

#[test]
fn a_program_larger_than_its_limit_is_not_started() {
    let mut large = Guest::new("large", "");
    large.min_pages = 5;
    let four_pages = Limits {
        memory: 4 << 16,
        ..Limits::default()
    };
    let container = Box::build(&[large], &[], four_pages);
    let (result, ..) = container.try_run(spec(&["large"]));
    let error = result.unwrap_err();
    assert_eq!(
        (error.exit_status(), error.errno()),
        (126, crate::errno::Errno::NOMEM)
    );
    assert!(error.to_string().contains("327680") && error.to_string().contains("262144"));
}

#[test]
fn arguments_and_environment_arrive() {
    // Prints each argument's bytes up to its NUL, then the first variable.
    let body = "
        (local $at i32)
        (drop (call $args_get (i32.const 1024) (i32.const 2048)))
        (drop (call $args_sizes_get (i32.const 16) (i32.const 20)))
        (drop (call $write (i32.const 1) (i32.const 2048) (i32.load (i32.const 20))))
        (drop (call $environ_get (i32.const 1024) (i32.const 2048)))
        (drop (call $environ_sizes_get (i32.const 16) (i32.const 20)))
        (drop (call $write (i32.const 1) (i32.const 2048) (i32.load (i32.const 20))))";
    let mut guest = Guest::new("echo", body);
    guest.args = vec!["-u"];
    let container = Box::new(&[guest]);
    assert_eq!(
        container.run(&["echo", "a b", ""]).1,
        "echo\0-u\0a b\0\0PATH=/bin\0"
    );
    let _ = drain;
}
