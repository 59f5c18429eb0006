//! Validation of function bodies without an engine.

use wasmparser::{Validator, WasmFeatures};

use super::ModuleError;

/// The WebAssembly features a megabinary may use (`runtime-spec/megabinary.md`, "Features"): what
/// compilers for WASI preview 1 emit by default, and what every engine has.
pub fn features() -> WasmFeatures {
    WasmFeatures::MUTABLE_GLOBAL
        | WasmFeatures::SATURATING_FLOAT_TO_INT
        | WasmFeatures::SIGN_EXTENSION
        | WasmFeatures::REFERENCE_TYPES
        | WasmFeatures::MULTI_VALUE
        | WasmFeatures::BULK_MEMORY
        | WasmFeatures::BULK_MEMORY_OPT
        | WasmFeatures::CALL_INDIRECT_OVERLONG
        | WasmFeatures::SIMD
        | WasmFeatures::TAIL_CALL
        | WasmFeatures::FLOATS
        | WasmFeatures::EXTENDED_CONST
}

/// Validates the whole module, function bodies included; takes some milliseconds per MB.
///
/// # Errors
/// [`ModuleError::Invalid`] with the first thing that does not validate.
pub fn validate(bytes: &[u8]) -> Result<(), ModuleError> {
    let outcome = Validator::new_with_features(features()).validate_all(bytes);
    outcome.map(drop).map_err(|error| ModuleError::Invalid {
        offset: error.offset(),
        reason: error.message().to_owned(),
    })
}
