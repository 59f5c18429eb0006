//! A hand-made megabinary: one entry function a program, tickets as their files.

use std::fmt::Write as _;
use std::io::Read;
use std::os::fd::OwnedFd;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, OnceLock};

use megabinary::digest::Digest;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use wasmtime::Engine;

use crate::artifact::{Cache, CacheKey};
use crate::audit::{AuditSink, Record};
use crate::engine::Code;
use crate::exec::{ExecError, ExecTarget};
use crate::fs::{Root, Vfs};
use crate::kernel::{ExitStatus, Kernel, KernelConfig, Limits, ProcessSpec, Running};
use crate::plan::{DELIVER, ExecRule, NetworkPolicy, NewTarget, PlanBuilder};
use crate::rights::{HostCall, HostCallSet};

/// The engine that compiles.
fn engine(code: Code) -> &'static Engine {
    static ENGINES: [OnceLock<Engine>; 2] = [const { OnceLock::new() }; 2];
    ENGINES[code as usize].get_or_init(|| Engine::new(&crate::engine::config(code)).unwrap())
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
  ;; Writes a word to standard output.
  (func $tell (param $word i32)
    (i32.store (i32.const 32) (local.get $word))
    (drop (call $write (i32.const 1) (i32.const 32) (i32.const 4))))
  ;; Makes a request at 64 for the program at a path, with no actions.
  (func $request (param $path i32)
    (memory.fill (i32.const 64) (i32.const 0) (i32.const 56))
    (i32.store (i32.const 68) (local.get $path))
    (i32.store (i32.const 72) (i32.load (i32.sub (local.get $path) (i32.const 8))))
    (i32.store (i32.const 76) (i32.sub (local.get $path) (i32.const 16))))
  ;; Starts the program at a path, with the actions given to $act; its number is at 16. Gives the
  ;; error number.
  (func $start (param $path i32) (result i32)
    (call $request (local.get $path))
    (i32.store (i32.const 88) (i32.const 4096))
    (i32.store (i32.const 92) (global.get $actions))
    (global.set $actions (i32.const 0))
    (call $spawn (i32.const 64) (i32.const 16)))
  (global $actions (mut i32) (i32.const 0))
  ;; Adds an action to the next $start: 0 closes, 1 is dup2.
  (func $act (param $what i32) (param $fd i32) (param $to i32) (local $at i32)
    (local.set $at (i32.add (i32.const 4096) (i32.mul (global.get $actions) (i32.const 24))))
    (i32.store (local.get $at) (local.get $what))
    (i32.store offset=4 (local.get $at) (local.get $fd))
    (i32.store offset=8 (local.get $at) (local.get $to))
    (global.set $actions (i32.add (global.get $actions) (i32.const 1))))
  ;; Waits for a child and gives its status; its number is at 20. An error number is negative.
  (func $await (param $which i32) (result i32) (local $errno i32)
    (local.set $errno (call $wait (local.get $which) (i32.const 0) (i32.const 20) (i32.const 24)))
    (if (result i32) (local.get $errno)
      (then (i32.sub (i32.const 0) (local.get $errno)))
      (else (i32.load (i32.const 24)))))
  ;; Makes a pipe and gives the number of its end for reading; the other is at 44.
  (func $make_pipe (result i32)
    (drop (call $pipe (i32.const 40) (i32.const 0)))
    (i32.load (i32.const 40)))
  ;; Decides about a signal: 0 default, 1 ignore, 2 catch.
  (func $on (param $signal i32) (param $kind i32)
    (i64.store (i32.const 48) (i64.const 0)) (i64.store (i32.const 56) (i64.const 0))
    (i32.store (i32.const 48) (local.get $kind))
    (if (call $sigaction (local.get $signal) (i32.const 48) (i32.const 0)) (then unreachable)))
  ;; Sleeps for so many milliseconds and gives the error number.
  (func $sleep (param $ms i32) (result i32)
    (memory.fill (i32.const 1024) (i32.const 0) (i32.const 48))
    (i32.store (i32.const 1040) (i32.const 1))
    (i64.store (i32.const 1048) (i64.mul (i64.extend_i32_u (local.get $ms)) (i64.const 1000000)))
    (call $poll_oneoff (i32.const 1024) (i32.const 2048) (i32.const 1) (i32.const 8)))
"#;

/// Where the programs' names are in memory: for each its argument list, the length of its path
/// and its path, so that `$path.NAME` leads to all three.
fn names(guests: &[Guest]) -> String {
    let mut text = String::new();
    for (index, guest) in guests.iter().enumerate() {
        let at = 8192 + index * 128;
        let path = format!("/bin/{}", guest.name);
        let words = [(at + 16) as u32, 0, path.len() as u32, 0];
        let bytes: String = words
            .iter()
            .flat_map(|word| word.to_le_bytes())
            .map(|byte| format!("\\{byte:02x}"))
            .collect();
        let name = guest.name;
        writeln!(
            text,
            "(data (i32.const {at}) \"{bytes}{path}\\00\") (global $path.{name} i32 (i32.const {}))",
            at + 16
        )
        .unwrap();
    }
    text
}

/// A program of a hand-made megabinary.
pub struct Guest {
    pub name: &'static str,
    /// The body of its entry function.
    pub body: &'static str,
    pub rights: HostCallSet,
    pub args: Vec<&'static str>,
    pub max_pages: Option<u64>,
    pub min_pages: u64,
    /// The body of the function that is told of signals, whose number is `$signal`.
    pub handler: Option<&'static str>,
    /// Paths of the programs it may execute where only listed ones may be.
    pub exec: Vec<&'static str>,
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
            handler: None,
            exec: Vec::new(),
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
    pub records: Arc<Mutex<Vec<Record<'static>>>>,
    _dir: tempfile::TempDir,
}

struct Collect(Arc<Mutex<Vec<Record<'static>>>>);

impl AuditSink for Collect {
    fn record(&self, record: &Record<'_>) {
        self.0.lock().unwrap().push(record.clone().into_owned());
    }
}

pub fn ticket(name: &str) -> String {
    format!("#!megabinary /bin/{name} sha256:00\n")
}

impl Box {
    pub fn new(guests: &[Guest]) -> Box {
        Box::build(guests, &[], Limits::default())
    }

    /// Where programs may execute only what they list.
    pub fn listed(guests: &[Guest]) -> Box {
        Box::with_rule(guests, &[], Limits::default(), ExecRule::Listed)
    }

    /// Scripts are path, contents and the name of their interpreter.
    pub fn build(guests: &[Guest], scripts: &[(&str, &str, &str)], limits: Limits) -> Box {
        Box::with_rule(guests, scripts, limits, ExecRule::Any)
    }

    fn with_rule(
        guests: &[Guest],
        scripts: &[(&str, &str, &str)],
        limits: Limits,
        rule: ExecRule,
    ) -> Box {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().join("root");
        std::fs::create_dir_all(root.join("bin")).unwrap();
        std::fs::create_dir(root.join("tmp")).unwrap();
        let digest = |text: &str| Digest::of(text.as_bytes());

        let texts = ["box", "1", "image"];
        let mut plan = PlanBuilder::new(digest("id"), texts, NetworkPolicy::Host, rule).unwrap();
        for guest in guests {
            let entry = format!("{}_start", guest.name);
            let deliver = format!("{}:{DELIVER}", guest.name);
            let deliver = guest.handler.map(|_| deliver.as_str());
            plan.program(
                &entry,
                guest.name,
                guest.min_pages,
                guest.max_pages,
                deliver,
            )
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
                exec: guest.exec.clone(),
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
        let code = Code::with_exceptions(wasm.contains("(tag "));
        let compiled = engine(code).precompile_module(wasm.as_bytes()).unwrap();
        let cache = Cache::open_or_create(&dir.path().join("cache")).unwrap();
        let key = CacheKey::of(&digest("id"));
        cache.store(&key, &compiled).unwrap();

        let records = Arc::new(Mutex::new(Vec::new()));
        let directory = std::fs::File::open(&root).unwrap();
        let kernel = Kernel::new(KernelConfig {
            plan: plan.code(code).finish(),
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

    /// As [`Box::run`], with the bytes that were written.
    pub fn run_raw(&self, argv: &[&str]) -> (ExitStatus, Vec<u8>, Vec<u8>) {
        let (out, err) = (pipe(), pipe());
        let spec = ProcessSpec {
            stdio: [null(), Some(out.1), Some(err.1)],
            ..spec(argv)
        };
        let status = self.kernel.spawn(spec).unwrap().wait();
        let bytes = |fd: OwnedFd| {
            let mut bytes = Vec::new();
            std::fs::File::from(fd).read_to_end(&mut bytes).unwrap();
            bytes
        };
        (status, bytes(out.0), bytes(err.0))
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
        umask: 0o022,
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

/// Whether the process ends by itself before `limit` is over.
pub fn ends_within(running: &Running, limit: std::time::Duration) -> bool {
    let ended = PollFd::from_borrowed_fd(running.ended(), PollFlags::IN);
    let limit = Timespec::try_from(limit).unwrap();
    poll(&mut [ended], Some(&limit)).unwrap() == 1
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
        if let Some(handler) = guest.handler {
            writeln!(
                functions,
                "(func (export \"{}:{DELIVER}\") (param $signal i32)\n{handler}\n)",
                guest.name
            )
            .unwrap();
        }
    }
    // There for guests that throw numbers.
    let throws = |guest: &Guest| guest.body.contains("$thrown");
    let tag = match guests.iter().any(throws) {
        true => "(tag $thrown (param i32)) (table $kept 1 exnref)",
        false => "",
    };
    format!(
        "(module {} {tag} (memory (export \"memory\") 1) (global (export \"image\") (mut i32) (i32.const 0))
         (data (i32.const 256) \"hello\\n\") {LIBRARY} {names} {functions}
         (func (export \"_dispatch\") (param i64 i64 i64 i64) (result i32) {cases} (i32.const -1)))",
        imports(),
        names = names(guests),
    )
}
