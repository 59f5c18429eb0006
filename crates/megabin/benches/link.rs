//! What linking and folding save. For each folder of modules that is named: the parts compiled one by
//! one, then linked in each way of folding and compiled at once. Sizes, and the time of all
//! processors together, since compiling is parallel and the machine may be shared.

use std::path::Path;
use std::time::Duration;

use megabin::link::base::{self, Library, Standing};
use megabin::link::{Folding, Program, Request, Target, link};
use megabin::precompile::settings;
use megabinary::digest::Digest;
use megabinary::module::Module;
use rustix::time::{ClockId, clock_gettime};
use wasmtime::Engine;

/// The modules of a folder by name, if it is there and holds any.
fn modules(folder: &Path) -> Vec<(String, Vec<u8>)> {
    let mut modules = Vec::new();
    for entry in std::fs::read_dir(folder).expect("a folder of modules") {
        let path = entry.expect("a folder's entry").path();
        let name = path.file_stem().expect("a name").to_string_lossy();
        modules.push((name.into_owned(), std::fs::read(&path).expect("a module")));
    }
    modules.sort();
    modules
}

fn request(modules: &[(String, Vec<u8>)], folding: Folding) -> Request<'_> {
    let programs = modules.iter().map(|(name, wasm)| Program {
        name: name.parse().expect("a program's name"),
        origin: name.clone(),
        wasm,
    });
    let targets = (0..modules.len()).map(|program| Target {
        digest: Digest::of(modules[program].0.as_bytes()),
        program,
    });
    Request {
        name: "bench".parse().expect("a name"),
        version: "1".parse().expect("a version"),
        vkernel_version: semver::VersionReq::STAR,
        programs: programs.collect(),
        targets: targets.collect(),
        folding,
    }
}

/// Time on processors of the whole process so far.
fn spent() -> Duration {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
}

fn timed<T>(work: impl FnOnce() -> T) -> (T, f64) {
    let before = spent();
    let result = work();
    (result, (spent() - before).as_secs_f64() * 1e3)
}

/// With a library, the modules stand on a base of it; `sum` is then what they have without relocations.
fn measure(folder: &Path, base: Option<(&Path, usize)>) -> usize {
    let mut modules = modules(folder);
    let mut sum: usize = modules.iter().map(|(_, wasm)| wasm.len()).sum();
    if let Some((library, without)) = base {
        sum = without;
        stand(&mut modules, library);
    }
    let name = folder.file_name().expect("a name").to_string_lossy();
    println!("{name}: {} programs, {sum} bytes", modules.len());
    let engine = Engine::new(&settings(vkernel::engine::Code::Exceptions)).expect("an engine");
    let compile = |wasm: &Vec<u8>| engine.precompile_module(wasm).expect("it compiles").len();
    let (artifacts, parts) = timed(|| {
        let compiled = modules.iter().map(|(_, wasm)| compile(wasm));
        compiled.sum::<usize>()
    });
    let line = |what: &str, bytes: usize, linking: f64, compiling: f64, artifact: usize| {
        let percent = bytes as f64 * 100.0 / sum as f64;
        let ratio = (linking + compiling) / parts;
        println!(
            "  {what:<12} {bytes:>9} bytes {percent:>5.1} %   linked in {linking:>7.0} ms   compiled in \
             {compiling:>7.0} ms   ratio {ratio:>5.2}   artifact {artifact:>9} bytes"
        );
    };
    line("one by one", sum, 0.0, parts, artifacts);
    for (what, folding) in [
        ("fold none", Folding::None),
        ("fold exact", Folding::Exact),
        ("fold full", Folding::Full),
    ] {
        let request = request(&modules, folding);
        let (linked, linking) = timed(|| link(&request).expect("they link"));
        let (artifact, compiling) = timed(|| {
            let module = Module::parse(&linked.wasm).expect("a sound module");
            megabin::precompile::compile(&module, &linked.wasm).expect("it compiles")
        });
        line(what, linked.wasm.len(), linking, compiling, artifact.len());
    }
    eprintln!("{name}: done");
    sum
}

/// Moves the modules onto a base of `library`.
fn stand(modules: &mut [(String, Vec<u8>)], library: &Path) {
    let library = Library {
        origin: library.display().to_string(),
        bytes: std::fs::read(library).expect("a library"),
    };
    let programs: Vec<Standing<'_>> = modules
        .iter()
        .map(|(origin, wasm)| Standing { origin, wasm })
        .collect();
    let (laid, time) = timed(|| base::lay(&programs, &[library]).expect("they stand on it"));
    println!(
        "  base laid in {time:.0} ms: {} functions shared",
        laid.summary.functions
    );
    for ((_, wasm), moved) in modules.iter_mut().zip(laid.modules) {
        *wasm = moved;
    }
}

fn main() {
    // cargo's own argument comes with them.
    let folders = std::env::args()
        .skip(1)
        .filter(|argument| argument != "--bench");
    // `--base=LIBRARY` before a folder: the programs of the folder before it, linked with relocations.
    let (mut library, mut sum) = (None, 0);
    for argument in folders {
        match argument.strip_prefix("--base=") {
            Some(file) => library = Some(file.to_owned()),
            None => {
                let base = library.take();
                let base = base.as_ref().map(|file| (Path::new(file), sum));
                sum = measure(Path::new(&argument), base);
            }
        }
    }
}
