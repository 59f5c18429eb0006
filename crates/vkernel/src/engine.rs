//! The engine's configuration, for the side that compiles and the side that runs.
//!
//! An artifact loads only into an engine whose settings equal those it was compiled with, so both
//! sides call [`config`] and neither adds a setting that changes code.
//!
//! There are two, since the engine keeps exceptions in a collected heap, which every instance of a
//! module that can throw gets: megabinaries whose programs cannot do without it, and do not pay.

use std::sync::Arc;

use wasmtime::{
    Collector, Config, Engine, InstanceAllocationStrategy, MemoryCreator, WasmBacktraceDetails,
    WasmFeatures,
};

use crate::cpu;

/// The exact engine version artifacts are compiled with. A test compares it with `Cargo.lock`:
/// a fix in the compiler must reach artifacts that were compiled before it.
pub const WASMTIME_VERSION: &str = "48.0.8";

/// What an engine is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Code {
    /// A megabinary without exceptions.
    Plain,
    /// One with exceptions: it has tags.
    Exceptions,
}

impl Code {
    /// Of a megabinary that was checked ([`megabinary::module::Module::exceptions`]).
    #[must_use]
    pub fn with_exceptions(exceptions: bool) -> Code {
        match exceptions {
            true => Code::Exceptions,
            false => Code::Plain,
        }
    }
}

/// Names everything about both of [`config`], and of what the toolchain adds to them, that changes
/// compiled code. The runtime cannot ask the engine for this, because the engine knows it only with
/// its compiler; the toolchain's tests compare it with the engine's own compatibility hash and fail
/// when that moves and this does not.
pub const ENGINE_ID: &str = "engine-4";

/// Native stack a guest's code may use before it traps, in bytes: what Linux gives a process.
/// Interpreters recurse on it once per call of the interpreted program.
pub const GUEST_STACK: usize = 8 << 20;

/// Native stack above the guest's that host functions run on, in bytes.
pub const HOST_STACK: usize = 1 << 20;

/// Bytes of linear memory a process can have: what a 32-bit address reaches.
pub const MEMORY_RESERVATION: usize = 4 << 30;

/// Bytes that the exceptions of one process can take. A program can keep references to them only in
/// tables and globals, and those that it drops are collected: what jumps and what C++ throws takes
/// a few dozen bytes at a time. Not [`MEMORY_RESERVATION`], so that the two can be told apart.
pub const EXCEPTION_HEAP: usize = 16 << 20;

/// Settings shared by compiling and running.
///
/// - The features are those compilers for WASI preview 1 emit, and no more: less to attack, and
///   no shared memory or component machinery in the process. The collected heap is there for
///   exceptions alone.
/// - Epoch interruption is how code in a loop is stopped. Nothing ticks: the epoch moves only
///   when a process has to end. It costs a load and a branch at each loop head and call.
/// - Each memory reserves the whole 4 GiB a 32-bit address reaches plus a guard, so that code
///   needs no bounds checks and a growing memory never moves. The reservation is address space,
///   not memory; RLIMIT_AS must not count it. The guard before it catches a wrong address
///   computation of the compiler.
/// - Memories are the kernel's own ([`crate::memory`]); the engine has no images for them. A
///   megabinary has no active data that could become one.
/// - No address map and no unwind tables in artifacts: a trap's backtrace names functions, which
///   needs neither, and artifacts get smaller and load faster.
/// - Nothing is taken from the environment (`WASMTIME_BACKTRACE_DETAILS`).
#[must_use]
pub fn config(code: Code) -> Config {
    let mut config = Config::new();
    for feature in ENABLED {
        config.wasm_features(*feature, true);
    }
    for feature in DISABLED {
        config.wasm_features(*feature, false);
    }
    // SAFETY: what it says of a feature is what the C library or the standard library found on this
    // processor, and of one it does not know that it does not know.
    unsafe { config.detect_host_feature(cpu::detect) };
    config
        .concurrency_support(false)
        .shared_memory(false)
        .signals_based_traps(true)
        .epoch_interruption(true)
        .consume_fuel(false)
        .async_stack_size(GUEST_STACK + HOST_STACK)
        .max_wasm_stack(GUEST_STACK)
        .allocation_strategy(InstanceAllocationStrategy::OnDemand)
        .memory_reservation(MEMORY_RESERVATION as u64)
        .memory_guard_size(32 << 20)
        .memory_may_move(false)
        .guard_before_linear_memory(true)
        .memory_init_cow(false)
        .table_lazy_init(true)
        .debug_info(false)
        .generate_address_map(false)
        .native_unwind_info(false)
        .wasm_backtrace_details(WasmBacktraceDetails::Disable);
    match code {
        Code::Plain => config.gc_support(false),
        Code::Exceptions => config
            .gc_support(true)
            .wasm_features(WasmFeatures::EXCEPTIONS, true)
            .collector(Collector::Copying)
            .gc_heap_reservation(EXCEPTION_HEAP as u64)
            .gc_heap_guard_size(0)
            .gc_heap_may_move(false),
    };
    config
}

const ENABLED: &[WasmFeatures] = &[
    WasmFeatures::MUTABLE_GLOBAL,
    WasmFeatures::SATURATING_FLOAT_TO_INT,
    WasmFeatures::SIGN_EXTENSION,
    WasmFeatures::REFERENCE_TYPES,
    WasmFeatures::MULTI_VALUE,
    WasmFeatures::BULK_MEMORY,
    WasmFeatures::SIMD,
    WasmFeatures::TAIL_CALL,
    WasmFeatures::EXTENDED_CONST,
    WasmFeatures::FLOATS,
];

const DISABLED: &[WasmFeatures] = &[
    WasmFeatures::RELAXED_SIMD,
    WasmFeatures::THREADS,
    WasmFeatures::SHARED_EVERYTHING_THREADS,
    WasmFeatures::MULTI_MEMORY,
    WasmFeatures::MEMORY64,
    WasmFeatures::EXCEPTIONS,
    WasmFeatures::LEGACY_EXCEPTIONS,
    WasmFeatures::FUNCTION_REFERENCES,
    WasmFeatures::GC,
    WasmFeatures::CUSTOM_PAGE_SIZES,
    WasmFeatures::STACK_SWITCHING,
    WasmFeatures::WIDE_ARITHMETIC,
    WasmFeatures::COMPONENT_MODEL,
    WasmFeatures::MEMORY_CONTROL,
];

/// An engine with [`config`] whose memories `creator` makes. In a program without the compiler it
/// can only load artifacts.
pub fn engine(code: Code, creator: Arc<dyn MemoryCreator>) -> wasmtime::Result<Engine> {
    Engine::new(config(code).with_host_memory(creator))
}

#[cfg(test)]
mod tests {
    use super::{Code, WASMTIME_VERSION, config};

    #[test]
    fn the_version_in_cache_keys_is_the_one_that_is_locked() {
        let lock = include_str!("../../../Cargo.lock");
        let locked = format!("name = \"wasmtime\"\nversion = \"{WASMTIME_VERSION}\"");
        assert!(
            lock.contains(&locked),
            "set WASMTIME_VERSION to the version in Cargo.lock"
        );
    }

    fn compiles(code: Code, wat: &str) -> bool {
        let engine = wasmtime::Engine::new(&config(code)).unwrap();
        wasmtime::Module::new(&engine, wat).is_ok()
    }

    #[test]
    fn exceptions_are_for_megabinaries_that_have_them() {
        let throws = "(module (tag $t) (func (try_table (catch_all 0) (throw $t))))";
        assert!(compiles(Code::Exceptions, throws));
        assert!(!compiles(Code::Plain, throws));
        assert!(!compiles(Code::Exceptions, "(module (type (struct)))"));
    }

    #[test]
    fn what_compilers_for_wasi_emit_is_accepted_and_the_rest_refused() {
        let compiles = |wat| compiles(Code::Plain, wat);
        assert!(compiles(
            "(module (func (param v128) (result v128) local.get 0 v128.not))"
        ));
        assert!(compiles(
            "(module (func (result i32 i32) i32.const 1 i32.const 2))"
        ));
        assert!(compiles("(module (func $f return_call $f))"));
        assert!(compiles("(module (table 1 funcref) (table 1 funcref))"));
        assert!(compiles(
            "(module (memory 1) (func (memory.fill (i32.const 0) (i32.const 0) (i32.const 1))))"
        ));
        assert!(!compiles("(module (memory 1 1 shared))"));
        assert!(!compiles("(module (memory i64 1))"));
        assert!(!compiles("(module (memory 1) (memory 1))"));
        assert!(!compiles("(module (type (struct)))"));
        assert!(!compiles("(component)"));
    }
}
