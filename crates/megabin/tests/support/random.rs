//! Random valid programs, linked beside variants of themselves that differ in constants, and beside a
//! stranger: each must do linked what it does alone. What the property test and the fuzz target share.
#![allow(dead_code, clippy::unwrap_used, missing_docs)]

use arbitrary::Unstructured;
use megabin::link::{Folding, Program, Request, Target, link};
use megabinary::digest::Digest;
use wasm_encoder::reencode::{Error, Reencode, utils};
use wasm_encoder::{CodeSection, Instruction};
use wasmparser::{FunctionBody, Operator, Parser};
use wasmtime::{
    Config, Engine, Extern, Func, Instance, Linker, Module, OptLevel, Store, ThrownException, Trap,
    Val,
};

/// What a program exports, by its memory: what the virtual kernel may call or read is kept when it is
/// linked, and shows what the program computed.
const SHAPES: [&str; 4] = [
    r#"(memory (export "memory") 1 8)"#,
    r#"(memory (export "memory") 0)"#,
    r#"(memory (export "memory") 3 5)"#,
    r#"(memory (export "memory") 2)"#,
];
const EXPORTS: &str = r#"(func (export "_start"))
    (global (export "__vkernel_a") (mut i32) (i32.const 0)) (global (export "__vkernel_b") (mut i64) (i64.const 0))
    (global (export "__vkernel_c") (mut f64) (f64.const 0)) (global (export "__vkernel_d") (mut v128) (v128.const i64x2 0 0))
    (func (export "__vkernel_f") (param i32 i64) (result i32) unreachable)
    (func (export "__vkernel_g") (param f64 i32) (result i64 f32) unreachable)"#;

/// A stream of numbers that is the same everywhere.
pub struct Numbers(pub u64);

impl Numbers {
    pub fn next(&mut self) -> u64 {
        // Knuth's MMIX generator; the high bits are the good ones.
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        self.0 >> 33
    }

    pub fn bytes(&mut self, count: usize) -> Vec<u8> {
        (0..count).map(|_| self.next() as u8).collect()
    }
}

/// A program of `bytes`; it ends, since every function and loop counts down. `kind` chooses features.
pub fn program(kind: u64, bytes: &[u8]) -> Option<Vec<u8>> {
    let shape = format!("(module {} {EXPORTS})", SHAPES[kind as usize / 4 % 4]);
    let mut config = wasm_smith::Config {
        exports: Some(wat::parse_str(shape).unwrap()),
        // `externref` comes with them, which programs cannot have.
        reference_types_enabled: kind.is_multiple_of(4),
        bulk_memory_enabled: true,
        canonicalize_nans: true,
        exceptions_enabled: kind % 4 == 1,
        tail_call_enabled: true,
        gc_enabled: false,
        memory64_enabled: false,
        relaxed_simd_enabled: false,
        threads_enabled: false,
        wide_arithmetic_enabled: false,
        custom_page_sizes_enabled: false,
        disallow_traps: kind.is_multiple_of(3),
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
    // Among all instructions, those that throw are rare.
    if config.exceptions_enabled {
        use wasm_smith::InstructionKind::{Control, Memory, Parametric, Variable};
        let kinds = [Control, Memory, Parametric, Variable];
        config.allowed_instructions = wasm_smith::InstructionKinds::new(&kinds);
    }
    let mut module = wasm_smith::Module::new(config, &mut Unstructured::new(bytes)).ok()?;
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

pub fn engine() -> Engine {
    let mut config = Config::new();
    config
        .cranelift_opt_level(OptLevel::None)
        .wasm_tail_call(true)
        .wasm_exceptions(true)
        .wasm_multi_memory(false);
    Engine::new(&config).unwrap()
}

/// How a call ended.
#[derive(Debug, PartialEq)]
enum End {
    /// With these values; floats by their bits.
    Returned(Vec<String>),
    Trapped(Trap),
    /// A call through a table that reached no function of the right type.
    WrongCall,
    Threw,
}

impl End {
    fn of(done: wasmtime::Result<()>, results: &[Val]) -> End {
        let Err(error) = done else {
            return End::Returned(results.iter().map(shown).collect());
        };
        match error.downcast_ref::<Trap>() {
            // A trampoline cannot tell one from the other, nor from its own `unreachable`.
            Some(
                Trap::BadSignature
                | Trap::IndirectCallToNull
                | Trap::TableOutOfBounds
                | Trap::UnreachableCodeReached,
            ) => End::WrongCall,
            Some(trap) => End::Trapped(*trap),
            None if error.is::<ThrownException>() => End::Threw,
            None => panic!("an end of another kind: {error:?}"),
        }
    }
}

fn shown(value: &Val) -> String {
    match value {
        Val::F32(bits) => format!("f32 {bits:08x}"),
        Val::F64(bits) => format!("f64 {bits:016x}"),
        other => format!("{other:?}"),
    }
}

/// Everything that can be seen of a program: how `_start` and further calls ended, its globals, its
/// memory. `None` where it did not begin.
#[derive(PartialEq)]
struct Seen {
    ends: Vec<End>,
    globals: Vec<String>,
    memory: Vec<u8>,
}

fn call(store: &mut Store<()>, function: Func, args: &[Val]) -> End {
    let count = function.ty(&*store).results().len();
    let mut results = vec![Val::I32(0); count];
    let done = function.call(&mut *store, args, &mut results);
    End::of(done, &results)
}

fn see(engine: &Engine, module: &Module, linked: Option<(&str, &Digest)>) -> Option<Seen> {
    let mut store = Store::new(engine, ());
    let instance = Linker::new(engine).instantiate(&mut store, module).ok()?;
    let mut ends = Vec::new();
    match linked {
        None => {
            let start = instance.get_func(&mut store, "_start").unwrap();
            ends.push(call(&mut store, start, &[]));
        }
        Some((_, digest)) => {
            let dispatch = instance.get_func(&mut store, "_dispatch").unwrap();
            let words = digest.words().map(|word| Val::I64(word.cast_signed()));
            let end = call(&mut store, dispatch, &words);
            ends.push(match end {
                End::Returned(values) => {
                    assert_eq!(values, [shown(&Val::I32(0))]);
                    End::Returned(Vec::new())
                }
                other => other,
            });
        }
    }
    let extern_of = |store: &mut Store<()>, instance: &Instance, name: &str| -> Extern {
        let name = match linked {
            None => name.to_owned(),
            Some((program, _)) => format!("{program}:{name}"),
        };
        instance.get_export(&mut *store, &name).unwrap()
    };
    let calls: [(&str, &[Val]); 3] = [
        ("__vkernel_f", &[Val::I32(70_000), Val::I64(-1)]),
        (
            "__vkernel_g",
            &[Val::F64(0x4000_0000_0000_0000), Val::I32(3)],
        ),
        ("__vkernel_f", &[Val::I32(-5), Val::I64(1 << 40)]),
    ];
    for (name, args) in calls {
        let function = extern_of(&mut store, &instance, name).into_func().unwrap();
        ends.push(call(&mut store, function, args));
    }
    let globals = ["__vkernel_a", "__vkernel_b", "__vkernel_c", "__vkernel_d"].map(|name| {
        let global = extern_of(&mut store, &instance, name)
            .into_global()
            .unwrap();
        shown(&global.get(&mut store))
    });
    let memory = instance.get_memory(&mut store, "memory").unwrap();
    Some(Seen {
        ends,
        globals: globals.to_vec(),
        memory: memory.data(&store).to_vec(),
    })
}

/// What became of the programs that were tried.
#[derive(Debug, Default)]
pub struct Tally {
    pub refused: u32,
    pub trapped: u32,
    pub ended: u32,
    /// Those of them of which an exception came out.
    pub threw: u32,
}

fn request<'a>(programs: &[(&str, &'a [u8])], folding: Folding) -> Request<'a> {
    let program = |(name, wasm): &(&str, &'a [u8])| Program {
        name: name.parse().unwrap(),
        origin: format!("{name}.wasm"),
        wasm,
    };
    let target = |(program, (_, wasm)): (usize, &(&str, &[u8]))| Target {
        digest: Digest::of(wasm),
        program,
    };
    Request {
        name: "random".parse().unwrap(),
        version: "1".parse().unwrap(),
        vkernel_version: ">=0.2.0".parse().unwrap(),
        programs: programs.iter().map(program).collect(),
        targets: programs.iter().enumerate().map(target).collect(),
        folding,
    }
}

/// Links a program, two variants of it and a stranger, and compares each with itself alone.
pub fn compare(
    engine: &Engine,
    seed: u64,
    wasm: &[u8],
    stranger: Option<&[u8]>,
    tally: &mut Tally,
) {
    let (second, third) = (varied(wasm, seed ^ 1), varied(wasm, seed ^ 2));
    let mut programs = vec![("a", wasm), ("b", &second[..]), ("c", &third[..])];
    programs.extend(stranger.map(|wasm| ("d", wasm)));
    // `externref`, and segments that lie outside: see the tests of refusals.
    programs.retain(|program| link(&request(&[*program], Folding::None)).is_ok());
    programs.dedup_by_key(|(_, wasm)| Digest::of(wasm));
    let Some(("a", _)) = programs.first() else {
        tally.refused += 1;
        return;
    };
    let alone: Vec<Option<Seen>> = programs
        .iter()
        .map(|(_, wasm)| see(engine, &Module::new(engine, wasm).unwrap(), None))
        .collect();
    for folding in [Folding::Full, Folding::Exact, Folding::None] {
        let linked = link(&request(&programs, folding)).unwrap();
        let module = Module::new(engine, &linked.wasm).unwrap();
        for ((name, wasm), alone) in programs.iter().zip(&alone) {
            let linked = see(engine, &module, Some((name, &Digest::of(wasm)))).unwrap();
            let at = format!("seed {seed}, {name}, {folding:?}");
            // A start function that traps leaves nothing to see when it runs alone.
            let Some(alone) = alone else {
                assert!(!matches!(linked.ends[0], End::Returned(_)), "{at}");
                continue;
            };
            assert_eq!(alone.ends, linked.ends, "{at}");
            assert_eq!(alone.globals, linked.globals, "{at}");
            assert_eq!(alone.memory.len(), linked.memory.len(), "{at}");
            assert!(alone.memory == linked.memory, "{at}: memory");
        }
    }
    match alone[0].as_ref().map(|seen| &seen.ends[0]) {
        Some(End::Returned(_)) => tally.ended += 1,
        _ => tally.trapped += 1,
    }
    let threw = |seen: &Seen| seen.ends.contains(&End::Threw);
    tally.threw += u32::from(alone.iter().flatten().any(threw));
}
