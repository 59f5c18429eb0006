//! Runtimes side by side on bundles that differ in nothing but what runs in them: `megarun` with a
//! megabinary, its peers (crun, runc, youki) with static native programs of the same names.

pub mod profile;
pub mod table;

use std::ffi::{CString, OsStr};
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// Nothing here takes this long unless something hangs.
const PATIENCE: Duration = Duration::from_secs(20);

/// A program that every contender has at `/bin/NAME`.
pub struct Program {
    pub name: &'static str,
    /// For the megabinary, as text.
    wasm: &'static str,
    /// For the peers: the body of `main`.
    c: &'static str,
}

/// Ends at once.
pub const TRUE: Program = Program {
    name: "true",
    wasm: r#"(module (memory (export "memory") 1) (func (export "_start")))"#,
    c: "return 0;",
};

/// Stays for an hour.
pub const SLEEP: Program = Program {
    name: "sleep",
    wasm: r#"(module
        (import "wasi_snapshot_preview1" "poll_oneoff"
            (func $poll (param i32 i32 i32 i32) (result i32)))
        (memory (export "memory") 1)
        (func (export "_start")
            (i32.store (i32.const 16) (i32.const 1))
            (i64.store (i32.const 24) (i64.const 3600000000000))
            (drop (call $poll (i32.const 0) (i32.const 64) (i32.const 1) (i32.const 128)))))"#,
    c: "for(;;) pause();",
};

/// Writes one byte to standard output at once.
pub const SAYS: Program = Program {
    name: "says",
    wasm: r#"(module
        (import "wasi_snapshot_preview1" "fd_write"
            (func $write (param i32 i32 i32 i32) (result i32)))
        (memory (export "memory") 1)
        (func (export "_start")
            (i32.store (i32.const 4) (i32.const 1))
            (drop (call $write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 8)))))"#,
    c: r#"return write(1, ".", 1) - 1;"#,
};

/// A runtime, and a bundle for each program.
pub struct Contender {
    pub name: String,
    program: PathBuf,
    global: Vec<String>,
    bundles: PathBuf,
    /// A folder in memory for pid files and logs.
    pids: PathBuf,
    /// Where megarun keeps what it compiled.
    pub cache: PathBuf,
}

/// A mount namespace of our own without the v2 tree that Debian's crun refuses
/// beside v1, and the duty to reap the containers' processes. `state` is a file system
/// in memory, as `/run` is wherever engines keep what these runtimes write.
pub fn isolate(state: &Path) {
    fs::create_dir(state).expect("a folder");
    let state = CString::new(state.as_os_str().as_encoded_bytes()).expect("a path");
    // SAFETY: these calls take no pointers but constant, terminated strings;
    // the process has one thread.
    unsafe {
        assert_eq!(libc::unshare(libc::CLONE_NEWNS), 0, "unshare: run as root");
        let flags = libc::MS_REC | libc::MS_PRIVATE;
        let none = std::ptr::null();
        assert_eq!(
            libc::mount(none, c"/".as_ptr(), none, flags, none.cast()),
            0
        );
        let tmpfs = c"tmpfs".as_ptr();
        let data = c"mode=700".as_ptr().cast();
        assert_eq!(libc::mount(tmpfs, state.as_ptr(), tmpfs, 0, data), 0);
        libc::umount2(c"/sys/fs/cgroup/unified".as_ptr(), libc::MNT_DETACH);
        assert_eq!(libc::prctl(libc::PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0), 0);
    }
}

fn variable(name: &str) -> PathBuf {
    let value = std::env::var_os(name);
    PathBuf::from(value.unwrap_or_else(|| panic!("{name} is not set: run `make bench`")))
}

/// `megarun` with a megabinary of `programs` and of the modules `others`, in the folder `work`.
pub fn megarun(
    work: &Path,
    state: &Path,
    name: &str,
    programs: &[Program],
    others: &[PathBuf],
) -> Contender {
    fs::create_dir_all(work).expect("a folder");
    let folder = work.file_name().expect("a folder has a name");
    let (megabin, cache) = (variable("MEGABIN_BIN"), work.join("cache"));
    let mut recipe = String::from("name = \"bench\"\nversion = \"1.0\"\n");
    let mut add = |name: &str, module: &Path| {
        let module = module.display();
        recipe += &format!("[[binary]]\npath = \"/bin/{name}\"\nmodule = \"{module}\"\n");
    };
    for program in programs {
        let module = work.join(format!("{}.wasm", program.name));
        fs::write(&module, wat::parse_str(program.wasm).expect("valid text")).expect("guest");
        add(program.name, &module);
    }
    for module in others {
        let name = module
            .file_stem()
            .expect("a module's name")
            .to_string_lossy();
        add(&format!("other-{name}"), module);
    }
    let (path, built) = (work.join("recipe.toml"), work.join("built"));
    fs::write(&path, recipe).expect("recipe");
    let run = |args: &[&OsStr]| succeed(Command::new(&megabin).args(args));
    let trust = work.join("trust");
    run(&[
        "keygen".as_ref(),
        "--key-id=bench".as_ref(),
        "--out".as_ref(),
        trust.as_ref(),
    ]);
    run(&[
        "build".as_ref(),
        "--key".as_ref(),
        trust.join("bench.key").as_ref(),
        path.as_ref(),
        "-o".as_ref(),
        built.as_ref(),
    ]);
    let bundles = work.join("bundles");
    fs::create_dir_all(&bundles).expect("a folder");
    for program in programs {
        let (bundle, path) = (bundles.join(program.name), format!("/bin/{}", program.name));
        run(&[
            "bundle".as_ref(),
            built.as_ref(),
            "-o".as_ref(),
            bundle.as_ref(),
            "--".as_ref(),
            path.as_ref(),
        ]);
    }
    let node = format!(
        "trust = [\"{}\"]\ncache = \"{}\"\n",
        trust.display(),
        cache.display()
    );
    let config = work.join("megarun.toml");
    fs::write(&config, node).expect("node config");
    let pids = state.join(folder).with_extension("pids");
    fs::create_dir(&pids).expect("a folder");
    Contender {
        name: name.to_owned(),
        program: variable("MEGARUN_BIN"),
        global: vec![
            format!("--root={}", state.join(folder).display()),
            format!("--config={}", config.display()),
        ],
        bundles,
        pids,
        cache,
    }
}

/// Every peer that is installed, on the bundles of `megarun` with native `programs` instead.
pub fn peers(
    work: &Path,
    state: &Path,
    megarun: &Contender,
    programs: &[Program],
) -> Vec<Contender> {
    let bundles = work.join("native");
    for program in programs {
        native(megarun, &bundles, program, programs);
    }
    let mut peers = Vec::new();
    for (name, from) in [
        ("crun", "apt-get install crun"),
        ("runc", "apt-get install runc"),
        ("youki", "bench/youki.sh"),
    ] {
        let Some(program) = find(name) else {
            eprintln!("{name} is not installed ({from}): no rows for it");
            continue;
        };
        let pids = state.join(format!("{name}.pids"));
        fs::create_dir(&pids).expect("a folder");
        peers.push(Contender {
            name: name.to_owned(),
            program,
            global: vec![format!("--root={}", state.join(name).display())],
            bundles: bundles.clone(),
            pids,
            cache: PathBuf::new(),
        });
    }
    peers
}

/// The bundle that runs `program`, with all `programs` in it.
fn native(from: &Contender, bundles: &Path, program: &Program, programs: &[Program]) {
    let to = bundles.join(program.name);
    fs::create_dir_all(to.join("rootfs/bin")).expect("rootfs");
    let text = fs::read(from.bundle(program).join("config.json")).expect("config.json");
    let mut config: serde_json::Value = serde_json::from_slice(&text).expect("JSON");
    // Debian's crun takes no later version; it changes nothing of what is asked for here.
    config["ociVersion"] = "1.0.2".into();
    fs::write(to.join("config.json"), config.to_string()).expect("config.json");
    for Program { name, c, .. } in programs {
        let (source, binary) = (bundles.join("main.c"), to.join("rootfs/bin").join(name));
        fs::write(
            &source,
            format!("#include <unistd.h>\nint main(void){{{c}}}\n"),
        )
        .expect("source");
        let mut cc = Command::new("cc");
        succeed(cc.args(["-O2", "-static", "-o"]).args([&binary, &source]));
    }
}

/// A container that runs until this is dropped, also when a measurement panics.
pub struct Running<'a> {
    contender: &'a Contender,
    pid: i32,
}

impl<'a> Running<'a> {
    pub fn start(contender: &'a Contender) -> Self {
        let pid = contender.create(&SLEEP, &contender.long(), contender.log().into());
        let running = Self { contender, pid };
        contender.call(&["start", &contender.long()]);
        running
    }
}

impl Drop for Running<'_> {
    fn drop(&mut self) {
        // SAFETY: a signal to a child of ours that nobody has reaped: the pid is still its.
        unsafe { libc::kill(self.pid, libc::SIGKILL) };
        reap(self.pid);
        // Unreaped, what was executed in it would still be in its cgroup, which could not go.
        // SAFETY: a null status pointer is allowed.
        while unsafe { libc::waitpid(-1, std::ptr::null_mut(), libc::WNOHANG) } > 0 {}
        let mut delete = Command::new(&self.contender.program);
        delete.args(&self.contender.global).arg("delete");
        let deleted = delete.args(["--force", &self.contender.long()]).status();
        if !deleted.is_ok_and(|status| status.success()) {
            eprintln!(
                "{}: {} was not deleted",
                self.contender.name,
                self.contender.long()
            );
        }
    }
}

impl Contender {
    /// A container's id that no other contender and no other run of a benchmark has: ids name
    /// cgroups too.
    pub fn id(&self, name: &str) -> String {
        let folder = self.bundles.parent().and_then(Path::file_name);
        let folder = folder.map_or_else(Default::default, OsStr::to_string_lossy);
        let folder = folder.replace('.', "");
        format!("bench-{}-{folder}{}-{name}", std::process::id(), self.name)
    }

    /// The id of its [`Running`] container.
    pub fn long(&self) -> String {
        self.id("long")
    }

    fn bundle(&self, program: &Program) -> PathBuf {
        self.bundles.join(program.name)
    }

    /// A bundle by its name.
    pub fn bundle_of(&self, name: &str) -> PathBuf {
        self.bundles.join(name)
    }

    /// Makes a bundle like that of `program` with another config.json, called `name`.
    pub fn vary(&self, program: &Program, name: &str, change: impl Fn(&mut serde_json::Value)) {
        let (from, to) = (self.bundle(program), self.bundles.join(name));
        fs::create_dir_all(&to).expect("a folder");
        let text = fs::read(from.join("config.json")).expect("config.json");
        let mut config: serde_json::Value = serde_json::from_slice(&text).expect("JSON");
        config["root"]["path"] = from.join("rootfs").display().to_string().into();
        change(&mut config);
        for entry in fs::read_dir(&from).expect("a bundle").flatten() {
            if entry.path().is_file() {
                fs::copy(entry.path(), to.join(entry.file_name())).expect("a copy");
            }
        }
        fs::write(to.join("config.json"), config.to_string()).expect("config.json");
    }

    /// Creates a container that writes to `out`; the process that waits in it.
    pub fn create(&self, program: &Program, id: &str, out: Stdio) -> i32 {
        self.create_of(program.name, id, out)
    }

    /// The same of a bundle by its name.
    pub fn create_of(&self, bundle: &str, id: &str, out: Stdio) -> i32 {
        let bundle = self.bundle_of(bundle);
        // An engine gives each container a file of its own.
        let pid_file = self.pids.join(id);
        let mut command = self.command(&["create", "--bundle"]);
        command
            .arg(&bundle)
            .arg("--pid-file")
            .arg(&pid_file)
            .arg(id);
        // A peer's error is then in what it says to standard output's log.
        let status = command.stdin(Stdio::null()).stdout(out).status();
        assert!(status.is_ok_and(|s| s.success()), "{command:?} failed");
        let pid = fs::read_to_string(&pid_file).expect("pid file");
        pid.trim().parse().expect("a pid")
    }

    /// Its program with these arguments, not yet started.
    pub fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(&self.program);
        command.args(&self.global).args(args);
        command
    }

    pub fn call(&self, args: &[&str]) {
        succeed_logging(&mut self.command(args), self.log());
    }

    /// For what is said. A file, not a pipe: a container inherits it and would keep a pipe open.
    /// In memory, since it is made while the clock runs.
    pub fn log(&self) -> File {
        tempfile::tempfile_in(&self.pids).expect("a temporary file")
    }
}

fn succeed(command: &mut Command) {
    succeed_logging(command, tempfile::tempfile().expect("a temporary file"));
}

fn succeed_logging(command: &mut Command, log: File) {
    let status = command
        .stdin(Stdio::null())
        .stdout(log.try_clone().expect("a second descriptor"))
        .stderr(log.try_clone().expect("a second descriptor"))
        .status()
        .unwrap_or_else(|e| panic!("{command:?}: {e}"));
    if !status.success() {
        let mut text = String::new();
        let mut log = log;
        use std::io::{Read, Seek};
        log.rewind().expect("a file rewinds");
        log.read_to_string(&mut text).expect("output");
        panic!("{command:?}: {status}\n{text}");
    }
}

/// Waits for the container's process, as an engine's monitor does.
pub fn reap(pid: i32) {
    let deadline = Instant::now() + PATIENCE;
    loop {
        // SAFETY: a null status pointer is allowed.
        match unsafe { libc::waitpid(pid, std::ptr::null_mut(), libc::WNOHANG) } {
            0 if Instant::now() < deadline => until_it_ends(pid),
            0 => panic!("process {pid} did not end within {PATIENCE:?}"),
            _ => return,
        }
    }
}

/// Waits without taking a processor, and without being late; in vain for a second at most.
fn until_it_ends(pid: i32) {
    // SAFETY: the call takes no pointers; the descriptor it gives is nobody else's and closed here.
    unsafe {
        let fd = libc::syscall(libc::SYS_pidfd_open, pid, 0) as i32;
        let mut poll = libc::pollfd {
            fd,
            events: libc::POLLIN,
            revents: 0,
        };
        libc::poll(&raw mut poll, 1, 1000);
        libc::close(fd);
    }
}

fn find(name: &str) -> Option<PathBuf> {
    std::env::split_paths(&std::env::var_os("PATH")?)
        .map(|dir| dir.join(name))
        .find(|path| path.is_file())
}
