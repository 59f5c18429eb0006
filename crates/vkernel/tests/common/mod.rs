//! A hand-made megabinary that passes every check of the format, and a kernel that runs it.

use std::path::Path;

use megabinary::capability::SyscallSet;
use megabinary::digest::Digest;
use megabinary::dispatch::canonical_body;
use megabinary::manifest::{
    Binary, ExecPolicy, GlobalPolicies, Manifest, Networking, Overrides, UnverifiedManifest,
};
use megabinary::module::{Megabinary, Module, check_agreement, finish};
use megabinary::section::{FORMAT_VERSION, Program, Section, Segment, Target};
use vkernel::artifact::{Cache, CacheKey};
use vkernel::audit::{AuditSink, Discard};
use vkernel::engine::Code;
use vkernel::fs::{Root, Vfs};
use vkernel::kernel::{Kernel, KernelConfig, Limits};
use vkernel::plan::Plan;
use wasm_encoder::{
    BlockType, CodeSection, ConstExpr, DataCountSection, DataSection, EntityType, ExportKind,
    ExportSection, Function, FunctionSection, GlobalSection, GlobalType, ImportSection,
    InstructionSink, MemorySection, MemoryType, TypeSection, ValType,
};

/// Function indices of what every program imports.
pub const FD_WRITE: u32 = 0;
pub const FD_READ: u32 = 1;
pub const FD_CLOSE: u32 = 2;
pub const PIPE: u32 = 3;
pub const SPAWN: u32 = 4;
pub const WAIT: u32 = 5;
pub const CLOCK_TIME_GET: u32 = 6;

/// Module, name and parameters of each; the result is `i32`.
const IMPORTS: [(&str, &str, &[ValType]); 7] = [
    ("wasi_snapshot_preview1", "fd_write", &[ValType::I32; 4]),
    ("wasi_snapshot_preview1", "fd_read", &[ValType::I32; 4]),
    ("wasi_snapshot_preview1", "fd_close", &[ValType::I32]),
    ("vkernel", "pipe", &[ValType::I32; 2]),
    ("vkernel", "spawn", &[ValType::I32; 2]),
    ("vkernel", "wait", &[ValType::I32; 4]),
    (
        "wasi_snapshot_preview1",
        "clock_time_get",
        &[ValType::I32, ValType::I64, ValType::I32],
    ),
];
const FIRST_ENTRY: u32 = IMPORTS.len() as u32;

const SWITCH: u32 = 0;
/// Where every program's initial image lies.
pub const IMAGE: u32 = 1024;

/// A program: initial image and what it does after that was laid.
pub struct Guest {
    pub name: &'static str,
    pub image: Vec<u8>,
    pub body: fn(&mut InstructionSink<'_>),
}

/// A target: the path and contents of an executable, and the program it starts.
pub struct File {
    pub path: String,
    pub contents: Vec<u8>,
    pub guest: &'static str,
}

/// The ticket of a program in its usual form.
pub fn ticket(path: &str, guest: &'static str) -> File {
    let contents = format!("#!megabinary {path} {}\n", Digest::of(path.as_bytes()));
    File {
        path: path.to_owned(),
        contents: contents.into_bytes(),
        guest,
    }
}

fn pages(guest: &Guest) -> u64 {
    (u64::from(IMAGE) + guest.image.len() as u64)
        .div_ceil(65536)
        .max(1)
}

fn entry(guest: &Guest, offset: usize) -> Function {
    let mut function = Function::new([(2, ValType::I32)]);
    let mut sink = function.instructions();
    // By what is missing, if anything is: a host may have made it its size already.
    sink.i32_const(pages(guest) as i32).memory_size(0).i32_sub();
    sink.memory_grow(0).drop();
    sink.global_get(SWITCH).i32_eqz().if_(BlockType::Empty);
    sink.i32_const(IMAGE as i32)
        .i32_const(offset as i32)
        .i32_const(guest.image.len() as i32);
    sink.memory_init(0, 0).end();
    (guest.body)(&mut sink);
    sink.end();
    function
}

/// Links the guests by hand and finishes the module.
pub fn wasm(guests: &[Guest], files: &[File]) -> Vec<u8> {
    let mut targets: Vec<(Digest, usize)> = files
        .iter()
        .map(|file| {
            let guest = guests.iter().position(|guest| guest.name == file.guest);
            (
                Digest::of(&file.contents),
                guest.expect("the file's program exists"),
            )
        })
        .collect();
    targets.sort();

    let mut types = TypeSection::new();
    types.ty().function([], []);
    types.ty().function([ValType::I64; 4], [ValType::I32]);
    let mut imports = ImportSection::new();
    for (at, (module, name, parameters)) in IMPORTS.into_iter().enumerate() {
        types
            .ty()
            .function(parameters.iter().copied(), [ValType::I32]);
        imports.import(module, name, EntityType::Function(2 + at as u32));
    }
    let mut functions = FunctionSection::new();
    let mut exports = ExportSection::new();
    let mut code = CodeSection::new();
    let mut data = Vec::new();
    let mut programs = Vec::new();
    for (index, guest) in guests.iter().enumerate() {
        functions.function(0);
        let name = format!("{}_start", guest.name);
        exports.export(&name, ExportKind::Func, FIRST_ENTRY + index as u32);
        code.function(&entry(guest, data.len()));
        programs.push(Program {
            name: guest.name.parse().expect("a program name"),
            entry: name.parse().expect("an entry point"),
            min_pages: pages(guest),
            max_pages: None,
            segments: vec![Segment {
                address: IMAGE,
                data_offset: data.len() as u32,
                len: guest.image.len() as u32,
            }],
            extra_exports: Vec::new(),
        });
        data.extend_from_slice(&guest.image);
    }
    functions.function(1);
    let dispatcher: Vec<_> = targets
        .iter()
        .map(|(digest, guest)| (*digest, FIRST_ENTRY + *guest as u32))
        .collect();
    code.function(&canonical_body(&dispatcher));
    let dispatch = FIRST_ENTRY + guests.len() as u32;
    exports.export("_dispatch", ExportKind::Func, dispatch);
    exports.export("memory", ExportKind::Memory, 0);
    exports.export("image", ExportKind::Global, SWITCH);
    let mut memories = MemorySection::new();
    memories.memory(MemoryType {
        minimum: 1,
        maximum: None,
        memory64: false,
        shared: false,
        page_size_log2: None,
    });
    let mut globals = GlobalSection::new();
    let switch = GlobalType {
        val_type: ValType::I32,
        mutable: true,
        shared: false,
    };
    globals.global(switch, &ConstExpr::i32_const(0));
    let mut segments = DataSection::new();
    segments.passive(data);

    let mut module = wasm_encoder::Module::new();
    module
        .section(&types)
        .section(&imports)
        .section(&functions)
        .section(&memories);
    module
        .section(&globals)
        .section(&exports)
        .section(&DataCountSection { count: 1 });
    module.section(&code).section(&segments);
    let section = Section {
        format_version: FORMAT_VERSION,
        name: "box".parse().expect("a name"),
        version: "1.0".parse().expect("a version"),
        vkernel_version: ">=0.2.0".parse().expect("a requirement"),
        image_switch: "image".into(),
        targets: targets
            .iter()
            .map(|(digest, guest)| Target {
                digest: *digest,
                entry: programs[*guest].entry.clone(),
            })
            .collect(),
        programs,
    };
    finish(module.finish(), &section)
}

/// Manifest and module, checked as any other.
pub fn megabinary(wasm: &[u8], files: &[File], syscalls: &[&str]) -> Megabinary {
    let module = Module::parse(wasm).expect("a sound module");
    let rights = SyscallSet::from_names(syscalls).expect("names");
    let binaries = files.iter().map(|file| {
        let digest = Digest::of(&file.contents);
        let binary = Binary {
            path: file.path.parse().expect("a path"),
            entry: module.section.entry(&digest).expect("a target").clone(),
            args: Vec::new(),
            overrides: Overrides::default(),
        };
        (digest, binary)
    });
    let manifest = Manifest {
        container_id: module.id,
        name: Some(module.section.name.clone()),
        version: module.section.version.clone(),
        megabinary: "container.wasm".parse().expect("a file name"),
        vkernel_version: module.section.vkernel_version.clone(),
        policies: GlobalPolicies {
            default_syscalls: rights,
            networking: Networking::None,
            exec: ExecPolicy::Any,
        },
        binaries: binaries.collect(),
        agent_tools: Default::default(),
        critical: Vec::new(),
        signature: None,
    };
    let manifest = UnverifiedManifest::parse(&manifest.to_json_pretty())
        .and_then(|manifest| manifest.accept_unsigned())
        .expect("a manifest");
    check_agreement(&manifest, &module).expect("agreement")
}

/// Who lays initial images.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Images {
    Guest,
    Host,
}

/// Lays the files below `dir/root`, compiles into `dir/cache`, and starts a kernel.
pub fn kernel(
    dir: &Path,
    guests: &[Guest],
    files: &[File],
    syscalls: &[&str],
    images: Images,
) -> Kernel {
    prepare(dir, guests, files, syscalls, images);
    open(dir, Box::new(Discard))
}

/// Lays the files below `dir/root`, compiles into `dir/cache`, and writes the plan to `dir/plan`.
pub fn prepare(dir: &Path, guests: &[Guest], files: &[File], syscalls: &[&str], images: Images) {
    use std::os::unix::fs::PermissionsExt;
    let wasm = wasm(guests, files);
    let plan = Plan::from_megabinary(&megabinary(&wasm, files, syscalls)).expect("a plan");
    std::fs::write(dir.join("plan"), plan.encode()).expect("a file");
    let root = dir.join("root");
    for file in files {
        let path = root.join(&file.path[1..]);
        std::fs::create_dir_all(path.parent().expect("it has one")).expect("a directory");
        std::fs::write(&path, &file.contents).expect("a file");
        std::fs::set_permissions(&path, PermissionsExt::from_mode(0o755)).expect("its mode");
    }
    let cache = Cache::open_or_create(&dir.join("cache")).expect("a cache");
    let compiled = cache.get_or_compile(&CacheKey::of(plan.container_id()), || {
        let module = Module::parse(&wasm).expect("a sound module");
        let kind = Code::with_exceptions(module.exceptions);
        let engine = wasmtime::Engine::new(&vkernel::engine::config(kind))?;
        let code = engine.precompile_module(&wasm)?;
        if images == Images::Guest {
            return Ok(code);
        }
        let page = rustix::param::page_size() as u64;
        let data = &wasm[module.image_data.clone()];
        vkernel::image::append(code, &module.section, data, page).map_err(wasmtime::Error::new)
    });
    compiled.expect("an artifact");
}

/// Starts a kernel as start does it: from the plan's file and the cache.
pub fn open(dir: &Path, audit: Box<dyn AuditSink>) -> Kernel {
    let plan = Plan::decode(&std::fs::read(dir.join("plan")).expect("a file")).expect("a plan");
    let cache = Cache::open(&dir.join("cache")).expect("a cache");
    let artifact = cache.lookup(&CacheKey::of(plan.container_id()));
    let root = std::fs::File::open(dir.join("root")).expect("the root");
    let config = KernelConfig {
        plan,
        artifact: artifact.expect("a cache").expect("an artifact"),
        vfs: Vfs::new(Root::At(root.into())).expect("a file system"),
        audit,
        label: "test".into(),
        limits: Limits::default(),
    };
    Kernel::new(config).expect("a kernel")
}
