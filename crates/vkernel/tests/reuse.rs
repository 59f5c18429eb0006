//! Memories are used again also where the process has given up its user: what the host tells it
//! about its memory must be asked for before. A program of its own, because it changes its user.
#![allow(clippy::unwrap_used, missing_docs)]

#[allow(dead_code, reason = "it uses a part")]
mod common;

use common::{Guest, Images, kernel, ticket};
use vkernel::exec::ExecTarget;
use vkernel::kernel::{ExitStatus, Kernel, ProcessSpec};
use wasm_encoder::InstructionSink;

const USER: u32 = 1000;
const RUNS: usize = 50;

/// Spoils all of its memory, if that is as it should be.
fn spoil(sink: &mut InstructionSink<'_>) {
    let memory = wasm_encoder::MemArg {
        offset: 0,
        align: 0,
        memory_index: 0,
    };
    // The image is sevens from 1024 on; behind it, at the end of the memory, are zeros.
    for (address, expected) in [(1023, 0), (1024, 7), (1024 + 99_999, 7), (131_071, 0)] {
        sink.i32_const(address).i32_load8_u(memory);
        sink.i32_const(expected)
            .i32_ne()
            .if_(wasm_encoder::BlockType::Empty)
            .unreachable()
            .end();
    }
    sink.i32_const(0)
        .i32_const(0xaa)
        .memory_size(0)
        .i32_const(16)
        .i32_shl()
        .memory_fill(0);
}

fn run(kernel: &Kernel) {
    let spec = ProcessSpec {
        target: ExecTarget::Path("/bin/spoil".into()),
        argv: vec![b"spoil".to_vec()],
        env: Vec::new(),
        cwd: b"/".to_vec(),
        umask: 0o022,
        stdio: [None, None, None],
        passed: Vec::new(),
    };
    assert_eq!(kernel.run_here(spec), Ok(ExitStatus::Code(0)));
}

/// Page faults of this thread in so many runs, once the first ones are over.
fn faults(kernel: &Kernel) -> i64 {
    let faults = || {
        // SAFETY: all-zero is a valid `rusage`, which the call fills.
        unsafe {
            let mut usage: libc::rusage = std::mem::zeroed();
            assert_eq!(libc::getrusage(libc::RUSAGE_THREAD, &mut usage), 0);
            usage.ru_minflt
        }
    };
    run(kernel);
    run(kernel);
    let before = faults();
    (0..RUNS).for_each(|_| run(kernel));
    faults() - before
}

#[test]
fn memories_are_used_again_as_an_ordinary_user_and_without_the_page_map_safely_dropped() {
    let dir = tempfile::tempdir().unwrap();
    let guests = [Guest {
        name: "spoil",
        image: vec![7; 100_000],
        body: spoil,
    }];
    let files = [ticket("/bin/spoil", "spoil")];
    for path in [dir.path(), &dir.path().join("root")] {
        std::fs::create_dir_all(path).unwrap();
        use std::os::unix::fs::PermissionsExt;
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o755)).unwrap();
    }
    let before = kernel(dir.path(), &guests, &files, &[], Images::Host);
    let root = rustix::process::geteuid().is_root();
    let thread = std::thread::Builder::new().stack_size(16 << 20);
    let changed = thread.spawn(move || {
        if root {
            // SAFETY: plain system calls, made raw so that they change this thread alone.
            unsafe {
                let none = std::ptr::null::<libc::gid_t>();
                assert_eq!(libc::syscall(libc::SYS_setgroups, 0, none), 0);
                assert_eq!(libc::syscall(libc::SYS_setresgid, USER, USER, USER), 0);
                assert_eq!(libc::syscall(libc::SYS_setresuid, USER, USER, USER), 0);
            }
        }
        let reused = faults(&before);
        assert!(
            reused < RUNS as i64,
            "{reused} page faults: nothing is kept"
        );

        if root {
            assert!(std::fs::File::open("/proc/self/pagemap").is_err());
            let own = tempfile::tempdir().unwrap();
            let after = kernel(own.path(), &guests, &files, &[], Images::Host);
            let dropped = faults(&after);
            assert!(
                dropped > 20 * RUNS as i64,
                "{dropped} page faults: what was asked?"
            );
        }
    });
    changed.unwrap().join().unwrap();
}
