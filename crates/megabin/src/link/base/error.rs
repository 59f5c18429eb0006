//! Why a base layer was not laid.

use wasmparser::RelocationType;

/// What is wrong, and with which program or library.
#[derive(Debug, thiserror::Error)]
pub enum BaseError {
    /// A program cannot stand on the base.
    #[error("laying {origin} on the base: {refusal}")]
    Program {
        /// The program's file.
        origin: String,
        /// What is wrong with it.
        refusal: BaseRefusal,
    },
    /// A library cannot be read.
    #[error("reading the base library {origin}: {error}")]
    Library {
        /// The library's file.
        origin: String,
        /// What is wrong with it.
        error: LibraryError,
    },
}

/// Why a program cannot stand on the base.
#[derive(Debug, thiserror::Error)]
pub enum BaseRefusal {
    /// The linker did not keep relocations.
    #[error(
        "it has no relocations: link it with -Wl,--emit-relocs (and without wasm-opt, wasm-strip \
         and -Wl,--strip-all), or take `base = true` from it"
    )]
    NoRelocations,
    /// Its sections contradict each other.
    #[error("{0}: build it again with wasm-ld of LLVM 16 or later")]
    Malformed(#[from] Malformed),
    /// A relocation of position independent or threaded code.
    #[error(
        "it has a relocation of type {0:?}, which only position independent, threaded or 64-bit \
         code has: build it without -fPIC, -pthread and wasm64"
    )]
    Relocation(RelocationType),
    /// Data that the program lays itself.
    #[error("it has passive data segments: link it without -Wl,--shared-memory and -pthread")]
    PassiveData,
    /// Several tables, or entries that are not constant.
    #[error("its function table is not as wasm-ld writes it: one table, one kind of entry")]
    Table,
    /// Another version of the library.
    #[error(
        "its function `{function}` is not the one of {library}, though others are: link it with \
         that very file, or name the one it was linked with, before others that define the same"
    )]
    OtherVersion {
        /// A function that differs.
        function: String,
        /// The library as it was named.
        library: String,
    },
    /// Not linked with any of the libraries.
    #[error(
        "none of its functions is one of the base libraries': name the library that it was linked \
         with, or take `base = true` from it"
    )]
    Unrelated,
    /// The base does not fit below its data.
    #[error(
        "moved behind the base its memory would need {pages} pages, and its maximum is {max}: \
         raise --max-memory"
    )]
    Memory {
        /// Pages it would need.
        pages: u64,
        /// The most it may have.
        max: u64,
    },
}

/// What is wrong with a library.
#[derive(Debug, thiserror::Error)]
pub enum LibraryError {
    /// No archive.
    #[error("not an archive: give the .a file that the programs are linked with")]
    NotAnArchive,
    /// It ends within a member.
    #[error("it ends within a member: it is damaged")]
    Truncated,
    /// A member's header.
    #[error("a member's header is damaged")]
    Header,
    /// A member is no object file.
    #[error(
        "one of its members is no WebAssembly object file (bitcode of -flto?): build it without \
         link-time optimisation"
    )]
    NotAnObject,
    /// A member's sections contradict each other.
    #[error("one of its members: {0}")]
    Malformed(#[from] Malformed),
}

/// Sections that contradict each other.
#[derive(Debug, thiserror::Error)]
pub enum Malformed {
    /// The parser's words.
    #[error("{0}")]
    Parse(#[from] wasmparser::Error),
    /// A relocation outside its section, or overlapping another.
    #[error("a relocation at {0:#x} lies outside the code and data it is for")]
    Place(usize),
    /// A relocation of a symbol that is not there or of another kind.
    #[error("a relocation at {0:#x} names no symbol of its kind")]
    Symbol(usize),
    /// The value there is not encoded as relocations demand.
    #[error("the value at the relocation at {0:#x} has not the width of its type")]
    Value(usize),
    /// Relocations of one symbol that disagree on its address.
    #[error("relocations of `{0}` disagree on its address")]
    Address(String),
    /// Something refers to a part that is not there.
    #[error("its symbols name a {0} that is not there")]
    Missing(&'static str),
}
