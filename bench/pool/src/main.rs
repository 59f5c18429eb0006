//! wasmtime as it recommends itself for many short runs: a module for each program, all of them
//! loaded, memories in its pool and their initial data copied on write. Prints the median and the
//! middle half of many runs: store, instance, call, drop. No WASI, no files, no rights.

use std::time::{Duration, Instant};

use wasmtime::{
    Config, Engine, InstanceAllocationStrategy, Linker, Module, PoolingAllocationConfig, Store,
};

const ROUNDS: usize = 1000;
const SIZES: [(&str, usize); 4] = [
    ("16 B", 16),
    ("64 KiB", 64 << 10),
    ("1 MiB", 1 << 20),
    ("8 MiB", 8 << 20),
];

/// A program that ends at once, with so much initial data; `mark` makes it another one.
fn module(size: usize, mark: usize) -> String {
    let (pages, data) = ((1024 + size).div_ceil(65536), "\\07".repeat(size));
    format!(
        r#"(module (memory (export "memory") {pages}) (data (i32.const 1024) "{data}")
        (func (export "_start") i32.const {mark} drop))"#
    )
}

fn run(engine: &Engine, linker: &Linker<()>, module: &Module) {
    let mut store = Store::new(engine, ());
    store.set_epoch_deadline(1);
    let instance = linker.instantiate(&mut store, module).expect("no imports");
    let start = instance.get_typed_func::<(), ()>(&mut store, "_start");
    start
        .and_then(|start| start.call(&mut store, ()))
        .expect("it runs");
}

fn main() {
    let mut pool = PoolingAllocationConfig::default();
    pool.total_memories(64)
        .total_core_instances(64)
        .linear_memory_keep_resident(64 << 10);
    let mut config = Config::new();
    config
        .epoch_interruption(true)
        .memory_init_cow(true)
        .allocation_strategy(InstanceAllocationStrategy::Pooling(pool));
    let engine = Engine::new(&config).expect("an engine");
    let linker = Linker::new(&engine);
    // Ten programs of each size, as different ones as in a container.
    let modules = SIZES.map(|(_, size)| {
        let made = (0..10).map(|mark| Module::new(&engine, module(size, mark)));
        made.collect::<Result<Vec<_>, _>>().expect("they compile")
    });
    let mut times = SIZES.map(|_| Vec::new());
    for round in 0..ROUNDS {
        for (modules, times) in modules.iter().zip(&mut times) {
            let start = Instant::now();
            run(&engine, &linker, &modules[round % modules.len()]);
            times.push(start.elapsed());
        }
    }
    for ((name, _), times) in SIZES.iter().zip(&mut times) {
        times.sort();
        let at = |part: usize| micros(times[times.len() * part / 4]);
        let name = format!("wasmtime's pool, {name} of initial data");
        println!(
            "{name:<56} {:>10.1} us ({:.1} .. {:.1})",
            at(2),
            at(1),
            at(3)
        );
    }
}

fn micros(time: Duration) -> f64 {
    time.as_secs_f64() * 1e6
}
