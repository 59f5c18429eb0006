//! Whole containers side by side: create + start + delete and exec of
//! `megarun` beside every peer that is installed (crun, runc), with the same
//! config.json and interleaved, so that a noisy host disturbs all alike.
//!
//! Run by `make bench`, as root. The table goes to standard output and to the
//! file named by `BENCH_OUT`.

use std::fs;
use std::io::IsTerminal;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// Interleaved rounds behind every figure.
const ROUNDS: usize = 100;
/// The pause before each create in the rows "with gaps".
const GAP: Duration = Duration::from_millis(60);
/// Nothing here takes this long unless something hangs.
const PATIENCE: Duration = Duration::from_secs(20);

/// A runtime and the two bundles it is measured on.
struct Contender {
    name: &'static str,
    program: PathBuf,
    global: Vec<String>,
    short: PathBuf,
    long: PathBuf,
}

/// Takes one measurement of a contender in a round.
type Measure<'a> = &'a dyn Fn(&Contender, usize) -> Duration;

fn main() {
    let work = tempfile::tempdir().expect("a temporary directory");
    isolate();
    let contenders = contenders(work.path());
    let mut table = vec![
        format!(
            "{:<44} {:<9} {:>9} {:>9} {:>9} {:>7}",
            "row", "runtime", "median", "p10", "p90", "ratio"
        ),
        "-".repeat(92),
    ];
    let rows: [(&str, Measure); 3] = [
        ("create+start+delete, back to back", &|c, i| cycle(c, i)),
        ("create+start+delete, 60 ms gaps", &|c, i| {
            std::thread::sleep(GAP);
            cycle(c, i)
        }),
        ("exec of true in a running container", &|c, _| {
            exec(c, &id("long"))
        }),
    ];
    let shown = std::io::stderr().is_terminal();
    let running: Vec<Running> = contenders.iter().map(Running::start).collect();
    for (row, measure) in rows {
        let mut times = vec![Vec::with_capacity(ROUNDS); contenders.len()];
        for round in 0..ROUNDS {
            // Each round starts with another contender.
            for k in 0..contenders.len() {
                let i = (round + k) % contenders.len();
                times[i].push(measure(&contenders[i], round));
            }
            if shown {
                eprint!("\r{row}: {}/{ROUNDS} ", round + 1);
            }
        }
        eprintln!("{}", if shown { "" } else { row });
        table.extend(lines(row, &contenders, times));
    }
    drop(running);
    let text = table.join("\n") + "\n";
    print!("{text}");
    if let Some(out) = std::env::var_os("BENCH_OUT") {
        fs::write(&out, &text).unwrap_or_else(|e| panic!("writing {}: {e}", out.display()));
    }
}

/// A mount namespace of our own without the v2 tree that Debian's crun refuses
/// beside v1, and the duty to reap the containers' processes.
fn isolate() {
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
        libc::umount2(c"/sys/fs/cgroup/unified".as_ptr(), libc::MNT_DETACH);
        assert_eq!(libc::prctl(libc::PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0), 0);
    }
}

fn contenders(work: &Path) -> Vec<Contender> {
    let variable = |name: &str| {
        PathBuf::from(
            std::env::var_os(name).unwrap_or_else(|| panic!("{name} is not set: run `make bench`")),
        )
    };
    let (short, long) = (work.join("short"), work.join("long"));
    megabinary(work, &variable("MEGABIN_BIN"), &short, &long);
    let trust = format!(
        "require_signature = false\ncache = \"{}\"\n",
        work.join("cache").display()
    );
    let config = work.join("megarun.toml");
    fs::write(&config, trust).expect("node config");
    let mut all = vec![Contender {
        name: "megarun",
        program: variable("MEGARUN_BIN"),
        global: vec![
            format!("--root={}", work.join("state-megarun").display()),
            format!("--config={}", config.display()),
        ],
        short: short.clone(),
        long: long.clone(),
    }];
    let (native_short, native_long) = (work.join("native-short"), work.join("native-long"));
    native(work, &short, &native_short);
    native(work, &long, &native_long);
    for name in ["crun", "runc"] {
        let Some(program) = find(name) else {
            eprintln!("{name} is not installed (apt-get install {name}): no rows for it");
            continue;
        };
        all.push(Contender {
            name,
            program,
            global: vec![format!(
                "--root={}",
                work.join(format!("state-{name}")).display()
            )],
            short: native_short.clone(),
            long: native_long.clone(),
        });
    }
    all
}

/// Two programs, `true` and one that sleeps, linked and bundled.
fn megabinary(work: &Path, megabin: &Path, short: &Path, long: &Path) {
    let exit = r#"(module (memory (export "memory") 1) (func (export "_start")))"#;
    let sleep = r#"(module
        (import "wasi_snapshot_preview1" "poll_oneoff"
            (func $poll (param i32 i32 i32 i32) (result i32)))
        (memory (export "memory") 1)
        (func (export "_start")
            (i32.store (i32.const 16) (i32.const 1))
            (i64.store (i32.const 24) (i64.const 3600000000000))
            (drop (call $poll (i32.const 0) (i32.const 64) (i32.const 1) (i32.const 128)))))"#;
    for (name, text) in [("true", exit), ("sleep", sleep)] {
        fs::write(
            work.join(format!("{name}.wasm")),
            wat::parse_str(text).expect("valid text"),
        )
        .expect("guest");
    }
    let recipe = work.join("recipe.toml");
    fs::write(
        &recipe,
        "name = \"bench\"\nversion = \"1.0\"\n\
         [[binary]]\npath = \"/bin/true\"\nmodule = \"true.wasm\"\n\
         [[binary]]\npath = \"/bin/sleep\"\nmodule = \"sleep.wasm\"\n",
    )
    .expect("recipe");
    let built = work.join("built");
    let run = |args: &[&std::ffi::OsStr]| succeed(Command::new(megabin).args(args));
    run(&[
        "build".as_ref(),
        recipe.as_ref(),
        "-o".as_ref(),
        built.as_ref(),
    ]);
    for (bundle, program) in [(short, "/bin/true"), (long, "/bin/sleep")] {
        run(&[
            "bundle".as_ref(),
            built.as_ref(),
            "-o".as_ref(),
            bundle.as_ref(),
            "--".as_ref(),
            program.as_ref(),
        ]);
    }
}

/// The same bundle with static native programs at the same paths.
fn native(work: &Path, from: &Path, to: &Path) {
    fs::create_dir_all(to.join("rootfs/bin")).expect("rootfs");
    let text = fs::read(from.join("config.json")).expect("config.json");
    let mut config: serde_json::Value = serde_json::from_slice(&text).expect("JSON");
    // Debian's crun takes no later version; it changes nothing of what is asked for here.
    config["ociVersion"] = "1.0.2".into();
    fs::write(to.join("config.json"), config.to_string()).expect("config.json");
    for (name, body) in [("true", "return 0;"), ("sleep", "for(;;) pause();")] {
        let source = work.join(format!("{name}.c"));
        fs::write(
            &source,
            format!("#include <unistd.h>\nint main(void){{{body}}}\n"),
        )
        .expect("source");
        succeed(
            Command::new("cc")
                .args(["-O2", "-static", "-o"])
                .arg(to.join("rootfs/bin").join(name))
                .arg(source),
        );
    }
}

/// One container that runs `true`, from create until delete has returned.
fn cycle(contender: &Contender, round: usize) -> Duration {
    let id = id(&round.to_string());
    let started = Instant::now();
    let pid = contender.create(&contender.short, &id);
    contender.call(&["start", &id]);
    reap(pid);
    contender.call(&["delete", &id]);
    started.elapsed()
}

/// A container that runs until this is dropped, also when a measurement panics.
struct Running<'a> {
    contender: &'a Contender,
    pid: i32,
}

impl<'a> Running<'a> {
    fn start(contender: &'a Contender) -> Self {
        let pid = contender.create(&contender.long, &id("long"));
        let running = Self { contender, pid };
        contender.call(&["start", &id("long")]);
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
        let deleted = delete.args(["--force", &id("long")]).status();
        if !deleted.is_ok_and(|status| status.success()) {
            eprintln!("{}: {} was not deleted", self.contender.name, id("long"));
        }
    }
}

/// A container's id that no other run of this benchmark has: ids name cgroups too.
fn id(name: &str) -> String {
    format!("bench-{}-{name}", std::process::id())
}

fn exec(contender: &Contender, id: &str) -> Duration {
    let started = Instant::now();
    contender.call(&["exec", id, "/bin/true"]);
    started.elapsed()
}

impl Contender {
    /// Creates a container; the process that waits in it.
    fn create(&self, bundle: &Path, id: &str) -> i32 {
        let pid_file = bundle.with_extension("pid");
        let path = |path: &Path| path.to_string_lossy().into_owned();
        let (bundle, pid_path) = (path(bundle), path(&pid_file));
        self.call(&["create", "--bundle", &bundle, "--pid-file", &pid_path, id]);
        let pid = fs::read_to_string(&pid_file).expect("pid file");
        pid.trim().parse().expect("a pid")
    }

    fn call(&self, args: &[&str]) {
        succeed(Command::new(&self.program).args(&self.global).args(args));
    }
}

fn succeed(command: &mut Command) {
    // A file, not a pipe: the container inherits it and would keep a pipe open.
    let log = tempfile::tempfile().expect("a temporary file");
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
fn reap(pid: i32) {
    let deadline = Instant::now() + PATIENCE;
    loop {
        // SAFETY: a null status pointer is allowed.
        match unsafe { libc::waitpid(pid, std::ptr::null_mut(), libc::WNOHANG) } {
            0 if Instant::now() < deadline => std::thread::sleep(Duration::from_micros(50)),
            0 => panic!("process {pid} did not end within {PATIENCE:?}"),
            _ => return,
        }
    }
}

fn find(name: &str) -> Option<PathBuf> {
    std::env::split_paths(&std::env::var_os("PATH")?)
        .map(|dir| dir.join(name))
        .find(|path| path.is_file())
}

fn lines(row: &str, contenders: &[Contender], times: Vec<Vec<Duration>>) -> Vec<String> {
    let ms = |d: Duration| d.as_secs_f64() * 1e3;
    let sorted: Vec<Vec<Duration>> = times
        .into_iter()
        .map(|mut t| {
            t.sort();
            t
        })
        .collect();
    let median = |t: &[Duration]| ms(t[t.len() / 2]);
    let reference = median(&sorted[0]);
    contenders
        .iter()
        .zip(&sorted)
        .map(|(c, t)| {
            format!(
                "{row:<44} {:<9} {:>6.2} ms {:>6.2} ms {:>6.2} ms {:>7.2}",
                c.name,
                median(t),
                ms(t[t.len() / 10]),
                ms(t[t.len() * 9 / 10]),
                median(t) / reference,
            )
        })
        .collect()
}
