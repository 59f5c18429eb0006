//! What `megabin inspect`, `syscalls` and `diff` tell.
#![allow(clippy::unwrap_used, missing_docs)]

mod support;

use std::fs;

use serde_json::Value;
use support::bench::{Bench, RECIPE, program};

#[test]
fn inspect_and_syscalls_tell_what_is_there() {
    let bench = Bench::built();
    let text = bench.ok("inspect out");
    assert!(
        text.contains("toolbox 1.4") && text.contains("/usr/bin/report, tool report"),
        "{text}"
    );
    let json: Value = serde_json::from_str(&bench.ok("inspect out --json")).unwrap();
    assert_eq!(
        json["programs"].as_array().unwrap().len(),
        3,
        "equal modules are linked once"
    );
    assert_eq!(json["targets"].as_array().unwrap().len(), 5);
    assert_eq!(json["key_id"], "demo");
    assert_eq!(
        json["container_id"],
        bench.json("out/manifest.json")["container_id"]
    );
    let text = bench.ok("syscalls two.wasm");
    assert!(
        text.contains("always allowed") && text.ends_with("syscalls = [\"read\"]\n"),
        "{text}"
    );
    bench.fails("syscalls report", &["not a WebAssembly module"]);
}

/// Programs of one library, each of which uses two of its functions and has one of its own.
fn family(bench: &Bench) {
    let mut recipe = String::from("name = \"family\"\nversion = \"1\"\n");
    for (nth, name) in ["red", "green", "blue"].iter().enumerate() {
        let base = 4096 * (nth + 1);
        let work = "(drop (i32.clz (i32.load (local.get 0))))".repeat(30);
        let wasm = wat::parse_str(format!(
            r#"(module (memory (export "memory") 1) (table 4 funcref) (elem (i32.const 1) $own)
            (data (i32.const {base}) "{name}")
            (func $library (param i32) (result i32) {work} (i32.load (i32.const {base})))
            (func $apply (param i32) {work} (drop (call $library (local.get 0)))
              (call_indirect (i32.const 1)))
            (func $own {own})
            (func (export "_start") (call $apply (i32.const 0))))"#,
            own = "(nop)".repeat(nth * 7),
        ))
        .unwrap();
        bench.file(&format!("{name}.wasm"), &wasm);
        recipe += &format!("[[binary]]\npath = \"/bin/{name}\"\nmodule = \"{name}.wasm\"\n");
    }
    bench.file("family.toml", recipe.as_bytes());
}

#[test]
fn inspect_says_what_is_shared_by_whom_and_what_that_saves() {
    let bench = Bench::new();
    family(&bench);
    for (fold, shares) in [("none", false), ("exact", false), ("full", true)] {
        bench.ok(&format!("build family.toml -o {fold} --fold {fold}"));
        let shown: Value =
            serde_json::from_str(&bench.ok(&format!("inspect {fold} --json"))).unwrap();
        let saved = shown["shared_code"]["saved"].as_u64().unwrap();
        let size = shown["sizes"]["code"].as_u64().unwrap();
        let programs = shown["programs"].as_array().unwrap();
        let alone: u64 = programs
            .iter()
            .map(|p| p["code_bytes"].as_u64().unwrap())
            .sum();
        // All that is there: what the programs have, the dispatcher, and lengths.
        let dispatcher = size + saved - alone;
        assert!(dispatcher < 400, "{size} + {saved} - {alone}");
        if !shares {
            assert_eq!(saved, 0, "their addresses differ: {shown:#}");
            continue;
        }
        let group = &shown["shared_code"]["groups"][0];
        assert_eq!(
            group["programs"],
            serde_json::json!(["blue", "green", "red"])
        );
        // Each program's own function and trampoline are nobody else's, though the same switch of
        // the shared function leads to them all.
        // `_start`, `apply`, `library` and that switch are everybody's.
        assert_eq!(group["functions"], 4, "{group}");
        assert!(saved > size / 2, "{saved} of {size}");
        assert_eq!(shown["shared_code"]["groups"].as_array().unwrap().len(), 1);
        let text = bench.ok("inspect full");
        assert!(
            text.contains("SHARED BY") && text.contains("blue green red"),
            "{text}"
        );
    }
}

/// Five hundred programs whose paths, names and arguments are as long as they come.
fn crowd(bench: &Bench) {
    let mut recipe = String::from(
        "name = \"everything-that-the-platform-team-ships\"\nversion = \"2026.11.28\"\n\
         [policies]\ndefault_syscalls = [\"clock_gettime\", \"getrandom\", \"read\", \"write\", \"newfstatat\"]\n",
    );
    let folders = [
        "/usr/bin",
        "/usr/libexec/platform-tools/certificates/rotation",
        "/opt/vendor/observability-agent-collector/current/helpers/bin",
    ];
    for nth in 0..500 {
        let name = match nth % 4 {
            0 => format!("x{nth}"),
            1 => format!("kubernetes-cluster-autoscaler-inspector-{nth}"),
            2 => format!("x86_64-pc-linux-gnu-objcopy-{nth}"),
            _ => format!(
                "generate_certificate_signing_request_for_all_of_the_internal_services.{nth}"
            ),
        };
        let work = "(drop (i32.const 7))".repeat(nth % 90 * 20);
        let wasm = wat::parse_str(format!(
            r#"(module (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
            (memory (export "memory") {}) (data (i32.const {}) "{name}")
            (func (export "_start") {work} (call $exit (i32.const {nth}))))"#,
            1 + nth % 7 * 900,
            1024 + nth
        ));
        bench.file(&format!("c{nth}.wasm"), &wasm.unwrap());
        recipe += &format!(
            "[[binary]]\npath = \"{}/{name}\"\nmodule = \"c{nth}.wasm\"\n",
            folders[nth % 3]
        );
        if nth % 50 == 3 {
            recipe += "args = [\"--configuration\", \"/etc/platform-tools/certificates/rotation.d/default.toml\", \"--verbose\"]\n";
        }
        if nth % 50 == 4 {
            recipe += "syscalls = [\"openat\", \"getdents\", \"unlinkat\", \"renameat2\"]\n";
        }
    }
    recipe += "[[agent_tool]]\nname = \"rotate_every_certificate_of_the_cluster\"\nbinary = \"/usr/bin/x0\"\n";
    bench.file("crowd.toml", recipe.as_bytes());
}

#[test]
fn inspect_of_five_hundred_programs_fits_a_terminal() {
    let bench = Bench::new();
    crowd(&bench);
    bench.ok("keygen --key-id release-engineering-2026.example.com --out keys");
    bench.ok("build crowd.toml -o crowd --key keys/release-engineering-2026.example.com.key");
    let text = bench.ok("inspect crowd");
    for line in text.lines() {
        assert!(line.chars().count() <= 80, "{line:?} in\n{text}");
    }
    // The digest is in one piece, to be copied, and nothing was left out.
    let shown: Value = serde_json::from_str(&bench.ok("inspect crowd --json")).unwrap();
    assert!(
        text.contains(shown["container_id"].as_str().unwrap()),
        "{text}"
    );
    for target in shown["targets"].as_array().unwrap() {
        let digest = &target["digest"].as_str().unwrap()["sha256:".len()..][..12];
        assert!(text.contains(digest), "{target}");
    }
    let letters: String = text.split_whitespace().collect();
    assert!(letters.contains("rotate_every_certificate"), "{text}");
    let short = text.lines().find(|line| line.starts_with("/usr/bin/x12 "));
    assert!(short.is_some_and(|line| line.ends_with("x12")), "{text}");
}

#[test]
fn diff_tells_tools_and_rights_apart() {
    let bench = Bench::new();
    bench.ok("build recipe.toml -o old");
    assert!(bench.ok("diff old old").contains("the same rights"));
    let new = RECIPE
        .replace("version = \"1.4\"", "version = \"1.5\"")
        .replace("path = \"/usr/bin/again\"", "path = \"/usr/bin/fourth\"")
        .replace("args = [\"-u\"]", "syscalls = [\"openat\", \"read\"]")
        .replace("makes a report", "makes the report");
    bench.file("new.toml", new.as_bytes());
    bench.file("three.wasm", &program(4, ""));
    bench.ok("build new.toml -o new");
    let text = bench.ok("diff old new");
    for line in [
        "version: 1.4 -> 1.5",
        "+ /usr/bin/fourth  syscalls: none",
        "- /usr/bin/again",
        "~ /usr/bin/two",
        "    args: -u -> none",
        "    syscalls: +openat",
        "~ tool third",
        "    digest: sha256:",
        "    description: makes a report -> makes the report",
    ] {
        assert!(text.contains(line), "{line:?} is not in\n{text}");
    }
    assert!(!text.contains("/usr/bin/one"), "{text}");
    let shown: Value = serde_json::from_str(&bench.ok("diff old new --json")).unwrap();
    assert_eq!(shown["removed"], serde_json::json!(["/usr/bin/again"]));
    assert_eq!(shown["changed"]["/usr/bin/two"]["args"]["new"], "");
    bench.fails("diff old nowhere", &["nowhere"]);
    fs::write(bench.path("new/manifest.json"), "{}").unwrap();
    bench.fails("diff old new", &["manifest.json"]);
}
