//! Bytes through a pipe from one guest to another, beside two native programs that make the same
//! system calls.

#[path = "../tests/common/mod.rs"]
#[allow(dead_code, reason = "it uses a part")]
mod common;
#[path = "../../../bench/row.rs"]
mod row;

use std::os::fd::OwnedFd;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Instant;

use common::{FD_READ, FD_WRITE, Guest, IMAGE, Images, kernel, ticket};
use vkernel::exec::ExecTarget;
use vkernel::kernel::{ExitStatus, Kernel, ProcessSpec, Running};
use wasm_encoder::{BlockType, InstructionSink, MemArg};

const ROUNDS: usize = 15;
/// Bytes a round.
const BYTES: i32 = 128 << 20;
const SMALL: i32 = 4 << 10;
const LARGE: i32 = 64 << 10;

fn word(offset: u64) -> MemArg {
    MemArg {
        offset,
        align: 2,
        memory_index: 0,
    }
}

/// The vector of each call: so many bytes of the image.
fn vector(sink: &mut InstructionSink<'_>, size: i32) {
    sink.i32_const(0).i32_const(IMAGE as i32).i32_store(word(0));
    sink.i32_const(0).i32_const(size).i32_store(word(4));
}

fn writes<const SIZE: i32>(sink: &mut InstructionSink<'_>) {
    vector(sink, SIZE);
    sink.i32_const(BYTES / SIZE).local_set(0);
    sink.loop_(BlockType::Empty);
    sink.i32_const(1)
        .i32_const(0)
        .i32_const(1)
        .i32_const(8)
        .call(FD_WRITE);
    sink.if_(BlockType::Empty).unreachable().end();
    sink.i32_const(0).i32_load(word(8)).i32_const(SIZE).i32_ne();
    sink.if_(BlockType::Empty).unreachable().end();
    sink.local_get(0).i32_const(1).i32_sub();
    sink.local_tee(0).br_if(0).end();
}

/// To the end.
fn reads<const SIZE: i32>(sink: &mut InstructionSink<'_>) {
    vector(sink, SIZE);
    sink.loop_(BlockType::Empty);
    sink.i32_const(0)
        .i32_const(0)
        .i32_const(1)
        .i32_const(8)
        .call(FD_READ);
    sink.if_(BlockType::Empty).unreachable().end();
    sink.i32_const(0).i32_load(word(8)).br_if(0).end();
}

/// The same in C.
const NATIVE: &str = "#include <stdlib.h>\n#include <string.h>\n#include <unistd.h>\n\
    int main(int argc, char **argv) {\n\
    int size = atoi(argv[2]); char *bytes = malloc(size); memset(bytes, 7, size);\n\
    if (*argv[1] == 'w') { for (int n = atoi(argv[3]) / size; n; n--)\n\
    if (write(1, bytes, size) != size) return 1; return 0; }\n\
    for (;;) { long n = read(0, bytes, size); if (n <= 0) return n != 0; } }\n";

fn start(kernel: &Kernel, name: &str, stdio: [Option<OwnedFd>; 3]) -> Running {
    let spec = ProcessSpec {
        target: ExecTarget::Path(format!("/bin/{name}").into_bytes()),
        argv: vec![name.into()],
        env: Vec::new(),
        cwd: b"/".to_vec(),
        umask: 0o022,
        stdio,
        passed: Vec::new(),
    };
    kernel.spawn(spec).expect("it starts")
}

/// Gigabytes a second.
fn rate(start: Instant) -> f64 {
    f64::from(BYTES) / start.elapsed().as_secs_f64() / 1e9
}

fn guests(kernel: &Kernel, size: &str) -> f64 {
    let (read, write) = rustix::pipe::pipe().expect("a pipe");
    let began = Instant::now();
    let reader = start(kernel, &format!("reads-{size}"), [Some(read), None, None]);
    let writer = start(kernel, &format!("writes-{size}"), [None, Some(write), None]);
    assert_eq!(writer.wait(), ExitStatus::Code(0));
    assert_eq!(reader.wait(), ExitStatus::Code(0));
    rate(began)
}

fn natives(program: &Path, size: i32) -> f64 {
    let (size, bytes) = (size.to_string(), BYTES.to_string());
    let began = Instant::now();
    let mut writer = Command::new(program)
        .args(["w", &size, &bytes])
        .stdout(Stdio::piped())
        .spawn()
        .expect("it starts");
    let pipe = writer.stdout.take().expect("it was asked for");
    let reader = Command::new(program)
        .args(["r", &size])
        .stdin(pipe)
        .status();
    assert!(reader.is_ok_and(|status| status.success()));
    assert!(writer.wait().is_ok_and(|status| status.success()));
    rate(began)
}

fn main() {
    let dir = tempfile::tempdir().expect("a directory");
    let guest = |name, body| Guest {
        name,
        image: vec![7; 1 << 17],
        body,
    };
    let programs = [
        guest("reads-small", reads::<SMALL>),
        guest("writes-small", writes::<SMALL>),
        guest("reads-large", reads::<LARGE>),
        guest("writes-large", writes::<LARGE>),
    ];
    let files = ["reads-small", "writes-small", "reads-large", "writes-large"]
        .map(|name| ticket(&format!("/bin/{name}"), name));
    let rights = ["read", "readv", "write", "writev"];
    let kernel = kernel(dir.path(), &programs, &files, &rights, Images::Host);
    let peer = dir.path().join("native");
    std::fs::write(dir.path().join("native.c"), NATIVE).expect("a file");
    let mut cc = Command::new("cc");
    cc.args(["-O2", "-o"]).arg(&peer);
    let made = cc.arg(dir.path().join("native.c")).status();
    let made = made.is_ok_and(|status| status.success());
    let mut rates: [Vec<f64>; 4] = Default::default();
    for _ in 0..ROUNDS {
        rates[0].push(guests(&kernel, "large"));
        rates[2].push(guests(&kernel, "small"));
        if made {
            rates[1].push(natives(&peer, LARGE));
            rates[3].push(natives(&peer, SMALL));
        }
    }
    let names = [
        "a pipe between two guests, 64 KiB a call",
        "peer: between two native programs",
        "a pipe between two guests, 4 KiB a call",
        "peer: between two native programs",
    ];
    for (name, rates) in names.into_iter().zip(rates) {
        match rates.is_empty() {
            true => eprintln!("no C compiler (apt-get install gcc libc6-dev): no row {name:?}"),
            false => row::row(name, "GB/s", rates),
        }
    }
}
