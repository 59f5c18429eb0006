//! `megabin run` and `megabin precompile`, through the real binary, on real processes.
#![allow(clippy::unwrap_used, missing_docs)]

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::{Command, ExitStatus, Output, Stdio};
use std::time::Duration;

use tempfile::TempDir;

const EXIT: &str = r#"(import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))"#;
const READ: &str = r#"(import "wasi_snapshot_preview1" "fd_read" (func $read (param i32 i32 i32 i32) (result i32)))"#;
const RANDOM: &str =
    r#"(import "wasi_snapshot_preview1" "random_get" (func $random (param i32 i32) (result i32)))"#;

/// Name, what it imports, and what its `_start` does.
const PROGRAMS: [(&str, &str, &str); 5] = [
    ("three", EXIT, "(call $exit (i32.const 3))"),
    ("loops", "", "(loop $again (br $again))"),
    (
        "reads",
        READ,
        "(i32.store (i32.const 0) (i32.const 64)) (i32.store (i32.const 4) (i32.const 1))
         (drop (call $read (i32.const 0) (i32.const 0) (i32.const 1) (i32.const 8)))",
    ),
    ("traps", "", "(call $deep)"),
    (
        "wants",
        "",
        "(call $exit (call $random (i32.const 0) (i32.const 8)))",
    ),
];

struct Toolbox {
    dir: TempDir,
}

impl Toolbox {
    fn new() -> Self {
        let toolbox = Self {
            dir: tempfile::tempdir().unwrap(),
        };
        let mut recipe = "name = \"toolbox\"\nversion = \"1.0\"\n".to_owned();
        for (name, imports, body) in PROGRAMS {
            let imports = if name == "wants" {
                format!("{EXIT}{RANDOM}")
            } else {
                imports.to_owned()
            };
            let wat = format!(
                "(module {imports} (memory (export \"memory\") 1)
                 (func $deep (unreachable)) (func (export \"_start\") {body}))"
            );
            let wasm = wat::parse_str(wat).unwrap();
            fs::write(toolbox.path(&format!("{name}.wasm")), wasm).unwrap();
            recipe += &format!("[[binary]]\npath = \"/bin/{name}\"\nmodule = \"{name}.wasm\"\n");
            if name == "wants" {
                recipe += "syscalls = [\"read\"]\n";
            }
        }
        recipe += "[[agent_tool]]\nname = \"tool\"\nbinary = \"/bin/three\"\n";
        fs::write(toolbox.path("recipe.toml"), recipe).unwrap();
        toolbox.megabin(&["keygen", "--key-id", "demo", "--out", "keys"]);
        toolbox.megabin(&["keygen", "--key-id", "other", "--out", "strangers"]);
        toolbox.megabin(&[
            "build",
            "recipe.toml",
            "-o",
            "box",
            "--key",
            "keys/demo.key",
        ]);
        toolbox
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_megabin"));
        command.current_dir(self.dir.path()).args(args);
        command
    }

    fn megabin(&self, args: &[&str]) -> Output {
        let output = self.command(args).output().unwrap();
        assert!(
            output.status.success(),
            "{args:?}: {}",
            text(&output.stderr)
        );
        output
    }

    fn run(&self, args: &[&str]) -> (i32, String) {
        let start = ["run", "box", "--trust", "keys", "--cache", "cache"];
        let output = self.command(&[&start[..], args].concat()).output().unwrap();
        (code(output.status), text(&output.stderr))
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

fn code(status: ExitStatus) -> i32 {
    status.code().expect("megabin itself is not killed")
}

#[test]
fn the_exit_status_is_the_programs() {
    let toolbox = Toolbox::new();
    assert_eq!(toolbox.run(&["--", "/bin/three"]).0, 3);
    assert_eq!(toolbox.run(&["--env", "PATH=/bin", "--", "three"]).0, 3);
    assert_eq!(toolbox.run(&["--tool", "tool", "--", "x"]).0, 3);
    // ENOTCAPABLE: the recipe does not give it getrandom.
    assert_eq!(toolbox.run(&["--", "/bin/wants"]).0, 76);

    let (code, said) = toolbox.run(&["--", "/bin/traps"]);
    assert_eq!(code, 134);
    assert!(said.contains("/bin/traps: trap: "), "{said}");
    // Every program of the box has `deep`; which one runs, the entry says.
    for part in ["unreachable", "at shared::deep", "at traps::entry"] {
        assert!(said.contains(part), "{said}");
    }

    let (code, said) = toolbox.run(&["--", "/bin/none"]);
    assert_eq!(code, 127);
    assert!(
        said.contains("executable file `/bin/none` not found in $PATH"),
        "{said}"
    );

    fs::write(toolbox.path("box/rootfs/bin/three"), "modified").unwrap();
    let (code, said) = toolbox.run(&["--audit", "audit.jsonl", "--", "/bin/three"]);
    assert_eq!(code, 126);
    assert!(
        said.contains("permission denied") && said.matches("sha256:").count() == 3,
        "{said}"
    );
    let record: serde_json::Value =
        serde_json::from_slice(&fs::read(toolbox.path("audit.jsonl")).unwrap()).unwrap();
    assert_eq!(
        (&record["decision"], &record["path"]),
        (&"modified".into(), &"/bin/three".into())
    );
}

/// Runs a program nobody signed.
const THREE: [&str; 7] = [
    "run",
    "box",
    "--insecure-unsigned",
    "--cache",
    "cache",
    "--",
    "/bin/three",
];

#[test]
fn nothing_runs_that_is_not_believed() {
    let toolbox = Toolbox::new();
    let refused = |args: &[&str]| {
        let output = toolbox.command(args).output().unwrap();
        (code(output.status), text(&output.stderr))
    };
    let (status, said) = refused(&["run", "box", "--", "/bin/three"]);
    assert_eq!(status, 2, "{said}");
    assert!(said.contains("--insecure-unsigned"), "{said}");
    let (status, said) = refused(&["run", "box", "--trust", "strangers", "--", "/bin/three"]);
    assert_eq!(status, 1, "{said}");

    let path = toolbox.path("box/container.wasm");
    let mut wasm = fs::read(&path).unwrap();
    let middle = wasm.len() / 2;
    wasm[middle] ^= 1;
    fs::write(&path, wasm).unwrap();
    let (status, said) = refused(&THREE);
    assert_eq!(status, 1, "{said}");
    assert!(!toolbox.path("cache").exists(), "nothing was compiled");
}

/// Exchanges a function body's bytes `from` for `to`, and puts a new digest under the module and
/// into the manifest, which nobody signed then.
fn exchange(toolbox: &Toolbox, from: &[u8], to: &[u8]) {
    let path = toolbox.path("box/container.wasm");
    let mut wasm = fs::read(&path).unwrap();
    let places: Vec<usize> = (0..wasm.len() - from.len())
        .filter(|at| wasm[*at..].starts_with(from))
        .collect();
    let [at] = places[..] else {
        panic!("{from:?} is at {places:?}")
    };
    wasm[at..at + from.len()].copy_from_slice(to);
    let end = wasm.len() - 32;
    let id = megabinary::digest::Digest::of(&wasm[..end]);
    wasm[end..].copy_from_slice(id.as_bytes());
    fs::write(&path, wasm).unwrap();
    let path = toolbox.path("box/manifest.json");
    let mut manifest: serde_json::Value =
        serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
    manifest["container_id"] = id.to_string().into();
    manifest.as_object_mut().unwrap().remove("signature");
    fs::write(&path, manifest.to_string()).unwrap();
}

#[test]
fn code_that_is_not_valid_is_refused_unless_it_was_compiled() {
    let toolbox = Toolbox::new();
    let three = |cache: &str| {
        let line = [
            "run",
            "box",
            "--insecure-unsigned",
            "--cache",
            cache,
            "--",
            "/bin/three",
        ];
        let output = toolbox.command(&line).output().unwrap();
        (code(output.status), text(&output.stderr))
    };
    assert_eq!(three("cache").0, 3);
    // A call without its argument.
    exchange(&toolbox, b"\x41\x03\x10", b"\x01\x01\x10");
    let compiled = |cache: &str| -> Vec<_> {
        let entries = fs::read_dir(toolbox.path(cache)).into_iter().flatten();
        let paths = entries.map(|entry| entry.unwrap().path());
        paths
            .filter(|path| path.extension().is_some_and(|e| e == "cwasm"))
            .collect()
    };
    for line in [
        &["precompile", "box", "--cache", "cache"][..],
        &THREE,
        &["inspect", "box"],
        &["bundle", "box", "-o", "bundle", "--", "/bin/three"],
    ] {
        let output = toolbox.command(line).output().unwrap();
        let said = text(&output.stderr);
        assert_eq!(code(output.status), 1, "{line:?}: {said}");
        assert!(
            said.contains("container.wasm") && said.contains("expected"),
            "{line:?}: {said}"
        );
    }
    assert_eq!(compiled("cache").len(), 1, "only what was valid");

    // Compiled code under its digest says that this very module was valid: it is not asked again.
    let wasm = fs::read(toolbox.path("box/container.wasm")).unwrap();
    let id = megabinary::module::Module::parse(&wasm).unwrap().id;
    let cache = vkernel::artifact::Cache::open(&toolbox.path("cache")).unwrap();
    let artifact = fs::read(&compiled("cache")[0]).unwrap();
    cache
        .store(&vkernel::artifact::CacheKey::of(&id), &artifact)
        .unwrap();
    assert_eq!(three("cache"), (3, String::new()));
    // But not by a cache that others could have written to.
    fs::set_permissions(toolbox.path("cache"), PermissionsExt::from_mode(0o777)).unwrap();
    let (status, said) = three("cache");
    assert!(status == 1 && said.contains("expected"), "{said}");
}

#[test]
fn signals_of_the_host_are_the_programs() {
    let toolbox = Toolbox::new();
    toolbox.megabin(&["precompile", "box", "--cache", "cache"]);
    for (program, signal, status) in [
        ("loops", libc::SIGTERM, 143),
        ("loops", libc::SIGINT, 130),
        ("reads", libc::SIGTERM, 143),
        ("reads", libc::SIGHUP, 129),
        ("reads", libc::SIGUSR1, 138),
    ] {
        let path = format!("/bin/{program}");
        let args = [
            "run", "box", "--trust", "keys", "--cache", "cache", "--", &path,
        ];
        let mut child = toolbox
            .command(&args)
            .stdin(Stdio::piped())
            .spawn()
            .unwrap();
        wait_for_thread(child.id());
        for signal in [libc::SIGWINCH, libc::SIGCHLD, signal] {
            // SAFETY: plain system call; the child has not been waited for.
            assert_eq!(unsafe { libc::kill(child.id() as i32, signal) }, 0);
            std::thread::sleep(Duration::from_millis(20));
        }
        // Its standard input stays open until it has ended.
        let input = child.stdin.take();
        assert_eq!(code(child.wait().unwrap()), status, "{program} by {signal}");
        drop(input);
    }
}

/// Until the process's own thread is there: before that, signals act on `megabin`.
fn wait_for_thread(pid: u32) {
    for _ in 0..1000 {
        let tasks = fs::read_dir(format!("/proc/{pid}/task")).unwrap().flatten();
        let mut names = tasks.filter_map(|task| fs::read_to_string(task.path().join("comm")).ok());
        if names.any(|name| name.trim() == "process") {
            return;
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    panic!("the program did not start within ten seconds");
}

#[test]
fn code_is_compiled_once_and_kept_where_only_its_owner_writes() {
    let toolbox = Toolbox::new();
    let precompile = ["precompile", "box", "--trust", "keys", "--cache", "cache"];
    let first = text(&toolbox.megabin(&precompile).stdout);
    assert!(first.contains(": compiled: "), "{first}");
    let again = text(&toolbox.megabin(&precompile).stdout);
    assert!(again.contains(": was compiled already: "), "{again}");
    let path = first.trim().rsplit(": ").next().unwrap();

    let wasm = fs::File::open(toolbox.path("box/container.wasm")).unwrap();
    let piped = toolbox
        .command(&["precompile", "--pipe"])
        .stdin(wasm)
        .output()
        .unwrap();
    assert!(piped.status.success() && piped.stdout == fs::read(path).unwrap());
    let broken = toolbox
        .command(&["precompile", "--pipe"])
        .stdin(Stdio::null())
        .output()
        .unwrap();
    assert!(!broken.status.success() && broken.stdout.is_empty());

    fs::set_permissions(toolbox.path("cache"), PermissionsExt::from_mode(0o777)).unwrap();
    let (status, said) = toolbox.run(&["--", "/bin/three"]);
    assert_eq!(status, 1);
    assert!(said.contains("chmod go-w"), "{said}");
}
