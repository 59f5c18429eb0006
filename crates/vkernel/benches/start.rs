//! From the start of a host process to the first instruction of its guest, with artifacts of
//! several sizes: a whole process, and what loading takes of it. Interleaved, medians.
//!
//! The process here is this program again, which is dynamic and holds a compiler: `megarun` has
//! less to start. The last row says how much this program's own start is.

#[path = "../tests/common/mod.rs"]
#[allow(dead_code, reason = "it uses a part")]
mod common;

use std::io::Read;
use std::os::fd::AsFd;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use common::{FD_WRITE, File, Guest, Images, open, prepare, ticket};
use vkernel::audit::Discard;
use vkernel::exec::ExecTarget;
use vkernel::kernel::{ExitStatus, Kernel, ProcessSpec, THREAD_STACK};
use wasm_encoder::InstructionSink;

const ROUNDS: usize = 40;
const SIZES: [usize; 3] = [60, 900, 9000];

/// Writes a byte to descriptor 1 at once.
fn says(sink: &mut InstructionSink<'_>) {
    let memory = wasm_encoder::MemArg {
        offset: 0,
        align: 2,
        memory_index: 0,
    };
    sink.i32_const(0).i32_const(1024).i32_store(memory);
    sink.i32_const(4).i32_const(1).i32_store(memory);
    sink.i32_const(1)
        .i32_const(0)
        .i32_const(1)
        .i32_const(8)
        .call(FD_WRITE)
        .drop();
}

/// Some kilobytes of code.
fn filler(sink: &mut InstructionSink<'_>) {
    let memory = wasm_encoder::MemArg {
        offset: 0,
        align: 2,
        memory_index: 0,
    };
    for at in 0..150 {
        sink.i32_const(at * 4);
        sink.i32_const(at * 8).i32_load(memory);
        sink.i32_const(at + 7).i32_mul().i32_store(memory);
    }
}

/// One program that says something, and so many others.
fn container(dir: &Path, fillers: usize) {
    let names = (0..fillers).map(|at| &*Box::leak(format!("filler{at}").into_boxed_str()));
    let mut guests: Vec<Guest> = names
        .map(|name| Guest {
            name,
            image: vec![1],
            body: filler,
        })
        .collect();
    let files: Vec<File> = guests
        .iter()
        .map(|guest| guest.name)
        .chain(["says"])
        .map(|name| ticket(&format!("/bin/{name}"), name))
        .collect();
    guests.push(Guest {
        name: "says",
        image: vec![b'.'],
        body: says,
    });
    std::fs::create_dir_all(dir).expect("a directory");
    prepare(dir, &guests, &files, &["write"], Images::Host);
}

fn run(kernel: &Kernel) {
    let stdout = std::io::stdout().as_fd().try_clone_to_owned();
    let status = kernel.run_here(ProcessSpec {
        target: ExecTarget::Path("/bin/says".into()),
        argv: vec![b"says".to_vec()],
        env: vec![b"PATH=/bin".to_vec()],
        cwd: b"/".to_vec(),
        umask: 0o022,
        stdio: [None, Some(stdout.expect("a descriptor")), None],
        passed: Vec::new(),
    });
    assert_eq!(status, Ok(ExitStatus::Code(0)));
}

/// From the start of a process with this argument to its first byte.
fn process(argument: &Path) -> Duration {
    let own = std::env::current_exe().expect("this program's path");
    let start = Instant::now();
    let mut child = Command::new(own)
        .arg("--child")
        .arg(argument)
        .stdout(Stdio::piped())
        .spawn()
        .expect("it starts");
    let mut byte = [0];
    let out = child.stdout.as_mut().expect("it is piped");
    out.read_exact(&mut byte).expect("a byte");
    let elapsed = start.elapsed();
    assert!(child.wait().is_ok_and(|status| status.success()));
    elapsed
}

fn child(argument: &Path) {
    if argument.as_os_str() == "nothing" {
        println!(".");
    } else {
        run(&open(argument, Box::new(Discard)));
    }
}

fn median(mut times: Vec<Duration>) -> String {
    times.sort();
    let at = |part: usize| times[times.len() * part / 4].as_secs_f64() * 1e3;
    format!("{:>8.2} ms   ({:.2} .. {:.2})", at(2), at(1), at(3))
}

fn measure() {
    let dir = tempfile::tempdir().expect("a directory");
    let dirs = SIZES.map(|size| dir.path().join(size.to_string()));
    for (dir, size) in dirs.iter().zip(SIZES) {
        container(dir, size);
    }
    let mut whole = [const { Vec::new() }; SIZES.len()];
    let mut loading = [const { Vec::new() }; SIZES.len()];
    let mut nothing = Vec::new();
    for _ in 0..ROUNDS {
        for (at, dir) in dirs.iter().enumerate() {
            whole[at].push(process(dir));
            let start = Instant::now();
            let kernel = open(dir, Box::new(Discard));
            loading[at].push(start.elapsed());
            drop(kernel);
        }
        nothing.push(process(Path::new("nothing")));
    }
    for (at, dir) in dirs.iter().enumerate() {
        let cache = std::fs::read_dir(dir.join("cache")).expect("a cache");
        let size = cache.map(|entry| entry.and_then(|entry| entry.metadata()));
        let size: u64 = size.map(|meta| meta.map_or(0, |meta| meta.len())).sum();
        let name = format!(
            "{} programs, artifact of {:.1} MB",
            SIZES[at] + 1,
            size as f64 / 1e6
        );
        println!(
            "{name:<44} to the first byte of its guest {}",
            median(whole[at].clone())
        );
        println!(
            "{:<44} loading plan and code          {}",
            "",
            median(loading[at].clone())
        );
    }
    println!(
        "{:<44} this program's own start       {}",
        "nothing",
        median(nothing)
    );
}

fn main() {
    let mut arguments = std::env::args_os().skip(1);
    let argument = match arguments.next() {
        Some(first) if first == "--child" => arguments.next(),
        _ => None,
    };
    // The guest runs on this thread.
    let stack = THREAD_STACK;
    let thread = std::thread::Builder::new().stack_size(stack);
    let work = move || match argument {
        Some(argument) => child(argument.as_ref()),
        None => measure(),
    };
    thread
        .spawn(work)
        .expect("a thread")
        .join()
        .expect("it measured");
}
