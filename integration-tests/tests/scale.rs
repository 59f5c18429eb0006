//! A thousand programs and ten thousand files of one container, through the real programs.

#![allow(clippy::unwrap_used, reason = "a test ends where it must not go on")]

use std::fmt::Write;
use std::fs;
use std::path::Path;

use integration_tests::command::run;
use integration_tests::node::Node;

const PROGRAMS: usize = 1000;
const SCRIPTS: usize = 10_000;

/// Ends with a code made of its data, which lies where no other program's does, through a pointer
/// to a function of its own.
fn program(nth: usize) -> Vec<u8> {
    wat::parse_str(format!(
        r#"(module (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
        (memory (export "memory") 1) (data (i32.const {at}) "\{low:02x}")
        (table 3 funcref) (elem (i32.const {entry}) $own)
        (func $own (result i32) (i32.add (i32.load8_u (i32.const {at})) (i32.const {own})))
        (func (export "_start") (call $exit (call_indirect (result i32) (i32.const {entry})))))"#,
        at = 1024 + 16 * nth,
        low = nth % 100,
        entry = nth % 3,
        own = nth / 100,
    ))
    .unwrap()
}

fn code(nth: usize) -> i32 {
    (nth % 100 + nth / 100) as i32
}

/// The recipe and its files: scripts of the first seven programs, each with bytes of its own.
fn recipe(folder: &Path) -> String {
    let mut recipe = String::from("name = \"crowd\"\nversion = \"1\"\n");
    for nth in 0..PROGRAMS {
        fs::write(folder.join(format!("p{nth}.wasm")), program(nth)).unwrap();
        let entry = format!("[[binary]]\npath = \"/bin/p{nth}\"\nmodule = \"p{nth}.wasm\"\n");
        recipe.push_str(&entry);
    }
    for nth in 0..SCRIPTS {
        fs::write(folder.join(format!("s{nth}")), format!("script {nth}\n")).unwrap();
        writeln!(
            recipe,
            "[[binary]]\npath = \"/scripts/s{nth}\"\nfile = \"s{nth}\"\ninterpreter = \"/bin/p{}\"",
            nth % 7
        )
        .unwrap();
    }
    recipe
}

#[test]
fn a_thousand_programs_and_ten_thousand_scripts_are_one_container() {
    let node = Node::new();
    let folder = node.path("crowd");
    fs::create_dir(&folder).unwrap();
    fs::write(folder.join("recipe.toml"), recipe(&folder)).unwrap();
    let bundle = node.bundle(&folder.join("recipe.toml"), "bundle", &["/bin/p7"]);
    let manifest = fs::read(node.path("bundle.built/manifest.json")).unwrap();
    let manifest: serde_json::Value = serde_json::from_slice(&manifest).unwrap();
    let binaries = manifest["binaries"].as_object().unwrap();
    assert_eq!(binaries.len(), PROGRAMS + SCRIPTS);

    let runs = |id: &str, path: &str| {
        let config = bundle.join("config.json");
        let text = fs::read(&config).unwrap();
        let mut changed: serde_json::Value = serde_json::from_slice(&text).unwrap();
        changed["process"]["args"] = serde_json::json!([path]);
        fs::write(&config, changed.to_string()).unwrap();
        run(&mut node.megarun(&["run", "--bundle", &bundle.to_string_lossy(), id]))
    };
    for nth in [0, 1, 99, 500, 998, 999] {
        let output = runs("program", &format!("/bin/p{nth}"));
        assert_eq!(output.code, code(nth), "p{nth}: {}", output.err());
    }
    for nth in [0, 1, 4_999, 9_998, 9_999] {
        let output = runs("script", &format!("/scripts/s{nth}"));
        assert_eq!(output.code, code(nth % 7), "s{nth}: {}", output.err());
    }
    // One byte more is a script that nobody signed.
    let file = bundle.join("rootfs/scripts/s5000");
    fs::write(&file, "script 5000\n\n").unwrap();
    let denied = runs("denied", "/scripts/s5000");
    assert_eq!(denied.code, 126, "{}", denied.err());
    assert!(denied.err().contains("modified"), "{}", denied.err());
    assert!(node.containers().is_empty());
}
