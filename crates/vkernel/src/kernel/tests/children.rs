//! Processes that make processes.

use std::io::Read;
use std::os::fd::{FromRawFd, OwnedFd};

use megabinary::digest::Digest;

use super::*;
use crate::audit::Decision;
use crate::errno::Errno;
use crate::kernel::tests::guest::{pipe, spec, write_executable};
use crate::kernel::{ExitStatus, Limits};
use crate::rights::HostCall;

/// Runs the program with this name and gives the words it told.
fn told(container: &Box, argv: &[&str]) -> Vec<i32> {
    let (status, out, err) = container.run_raw(argv);
    assert_eq!(
        status,
        ExitStatus::Code(0),
        "{}",
        String::from_utf8_lossy(&err)
    );
    words(&out)
}

fn words(bytes: &[u8]) -> Vec<i32> {
    bytes
        .chunks_exact(4)
        .map(|word| i32::from_le_bytes(word.try_into().unwrap()))
        .collect()
}

fn errno(errno: Errno) -> i32 {
    i32::from(errno.raw())
}

const THREE: &str = "(call $proc_exit (i32.const 3))";
const TRAPS: &str = "unreachable";

#[test]
fn a_child_runs_and_its_status_is_waited_for() {
    let container = Box::new(&[
        Guest::new("three", THREE),
        Guest::new("traps", TRAPS),
        Guest::new(
            "parent",
            "(call $tell (call $start (global.get $path.three)))
             (call $tell (call $await (i32.load (i32.const 16))))
             (call $tell (i32.eq (i32.load (i32.const 16)) (i32.load (i32.const 20))))
             (drop (call $start (global.get $path.traps)))
             (call $tell (call $await (i32.const -1)))
             (call $tell (call $await (i32.const -1)))",
        ),
    ]);
    let none = -errno(Errno::CHILD);
    assert_eq!(told(&container, &["parent"]), [0, 3 << 8, 1, 6, none]);
    let records = container.records.lock().unwrap();
    let asked: Vec<_> = records.iter().map(|r| (r.pid, &*r.path)).collect();
    assert_eq!(
        asked,
        [(1, "/bin/parent"), (1, "/bin/three"), (1, "/bin/traps")]
    );
}

#[test]
fn numbers_say_who_is_whose_child() {
    let identify = "(drop (call $getpid (i32.const 100))) (call $tell (i32.load (i32.const 100)))
        (drop (call $getppid (i32.const 100))) (call $tell (i32.load (i32.const 100)))
        (drop (call $getpgid (i32.const 0) (i32.const 100))) (call $tell (i32.load (i32.const 100)))";
    let container = Box::new(&[
        Guest::new("identify", identify),
        Guest::new(
            "parent",
            "(call $identify)
             (drop (call $start (global.get $path.identify))) (drop (call $await (i32.const -1)))
             (call $request (global.get $path.identify))
             (i32.store (i32.const 96) (i32.const 1))
             (drop (call $spawn (i32.const 64) (i32.const 16))) (drop (call $await (i32.const -1)))",
        ),
    ]);
    assert_eq!(told(&container, &["parent"]), [1, 0, 1, 2, 1, 1, 3, 1, 3]);
}

#[test]
fn what_cannot_be_executed_is_an_error_before_there_is_a_child() {
    let container = Box::new(&[
        Guest::new("three", THREE),
        Guest::new("gone", THREE),
        Guest::new("changed", THREE),
        Guest::new("plain", THREE),
        Guest::new(
            "parent",
            "(call $tell (call $start (global.get $path.gone)))
             (call $tell (call $start (global.get $path.changed)))
             (call $tell (call $start (global.get $path.plain)))
             (call $tell (call $await (i32.const -1)))
             (call $request (global.get $path.gone)) (call $tell (call $exec (i32.const 64)))
             (call $request (global.get $path.changed)) (call $tell (call $exec (i32.const 64)))
             ;; Addresses outside memory.
             (call $tell (call $exec (i32.const -8)))
             (call $tell (call $spawn (i32.const 65530) (i32.const 16)))
             (call $tell (call $spawn (i32.const 64) (i32.const -2)))",
        ),
    ]);
    std::fs::remove_file(container.root.join("bin/gone")).unwrap();
    write_executable(&container.root.join("bin/changed"), "other");
    std::fs::write(container.root.join("bin/plain"), "data").unwrap();
    std::fs::set_permissions(
        container.root.join("bin/plain"),
        std::os::unix::fs::PermissionsExt::from_mode(0o644),
    )
    .unwrap();
    let (there_is_none, denied) = (errno(Errno::NOENT), errno(Errno::ACCES));
    let fault = errno(Errno::FAULT);
    assert_eq!(
        told(&container, &["parent"]),
        [
            there_is_none,
            denied,
            denied,
            -errno(Errno::CHILD),
            there_is_none,
            denied,
            fault,
            fault,
            fault
        ]
    );
    let records = container.records.lock().unwrap();
    let expected = Digest::of(super::guest::ticket("changed").as_bytes());
    let modified = (records.iter()).filter(|r| r.decision == Decision::Modified { expected });
    assert_eq!(modified.count(), 2);
}

#[test]
fn a_child_has_its_own_rights_and_never_its_parents() {
    let tries =
        "(drop (call $start (global.get $path.mute))) (call $tell (call $await (i32.const -1)))
        (drop (call $start (global.get $path.barren))) (call $tell (call $await (i32.const -1)))";
    let container = Box::new(&[
        Guest::new("parent", tries),
        // It cannot write, though its parent can: the status is the error number.
        Guest::new(
            "mute",
            "(call $proc_exit (call $write (i32.const 1) (i32.const 256) (i32.const 6)))",
        )
        .with_rights(&[HostCall::ProcExit]),
        // Nor can a child of one that may: it may neither spawn nor exec.
        Guest::new(
            "barren",
            "(if (i32.ne (call $start (global.get $path.parent)) (i32.const 2)) (then unreachable))
             (call $request (global.get $path.parent))
             (if (i32.ne (call $exec (i32.const 64)) (i32.const 2)) (then unreachable))
             (if (i32.ne (call $pipe (i32.const 40) (i32.const 0)) (i32.const 76)) (then unreachable))",
        )
        .with_rights(&[HostCall::FdWrite]),
    ]);
    let not_capable = errno(Errno::NOTCAPABLE);
    assert_eq!(told(&container, &["parent"]), [not_capable << 8, 0]);
    let denied: Vec<_> = (container.records.lock().unwrap().iter())
        .filter_map(|record| match &record.decision {
            Decision::DeniedCall { call } => Some((record.path.to_string(), call.clone())),
            _ => None,
        })
        .collect();
    let of = |path: &str, call: &str| (format!("/bin/{path}"), call.to_owned());
    assert_eq!(
        denied,
        [
            of("mute", "fd_write"),
            of("barren", "spawn"),
            of("barren", "exec"),
            of("barren", "pipe")
        ]
    );
}

#[test]
fn only_what_is_listed_may_be_executed_where_the_manifest_says_so() {
    let mut parent = Guest::new(
        "parent",
        "(call $tell (call $start (global.get $path.three))) (drop (call $await (i32.const -1)))
         (call $tell (call $start (global.get $path.other)))
         (call $request (global.get $path.other)) (call $tell (call $exec (i32.const 64)))
         ;; Nor by its tool name, other_tool.
         (call $request (global.get $path.other)) (i32.store (i32.const 64) (i32.const 3))
         (i64.store (i32.const 126) (i64.const 0x6f745f726568746f))
         (i32.store16 (i32.const 134) (i32.const 0x6c6f))
         (i32.store (i32.const 68) (i32.const 126)) (i32.store (i32.const 72) (i32.const 10))
         (call $tell (call $exec (i32.const 64)))",
    );
    parent.exec = vec!["/bin/three"];
    let guests = [
        parent,
        Guest::new("three", THREE),
        Guest::new("other", THREE),
    ];
    let container = Box::listed(&guests);
    let denied = errno(Errno::ACCES);
    assert_eq!(told(&container, &["parent"]), [0, denied, denied, denied]);
    // A copy of the listed program's ticket is the listed program; the list is of programs.
    let refused = (container.records.lock().unwrap().iter())
        .filter(|record| record.decision == Decision::NotListed)
        .count();
    assert_eq!(refused, 3);
}

#[test]
fn exec_goes_on_as_another_program_under_the_same_number() {
    let container = Box::new(&[
        Guest::new(
            "first",
            "(drop (call $umask (i32.const 0x3f) (i32.const 100)))
             ;; 4 is closed by exec, 5 is not.
             (drop (call $dup2 (i32.const 1) (i32.const 4) (i32.const 1)))
             (drop (call $dup2 (i32.const 1) (i32.const 5) (i32.const 0)))
             (i32.store (i32.const 3000) (i32.const 7))
             (call $request (global.get $path.second))
             (drop (call $exec (i32.const 64)))
             unreachable",
        ),
        Guest::new(
            "second",
            "(drop (call $getpid (i32.const 100))) (call $tell (i32.load (i32.const 100)))
             (call $tell (i32.load (i32.const 3000)))
             (drop (call $umask (i32.const 0) (i32.const 100))) (call $tell (i32.load (i32.const 100)))
             (call $tell (call $fcntl (i32.const 4) (i32.const 1) (i32.const 0) (i32.const 100)))
             (call $tell (call $fcntl (i32.const 5) (i32.const 1) (i32.const 0) (i32.const 100)))
             (call $proc_exit (i32.const 9))",
        ),
        Guest::new(
            "parent",
            "(drop (call $start (global.get $path.first))) (call $tell (call $await (i32.const -1)))",
        ),
    ]);
    let bad = errno(Errno::BADF);
    assert_eq!(told(&container, &["parent"]), [2, 0, 0x3f, bad, 0, 9 << 8]);
    let (status, out, _) = container.run_raw(&["first"]);
    assert_eq!(
        (status, words(&out)),
        (ExitStatus::Code(9), vec![1, 0, 0x3f, bad, 0])
    );
}

#[test]
fn a_pipeline_runs_side_by_side_and_ends_when_its_reader_does() {
    let container = Box::new(&[
        // Like `yes`: it never ends by itself, and its reader takes one line.
        Guest::new(
            "yes",
            "(loop $again (br_if $again (i32.eqz (call $write (i32.const 1) (i32.const 256) (i32.const 6)))))",
        ),
        Guest::new(
            "head",
            "(drop (call $read (i32.const 0) (i32.const 300) (i32.const 6)))
             (drop (call $write (i32.const 1) (i32.const 300) (i32.const 6)))",
        ),
        Guest::new(
            "shell",
            "(local $in i32) (local $out i32)
             (local.set $in (call $make_pipe)) (local.set $out (i32.load (i32.const 44)))
             (call $act (i32.const 1) (local.get $out) (i32.const 1))
             (call $act (i32.const 0) (local.get $in) (i32.const 0))
             (call $act (i32.const 0) (local.get $out) (i32.const 0))
             (drop (call $start (global.get $path.yes)))
             (call $act (i32.const 1) (local.get $in) (i32.const 0))
             (call $act (i32.const 0) (local.get $in) (i32.const 0))
             (call $act (i32.const 0) (local.get $out) (i32.const 0))
             (drop (call $start (global.get $path.head)))
             (drop (call $fd_close (local.get $in))) (drop (call $fd_close (local.get $out)))
             (call $proc_exit (i32.add (call $await (i32.const 2)) (call $await (i32.const 3))))",
        ),
    ]);
    let (status, out, _) = container.run(&["shell"]);
    assert_eq!(
        (status, out.as_str()),
        (ExitStatus::Code(libc::SIGPIPE as u8), "hello\n")
    );
}

#[test]
fn actions_are_performed_in_order_with_the_parents_rights() {
    let write = "(drop (call $write (i32.const 1) (i32.const 256) (i32.const 6)))";
    // Opens tmp/out as descriptor 1 of the child, in the directory /tmp.
    let redirect = "(call $act (i32.const 3) (i32.const 0) (i32.const 0))
        (i32.store (i32.const 4108) (i32.const 3000)) (i32.store (i32.const 4112) (i32.const 4))
        (i32.store (i32.const 3000) (i32.const 0x706d742f)) (i32.store (i32.const 3004) (i32.const 0x74756f))
        (call $act (i32.const 2) (i32.const 1) (i32.const 6))
        (i32.store (i32.const 4132) (i32.const 3004)) (i32.store (i32.const 4136) (i32.const 3))
        ;; Set-user-id, set-group-id and sticky are asked for too.
        (i32.store (i32.const 4140) (i32.const 0xf80))
        (call $tell (call $start (global.get $path.writer)))
        (call $tell (call $await (i32.const -1)))";
    let container = Box::new(&[
        Guest::new("writer", write),
        Guest::new("redirects", redirect),
        Guest::new("may_not", redirect).with_rights(&[
            HostCall::FdWrite,
            HostCall::VkSpawn,
            HostCall::VkWait,
            HostCall::VkChdir,
            HostCall::PathOpen,
        ]),
    ]);
    let denied = [errno(Errno::ACCES), -errno(Errno::CHILD)];
    assert_eq!(told(&container, &["may_not"]), denied);
    assert!(!container.root.join("tmp/out").exists());
    assert_eq!(told(&container, &["redirects"]), [0, 0]);
    let file = container.root.join("tmp/out");
    assert_eq!(std::fs::read_to_string(&file).unwrap(), "hello\n");
    let mode = std::os::unix::fs::MetadataExt::mode(&std::fs::metadata(&file).unwrap());
    assert_eq!(mode & 0o7777, 0o600, "{mode:o}");
}

#[test]
fn a_child_is_put_among_others_or_in_the_foreground_only_with_the_right_to() {
    // Flags and group: own group, own session, process 1's group, foreground.
    let places = [(1, 0), (8, 0), (1, 1), (17, 0)];
    let body: String = places
        .iter()
        .map(|(flags, group)| {
            format!(
                "(call $request (global.get $path.three))
                 (i32.store (i32.const 96) (i32.const {flags}))
                 (i32.store (i32.const 100) (i32.const {group}))
                 (call $tell (call $spawn (i32.const 64) (i32.const 16)))"
            )
        })
        .collect();
    let body = format!(
        "{body} (drop (call $tcgetpgrp (i32.const 0) (i32.const 100)))
         (call $tell (i32.load (i32.const 100)))"
    )
    .leak();
    let few = [HostCall::FdWrite, HostCall::VkSpawn, HostCall::VkTcgetpgrp];
    let container = Box::new(&[
        Guest::new("three", THREE),
        Guest::new("may", body),
        Guest::new("may_not", body).with_rights(&few),
    ]);
    let (denied, no_terminal) = (errno(Errno::ACCES), errno(Errno::NOTTY));
    assert_eq!(told(&container, &["may_not"])[..4], [0, 0, denied, denied]);
    assert_eq!(told(&container, &["may"])[..4], [0, 0, 0, no_terminal]);
    for (name, foreground) in [("may_not", 1), ("may", 5)] {
        let (mut master, mut terminal) = (-1, -1);
        let null = std::ptr::null_mut();
        // SAFETY: two places for descriptors, and nothing else is asked for.
        let made =
            unsafe { libc::openpty(&mut master, &mut terminal, null, null.cast(), null.cast()) };
        assert_eq!(made, 0);
        // SAFETY: the call made them, for us alone.
        let [_master, terminal] = [master, terminal].map(|fd| unsafe { OwnedFd::from_raw_fd(fd) });
        let (read, write) = pipe();
        let mut spec = spec(&[name]);
        spec.stdio = [Some(terminal), Some(write), None];
        let status = container.kernel.spawn(spec).unwrap().wait();
        assert_eq!(status, ExitStatus::Code(0));
        let mut out = Vec::new();
        std::fs::File::from(read).read_to_end(&mut out).unwrap();
        assert_eq!(words(&out).last(), Some(&foreground), "{name}");
    }
}

#[test]
fn offsets_are_shared_and_a_closed_action_is_an_error() {
    let container = Box::new(&[
        Guest::new(
            "writer",
            "(drop (call $write (i32.const 1) (i32.const 256) (i32.const 6)))",
        ),
        Guest::new(
            "parent",
            "(call $act (i32.const 0) (i32.const 77) (i32.const 0))
             (if (i32.ne (call $start (global.get $path.writer)) (i32.const 8)) (then unreachable))
             (drop (call $start (global.get $path.writer))) (drop (call $await (i32.const -1)))
             (call $writer)",
        ),
    ]);
    let file = container.root.join("tmp/shared");
    let out = std::fs::File::create(&file).unwrap();
    let mut spec = spec(&["parent"]);
    spec.stdio[1] = Some(out.into());
    let status = container.kernel.spawn(spec).unwrap().wait();
    assert_eq!(status, ExitStatus::Code(0));
    assert_eq!(std::fs::read_to_string(&file).unwrap(), "hello\nhello\n");
}

#[test]
fn the_working_directory_is_inherited_and_changed_by_oneself_only() {
    let tell = "(drop (call $getcwd (i32.const 3000) (i32.const 100) (i32.const 100)))
        (drop (call $write (i32.const 1) (i32.const 3000) (i32.load (i32.const 100))))";
    let container = Box::new(&[
        Guest::new("where", tell),
        Guest::new(
            "parent",
            "(i32.store (i32.const 2000) (i32.const 0x706d742f)) ;; /tmp
             (drop (call $chdir (i32.const 2000) (i32.const 4)))
             (drop (call $start (global.get $path.moves))) (drop (call $await (i32.const -1)))
             (call $where)",
        ),
        Guest::new(
            "moves",
            "(call $where)
             (i32.store16 (i32.const 2000) (i32.const 0x2e2e)) ;; ..
             (drop (call $chdir (i32.const 2000) (i32.const 2)))
             (call $where)
             (if (i32.ne (call $chdir (i32.add (global.get $path.where) (i32.const 0)) (i32.const 10)) (i32.const 54))
               (then unreachable))",
        ),
    ]);
    let (status, out, err) = container.run(&["parent"]);
    assert_eq!(
        (status, out.as_str()),
        (ExitStatus::Code(0), "/tmp//tmp"),
        "{err}"
    );
}

#[test]
fn nested_children_run_below_and_beyond_the_depth_that_one_thread_carries() {
    // Each child's parent has the next number: the twenty-first stops.
    let container = Box::build(
        &[Guest::new(
            "deep",
            "(drop (call $getppid (i32.const 100)))
             (if (i32.lt_u (i32.load (i32.const 100)) (i32.const 20)) (then
               (if (call $start (global.get $path.deep)) (then unreachable))
               (call $proc_exit (i32.add (i32.const 1)
                 (i32.shr_u (call $await (i32.const -1)) (i32.const 8))))))",
        )],
        &[],
        Limits::default(),
    );
    assert_eq!(container.run(&["deep"]).0, ExitStatus::Code(20));
}

#[test]
fn a_library_finds_its_directory_behind_what_was_inherited() {
    let container = Box::new(&[
        Guest::new(
            "child",
            "(local $fd i32) (local.set $fd (i32.const 3))
             ;; As libraries search: until there is no descriptor.
             (loop $again
               (if (i32.eqz (call $fd_prestat_get (local.get $fd) (i32.const 100))) (then
                 (call $tell (i32.load8_u (i32.const 100)))
                 (local.set $fd (i32.add (local.get $fd) (i32.const 1)))
                 (br $again))))
             ;; The working directory can be asked what it is good for: kind 3.
             (if (call $fd_fdstat_get (i32.const -100) (i32.const 104)) (then unreachable))
             (call $tell (i32.load8_u (i32.const 104)))",
        ),
        Guest::new(
            "parent",
            "(drop (call $fd_close (i32.const 3)))
             (drop (call $make_pipe)) ;; 3 and 4
             (drop (call $start (global.get $path.child))) (drop (call $await (i32.const -1)))",
        ),
    ]);
    assert_eq!(told(&container, &["parent"]), [255, 255, 0, 3]);
}
