//! Compiling a megabinary ahead of time: the only place where the compiler runs.

use megabinary::module::Module;
use vkernel::artifact::{Artifact, Cache, CacheError, CacheKey};
use vkernel::engine::{Code, config};
use vkernel::image::{self, ImageError};
use wasmtime::{Config, Engine};

/// Why a megabinary was not compiled.
#[derive(Debug, thiserror::Error)]
pub enum PrecompileError {
    /// The engine does not start.
    #[error("starting the compiler: {0}")]
    Engine(wasmtime::Error),
    /// The compiler refuses a function.
    #[error("compiling: {0:#}")]
    Compile(wasmtime::Error),
    /// The initial images cannot be laid out.
    #[error(transparent)]
    Images(#[from] ImageError),
    /// The cache cannot be used.
    #[error(transparent)]
    Cache(#[from] CacheError),
}

/// The settings that megabinaries are compiled with: the runtime's, and functions that start on a
/// cache line of their own. How fast a loop runs depends on where in a line it starts, and so on
/// what lies before the function, in steps of up to a fifth, measured; with this a program runs in
/// a megabinary as fast as alone.
#[must_use]
pub fn settings(code: Code) -> Config {
    let mut config = config(code);
    // SAFETY: the setting exists in this version, whose compiler answers for all of its values; it
    // only leaves room between functions.
    unsafe { config.cranelift_flag_set("log2_min_function_alignment", "6") };
    config
}

/// Compiles the module of `wasm` for this machine's processor and lays out its programs' initial
/// images. Asking for the [`Module`] makes sure that its structure was checked; the compiler
/// validates its functions. `module` must be that of `wasm`.
///
/// # Errors
/// What the compiler refuses.
pub fn compile(module: &Module, wasm: &[u8]) -> Result<Vec<u8>, PrecompileError> {
    let code = Code::with_exceptions(module.exceptions);
    let engine = Engine::new(&settings(code)).map_err(PrecompileError::Engine)?;
    let code = engine
        .precompile_module(wasm)
        .map_err(PrecompileError::Compile)?;
    let data = wasm.get(module.image_data.clone()).unwrap_or_default();
    let page = rustix::param::page_size() as u64;
    Ok(image::append(code, &module.section, data, page)?)
}

/// The compiled module from the cache, compiled now if it is not there. However many ask at a
/// time, one compiles.
///
/// # Errors
/// What the compiler refuses, and a cache that others could have written to.
pub fn cached(module: &Module, wasm: &[u8], cache: &Cache) -> Result<Artifact, PrecompileError> {
    let key = CacheKey::of(&module.id);
    Ok(cache.get_or_compile(&key, || compile(module, wasm))?)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)] // A failed unwrap is a failed test.
mod tests {
    use std::hash::{DefaultHasher, Hash, Hasher};

    use super::settings;
    use megabinary::module::validate;
    use vkernel::engine::{Code, ENGINE_ID};
    use wasmtime::Engine;

    /// A module for each feature there is, and one that is wrong.
    const MODULES: &[&str] = &[
        "(global (import \"m\" \"g\") (mut i32))",
        "(func (param f32) (result i32) (i32.trunc_sat_f32_s (local.get 0)))",
        "(func (param i32) (result i32) (i32.extend8_s (local.get 0)))",
        "(table 1 externref) (func (result externref) (table.get (i32.const 0)))",
        "(table 1 funcref) (func (table.set (i32.const 0) (ref.null func)))",
        "(table 1 funcref) (table 1 funcref) (func (call_indirect 1 (i32.const 0)))",
        "(func (result i32 i32) (i32.const 1) (i32.const 2))",
        "(memory 1) (func (memory.copy (i32.const 0) (i32.const 0) (i32.const 1)))",
        "(func (param v128) (result v128) (v128.not (local.get 0)))",
        "(func (param v128) (result v128) (i8x16.relaxed_swizzle (local.get 0) (local.get 0)))",
        "(func $f (return_call $f))",
        "(memory 1 1 shared)",
        "(memory 1) (func (drop (i32.atomic.load (i32.const 0))))",
        "(memory 1) (memory 1)",
        "(memory i64 1)",
        "(memory 1 (pagesize 1))",
        "(global i32 (i32.add (i32.const 1) (i32.const 2)))",
        "(tag $t) (func (try_table (catch_all 0) (throw $t)))",
        "(tag $t) (func try throw $t catch_all end)",
        "(type $f (func)) (func (param (ref $f)) (call_ref $f (local.get 0)))",
        "(type (struct))",
        "(func (result (ref null any)) (ref.null any))",
        "(type $f (func)) (type (cont $f))",
        "(func (result i64 i64) (i64.add128 (i64.const 0) (i64.const 0) (i64.const 0) (i64.const 0)))",
        "(func (param f64) (result f64) (f64.sqrt (local.get 0)))",
        "(func (result i32))",
    ];

    #[test]
    fn what_compiles_is_what_validates() {
        let mut valid = 0;
        for text in MODULES {
            let wasm = wat::parse_str(format!("(module {text})")).unwrap();
            let code = Code::with_exceptions(text.starts_with("(tag"));
            let engine = Engine::new(&settings(code)).unwrap();
            let compiles = engine.precompile_module(&wasm);
            let validates = validate(&wasm);
            assert_eq!(
                compiles.is_ok(),
                validates.is_ok(),
                "{text}: {:?}, {validates:?}",
                compiles.err()
            );
            valid += usize::from(validates.is_ok());
        }
        assert_eq!(valid, 12, "of {}", MODULES.len());
    }

    /// What [`settings`] compile to, by the engine's own account,
    /// for a processor that is always the same one.
    fn compatibility(code: Code) -> u64 {
        let mut config = settings(code);
        config.target("x86_64-unknown-linux-gnu").unwrap();
        let mut hasher = DefaultHasher::new();
        let engine = Engine::new(&config).unwrap();
        engine.precompile_compatibility_hash().hash(&mut hasher);
        hasher.finish()
    }

    #[test]
    #[cfg(target_arch = "x86_64")]
    fn the_engine_id_changes_with_whatever_changes_compiled_code() {
        assert_eq!(
            (
                ENGINE_ID,
                [Code::Plain, Code::Exceptions].map(compatibility)
            ),
            ("engine-4", [8374839117690558842, 13904504994904732466]),
            "compiled code changed: give vkernel::engine::ENGINE_ID a new value, and both here"
        );
    }
}
