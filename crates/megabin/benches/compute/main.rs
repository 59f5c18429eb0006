//! Compute-heavy programs, each as it came beside the same one linked with all the others and folded,
//! beside itself without the checks that let running code be stopped, and beside Debian's native
//! build of the same source: the processor's time, with the engine's settings as shipped but for
//! those checks. All take turns, so that a busy machine disturbs them alike, and each is measured
//! with its functions at several places ([`placement`]). Nothing here fails on time; a program that
//! is not among the guests has no row, and one that is not installed no native figure. Names of
//! programs after `--` measure these alone.

mod cases;
mod placement;

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use megabin::link::{Folding, Linked, Program, Request, Target, link};
use megabin::precompile::settings;
use megabinary::digest::Digest;
use rustix::time::{ClockId, clock_gettime};
use wasmtime::{Engine, Linker, Module, Store};
use wasmtime_wasi::p1::{self, WasiP1Ctx};
use wasmtime_wasi::p2::pipe::{MemoryInputPipe, SinkOutputStream};
use wasmtime_wasi::{FsPerms, I32Exit, WasiCtxBuilder};

use cases::CASES;
use placement::placed;

/// As each comes, and at random.
const PLACEMENTS: u64 = 6;

/// For each placement.
const ROUNDS: usize = 3;

/// Time on a processor of this thread so far.
fn spent() -> Duration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
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

/// The processor's time of one contender in milliseconds: one for each placement.
#[derive(Default)]
struct Times {
    rounds: Vec<Duration>,
    placements: Vec<f64>,
}

impl Times {
    /// The fastest round counts: what else the machine does only adds.
    fn end_placement(&mut self) {
        let fastest = self.rounds.drain(..).min();
        self.placements
            .extend(fastest.map(|time| time.as_secs_f64() * 1e3));
    }

    /// Over the placements; 0 if it never ran.
    fn mean(&self) -> f64 {
        self.placements.iter().sum::<f64>() / self.placements.len().max(1) as f64
    }

    /// The mean, and how it compares to `to`: the geometric mean of each placement's ratio, since
    /// a slow minute of the machine is in both, and the lowest and highest.
    fn beside(&self, to: &Self) -> String {
        let pairs = self.placements.iter().zip(&to.placements);
        let ratios: Vec<f64> = pairs.map(|(time, to)| time / to).collect();
        if ratios.is_empty() {
            return String::new();
        }
        let logs: f64 = ratios.iter().map(|ratio| ratio.ln()).sum();
        let ratio = (logs / ratios.len() as f64).exp();
        let lowest = ratios.iter().copied().fold(f64::MAX, f64::min);
        let highest = ratios.iter().copied().fold(0.0, f64::max);
        let time = self.mean();
        format!("{time:>8.1} ms {ratio:>6.3} ({lowest:.2} .. {highest:.2})")
    }
}

/// All contenders with one program.
#[derive(Default)]
struct Row {
    as_it_came: Times,
    linked: Times,
    unstoppable: Times,
    native: Times,
}

impl Row {
    fn contenders(&mut self) -> [&mut Times; 4] {
        [
            &mut self.as_it_came,
            &mut self.linked,
            &mut self.unstoppable,
            &mut self.native,
        ]
    }
}

fn linked(modules: &[(String, Vec<u8>)]) -> Linked {
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
    link(&request).expect("they link")
}

fn measure() {
    let config = || settings(vkernel::engine::Code::Exceptions);
    let engine = Engine::new(&config()).expect("an engine");
    let unstoppable = Engine::new(config().epoch_interruption(false));
    let unstoppable = unstoppable.expect("an engine");
    let modules = modules();
    let linked = linked(&modules);
    let named: Vec<String> = std::env::args()
        .skip(1)
        .filter(|arg| !arg.starts_with('-'))
        .collect();
    let wanted = CASES
        .iter()
        .filter(|case| named.is_empty() || named.iter().any(|name| name == case.0));
    let wanted: Vec<_> = wanted.collect();
    assert!(
        !wanted.is_empty(),
        "none of {named:?} is measured: see cases.rs"
    );
    let mut rows: Vec<Row> = wanted.iter().map(|_| Row::default()).collect();
    let file = tempfile::NamedTempFile::new().expect("a temporary file");
    for seed in 0..PLACEMENTS {
        eprintln!("placement {} of {PLACEMENTS}", seed + 1);
        // What programs share stays where it is; each program's own functions change places.
        let all = placed(&linked.wasm, seed, |name| {
            let (program, _) = name?.split_once("::")?;
            (program != "shared").then_some(program)
        });
        let all = Module::new(&engine, all).expect("it compiles");
        for ((name, native, args, stdin), row) in wanted.iter().zip(&mut rows) {
            let Some(at) = modules.iter().position(|(module, _)| module == name) else {
                eprintln!("{name} is not among the guests: no row for it");
                continue;
            };
            let alone = placed(&modules[at].1, seed, |_| Some("all"));
            // What a check costs does not depend on the place.
            let unchecked =
                (seed == 0).then(|| Module::new(&unstoppable, &alone).expect("it compiles"));
            let alone = Module::new(&engine, &alone).expect("it compiles");
            let stdin = stdin();
            std::fs::write(file.path(), &stdin).expect("a temporary file");
            let entry = linked.entries[at].to_string();
            // Some are many programs, told apart by the name.
            let named: Vec<&str> = std::iter::once(*name).chain(args.iter().copied()).collect();
            for round in 0..ROUNDS {
                let mut as_it_came = || {
                    let time = run(&engine, &alone, "_start", &named, &stdin);
                    row.as_it_came.rounds.push(time);
                };
                let mut linked = || {
                    let time = run(&engine, &all, &entry, &named, &stdin);
                    row.linked.rounds.push(time);
                };
                if round % 2 == 0 {
                    as_it_came();
                    linked();
                } else {
                    linked();
                    as_it_came();
                }
                if let Some(unchecked) = &unchecked {
                    let time = run(&unstoppable, unchecked, "_start", &named, &stdin);
                    row.unstoppable.rounds.push(time);
                    let time = run_native(native, args, file.path());
                    row.native.rounds.extend(time);
                }
            }
            for times in row.contenders() {
                times.end_placement();
            }
        }
    }
    println!(
        "{} programs linked and folded, {PLACEMENTS} placements",
        modules.len()
    );
    println!("mean, ratio to the program as it came, and that of the best and the worst placement");
    println!(
        "{:<10} {:>11} {:<33} {:<33} native, and linked beside it",
        "program", "as it came", "linked", "unstoppable"
    );
    for ((name, ..), row) in wanted.iter().zip(&rows) {
        let native = match row.native.mean() {
            0.0 => String::new(),
            time => format!("{time:>8.1} ms {:>6.2}", row.linked.mean() / time),
        };
        println!(
            "{name:<10} {:>8.1} ms {:<33} {:<33} {native}",
            row.as_it_came.mean(),
            row.linked.beside(&row.as_it_came),
            row.unstoppable.beside(&row.as_it_came),
        );
    }
}

fn main() {
    // The guests run on this thread.
    let thread = std::thread::Builder::new().stack_size(64 << 20);
    let thread = thread.spawn(measure).expect("a thread");
    thread.join().expect("it measured");
}
