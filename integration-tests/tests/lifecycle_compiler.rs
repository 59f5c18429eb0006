//! The runtime links no compiler: what runs guest code cannot make any.

use std::path::Path;
use std::process::Command;

/// Names that only a program with Cranelift inside has.
const COMPILER: [&str; 3] = ["cranelift_codegen", "wasmtime_cranelift", "regalloc2"];

#[test]
fn the_runtimes_dependencies_hold_no_compiler() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let output = Command::new(env!("CARGO"))
        .args([
            "tree",
            "--locked",
            "--offline",
            "-p",
            "megarun",
            "-e",
            "normal,build",
            "--prefix",
            "none",
        ])
        .current_dir(root)
        .output()
        .expect("cargo runs");
    let tree = String::from_utf8_lossy(&output.stdout);
    assert!(
        output.status.success() && tree.contains("wasmtime "),
        "{tree}"
    );
    for line in tree.lines() {
        let name = line.split(' ').next().unwrap_or_default();
        // Shared vocabulary of the engine and its compiler; neither can emit code.
        let vocabulary =
            ["cranelift-entity", "cranelift-bitset", "cranelift-bforest"].contains(&name);
        assert!(
            vocabulary || !name.starts_with("cranelift") && name != "regalloc2",
            "{line}"
        );
    }
}

#[test]
fn the_runtimes_program_holds_no_compiler() {
    let holds = |variable: &str| {
        let path = std::env::var_os(variable)
            .unwrap_or_else(|| panic!("{variable} is not set: run `make test`"));
        let bytes = std::fs::read(&path).expect("the program is readable");
        COMPILER.map(|name| bytes.windows(name.len()).any(|at| at == name.as_bytes()))
    };
    assert_eq!(holds("MEGARUN_BIN"), [false; 3]);
    // The same look at the toolchain finds its compiler: the names are the right ones.
    assert!(holds("MEGABIN_BIN").contains(&true));
}
