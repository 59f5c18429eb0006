//! Trampolines: what a program's `call_indirect` calls instead of a table.
//!
//! One function per program, table and type: it takes the call's arguments and the table index, and
//! calls the function that the program's own table held there. Any other index, also one whose
//! function has another type, traps. No trampoline names another program's function, so a
//! program's function pointers cannot leave it.

use wasm_encoder::{BlockType, Function};
use wasmparser::{FuncType, ValType};

use super::code::{Body, Builder, HoleKind};

/// Entries closer together than this lie in one `br_table`: a default target is cheaper than
/// another comparison.
const MAX_HOLE: u32 = 16;

/// Longest `br_table`, in entries.
const MAX_SPAN: u32 = 4096;

/// All entries of one table with one type.
#[derive(Debug)]
pub(crate) struct Class {
    pub ty: FuncType,
    /// Table index and provisional function number, in ascending order of index.
    pub entries: Vec<(u32, u32)>,
    /// A tail call uses it, so it must not leave a frame of its own on the stack.
    pub tail: bool,
}

impl Class {
    /// The trampoline's type: the call's parameters, then the table index.
    pub(crate) fn function_type(&self) -> FuncType {
        let params = self.ty.params().iter().copied().chain([ValType::I32]);
        FuncType::new(params.collect::<Vec<_>>(), self.ty.results().to_vec())
    }

    /// The trampoline's code.
    pub(crate) fn body(&self) -> Body {
        let mut out = Builder::new(Function::new([]));
        // It may be what a sort calls at each comparison.
        out.calls_are_hot = true;
        let runs = runs(&self.entries);
        if !runs.is_empty() {
            self.search(&mut out, &runs);
        }
        // Reached by every index that is not an entry.
        out.sink().unreachable().end();
        out.finish()
    }

    fn index(&self) -> u32 {
        self.ty.params().len() as u32
    }

    /// Binary search for the run that can hold the index.
    fn search(&self, out: &mut Builder, runs: &[&[(u32, u32)]]) {
        if let [run] = runs {
            return self.leaf(out, run);
        }
        let (low, high) = runs.split_at(runs.len() / 2);
        out.sink()
            .local_get(self.index())
            .i32_const(high[0][0].0.cast_signed())
            .i32_lt_u()
            .if_(BlockType::Empty);
        self.search(out, low);
        out.sink().else_();
        self.search(out, high);
        out.sink().end();
    }

    /// Calls the entry of one run; falls through where the index is none of them.
    fn leaf(&self, out: &mut Builder, run: &[(u32, u32)]) {
        let first = run[0].0;
        if let [(entry, function)] = run {
            out.sink()
                .local_get(self.index())
                .i32_const(entry.cast_signed())
                .i32_eq()
                .if_(BlockType::Empty);
            self.call(out, *function);
            out.sink().end();
            return;
        }
        let span = run[run.len() - 1].0 - first + 1;
        let mut targets: Vec<u32> = run.iter().map(|(_, function)| *function).collect();
        targets.sort_unstable();
        targets.dedup();
        let default = targets.len() as u32;
        let mut labels = vec![default; span as usize];
        for (entry, function) in run {
            let label = targets
                .binary_search(function)
                .expect("every function is a target");
            labels[(entry - first) as usize] = label as u32;
        }
        for _ in 0..=targets.len() {
            out.sink().block(BlockType::Empty);
        }
        out.sink().local_get(self.index());
        if first != 0 {
            out.sink().i32_const(first.cast_signed()).i32_sub();
        }
        out.sink().br_table(labels, default);
        for function in targets {
            out.sink().end();
            self.call(out, function);
        }
        out.sink().end();
    }

    fn call(&self, out: &mut Builder, function: u32) {
        for param in 0..self.index() {
            out.sink().local_get(param);
        }
        out.call(HoleKind::Function, function, self.tail);
        if !self.tail {
            out.sink().return_();
        }
    }
}

/// Cuts the entries where the holes are large.
fn runs(entries: &[(u32, u32)]) -> Vec<&[(u32, u32)]> {
    let mut runs = Vec::new();
    let mut start = 0;
    for i in 1..=entries.len() {
        let cut = entries.get(i).is_none_or(|(entry, _)| {
            entry - entries[i - 1].0 > MAX_HOLE || entry - entries[start].0 >= MAX_SPAN
        });
        if cut {
            runs.push(&entries[start..i]);
            start = i;
        }
    }
    runs
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runs_are_cut_at_holes_and_at_the_longest_span() {
        let entries: Vec<(u32, u32)> = [1, 2, 18, 35, 36].map(|i| (i, 0)).to_vec();
        let lengths: Vec<usize> = runs(&entries).iter().map(|r| r.len()).collect();
        assert_eq!(lengths, [3, 2]);
        let long: Vec<(u32, u32)> = (0..10_000).map(|i| (i, 0)).collect();
        let lengths: Vec<usize> = runs(&long).iter().map(|r| r.len()).collect();
        assert_eq!(lengths, [4096, 4096, 10_000 - 8192]);
        assert!(runs(&[]).is_empty());
    }
}
