//! The `megabin` program, in a folder with modules and a recipe.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::Value;
use tempfile::TempDir;

pub struct Bench {
    pub dir: TempDir,
}

/// A program that exits with `code`; `extra` adds fields.
pub fn program(code: u8, extra: &str) -> Vec<u8> {
    wat::parse_str(format!(
        r#"(module (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
        {extra} (memory (export "memory") 1) (data (i32.const 8) "image of {code}")
        (func (export "_start") (call $exit (i32.const {code}))))"#
    ))
    .unwrap()
}

pub const RECIPE: &str = r#"
name = "toolbox"
version = "1.4"
[[binary]]
path = "/usr/bin/one"
module = "one.wasm"
links = ["/bin/one", "/usr/bin/uno"]
[[binary]]
path = "/usr/bin/two"
module = "two.wasm"
args = ["-u"]
keep = "original"
[[binary]]
path = "/usr/bin/again"
module = "one.wasm"
syscalls = []
[[binary]]
path = "/usr/bin/report"
file = "report"
interpreter = "/usr/bin/two"
[[agent_tool]]
name = "report"
binary = "/usr/bin/report"
description = "makes a report"
input_schema = "schema.json"
[[agent_tool]]
name = "third"
module = "three.wasm"
[rootfs]
copy = ["root"]
"#;

impl Bench {
    pub fn new() -> Self {
        let bench = Self {
            dir: tempfile::tempdir().unwrap(),
        };
        let reads = r#"(import "wasi_snapshot_preview1" "fd_read" (func (param i32 i32 i32 i32) (result i32)))"#;
        bench.file("one.wasm", &program(1, ""));
        bench.file("two.wasm", &program(2, reads));
        bench.file("three.wasm", &program(3, ""));
        bench.file("report", b"#!/usr/bin/two\nhello\n");
        bench.file("schema.json", br#"{"type": "object"}"#);
        bench.file("recipe.toml", RECIPE.as_bytes());
        fs::create_dir_all(bench.path("root/etc")).unwrap();
        bench.file("root/etc/motd", b"hello\n");
        std::os::unix::fs::symlink("usr/bin", bench.path("root/sbin")).unwrap();
        bench
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub fn file(&self, name: &str, bytes: &[u8]) {
        fs::write(self.path(name), bytes).unwrap();
    }

    pub fn run(&self, line: &str) -> Output {
        Command::new(env!("CARGO_BIN_EXE_megabin"))
            .args(line.split_whitespace())
            .current_dir(self.dir.path())
            .output()
            .unwrap()
    }

    #[track_caller]
    pub fn ok(&self, line: &str) -> String {
        let output = self.run(line);
        let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success(), "{line}: {stderr}");
        String::from_utf8(output.stdout).unwrap() + &stderr
    }

    /// Fails with code 1 and one error that contains `parts`.
    #[track_caller]
    pub fn fails(&self, line: &str, parts: &[&str]) {
        let output = self.run(line);
        let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(1), "{line}: {stderr}");
        assert!(stderr.contains("megabin: error: "), "{line}: {stderr}");
        for part in parts {
            assert!(stderr.contains(part), "{line}: {stderr:?} lacks {part:?}");
        }
    }

    pub fn built() -> Self {
        let bench = Self::new();
        bench.ok("keygen --key-id demo --out keys");
        bench.ok("build recipe.toml -o out --key keys/demo.key");
        bench
    }

    pub fn json(&self, name: &str) -> Value {
        serde_json::from_slice(&fs::read(self.path(name)).unwrap()).unwrap()
    }

    #[track_caller]
    pub fn recipe_fails(&self, recipe: &str, parts: &[&str]) {
        self.file("bad.toml", recipe.as_bytes());
        self.fails("build bad.toml -o bad", parts);
        assert!(!self.path("bad/manifest.json").exists());
    }
}

pub fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o7777
}
