//! Every feature and limit of WebAssembly, one line each: linked programs that use it do what they do
//! alone, or it is refused with a message that names the file, the feature and what to do.
#![allow(clippy::unwrap_used, missing_docs)]

mod support;

use megabinary::digest::Digest;
use support::{FOLDINGS, Setup, engine, link_folded, refusal_of, run_linked, run_original, wat};
use wasm_encoder::{
    CodeSection, ConstExpr, DataCountSection, DataSection, ElementSection, Elements, ExportKind,
    ExportSection, Function, FunctionSection, GlobalSection, GlobalType, MemorySection, MemoryType,
    Module, RefType, TableSection, TableType, TypeSection, ValType,
};

enum Verdict {
    /// Runs, alone and linked, and exits with 7.
    Linked,
    /// Parts of the message.
    Refused(&'static [&'static str]),
}
use Verdict::{Linked, Refused};

struct Case {
    feature: &'static str,
    module: fn() -> Vec<u8>,
    verdict: Verdict,
}

/// A program with these fields, and this body of `_start`.
macro_rules! program {
    ($fields:expr, $body:expr) => {
        || {
            wat(concat!(
                r#"(module (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
                (memory (export "memory") 1) "#,
                $fields,
                r#" (func (export "_start") "#,
                $body,
                "))"
            ))
        }
    };
}

/// A module as it is, without a memory of its own.
macro_rules! module {
    ($fields:expr) => {
        || wat(concat!("(module ", $fields, ")"))
    };
}

const START: &str = r#"(func (export "_start"))"#;

#[rustfmt::skip]
const CASES: &[Case] = &[
    // What compilers for WASI preview 1 emit.
    Case { feature: "mutable globals", verdict: Linked,
        module: program!(r#"(global $g (export "g") (mut i32) (i32.const 7))"#, "(call $exit (global.get $g))") },
    Case { feature: "sign extension", verdict: Linked,
        module: program!("", "(call $exit (i32.sub (i32.const 6) (i32.extend8_s (i32.const 255))))") },
    Case { feature: "saturating conversions", verdict: Linked,
        module: program!("", "(call $exit (i32.add (i32.trunc_sat_f64_u (f64.const -1e300)) (i32.const 7)))") },
    Case { feature: "multiple values", verdict: Linked,
        module: program!("(func $two (result i32 i32) (i32.const 3) (i32.const 4))", "(call $two) (i32.add) (call $exit)") },
    Case { feature: "blocks with parameters", verdict: Linked,
        module: program!("", "(i32.const 3) (block (param i32) (result i32) (i32.const 4) (i32.add)) (call $exit)") },
    Case { feature: "bulk memory", verdict: Linked,
        module: program!(r#"(data $p "\03\04")"#,
            "(memory.init $p (i32.const 8) (i32.const 0) (i32.const 2)) (data.drop $p)
             (memory.copy (i32.const 16) (i32.const 8) (i32.const 2)) (memory.fill (i32.const 8) (i32.const 0) (i32.const 2))
             (call $exit (i32.add (i32.load8_u (i32.const 16)) (i32.load8_u (i32.const 17))))") },
    Case { feature: "SIMD", verdict: Linked,
        module: program!("", "(call $exit (i32x4.extract_lane 2 (i32x4.add (v128.const i32x4 1 2 3 4) (v128.const i32x4 4 4 4 4))))") },
    Case { feature: "tail calls", verdict: Linked,
        module: program!("(func $f (param i32) (return_call $exit (local.get 0)))", "(return_call $f (i32.const 7))") },
    Case { feature: "tail calls through a table", verdict: Linked,
        module: program!("(type $t (func (param i32))) (table funcref (elem $f)) (func $f (type $t) (call $exit (local.get 0)))",
            "(return_call_indirect (type $t) (i32.const 7) (i32.const 0))") },
    Case { feature: "reference types", verdict: Linked,
        module: program!("(type $t (func (param i32))) (table $t 1 funcref) (elem declare func $exit)",
            "(table.set $t (i32.const 0) (ref.func $exit)) (drop (table.grow $t (ref.null func) (i32.const 1)))
             (call_indirect $t (type $t) (i32.const 7) (i32.const 0))") },
    Case { feature: "several tables", verdict: Linked,
        module: program!("(type $t (func (param i32))) (table $a funcref (elem $exit)) (table $b 3 funcref) (elem (table $b) (i32.const 2) func $exit)",
            "(call_indirect $b (type $t) (i32.const 7) (i32.const 2))") },
    Case { feature: "extended constants", verdict: Linked,
        module: program!("(global $g i32 (i32.add (i32.const 3) (i32.const 4)))", "(call $exit (global.get $g))") },
    Case { feature: "start functions", verdict: Linked,
        module: program!("(global $g (mut i32) (i32.const 0)) (func $s (global.set $g (i32.const 7))) (start $s)", "(call $exit (global.get $g))") },
    Case { feature: "exceptions", verdict: Linked,
        module: program!("(tag $t (param i32))",
            "(block $h (result i32) (try_table (catch $t $h) (throw $t (i32.const 7))) (unreachable)) (call $exit)") },
    Case { feature: "references to exceptions", verdict: Linked,
        module: program!("(tag $t)",
            "(block $h (result exnref) (try_table (catch_all_ref $h) (throw $t)) (unreachable))
             (call $exit (i32.add (ref.is_null) (i32.const 7)))") },
    Case { feature: "no memory", verdict: Linked,
        module: module!(r#"(import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32))) (memory (export "memory") 0)
            (func (export "_start") (call $exit (i32.const 7)))"#) },
    Case { feature: "branch hints, and other custom sections", verdict: Linked,
        module: program!(r#"(@custom "metadata.code.branch_hint" "\01\01") (@custom "producers" "\00")"#, "(call $exit (i32.const 7))") },
    Case { feature: "data segments, 150,000", verdict: Linked, module: || segments(150_000, Kind::Ascending) },
    Case { feature: "a function of 7 MB", verdict: Linked, module: || long_function(7_000_000) },

    // Limits of engines.
    Case { feature: "too many data segments, out of order", module: || segments(100_001, Kind::Descending),
        verdict: Refused(&["data segments", "100000", "fewer"]) },
    Case { feature: "too many passive data segments", module: || segments(100_001, Kind::Passive),
        verdict: Refused(&["data segments", "100000", "fewer"]) },
    Case { feature: "too many element segments", module: elements,
        verdict: Refused(&["element segments", "100000"]) },
    Case { feature: "functions too large", module: || long_function(7_654_400),
        verdict: Refused(&["size", "-Os"]) },
    Case { feature: "too many locals", module: locals,
        verdict: Refused(&["locals", "50000"]) },
    Case { feature: "too many parameters", module: || parameters(1001),
        verdict: Refused(&["parameters", "1000"]) },
    Case { feature: "too many tables", module: || tables(101),
        verdict: Refused(&["tables", "100"]) },

    // Features that are refused.
    Case { feature: "exceptions of before the standard", module: legacy_exceptions,
        verdict: Refused(&["exceptions", "-wasm-use-legacy-eh=false", "--translate-to-exnref"]) },
    Case { feature: "relaxed SIMD",
        module: program!("", "(drop (i8x16.relaxed_swizzle (v128.const i64x2 0 0) (v128.const i64x2 0 0)))"),
        verdict: Refused(&["relaxed SIMD", "-mrelaxed-simd"]) },
    Case { feature: "threads", module: program!("", "(drop (i32.atomic.load (i32.const 0)))"),
        verdict: Refused(&["threads", "-pthread"]) },
    Case { feature: "shared memory", module: module!(r#"(memory (export "memory") 1 2 shared) (func (export "_start"))"#),
        verdict: Refused(&["memory is shared between threads", "-pthread"]) },
    Case { feature: "memory64", module: module!(r#"(memory (export "memory") i64 1) (func (export "_start"))"#),
        verdict: Refused(&["64-bit", "wasm32"]) },
    Case { feature: "table64", module: program!("(table i64 1 funcref)", ""),
        verdict: Refused(&["64-bit", "wasm32"]) },
    Case { feature: "several memories", module: program!("(memory 1)", ""),
        verdict: Refused(&["several memories"]) },
    Case { feature: "custom page sizes", module: module!(r#"(memory (export "memory") 1 (pagesize 1)) (func (export "_start"))"#),
        verdict: Refused(&["page sizes", "64 KiB"]) },
    Case { feature: "garbage-collected types", module: program!("(type (struct (field i32)))", ""),
        verdict: Refused(&["garbage-collected types"]) },
    Case { feature: "i31", module: program!("(func (param i31ref))", ""),
        verdict: Refused(&["garbage-collected types"]) },
    Case { feature: "externref", module: program!("(func (param externref))", ""),
        verdict: Refused(&["externref"]) },
    Case { feature: "typed function references", module: program!("(type $t (func)) (func (param (ref $t)) (call_ref $t (local.get 0)))", ""),
        verdict: Refused(&["function references"]) },
    Case { feature: "stack switching", module: program!("(type $t (func)) (type (cont $t))", ""),
        verdict: Refused(&["stack switching"]) },
    Case { feature: "wide arithmetic",
        module: program!("", "(drop (drop (i64.add128 (i64.const 1) (i64.const 1) (i64.const 1) (i64.const 1))))"),
        verdict: Refused(&["wide arithmetic", "-mwide-arithmetic"]) },
    Case { feature: "components", module: || b"\0asm\x0d\0\x01\0".to_vec(),
        verdict: Refused(&["component", "wasm32-wasip1"]) },
    Case { feature: "reactors", module: module!(r#"(memory (export "memory") 1) (func (export "_initialize"))"#),
        verdict: Refused(&["no `_start`", "-mexec-model=reactor"]) },
    Case { feature: "imported memories", module: module!(r#"(import "env" "memory" (memory 1)) (func (export "_start"))"#),
        verdict: Refused(&["imports the memory `env.memory`", "--import-memory"]) },
    Case { feature: "imported tables", module: module!(r#"(import "env" "t" (table 1 funcref)) (func (export "_start"))"#),
        verdict: Refused(&["imports the table `env.t`"]) },
    Case { feature: "imported globals", module: module!(r#"(import "env" "g" (global i32)) (func (export "_start"))"#),
        verdict: Refused(&["imports the global `env.g`"]) },
    Case { feature: "imported tags", module: module!(r#"(import "env" "__c_longjmp" (tag (param i32))) (func (export "_start"))"#),
        verdict: Refused(&["imports the exception tag `env.__c_longjmp`", "-lsetjmp"]) },
];

#[test]
fn every_feature_is_linked_or_refused_with_what_to_do() {
    let engine = engine();
    let setup = Setup {
        args: &["prog"],
        stdin: "",
        dir: None,
    };
    let neighbour = wat(&format!(r#"(module (memory (export "memory") 2) {START})"#));
    for case in CASES {
        let wasm = (case.module)();
        match case.verdict {
            Refused(parts) => {
                let text = refusal_of(&wasm);
                assert!(
                    text.starts_with("linking bad.wasm: "),
                    "{}: {text}",
                    case.feature
                );
                for part in parts {
                    assert!(
                        text.contains(part),
                        "{}: {text:?} lacks {part:?}",
                        case.feature
                    );
                }
            }
            Linked => {
                let programs = [("a", &neighbour[..]), ("prog", &wasm[..])];
                for folding in FOLDINGS {
                    let linked = link_folded(&programs, folding);
                    let module = wasmtime::Module::new(&engine, &linked.wasm).unwrap();
                    let outcome = run_linked(&engine, &module, &Digest::of(&wasm), &setup);
                    assert_eq!(outcome.end, Ok(7), "{}, {folding:?}", case.feature);
                }
                // Engines load no more than 100,000 segments.
                if !case.feature.starts_with("data segments") {
                    assert_eq!(
                        run_original(&engine, &wasm, &setup).end,
                        Ok(7),
                        "{}",
                        case.feature
                    );
                }
            }
        }
    }
}

/// A module with one memory that exits with `value`, to which `add` adds sections.
struct Shell {
    types: TypeSection,
    tables: TableSection,
    elements: ElementSection,
    data: Option<DataSection>,
    body: Function,
    /// Another function.
    other: Option<Function>,
}

impl Shell {
    fn new() -> Shell {
        let mut types = TypeSection::new();
        types.ty().function([], []);
        types.ty().function([ValType::I32], []);
        Shell {
            types,
            tables: TableSection::new(),
            elements: ElementSection::new(),
            data: None,
            body: Function::new([]),
            other: None,
        }
    }

    fn build(self) -> Vec<u8> {
        let mut module = Module::new();
        module.section(&self.types);
        let mut imports = wasm_encoder::ImportSection::new();
        let exit = wasm_encoder::EntityType::Function(1);
        imports.import("wasi_snapshot_preview1", "proc_exit", exit);
        module.section(&imports);
        let mut functions = FunctionSection::new();
        functions.function(0);
        if self.other.is_some() {
            functions.function(0);
        }
        module.section(&functions);
        module.section(&self.tables);
        let mut memories = MemorySection::new();
        memories.memory(MemoryType {
            minimum: 64,
            maximum: None,
            memory64: false,
            shared: false,
            page_size_log2: None,
        });
        module.section(&memories);
        let mut globals = GlobalSection::new();
        let ty = GlobalType {
            val_type: ValType::I32,
            mutable: true,
            shared: false,
        };
        globals.global(ty, &ConstExpr::i32_const(0));
        module.section(&globals);
        let mut exports = ExportSection::new();
        exports.export("memory", ExportKind::Memory, 0);
        exports.export("_start", ExportKind::Func, 1);
        module.section(&exports);
        module.section(&self.elements);
        if let Some(data) = &self.data {
            module.section(&DataCountSection { count: data.len() });
        }
        let mut code = CodeSection::new();
        code.function(&self.body);
        if let Some(other) = &self.other {
            code.function(other);
        }
        module.section(&code);
        if let Some(data) = &self.data {
            module.section(data);
        }
        module.finish()
    }
}

enum Kind {
    Ascending,
    Descending,
    Passive,
}

/// Segments of one byte each, 16 bytes apart; exits with the sum of the first and the last.
fn segments(count: i32, kind: Kind) -> Vec<u8> {
    let mut shell = Shell::new();
    let mut data = DataSection::new();
    for nth in 0..count {
        let at = 1024 + 16 * nth;
        let byte = match nth {
            0 => 3,
            last if last == count - 1 => 4,
            _ => 9,
        };
        match kind {
            Kind::Ascending => drop(data.active(0, &ConstExpr::i32_const(at), [byte])),
            Kind::Descending => {
                let at = 1024 + 16 * (count - nth);
                data.active(0, &ConstExpr::i32_const(at), [byte]);
            }
            Kind::Passive => drop(data.passive([byte])),
        }
    }
    shell.data = Some(data);
    let byte = |at: i32| wasm_encoder::MemArg {
        offset: at as u64,
        align: 0,
        memory_index: 0,
    };
    let last = byte(1024 + 16 * (count - 1));
    let mut sink = shell.body.instructions();
    sink.i32_const(0).i32_load8_u(byte(1024));
    sink.i32_const(0).i32_load8_u(last);
    sink.i32_add().call(0).end();
    shell.build()
}

/// A function that is never called and so many bytes long.
fn long_function(bytes: usize) -> Vec<u8> {
    let mut shell = Shell::new();
    shell.body.instructions().i32_const(7).call(0).end();
    let mut long = Function::new([]);
    // No operands, so that it takes no memory to compile.
    long.instructions().unreachable();
    long.raw(std::iter::repeat_n(0x01, bytes - 3));
    long.instructions().end();
    shell.other = Some(long);
    shell.build()
}

fn locals() -> Vec<u8> {
    let mut shell = Shell::new();
    shell.body = Function::new([(50_001, ValType::I32)]);
    shell.body.instructions().end();
    shell.build()
}

fn parameters(count: usize) -> Vec<u8> {
    let mut shell = Shell::new();
    shell.body.instructions().end();
    shell.types.ty().function(vec![ValType::I32; count], []);
    shell.build()
}

fn tables(count: usize) -> Vec<u8> {
    let mut shell = Shell::new();
    shell.body.instructions().end();
    for _ in 0..count {
        shell.tables.table(TableType {
            element_type: RefType::FUNCREF,
            table64: false,
            minimum: 1,
            maximum: None,
            shared: false,
        });
    }
    shell.build()
}

fn elements() -> Vec<u8> {
    let mut shell = Shell::new();
    shell.body.instructions().end();
    for _ in 0..100_001 {
        shell
            .elements
            .passive(Elements::Functions([0].as_slice().into()));
    }
    shell.build()
}

/// `try` and `end`, which wat no longer writes.
fn legacy_exceptions() -> Vec<u8> {
    let mut shell = Shell::new();
    shell.body.raw([0x06, 0x40, 0x0b]);
    shell.body.instructions().end();
    shell.build()
}
