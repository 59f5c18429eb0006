//! Which parts of a program are the libraries': found by comparing, so that nothing depends on what
//! a file says of its origin.
//!
//! A function of the program that has the name of a library's and the same code apart from
//! relocations is that function. Its relocations then stand in pairs, which lead on: to functions
//! without a name of their own, and to the data both name.

use std::collections::BTreeMap;

use wasmparser::RelocationType as Ty;

use super::error::{BaseRefusal, Malformed};
use super::library::{FunctionId, Libraries, SegmentId};
use super::program::Program;
use super::unit::{Reloc, Symbol, SymbolKind, Unit};

/// What of a program is the libraries'.
#[derive(Default)]
pub(super) struct Matches {
    /// By the program's number of the function.
    pub functions: BTreeMap<u32, FunctionId>,
    /// The address in the program.
    pub segments: BTreeMap<SegmentId, u32>,
    /// The relocations of addresses in what is the libraries', by place: the segment, and the
    /// offset in it, addend included.
    pub sites: BTreeMap<usize, (SegmentId, i64)>,
}

enum Pair {
    Function(FunctionId, u32),
    Segment(SegmentId, u32),
}

struct Matcher<'a> {
    program: &'a Program<'a>,
    libraries: &'a Libraries<'a>,
    matches: Matches,
    pending: Vec<Pair>,
    /// Functions that differ, and their names.
    differing: BTreeMap<FunctionId, String>,
    /// One of them that cannot differ.
    contradicting: Option<FunctionId>,
}

pub(super) fn find(
    program: &Program<'_>,
    libraries: &Libraries<'_>,
) -> Result<Matches, BaseRefusal> {
    let mut matcher = Matcher {
        program,
        libraries,
        matches: Matches::default(),
        pending: Vec::new(),
        differing: BTreeMap::new(),
        contradicting: None,
    };
    matcher.named();
    while let Some(pair) = matcher.pending.pop() {
        match pair {
            Pair::Function(function, own) => {
                matcher.function(function, own)?;
            }
            Pair::Segment(segment, address) => matcher.segment(segment, address)?,
        }
    }
    matcher.finish()
}

impl Matcher<'_> {
    /// Begins with the functions of the same name.
    fn named(&mut self) {
        for symbol in &self.program.unit.symbols {
            if let SymbolKind::Function(own) = symbol.kind
                && !symbol.is_local()
                && !symbol.is_undefined()
                && let Some(function) = self.libraries.functions.get(symbol.name)
            {
                self.pending.push(Pair::Function(*function, own));
            }
        }
    }

    fn function(&mut self, id: FunctionId, own: u32) -> Result<(), Malformed> {
        let (program, library) = (&self.program.unit, &self.libraries.objects[id.0].unit);
        if own < program.imports || self.matches.functions.contains_key(&own) {
            return Ok(());
        }
        let own_place = program.bodies[(own - program.imports) as usize].clone();
        let place = library.bodies[(id.1 - library.imports) as usize].clone();
        let types = [(library, id.1), (program, own)]
            .map(|(unit, function)| &unit.types[unit.functions[function as usize] as usize]);
        let relocs = (library.relocs_in(&place), program.relocs_in(&own_place));
        let same = types[0] == types[1]
            && self.same_bytes(
                library,
                (&library.bytes[place.clone()], place.start),
                (&program.bytes[own_place.clone()], own_place.start),
                relocs,
            );
        if !same {
            self.note_difference(id);
            return Ok(());
        }
        self.matches.functions.insert(own, id);
        self.pairs(id.0, relocs)
    }

    /// A program may replace what it can name, so only a function that just its own object can name
    /// says by itself that the object is another one.
    fn note_difference(&mut self, id: FunctionId) {
        let unit = &self.libraries.objects[id.0].unit;
        let is_it = |symbol: &&Symbol<'_>| matches!(symbol.kind, SymbolKind::Function(index) if index == id.1);
        let mut symbols = unit.symbols.iter().filter(is_it);
        if let Some(symbol) = symbols.clone().next() {
            self.differing.insert(id, symbol.name.to_owned());
            if symbols.all(|symbol| symbol.is_local()) {
                self.contradicting.get_or_insert(id);
            }
        }
    }

    fn segment(&mut self, id: SegmentId, address: u32) -> Result<(), Malformed> {
        if self.matches.segments.contains_key(&id) {
            return Ok(());
        }
        let library = &self.libraries.objects[id.0].unit;
        let segment = &library.segments[id.1 as usize];
        let bytes = self.libraries.segment(id);
        let Some(end) = address.checked_add(bytes.len() as u32) else {
            return Ok(());
        };
        let relocs = library.relocs_in(&segment.place);
        let own_relocs = self.program.relocs_at(address..end);
        let same = self
            .program
            .memory(address, bytes.len())
            .is_some_and(|own| {
                // The program's relocations as if its bytes began at 0.
                let starts = (segment.place.start, own_relocs.1);
                let relocs = (relocs, own_relocs.0);
                self.same_bytes(library, (bytes, starts.0), (&own, starts.1), relocs)
            });
        // What can be written must be the program's as a whole: a stronger definition may be larger.
        let readonly = segment.name.starts_with(".rodata");
        if !same || (!readonly && self.program.is_cut(address..end)) {
            return Ok(());
        }
        self.matches.segments.insert(id, address);
        self.pairs(id.0, (relocs, own_relocs.0))
    }

    /// Whether bytes and relocations are equal apart from the values at relocations. Each side's
    /// bytes come with the place where they start.
    fn same_bytes(
        &self,
        library: &Unit<'_>,
        (bytes, start): (&[u8], usize),
        (own, own_start): (&[u8], usize),
        (relocs, own_relocs): (&[Reloc], &[Reloc]),
    ) -> bool {
        if bytes.len() != own.len() || relocs.len() != own_relocs.len() {
            return false;
        }
        let mut from = 0;
        for (reloc, own_reloc) in relocs.iter().zip(own_relocs) {
            let (at, own_at) = (reloc.at - start, own_reloc.at.wrapping_sub(own_start));
            if (reloc.ty, at, reloc.addend) != (own_reloc.ty, own_at, own_reloc.addend)
                || !self.same_meaning(library, reloc, own_reloc)
                || at < from
                || bytes[from..at] != own[from..at]
            {
                return false;
            }
            from = at + reloc.ty.extent();
            if from > bytes.len() {
                return false;
            }
        }
        bytes[from..] == own[from..]
    }

    /// What is compared at once of relocations: types and globals.
    fn same_meaning(&self, library: &Unit<'_>, reloc: &Reloc, own: &Reloc) -> bool {
        let program = &self.program.unit;
        match reloc.ty {
            Ty::TypeIndexLeb => {
                library.types[reloc.index as usize] == program.types[own.index as usize]
            }
            Ty::GlobalIndexLeb => library.symbol(reloc).name == program.symbol(own).name,
            _ => true,
        }
    }

    /// Follows the relocations of two parts that are equal.
    fn pairs(
        &mut self,
        object: usize,
        (relocs, own_relocs): (&[Reloc], &[Reloc]),
    ) -> Result<(), Malformed> {
        let libraries = self.libraries;
        let (library, program) = (&libraries.objects[object].unit, &self.program.unit);
        for (reloc, own) in relocs.iter().zip(own_relocs) {
            match reloc.ty {
                Ty::FunctionIndexLeb | Ty::TableIndexSleb | Ty::TableIndexI32 => {
                    let symbol = library.symbol(reloc);
                    let id = match symbol.kind {
                        SymbolKind::Function(index) if index >= library.imports => {
                            Some((object, index))
                        }
                        _ => libraries.functions.get(symbol.name).copied(),
                    };
                    if let (Some(id), SymbolKind::Function(own)) = (id, program.symbol(own).kind) {
                        self.pending.push(Pair::Function(id, own));
                    }
                }
                Ty::MemoryAddrLeb | Ty::MemoryAddrSleb | Ty::MemoryAddrI32 => {
                    if program.symbol(own).is_undefined() {
                        continue;
                    }
                    let Some((id, offset)) = self.data_of(object, library, reloc) else {
                        continue;
                    };
                    let address = program.value(own)?.wrapping_sub(own.addend.cast_unsigned());
                    let address = address.wrapping_sub(offset);
                    let within = i64::from(offset) + i64::from(own.addend);
                    self.matches.sites.insert(own.at, (id, within));
                    self.pending.push(Pair::Segment(id, address));
                }
                _ => {}
            }
        }
        Ok(())
    }

    fn data_of(
        &self,
        object: usize,
        library: &Unit<'_>,
        reloc: &Reloc,
    ) -> Option<(SegmentId, u32)> {
        let symbol = library.symbol(reloc);
        match symbol.kind {
            SymbolKind::Data(segment, offset, _) => {
                let known = (segment as usize) < library.segments.len();
                known.then_some(((object, segment), offset))
            }
            _ => self.libraries.data.get(symbol.name).copied(),
        }
    }

    fn finish(mut self) -> Result<Matches, BaseRefusal> {
        if self.matches.functions.is_empty() {
            return Err(BaseRefusal::Unrelated);
        }
        let mostly = self.differing.len() > self.matches.functions.len();
        let first = self.differing.keys().next().filter(|_| mostly).copied();
        if let Some(id) = self.contradicting.or(first) {
            return Err(BaseRefusal::OtherVersion {
                function: self.differing[&id].clone(),
                library: self.libraries.objects[id.0].origin.to_owned(),
            });
        }
        // An address counts only where the whole segment is the library's, at that address.
        let (matches, unit) = (&self.matches, &self.program.unit);
        let mut kept = BTreeMap::new();
        for (at, (id, within)) in &matches.sites {
            let reloc = unit.relocs_in(&(*at..at + 1));
            let (Some(address), Some(reloc)) = (matches.segments.get(id), reloc.first()) else {
                continue;
            };
            let expected = i64::from(*address) + within;
            if expected == i64::from(unit.value(reloc)?) {
                kept.insert(*at, (*id, *within));
            }
        }
        self.matches.sites = kept;
        Ok(self.matches)
    }
}
