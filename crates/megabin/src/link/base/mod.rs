//! The base layer: libraries that programs share on purpose.
//!
//! Programs that were linked with `--emit-relocs` can be moved. Whatever of them is a library's is
//! given addresses and function numbers that are the same in all of them, and their own data moves
//! behind. Their library functions are equal byte for byte then, so that the linker writes them once
//! without a slot or a switch, and the library's initial data is one piece of the image. This
//! happens before linking: what comes out are ordinary programs.
//!
//! 1. [`archive`] and [`unit`] read libraries and programs;
//! 2. [`matching`] finds what of a program is the libraries', by comparing;
//! 3. [`place`] lays what any program uses;
//! 4. [`patch`] and [`write`] move each program.

mod archive;
mod error;
mod library;
mod matching;
mod patch;
mod place;
mod program;
mod unit;
mod write;

use std::collections::BTreeMap;

pub use error::{BaseError, BaseRefusal, LibraryError, Malformed};
pub use library::Library;

use super::parallel;
use library::{Libraries, SegmentId};
use matching::Matches;
use place::{Base, Move};
use program::Program;
use write::Writer;

/// A program that is to stand on the base.
#[derive(Debug, Clone, Copy)]
pub struct Standing<'a> {
    /// Its file, for messages.
    pub origin: &'a str,
    /// The bytes of its module.
    pub wasm: &'a [u8],
}

/// What lies in the base.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Summary {
    /// Functions of the libraries that two programs or more have.
    pub functions: usize,
    /// The libraries' data, in bytes.
    pub data: u64,
}

/// Programs that stand on the base, in the order given, and what lies there.
#[derive(Debug)]
pub struct Laid {
    /// The modules to link instead.
    pub modules: Vec<Vec<u8>>,
    /// What they share.
    pub summary: Summary,
}

/// Moves `programs` onto a base of `libraries`.
///
/// # Errors
/// Names the program or library, what is wrong, and what to do.
pub fn lay(programs: &[Standing<'_>], libraries: &[Library]) -> Result<Laid, BaseError> {
    let mut known = Libraries::empty();
    for library in libraries {
        known.add(library).map_err(|error| BaseError::Library {
            origin: library.origin.clone(),
            error,
        })?;
    }
    let refused = |standing: &Standing<'_>, refusal: BaseRefusal| BaseError::Program {
        origin: standing.origin.to_owned(),
        refusal,
    };
    let read = parallel::map(programs, |standing| {
        let program = Program::read(standing.wasm)?;
        let matches = matching::find(&program, &known)?;
        Ok((program, matches))
    });
    let read: Vec<(Program<'_>, Matches)> = programs
        .iter()
        .zip(read)
        .map(|(standing, read)| read.map_err(|refusal| refused(standing, refusal)))
        .collect::<Result<_, _>>()?;
    let pairs: Vec<(&Program<'_>, &Matches)> = read.iter().map(|(p, m)| (p, m)).collect();
    let base = place::lay(&pairs, &known);
    let mut moved = Vec::with_capacity(read.len());
    for (standing, (program, matches)) in programs.iter().zip(&read) {
        let to = Move::new(program, matches, &base, &known).ok_or_else(|| {
            let pages = base.end.div_ceil(65_536);
            refused(standing, BaseRefusal::Memory { pages, max: 65_536 })
        })?;
        let bytes = patch::values(program, &to).map_err(|e| refused(standing, e.into()))?;
        moved.push((to, bytes));
    }
    let shared = data(&read, &moved, &base, &known);
    let mut modules = Vec::with_capacity(read.len());
    for ((standing, (program, _)), (to, bytes)) in programs.iter().zip(&read).zip(&moved) {
        let base = own_data(&shared, program, to, bytes);
        let writer = Writer {
            program,
            to,
            bytes,
            base: &base,
        };
        let module = writer.module();
        modules.push(module.map_err(|refusal| refused(standing, refusal))?);
    }
    Ok(Laid {
        modules,
        summary: summary(&read, &base),
    })
}

fn summary(read: &[(Program<'_>, Matches)], base: &Base) -> Summary {
    let mut uses: BTreeMap<library::FunctionId, usize> = BTreeMap::new();
    for (_, matches) in read {
        for function in matches.functions.values() {
            *uses.entry(*function).or_default() += 1;
        }
    }
    Summary {
        functions: uses.values().filter(|uses| **uses > 1).count(),
        data: base.end - u64::from(base.start),
    }
}

/// The base's data as the first program has it that has a segment, up to the last byte that is not zero.
fn data(
    read: &[(Program<'_>, Matches)],
    moved: &[(Move<'_>, Vec<u8>)],
    base: &Base,
    libraries: &Libraries<'_>,
) -> Vec<u8> {
    let mut bytes = Vec::new();
    let first = |id: &SegmentId| {
        let has = |(_, matches): &&(Program<'_>, Matches)| matches.segments.contains_key(id);
        read.iter().zip(moved).find(|(read, _)| has(read))
    };
    for (id, to) in &base.segments {
        if let Some(((program, matches), (_, file))) = first(id)
            && let Some(place) = program.place(matches.segments[id])
        {
            let contents = &file[place..place + libraries.segment(*id).len()];
            lay_at(&mut bytes, (to - base.start) as usize, contents);
        }
    }
    bytes
}

/// The same with the segments of one program as it has them itself.
fn own_data(shared: &[u8], program: &Program<'_>, to: &Move<'_>, file: &[u8]) -> Vec<u8> {
    let mut bytes = shared.to_vec();
    for (start, end, address) in to.moved() {
        if let Some(place) = program.place(start) {
            let contents = &file[place..place + (end - start) as usize];
            lay_at(&mut bytes, (address - to.base.start) as usize, contents);
        }
    }
    bytes
}

fn lay_at(bytes: &mut Vec<u8>, at: usize, contents: &[u8]) {
    if contents.iter().all(|byte| *byte == 0) && at >= bytes.len() {
        return;
    }
    if bytes.len() < at + contents.len() {
        bytes.resize(at + contents.len(), 0);
    }
    bytes[at..at + contents.len()].copy_from_slice(contents);
}
