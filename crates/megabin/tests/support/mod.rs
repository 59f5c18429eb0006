//! Links small programs and runs modules under plain wasmtime with wasmtime-wasi, the reference.
#![allow(dead_code, clippy::unwrap_used, missing_docs)] // Each test file uses its part of this.

pub mod bench;

use megabin::link::{Folding, LinkError, Linked, Program, Request, Target, link};
use megabinary::digest::Digest;
use wasmtime::{Config, Engine, Linker, Module, Store, Val};
use wasmtime_wasi::WasiCtxBuilder;
use wasmtime_wasi::p1::{self, WasiP1Ctx};
use wasmtime_wasi::p2::pipe::{MemoryInputPipe, MemoryOutputPipe};

/// What one run did.
#[derive(Debug, PartialEq, Eq)]
pub struct Outcome {
    pub stdout: String,
    pub stderr: String,
    /// Exit code, or the trap.
    pub end: Result<i32, String>,
}

pub fn engine() -> Engine {
    let mut config = Config::new();
    config
        .wasm_tail_call(true)
        .wasm_multi_memory(false)
        .wasm_exceptions(true);
    Engine::new(&config).unwrap()
}

/// A request that links modules under names; the digest of each module is its target.
pub fn request<'a>(programs: &[(&str, &'a [u8])]) -> Request<'a> {
    Request {
        name: "test".parse().unwrap(),
        version: "1.0".parse().unwrap(),
        vkernel_version: ">=0.2.0".parse().unwrap(),
        programs: programs
            .iter()
            .map(|(name, wasm)| Program {
                name: name.parse().unwrap(),
                origin: format!("{name}.wasm"),
                wasm,
            })
            .collect(),
        targets: programs
            .iter()
            .enumerate()
            .map(|(program, (_, wasm))| Target {
                digest: Digest::of(wasm),
                program,
            })
            .collect(),
        folding: Folding::default(),
    }
}

pub fn link_all(programs: &[(&str, &[u8])]) -> Linked {
    link(&request(programs)).unwrap()
}

/// Every way to fold.
pub const FOLDINGS: [Folding; 3] = [Folding::None, Folding::Exact, Folding::Full];

pub fn link_folded(programs: &[(&str, &[u8])], folding: Folding) -> Linked {
    let request = Request {
        folding,
        ..request(programs)
    };
    link(&request).unwrap()
}

pub fn wat(text: &str) -> Vec<u8> {
    wat::parse_str(text).unwrap()
}

/// Links one WAT program and returns the refusal's text.
pub fn refusal(text: &str) -> String {
    refusal_of(&wat(text))
}

pub fn refusal_of(wasm: &[u8]) -> String {
    let error: LinkError = link(&request(&[("bad", wasm)])).expect_err("this must be refused");
    error.to_string()
}

/// An instance with WASI and the specification's stubs for everything else.
pub struct Guest {
    pub store: Store<WasiP1Ctx>,
    pub instance: wasmtime::Instance,
    stdout: MemoryOutputPipe,
    stderr: MemoryOutputPipe,
}

pub struct Setup<'a> {
    pub args: &'a [&'a str],
    pub stdin: &'a str,
    pub dir: Option<&'a std::path::Path>,
}

impl Guest {
    pub fn new(engine: &Engine, module: &Module, setup: &Setup<'_>) -> Self {
        let mut linker: Linker<WasiP1Ctx> = Linker::new(engine);
        p1::add_to_linker_sync(&mut linker, |ctx| ctx).unwrap();
        linker.define_unknown_imports_as_traps(module).unwrap();
        let (stdout, stderr) = (
            MemoryOutputPipe::new(1 << 24),
            MemoryOutputPipe::new(1 << 24),
        );
        let mut wasi = WasiCtxBuilder::new();
        wasi.args(setup.args)
            .stdin(MemoryInputPipe::new(setup.stdin.to_owned()))
            .stdout(stdout.clone())
            .stderr(stderr.clone());
        if let Some(dir) = setup.dir {
            use wasmtime_wasi::FsPerms;
            wasi.preopened_dir(dir, "/", FsPerms::ReadWrite).unwrap();
        }
        let mut store = Store::new(engine, wasi.build_p1());
        let instance = linker.instantiate(&mut store, module).unwrap();
        Self {
            store,
            instance,
            stdout,
            stderr,
        }
    }

    /// Calls an export that takes and returns nothing, or `_dispatch`.
    pub fn call(mut self, export: &str, args: &[Val]) -> Outcome {
        let function = self.instance.get_func(&mut self.store, export).unwrap();
        let results = function.ty(&self.store).results().len();
        let mut results = vec![Val::I32(0); results];
        let end = match function.call(&mut self.store, args, &mut results) {
            Ok(()) => Ok(results.first().map_or(0, |v| v.unwrap_i32())),
            Err(error) => match error.downcast_ref::<wasmtime_wasi::I32Exit>() {
                Some(exit) => Ok(exit.0),
                None => Err(error.root_cause().to_string()),
            },
        };
        drop(self.store);
        let text = |pipe: MemoryOutputPipe| String::from_utf8_lossy(&pipe.contents()).into_owned();
        Outcome {
            stdout: text(self.stdout),
            stderr: text(self.stderr),
            end,
        }
    }
}

pub fn words(digest: &Digest) -> Vec<Val> {
    digest
        .words()
        .iter()
        .map(|w| Val::I64(w.cast_signed()))
        .collect()
}

/// Runs a program in the linked module by its digest.
pub fn run_linked(engine: &Engine, module: &Module, digest: &Digest, setup: &Setup<'_>) -> Outcome {
    Guest::new(engine, module, setup).call("_dispatch", &words(digest))
}

/// Runs an original module.
pub fn run_original(engine: &Engine, wasm: &[u8], setup: &Setup<'_>) -> Outcome {
    let module = Module::new(engine, wasm).unwrap();
    Guest::new(engine, &module, setup).call("_start", &[])
}
