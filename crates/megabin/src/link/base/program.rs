//! A program with relocations: where its data lies, and which symbol stands where.

use std::ops::Range;

use wasmparser::{Operator, Parser, Payload, RelocationType as Ty, SymbolFlags};

use super::error::{BaseRefusal, Malformed};
use super::unit::{Reloc, SymbolKind, Unit};

pub(super) struct Program<'a> {
    pub unit: Unit<'a>,
    /// Address of each symbol that a relocation of an address names.
    addresses: Vec<Option<u32>>,
    /// Its lowest address of data.
    pub floor: u32,
    /// The strictest alignment of its data, in bytes.
    pub align: u32,
    /// Whether its stack lies below its data, as `--stack-first` has it.
    pub stack_is_first: bool,
}

impl<'a> Program<'a> {
    pub(super) fn read(wasm: &'a [u8]) -> Result<Self, BaseRefusal> {
        let unit = Unit::read(wasm)?;
        if !unit.linking || unit.relocs.is_empty() {
            return Err(BaseRefusal::NoRelocations);
        }
        if unit
            .segments
            .iter()
            .any(|segment| segment.address.is_none())
        {
            return Err(BaseRefusal::PassiveData);
        }
        let addresses = addresses(&unit)?;
        let starts = unit.segments.iter().filter_map(|segment| segment.address);
        // What is zero has no segment, but symbols.
        let symbols = unit.symbols.iter().zip(&addresses);
        let zeros = symbols
            .filter(|(symbol, _)| !symbol.flags.contains(SymbolFlags::ABSOLUTE))
            .filter_map(|(_, address)| *address);
        let floor = starts.chain(zeros).min().unwrap_or(1024);
        let align = unit.segments.iter().map(|segment| segment.align).max();
        let stack_is_first = stack(wasm)?.is_some_and(|top| top <= floor);
        Ok(Self {
            stack_is_first,
            addresses,
            floor,
            align: align.unwrap_or(1).max(16),
            unit,
        })
    }

    /// Address and size of the symbol of a relocation, where it is defined data.
    pub(super) fn data_at(&self, reloc: &Reloc) -> Option<(u32, u32)> {
        self.data(reloc.index as usize)
    }

    fn data(&self, symbol: usize) -> Option<(u32, u32)> {
        match self.unit.symbols[symbol].kind {
            SymbolKind::Data(_, _, size) => Some((self.addresses[symbol]?, size)),
            _ => None,
        }
    }

    /// All symbols with an address: where they lie, and how large they are.
    pub(super) fn all_data(&self) -> impl Iterator<Item = (u32, u32)> {
        (0..self.unit.symbols.len()).filter_map(|symbol| self.data(symbol))
    }

    /// Whether a symbol lies partly inside and partly outside of `range`.
    pub(super) fn is_cut(&self, range: Range<u32>) -> bool {
        self.all_data().any(|(start, size)| {
            let end = u64::from(start) + u64::from(size);
            let (low, high) = (u64::from(range.start), u64::from(range.end));
            let overlaps = u64::from(start) < high && end > low;
            overlaps && (u64::from(start) < low || end > high)
        })
    }

    /// Its initial memory from `address` on; `None` where that reaches over the end of a segment.
    pub(super) fn memory(&self, address: u32, len: usize) -> Option<Vec<u8>> {
        let (start, end) = (u64::from(address), u64::from(address) + len as u64);
        for segment in &self.unit.segments {
            let low = u64::from(segment.address?);
            let high = low + segment.place.len() as u64;
            if start < high && end > low {
                let within = (start.checked_sub(low)? as usize)..(end - low) as usize;
                return self.unit.bytes[segment.place.clone()]
                    .get(within)
                    .map(<[u8]>::to_vec);
            }
        }
        Some(vec![0; len])
    }

    /// The place in the file of an address that a segment holds.
    pub(super) fn place(&self, address: u32) -> Option<usize> {
        self.unit.segments.iter().find_map(|segment| {
            let within = address.checked_sub(segment.address?)? as usize;
            (within < segment.place.len()).then(|| segment.place.start + within)
        })
    }

    /// The relocations of the data in `range`, and the place in the file where it starts.
    pub(super) fn relocs_at(&self, range: Range<u32>) -> (&[Reloc], usize) {
        match self.place(range.start) {
            Some(start) => (self.unit.relocs_in(&(start..start + range.len())), start),
            None => (&[], 0),
        }
    }
}

/// Where the stack begins: wasm-ld's first global holds its pointer, the only one that can change.
fn stack(wasm: &[u8]) -> Result<Option<u32>, Malformed> {
    for payload in Parser::new(0).parse_all(wasm) {
        let Payload::GlobalSection(globals) = payload? else {
            continue;
        };
        for global in globals {
            let global = global?;
            let first = global.init_expr.get_operators_reader().read()?;
            if let (true, Operator::I32Const { value }) = (global.ty.mutable, first) {
                return Ok(Some(value.cast_unsigned()));
            }
        }
    }
    Ok(None)
}

/// The address of each symbol, by what stands at its relocations.
fn addresses(unit: &Unit<'_>) -> Result<Vec<Option<u32>>, BaseRefusal> {
    let mut addresses = vec![None; unit.symbols.len()];
    for reloc in &unit.relocs {
        match reloc.ty {
            Ty::MemoryAddrLeb | Ty::MemoryAddrSleb | Ty::MemoryAddrI32 => {
                let symbol = unit.symbol(reloc);
                if symbol.is_undefined() {
                    continue;
                }
                let value = unit.value(reloc)?;
                let address = value.wrapping_sub(reloc.addend.cast_unsigned());
                let known = addresses[reloc.index as usize].get_or_insert(address);
                if *known != address {
                    return Err(Malformed::Address(symbol.name.to_owned()).into());
                }
            }
            // A global that holds the address of data or of a function.
            Ty::GlobalIndexLeb if !matches!(unit.symbol(reloc).kind, SymbolKind::Global) => {
                return Err(BaseRefusal::Relocation(reloc.ty));
            }
            Ty::FunctionIndexLeb
            | Ty::TableIndexSleb
            | Ty::TableIndexI32
            | Ty::TypeIndexLeb
            | Ty::GlobalIndexLeb
            | Ty::EventIndexLeb
            | Ty::TableNumberLeb => {}
            other => return Err(BaseRefusal::Relocation(other)),
        }
    }
    Ok(addresses)
}

impl Program<'_> {
    /// The functions that some pointer names.
    pub(super) fn pointers(&self) -> impl Iterator<Item = u32> {
        self.unit.relocs.iter().filter_map(|reloc| {
            match (reloc.ty, self.unit.symbols.get(reloc.index as usize)?.kind) {
                (Ty::TableIndexSleb | Ty::TableIndexI32, SymbolKind::Function(own)) => Some(own),
                _ => None,
            }
        })
    }
}
