//! The published tables are those of the source. After a change of either:
//! `MEGARUN_WRITE_VECTORS=1 cargo test -p megabinary --test spec`.
#![allow(clippy::unwrap_used)]

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use megabinary::capability::{HostCall, SYSCALL_NAMES, VKERNEL_MODULE, WASI_MODULE};
use megabinary::{VKERNEL_VERSION, limits};

fn path(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../runtime-spec")
        .join(name)
}

/// Compares what stands between two comments of a file with `table`.
fn compare(file: &str, name: &str, table: &str) {
    let text = fs::read_to_string(path(file)).unwrap();
    let (begin, end) = (
        format!("<!-- begin {name} -->\n"),
        format!("<!-- end {name} -->"),
    );
    let (before, rest) = text
        .split_once(&begin)
        .unwrap_or_else(|| panic!("{file} has no {name}"));
    let (found, after) = rest.split_once(&end).unwrap();
    if std::env::var_os("MEGARUN_WRITE_VECTORS").is_some() {
        fs::write(path(file), format!("{before}{begin}{table}{end}{after}")).unwrap();
    } else {
        assert_eq!(found, table, "{file}: {name}");
    }
}

fn call_table(module: &str) -> String {
    let mut table = String::from("| call | permitted by |\n|---|---|\n");
    for call in HostCall::ALL.iter().filter(|call| call.module() == module) {
        let groups: Vec<_> = call
            .names()
            .iter()
            .map(|group| format!("`{}`", group.join("` `")))
            .collect();
        let names = if groups.is_empty() {
            "always allowed".to_owned()
        } else {
            groups.join(" **and** ")
        };
        let operation = match call.operation() {
            "" => String::new(),
            operation => format!(", {operation}"),
        };
        writeln!(table, "| `{}`{operation} | {names} |", call.function()).unwrap();
    }
    table
}

#[test]
fn the_capability_tables_are_published() {
    compare("capabilities.md", WASI_MODULE, &call_table(WASI_MODULE));
    compare(
        "capabilities.md",
        VKERNEL_MODULE,
        &call_table(VKERNEL_MODULE),
    );
    let names = format!("`{}`\n", SYSCALL_NAMES.join("` `"));
    compare("capabilities.md", "names", &names);
}

#[test]
fn the_limits_are_published() {
    let mut table = String::from("| what | at most |\n|---|---|\n");
    for (what, limit) in [
        ("bytes of `manifest.json`", limits::MANIFEST_BYTES),
        ("bytes of `container.wasm`", limits::CONTAINER_BYTES),
        (
            "bytes of the metadata section's payload without the container id",
            limits::SECTION_BYTES,
        ),
        (
            "nesting of JSON arrays and objects, the document being 1",
            limits::JSON_DEPTH,
        ),
        (
            "JSON values in a manifest, counting every scalar, array and object",
            limits::JSON_VALUES,
        ),
        (
            "bytes of a JSON string or key, unescaped",
            limits::JSON_STRING_BYTES,
        ),
        (
            "targets: distinct digests of binaries and agent tools",
            limits::TARGETS,
        ),
        ("programs", limits::PROGRAMS),
        ("image segments over all programs", limits::SEGMENTS),
        ("extra exports over all programs", limits::EXTRA_EXPORTS),
        ("items of `args`, and of `critical`", limits::ARGS),
        ("bytes of one item of `args`", limits::ARG_BYTES),
        ("items of `overrides.exec`", limits::EXEC_PATHS),
        ("bytes of `description`", limits::DESCRIPTION_BYTES),
        ("bytes of a path", limits::PATH_BYTES),
        ("bytes of one part of a path", limits::PATH_COMPONENT_BYTES),
        ("bytes of `vkernel_version`", limits::REQUIREMENT_BYTES),
        ("characters of `signature`", limits::SIGNATURE_CHARS),
        (
            "types, functions, imports, exports, tags and globals of a module, each",
            limits::MODULE_ITEMS,
        ),
        ("data segments of a module", limits::DATA_SEGMENTS),
        ("pages of a program's memory", limits::MEMORY_PAGES as usize),
        (
            "bytes of an export's name in the section",
            limits::EXPORT_NAME_BYTES,
        ),
    ] {
        writeln!(table, "| {what} | {limit} |").unwrap();
    }
    compare("README.md", "limits", &table);
}

#[test]
fn the_kernel_version_is_published() {
    for file in ["README.md", "vkernel-abi.md"] {
        let text = fs::read_to_string(path(file)).unwrap();
        assert!(
            text.contains(&format!("**{VKERNEL_VERSION}**")),
            "{file} does not name {VKERNEL_VERSION}"
        );
    }
}
