//! The reference: a guest under plain wasmtime with `wasmtime-wasi`, as anyone
//! would run it without this project. Compiled code is kept beside the guests,
//! so that CPython is compiled once.

use std::fs;
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};
use wasmtime::{Config, Engine, Linker, Module, OptLevel, RegallocAlgorithm, Store, Val};
use wasmtime_wasi::p1::{self, WasiP1Ctx};
use wasmtime_wasi::p2::pipe::{MemoryInputPipe, MemoryOutputPipe};
use wasmtime_wasi::{FsPerms, I32Exit, WasiCtxBuilder};

/// Far more than any case writes.
const CAPTURE: usize = 16 << 20;
/// Room for the deepest recursion of a guest.
const STACK: usize = 8 << 20;

/// How a guest ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum End {
    /// It returned or called `proc_exit`.
    Exit(i32),
    /// It trapped, with wasmtime's words for it.
    Trap(String),
}

/// What a guest left.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// How it ended.
    pub end: End,
    /// Standard output, whole.
    pub stdout: Vec<u8>,
    /// Standard error, whole.
    pub stderr: Vec<u8>,
}

/// What to call in a module.
#[derive(Clone, Copy, Debug)]
pub enum Start {
    /// A program on its own: its `_start`.
    Program,
    /// A megabinary: `_dispatch` with this target, four big-endian words.
    Dispatch([u64; 4]),
}

/// How a guest is run.
#[derive(Clone, Debug)]
pub struct Invocation<'a> {
    /// argv, its first the program's path.
    pub argv: &'a [String],
    /// Standard input.
    pub stdin: &'a [u8],
    /// The environment.
    pub env: &'a [(String, String)],
    /// The directory that the guest sees as `/`.
    pub root: &'a Path,
}

/// Wasmtime and where compiled modules are kept.
pub struct Reference {
    engine: Engine,
    /// Where code of modules as they are is kept, and where that of megabinaries, which are others
    /// whenever the toolchain is.
    guests: PathBuf,
    linked: PathBuf,
}

impl Reference {
    /// An engine with wasmtime's defaults, but for optimisation: what runs once is better compiled
    /// quickly. It keeps compiled code of guests in the one folder and of megabinaries in the other.
    ///
    /// # Panics
    ///
    /// When the directories cannot be made.
    pub fn new(guests: &Path, linked: &Path) -> Self {
        for cache in [guests, linked] {
            fs::create_dir_all(cache).expect("making the cache of compiled guests");
        }
        let mut config = Config::new();
        config.wasm_exceptions(true);
        config.cranelift_opt_level(OptLevel::None);
        config.cranelift_regalloc_algorithm(RegallocAlgorithm::SinglePass);
        config.max_wasm_stack(STACK);
        config.async_stack_size(2 * STACK);
        let engine = Engine::new(&config).expect("wasmtime's defaults");
        Self {
            engine,
            guests: guests.to_path_buf(),
            linked: linked.to_path_buf(),
        }
    }

    /// The compiled module of a guest, from the cache where it is there.
    ///
    /// # Panics
    ///
    /// When the bytes are no module that wasmtime takes.
    pub fn module(&self, wasm: &[u8]) -> Module {
        self.cached(&self.guests, wasm)
    }

    /// The compiled module of a megabinary, from the cache where it is there.
    ///
    /// # Panics
    ///
    /// When the bytes are no module that wasmtime takes.
    pub fn linked(&self, wasm: &[u8]) -> Module {
        self.cached(&self.linked, wasm)
    }

    fn cached(&self, cache: &Path, wasm: &[u8]) -> Module {
        let key: String = Sha256::digest(wasm)
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect();
        let path = cache.join(format!("{key}-{}.cwasm", env!("CARGO_PKG_VERSION")));
        if path.exists() {
            // SAFETY: only `store` below writes this folder, from wasmtime's own output, whole files at once.
            if let Ok(module) = unsafe { Module::deserialize_file(&self.engine, &path) } {
                return module;
            }
        }
        let code = self
            .engine
            .precompile_module(wasm)
            .expect("wasmtime takes this module");
        let mut file = tempfile::NamedTempFile::new_in(cache).expect("a file in the cache");
        std::io::Write::write_all(&mut file, &code).expect("writing the cache");
        file.persist(&path).expect("naming the cached file");
        // SAFETY: these bytes came from `precompile_module` just now.
        unsafe { Module::deserialize(&self.engine, &code) }.expect("this engine made it")
    }

    /// Runs a module as `start` says, on a thread with stack enough.
    ///
    /// # Panics
    ///
    /// When the module cannot be instantiated.
    pub fn run(&self, module: &Module, start: Start, invocation: &Invocation) -> Outcome {
        std::thread::scope(|scope| {
            std::thread::Builder::new()
                .stack_size(4 * STACK)
                .spawn_scoped(scope, || self.run_here(module, start, invocation))
                .expect("starting a thread")
                .join()
                .expect("the reference does not panic")
        })
    }

    fn run_here(&self, module: &Module, start: Start, invocation: &Invocation) -> Outcome {
        let (stdout, stderr) = (
            MemoryOutputPipe::new(CAPTURE),
            MemoryOutputPipe::new(CAPTURE),
        );
        let mut builder = WasiCtxBuilder::new();
        builder
            .args(invocation.argv)
            .envs(invocation.env)
            .stdin(MemoryInputPipe::new(invocation.stdin.to_vec()))
            .stdout(stdout.clone())
            .stderr(stderr.clone())
            .preopened_dir(invocation.root, "/", FsPerms::ReadWrite)
            .expect("the root directory opens");
        let mut store = Store::new(&self.engine, builder.build_p1());
        let mut linker: Linker<WasiP1Ctx> = Linker::new(&self.engine);
        p1::add_to_linker_sync(&mut linker, |context| context).expect("wasmtime-wasi links");
        stub_vkernel(&mut linker, module);
        let instance = linker
            .instantiate(&mut store, module)
            .expect("the module instantiates");
        let result = match start {
            Start::Program => instance
                .get_typed_func::<(), ()>(&mut store, "_start")
                .and_then(|start| start.call(&mut store, ())),
            Start::Dispatch([a, b, c, d]) => instance
                .get_typed_func::<(u64, u64, u64, u64), i32>(&mut store, "_dispatch")
                .and_then(|dispatch| dispatch.call(&mut store, (a, b, c, d)))
                .map(|found| assert_eq!(found, 0, "_dispatch does not know the target")),
        };
        let end = match result {
            Ok(()) => End::Exit(0),
            Err(error) => match error.downcast_ref::<I32Exit>() {
                Some(exit) => End::Exit(exit.0),
                None => End::Trap(format!("{error:?}")),
            },
        };
        drop(store);
        Outcome {
            end,
            stdout: stdout.contents().to_vec(),
            stderr: stderr.contents().to_vec(),
        }
    }
}

/// The stubs of the specification: an engine without the virtual kernel
/// answers each of its calls with ENOSYS.
fn stub_vkernel(linker: &mut Linker<WasiP1Ctx>, module: &Module) {
    const ENOSYS: i32 = 52;
    for import in module
        .imports()
        .filter(|import| import.module() == "vkernel")
    {
        let Some(function) = import.ty().func().cloned() else {
            continue;
        };
        linker
            .func_new("vkernel", import.name(), function, |_, _, results| {
                results
                    .iter_mut()
                    .for_each(|result| *result = Val::I32(ENOSYS));
                Ok(())
            })
            .expect("each import is stubbed once");
    }
}
