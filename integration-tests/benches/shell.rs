//! What a fork costs the process that makes it, and a pipeline the shell that runs it: real
//! programs in the virtual kernel, beside the same source built natively, the machine's own dash
//! and its own tools. Interleaved; run by `make bench`.

#[path = "../../bench/row.rs"]
mod row;

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

use integration_tests::command::run;
use integration_tests::linked::Linked;
use integration_tests::subject;

const ROUNDS: usize = 15;
/// Forks of a round.
const FORKS: &str = "100";
/// What a process that forks has written, in KiB: next to nothing, and much.
const HEAPS: [(&str, &str); 2] = [("16", "small heap"), ("18432", "heap of 18 MiB")];
/// Repetitions of what a shell does, in a round.
const TURNS: u32 = 50;

/// What a shell is told to do, of small tools that everybody has.
const LINES: [(&str, &str); 4] = [
    ("a simple command", "env true"),
    (
        "a pipeline of three",
        "cat words | tr a-z A-Z | wc -c >/dev/null",
    ),
    ("a command substitution", "x=$(cat words)"),
    ("a subshell", "(x=1)"),
];

fn main() {
    let work = tempfile::tempdir().expect("a directory");
    let guests = Linked::new(&recipe(work.path()));
    let timed = native(work.path());
    forks(&guests, timed.as_deref());
    shells(&guests, work.path());
}

/// A container of a shell, small tools and the program that times its forks.
fn recipe(work: &Path) -> std::path::PathBuf {
    let wasm = subject::guests().join(".cache/wasm");
    let mut text =
        String::from("name = \"bench\"\nversion = \"1.0\"\n[rootfs]\ncopy = [\"root\"]\n");
    let tools = ["tr", "wc", "env", "true"].map(|name| format!("\"/bin/{name}\""));
    for (path, module, links) in [
        ("/bin/sh", "dash", String::new()),
        ("/bin/time", "vktime", String::new()),
        ("/bin/cat", "runners", tools.join(", ")),
    ] {
        let module = wasm.join(format!("{module}.wasm"));
        assert!(
            module.exists(),
            "{} is missing: run `guests/build.sh test`, as `make bench` does",
            module.display()
        );
        text += &format!(
            "[[binary]]\npath = \"{path}\"\nmodule = \"{}\"\nlinks = [{links}]\n",
            module.display()
        );
    }
    let root = work.join("root");
    fs::create_dir_all(root.join("dev")).expect("a folder");
    fs::write(root.join("words"), "a few words\n".repeat(20)).expect("a file");
    let recipe = work.join("recipe.toml");
    fs::write(&recipe, text).expect("the recipe");
    recipe
}

/// The program that times its forks, natively.
fn native(work: &Path) -> Option<std::path::PathBuf> {
    let program = work.join("time");
    let source = subject::guests().join("../libvkernel/tests/time.c");
    let mut cc = Command::new("cc");
    cc.args(["-O2", "-static", "-o"]).arg(&program).arg(source);
    let made = cc.status().is_ok_and(|status| status.success());
    if !made {
        eprintln!("no C compiler (apt-get install gcc libc6-dev): no native rows");
    }
    made.then_some(program)
}

fn forks(guests: &Linked, timed: Option<&Path>) {
    for (kib, heap) in HEAPS {
        let mut here: [Vec<Duration>; 3] = Default::default();
        let mut peer: [Vec<Duration>; 3] = Default::default();
        for _ in 0..ROUNDS {
            let mut guest = guests.command(&["/bin/time", FORKS, kib]);
            take(&mut here, &mut guest);
            if let Some(program) = timed {
                take(&mut peer, Command::new(program).args([FORKS, kib]));
            }
        }
        let names = [
            "the first fork of a process",
            "fork, until it has returned",
            "fork, until the child was waited for",
        ];
        for ((name, here), peer) in names.into_iter().zip(here).zip(peer) {
            row::times(&format!("{name}, {heap}"), &here);
            row::times(&format!("peer: the same, static glibc, {heap}"), &peer);
        }
    }
}

/// Adds what the program measures.
fn take(all: &mut [Vec<Duration>; 3], command: &mut Command) {
    let text = run(command).success().out();
    let nanos = text.split_whitespace().map(|word| word.parse());
    for (all, nanos) in all.iter_mut().zip(nanos) {
        all.push(Duration::from_nanos(nanos.expect("a number")));
    }
}

/// A shell that reads what it is to do from a pipe.
struct Shell {
    child: Child,
    keys: ChildStdin,
    answers: BufReader<ChildStdout>,
}

impl Shell {
    fn start(mut command: Command) -> Shell {
        let command = command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().expect("a shell starts");
        let keys = child.stdin.take().expect("it was asked for");
        let answers = BufReader::new(child.stdout.take().expect("it was asked for"));
        Shell {
            child,
            keys,
            answers,
        }
    }

    /// How long one turn takes.
    fn times(&mut self, line: &str) -> Duration {
        let loops =
            format!("i=0; while [ $i -lt {TURNS} ]; do {line}; i=$((i+1)); done; echo $i\n");
        let start = Instant::now();
        self.keys.write_all(loops.as_bytes()).expect("it reads");
        let mut answer = String::new();
        self.answers.read_line(&mut answer).expect("it answers");
        assert_eq!(answer.trim(), TURNS.to_string(), "{line}");
        start.elapsed() / TURNS
    }
}

impl Drop for Shell {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn shells(guests: &Linked, work: &Path) {
    let mut guest = Shell::start(guests.command(&["/bin/sh"]));
    let mut dash = Command::new("dash");
    dash.current_dir(work.join("root"));
    let mut dash = Shell::start(dash);
    for (name, line) in LINES {
        let (mut here, mut peer) = (Vec::new(), Vec::new());
        for _ in 0..ROUNDS {
            here.push(guest.times(line));
            peer.push(dash.times(line));
        }
        row::times(&format!("dash: {name}"), &here);
        row::times(&format!("peer: the machine's dash, {name}"), &peer);
    }
}
