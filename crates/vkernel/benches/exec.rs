//! What executing costs inside the kernel, and what a host call costs, each beside its peer.
//!
//! Plain medians of many runs; the contenders of a group take turns, so that a busy machine
//! disturbs them alike, and every exec comes after those of all other programs. Audit goes to a
//! file, as it does where an operator wants one. Nothing here fails on time.

#[path = "../tests/common/mod.rs"]
#[allow(dead_code, reason = "it uses a part")]
mod common;
mod parts;
mod peers;

use std::fmt::Write as _;
use std::hint::black_box;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::time::{Duration, Instant};

use common::{FD_WRITE, File, Guest, IMAGE, Images, open, prepare, ticket};
use vkernel::audit::JsonLines;
use vkernel::exec::ExecTarget;
use vkernel::kernel::{ExitStatus, Kernel, ProcessSpec, THREAD_STACK};
use wasm_encoder::{BlockType, InstructionSink};

const ROUNDS: usize = 2000;
const WRITES: i32 = 200_000;

/// Writes one byte to descriptor 1 so many times that the exec around it does not count.
fn writes(sink: &mut InstructionSink<'_>) {
    let memory = wasm_encoder::MemArg {
        offset: 0,
        align: 2,
        memory_index: 0,
    };
    sink.i32_const(0).i32_const(IMAGE as i32).i32_store(memory);
    sink.i32_const(4).i32_const(1).i32_store(memory);
    sink.i32_const(WRITES).local_set(0);
    sink.loop_(BlockType::Empty);
    sink.i32_const(1)
        .i32_const(0)
        .i32_const(1)
        .i32_const(8)
        .call(FD_WRITE)
        .drop();
    sink.local_get(0)
        .i32_const(1)
        .i32_sub()
        .local_tee(0)
        .br_if(0);
    sink.end();
}

/// Reads a byte of every page of memory and writes to sixteen of them.
fn touches(sink: &mut InstructionSink<'_>) {
    let memory = wasm_encoder::MemArg {
        offset: 0,
        align: 0,
        memory_index: 0,
    };
    sink.memory_size(0).i32_const(16).i32_shl().local_set(0);
    sink.loop_(BlockType::Empty);
    sink.local_get(0).i32_const(4096).i32_sub().local_tee(0);
    sink.i32_load8_u(memory).drop();
    sink.local_get(0).br_if(0);
    sink.end();
    for page in 0..16 {
        sink.i32_const(page * 16384).i32_const(1).i32_store8(memory);
    }
}

const NAMES: [&str; 8] = [
    "true", "data64k", "data1m", "data8m", "uses1m", "uses8m", "writes", "stamps",
];

fn guests() -> Vec<Guest> {
    let guest = |name, size: usize| Guest {
        name,
        image: vec![7; size],
        body: |_| {},
    };
    let user = |name, size: usize| Guest {
        name,
        image: vec![7; size],
        body: touches,
    };
    vec![
        guest("true", 16),
        guest("data64k", 64 << 10),
        guest("data1m", 1 << 20),
        guest("data8m", 8 << 20),
        user("uses1m", 1 << 20),
        user("uses8m", 8 << 20),
        Guest {
            name: "writes",
            image: vec![b'x'],
            body: writes,
        },
        Guest {
            name: "stamps",
            image: vec![7; 16],
            body: parts::stamps,
        },
    ]
}

/// The programs' tickets and originals, and tickets without end of `true`.
fn files(tools: usize) -> Vec<File> {
    let mut files: Vec<File> = NAMES
        .into_iter()
        .map(|name| ticket(&format!("/bin/{name}"), name))
        .collect();
    for (name, size) in [("150k", 150 << 10), ("6m", 6 << 20), ("26m", 26 << 20)] {
        let mut contents = b"\x7fELF".to_vec();
        contents.resize(size, 1);
        files.push(File {
            path: format!("/bin/{name}"),
            contents,
            guest: "true",
        });
    }
    files.extend((0..tools).map(|number| ticket(&format!("/opt/tool{number}"), "true")));
    files
}

fn spec(target: ExecTarget) -> ProcessSpec {
    ProcessSpec {
        target,
        argv: vec![b"true".to_vec()],
        env: vec![b"PATH=/bin".to_vec()],
        cwd: b"/".to_vec(),
        umask: 0o022,
        stdio: [None, None, None],
        passed: Vec::new(),
    }
}

fn null() -> OwnedFd {
    std::fs::File::options()
        .write(true)
        .open("/dev/null")
        .expect("/dev/null")
        .into()
}

type Contender<'a> = (&'static str, usize, Box<dyn FnMut() + 'a>);

/// Runs the contenders in turns; appends each one's median, middle half, and ratio to the first.
fn race(report: &mut String, contenders: &mut [Contender<'_>]) {
    let mut times: Vec<Vec<Duration>> = contenders.iter().map(|_| Vec::new()).collect();
    let most = contenders
        .iter()
        .map(|contender| contender.1)
        .max()
        .unwrap_or(0);
    for round in 0..most {
        for ((_, rounds, run), times) in contenders.iter_mut().zip(&mut times) {
            if round < *rounds {
                let start = Instant::now();
                run();
                times.push(start.elapsed());
            }
        }
    }
    let mut first = None;
    for ((name, ..), times) in contenders.iter().zip(&mut times) {
        times.sort();
        let at = |part: usize| times[times.len() * part / 4].as_secs_f64() * 1e6;
        let (low, median, high) = (at(1), at(2), at(3));
        let ratio = median / *first.get_or_insert(median);
        let spread = format!("({low:.1} .. {high:.1})");
        let _ = writeln!(
            report,
            "{name:<56} {median:>10.1} us {spread:<22} {ratio:>8.2}"
        );
    }
}

fn execs(report: &mut String, kernel: &Kernel) {
    let run = |path: &'static str| {
        move || {
            let status = kernel.run_here(spec(ExecTarget::Path(path.into())));
            assert_eq!(status, Ok(ExitStatus::Code(0)));
        }
    };
    let digest = *kernel
        .plan()
        .named_for_path("/bin/true")
        .expect("it is there")
        .digest();
    race(
        report,
        &mut [
            (
                "true by its ticket, on the caller's thread",
                ROUNDS,
                Box::new(run("/bin/true")),
            ),
            (
                "finding true: path, open, SHA-256, manifest",
                ROUNDS,
                Box::new(|| {
                    let path = ExecTarget::Path("/bin/true".into());
                    assert!(kernel.check(&path, &[], b"/").is_ok());
                }),
            ),
            (
                "true by digest, on the caller's thread",
                ROUNDS,
                Box::new(|| {
                    let status = kernel.run_here(spec(ExecTarget::Digest(digest)));
                    assert_eq!(status, Ok(ExitStatus::Code(0)));
                }),
            ),
            (
                "64 KiB of initial data",
                ROUNDS,
                Box::new(run("/bin/data64k")),
            ),
            ("1 MiB of initial data", 500, Box::new(run("/bin/data1m"))),
            ("8 MiB of initial data", 100, Box::new(run("/bin/data8m"))),
            (
                "1 MiB, all pages read and 16 written",
                500,
                Box::new(run("/bin/uses1m")),
            ),
            (
                "8 MiB, all pages read and 16 written",
                100,
                Box::new(run("/bin/uses8m")),
            ),
            (
                "original of 150 KiB, hashed",
                500,
                Box::new(run("/bin/150k")),
            ),
            ("original of 6 MiB, hashed", 50, Box::new(run("/bin/6m"))),
            ("original of 26 MiB, hashed", 20, Box::new(run("/bin/26m"))),
        ],
    );
    // Apart from the others: when a thread is gone the host still clears up after it, and whoever
    // executes next waits for that.
    race(
        report,
        &mut [
            (
                "true by its ticket, behind the thread of another",
                ROUNDS,
                Box::new(run("/bin/true")),
            ),
            (
                "true by its ticket, on a thread of its own",
                ROUNDS,
                Box::new(|| {
                    let running = kernel.spawn(spec(ExecTarget::Path("/bin/true".into())));
                    assert_eq!(running.expect("it starts").wait(), ExitStatus::Code(0));
                }),
            ),
        ],
    );
}

/// What others offer to run a program once, started and waited for.
fn others(report: &mut String, kernel: &Kernel, dir: &Path) {
    let mut contenders: Vec<Contender<'_>> = vec![(
        "true by its ticket, on the caller's thread",
        ROUNDS,
        Box::new(|| {
            let status = kernel.run_here(spec(ExecTarget::Path("/bin/true".into())));
            assert_eq!(status, Ok(ExitStatus::Code(0)));
        }),
    )];
    contenders.extend(peers::all(dir));
    race(report, &mut contenders);
}

/// The same module under wasmtime-wasi, for the cost of one of its calls.
fn reference(wasm: &[u8]) -> impl FnMut() {
    use wasmtime_wasi::p1;
    let engine = wasmtime::Engine::new(&vkernel::engine::config(vkernel::engine::Code::Plain))
        .expect("an engine");
    let module = wasmtime::Module::new(&engine, wasm).expect("a module");
    let mut linker = wasmtime::Linker::new(&engine);
    p1::add_to_linker_sync(&mut linker, |context: &mut p1::WasiP1Ctx| context).expect("linked");
    // What programs do to each other it does not have, and is not asked.
    linker
        .define_unknown_imports_as_traps(&module)
        .expect("stubs");
    move || {
        let context = wasmtime_wasi::WasiCtxBuilder::new().build_p1();
        let mut store = wasmtime::Store::new(&engine, context);
        store.set_epoch_deadline(1);
        let instance = linker
            .instantiate(&mut store, &module)
            .expect("an instance");
        let start = instance.get_typed_func::<(), ()>(&mut store, "writes_start");
        start
            .expect("exported")
            .call(&mut store, ())
            .expect("it runs");
    }
}

fn host_calls(report: &mut String, kernel: &Kernel, wasm: &[u8]) {
    let raw = null();
    let mut reference = reference(wasm);
    let mut lines = String::new();
    race(
        &mut lines,
        &mut [
            (
                "fd_write of 1 byte to /dev/null",
                15,
                Box::new(|| {
                    let stdio = [None, Some(null()), None];
                    let target = ExecTarget::Path("/bin/writes".into());
                    let status = kernel.run_here(ProcessSpec {
                        stdio,
                        ..spec(target)
                    });
                    assert_eq!(status, Ok(ExitStatus::Code(0)));
                }),
            ),
            (
                "peer: raw writev of 1 byte to /dev/null",
                15,
                Box::new(|| {
                    for _ in 0..WRITES {
                        let vectors = [std::io::IoSlice::new(b"x")];
                        black_box(rustix::io::writev(&raw, &vectors)).expect("it takes it");
                    }
                }),
            ),
            (
                "peer: wasmtime-wasi's fd_write of 1 byte to a sink",
                5,
                Box::new(&mut reference),
            ),
        ],
    );
    let _ = writeln!(report, "{WRITES} calls each:\n{lines}");
}

fn measure() {
    let mut report = String::new();
    for (tools, images) in [
        (10, Images::Guest),
        (10, Images::Host),
        (1000, Images::Host),
        (10_000, Images::Host),
    ] {
        let dir = tempfile::tempdir().expect("a directory");
        let (guests, files) = (guests(), files(tools));
        prepare(
            dir.path(),
            &guests,
            &files,
            &["write", "writev", "clock_gettime"],
            images,
        );
        let audit = std::fs::File::create(dir.path().join("audit")).expect("a file");
        let kernel = open(dir.path(), Box::new(JsonLines::new(audit)));
        let who = if images == Images::Host {
            "the host"
        } else {
            "the guest"
        };
        let total = kernel.plan().len();
        let _ = writeln!(
            report,
            "exec in a kernel with {total} tools, images laid by {who}"
        );
        execs(&mut report, &kernel);
        parts::of_an_exec(&mut report, &kernel);
        eprintln!("exec with {total} tools, images laid by {who}: done");
        if tools == 10 && images == Images::Host {
            let _ = writeln!(report, "others, beside the same kernel");
            others(&mut report, &kernel, dir.path());
        }
        if tools == 10 && images == Images::Guest {
            host_calls(&mut report, &kernel, &common::wasm(&guests, &files));
        } else if tools == 10_000 {
            let bytes = kernel.plan().encode();
            race(
                &mut report,
                &mut [(
                    "reading its plan",
                    200,
                    Box::new(|| {
                        assert!(vkernel::plan::Plan::decode(black_box(&bytes)).is_ok());
                    }),
                )],
            );
        }
    }
    println!("{report}");
}

fn main() {
    // `cargo test --benches` runs this as well, to see that it still works.
    let stack = THREAD_STACK;
    let thread = std::thread::Builder::new().stack_size(stack).spawn(measure);
    thread.expect("a thread").join().expect("it measured");
}
