//! Published limits (`runtime-spec/README.md`, "Limits"). A reader refuses what exceeds them; a
//! writer never produces it. Changing one changes the format.

/// Largest manifest, in bytes.
pub const MANIFEST_BYTES: usize = 64 << 20;
/// Largest `container.wasm`, in bytes.
pub const CONTAINER_BYTES: usize = 512 << 20;
/// Largest payload of the metadata section without the container id, in bytes.
pub const SECTION_BYTES: usize = 64 << 20;
/// Deepest nesting of arrays and objects in the manifest; the top-level object is depth 1.
pub const JSON_DEPTH: usize = 32;
/// Most JSON values (each scalar, array and object counts one) in a manifest.
pub const JSON_VALUES: usize = 2_000_000;
/// Largest JSON string or object key after unescaping, in bytes of UTF-8.
pub const JSON_STRING_BYTES: usize = 1 << 20;
/// Most targets (distinct digests of binaries and agent tools) of one container. `_dispatch` for
/// that many stays below the 7,654,321 bytes that engines allow one function.
pub const TARGETS: usize = 65_536;
/// Most programs in one container.
pub const PROGRAMS: usize = 65_536;
/// Most image segments over all programs of one container.
pub const SEGMENTS: usize = 4_000_000;
/// Most extra exports over all programs of one container.
pub const EXTRA_EXPORTS: usize = 1_000_000;
/// Most items of an `args` list.
pub const ARGS: usize = 1024;
/// Largest single item of `args`, in bytes (Linux's MAX_ARG_STRLEN less its NUL).
pub const ARG_BYTES: usize = 131_071;
/// Most paths in one `overrides.exec`.
pub const EXEC_PATHS: usize = TARGETS;
/// Largest `description` of an agent tool, in bytes.
pub const DESCRIPTION_BYTES: usize = 65_536;
/// Largest path, in bytes without a NUL (Linux's PATH_MAX less its NUL).
pub const PATH_BYTES: usize = 4095;
/// Largest component of a path, in bytes (Linux's NAME_MAX).
pub const PATH_COMPONENT_BYTES: usize = 255;
/// Longest `vkernel_version` requirement, in bytes.
pub const REQUIREMENT_BYTES: usize = 128;
/// Largest DER signature in base64, in characters: 72 bytes of DER.
pub const SIGNATURE_CHARS: usize = 96;
/// Most pages (64 KiB each) of a 32-bit WebAssembly memory.
pub const MEMORY_PAGES: u64 = 65_536;
/// Longest export name the section may hold, in bytes.
pub const EXPORT_NAME_BYTES: usize = 4096;
/// Most types, functions, imports, exports, tags or globals of a module, each: what engines allow.
pub const MODULE_ITEMS: usize = 1_000_000;
/// Most data segments of a module: what engines allow.
pub const DATA_SEGMENTS: usize = 100_000;
