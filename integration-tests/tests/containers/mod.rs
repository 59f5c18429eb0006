//! What the lifecycle tests share: a signed megabinary of tiny programs, bundles of it, the runtime
//! under test, and the means to see what a container left behind.

#![allow(dead_code, reason = "each test file uses its part")]

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

/// Nothing here takes this long unless something hangs.
const PATIENCE: Duration = Duration::from_secs(60);

/// Where the program under test is.
fn program(variable: &str) -> PathBuf {
    match std::env::var_os(variable) {
        Some(path) => path.into(),
        None => panic!("{variable} is not set: run `make test`"),
    }
}

/// What a finished command left.
pub struct Output {
    pub code: i32,
    pub out: String,
    pub err: String,
}

impl Output {
    #[track_caller]
    pub fn success(self) -> Self {
        assert_eq!(self.code, 0, "stdout: {}\nstderr: {}", self.out, self.err);
        self
    }

    /// It failed with one line on standard error that holds all of `parts`.
    #[track_caller]
    pub fn refused(self, parts: &[&str]) -> Self {
        assert_ne!(self.code, 0, "it succeeded; stdout: {}", self.out);
        assert_eq!(
            self.err.trim_end().lines().count(),
            1,
            "stderr: {}",
            self.err
        );
        for part in parts {
            assert!(self.err.contains(part), "no `{part}` in: {}", self.err);
        }
        self
    }
}

/// A directory of its own with a state root, and the runtime on it.
pub struct Node {
    pub dir: tempfile::TempDir,
    ids: std::cell::RefCell<BTreeSet<String>>,
}

impl Node {
    pub fn new() -> Self {
        let dir = tempfile::Builder::new()
            .prefix("megarun-test-")
            .tempdir()
            .unwrap();
        // A container's mapped root must be able to walk to its root file system.
        fs::set_permissions(dir.path(), PermissionsExt::from_mode(0o755)).unwrap();
        let shared = shared();
        let config = json!({
            "trust": [shared.join("trust")],
            "cache": shared.join("cache"),
            "precompiler": program("MEGABIN_BIN"),
            "audit": dir.path().join("audit.jsonl"),
        });
        let node = Self {
            dir,
            ids: Default::default(),
        };
        node.configure(&config);
        node
    }

    pub fn configure(&self, config: &Value) {
        let text: String = config
            .as_object()
            .unwrap()
            .iter()
            .map(|(key, value)| format!("{key} = {value}\n"))
            .collect();
        fs::write(self.at("node.toml"), text).unwrap();
    }

    pub fn at(&self, path: &str) -> PathBuf {
        self.dir.path().join(path)
    }

    /// A new bundle whose process is `args`.
    pub fn bundle(&self, name: &str, args: &[&str]) -> Bundle {
        let path = self.at(name);
        copy_tree(&shared().join("bundle"), &path);
        let bundle = Bundle { path };
        bundle.edit(|config| config["process"]["args"] = json!(args));
        bundle
    }

    /// A command of the runtime under test.
    pub fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(program("MEGARUN_BIN"));
        command
            .arg("--root")
            .arg(self.at("run"))
            .arg("--config")
            .arg(self.at("node.toml"));
        command.args(args).stdin(Stdio::null());
        command
    }

    /// Runs it. The streams are files: a container that is left running holds none of them up.
    #[track_caller]
    pub fn run(&self, args: &[&str]) -> Output {
        self.run_command(self.command(args))
    }

    #[track_caller]
    pub fn run_command(&self, mut command: Command) -> Output {
        if let Some(id) = created(&command) {
            self.ids.borrow_mut().insert(id);
        }
        let out = tempfile::NamedTempFile::new().unwrap();
        let err = tempfile::NamedTempFile::new().unwrap();
        let mut child = command
            .stdout(out.reopen().unwrap())
            .stderr(err.reopen().unwrap())
            .spawn()
            .unwrap();
        let started = Instant::now();
        let status = loop {
            if let Some(status) = child.try_wait().unwrap() {
                break status;
            }
            if started.elapsed() > PATIENCE {
                child.kill().unwrap();
                panic!("{command:?} still ran after {PATIENCE:?}");
            }
            std::thread::sleep(Duration::from_millis(1));
        };
        let text = |file: &tempfile::NamedTempFile| {
            String::from_utf8_lossy(&fs::read(file.path()).unwrap()).into_owned()
        };
        let code = status.code().unwrap_or(-1);
        Output {
            code,
            out: text(&out),
            err: text(&err),
        }
    }

    #[track_caller]
    pub fn create(&self, bundle: &Bundle, id: &str) -> Output {
        self.run(&["create", "--bundle", bundle.path.to_str().unwrap(), id])
    }

    /// The container's state document.
    #[track_caller]
    pub fn state(&self, id: &str) -> Value {
        serde_json::from_str(&self.run(&["state", id]).success().out).unwrap()
    }

    #[track_caller]
    pub fn status(&self, id: &str) -> String {
        self.state(id)["status"].as_str().unwrap().to_owned()
    }

    #[track_caller]
    pub fn pid(&self, id: &str) -> i32 {
        self.state(id)["pid"].as_i64().unwrap() as i32
    }

    #[track_caller]
    pub fn wait_for(&self, id: &str, status: &str) {
        wait_until(&format!("{id} is {status}"), || self.status(id) == status);
    }

    /// Runs a bundle in the foreground.
    #[track_caller]
    pub fn run_bundle(&self, bundle: &Bundle, id: &str) -> Output {
        self.run(&["run", "--bundle", bundle.path.to_str().unwrap(), id])
    }

    /// Nothing of the container is left: no state, no cgroup.
    #[track_caller]
    pub fn assert_nothing_left(&self, id: &str) {
        assert!(!self.at("run").join(id).exists(), "state of {id} is left");
        let left = cgroups_of(id);
        assert!(left.is_empty(), "cgroups of {id} are left: {left:?}");
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        for id in self.ids.borrow().iter() {
            let _ = self.command(&["delete", "--force", id]).output();
        }
    }
}

fn created(command: &Command) -> Option<String> {
    let args: Vec<String> = command
        .get_args()
        .map(|arg| arg.to_string_lossy().into_owned())
        .collect();
    let creates = args.iter().any(|arg| arg == "create" || arg == "run");
    creates.then(|| args.last().cloned()).flatten()
}

/// The directories of a container's cgroup in every hierarchy. Ids are unique, so is the name.
pub fn cgroups_of(id: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut look = |dir: &Path| {
        let path = dir.join(format!("megarun-test-{id}"));
        if path.exists() {
            found.push(path);
        }
    };
    look(Path::new("/sys/fs/cgroup"));
    for entry in fs::read_dir("/sys/fs/cgroup")
        .into_iter()
        .flatten()
        .flatten()
    {
        look(&entry.path());
    }
    found
}

/// An id that no other test, nor another run of this one, uses.
pub fn unique(name: &str) -> String {
    use std::sync::atomic::{AtomicU32, Ordering};
    static NEXT: AtomicU32 = AtomicU32::new(0);
    // From a name that was free: a pid would come again, and with it what a killed run left.
    let folder = shared().to_str().unwrap();
    let run = &folder[folder.rfind('-').unwrap() + 1..];
    format!("{name}-{run}-{}", NEXT.fetch_add(1, Ordering::Relaxed))
}

#[track_caller]
pub fn wait_until(what: &str, mut done: impl FnMut() -> bool) {
    let started = Instant::now();
    while !done() {
        assert!(
            started.elapsed() < Duration::from_secs(20),
            "never came: {what}"
        );
        std::thread::sleep(Duration::from_millis(2));
    }
}

/// A bundle on disk.
pub struct Bundle {
    pub path: PathBuf,
}

impl Bundle {
    pub fn at(&self, path: &str) -> PathBuf {
        self.path.join(path)
    }

    pub fn config(&self) -> Value {
        serde_json::from_slice(&fs::read(self.at("config.json")).unwrap()).unwrap()
    }

    pub fn edit(&self, change: impl FnOnce(&mut Value)) -> &Self {
        let mut config = self.config();
        change(&mut config);
        fs::write(self.at("config.json"), config.to_string()).unwrap();
        self
    }

    /// Gives the container a cgroup that [`cgroups_of`] finds.
    pub fn named(self, id: &str) -> Self {
        self.edit(|config| {
            config["linux"]["cgroupsPath"] = json!(format!("/megarun-test-{id}"));
        });
        self
    }
}

pub fn copy_tree(from: &Path, to: &Path) {
    let status = Command::new("cp")
        .arg("-a")
        .arg(from)
        .arg(to)
        .status()
        .unwrap();
    assert!(status.success(), "copying {}", from.display());
}

static SHARED: OnceLock<PathBuf> = OnceLock::new();

/// Statics are not dropped.
extern "C" fn remove_shared() {
    if let Some(dir) = SHARED.get() {
        let _ = fs::remove_dir_all(dir);
    }
}

/// The programs, built, signed and bundled once for all tests of a file.
fn shared() -> &'static Path {
    SHARED.get_or_init(|| {
        assert!(is_root(), "these tests make containers: run them as root");
        // A name that is free: a pid comes again, and with it what an earlier run left behind.
        let dir = tempfile::Builder::new()
            .prefix("megarun-programs-")
            .tempdir()
            .unwrap();
        fs::set_permissions(dir.path(), PermissionsExt::from_mode(0o755)).unwrap();
        build(dir.path());
        // SAFETY: a function that can be called at any time, and does not unwind.
        assert_eq!(unsafe { libc::atexit(remove_shared) }, 0);
        dir.keep()
    })
}

fn is_root() -> bool {
    use std::os::unix::fs::MetadataExt;
    fs::metadata("/proc/self").unwrap().uid() == 0
}

fn build(dir: &Path) {
    let mut recipe = "name = \"lifecycle\"\nversion = \"1.2\"\n".to_owned();
    for (name, text) in PROGRAMS {
        let wasm = wat::parse_str(text).unwrap_or_else(|error| panic!("{name}: {error}"));
        fs::write(dir.join(format!("{name}.wasm")), wasm).unwrap();
        recipe += &format!("[[binary]]\npath = \"/bin/{name}\"\nmodule = \"{name}.wasm\"\n");
    }
    recipe += "[[agent_tool]]\nname = \"greeter\"\nbinary = \"/bin/hello\"\n";
    fs::write(dir.join("recipe.toml"), recipe).unwrap();
    let megabin = |args: &[&str]| {
        let output = Command::new(program("MEGABIN_BIN"))
            .args(args)
            .current_dir(dir)
            .output()
            .unwrap();
        assert!(
            output.status.success(),
            "{args:?}: {}",
            String::from_utf8_lossy(&output.stderr)
        );
    };
    megabin(&["keygen", "--key-id", "test", "--out", "keys"]);
    megabin(&[
        "build",
        "recipe.toml",
        "-o",
        "box",
        "--key",
        "keys/test.key",
    ]);
    megabin(&["bundle", "box", "-o", "bundle", "--", "/bin/hello"]);
    fs::create_dir(dir.join("trust")).unwrap();
    fs::copy(dir.join("keys/test.pem"), dir.join("trust/test.pem")).unwrap();
}

/// Programs of a few instructions each.
const PROGRAMS: [(&str, &str); 6] = [
    (
        "hello",
        r#"(module
            (import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
            (memory (export "memory") 1)
            (data (i32.const 16) "hello\n")
            (data (i32.const 0) "\10\00\00\00\06\00\00\00")
            (func (export "_start")
                (drop (call $write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 8)))))"#,
    ),
    (
        "exit7",
        r#"(module
            (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
            (memory (export "memory") 1)
            (func (export "_start") (call $exit (i32.const 7))))"#,
    ),
    (
        "loop",
        r#"(module (memory (export "memory") 1) (func (export "_start") (loop $again (br $again))))"#,
    ),
    (
        "trap",
        r#"(module (memory (export "memory") 1) (func (export "_start") unreachable))"#,
    ),
    (
        // Copies standard input to standard output until its end.
        "cat",
        r#"(module
            (import "wasi_snapshot_preview1" "fd_read" (func $read (param i32 i32 i32 i32) (result i32)))
            (import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
            (memory (export "memory") 1)
            (func (export "_start")
                (loop $again
                    (i32.store (i32.const 0) (i32.const 64))
                    (i32.store (i32.const 4) (i32.const 4096))
                    (if (call $read (i32.const 0) (i32.const 0) (i32.const 1) (i32.const 8)) (then return))
                    (if (i32.eqz (i32.load (i32.const 8))) (then return))
                    (i32.store (i32.const 4) (i32.load (i32.const 8)))
                    (drop (call $write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 8)))
                    (br $again))))"#,
    ),
    (
        // Reads from the first descriptor handed in (after the root directory), writes it out.
        "passed",
        r#"(module
            (import "wasi_snapshot_preview1" "fd_read" (func $read (param i32 i32 i32 i32) (result i32)))
            (import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
            (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
            (memory (export "memory") 1)
            (func (export "_start")
                (i32.store (i32.const 0) (i32.const 64))
                (i32.store (i32.const 4) (i32.const 4096))
                (if (call $read (i32.const 4) (i32.const 0) (i32.const 1) (i32.const 8))
                    (then (call $exit (i32.const 9))))
                (i32.store (i32.const 4) (i32.load (i32.const 8)))
                (drop (call $write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 8)))))"#,
    ),
];
