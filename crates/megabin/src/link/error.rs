//! What the linker refuses, and what to do about it.

use super::consts::ConstError;

/// Why a link failed.
#[derive(Debug, thiserror::Error)]
pub enum LinkError {
    /// One of the programs cannot be linked.
    #[error("linking {origin}: {refusal}")]
    Program {
        /// The program's file or name, as the caller gave it.
        origin: String,
        /// What is wrong with it.
        refusal: Refusal,
    },
    /// Two programs carry the same name.
    #[error("two programs are called `{0}`: give one of them another `name` in the recipe")]
    DuplicateName(String),
    /// A target refers to a program that was not given.
    #[error("target {digest} refers to program number {index}, but there are {programs}")]
    UnknownProgram {
        /// The target's digest.
        digest: String,
        /// The index given.
        index: usize,
        /// How many programs there are.
        programs: usize,
    },
    /// Two targets carry the same digest.
    #[error("the digest {0} is given twice as a target")]
    DuplicateTarget(String),
    /// Two programs import one function with different types.
    #[error(
        "{first} and {second} import `{module}.{name}` with different types: rebuild the older of \
         them with the current header"
    )]
    ImportConflict {
        /// The import's module.
        module: String,
        /// The import's name.
        name: String,
        /// Where the first type comes from.
        first: String,
        /// Where the second comes from.
        second: String,
    },
    /// Nothing to link.
    #[error("there is no program to link: name at least one [[binary]] or [[agent_tool]]")]
    Empty,
    /// All programs together break one of the limits of WebAssembly engines.
    #[error(
        "the programs together need {count} {what}, and engines take at most {limit}: \
         split the container, or leave out the largest (`{largest}`: {largest_count})"
    )]
    Limit {
        /// What there is too much of, plural.
        what: &'static str,
        /// How many are needed.
        count: u64,
        /// The limit.
        limit: u64,
        /// The program with most of them.
        largest: String,
        /// That program's share.
        largest_count: u64,
    },
    /// The output breaks a limit of the format.
    #[error("{0}: split the container")]
    Format(#[source] megabinary::module::ModuleError),
    /// The output is not valid: a fault of the linker itself.
    #[error(
        "the linked module does not validate ({0}): this is a fault in megabin, not in the \
         programs; report it with the recipe"
    )]
    Output(String),
}

/// Why one program cannot be linked.
#[derive(Debug, thiserror::Error)]
pub enum Refusal {
    /// The bytes are no WebAssembly at all.
    #[error(
        "not a WebAssembly module (it starts with {0}): give the .wasm file that clang, rustc, go \
         or zig writes for wasm32-wasip1"
    )]
    NotWasm(String),
    /// A component instead of a core module.
    #[error(
        "a WebAssembly component: megabin links core modules; build for wasm32-wasip1 (preview 1), \
         not wasm32-wasip2, and do not run `wasm-tools component new` on it"
    )]
    Component,
    /// A relocatable object file.
    #[error("an object file: link it to a program first, with clang or wasm-ld")]
    Object,
    /// No `_start`.
    #[error(
        "it exports no `_start`, so it is a library or a reactor: build it as a command (no \
         -mexec-model=reactor, no --no-entry, no -buildmode=c-shared)"
    )]
    NoStart,
    /// `_start` is something else than a function without parameters and results.
    #[error("its export `_start` is not a function of type () -> ()")]
    StartType,
    /// It imports something that only a module can define.
    #[error("it imports the {kind} `{module}.{name}`: a program must define its own ({advice})")]
    ImportKind {
        /// memory, table, global or tag.
        kind: &'static str,
        /// The import's module.
        module: String,
        /// The import's name.
        name: String,
        /// What to do.
        advice: &'static str,
    },
    /// An import that the virtual kernel does not have.
    #[error("it imports the function `{module}.{name}`, which no virtual kernel has: {advice}")]
    UnknownImport {
        /// The import's module.
        module: String,
        /// The import's name.
        name: String,
        /// What to do.
        advice: &'static str,
    },
    /// An import with another type than the interface says.
    #[error(
        "it imports `{module}.{name}` with type {found}, but the interface says {expected}: \
         rebuild it with a matching header or library"
    )]
    ImportType {
        /// The import's module.
        module: String,
        /// The import's name.
        name: String,
        /// The type in the program.
        found: String,
        /// The type of the interface.
        expected: String,
    },
    /// The module is invalid or needs a feature that is off.
    #[error("{reason} (at offset {offset:#x}): {advice}")]
    Invalid {
        /// The validator's words.
        reason: String,
        /// Offset in the file, in bytes.
        offset: usize,
        /// What to do.
        advice: &'static str,
    },
    /// Shared memory.
    #[error("its memory is shared between threads: build without -pthread and atomics")]
    Shared,
    /// 64-bit memory.
    #[error("its memory is 64-bit: build for wasm32")]
    Memory64,
    /// Several memories.
    #[error("it has several memories: a program may have one")]
    Memories,
    /// Memory pages of another size than 64 KiB.
    #[error("its memory has custom page sizes: build it with pages of 64 KiB")]
    PageSize,
    /// A constant expression that has no value at link time.
    #[error("{0}")]
    Const(#[from] ConstError),
    /// A data segment outside the memory.
    #[error(
        "its data segment {segment} ends at byte {end:#x}, beyond its initial memory of {pages} \
         pages: it would trap before it starts"
    )]
    DataBounds {
        /// Index of the segment.
        segment: usize,
        /// First byte after the segment.
        end: u64,
        /// Initial memory in pages of 64 KiB.
        pages: u64,
    },
    /// An element segment outside its table.
    #[error(
        "its element segment {segment} ends at entry {end}, beyond its table of {entries} \
         entries: it would trap before it starts"
    )]
    ElementBounds {
        /// Index of the segment.
        segment: usize,
        /// First entry after the segment.
        end: u64,
        /// Initial size of the table.
        entries: u64,
    },
    /// A function that grew over the limit when it was rewritten.
    #[error(
        "its function {name} is {bytes} bytes long, and engines take at most {limit}: build with \
         less inlining (-Os), or split it"
    )]
    FunctionSize {
        /// The function's name or number.
        name: String,
        /// Its size in bytes.
        bytes: usize,
        /// The limit in bytes.
        limit: usize,
    },
}

impl Refusal {
    /// The error for the program that came from `origin`.
    pub(crate) fn of(self, origin: &str) -> LinkError {
        LinkError::Program {
            origin: origin.to_owned(),
            refusal: self,
        }
    }

    /// A validator's or parser's error, with advice chosen by what it complains about.
    pub(crate) fn invalid(error: &wasmparser::Error) -> Refusal {
        let reason = error.message().to_owned();
        Refusal::Invalid {
            advice: advice_for(&reason),
            offset: error.offset(),
            reason,
        }
    }
}

/// What to do about a message of the validator: most of them name a feature that is off.
fn advice_for(reason: &str) -> &'static str {
    const ADVICE: &[(&str, &str)] = &[
        (
            "legacy",
            "it uses the exceptions of before the standard, which engines no longer take; build it \
             with `-mllvm -wasm-use-legacy-eh=false`, or convert it with Binaryen's `wasm-opt \
             --all-features --translate-to-exnref`",
        ),
        (
            "threads",
            "threads are not supported; build without -pthread and atomics",
        ),
        (
            "shared",
            "threads are not supported; build without -pthread and atomics",
        ),
        (
            "memory64",
            "64-bit memories are not supported; build for wasm32",
        ),
        (
            "64-bit",
            "64-bit memories are not supported; build for wasm32",
        ),
        ("multi-memory", "several memories are not supported"),
        ("multiple memories", "several memories are not supported"),
        (
            "relaxed SIMD",
            "relaxed SIMD is not supported; build without -mrelaxed-simd",
        ),
        ("gc proposal", "garbage-collected types are not supported"),
        (
            "gc types",
            "garbage-collected types and externref are not supported",
        ),
        (
            "the gc feature",
            "garbage-collected types are not supported; build without them (languages with a \
             collector of their own need one that is compiled in)",
        ),
        (
            "function references",
            "typed function references are not supported; build with untyped ones (funcref)",
        ),
        (
            "stack switching",
            "stack switching is not supported; build without it (asyncify does the same in code)",
        ),
        (
            "custom descriptors",
            "garbage-collected types are not supported; build without custom descriptors",
        ),
        (
            "memory control",
            "memory control is not supported; build without it",
        ),
        (
            "data segments",
            "engines take at most 100000; build it with fewer (megabin joins them where all are \
             active, ascending and apart)",
        ),
        (
            "element segments",
            "engines take at most 100000; build it with fewer",
        ),
        (
            "tables count",
            "engines take at most 100 tables; build it with fewer",
        ),
        (
            "function body size",
            "engines take functions of at most 7654321 bytes; build with less inlining (-Os), or \
             split it",
        ),
        (
            "locals",
            "engines take at most 50000 locals in a function; build with less inlining (-Os), or \
             split it",
        ),
        (
            "params size",
            "engines take at most 1000 parameters of a function; pass a structure instead",
        ),
        (
            "component",
            "components are not supported; build for wasm32-wasip1",
        ),
        (
            "wide arithmetic",
            "wide arithmetic is not supported; build without -mwide-arithmetic",
        ),
    ];
    ADVICE.iter().find(|(word, _)| reason.contains(word)).map_or(
        "the file is damaged or was written for a newer engine; build it again for wasm32-wasip1",
        |(_, advice)| advice,
    )
}
