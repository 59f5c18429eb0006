//! The structural check of `container.wasm`: a sound one passes, each broken rule has its error.
#![allow(clippy::unwrap_used)]

mod support;

use megabinary::module::{self, Module};
use support::Parts;
use wasm_encoder::{EntityType, MemoryType, RefType, TableType, ValType};

fn refusal(change: impl FnOnce(&mut Parts)) -> &'static str {
    let mut parts = Parts::new(&["ls", "cat", "sort"]);
    change(&mut parts);
    Module::parse(&parts.build())
        .expect_err("must be refused")
        .id()
}

#[test]
fn a_sound_module_passes_and_says_what_it_holds() {
    for names in [
        &[][..],
        &["ls"],
        &["ls", "cat"],
        &["ls", "cat", "sort", "grep", "sed", "awk", "head"],
    ] {
        let parts = Parts::new(names);
        let bytes = parts.build();
        let module = Module::parse(&bytes).unwrap();
        module::validate(&bytes).unwrap();
        assert_eq!(module.section, parts.section);
        assert_eq!(
            module.imports,
            [("wasi_snapshot_preview1".to_owned(), "fd_write".to_owned())]
        );
        assert_eq!(Some(module.id), module::container_id(&bytes));
        assert_eq!(bytes[bytes.len() - 32..], *module.id.as_bytes());
        assert_eq!(bytes, parts.build(), "the same parts give the same bytes");
    }
}

#[test]
fn every_flipped_byte_is_refused() {
    let bytes = Parts::new(&["ls", "cat"]).build();
    for at in 0..bytes.len() {
        for bit in [0x01, 0x80] {
            let mut tampered = bytes.clone();
            tampered[at] ^= bit;
            assert!(
                Module::parse(&tampered).is_err(),
                "bit {bit:#x} of byte {at}"
            );
        }
    }
}

#[test]
fn every_prefix_and_every_suffix_is_refused() {
    let bytes = Parts::new(&["ls"]).build();
    for at in 0..bytes.len() {
        assert!(Module::parse(&bytes[..at]).is_err(), "prefix of {at}");
        assert!(
            at == 0 || Module::parse(&bytes[at..]).is_err(),
            "suffix from {at}"
        );
    }
}

#[test]
fn what_is_not_a_core_module_is_named() {
    let id = |bytes: &[u8]| Module::parse(bytes).expect_err("must be refused").id();
    assert_eq!(id(b""), "module.malformed");
    assert_eq!(id(b"#!/bin/sh\n"), "module.malformed");
    assert_eq!(id(b"\x7fELF\x02\x01\x01"), "module.malformed");
    assert_eq!(id(b"\0asm\x0d\0\x01\0"), "module.component");
    assert_eq!(id(b"\0asm\x01\0\0\0"), "module.no-section");
    assert_eq!(id(b"\0asm\x01\0\0\0\0\x0b\x0amegabinary"), "module.no-id");
}

#[test]
fn the_section_is_last_and_there_once() {
    let mut late = Parts::new(&["ls"]).build();
    late.extend(b"\0\x05\x04name");
    assert_eq!(
        Module::parse(&late).unwrap_err().id(),
        "module.section-not-last"
    );
    assert_eq!(
        refusal(|p| p.custom.push(("megabinary".into(), vec![1]))),
        "module.second-section"
    );
    let twice = module::finish(Parts::new(&["ls"]).build(), &Parts::new(&["ls"]).section);
    assert_eq!(
        Module::parse(&twice).unwrap_err().id(),
        "module.second-section"
    );
    let mut parts = Parts::new(&["ls"]);
    parts.custom.push(("name".into(), vec![]));
    assert!(Module::parse(&parts.build()).is_ok());
}

#[test]
fn nothing_runs_before_dispatch() {
    assert_eq!(refusal(|p| p.start = true), "module.start-function");
    assert_eq!(refusal(|p| p.active_data = true), "module.active-data");
    assert_eq!(refusal(|p| p.swap_targets = true), "module.dispatch");
    assert_eq!(refusal(|p| p.export_dispatch = false), "module.no-export");
    assert_eq!(refusal(|p| p.dispatch_type = 3), "module.export-type");
    assert_eq!(refusal(|p| p.entry_type = 4), "module.export-type");
}

#[test]
fn the_memory_is_one_plain_exported_and_small_enough() {
    assert_eq!(refusal(|p| p.memory.clear()), "module.memory");
    assert_eq!(refusal(|p| p.memory.push(p.memory[0])), "module.memory");
    assert_eq!(refusal(|p| p.memory_export = false), "module.memory");
    // Features outside the list are refused by the parser or by the memory rule, never accepted.
    for odd in [
        MemoryType {
            memory64: true,
            ..Parts::new(&[]).memory[0]
        },
        MemoryType {
            shared: true,
            maximum: Some(4),
            ..Parts::new(&[]).memory[0]
        },
        MemoryType {
            page_size_log2: Some(0),
            ..Parts::new(&[]).memory[0]
        },
    ] {
        let id = refusal(|p| p.memory[0] = odd);
        assert!(["module.memory", "module.malformed"].contains(&id), "{id}");
    }
    assert_eq!(refusal(|p| p.memory[0].minimum = 2), "module.memory-size");
    assert_eq!(
        refusal(|p| {
            p.memory[0].maximum = Some(3);
            p.section.programs[1].min_pages = 4;
        }),
        "module.memory-size"
    );
}

#[test]
fn images_lie_in_data_segment_0_and_the_switch_starts_at_0() {
    assert_eq!(refusal(|p| p.data.truncate(3)), "module.segment-data");
    assert_eq!(
        refusal(|p| p.section.programs[0].segments[0].data_offset = u32::MAX),
        "module.segment-data"
    );
    assert_eq!(refusal(|p| p.switch_value = 1), "module.export-type");
    assert_eq!(refusal(|p| p.switch.mutable = false), "module.export-type");
    assert_eq!(
        refusal(|p| p.section.image_switch = "memory".into()),
        "module.export-type"
    );
    assert_eq!(
        refusal(|p| p.section.image_switch = "other".into()),
        "module.no-export"
    );
    let extra = ("_initialize".to_owned(), "ls.initialize".to_owned());
    assert_eq!(
        refusal(|p| p.section.programs[0].extra_exports.push(extra)),
        "module.no-export"
    );
}

#[test]
fn imports_are_functions_a_virtual_kernel_has() {
    let with = |module: &str, name: &str, ty| {
        refusal(|p| p.imports.push((module.to_owned(), name.to_owned(), ty)))
    };
    let function = EntityType::Function;
    assert_eq!(with("env", "system", function(0)), "module.unknown-import");
    assert_eq!(
        with("wasi_snapshot_preview1", "fd_reed", function(2)),
        "module.unknown-import"
    );
    assert_eq!(
        with("wasi_snapshot_preview1", "fd_read", function(0)),
        "module.import-type"
    );
    assert_eq!(
        with("wasi_unstable", "fd_read", function(2)),
        "module.unknown-import"
    );
    let memory = EntityType::Memory(Parts::new(&[]).memory[0]);
    assert_eq!(with("env", "memory", memory), "module.import-kind");
    let table = TableType {
        element_type: RefType::FUNCREF,
        table64: false,
        minimum: 0,
        maximum: None,
        shared: false,
    };
    assert_eq!(
        with("env", "table", EntityType::Table(table)),
        "module.import-kind"
    );
    let global = wasm_encoder::GlobalType {
        val_type: ValType::I32,
        mutable: false,
        shared: false,
    };
    assert_eq!(
        with("env", "base", EntityType::Global(global)),
        "module.import-kind"
    );
    let mut parts = Parts::new(&["ls"]);
    parts
        .imports
        .push(("vkernel".into(), "statfs".into(), function(0)));
    assert!(Module::parse(&parts.build()).is_ok());
}
