//! Execution by digest, seen from outside.

use std::os::unix::fs::{PermissionsExt, symlink};

use super::*;
use crate::audit::Decision;
use crate::exec::ExecTarget;
use crate::kernel::tests::guest::{drain, null, pipe, spec, write_executable};
use crate::kernel::{ExitStatus, Limits, ProcessSpec};
use megabinary::digest::Digest;

fn container() -> Box {
    Box::new(&[Guest::new("three", "(call $proc_exit (i32.const 3))")])
}

fn execute(container: &Box, target: ExecTarget) -> Result<u8, (u8, String)> {
    let (result, ..) = container.try_run(ProcessSpec {
        target,
        ..spec(&["x"])
    });
    result
        .map(|status| status.code())
        .map_err(|error| (error.exit_status(), error.to_string()))
}

#[test]
fn a_check_says_what_a_start_would() {
    let container = container();
    write_executable(&container.root.join("bin/other"), "unknown");
    let env = [b"PATH=/bin".to_vec()];
    let check = |name: &str| {
        let target = ExecTarget::Search(name.into());
        container
            .kernel
            .check(&target, &env, b"/")
            .map_err(|error| error.exit_status())
    };
    assert_eq!(
        (check("three"), check("other"), check("none")),
        (Ok(()), Err(126), Err(127))
    );
}

fn path(path: &str) -> ExecTarget {
    ExecTarget::Path(path.into())
}

#[test]
fn a_program_is_found_by_path_search_link_digest_and_tool() {
    let container = container();
    symlink("/bin/three", container.root.join("absolute")).unwrap();
    symlink("../bin/three", container.root.join("tmp/relative")).unwrap();
    // A copy is as good as the original: the digest is what counts.
    std::fs::copy(
        container.root.join("bin/three"),
        container.root.join("copy"),
    )
    .unwrap();
    let digest = Digest::of(&std::fs::read(container.root.join("bin/three")).unwrap());
    for target in [
        path("/bin/three"),
        path("bin/three"),
        path("/tmp/../bin/./three"),
        path("/../../bin/three"),
        path("/absolute"),
        path("/tmp/relative"),
        path("/copy"),
        ExecTarget::Search("three".into()),
        ExecTarget::Digest(digest),
        ExecTarget::Tool("three_tool".into()),
    ] {
        assert_eq!(execute(&container, target.clone()), Ok(3), "{target:?}");
    }
}

#[test]
fn what_is_not_there_gives_127_in_the_words_engines_look_for() {
    let container = container();
    for name in [
        "nothing",
        "/bin/nothing",
        "/bin/three/x",
        "/nowhere/three",
        "",
    ] {
        let (code, text) = execute(&container, ExecTarget::Search(name.into())).unwrap_err();
        let words =
            format!("executable file `{name}` not found in $PATH: no such file or directory");
        assert_eq!((code, text), (127, words));
    }
    for target in [
        ExecTarget::Tool("nothing".into()),
        ExecTarget::Digest(Digest::of(b"")),
    ] {
        let (code, text) = execute(&container, target).unwrap_err();
        assert_eq!(code, 127);
        assert!(text.ends_with("no such file or directory"), "{text}");
    }
}

#[test]
fn what_cannot_be_executed_gives_126() {
    let container = container();
    std::fs::write(container.root.join("plain"), "data").unwrap();
    symlink("loop", container.root.join("loop")).unwrap();
    for target in ["/plain", "/bin", "/loop"] {
        let (code, text) = execute(&container, path(target)).unwrap_err();
        assert_eq!(code, 126, "{text}");
        assert!(
            text.contains("permission denied") || text.contains("ELOOP"),
            "{text}"
        );
    }
}

/// A file that was executed before is not trusted for it: what counts is the file that is there.
#[test]
fn each_exec_looks_at_the_file_again() {
    let container = container();
    let file = container.root.join("bin/three");
    let ticket = std::fs::read_to_string(&file).unwrap();
    let changes: [(&str, &dyn Fn()); 7] = [
        ("changed in place", &|| std::fs::write(&file, "x").unwrap()),
        ("longer", &|| {
            std::fs::write(&file, ticket.clone() + "x").unwrap()
        }),
        ("not executable", &|| {
            std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o644)).unwrap();
        }),
        ("another file", &|| {
            let new = container.root.join("bin/new");
            write_executable(&new, "x");
            std::fs::rename(new, &file).unwrap();
        }),
        ("a link to another file", &|| {
            write_executable(&container.root.join("other"), "x");
            std::fs::remove_file(&file).unwrap();
            symlink("/other", &file).unwrap();
        }),
        ("removed", &|| std::fs::remove_file(&file).unwrap()),
        ("in a directory that is a link to another", &|| {
            let bin = container.root.join("bin");
            std::fs::rename(&bin, container.root.join("elsewhere")).unwrap();
            std::fs::create_dir_all(container.root.join("tmp/bin")).unwrap();
            write_executable(&container.root.join("tmp/bin/three"), "x");
            symlink("tmp/bin", &bin).unwrap();
        }),
    ];
    for (what, change) in changes {
        for _ in 0..3 {
            assert_eq!(execute(&container, path("/bin/three")), Ok(3), "{what}");
        }
        change();
        let (code, text) = execute(&container, path("/bin/three")).unwrap_err();
        let expected = if what == "removed" { 127 } else { 126 };
        assert_eq!(code, expected, "{what}: {text}");
        if what.starts_with("in a directory") {
            break;
        }
        let _ = std::fs::remove_file(&file);
        write_executable(&file, &ticket);
    }
}

/// The root that a program is handed is its own: neither where another stands in it nor what another
/// says about the descriptor can be seen.
#[test]
fn the_root_directory_of_one_process_is_not_anothers() {
    let container = Box::new(&[
        Guest::new(
            "changes",
            r#"(if (call $fd_fdstat_set_flags (i32.const 3) (i32.const 4)) (then unreachable))
            (drop (call $fd_fdstat_get (i32.const 3) (i32.const 512)))
            (call $proc_exit (i32.load16_u (i32.const 514)))"#,
        ),
        Guest::new(
            "looks",
            r#"(drop (call $fd_fdstat_get (i32.const 3) (i32.const 512)))
            (if (call $fd_readdir (i32.const 3) (i32.const 1024) (i32.const 4096) (i64.const 0) (i32.const 8))
              (then unreachable))
            (if (i32.eqz (i32.load (i32.const 8))) (then unreachable))
            (call $proc_exit (i32.load16_u (i32.const 514)))"#,
        ),
    ]);
    for _ in 0..2 {
        assert_eq!(container.run(&["changes"]).0, ExitStatus::Code(4));
        assert_eq!(container.run(&["looks"]).0, ExitStatus::Code(0));
    }
}

#[test]
fn unknown_and_modified_files_are_denied_with_digests_and_recorded() {
    let container = container();
    let signed = Digest::of(&std::fs::read(container.root.join("bin/three")).unwrap());
    write_executable(&container.root.join("bin/three"), "modified");
    write_executable(&container.root.join("bin/other"), "\x7fELF");

    let (code, text) = execute(&container, path("/bin/three")).unwrap_err();
    assert_eq!(code, 126);
    let found = Digest::of(b"modified");
    for part in [
        "permission denied",
        "/bin/three",
        &signed.to_string(),
        &found.to_string(),
    ] {
        assert!(text.contains(part), "{text} lacks {part}");
    }
    assert!(text.contains(&Digest::of(b"id").to_string()), "{text}");

    let (code, text) = execute(&container, path("/bin/other")).unwrap_err();
    assert_eq!(code, 126);
    assert!(text.contains(&Digest::of(b"\x7fELF").to_string()), "{text}");

    let records = container.records.lock().unwrap();
    let seen: Vec<_> = records
        .iter()
        .map(|record| (&*record.path, record.decision.clone()))
        .collect();
    assert_eq!(
        seen,
        [
            ("/bin/three", Decision::Modified { expected: signed }),
            ("/bin/other", Decision::Unknown),
        ]
    );
    assert_eq!(records[0].digest, Some(found));
    assert_eq!((&*records[0].container, records[0].pid), ("test", 1));
    let line = serde_json::to_string(&records[0]).unwrap();
    assert!(line.contains(&format!(r#""digest":"{found}""#)), "{line}");
    assert!(
        line.contains(&format!(r#""expected":"{signed}""#)),
        "{line}"
    );
}

#[test]
fn an_allowed_execution_is_recorded_with_its_entry() {
    let container = container();
    container.run(&["three"]);
    let records = container.records.lock().unwrap();
    assert_eq!(records.len(), 1);
    assert_eq!(records[0].decision, Decision::Allowed);
    assert_eq!(records[0].entry.as_deref(), Some("three_start"));
    let line = serde_json::to_string(&records[0]).unwrap();
    assert!(line.contains(r#""decision":"allowed""#), "{line}");
}

#[test]
fn a_check_records_what_it_denies_and_leaves_the_rest_to_the_execution() {
    let container = container();
    let check = |target: &ExecTarget| container.kernel.check(target, &[], b"/");
    check(&path("/bin/three")).unwrap();
    assert_eq!(container.records.lock().unwrap().len(), 0);
    write_executable(&container.root.join("bin/three"), "modified");
    let unsigned = Digest::of(b"unsigned");
    let tool = ExecTarget::Tool("nobody".into());
    for target in [path("/bin/three"), ExecTarget::Digest(unsigned), tool] {
        check(&target).unwrap_err();
    }
    let records = container.records.lock().unwrap();
    assert_eq!(records.len(), 3);
    assert!(matches!(records[0].decision, Decision::Modified { .. }));
    assert_eq!(records[1].digest, Some(unsigned));
    assert_eq!(records[2].path, "nobody");
    assert_eq!(records[2].decision, Decision::Unknown);
}

#[test]
fn a_flood_of_denials_is_cut_and_counted() {
    let container = Box::new(&[Guest::new(
        "floods",
        "(local $left i32)
         (local.set $left (i32.const 5000))
         (call $request (global.get $path.floods))
         (i32.store (i32.const 64) (i32.const 2)) (i32.store (i32.const 72) (i32.const 32))
         (i32.store (i32.const 68) (i32.const 3000))
         (loop $again
           (i32.store (i32.const 3000) (local.get $left))
           (if (i32.eqz (call $spawn (i32.const 64) (i32.const 16))) (then unreachable))
           (br_if $again (local.tee $left (i32.sub (local.get $left) (i32.const 1)))))",
    )]);
    assert_eq!(container.run(&["floods"]).0, ExitStatus::Code(0));
    let records = container.records.lock().unwrap();
    let of = |wanted: fn(&Decision) -> u64| {
        records
            .iter()
            .map(|record| wanted(&record.decision))
            .sum::<u64>()
    };
    let recorded = of(|decision| u64::from(*decision == Decision::Unknown));
    let suppressed = of(|decision| match decision {
        Decision::Suppressed { count } => *count,
        _ => 0,
    });
    assert_eq!(recorded + suppressed, 5000);
    assert!((100..1000).contains(&recorded), "{recorded}");
}

/// Waits for a byte on standard input, then copies the file its third argument names.
const INTERPRETER: &str = r#"
    (local $path i32)
    (drop (call $read (i32.const 0) (i32.const 512) (i32.const 1)))
    (drop (call $args_get (i32.const 1024) (i32.const 2048)))
    (local.set $path (i32.load (i32.const 1032)))
    (if (call $path_open (i32.const 3) (i32.const 1) (i32.add (local.get $path) (i32.const 1))
          (i32.sub (i32.sub (i32.load (i32.const 1036)) (local.get $path)) (i32.const 2))
          (i32.const 0) (i64.const 2) (i64.const 0) (i32.const 0) (i32.const 600))
      (then (call $proc_exit (i32.const 9))))
    (drop (call $read (i32.load (i32.const 600)) (i32.const 4096) (i32.const 1000)))
    (drop (call $write (i32.const 1) (i32.const 4096) (i32.load (i32.const 8))))
    (drop (call $write (i32.const 1) (local.get $path) (i32.sub (i32.load (i32.const 1036)) (local.get $path))))
"#;

#[test]
fn a_script_runs_with_the_bytes_that_were_hashed_whatever_happens_to_the_file() {
    let script = "#!/bin/interpreter\nsigned\n";
    let scripts = [("/bin/report", script, "interpreter")];
    let container = Box::build(
        &[Guest::new("interpreter", INTERPRETER)],
        &scripts,
        Limits::default(),
    );
    let (input, output) = (pipe(), pipe());
    let stdio = [Some(input.0), Some(output.1), None];
    let argv = spec(&["report", "last"]);
    let running = container
        .kernel
        .spawn(ProcessSpec { stdio, ..argv })
        .unwrap();
    // In place, and by another file under the name.
    std::fs::write(container.root.join("bin/report"), "EVIL").unwrap();
    std::fs::remove_file(container.root.join("bin/report")).unwrap();
    write_executable(&container.root.join("bin/report"), "MORE EVIL");
    rustix::io::write(&input.1, b"x").unwrap();
    assert_eq!(running.wait(), ExitStatus::Code(0));
    assert_eq!(drain(output.0), format!("{script}/dev/fd/4\0"));
}

#[test]
fn an_interpreters_own_ticket_is_no_script() {
    let scripts = [("/bin/report", "print", "interpreter")];
    let body = "(drop (call $args_get (i32.const 1024) (i32.const 2048)))
        (drop (call $args_sizes_get (i32.const 16) (i32.const 20)))
        (drop (call $write (i32.const 1) (i32.const 2048) (i32.load (i32.const 20))))";
    let container = Box::build(
        &[Guest::new("interpreter", body)],
        &scripts,
        Limits::default(),
    );
    assert_eq!(container.run(&["interpreter", "x"]).1, "interpreter\0x\0");
    assert_eq!(
        container.run(&["report", "x"]).1,
        "report\0-u\0/dev/fd/4\0x\0"
    );
}

#[test]
fn descriptors_handed_in_follow_the_root_directory() {
    let body = "(drop (call $write (i32.const 6) (i32.const 256) (i32.const 6)))
        (if (i32.ne (call $write (i32.const 5) (i32.const 256) (i32.const 6)) (i32.const 8)) (then unreachable))";
    let container = Box::new(&[Guest::new("writes", body)]);
    let (first, second) = (null().unwrap(), pipe());
    let spec = ProcessSpec {
        passed: vec![Some(first), None, Some(second.1)],
        ..spec(&["writes"])
    };
    assert_eq!(container.try_run(spec).0, Ok(ExitStatus::Code(0)));
    assert_eq!(drain(second.0), "hello\n");
}

#[test]
fn a_script_that_is_named_and_was_modified_is_recorded() {
    let scripts = [("/bin/report", "print(1)", "three")];
    let container = Box::build(&[Guest::new("three", "")], &scripts, Limits::default());
    write_executable(&container.root.join("bin/report"), "print(2)");
    let expected = Digest::of(b"print(1)");
    let named = ProcessSpec {
        target: ExecTarget::Digest(expected),
        ..spec(&["report"])
    };
    assert!(container.try_run(named).0.is_err());
    let records = container.records.lock().unwrap();
    assert_eq!(records.len(), 1);
    assert_eq!(records[0].path, "/bin/report");
    assert_eq!(records[0].digest, Some(Digest::of(b"print(2)")));
    assert_eq!(records[0].decision, Decision::Modified { expected });
}
