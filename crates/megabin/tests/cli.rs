//! The commands, through the real binary, on real files.
#![allow(clippy::unwrap_used, missing_docs)]

mod support;

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

use support::bench::{Bench, mode, program};

#[test]
fn every_command_helps_with_an_example() {
    let bench = Bench::new();
    for command in [
        "keygen",
        "build",
        "sign",
        "verify",
        "payload",
        "inspect",
        "syscalls",
        "bundle",
        "image",
        "precompile",
        "run",
    ] {
        assert!(
            bench.ok(&format!("{command} --help")).contains("Example"),
            "{command}"
        );
        assert_eq!(
            bench.run(&format!("{command} --nonsense")).status.code(),
            Some(2)
        );
    }
    assert_eq!(bench.run("nonsense").status.code(), Some(2));
    assert!(bench.ok("--help").contains("megabin build toolbox.toml"));
}

#[test]
fn keys_are_private_and_not_overwritten() {
    let bench = Bench::new();
    bench.ok("keygen --key-id demo --out keys");
    let (key, pem) = (bench.path("keys/demo.key"), bench.path("keys/demo.pem"));
    assert_eq!(mode(&key), 0o600);
    let first = fs::read(&key).unwrap();
    bench.fails(
        "keygen --key-id demo --out keys",
        &["demo.key exists", "--force"],
    );
    assert_eq!(fs::read(&key).unwrap(), first);
    fs::remove_file(&key).unwrap();
    bench.fails("keygen --key-id demo --out keys", &["demo.pem exists"]);
    assert!(!key.exists());
    bench.ok("keygen --key-id demo --out keys --force");
    assert_eq!((mode(&key), mode(&pem)), (0o600, 0o644));
    assert_eq!(
        bench.run("keygen --key-id ../up --out keys").status.code(),
        Some(2)
    );
    assert_eq!(
        fs::read_dir(bench.path("keys")).unwrap().count(),
        2,
        "no temporary file stays"
    );
}

#[test]
fn a_build_is_what_the_recipe_says() {
    let bench = Bench::built();
    let manifest = bench.json("out/manifest.json");
    assert_eq!(manifest["name"], "toolbox");
    let one = bench.path("out/rootfs/usr/bin/one");
    let original = megabinary::digest::Digest::of(&fs::read(bench.path("one.wasm")).unwrap());
    let ticket = fs::read(&one).unwrap();
    assert_eq!(
        ticket,
        format!("#!megabinary /usr/bin/one {original}\n").into_bytes()
    );
    assert_eq!(mode(&one), 0o755);
    let of = |path: &str| {
        let bytes = fs::read(bench.path("out/rootfs").join(path)).unwrap();
        manifest["binaries"][megabinary::digest::Digest::of(&bytes).to_string()].clone()
    };
    assert_eq!(of("usr/bin/one")["path"], "/usr/bin/one");
    assert_eq!(
        of("usr/bin/one")["entry_point"],
        of("usr/bin/again")["entry_point"]
    );
    assert_eq!(of("usr/bin/two")["args"], serde_json::json!(["-u"]));
    // Exactly what the imports can need; a script has its interpreter's rights and arguments.
    assert_eq!(
        of("usr/bin/two")["overrides"]["syscalls"],
        serde_json::json!(["read"])
    );
    assert_eq!(
        of("usr/bin/report")["overrides"],
        of("usr/bin/two")["overrides"]
    );
    assert_eq!(of("usr/bin/report")["args"], serde_json::json!(["-u"]));
    assert_eq!(of("usr/bin/report")["entry_point"], "two_start");
    let tools = manifest["agent_tools"].as_object().unwrap();
    assert_eq!(tools.len(), 2);
    assert!(
        tools
            .values()
            .any(|t| t["input_schema"]["type"] == "object")
    );
    assert_eq!(
        fs::read(bench.path("out/rootfs/usr/bin/two")).unwrap(),
        program_two(&bench)
    );
    let link = fs::read_link(bench.path("out/rootfs/bin/one")).unwrap();
    assert_eq!(link, Path::new("/usr/bin/one"));
    assert_eq!(
        fs::read(bench.path("out/rootfs/etc/motd")).unwrap(),
        b"hello\n"
    );
    let names: Vec<_> = fs::read_dir(bench.path("out"))
        .unwrap()
        .map(|e| e.unwrap().file_name())
        .collect();
    assert_eq!(names.len(), 3, "nothing but the output: {names:?}");
}

fn program_two(bench: &Bench) -> Vec<u8> {
    fs::read(bench.path("two.wasm")).unwrap()
}

#[test]
fn the_same_inputs_give_the_same_bytes() {
    let bench = Bench::built();
    bench.ok("build recipe.toml -o other --key keys/demo.key");
    for name in ["container.wasm", "manifest.json"] {
        let read = |dir: &str| fs::read(bench.path(dir).join(name)).unwrap();
        assert_eq!(read("out"), read("other"), "{name}");
    }
    // Building over an earlier build keeps other files and changes nothing else.
    bench.file("out/notes.txt", b"mine");
    bench.ok("build recipe.toml -o out --key keys/demo.key");
    assert_eq!(fs::read(bench.path("out/notes.txt")).unwrap(), b"mine");
    bench.ok("verify out --trust keys");
}

#[test]
fn verification_notices_every_change() {
    let bench = Bench::built();
    assert!(
        bench
            .ok("verify out --trust keys")
            .contains("signed by demo")
    );
    let wasm = fs::read(bench.path("out/container.wasm")).unwrap();
    let manifest = fs::read_to_string(bench.path("out/manifest.json")).unwrap();
    for at in (0..wasm.len()).step_by(97).chain([wasm.len() - 1]) {
        let mut bad = wasm.clone();
        bad[at] ^= 1;
        bench.file("out/container.wasm", &bad);
        bench.fails("verify out --trust keys", &["container.wasm"]);
    }
    bench.file("out/container.wasm", &wasm[..wasm.len() - 40]);
    bench.fails("verify out --trust keys", &["container.wasm"]);
    bench.file("out/container.wasm", &wasm);
    for (from, to) in [
        ("/usr/bin/one", "/usr/bin/won"),
        ("\"1.4\"", "\"1.5\""),
        ("read", "write"),
    ] {
        assert!(manifest.contains(from));
        bench.file(
            "out/manifest.json",
            manifest.replacen(from, to, 1).as_bytes(),
        );
        bench.fails("verify out --trust keys", &["manifest.json", "signature"]);
    }
    bench.file("out/manifest.json", manifest.as_bytes());
    bench.ok("keygen --key-id other --out elsewhere");
    bench.fails(
        "verify out --trust elsewhere",
        &["`demo`, which this node does not trust"],
    );
    // Another key under the same name.
    fs::copy(
        bench.path("elsewhere/other.pem"),
        bench.path("elsewhere/demo.pem"),
    )
    .unwrap();
    bench.fails("verify out --trust elsewhere", &["signature"]);
    bench.fails("verify out --trust nowhere", &["nowhere"]);
    bench.fails("verify nowhere --trust keys", &["nowhere/manifest.json"]);
}

#[test]
fn signing_replaces_the_signature_and_refuses_a_broken_pair() {
    let bench = Bench::new();
    bench.ok("keygen --key-id demo --out keys");
    assert!(bench.ok("build recipe.toml -o out").contains("not signed"));
    bench.fails("verify out --trust keys", &["not signed", "megabin sign"]);
    bench.ok("sign out --key keys/demo.key");
    bench.ok("verify out --trust keys");
    fs::set_permissions(
        bench.path("keys/demo.key"),
        PermissionsExt::from_mode(0o644),
    )
    .unwrap();
    assert!(
        bench
            .ok("sign out --key keys/demo.key")
            .contains("open to others")
    );
    bench.fails("sign out --key keys/demo.pem", &["demo.pem"]);
    bench.file("out/container.wasm", &program(9, ""));
    bench.fails("sign out --key keys/demo.key", &["container.wasm"]);
}

#[test]
fn openssl_alone_checks_the_signature() {
    let bench = Bench::built();
    let payload = bench.run("payload out").stdout;
    bench.file("payload", &payload);
    let signature = bench.json("out/manifest.json")["signatures"]["signature"].clone();
    bench.file(
        "signature.b64",
        format!("{}\n", signature.as_str().unwrap()).as_bytes(),
    );
    let openssl = |args: &str| {
        Command::new("openssl")
            .args(args.split_whitespace())
            .current_dir(bench.dir.path())
            .output()
            .expect("this test needs openssl: apt-get install openssl")
    };
    let decoded = openssl("base64 -d -A -in signature.b64 -out signature");
    assert!(decoded.status.success());
    let check = "dgst -sha256 -verify keys/demo.pem -signature signature payload";
    assert!(openssl(check).status.success());
    bench.file("payload", &[&payload[..], b"x"].concat());
    assert!(!openssl(check).status.success());
}

#[test]
fn a_bundle_is_complete() {
    let bench = Bench::built();
    bench.ok("bundle out -o bundle --env A=b --env PATH=/bin -- /usr/bin/one -x y");
    let config = bench.json("bundle/config.json");
    assert_eq!(
        config["process"]["args"],
        serde_json::json!(["/usr/bin/one", "-x", "y"])
    );
    let env = config["process"]["env"].as_array().unwrap();
    assert!(env.contains(&"A=b".into()) && env.contains(&"PATH=/bin".into()) && env.len() == 3);
    assert_eq!(config["process"]["noNewPrivileges"], true);
    for name in ["container.wasm", "manifest.json"] {
        let read = |dir: &str| fs::read(bench.path(dir).join(name)).unwrap();
        assert_eq!(read("out"), read("bundle"), "{name}");
    }
    assert!(bench.path("bundle/rootfs/usr/bin/one").is_file());
    assert!(bench.path("bundle/rootfs/proc").is_dir());
    // A bundle's files are its own.
    bench.file("bundle/rootfs/usr/bin/one", b"changed");
    assert_ne!(
        fs::read(bench.path("out/rootfs/usr/bin/one")).unwrap(),
        b"changed"
    );
    bench.fails("bundle out -o bundle -- /usr/bin/one", &["--force"]);
    bench.ok("bundle out -o bundle --force -- /usr/bin/two");
    assert_eq!(
        bench.json("bundle/config.json")["process"]["args"][0],
        "/usr/bin/two"
    );
    bench.fails("bundle out -o root --force -- /x", &["no config.json"]);
    assert!(bench.path("root/etc/motd").exists());
    assert!(
        bench
            .ok("bundle out -o b2 -- /usr/bin/unknown")
            .contains("no file /usr/bin/unknown")
    );
    for fine in ["/usr/bin/one", "/bin/one", "/usr/bin/uno", "uno"] {
        let text = bench.ok(&format!("bundle out -o b2 --force -- {fine}"));
        assert!(!text.contains("warning"), "{fine}: {text}");
    }
    let text = bench.ok("bundle out -o b2 --force -- /etc/motd");
    assert!(text.contains("does not name the file /etc/motd"), "{text}");
    assert_eq!(bench.run("bundle out -o b3").status.code(), Some(2));
    assert_eq!(
        bench
            .run("bundle out -o b3 --env novalue -- /x")
            .status
            .code(),
        Some(2)
    );
    let left = fs::read_dir(bench.dir.path()).unwrap();
    let hidden = left.filter(|e| {
        e.as_ref()
            .unwrap()
            .file_name()
            .to_string_lossy()
            .starts_with('.')
    });
    assert_eq!(hidden.count(), 0, "no temporary folder stays");
}

/// The specification's stubs are enough for another engine: node's WASI, `vkernel` unused.
#[test]
fn node_runs_a_linked_program() {
    let bench = Bench::built();
    bench.file(
        "run.mjs",
        br#"import { WASI } from 'node:wasi'; import fs from 'node:fs';
const [wasm, id] = process.argv.slice(2);
const wasi = new WASI({ version: 'preview1', args: ['prog'], env: {} });
const module = new WebAssembly.Module(fs.readFileSync(wasm));
const imports = { wasi_snapshot_preview1: { ...wasi.wasiImport }, vkernel: {} };
for (const i of WebAssembly.Module.imports(module)) imports[i.module][i.name] ??= () => 52;
const { exports } = new WebAssembly.Instance(module, imports);
wasi.initialize({ exports: { memory: exports.memory } });
const words = [0, 1, 2, 3].map(i => BigInt.asIntN(64, BigInt('0x' + id.slice(i * 16, i * 16 + 16))));
process.exitCode = exports._dispatch(...words) === -1 ? 100 : 0;"#,
    );
    let node = |id: &str| {
        Command::new("node")
            .args(["--no-warnings", "run.mjs", "out/container.wasm", id])
            .current_dir(bench.dir.path())
            .output()
            .expect("this test needs node: apt-get install nodejs")
    };
    let ticket = fs::read(bench.path("out/rootfs/usr/bin/one")).unwrap();
    let id = megabinary::digest::Digest::of(&ticket).to_string();
    let output = node(id.strip_prefix("sha256:").unwrap());
    assert_eq!(
        output.status.code(),
        Some(1),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    assert_eq!(node(&"0".repeat(64)).status.code(), Some(100));
}
