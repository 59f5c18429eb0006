//! Modules, and manifests beside modules.

use megabinary::{limits, module};
use serde_json::{Value, json};
use wasm_encoder::{EntityType, MemoryType, TagKind, TagType};

use crate::manifest_vectors::{full, id, module_bytes};
use crate::support::{Parts, manifests};
use crate::vector::Vectors;

pub fn add(vectors: &mut Vectors) {
    modules(vectors);
    module_structure(vectors);
    agreement(vectors);
}

fn modules(vectors: &mut Vectors) {
    let mut add = |file: &str, error: Option<&str>, rule: &str, bytes: Vec<u8>| {
        vectors.add("module", &format!("module/{file}.wasm"), error, rule, bytes);
    };
    let good = module_bytes();
    add("good", None, "three programs", good.clone());
    add("no-programs", None, "no program", Parts::new(&[]).build());
    add("empty", Some("module.malformed"), "an empty file", vec![]);
    add(
        "not-wasm",
        Some("module.malformed"),
        "not WebAssembly",
        b"#!/bin/sh\n".to_vec(),
    );
    add(
        "component",
        Some("module.component"),
        "a component",
        b"\0asm\x0d\0\x01\0".to_vec(),
    );
    add(
        "truncated",
        Some("module.malformed"),
        "the file ends early",
        good[..good.len() / 2].to_vec(),
    );
    add(
        "no-section",
        Some("module.no-section"),
        "a module without the section",
        Parts::new(&["ls"]).wasm(),
    );
    add(
        "no-id",
        Some("module.no-id"),
        "a section without a container id",
        [&Parts::new(&["ls"]).wasm()[..], b"\0\x0b\x0amegabinary"].concat(),
    );
    add(
        "too-many",
        Some("module.too-many"),
        "a section that announces more types than engines allow",
        // 1,000,001 types are announced, none is there.
        b"\0asm\x01\0\0\0\x01\x03\xc1\x84\x3d".to_vec(),
    );
    add(
        "section-not-last",
        Some("module.section-not-last"),
        "a section after it",
        [&good[..], b"\0\x05\x04name"].concat(),
    );
    add(
        "second-section",
        Some("module.second-section"),
        "two sections",
        module::finish(good.clone(), &Parts::new(&["ls"]).section),
    );
    let mut tampered = good.clone();
    let at = good
        .windows(4)
        .position(|window| window == b"data")
        .unwrap();
    tampered[at] ^= 1;
    add(
        "id-mismatch",
        Some("module.id-mismatch"),
        "one bit of a program's data changed",
        tampered,
    );
    let mut last = good.clone();
    *last.last_mut().unwrap() ^= 1;
    add(
        "id-mismatch-id",
        Some("module.id-mismatch"),
        "one bit of the container id changed",
        last,
    );
    let mut parts = Parts::new(&["ls", "cat"]);
    parts.section.targets.swap(0, 1);
    add(
        "section-fault",
        Some("section.target-order"),
        "a fault of the section is the module's",
        parts.build(),
    );
    vectors.repeat(
        "module",
        "too-large",
        "module.too-large",
        "a file beyond 512 MiB",
        ["", "\0", ""],
        limits::CONTAINER_BYTES + 1,
    );
    vectors.entry(
        "bodies",
        "module/good.wasm",
        None,
        "function bodies that validate",
    );
    exceptions(vectors);
    let mut parts = Parts::new(&["ls"]);
    parts.custom.push(("name".into(), vec![]));
    let bytes = parts.build();
    // Drops the `end` of the entry's empty body for an instruction that needs operands.
    let at = bytes
        .windows(3)
        .position(|window| window == [2, 0, 0x0b])
        .unwrap();
    let mut invalid = bytes.clone();
    invalid[at + 2] = 0x1a;
    vectors.add(
        "bodies",
        "module/invalid-body.wasm",
        Some("module.invalid"),
        "a function body that does not validate",
        invalid,
    );
}

/// Entry points that throw and catch: `try_table (catch_all 0)` around `throw 0`, of a tag () -> ().
fn exceptions(vectors: &mut Vectors) {
    let code = vec![0x1f, 0x40, 1, 2, 0, 0x08, 0, 0x0b];
    let mut parts = Parts::new(&["ls"]);
    (parts.tags, parts.code) = (vec![0], code);
    vectors.add(
        "bodies",
        "module/exceptions.wasm",
        None,
        "exceptions, with a tag section",
        parts.build(),
    );
    vectors.entry(
        "module",
        "module/exceptions.wasm",
        None,
        "exceptions, with a tag section",
    );
    // Without the `throw`, which names a tag.
    let mut parts = Parts::new(&["ls"]);
    parts.code = vec![0x1f, 0x40, 1, 2, 0, 0x0b];
    vectors.add(
        "bodies",
        "module/exceptions-without-tags.wasm",
        Some("module.invalid"),
        "exceptions without a tag section",
        parts.build(),
    );
    // `try` and `end`.
    let mut parts = Parts::new(&["ls"]);
    (parts.tags, parts.code) = (vec![0], vec![0x06, 0x40, 0x0b]);
    vectors.add(
        "bodies",
        "module/legacy-exceptions.wasm",
        Some("module.invalid"),
        "the exceptions of before the standard",
        parts.build(),
    );
    let mut parts = Parts::new(&["ls"]);
    let tag = EntityType::Tag(TagType {
        kind: TagKind::Exception,
        func_type_idx: 0,
    });
    parts.imports.push(("env".into(), "tag".into(), tag));
    vectors.add(
        "module",
        "module/import-tag.wasm",
        Some("module.import-kind"),
        "an imported tag",
        parts.build(),
    );
}

fn module_structure(vectors: &mut Vectors) {
    let mut add = |file: &str, error: &str, rule: &str, change: &dyn Fn(&mut Parts)| {
        let mut parts = Parts::new(&["ls", "cat", "sort"]);
        change(&mut parts);
        vectors.add(
            "module",
            &format!("module/{file}.wasm"),
            Some(&format!("module.{error}")),
            rule,
            parts.build(),
        );
    };
    add(
        "start-function",
        "start-function",
        "a start function",
        &|p| p.start = true,
    );
    add(
        "active-data",
        "active-data",
        "an active data segment",
        &|p| p.active_data = true,
    );
    add(
        "dispatch",
        "dispatch",
        "two targets swapped in `_dispatch`",
        &|p| p.swap_targets = true,
    );
    add("no-dispatch", "no-export", "no export `_dispatch`", &|p| {
        p.export_dispatch = false
    });
    add(
        "dispatch-type",
        "export-type",
        "`_dispatch` with another type",
        &|p| p.dispatch_type = 3,
    );
    add(
        "entry-type",
        "export-type",
        "an entry point with a parameter",
        &|p| p.entry_type = 4,
    );
    add(
        "switch-immutable",
        "export-type",
        "an immutable image switch",
        &|p| p.switch.mutable = false,
    );
    add(
        "switch-set",
        "export-type",
        "an image switch that starts at 1",
        &|p| p.switch_value = 1,
    );
    add("switch-missing", "no-export", "no image switch", &|p| {
        p.section.image_switch = "other".into()
    });
    add("no-memory", "memory", "no memory", &|p| p.memory.clear());
    add(
        "memory-not-exported",
        "memory",
        "the memory is not exported",
        &|p| p.memory_export = false,
    );
    add("two-memories", "memory", "two memories", &|p| {
        p.memory.push(p.memory[0])
    });
    add(
        "memory-minimum",
        "memory-size",
        "the module's memory is larger than a program's",
        &|p| p.memory[0].minimum = 2,
    );
    add(
        "memory-maximum",
        "memory-size",
        "the module's memory cannot grow to a program's",
        &|p| {
            p.memory[0] = MemoryType {
                maximum: Some(3),
                ..p.memory[0]
            };
            p.section.programs[2].min_pages = 4;
        },
    );
    add(
        "segment-data",
        "segment-data",
        "an image beyond data segment 0",
        &|p| p.data.truncate(3),
    );
    add(
        "extra-export",
        "no-export",
        "an extra export that is missing",
        &|p| {
            p.section.programs[0]
                .extra_exports
                .push(("f".into(), "ls.f".into()));
        },
    );
    let import = |module: &str, name: &str, ty| (module.to_owned(), name.to_owned(), ty);
    let function = EntityType::Function;
    add(
        "import-module",
        "unknown-import",
        "an import of another module",
        &|p| p.imports.push(import("env", "system", function(0))),
    );
    add(
        "import-name",
        "unknown-import",
        "an import preview 1 does not have",
        &|p| {
            p.imports
                .push(import("wasi_snapshot_preview1", "fd_dup", function(2)))
        },
    );
    add(
        "import-type",
        "import-type",
        "an import with another type",
        &|p| {
            p.imports
                .push(import("wasi_snapshot_preview1", "fd_read", function(0)))
        },
    );
    add("import-memory", "import-kind", "an imported memory", &|p| {
        p.imports.push(import(
            "env",
            "memory",
            EntityType::Memory(Parts::new(&[]).memory[0]),
        ))
    });
}

fn agreement(vectors: &mut Vectors) {
    let mut add = |file: &str, error: Option<&str>, rule: &str, change: &dyn Fn(&mut Value)| {
        let mut value = full();
        change(&mut value);
        let file = format!("agreement/{file}.json");
        vectors
            .add("agreement", &file, error, rule, manifests::bytes(&value))
            .with("module", "module/good.wasm");
    };
    add("good", None, "manifest and module of one build", &|_| ());
    add(
        "no-name",
        None,
        "a manifest without a name agrees with any",
        &|m| drop(m.as_object_mut().unwrap().remove("name")),
    );
    add("id", Some("agree.id"), "another container", &|m| {
        m["container_id"] = id("other").into()
    });
    add("name", Some("agree.field"), "another name", &|m| {
        m["name"] = "other".into()
    });
    add(
        "version",
        Some("agree.field"),
        "another version text",
        &|m| m["version"] = "1".into(),
    );
    add(
        "vkernel-version",
        Some("agree.field"),
        "another required version",
        &|m| m["vkernel_version"] = "*".into(),
    );
    add(
        "target-missing",
        Some("agree.target"),
        "a target only the module has",
        &|m| m["agent_tools"] = json!({}),
    );
    add(
        "target-added",
        Some("agree.target"),
        "a target only the manifest has",
        &|m| {
            m["agent_tools"][id("other")] = json!({"name": "other", "entry_point": "ls_start"});
        },
    );
    add("entry", Some("agree.entry"), "another entry point", &|m| {
        m["binaries"][id("sort")]["entry_point"] = "ls_start".into()
    });
}
