//! Random valid programs, linked beside variants of themselves that differ in constants, do what they
//! do alone: the same end and the same memory, with every way to fold.
//!
//! `MEGABIN_RANDOM_PROGRAMS` sets how many are tried; each number is a seed, so a failure's number
//! brings it back.
#![allow(clippy::unwrap_used, missing_docs)]

mod support;

use std::ops::Range;

use arbitrary::Unstructured;
use megabin::link::Folding;
use megabinary::digest::Digest;
use support::{link_folded, request, words};
use wasm_encoder::reencode::{Error, Reencode, utils};
use wasm_encoder::{CodeSection, Instruction};
use wasmparser::{FunctionBody, Operator, Parser};
use wasmtime::{Config, Engine, Linker, Module, OptLevel, Store};

const PROGRAMS: u64 = 150;

/// The exports that a program has.
const SHAPE: &str = r#"(module (memory (export "memory") 1 8) (func (export "_start")))"#;

/// A stream of numbers that is the same everywhere.
struct Numbers(u64);

impl Numbers {
    fn next(&mut self) -> u64 {
        // Knuth's MMIX generator; the high bits are the good ones.
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        self.0 >> 33
    }
}

/// A program; it ends, since every function and loop counts down.
fn program(seed: u64) -> Option<Vec<u8>> {
    let mut numbers = Numbers(seed);
    let bytes: Vec<u8> = (0..20_000).map(|_| numbers.next() as u8).collect();
    let config = wasm_smith::Config {
        exports: Some(wat::parse_str(SHAPE).unwrap()),
        // `externref` comes with them, which programs cannot have.
        reference_types_enabled: seed.is_multiple_of(4),
        bulk_memory_enabled: true,
        canonicalize_nans: true,
        exceptions_enabled: seed % 4 == 1,
        gc_enabled: false,
        memory64_enabled: false,
        relaxed_simd_enabled: false,
        threads_enabled: false,
        disallow_traps: seed.is_multiple_of(3),
        max_imports: 0,
        max_memories: 0,
        max_memory32_bytes: 8 << 16,
        max_tables: 3,
        max_table_elements: 200,
        min_funcs: 4,
        min_data_segments: 1,
        min_element_segments: 1,
        max_instructions: 300,
        ..wasm_smith::Config::default()
    };
    let mut module = wasm_smith::Module::new(config, &mut Unstructured::new(&bytes)).ok()?;
    module.ensure_termination(500).ok()?;
    Some(module.to_bytes())
}

/// Gives functions other constants and offsets, as another program's addresses would be.
struct Other {
    numbers: Numbers,
    within: bool,
}

impl Reencode for Other {
    type Error = std::convert::Infallible;

    fn parse_function_body(
        &mut self,
        code: &mut CodeSection,
        body: FunctionBody<'_>,
    ) -> Result<(), Error> {
        self.within = true;
        let done = utils::parse_function_body(self, code, body);
        self.within = false;
        done
    }

    fn instruction<'a>(&mut self, operator: Operator<'a>) -> Result<Instruction<'a>, Error> {
        match operator {
            // 0 and 1 make the program end.
            Operator::I32Const { value } if self.within && !(0..=1).contains(&value) => {
                let change = self.numbers.next() % 3;
                Ok(Instruction::I32Const(value.wrapping_add(change as i32)))
            }
            other => utils::instruction(self, other),
        }
    }

    fn mem_arg(&mut self, arg: wasmparser::MemArg) -> Result<wasm_encoder::MemArg, Error> {
        let mut arg = utils::mem_arg(self, arg)?;
        if (1024..1 << 31).contains(&arg.offset) {
            arg.offset += self.numbers.next() % 3;
        }
        Ok(arg)
    }
}

fn varied(wasm: &[u8], seed: u64) -> Vec<u8> {
    let mut other = Other {
        numbers: Numbers(seed),
        within: false,
    };
    let mut module = wasm_encoder::Module::new();
    other
        .parse_core_module(&mut module, Parser::new(0), wasm)
        .unwrap();
    module.finish()
}

fn engine() -> Engine {
    let mut config = Config::new();
    config
        .cranelift_opt_level(OptLevel::None)
        .wasm_tail_call(true)
        .wasm_exceptions(true)
        .wasm_multi_memory(false);
    Engine::new(&config).unwrap()
}

/// How a program ended, and its memory then, if it began at all.
#[derive(PartialEq)]
struct End {
    trapped: bool,
    memory: Option<Vec<u8>>,
}

fn run(engine: &Engine, module: &Module, digest: Option<&Digest>) -> End {
    let mut store = Store::new(engine, ());
    let Ok(instance) = Linker::new(engine).instantiate(&mut store, module) else {
        return End {
            trapped: true,
            memory: None,
        };
    };
    let trapped = match digest {
        None => {
            let start = instance.get_func(&mut store, "_start").unwrap();
            start.call(&mut store, &[], &mut []).is_err()
        }
        Some(digest) => {
            let dispatch = instance.get_func(&mut store, "_dispatch").unwrap();
            let mut status = [wasmtime::Val::I32(7)];
            let done = dispatch.call(&mut store, &words(digest), &mut status);
            assert!(done.is_err() || status[0].unwrap_i32() == 0);
            done.is_err()
        }
    };
    let memory = instance.get_memory(&mut store, "memory").unwrap();
    End {
        trapped,
        memory: Some(memory.data(&store).to_vec()),
    }
}

/// What became of the programs that were tried.
#[derive(Debug, Default)]
struct Tally {
    refused: u32,
    trapped: u32,
    ended: u32,
}

fn compare(engine: &Engine, seed: u64, tally: &mut Tally) {
    let Some(wasm) = program(seed) else { return };
    let (second, third) = (varied(&wasm, seed ^ 1), varied(&wasm, seed ^ 2));
    let stranger = program(seed + 1_000_000);
    let mut programs = vec![("a", &wasm[..]), ("b", &second[..]), ("c", &third[..])];
    programs.extend(stranger.as_deref().map(|wasm| ("d", wasm)));
    // `externref`, and segments that lie outside: see the tests of refusals.
    programs.retain(|program| megabin::link::link(&request(&[*program])).is_ok());
    programs.dedup_by_key(|(_, wasm)| Digest::of(wasm));
    let Some(("a", _)) = programs.first() else {
        tally.refused += 1;
        return;
    };
    let alone: Vec<End> = programs
        .iter()
        .map(|(_, wasm)| run(engine, &Module::new(engine, wasm).unwrap(), None))
        .collect();
    for folding in [Folding::Full, Folding::Exact, Folding::None] {
        let linked = link_folded(&programs, folding);
        let module = Module::new(engine, &linked.wasm).unwrap();
        for ((name, wasm), alone) in programs.iter().zip(&alone) {
            let linked = run(engine, &module, Some(&Digest::of(wasm)));
            assert_eq!(
                alone.trapped, linked.trapped,
                "seed {seed}, {name}, {folding:?}"
            );
            // A start function that traps leaves nothing to see when it runs alone.
            let same = alone.memory.is_none() || alone.memory == linked.memory;
            assert!(same, "seed {seed}, {name}, {folding:?}: memory");
        }
    }
    match alone[0].trapped {
        true => tally.trapped += 1,
        false => tally.ended += 1,
    }
}

fn compare_all(seeds: Range<u64>) -> Tally {
    let engine = engine();
    let mut tally = Tally::default();
    for seed in seeds {
        compare(&engine, seed, &mut tally);
    }
    tally
}

#[test]
fn random_programs_do_linked_what_they_do_alone() {
    let programs =
        std::env::var("MEGABIN_RANDOM_PROGRAMS").map_or(PROGRAMS, |n| n.parse().unwrap());
    let threads = std::thread::available_parallelism().map_or(1, usize::from) as u64;
    let tallies = std::thread::scope(|scope| {
        let work: Vec<_> = (0..threads)
            .map(|n| {
                scope.spawn(move || {
                    compare_all(programs * n / threads..programs * (n + 1) / threads)
                })
            })
            .collect();
        work.into_iter()
            .map(|t| t.join().unwrap())
            .collect::<Vec<_>>()
    });
    let ran: u32 = tallies.iter().map(|t| t.trapped + t.ended).sum();
    let ended: u32 = tallies.iter().map(|t| t.ended).sum();
    assert!(
        u64::from(ran) * 2 > programs,
        "most of them are linked: {tallies:?}"
    );
    assert!(ended > 0, "some end well: {tallies:?}");
}
