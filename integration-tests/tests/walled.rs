//! Every guest in a real container, behind the runtime's own seccomp allowlist: each command line of
//! `guests/cases/` comes to what the table says; a call that the allowlist lacks would have
//! killed the container. And from inside such a process the calls of an intruder kill it.

#![allow(clippy::unwrap_used, reason = "a test ends where it must not go on")]

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use integration_tests::cases::{self, Case};
use integration_tests::command::{run, run_leaving, run_with};
use integration_tests::copies::Copies;
use integration_tests::node::Node;
use integration_tests::parallel::in_parallel;
use integration_tests::subject;
use serde_json::{Value, json};

/// 128 + SIGSYS.
const KILLED_BY_A_WALL: i32 = 159;

fn edit(bundle: &Path, change: impl FnOnce(&mut Value)) {
    let path = bundle.join("config.json");
    let mut config: Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
    change(&mut config);
    std::fs::write(&path, config.to_string()).unwrap();
}

/// What the case comes to in a bundle with a root file system of its own.
fn in_a_container(node: &Node, bundle: &Path, roots: &Copies, case: &Case, number: usize) {
    let copy = roots.take();
    std::fs::copy(
        bundle.join("config.json"),
        copy.folder().join("config.json"),
    )
    .unwrap();
    edit(copy.folder(), |config| {
        config["process"]["args"] = json!(case.run)
    });
    let id = format!("walled-{}-{number}", std::process::id());
    let mut command = node.megarun(&["run", "--bundle", copy.folder().to_str().unwrap(), &id]);
    let output = run_with(&mut command, case.stdin.as_bytes());
    roots.give_back(copy);
    let said = output.out() + &output.err();
    assert_ne!(output.code, KILLED_BY_A_WALL, "{:?}: {said}", case.run);
    let (exit, shows) = match &case.container {
        Some(claim) => (claim.exit, Some(&claim.shows)),
        None => (case.exit, case.shows.as_ref()),
    };
    if !case.trap {
        assert_eq!(output.code, exit, "{:?}: {said}", case.run);
    }
    if let Some(part) = shows {
        assert!(said.contains(part.as_str()), "{:?}: {said}", case.run);
    }
}

#[test]
fn every_guest_lives_behind_the_wall() {
    let node = Node::new();
    let bundle = node.bundle(&subject::recipe("test"), "suite", &["/usr/bin/true"]);
    let beside = ["container.wasm", "manifest.json"].map(|name| bundle.join(name));
    let roots = Copies::new(&bundle.join("rootfs"), &beside);
    let cases = cases::load(&subject::guests());
    let numbered: Vec<(usize, &Case)> = cases.iter().enumerate().collect();
    in_parallel(&numbered, |(number, case)| {
        in_a_container(&node, &bundle, &roots, case, *number);
    });
    assert_eq!(node.containers(), [""; 0]);
}

/// Stops the process `pid` in a system call. `create` returns before the process inside has come to
/// the one in which it waits, so it may be between two at first.
fn stop_in_a_call(pid: i32) -> libc::user_regs_struct {
    let limit = Instant::now() + Duration::from_secs(30);
    loop {
        let mut status = 0;
        // SAFETY: the process is this test's own container; the registers are read into a
        // structure of the kernel's layout, for which all zeros are a value.
        let registers = unsafe {
            check(libc::ptrace(libc::PTRACE_ATTACH, pid, 0, 0), "attaching");
            check(
                libc::waitpid(pid, &raw mut status, libc::__WALL).into(),
                "waiting",
            );
            let mut registers: libc::user_regs_struct = std::mem::zeroed();
            check(
                libc::ptrace(libc::PTRACE_GETREGS, pid, 0, &raw mut registers),
                "reading",
            );
            registers
        };
        if registers.orig_rax.cast_signed() >= 0 {
            return registers;
        }
        assert!(Instant::now() < limit, "the process waits in no call");
        // SAFETY: as above.
        check(
            unsafe { libc::ptrace(libc::PTRACE_DETACH, pid, 0, 0) },
            "letting go",
        );
        std::thread::sleep(Duration::from_millis(1));
    }
}

fn check(done: i64, what: &str) {
    assert!(done >= 0, "{what}: {}", std::io::Error::last_os_error());
}

/// Makes `number` with `args` from inside the process `pid`, which waits in a system call. Returns
/// the signal that ended it.
fn intrude(pid: i32, number: i64, args: [u64; 3]) -> Option<i32> {
    let mut registers = stop_in_a_call(pid);
    let mut status = 0;
    // SAFETY: the process is this test's own container, stopped; the registers are written from a
    // structure of the kernel's layout.
    unsafe {
        // Back onto the instruction that it waits in, with another call.
        registers.rip -= 2;
        registers.rax = number.cast_unsigned();
        registers.orig_rax = u64::MAX;
        [registers.rdi, registers.rsi, registers.rdx] = args;
        check(
            libc::ptrace(libc::PTRACE_SETREGS, pid, 0, &raw const registers),
            "writing",
        );
        check(libc::ptrace(libc::PTRACE_SINGLESTEP, pid, 0, 0), "going on");
        check(
            libc::waitpid(pid, &raw mut status, libc::__WALL).into(),
            "waiting",
        );
        if libc::WIFSIGNALED(status) {
            return Some(libc::WTERMSIG(status));
        }
        libc::ptrace(libc::PTRACE_KILL, pid, 0, 0);
    }
    None
}

#[test]
fn an_intruders_call_kills_the_container() {
    let node = Node::new();
    let bundle: PathBuf = node.bundle(&subject::recipe("demo"), "broken", &["/usr/bin/true"]);
    edit(&bundle, |config| {
        // The wall is the runtime's own: nothing of config.json stands before it.
        config["linux"].as_object_mut().unwrap().remove("seccomp");
        // Waits, in one thread, in a system call.
        config["process"]["args"] = json!(["/usr/bin/true"]);
    });
    let text = bundle.to_str().unwrap();
    for (number, args) in [
        (libc::SYS_execve, [0; 3]),
        (libc::SYS_ptrace, [0; 3]),
        (libc::SYS_mount, [0; 3]),
        (libc::SYS_bpf, [0; 3]),
        (libc::SYS_keyctl, [0; 3]),
        (libc::SYS_unshare, [0; 3]),
        (libc::SYS_fork, [0; 3]),
        (libc::SYS_setuid, [0; 3]),
        (libc::SYS_kill, [1, 0, 0]),
        (libc::SYS_io_uring_setup, [0; 3]),
        (libc::SYS_mprotect, [0, 0, 4]),
        (libc::SYS_socket, [16, 3, 0]),
        (libc::SYS_ioctl, [0, libc::TIOCSTI, 0]),
        (libc::SYS_reboot, [0; 3]),
    ] {
        let id = format!("broken-{}-{number}", std::process::id());
        run_leaving(&mut node.megarun(&["create", "--bundle", text, &id])).success();
        let state = run(&mut node.megarun(&["state", &id])).success().out();
        let state: Value = serde_json::from_str(&state).unwrap();
        let pid = i32::try_from(state["pid"].as_i64().unwrap()).unwrap();
        assert_eq!(
            intrude(pid, number, args),
            Some(libc::SIGSYS),
            "call {number}"
        );
        run(&mut node.megarun(&["delete", "--force", &id])).success();
    }
    // What it may do does not: the test tells the difference.
    let id = format!("broken-{}-fine", std::process::id());
    run_leaving(&mut node.megarun(&["create", "--bundle", text, &id])).success();
    let state = run(&mut node.megarun(&["state", &id])).success().out();
    let state: Value = serde_json::from_str(&state).unwrap();
    let pid = i32::try_from(state["pid"].as_i64().unwrap()).unwrap();
    assert_eq!(intrude(pid, libc::SYS_getpid, [0; 3]), None);
    run(&mut node.megarun(&["delete", "--force", &id])).success();
}
