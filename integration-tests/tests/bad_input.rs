//! Bad input: whatever is wrong with a manifest, a module, a bundle or an id,
//! both programs end with one clear error and a failing exit code, the runtime
//! also writes it to its log as JSON, and nothing is left behind.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::Command;

use integration_tests::command::{Output, run, run_leaving};
use integration_tests::node::Node;
use integration_tests::subject;

/// One thing wrong with a bundle, and a word the error must have.
type Fault = (&'static str, fn(&Path), &'static str);

/// A small signed container: a bundle and the folder it was built in.
fn prepare(node: &Node) {
    let recipe = node.path("recipe.toml");
    let module = subject::guests().join(".cache/wasm/9basename.wasm");
    let text = format!(
        "name = \"small\"\nversion = \"1.0\"\n[[binary]]\npath = \"/usr/bin/basename\"\nmodule = {module:?}\n"
    );
    fs::write(&recipe, text).expect("writing a recipe");
    node.bundle(&recipe, "good", &["/usr/bin/basename", "/a/b"]);
}

fn write(path: &Path, bytes: impl AsRef<[u8]>) {
    fs::write(path, bytes).expect("writing a test file");
}

fn manifest(bundle: &Path, change: impl FnOnce(String) -> Vec<u8>) {
    let path = bundle.join("manifest.json");
    let text = fs::read_to_string(&path).expect("a bundle has a manifest");
    write(&path, change(text));
}

fn module(bundle: &Path, change: impl FnOnce(Vec<u8>) -> Vec<u8>) {
    let path = bundle.join("container.wasm");
    let bytes = fs::read(&path).expect("a bundle has a module");
    write(&path, change(bytes));
}

fn replaced(bundle: &Path, name: &str, by: impl FnOnce(&Path)) {
    let path = bundle.join(name);
    if path.is_dir() {
        fs::remove_dir_all(&path).expect("removing a folder");
    } else {
        fs::remove_file(&path).expect("removing a file");
    }
    by(&path);
}

/// Where the last section starts: the metadata, found by its name.
fn metadata(wasm: &[u8]) -> usize {
    let name = b"\x0amegabinary";
    let at = wasm
        .windows(name.len())
        .rposition(|bytes| bytes == name)
        .expect("it has one");
    // Before the name: the section's id 0 and its size, LEB128 of one to five bytes.
    (1..=6)
        .map(|back| at - back)
        .find(|&start| {
            let mut size = 0_usize;
            let mut shift = 0;
            for byte in &wasm[start + 1..at] {
                size |= usize::from(byte & 0x7f) << shift;
                shift += 7;
            }
            wasm[start] == 0 && at + size == wasm.len()
        })
        .expect("the metadata section is the last")
}

const MANIFESTS: &[Fault] = &[
    (
        "truncated",
        |b| manifest(b, |t| t.as_bytes()[..t.len() / 2].to_vec()),
        "manifest",
    ),
    ("empty", |b| manifest(b, |_| Vec::new()), "manifest"),
    (
        "not UTF-8",
        |b| {
            manifest(b, |t| {
                t.replace("small", "sm\u{fffd}ll")
                    .bytes()
                    .map(|c| if c == 0xef { 0xff } else { c })
                    .collect()
            })
        },
        "manifest",
    ),
    (
        "a field twice",
        |b| manifest(b, |t| t.replacen('{', "{\"name\":\"x\",", 1).into_bytes()),
        "name",
    ),
    (
        "an unknown field",
        |b| manifest(b, |t| t.replacen('{', "{\"surprise\":1,", 1).into_bytes()),
        "signature",
    ),
    (
        "deep",
        |b| manifest(b, |_| [vec![b'['; 100_000], vec![b']'; 100_000]].concat()),
        "manifest",
    ),
    (
        "huge",
        |b| manifest(b, |t| [vec![b' '; 65 << 20], t.into_bytes()].concat()),
        "manifest",
    ),
    ("an array", |b| manifest(b, |_| b"[]".to_vec()), "manifest"),
    ("NUL bytes", |b| manifest(b, |_| vec![0; 4096]), "manifest"),
    (
        "something after it",
        |b| manifest(b, |t| (t + "{}").into_bytes()),
        "manifest",
    ),
    (
        "another word signed",
        |b| manifest(b, |t| t.replace("none", "host").into_bytes()),
        "signature",
    ),
];

const MODULES: &[Fault] = &[
    (
        "not wasm",
        |b| module(b, |_| b"#!/bin/sh\necho hi\n".to_vec()),
        "container.wasm",
    ),
    ("empty", |b| module(b, |_| Vec::new()), "container.wasm"),
    (
        "truncated",
        |b| module(b, |w| w[..w.len() / 2].to_vec()),
        "container.wasm",
    ),
    (
        "a component",
        |b| module(b, |_| b"\0asm\x0d\0\x01\0".to_vec()),
        "container.wasm",
    ),
    (
        "no `_dispatch`",
        |b| module(b, |_| b"\0asm\x01\0\0\0".to_vec()),
        "container.wasm",
    ),
    (
        "one bit changed",
        |b| {
            module(b, |mut w| {
                let middle = w.len() / 2;
                w[middle] ^= 1;
                w
            })
        },
        "container.wasm",
    ),
    (
        "the metadata twice",
        |b| {
            module(b, |mut w| {
                let tail = w[metadata(&w)..].to_vec();
                w.extend(tail);
                w
            })
        },
        "container.wasm",
    ),
    (
        "the metadata not last",
        |b| {
            module(b, |mut w| {
                w.extend(b"\0\x05\x04last");
                w
            })
        },
        "container.wasm",
    ),
    (
        "an ELF file",
        |b| module(b, |_| fs::read("/bin/true").expect("the host has it")),
        "container.wasm",
    ),
];

const BUNDLES: &[Fault] = &[
    (
        "no config.json",
        |b| replaced(b, "config.json", |_| ()),
        "config.json",
    ),
    (
        "config.json a folder",
        |b| replaced(b, "config.json", |p| fs::create_dir(p).expect("mkdir")),
        "config.json",
    ),
    (
        "config.json no JSON",
        |b| write(&b.join("config.json"), "{"),
        "config.json",
    ),
    (
        "config.json a loop",
        |b| replaced(b, "config.json", |p| symlink(p, p).expect("symlink")),
        "config.json",
    ),
    ("no rootfs", |b| replaced(b, "rootfs", |_| ()), "rootfs"),
    (
        "rootfs a file",
        |b| replaced(b, "rootfs", |p| write(p, "x")),
        "rootfs",
    ),
    (
        "rootfs a loop",
        |b| replaced(b, "rootfs", |p| symlink(p, p).expect("symlink")),
        "rootfs",
    ),
    (
        "no manifest.json",
        |b| replaced(b, "manifest.json", |_| ()),
        "manifest.json",
    ),
    (
        "manifest.json a folder",
        |b| replaced(b, "manifest.json", |p| fs::create_dir(p).expect("mkdir")),
        "manifest.json",
    ),
    (
        "manifest.json a loop",
        |b| replaced(b, "manifest.json", |p| symlink(p, p).expect("symlink")),
        "manifest.json",
    ),
    (
        "manifest.json a link",
        |b| {
            replaced(b, "manifest.json", |p| {
                symlink("/etc/hostname", p).expect("symlink")
            })
        },
        "manifest.json",
    ),
    (
        "no container.wasm",
        |b| replaced(b, "container.wasm", |_| ()),
        "container.wasm",
    ),
    (
        "container.wasm a device",
        |b| {
            replaced(b, "container.wasm", |p| {
                symlink("/dev/zero", p).expect("symlink")
            })
        },
        "container.wasm",
    ),
];

/// It failed, with one line on standard error that has `word`.
fn one_error(output: &Output, program: &str, word: &str) -> Result<(), String> {
    let text = output.err();
    let errors = text
        .lines()
        .filter(|line| line.starts_with(program))
        .count();
    if output.code == 0 {
        return Err(format!("it succeeded: {}", output.out()));
    }
    if output.code >= 128 {
        return Err(format!("it died with code {}: {text}", output.code));
    }
    if errors != 1 || text.contains("panicked") {
        return Err(format!("not one error: {text}"));
    }
    text.contains(word)
        .then_some(())
        .ok_or_else(|| format!("no `{word}` in: {text}"))
}

/// `create` of this bundle fails, says so in the log as JSON, and leaves nothing.
fn create_refuses(node: &Node, bundle: &Path, id: &str, word: &str) -> Result<(), String> {
    let log = node.path("log.json");
    let _ = fs::remove_file(&log);
    let (log_name, bundle) = (log.to_string_lossy(), bundle.to_string_lossy());
    let line = [
        "--log",
        &log_name,
        "--log-format",
        "json",
        "create",
        "--bundle",
        &bundle,
        id,
    ];
    let output = run_leaving(&mut node.megarun(&line));
    one_error(&output, "megarun: ", word)?;
    let log = fs::read_to_string(&log).map_err(|error| format!("no log: {error}"))?;
    let last: serde_json::Value = serde_json::from_str(log.lines().last().unwrap_or_default())
        .map_err(|error| format!("the log is not JSON: {error}: {log}"))?;
    if last["level"] != "error" || !last["msg"].as_str().is_some_and(|text| text.contains(word)) {
        return Err(format!("the log's last line: {last}"));
    }
    let left = node.containers();
    if !left.is_empty() {
        return Err(format!("left in the state directory: {left:?}"));
    }
    let mounts = fs::read_to_string("/proc/self/mountinfo").map_err(|error| error.to_string())?;
    let here = node.path("").to_string_lossy().into_owned();
    match mounts
        .lines()
        .find(|mount| mount.contains(here.trim_end_matches('/')))
    {
        Some(mount) => Err(format!("a mount was left: {mount}")),
        None => Ok(()),
    }
}

/// Each fault, on a copy of the good bundle, by the checks given.
fn each(faults: &[Fault], check: impl Fn(&Node, &Path, &str) -> Result<(), String>) {
    let node = Node::new();
    prepare(&node);
    let mut wrong = Vec::new();
    for (what, spoil, word) in faults {
        let bundle = node.path("bad");
        let copied = run(Command::new("cp")
            .arg("-a")
            .arg(node.path("good"))
            .arg(&bundle));
        copied.success();
        spoil(&bundle);
        if let Err(why) = check(&node, &bundle, word) {
            wrong.push(format!("{what}: {why}"));
        }
        fs::remove_dir_all(&bundle).expect("removing the copy");
    }
    assert!(
        wrong.is_empty(),
        "{} of {}:\n{}",
        wrong.len(),
        faults.len(),
        wrong.join("\n")
    );
}

/// Both programs refuse; the toolchain when it verifies and when it would run.
fn both_refuse(node: &Node, bundle: &Path, word: &str) -> Result<(), String> {
    let trust = node.path("trust");
    for command in ["verify", "run"] {
        let mut megabin = Command::new(subject::megabin());
        megabin.arg(command).arg(bundle).arg("--trust").arg(&trust);
        if command == "run" {
            megabin.args(["--", "/usr/bin/basename", "/a/b"]);
        }
        one_error(&run(&mut megabin), "megabin: error: ", word)
            .map_err(|why| format!("megabin {command}: {why}"))?;
    }
    create_refuses(node, bundle, "bad-input", word)
}

#[test]
fn bad_manifests() {
    each(MANIFESTS, both_refuse);
}

#[test]
fn bad_modules() {
    each(MODULES, both_refuse);
}

#[test]
fn bad_bundles() {
    each(BUNDLES, |node, bundle, word| {
        create_refuses(node, bundle, "bad-input", word)
    });
}

#[test]
fn bad_ids() {
    let node = Node::new();
    prepare(&node);
    let long = "x".repeat(5000);
    for id in [
        "a/b",
        "../up",
        "/abs",
        ".",
        "..",
        "",
        "new\nline",
        "sp ace",
        long.as_str(),
    ] {
        let refused = create_refuses(&node, &node.path("good"), id, "");
        assert_eq!(refused, Ok(()), "create {id:?}");
        for command in ["state", "start", "kill", "delete"] {
            let output = run(&mut node.megarun(&[command, id]));
            assert_eq!(
                one_error(&output, "megarun: ", ""),
                Ok(()),
                "{command} {id:?}"
            );
        }
    }
}

#[test]
fn the_good_bundle_runs() {
    let node = Node::new();
    prepare(&node);
    let bundle = node.path("good");
    let id = format!("good-{}", std::process::id());
    let output =
        run_leaving(&mut node.megarun(&["run", "--bundle", &bundle.to_string_lossy(), &id]));
    assert_eq!(output.success().out(), "b\n");
}
