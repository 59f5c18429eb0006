//! Writes to standard output what `layout.ld` is to be: runs the commands of a container's life one
//! instruction at a time, as an engine calls them, and lists the functions that they execute. Those
//! of all commands come first, then those of the same commands beside each other.
//!
//! Run by `make layout`, as root; it takes some ten minutes.

#[allow(dead_code, reason = "each bench uses a part")]
mod contenders;

use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;

use contenders::{Contender, Running, SLEEP, TRUE, profile, reap};
use integration_tests::layout::{Function, Objects, functions, script};
use integration_tests::{stepper, subject};

/// The bundle with podman's seccomp profile.
const FILTERED: &str = "true-filtered";

fn main() {
    let work = tempfile::tempdir().expect("a temporary directory");
    let state = work.path().join("state");
    contenders::isolate(&state);
    let path = work.path().join("megarun");
    let megarun = contenders::megarun(&path, &state, "megarun", &[TRUE, SLEEP], &[]);
    let profile = profile::of_podman()
        .unwrap_or_else(|| panic!("no {}: apt-get install podman", profile::PATH));
    megarun.vary(&TRUE, FILTERED, |config| {
        config["linux"]["seccomp"] = profile.clone();
    });
    let functions = functions(&subject::megarun());
    let mut seen = Seen {
        functions: &functions,
        by: BTreeMap::new(),
    };
    life(&megarun, &mut seen);
    let running = Running::start(&megarun);
    let exec = &["exec", &megarun.long(), "/bin/true"];
    seen.step("exec", &mut megarun.command(exec));
    drop(running);
    print!("{}", script(&seen.in_order(), &Objects::of_host()));
}

/// A container from create to delete.
fn life(megarun: &Contender, seen: &mut Seen) {
    let id = megarun.id("stepped");
    let pid_file = tempfile::NamedTempFile::new().expect("a temporary file");
    let mut create = megarun.command(&["create", "--bundle"]);
    create.arg(megarun.bundle_of(FILTERED)).arg("--pid-file");
    seen.step("create", create.arg(pid_file.path()).arg(&id));
    let pid = std::fs::read_to_string(pid_file.path()).expect("a pid file");
    seen.step("state", &mut megarun.command(&["state", &id]));
    seen.step("start", &mut megarun.command(&["start", &id]));
    reap(pid.trim().parse().expect("a pid"));
    seen.step("delete", &mut megarun.command(&["delete", &id]));
}

/// What was executed.
struct Seen<'a> {
    /// All there are, by address.
    functions: &'a [Function],
    /// By the function's place in `functions`, the commands that execute it, and when it was first
    /// of all.
    by: BTreeMap<usize, (BTreeSet<&'static str>, usize)>,
}

impl<'a> Seen<'a> {
    fn step(&mut self, name: &'static str, command: &mut Command) {
        eprintln!("layout: {name}, one instruction at a time");
        let [first, .., last] = self.functions else {
            panic!("the runtime has no symbols");
        };
        let text = first.start..last.start + last.size;
        command.stdin(std::process::Stdio::null());
        // Standard output is the script's.
        command.stdout(std::io::stderr());
        let (addresses, code) = stepper::instructions::executed(command, &text);
        assert_eq!(code, 0, "{command:?} failed");
        for address in addresses {
            let after = self.functions.partition_point(|one| one.start <= address);
            let order = self.by.len();
            let (commands, _) = self.by.entry(after - 1).or_insert((BTreeSet::new(), order));
            commands.insert(name);
        }
    }

    /// Their names, each with all that it has.
    fn in_order(&self) -> Vec<&'a str> {
        let mut all: Vec<_> = self.by.iter().collect();
        all.sort_by_key(|(_, (commands, order))| {
            (std::cmp::Reverse(commands.len()), commands, *order)
        });
        all.iter()
            .flat_map(|(at, _)| {
                let start = self.functions[**at].start;
                let first = self.functions.partition_point(|one| one.start < start);
                let same = self.functions[first..].iter();
                same.take_while(move |one| one.start == start)
            })
            .map(|function| function.name.as_str())
            .collect()
    }
}
