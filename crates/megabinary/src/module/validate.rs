//! Validation of function bodies without an engine.

use wasmparser::{Parser, Payload, Validator, WasmFeatures};

use super::ModuleError;

/// The WebAssembly features a megabinary may use (`runtime-spec/megabinary.md`, "Features"): what
/// compilers for WASI preview 1 emit by default, and what every engine has. Exceptions are for
/// modules that have a tag section.
pub const fn features(exceptions: bool) -> WasmFeatures {
    match exceptions {
        true => PLAIN.union(WasmFeatures::EXCEPTIONS),
        false => PLAIN,
    }
}

const PLAIN: WasmFeatures = WasmFeatures::MUTABLE_GLOBAL
    .union(WasmFeatures::SATURATING_FLOAT_TO_INT)
    .union(WasmFeatures::SIGN_EXTENSION)
    .union(WasmFeatures::REFERENCE_TYPES)
    .union(WasmFeatures::MULTI_VALUE)
    .union(WasmFeatures::BULK_MEMORY)
    .union(WasmFeatures::BULK_MEMORY_OPT)
    .union(WasmFeatures::CALL_INDIRECT_OVERLONG)
    .union(WasmFeatures::SIMD)
    .union(WasmFeatures::TAIL_CALL)
    .union(WasmFeatures::FLOATS)
    .union(WasmFeatures::EXTENDED_CONST);

/// Validates the whole module, function bodies included; takes some milliseconds per MB.
///
/// # Errors
/// [`ModuleError::Invalid`] with the first thing that does not validate.
pub fn validate(bytes: &[u8]) -> Result<(), ModuleError> {
    let features = features(has_tags(bytes));
    let outcome = Validator::new_with_features(features).validate_all(bytes);
    outcome.map(drop).map_err(|error| ModuleError::Invalid {
        offset: error.offset(),
        reason: error.message().to_owned(),
    })
}

/// Whether there is a tag section, as far as the module can be read.
fn has_tags(bytes: &[u8]) -> bool {
    let sections = Parser::new(0).parse_all(bytes).map_while(Result::ok);
    sections
        .take_while(|section| !matches!(section, Payload::CodeSectionStart { .. }))
        .any(|section| matches!(section, Payload::TagSection(_)))
}
