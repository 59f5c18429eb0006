//! A hand-made megabinary: one entry function a program, tickets as their files.

use std::fmt::Write as _;
use std::io::Read;
use std::os::fd::OwnedFd;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, OnceLock};

use megabinary::digest::Digest;
use wasmtime::Engine;

use crate::artifact::{Cache, CacheKey};
use crate::audit::{AuditSink, Record};
use crate::exec::{ExecError, ExecTarget};
use crate::fs::{Root, Vfs};
use crate::kernel::{ExitStatus, Kernel, KernelConfig, Limits, ProcessSpec, Running};
use crate::plan::{ExecRule, NetworkPolicy, NewTarget, PlanBuilder};
use crate::rights::{HostCall, HostCallSet};

/// The engine that compiles.
fn engine() -> &'static Engine {
    static ENGINE: OnceLock<Engine> = OnceLock::new();
    ENGINE.get_or_init(|| Engine::new(&crate::engine::config()).unwrap())
}

/// What every guest can import, by the signatures of the capability table.
fn imports() -> String {
    let mut text = String::new();
    let mut seen = std::collections::BTreeSet::new();
    for call in HostCall::ALL {
        let Some(signature) = call.signature() else {
            continue;
        };
        if !seen.insert(call.function()) {
            continue;
        }
        let (params, results) = signature.split_once('>').unwrap();
        let types = |letters: &str| {
            letters
                .chars()
                .map(|letter| if letter == 'i' { "i32 " } else { "i64 " })
                .collect::<String>()
        };
        writeln!(
            text,
            "(import \"{}\" \"{name}\" (func ${name} (param {}) (result {})))",
            call.module(),
            types(params),
            types(results),
            name = call.function()
        )
        .unwrap();
    }
    text
}

/// Functions guests share: writing text, and leaving with an error number.
const LIBRARY: &str = r#"
  (global $counter (mut i32) (i32.const 0))
  ;; Writes `len` bytes at `at` to descriptor `fd` and gives the error number.
  (func $write (param $fd i32) (param $at i32) (param $len i32) (result i32)
    (i32.store (i32.const 0) (local.get $at))
    (i32.store (i32.const 4) (local.get $len))
    (call $fd_write (local.get $fd) (i32.const 0) (i32.const 1) (i32.const 8)))
  ;; Reads up to `len` bytes to `at` and gives the error number; the count is at 8.
  (func $read (param $fd i32) (param $at i32) (param $len i32) (result i32)
    (i32.store (i32.const 0) (local.get $at))
    (i32.store (i32.const 4) (local.get $len))
    (call $fd_read (local.get $fd) (i32.const 0) (i32.const 1) (i32.const 8)))
"#;

/// A program of a hand-made megabinary.
pub struct Guest {
    pub name: &'static str,
    /// The body of its entry function.
    pub body: &'static str,
    pub rights: HostCallSet,
    pub args: Vec<&'static str>,
    pub max_pages: Option<u64>,
    pub min_pages: u64,
}

impl Guest {
    /// A program with every right.
    pub fn new(name: &'static str, body: &'static str) -> Guest {
        Guest {
            name,
            body,
            rights: HostCall::ALL.iter().copied().collect(),
            args: Vec::new(),
            max_pages: None,
            min_pages: 1,
        }
    }

    pub fn with_rights(mut self, rights: &[HostCall]) -> Guest {
        self.rights = rights.iter().copied().collect();
        self
    }
}

/// A container of hand-made programs: `/bin/NAME` is a ticket for each.
pub struct Box {
    pub kernel: Kernel,
    pub root: PathBuf,
    pub records: Arc<Mutex<Vec<Record>>>,
    _dir: tempfile::TempDir,
}

struct Collect(Arc<Mutex<Vec<Record>>>);

impl AuditSink for Collect {
    fn record(&self, record: &Record) {
        self.0.lock().unwrap().push(record.clone());
    }
}

fn ticket(name: &str) -> String {
    format!("#!megabinary /bin/{name} sha256:00\n")
}

impl Box {
    pub fn new(guests: &[Guest]) -> Box {
        Box::build(guests, &[], Limits::default())
    }

    /// Scripts are path, contents and the name of their interpreter.
    pub fn build(guests: &[Guest], scripts: &[(&str, &str, &str)], limits: Limits) -> Box {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().join("root");
        std::fs::create_dir_all(root.join("bin")).unwrap();
        std::fs::create_dir(root.join("tmp")).unwrap();
        let digest = |text: &str| Digest::of(text.as_bytes());

        let texts = ["box", "1", "image"];
        let mut plan =
            PlanBuilder::new(digest("id"), texts, NetworkPolicy::None, ExecRule::Any).unwrap();
        for guest in guests {
            let entry = format!("{}_start", guest.name);
            plan.program(&entry, guest.name, guest.min_pages, guest.max_pages)
                .unwrap();
            let file = ticket(guest.name);
            let path = format!("/bin/{}", guest.name);
            write_executable(&root.join(&path[1..]), &file);
            plan.target(NewTarget {
                digest: digest(&file),
                entry: &entry,
                rights: guest.rights,
                path: Some(&path),
                tool: Some(&format!("{}_tool", guest.name)),
                args: guest.args.clone(),
                exec: Vec::new(),
            })
            .unwrap();
        }
        for (path, contents, interpreter) in scripts {
            write_executable(&root.join(&path[1..]), contents);
            plan.target(NewTarget {
                digest: digest(contents),
                entry: &format!("{interpreter}_start"),
                rights: HostCall::ALL.iter().copied().collect(),
                path: Some(path),
                tool: None,
                args: vec!["-u"],
                exec: Vec::new(),
            })
            .unwrap();
        }

        let wasm = module(guests, scripts);
        let compiled = engine().precompile_module(wasm.as_bytes()).unwrap();
        let cache = Cache::open_or_create(&dir.path().join("cache")).unwrap();
        let key = CacheKey::of(&digest("id"));
        cache.store(&key, &compiled).unwrap();

        let records = Arc::new(Mutex::new(Vec::new()));
        let directory = std::fs::File::open(&root).unwrap();
        let kernel = Kernel::new(KernelConfig {
            plan: plan.finish(),
            artifact: cache.lookup(&key).unwrap().unwrap(),
            vfs: Vfs::new(Root::At(directory.into())).unwrap(),
            audit: std::boxed::Box::new(Collect(records.clone())),
            label: "test".into(),
            limits,
        })
        .unwrap();
        Box {
            kernel,
            root,
            records,
            _dir: dir,
        }
    }

    /// Runs `/bin/NAME ARGS…` with its standard output and error collected.
    pub fn run(&self, argv: &[&str]) -> (ExitStatus, String, String) {
        let (status, out, err) = self.try_run(spec(argv));
        (status.unwrap(), out, err)
    }

    pub fn try_run(&self, spec: ProcessSpec) -> (Result<ExitStatus, ExecError>, String, String) {
        let (out, err) = (pipe(), pipe());
        let spec = ProcessSpec {
            stdio: [null(), Some(out.1), Some(err.1)],
            ..spec
        };
        let status = self.kernel.spawn(spec).map(Running::wait);
        (status, drain(out.0), drain(err.0))
    }
}

/// A spec for `argv`, with no standard streams and `PATH=/bin`.
pub fn spec(argv: &[&str]) -> ProcessSpec {
    ProcessSpec {
        target: ExecTarget::Search(argv[0].as_bytes().to_vec()),
        argv: argv.iter().map(|text| text.as_bytes().to_vec()).collect(),
        env: vec![b"PATH=/bin".to_vec()],
        cwd: b"/".to_vec(),
        stdio: [None, None, None],
        passed: Vec::new(),
    }
}

pub fn write_executable(path: &std::path::Path, text: &str) {
    std::fs::write(path, text).unwrap();
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o755)).unwrap();
}

pub fn pipe() -> (OwnedFd, OwnedFd) {
    rustix::pipe::pipe_with(rustix::pipe::PipeFlags::CLOEXEC).unwrap()
}

pub fn null() -> Option<OwnedFd> {
    Some(std::fs::File::open("/dev/null").unwrap().into())
}

pub fn drain(fd: OwnedFd) -> String {
    let mut text = String::new();
    std::fs::File::from(fd).read_to_string(&mut text).unwrap();
    text
}

fn module(guests: &[Guest], scripts: &[(&str, &str, &str)]) -> String {
    let mut functions = String::new();
    let mut cases = String::new();
    let files = guests.iter().map(|guest| (ticket(guest.name), guest.name));
    let scripts = scripts
        .iter()
        .map(|(_, contents, name)| ((*contents).to_owned(), *name));
    for (contents, name) in files.chain(scripts) {
        let words = Digest::of(contents.as_bytes()).words();
        let test = words
            .iter()
            .enumerate()
            .map(|(at, word)| format!("(i64.eq (local.get {at}) (i64.const {}))", *word as i64))
            .reduce(|all, one| format!("(i32.and {all} {one})"))
            .unwrap();
        writeln!(
            cases,
            "(if {test} (then (call ${name}) (return (i32.const 0))))"
        )
        .unwrap();
    }
    for guest in guests {
        writeln!(
            functions,
            "(func ${name} (export \"{name}_start\")\n{}\n)",
            guest.body,
            name = guest.name
        )
        .unwrap();
    }
    format!(
        "(module {} (memory (export \"memory\") 1) (global (export \"image\") (mut i32) (i32.const 0))
         (data (i32.const 256) \"hello\\n\") {LIBRARY} {functions}
         (func (export \"_dispatch\") (param i64 i64 i64 i64) (result i32) {cases} (i32.const -1)))",
        imports()
    )
}
