//! runc's own integration tests.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use integration_tests::engines::Room;

use crate::list::{List, built, native};
use crate::tap::{Verdict, Verdicts, verdict};

/// Runs a file's tests.
fn run(dir: &Path, file: &str, runtime: &Path) -> Verdicts {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("conformance/runc/run.sh");
    let (script, suite) = (script.to_string_lossy(), dir.join("runc"));
    let rest = [
        &*script,
        &*suite.to_string_lossy(),
        &format!("{file}.bats"),
        &*runtime.to_string_lossy(),
    ];
    let namespaces = ["--mount", "--pid", "--fork", "--mount-proc", "--kill-child"];
    let args = [&namespaces[..], &rest].concat();
    let output = Room::shared().run("unshare", &args);
    output.out().lines().filter_map(verdict).collect()
}

/// The names of a file's tests.
fn tests(dir: &Path, file: &str) -> Vec<String> {
    let path = dir.join(format!("runc/tests/integration/{file}.bats"));
    let text = fs::read_to_string(path).expect("a file of the suite");
    let name = |line: &str| {
        let quoted = line.strip_prefix("@test \"")?.strip_suffix("\" {")?;
        Some(quoted.replace('\\', ""))
    };
    text.lines().filter_map(name).collect()
}

/// The suite's files, without `.bats`.
fn files(dir: &Path) -> Vec<String> {
    let dir = fs::read_dir(dir.join("runc/tests/integration")).expect("the suite is built");
    let names = dir.map(|entry| entry.expect("our own directory").file_name());
    let files = names.filter_map(|name| Some(name.to_str()?.strip_suffix(".bats")?.to_owned()));
    let mut files: Vec<String> = files.collect();
    files.sort();
    files
}

#[test]
fn runcs_own_tests_pass_but_for_those_on_the_list() {
    let dir = built("runc");
    let native = native(Room::shared());
    let files = files(&dir);
    let all = |verdicts: &dyn Fn(&str, &str) -> bool| -> Vec<String> {
        let named = files.iter().flat_map(|file| {
            let tests = tests(&dir, file).into_iter();
            tests
                .filter(|test| verdicts(file, test))
                .map(move |test| format!("{file}: {test}"))
        });
        named.collect()
    };
    assert_eq!(all(&|_, _| true).len(), 174);
    // Each file is asked once of a runtime, and of a peer only where a test of it is listed.
    let asked: RefCell<BTreeMap<(String, Option<String>), Verdicts>> = RefCell::default();
    let verdict = |file: &str, test: &str, peer: Option<&str>| {
        let key = (file.to_owned(), peer.map(str::to_owned));
        let mut asked = asked.borrow_mut();
        let verdicts = asked
            .entry(key)
            .or_insert_with(|| run(&dir, file, peer.map_or(native, Path::new)));
        verdicts.get(test).copied().unwrap_or(Verdict::Failed)
    };
    // Whoever skips a test asks for what the host is or has, not for what the runtime does.
    let names = all(&|file, test| verdict(file, test, None) != Verdict::Skipped);
    let list = include_str!("../../conformance/runc/not-passed.toml");
    let list = List::read(list, &names);
    let wrong = list.differences(&names, |name, peer| {
        let (file, test) = name.split_once(": ").expect("a file and a test");
        verdict(file, test, peer) == Verdict::Passed
    });
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
