//! A linked program behaves as the original. Every command line of
//! `guests/cases/` runs unlinked under plain wasmtime with `wasmtime-wasi`;
//! then linked, with no functions folded, equal ones, and all that can be,
//! each under plain wasmtime and under this project's virtual kernel, by
//! `megabin run`. Standard output, standard error, exit code and what became of
//! the root file system must be equal.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Mutex;

use integration_tests::cases::Case;
use integration_tests::command::{run, run_with};
use integration_tests::copies::{Copies, Copy, Tree};
use integration_tests::parallel::in_parallel;
use integration_tests::reference::{End, Invocation, Outcome, Reference, Start};
use integration_tests::{base, cases, scratch, subject};
use serde_json::Value;

/// Everything a run left that can be seen.
#[derive(Debug, PartialEq)]
struct Seen {
    /// The exit code; none for a trap, which each engine words in its own way.
    code: Option<i32>,
    stdout: String,
    stderr: String,
    tree: Tree,
}

impl Seen {
    fn of(outcome: Outcome, tree: Tree) -> Self {
        Self {
            code: match outcome.end {
                End::Exit(code) => Some(code),
                End::Trap(_) => None,
            },
            stdout: String::from_utf8_lossy(&outcome.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&outcome.stderr).into_owned(),
            tree,
        }
    }

    fn says(&self, part: &str) -> bool {
        self.stdout.contains(part) || self.stderr.contains(part)
    }
}

/// The container that is compared: its folder and what its manifest says.
struct Built {
    folder: tempfile::TempDir,
    /// Words of the digest, by the path of each binary.
    targets: BTreeMap<String, [u64; 4]>,
    /// Container folders with a root of their own.
    copies: Copies,
}

/// Builds a recipe. With `root` its root file system has the contents and times of that one.
fn build(recipe: &Path, fold: &str, root: Option<&Path>) -> Built {
    let folder = tempfile::tempdir().expect("a temporary directory");
    run(Command::new(subject::megabin())
        .arg("build")
        .arg(recipe)
        .args(["--fold", fold])
        .arg("-o")
        .arg(folder.path()))
    .success();
    let manifest = std::fs::read(folder.path().join("manifest.json")).expect("build writes it");
    let manifest: Value = serde_json::from_slice(&manifest).expect("it is JSON");
    let mut targets = BTreeMap::new();
    for (digest, binary) in manifest["binaries"].as_object().expect("a map of binaries") {
        let hex = digest.strip_prefix("sha256:").expect("a digest");
        let words = std::array::from_fn(|i| {
            u64::from_str_radix(&hex[i * 16..][..16], 16).expect("hex digits")
        });
        targets.insert(binary["path"].as_str().expect("a path").to_owned(), words);
    }
    let rootfs = folder.path().join("rootfs");
    if let Some(root) = root {
        std::fs::remove_dir_all(&rootfs).expect("removing what was laid");
        scratch::copy(root, &rootfs);
    }
    let beside = ["container.wasm", "manifest.json"].map(|name| folder.path().join(name));
    Built {
        copies: Copies::new(&rootfs, &beside),
        folder,
        targets,
    }
}

impl Built {
    fn wasm(&self) -> Vec<u8> {
        std::fs::read(self.folder.path().join("container.wasm")).expect("build writes it")
    }

    /// The digest of what stands at `path`, through a link if it is one.
    fn target(&self, path: &str) -> [u64; 4] {
        let rootfs = self.folder.path().join("rootfs");
        let link = std::fs::read_link(rootfs.join(path.trim_start_matches('/')));
        let path = match link {
            Ok(to) if to.is_absolute() => to.to_string_lossy().into_owned(),
            Ok(to) => format!(
                "{}/{}",
                path.rsplit_once('/').expect("absolute").0,
                to.display()
            ),
            Err(_) => path.to_owned(),
        };
        *self
            .targets
            .get(&path)
            .unwrap_or_else(|| panic!("{path} is not in the manifest"))
    }

    /// Under the virtual kernel: a container folder with its own copy of the root.
    fn under_the_virtual_kernel(&self, case: &Case) -> Seen {
        let copy: Copy = self.copies.take();
        let output = run_with(
            Command::new(subject::megabin())
                .args(["run", "--insecure-unsigned", "--env", ENV.0, "--cache"])
                .arg(subject::artifacts())
                .arg(copy.folder())
                .arg("--")
                .args(&case.run),
            case.stdin.as_bytes(),
        );
        let mut stderr = output.err();
        if case.trap {
            // What the program itself said; then the kernel reports the trap.
            let end = stderr.find("megarun: ").unwrap_or(stderr.len());
            stderr.truncate(end);
        }
        Seen {
            code: (!(case.trap && output.code == TRAPPED)).then_some(output.code),
            stdout: output.out(),
            stderr,
            tree: self.copies.give_back(copy),
        }
    }
}

/// The environment of every run.
const ENV: (&str, &str, &str) = ("PATH=/usr/bin:/bin", "PATH", "/usr/bin:/bin");
/// How the virtual kernel ends after a trap: 128 + SIGABRT.
const TRAPPED: i32 = 134;

/// The case is not what its table says, under plain wasmtime and unlinked.
fn unclaimed(case: &Case, seen: &Seen) -> Option<String> {
    let code = (!case.trap).then_some(case.exit);
    let shows = case.shows.as_ref().is_none_or(|part| seen.says(part));
    (seen.code != code || !shows).then(|| {
        let (out, err) = (&seen.stdout, &seen.stderr);
        format!(
            "{:?}, as it is: code {:?}, said {out}{err}",
            case.run, seen.code
        )
    })
}

/// Where two runs differ, for a reader.
fn difference(case: &Case, what: &str, expected: &Seen, found: &Seen) -> Option<String> {
    if expected == found {
        return None;
    }
    let mut text = format!("{:?}, {what}:\n", case.run);
    for (name, expected, found) in [
        (
            "code",
            &format!("{:?}", expected.code),
            &format!("{:?}", found.code),
        ),
        ("stdout", &expected.stdout, &found.stdout),
        ("stderr", &expected.stderr, &found.stderr),
    ] {
        if expected != found {
            text += &format!("  {name}: expected {expected:?}\n  {name}: found    {found:?}\n");
        }
    }
    for path in expected.tree.keys().chain(found.tree.keys()) {
        let (a, b) = (expected.tree.get(path), found.tree.get(path));
        if a != b {
            text += &format!(
                "  {}: expected {a:?}\n  {}: found    {b:?}\n",
                path.display(),
                path.display()
            );
        }
    }
    Some(text)
}

/// Runs a case under plain wasmtime.
fn under_wasmtime(
    reference: &Reference,
    module: &wasmtime::Module,
    start: Start,
    case: &Case,
    built: &Built,
) -> Seen {
    let copy = built.copies.take();
    let env = [(ENV.1.to_owned(), ENV.2.to_owned())];
    let invocation = Invocation {
        argv: &case.run,
        stdin: case.stdin.as_bytes(),
        env: &env,
        root: &copy.root(),
    };
    let outcome = reference.run(module, start, &invocation);
    Seen::of(outcome, built.copies.give_back(copy))
}

/// Fails with everything that is wrong.
fn none_wrong(wrong: impl Iterator<Item = String>) {
    let wrong: Vec<String> = wrong.collect();
    assert!(
        wrong.is_empty(),
        "{} differences:\n{}",
        wrong.len(),
        wrong.join("\n")
    );
}

/// Runs all cases linked, under plain wasmtime and under the virtual kernel.
fn compare(reference: &Reference, built: &Built, expected: &[Expected], fold: &str) {
    let linked = reference.linked(&built.wasm());
    // Longer than commands of the tests may take.
    let compiled = Command::new(subject::megabin())
        .args(["precompile", "--cache"])
        .arg(subject::artifacts())
        .arg(built.folder.path())
        .status();
    assert!(compiled.expect("megabin starts").success(), "not compiled");
    let wrong = Mutex::new(Vec::new());
    in_parallel(expected, |Expected { case, seen }| {
        let start = Start::Dispatch(built.target(&case.run[0]));
        let plain = under_wasmtime(reference, &linked, start, case, built);
        let what = format!("folded {fold}, under plain wasmtime");
        let plain = difference(case, &what, seen, &plain);
        wrong.lock().expect("no holder panics").extend(plain);
        let ours = built.under_the_virtual_kernel(case);
        let what = format!("folded {fold}, under the virtual kernel");
        let ours = match &case.container {
            Some(claim) => (ours.code != Some(claim.exit) || !ours.says(&claim.shows))
                .then(|| format!("{:?}, {what}: {ours:?}", case.run)),
            None => difference(case, &what, seen, &ours),
        };
        wrong.lock().expect("no holder panics").extend(ours);
    });
    none_wrong(wrong.into_inner().expect("no holder panicked").into_iter());
}

/// A case and what it comes to unlinked.
struct Expected<'a> {
    case: &'a Case,
    seen: Seen,
}

/// Runs all cases unlinked, each as its table says it ends. A module that many programs share is
/// compiled once, the largest first: they take longest.
fn expected<'a>(reference: &Reference, built: &Built, all: &'a [Case]) -> Vec<Expected<'a>> {
    let modules = cases::modules(&subject::recipe("test"));
    let mut files: Vec<&PathBuf> = all.iter().map(|case| &modules[&case.run[0]]).collect();
    files.sort();
    files.dedup();
    files.sort_by_key(|file| std::cmp::Reverse(file.metadata().map_or(0, |found| found.len())));
    let compiled = Mutex::new(BTreeMap::new());
    in_parallel(&files, |file| {
        let module = reference.module(&subject::module(file));
        let mut compiled = compiled.lock().expect("no holder panics");
        compiled.insert(*file, module);
    });
    let compiled = compiled.into_inner().expect("no holder panicked");
    let numbered: Vec<(usize, &Case)> = all.iter().enumerate().collect();
    let found = Mutex::new(BTreeMap::new());
    in_parallel(&numbered, |(nth, case)| {
        let module = &compiled[&modules[&case.run[0]]];
        let seen = under_wasmtime(reference, module, Start::Program, case, built);
        let mut found = found.lock().expect("no holder panics");
        found.insert(*nth, Expected { case, seen });
    });
    let found: Vec<Expected> = found
        .into_inner()
        .expect("no holder panicked")
        .into_values()
        .collect();
    none_wrong(found.iter().filter_map(|e| unclaimed(e.case, &e.seen)));
    found
}

/// Every program, each command line, however functions are folded, in both engines.
#[test]
fn linked_programs_behave_as_the_originals() {
    let guests = subject::guests();
    let all = cases::load(&guests);
    let reference = Reference::new(&guests.join(".cache/aot"), subject::artifacts());
    let recipe = subject::recipe("test");
    let none = build(&recipe, "none", None);
    let expected = expected(&reference, &none, &all);
    compare(&reference, &none, &expected, "none");
    // Programs can see when its files were made.
    let root = none.folder.path().join("rootfs");
    for fold in ["exact", "full"] {
        let built = build(&recipe, fold, Some(&root));
        compare(&reference, &built, &expected, fold);
    }
}

/// Each program has several command lines: one that does its work, and one that ends otherwise.
#[test]
fn every_program_of_the_recipe_has_cases() {
    let all = cases::load(&subject::guests());
    let modules = cases::modules(&subject::recipe("test"));
    let mut counts: BTreeMap<&Path, usize> = modules
        .values()
        .map(|module| (module.as_path(), 0))
        .collect();
    for case in &all {
        *counts
            .get_mut(modules[&case.run[0]].as_path())
            .expect("one of them") += 1;
    }
    assert!(counts.len() > 120, "only {} programs", counts.len());
    let few: Vec<_> = counts.iter().filter(|(_, count)| **count < 2).collect();
    assert!(few.is_empty(), "{few:?}");
}

/// The programs in C once more, linked with relocations and standing on a base of their libc: all
/// the command lines of each, under plain wasmtime and under the virtual kernel.
#[test]
fn programs_on_a_base_behave_as_the_originals() {
    let guests = subject::guests();
    let modules = cases::modules(&subject::recipe("test"));
    let relocs = guests.join(".cache/relocs");
    let folder = tempfile::tempdir().expect("a temporary directory");
    let recipe = folder.path().join("base.toml");
    let libc = guests.join(".cache/sysroot/lib/wasm32-wasi/libc.a");
    let text = base::recipe(&subject::recipe("test"), &relocs, &libc);
    std::fs::write(&recipe, text).expect("writing a recipe");
    let built = build(&recipe, "full", None);
    let all = cases::load(&guests);
    let stands = |case: &Case| {
        let name = modules[&case.run[0]].file_name().expect("a module's name");
        relocs.join(name).exists()
    };
    let all: Vec<Case> = all.into_iter().filter(stands).collect();
    assert!(
        all.len() > 50,
        "only {} cases: run guests/relocs.sh",
        all.len()
    );
    let reference = Reference::new(&guests.join(".cache/aot"), subject::artifacts());
    let expected = expected(&reference, &built, &all);
    compare(&reference, &built, &expected, "full, on a base");
}
