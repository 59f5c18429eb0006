//! Where the time of an exec goes: a guest notes when it began and hands that over as the last thing
//! it does.

use std::fmt::Write as _;
use std::io::{Read, Seek, SeekFrom};

use rustix::fs::MemfdFlags;
use rustix::time::{ClockId, clock_gettime};
use vkernel::exec::ExecTarget;
use vkernel::kernel::{ExitStatus, Kernel, ProcessSpec};
use wasm_encoder::InstructionSink;

use super::common::{CLOCK_TIME_GET, FD_WRITE};
use super::{ROUNDS, spec};

/// Writes the time of its first and of its last instruction but for this write, in nanoseconds.
pub fn stamps(sink: &mut InstructionSink<'_>) {
    const MONOTONIC: i32 = 1;
    let memory = wasm_encoder::MemArg {
        offset: 0,
        align: 2,
        memory_index: 0,
    };
    // Two stamps from 0 on; behind them one buffer, of both.
    for at in [0, 8] {
        sink.i32_const(MONOTONIC).i64_const(0).i32_const(at);
        sink.call(CLOCK_TIME_GET).drop();
    }
    sink.i32_const(16).i32_const(0).i32_store(memory);
    sink.i32_const(20).i32_const(16).i32_store(memory);
    sink.i32_const(1).i32_const(16).i32_const(1).i32_const(24);
    sink.call(FD_WRITE).drop();
}

/// Nanoseconds of the clock that the guest reads.
fn now() -> u64 {
    let time = clock_gettime(ClockId::Monotonic);
    time.tv_sec as u64 * 1_000_000_000 + time.tv_nsec as u64
}

/// Appends what an exec by ticket takes before the guest's first instruction, and after its last.
pub fn of_an_exec(report: &mut String, kernel: &Kernel) {
    let (mut finding, mut before, mut after) = (Vec::new(), Vec::new(), Vec::new());
    let file = rustix::fs::memfd_create("stamps", MemfdFlags::CLOEXEC).expect("a file");
    let mut file = std::fs::File::from(file);
    let path = || ExecTarget::Path("/bin/stamps".into());
    for _ in 0..ROUNDS {
        let called = now();
        assert!(kernel.check(&path(), &[], b"/").is_ok());
        finding.push(now() - called);

        file.seek(SeekFrom::Start(0)).expect("a file");
        let out = file.try_clone().expect("a descriptor").into();
        let spec = ProcessSpec {
            stdio: [None, Some(out), None],
            ..spec(path())
        };
        let called = now();
        let status = kernel.run_here(spec);
        let returned = now();
        assert_eq!(status, Ok(ExitStatus::Code(0)));

        file.seek(SeekFrom::Start(0)).expect("a file");
        let mut stamps = [0; 16];
        file.read_exact(&mut stamps).expect("the guest's stamps");
        let stamp = |at: usize| {
            let bytes = stamps[at..at + 8].try_into().expect("eight bytes");
            u64::from_le_bytes(bytes)
        };
        before.push(stamp(0) - called);
        after.push(returned - stamp(8));
    }
    let parts = [
        ("  of which finding it", &mut finding),
        (
            "  of which before its first instruction, with finding it",
            &mut before,
        ),
        (
            "  of which after its last, with a write of 16 bytes",
            &mut after,
        ),
    ];
    for (what, times) in parts {
        times.sort_unstable();
        let at = |part: usize| times[times.len() * part / 4] as f64 / 1e3;
        let spread = format!("({:.1} .. {:.1})", at(1), at(3));
        let _ = writeln!(report, "{what:<56} {:>10.1} us {spread}", at(2));
    }
}
