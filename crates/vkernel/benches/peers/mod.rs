//! What others offer to run a small program once: wasmtime with a module for each program, and
//! processes of the host. wasmtime's pool is a peer in a crate of its own (`bench/pool`).

use std::path::{Path, PathBuf};
use std::process::Command;

use wasmtime::{Engine, Linker, Module, Store};

use super::Contender;

/// The peers that this machine has.
pub fn all(dir: &Path) -> Vec<Contender<'static>> {
    let mut all = Vec::new();
    for (name, size) in [
        ("peer: wasmtime, copy on write, no WASI, 16 B of data", 16),
        ("peer: the same, 1 MiB of initial data", 1 << 20),
        ("peer: the same, 8 MiB of initial data", 8 << 20),
    ] {
        all.push((name, 500, Box::new(pooled(size)) as Box<dyn FnMut()>));
    }
    let name = "peer: the same, its module loaded for each run";
    all.push((name, 200, Box::new(loaded(dir))));
    let sources = [
        (
            "peer: posix_spawn and wait, static without libc",
            "none",
            NO_LIBC,
            &["-static", "-nostdlib"][..],
        ),
        (
            "peer: posix_spawn and wait, static glibc",
            "static",
            MAIN,
            &["-static"],
        ),
        (
            "peer: posix_spawn and wait, dynamic glibc",
            "dynamic",
            MAIN,
            &[],
        ),
    ];
    for (name, file, source, flags) in sources {
        match native(dir, file, source, flags) {
            Some(program) => all.push((name, 300, Box::new(move || spawned(&program)))),
            None => eprintln!("no C compiler (apt-get install gcc libc6-dev): no row {name:?}"),
        }
    }
    all
}

const MAIN: &str = "int main(void) { return 0; }";
#[cfg(target_arch = "x86_64")]
const NO_LIBC: &str = r#"void _start(void) { __asm__("syscall" :: "a"(60), "D"(0)); }"#;
#[cfg(target_arch = "aarch64")]
const NO_LIBC: &str =
    r#"void _start(void) { __asm__("mov x8, #93; mov x0, #0; svc #0" ::: "x0", "x8"); }"#;

/// A program that ends at once, with so much initial data.
fn module(size: usize) -> String {
    let (pages, data) = ((1024 + size).div_ceil(65536), "\\07".repeat(size));
    format!(
        r#"(module (memory (export "memory") {pages}) (data (i32.const 1024) "{data}")
        (func (export "_start")))"#
    )
}

fn run(engine: &Engine, module: &Module) {
    let mut store = Store::new(engine, ());
    let linker: Linker<()> = Linker::new(engine);
    let instance = linker.instantiate(&mut store, module).expect("no imports");
    let start = instance.get_typed_func::<(), ()>(&mut store, "_start");
    start
        .and_then(|start| start.call(&mut store, ()))
        .expect("it runs");
}

fn pooled(size: usize) -> impl FnMut() {
    let engine = Engine::default();
    let module = Module::new(&engine, module(size)).expect("a module");
    move || run(&engine, &module)
}

fn loaded(dir: &Path) -> impl FnMut() + use<> {
    let engine = Engine::default();
    let path = dir.join("module.cwasm");
    let module = Module::new(&engine, module(16)).expect("a module");
    std::fs::write(&path, module.serialize().expect("its code")).expect("a file");
    move || {
        // SAFETY: nobody but this function writes the file, from this engine's own output.
        let module = unsafe { Module::deserialize_file(&engine, &path) };
        run(&engine, &module.expect("this engine made it"));
    }
}

fn native(dir: &Path, name: &str, source: &str, flags: &[&str]) -> Option<PathBuf> {
    let (file, program) = (dir.join("native.c"), dir.join(format!("native-{name}")));
    std::fs::write(&file, source).expect("a file");
    let mut cc = Command::new("cc");
    cc.arg("-O2").args(flags).arg("-o").args([&program, &file]);
    let made = cc.status().is_ok_and(|status| status.success());
    made.then_some(program)
}

fn spawned(program: &Path) {
    let status = Command::new(program).status();
    assert!(status.is_ok_and(|status| status.success()));
}
