//! A small sound megabinary, with every part open to change: what the tests, the vectors and the
//! fuzz seeds are made of.
#![allow(dead_code, clippy::unwrap_used)]

pub mod invariants;
pub mod manifests;

use megabinary::digest::Digest;
use megabinary::section::{FORMAT_VERSION, Program, Section, Segment, Target};
use megabinary::{dispatch, module};
use wasm_encoder::{
    CodeSection, ConstExpr, CustomSection, DataSection, EntityType, ExportKind, ExportSection,
    Function, FunctionSection, GlobalSection, GlobalType, ImportSection, MemorySection, MemoryType,
    Module, StartSection, TagKind, TagSection, TagType, TypeSection, ValType,
};

pub const IMAGE_SWITCH: &str = "megarun_image";

/// The parts of a module; functions are the imports, then one entry per program, then `_dispatch`.
pub struct Parts {
    pub section: Section,
    pub imports: Vec<(String, String, EntityType)>,
    pub memory: Vec<MemoryType>,
    pub memory_export: bool,
    pub data: Vec<u8>,
    pub active_data: bool,
    /// Type of each tag; no section without any.
    pub tags: Vec<u32>,
    /// Code of each entry point, without its `end`.
    pub code: Vec<u8>,
    pub start: bool,
    pub switch: GlobalType,
    pub switch_value: i32,
    pub entry_type: u32,
    pub dispatch_type: u32,
    pub export_dispatch: bool,
    pub swap_targets: bool,
    /// Custom sections before the metadata section.
    pub custom: Vec<(String, Vec<u8>)>,
}

pub fn digest(name: &str) -> Digest {
    Digest::of(name.as_bytes())
}

pub fn section(names: &[&str]) -> Section {
    let programs = names.iter().map(|name| Program {
        name: name.parse().unwrap(),
        entry: format!("{name}_start").parse().unwrap(),
        min_pages: 1,
        max_pages: None,
        segments: vec![Segment {
            address: 1024,
            data_offset: 0,
            len: 4,
        }],
        extra_exports: vec![],
    });
    let mut targets: Vec<_> = names
        .iter()
        .map(|name| Target {
            digest: digest(name),
            entry: format!("{name}_start").parse().unwrap(),
        })
        .collect();
    targets.sort_by_key(|target| target.digest);
    Section {
        format_version: FORMAT_VERSION,
        name: "toolbox".parse().unwrap(),
        version: "1.0".parse().unwrap(),
        vkernel_version: ">=0.2.0".parse().unwrap(),
        image_switch: IMAGE_SWITCH.into(),
        programs: programs.collect(),
        targets,
    }
}

impl Parts {
    pub fn new(names: &[&str]) -> Self {
        let memory = MemoryType {
            minimum: 1,
            maximum: None,
            memory64: false,
            shared: false,
            page_size_log2: None,
        };
        Self {
            section: section(names),
            imports: vec![(
                "wasi_snapshot_preview1".into(),
                "fd_write".into(),
                EntityType::Function(2),
            )],
            memory: vec![memory],
            memory_export: true,
            data: b"data".to_vec(),
            active_data: false,
            tags: vec![],
            code: vec![],
            start: false,
            switch: GlobalType {
                val_type: ValType::I32,
                mutable: true,
                shared: false,
            },
            switch_value: 0,
            entry_type: 0,
            dispatch_type: 1,
            export_dispatch: true,
            swap_targets: false,
            custom: vec![],
        }
    }

    pub fn build(&self) -> Vec<u8> {
        module::finish(self.wasm(), &self.section)
    }

    pub fn wasm(&self) -> Vec<u8> {
        let mut wasm = Module::new();
        let mut types = TypeSection::new();
        types.ty().function([], []);
        types.ty().function([ValType::I64; 4], [ValType::I32]);
        types.ty().function([ValType::I32; 4], [ValType::I32]);
        types.ty().function([ValType::I64; 3], [ValType::I32]);
        types.ty().function([ValType::I32], []);
        wasm.section(&types);
        let mut imports = ImportSection::new();
        let mut imported = 0;
        for (module, name, ty) in &self.imports {
            imports.import(module, name, *ty);
            imported += u32::from(matches!(ty, EntityType::Function(_)));
        }
        wasm.section(&imports);
        let programs = &self.section.programs;
        let mut functions = FunctionSection::new();
        for _ in programs {
            functions.function(self.entry_type);
        }
        functions.function(self.dispatch_type);
        wasm.section(&functions);
        if !self.memory.is_empty() {
            let mut memories = MemorySection::new();
            for memory in &self.memory {
                memories.memory(*memory);
            }
            wasm.section(&memories);
        }
        if !self.tags.is_empty() {
            let mut tags = TagSection::new();
            for func_type_idx in self.tags.iter().copied() {
                let kind = TagKind::Exception;
                tags.tag(TagType {
                    kind,
                    func_type_idx,
                });
            }
            wasm.section(&tags);
        }
        let mut globals = GlobalSection::new();
        globals.global(self.switch, &ConstExpr::i32_const(self.switch_value));
        wasm.section(&globals);
        wasm.section(&self.exports(imported));
        if self.start {
            wasm.section(&StartSection {
                function_index: imported,
            });
        }
        wasm.section(&self.code(imported));
        let mut data = DataSection::new();
        if self.active_data {
            data.active(0, &ConstExpr::i32_const(0), self.data.iter().copied());
        } else {
            data.passive(self.data.iter().copied());
        }
        wasm.section(&data);
        for (name, bytes) in &self.custom {
            wasm.section(&CustomSection {
                name: name.into(),
                data: bytes.into(),
            });
        }
        wasm.finish()
    }

    fn exports(&self, imported: u32) -> ExportSection {
        let mut exports = ExportSection::new();
        if self.memory_export {
            exports.export("memory", ExportKind::Memory, 0);
        }
        exports.export(IMAGE_SWITCH, ExportKind::Global, 0);
        for (program, index) in self.section.programs.iter().zip(imported..) {
            exports.export(program.entry.as_str(), ExportKind::Func, index);
        }
        if self.export_dispatch {
            let dispatcher = imported + self.section.programs.len() as u32;
            exports.export(dispatch::EXPORT, ExportKind::Func, dispatcher);
        }
        exports
    }

    fn code(&self, imported: u32) -> CodeSection {
        let programs = &self.section.programs;
        let mut targets: Vec<_> = self
            .section
            .targets
            .iter()
            .map(|target| {
                let program = programs
                    .iter()
                    .position(|program| program.entry == target.entry)
                    .unwrap_or(0);
                (target.digest, imported + program as u32)
            })
            .collect();
        if self.swap_targets {
            let (first, second) = (targets[0].1, targets[1].1);
            (targets[0].1, targets[1].1) = (second, first);
        }
        targets.sort();
        targets.dedup_by_key(|target| target.0);
        let mut code = CodeSection::new();
        for _ in programs {
            let mut function = Function::new([]);
            function.raw(self.code.iter().copied());
            function.instructions().end();
            code.function(&function);
        }
        code.function(&dispatch::canonical_body(&targets));
        code
    }
}
