//! A process that starts another and waits for it, from inside: what a shell's simple command and
//! its command substitution cost the guest that makes them.

#[path = "../tests/common/mod.rs"]
#[allow(dead_code, reason = "it uses a part")]
mod common;
#[path = "../../../bench/row.rs"]
mod row;

use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use common::{FD_CLOSE, FD_READ, Guest, IMAGE, Images, PIPE, SPAWN, WAIT, open, prepare, ticket};
use vkernel::audit::JsonLines;
use vkernel::exec::ExecTarget;
use vkernel::kernel::{ExitStatus, Kernel, ProcessSpec, THREAD_STACK};
use wasm_encoder::{BlockType, InstructionSink, MemArg};

const ROUNDS: usize = 40;
/// Children of one parent.
const CHILDREN: i32 = 200;

/// Where the parts of the image lie: the request, its actions, the arguments, the name.
const ACTIONS: u32 = IMAGE + 56;
const ARGUMENTS: u32 = ACTIONS + 24;
const NAME: u32 = ARGUMENTS + 8;
const PROGRAM: &str = "/bin/true";

/// A `spawn_request` for `true` with so many actions, and what it refers to.
fn image(actions: u32) -> Vec<u8> {
    let request = [
        0,
        NAME,
        PROGRAM.len() as u32,
        ARGUMENTS,
        0,
        0,
        ACTIONS,
        actions,
    ];
    let mut words = [0u32; 22];
    words[..8].copy_from_slice(&request);
    // The action: the second end of the pipe, whose number is yet to come, as descriptor 1.
    words[14] = 1;
    words[16] = 1;
    words[20] = NAME;
    let mut bytes: Vec<u8> = words.iter().flat_map(|word| word.to_le_bytes()).collect();
    bytes.extend_from_slice(PROGRAM.as_bytes());
    bytes.push(0);
    bytes
}

fn word(offset: u32) -> MemArg {
    MemArg {
        offset: u64::from(offset),
        align: 2,
        memory_index: 0,
    }
}

/// Traps unless the call that was just made gave 0.
fn must(sink: &mut InstructionSink<'_>) {
    sink.if_(BlockType::Empty).unreachable().end();
}

fn load(sink: &mut InstructionSink<'_>, at: u32) {
    sink.i32_const(0).i32_load(word(at));
}

fn spawn(sink: &mut InstructionSink<'_>) {
    sink.i32_const(IMAGE as i32).i32_const(16).call(SPAWN);
    must(sink);
}

fn wait(sink: &mut InstructionSink<'_>) {
    load(sink, 16);
    sink.i32_const(0).i32_const(20).i32_const(24).call(WAIT);
    must(sink);
    load(sink, 24);
    must(sink);
}

fn repeated(sink: &mut InstructionSink<'_>, body: impl FnOnce(&mut InstructionSink<'_>)) {
    sink.i32_const(CHILDREN).local_set(0);
    sink.loop_(BlockType::Empty);
    body(sink);
    sink.local_get(0).i32_const(1).i32_sub();
    sink.local_tee(0).br_if(0).end();
}

fn at_once(sink: &mut InstructionSink<'_>) {
    repeated(sink, |sink| {
        spawn(sink);
        wait(sink);
    });
}

/// Reads a pipe to its end before it waits.
fn through_a_pipe(sink: &mut InstructionSink<'_>) {
    repeated(sink, |sink| {
        sink.i32_const(40).i32_const(1).call(PIPE);
        must(sink);
        sink.i32_const(0);
        load(sink, 44);
        sink.i32_store(word(ACTIONS + 4));
        spawn(sink);
        load(sink, 44);
        sink.call(FD_CLOSE);
        must(sink);
        sink.i32_const(0).i32_const(64).i32_store(word(48));
        sink.i32_const(0).i32_const(64).i32_store(word(52));
        load(sink, 40);
        sink.i32_const(48).i32_const(1).i32_const(56).call(FD_READ);
        must(sink);
        load(sink, 56);
        must(sink);
        wait(sink);
        load(sink, 40);
        sink.call(FD_CLOSE);
        must(sink);
    });
}

fn run(kernel: &Kernel, name: &str) -> Duration {
    let spec = ProcessSpec {
        target: ExecTarget::Path(format!("/bin/{name}").into_bytes()),
        argv: vec![name.into()],
        env: Vec::new(),
        cwd: b"/".to_vec(),
        umask: 0o022,
        stdio: [None, None, None],
        passed: Vec::new(),
    };
    let start = Instant::now();
    assert_eq!(kernel.run_here(spec), Ok(ExitStatus::Code(0)));
    start.elapsed() / CHILDREN as u32
}

/// What a native parent pays for a native child.
fn native(program: &std::path::Path, piped: bool) -> Duration {
    let start = Instant::now();
    let mut command = Command::new(program);
    if piped {
        let output = command.output();
        assert!(output.is_ok_and(|output| output.status.success()));
    } else {
        let status = command.stdin(Stdio::null()).status();
        assert!(status.is_ok_and(|status| status.success()));
    }
    start.elapsed()
}

fn measure() {
    let dir = tempfile::tempdir().expect("a directory");
    let guest = |name, image, body| Guest { name, image, body };
    let guests = [
        guest("true", vec![7; 16], |_| {}),
        guest("at-once", image(0), at_once),
        guest("piped", image(1), through_a_pipe),
    ];
    let files = ["true", "at-once", "piped"].map(|name| ticket(&format!("/bin/{name}"), name));
    let rights = [
        "vfork", "execve", "wait4", "pipe2", "read", "readv", "close",
    ];
    prepare(dir.path(), &guests, &files, &rights, Images::Host);
    let audit = std::fs::File::create(dir.path().join("audit")).expect("a file");
    let kernel = open(dir.path(), Box::new(JsonLines::new(audit)));
    let peer = dir.path().join("native");
    std::fs::write(dir.path().join("native.c"), "int main(void) { return 0; }").expect("a file");
    let mut cc = Command::new("cc");
    cc.args(["-O2", "-static", "-o"]).arg(&peer);
    let made = cc.arg(dir.path().join("native.c")).status();
    let made = made.is_ok_and(|status| status.success());
    let mut times: [Vec<Duration>; 4] = Default::default();
    for _ in 0..ROUNDS {
        times[0].push(run(&kernel, "at-once"));
        times[1].push(run(&kernel, "piped"));
        if made {
            times[2].extend((0..10).map(|_| native(&peer, false)));
            times[3].extend((0..10).map(|_| native(&peer, true)));
        }
    }
    let names = [
        "spawn of true, waited for at once",
        "spawn of true, its output read from a pipe",
        "peer: posix_spawn and wait, static glibc",
        "peer: the same, its output read from a pipe",
    ];
    for (name, times) in names.into_iter().zip(times) {
        match times.is_empty() {
            true => eprintln!("no C compiler (apt-get install gcc libc6-dev): no row {name:?}"),
            false => row::times(name, &times),
        }
    }
}

fn main() {
    let thread = std::thread::Builder::new()
        .stack_size(THREAD_STACK)
        .spawn(measure);
    thread.expect("a thread").join().expect("it measured");
}
