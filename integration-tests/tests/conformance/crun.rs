//! crun's own tests: each of its files is a program that says of each test whether it passes.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use integration_tests::engines::Room;

use crate::list::{List, PEERS, built, native};
use crate::tap::{Verdict, Verdicts, verdict};

/// Some of its tests want a terminal. The interpreter is the one the machine's packages are for.
const RUN: &str = r#"
cd "$1" || exit 1
export OCI_RUNTIME=$2 INIT="$1/tests/init" PYTHONPATH="$1/python"
exec script -qec "timeout --foreground -k 5 50 /usr/bin/python3 tests/test_$3.py 2>'$4'" /dev/null
"#;

/// Runs one of its files on a runtime.
fn verdicts(dir: &Path, file: &str, runtime: &Path) -> Verdicts {
    let room = Room::shared();
    let name = runtime.file_name().expect("a runtime has a name");
    let log = room.path(&format!("crun-{}-{file}", name.to_string_lossy()));
    let (dir, runtime) = (dir.to_string_lossy(), runtime.to_string_lossy());
    let log = log.to_string_lossy();
    let output = room.run("sh", &["-c", RUN, "sh", &dir, &runtime, file, &log]);
    let out = output.out();
    let verdicts = out.lines().filter_map(verdict);
    let verdicts = verdicts.map(|(name, verdict)| (format!("{file}/{name}"), verdict));
    let verdicts = verdicts.collect();
    // For who looks into a failure.
    println!("{file} on {runtime}: {out}");
    println!("{}", room.run("cat", &[&log]).out());
    verdicts
}

#[test]
fn cruns_tests_pass_but_for_those_on_the_list() {
    let dir = built("crun");
    let files = fs::read_dir(dir.join("tests")).expect("the tests are built");
    let files = files.filter_map(|entry| {
        let name = entry.expect("our own directory").file_name();
        let name = name.to_str()?.strip_prefix("test_")?.strip_suffix(".py")?;
        Some(name.to_owned())
    });
    let files: BTreeSet<String> = files.collect();
    let native = native(Room::shared());
    let mut own = Verdicts::new();
    for file in &files {
        own.extend(verdicts(&dir, file, native));
    }
    let names: Vec<String> = own.keys().cloned().collect();
    assert_eq!(names.len(), 108);
    let list = include_str!("../../conformance/crun/not-passed.toml");
    let list = List::read(list, &names);

    // Whoever is compared runs the files of listed tests alone.
    let listed = names.iter().filter(|name| list.get(name).is_some());
    let listed: BTreeSet<&str> = listed.filter_map(|name| name.split('/').next()).collect();
    let mut theirs: BTreeMap<&str, Verdicts> = BTreeMap::new();
    for peer in PEERS {
        let verdicts = listed
            .iter()
            .map(|file| verdicts(&dir, file, Path::new(peer)));
        theirs.insert(peer, verdicts.flatten().collect());
    }
    let judged: Vec<String> = names
        .iter()
        .filter(|name| own[*name] != Verdict::Skipped)
        .cloned()
        .collect();
    // On a host with both versions of cgroups and without CRIU.
    assert!(
        judged.len() >= 96,
        "{} are skipped",
        names.len() - judged.len()
    );
    let wrong = list.differences(&judged, |name, peer| match peer {
        Some(peer) => theirs[peer].get(name) == Some(&Verdict::Passed),
        None => own[name] == Verdict::Passed,
    });
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
