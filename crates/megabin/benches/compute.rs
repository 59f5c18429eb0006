//! Compute-heavy programs, each as it came beside the same one linked with all the others and folded,
//! beside itself without the checks that let running code be stopped, and beside Debian's native
//! build of the same source: the processor's time, with the engine's settings as shipped but for
//! those checks. All take turns, so that a busy machine disturbs them alike. Nothing here fails on
//! time; a program that is not among the guests has no row, and one that is not installed no native
//! figure.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use megabin::link::{Folding, Program, Request, Target, link};
use megabin::precompile::settings;
use megabinary::digest::Digest;
use wasmtime::{Engine, Linker, Module, Store};
use wasmtime_wasi::p1::{self, WasiP1Ctx};
use wasmtime_wasi::p2::pipe::{MemoryInputPipe, SinkOutputStream};
use wasmtime_wasi::{FsPerms, I32Exit, WasiCtxBuilder};

const ROUNDS: usize = 15;

/// A guest, the native program of the same source, its arguments, and what it reads.
type Case = (
    &'static str,
    &'static str,
    &'static [&'static str],
    fn() -> Vec<u8>,
);

const CASES: &[Case] = &[
    ("lua", "lua5.4", &["-"], || LUA.into()),
    ("mawk", "mawk", &[AWK], Vec::new),
    ("jq", "jq", &[JQ], || b"null".to_vec()),
    ("bzip2", "bzip2", &["-c"], || text(1_500_000)),
    ("zstd", "zstd", &["-c", "-9", "--single-thread"], || {
        text(3_000_000)
    }),
    ("lz4", "lz4", &["-c", "-9"], || text(3_000_000)),
    ("brotli", "brotli", &["-c", "-q", "6"], || text(1_000_000)),
    ("9sort", "/usr/lib/plan9/bin/sort", &[], || text(3_000_000)),
    ("9sha1sum", "/usr/lib/plan9/bin/sha1sum", &[], || {
        text(20_000_000)
    }),
    ("cmark", "cmark", &[], || text(1_500_000)),
    ("xxd", "xxd", &[], || text(3_000_000)),
    ("sqlite3", "sqlite3", &[":memory:"], || SQL.into()),
    ("toybox", "toybox", &["sha512sum"], || text(20_000_000)),
    ("gofmt", "gofmt", &[], go),
    ("uwc", "", &[], || text(20_000_000)),
];

const LUA: &str = "
local t = {}
for i = 1, 200000 do t[i] = (i * 7919) % 100003 end
table.sort(t)
local s = 0
for i = 1, 6000000 do s = (s * 31 + t[i % 200000 + 1]) % 1000003 end
local p = {}
for i = 1, 100000 do p[#p + 1] = tostring(i):reverse() end
print(s, #table.concat(p))";

const AWK: &str = "BEGIN { for (i = 0; i < 1500000; i++) { s = (s * 31 + i) % 1000003; a[i % 999] = s }
for (i = 0; i < 100000; i++) n += length(substr(\"abcdefghij\", i % 10 + 1) a[i % 999]); print s, n }";

const JQ: &str =
    "[range(150000) | {a: (. % 1000), b: tostring}] | group_by(.a) | map(length) | add";

const SQL: &str = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 400000)
SELECT sum(length(hex(i * 7919 % 10007))) FROM n;";

/// Words that repeat now and then, in lines; the same every time.
fn text(size: usize) -> Vec<u8> {
    let mut out = Vec::with_capacity(size + 16);
    let mut state = 1u64;
    while out.len() < size {
        state = state
            .wrapping_mul(6364136223846793005)
            .wrapping_add(1442695040888963407);
        let word = (state >> 33) % 5000;
        out.extend_from_slice(format!("{:x}", word * word).as_bytes());
        out.push(if word.is_multiple_of(11) { b'\n' } else { b' ' });
    }
    out.push(b'\n');
    out
}

/// A long program for a formatter.
fn go() -> Vec<u8> {
    let mut out = String::from("package main\n");
    for i in 0..6000 {
        out +=
            &format!("func f{i}(a int,b int) int {{\nif a>b {{ return a*{i}+b }}\nreturn b-a }}\n");
    }
    out.into_bytes()
}

/// Time on a processor of this thread so far.
fn spent() -> Duration {
    let mut time = libc::timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    // SAFETY: `time` is valid for writing.
    let failed = unsafe { libc::clock_gettime(libc::CLOCK_THREAD_CPUTIME_ID, &mut time) };
    assert_eq!(failed, 0);
    Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
}

/// Runs the program behind `start` once; the first argument is its name.
fn run(engine: &Engine, module: &Module, start: &str, args: &[&str], stdin: &[u8]) -> Duration {
    let context = WasiCtxBuilder::new()
        .args(args)
        .stdin(MemoryInputPipe::new(stdin.to_vec()))
        .stdout(SinkOutputStream)
        .preopened_dir(std::env::temp_dir(), "/", FsPerms::ReadOnly)
        .expect("the directory for temporary files")
        .build_p1();
    let mut store = Store::new(engine, context);
    store.set_epoch_deadline(1);
    let mut linker: Linker<WasiP1Ctx> = Linker::new(engine);
    p1::add_to_linker_sync(&mut linker, |context| context).expect("wasmtime-wasi links");
    // Whatever else the programs import, these runs do not call.
    linker
        .define_unknown_imports_as_traps(module)
        .expect("stubs");
    let instance = linker.instantiate(&mut store, module).expect("an instance");
    let start = instance.get_typed_func::<(), ()>(&mut store, start);
    let start = start.expect("an entry point");
    let before = spent();
    let end = start.call(&mut store, ());
    let time = spent() - before;
    if let Err(error) = end {
        let exit = error.downcast_ref::<I32Exit>();
        assert!(exit.is_some_and(|exit| exit.0 == 0), "{error:?}");
    }
    time
}

/// Time on processors of the children of this process that have ended.
fn spent_by_children() -> Duration {
    // SAFETY: all-zero is a valid `rusage`, which the call fills.
    let usage = unsafe {
        let mut usage: libc::rusage = std::mem::zeroed();
        assert_eq!(libc::getrusage(libc::RUSAGE_CHILDREN, &mut usage), 0);
        usage
    };
    let time = |time: libc::timeval| {
        Duration::new(time.tv_sec as u64, 0) + Duration::from_micros(time.tv_usec as u64)
    };
    time(usage.ru_utime) + time(usage.ru_stime)
}

/// Runs the native program once; nothing where it is not installed.
fn run_native(program: &str, args: &[&str], stdin: &Path) -> Option<Duration> {
    let stdin = std::fs::File::open(stdin).expect("what it reads");
    let mut command = Command::new(program);
    command.args(args).stdin(stdin).stdout(Stdio::null());
    let before = spent_by_children();
    let status = command.status().ok()?;
    assert!(status.success(), "{program}: {status}");
    Some(spent_by_children() - before)
}

/// The guests' modules by name: small and middle ones, and those that are measured.
fn modules() -> Vec<(String, Vec<u8>)> {
    let folder = std::env::var_os("GUESTS_DIR").expect("GUESTS_DIR is not set: run `make bench`");
    let folder = PathBuf::from(folder).join(".cache/wasm");
    let mut modules = Vec::new();
    for entry in std::fs::read_dir(&folder).expect("guests are built: run `make bench`") {
        let path = entry.expect("a folder's entry").path();
        let name = path
            .file_stem()
            .expect("a name")
            .to_string_lossy()
            .into_owned();
        let wasm = std::fs::read(&path).expect("a module");
        if wasm.len() < 1 << 20 || CASES.iter().any(|case| case.0 == name) {
            modules.push((name, wasm));
        }
    }
    modules
}

/// Times of one contender, and their ratios to another's of the same round.
#[derive(Default)]
struct Times {
    times: Vec<Duration>,
    ratios: Vec<f64>,
}

impl Times {
    fn add(&mut self, time: Duration, to: Duration) {
        self.times.push(time);
        self.ratios.push(time.as_secs_f64() / to.as_secs_f64());
    }

    /// The median in milliseconds, and quarters of the ratios; nothing if it did not always run.
    fn summary(&mut self) -> Option<(f64, [f64; 3])> {
        if self.times.len() < ROUNDS {
            return None;
        }
        self.times.sort();
        self.ratios.sort_by(f64::total_cmp);
        let ratio = |part| self.ratios[ROUNDS * part / 4];
        let median = self.times[ROUNDS / 2].as_secs_f64() * 1e3;
        Some((median, [ratio(1), ratio(2), ratio(3)]))
    }
}

fn measure() {
    let config = || settings(vkernel::engine::Code::Exceptions);
    let engine = Engine::new(&config()).expect("an engine");
    let unstoppable = Engine::new(config().epoch_interruption(false));
    let unstoppable = unstoppable.expect("an engine");
    let modules = modules();
    let request = Request {
        name: "bench".parse().expect("a name"),
        version: "1".parse().expect("a version"),
        vkernel_version: semver::VersionReq::STAR,
        programs: modules
            .iter()
            .map(|(name, wasm)| Program {
                name: name.parse().expect("a program's name"),
                origin: name.clone(),
                wasm,
            })
            .collect(),
        targets: (0..modules.len())
            .map(|program| Target {
                digest: Digest::of(&modules[program].1),
                program,
            })
            .collect(),
        folding: Folding::Full,
    };
    let linked = link(&request).expect("they link");
    let all = Module::new(&engine, &linked.wasm).expect("it compiles");
    println!("{} programs linked and folded", modules.len());
    println!(
        "each beside the program as it came: median, ratio and its middle half; linked beside native"
    );
    println!(
        "{:<10} {:>11} {:>11} {:<22} {:>11} {:<22} {:>11} {:<6}",
        "program", "as it came", "linked", "", "unstoppable", "", "native", ""
    );
    let file = tempfile::NamedTempFile::new().expect("a temporary file");
    for (name, native, args, stdin) in CASES {
        let Some(at) = modules.iter().position(|(module, _)| module == name) else {
            eprintln!("{name} is not among the guests: no row for it");
            continue;
        };
        let alone = Module::new(&engine, &modules[at].1).expect("it compiles");
        let unchecked = Module::new(&unstoppable, &modules[at].1).expect("it compiles");
        let stdin = stdin();
        std::fs::write(file.path(), &stdin).expect("a temporary file");
        let entry = linked.entries[at].to_string();
        // Some are many programs, told apart by the name.
        let named: Vec<&str> = std::iter::once(*name).chain(args.iter().copied()).collect();
        let (mut own, mut shared) = (Times::default(), Times::default());
        let (mut without, mut natives) = (Times::default(), Times::default());
        for round in 0..ROUNDS {
            let as_it_came = || run(&engine, &alone, "_start", &named, &stdin);
            let linked = || run(&engine, &all, &entry, &named, &stdin);
            let (one, other) = match round % 2 {
                0 => (as_it_came(), linked()),
                _ => {
                    let other = linked();
                    (as_it_came(), other)
                }
            };
            own.add(one, one);
            shared.add(other, one);
            without.add(run(&unstoppable, &unchecked, "_start", &named, &stdin), one);
            if let Some(time) = run_native(native, args, file.path()) {
                natives.times.push(time);
                natives
                    .ratios
                    .push(other.as_secs_f64() / time.as_secs_f64());
            }
        }
        let column = |times: &mut Times| match times.summary() {
            Some((median, [low, middle, high])) => {
                format!("{median:>8.1} ms {middle:>6.3} ({low:.3} .. {high:.3})")
            }
            None => String::new(),
        };
        println!(
            "{name:<10} {:>8.1} ms {} {} {}",
            own.summary().map_or(0.0, |own| own.0),
            column(&mut shared),
            column(&mut without),
            column(&mut natives),
        );
    }
}

fn main() {
    // The guests run on this thread.
    let thread = std::thread::Builder::new().stack_size(64 << 20);
    let thread = thread.spawn(measure).expect("a thread");
    thread.join().expect("it measured");
}
