//! The guests are what their table says, before anything of this project
//! touches them: each command line under plain wasmtime with `wasmtime-wasi`.

use std::collections::BTreeMap;

use integration_tests::reference::{End, Invocation, Reference, Start};
use integration_tests::{cases, scratch, subject};

#[test]
fn every_case_is_what_it_claims_under_plain_wasmtime() {
    let guests = subject::guests();
    let modules = cases::modules(&subject::recipe("test"));
    let reference = Reference::new(&guests.join(".cache/aot"));
    let mut compiled = BTreeMap::new();
    let mut wrong = Vec::new();
    let mut ran = 0;
    for case in cases::load(&guests) {
        let path = modules
            .get(&case.run[0])
            .unwrap_or_else(|| panic!("{} stands in no recipe", case.run[0]));
        let module = compiled
            .entry(path.clone())
            .or_insert_with(|| reference.module(&subject::module(path)));
        let root = tempfile::tempdir().expect("a temporary directory");
        for layer in [guests.join("recipes/rootfs"), guests.join(".cache/share")] {
            scratch::copy(&layer, root.path());
        }
        std::fs::create_dir_all(root.path().join("usr/bin")).expect("a directory");
        std::os::unix::fs::symlink("python3", root.path().join("usr/bin/python")).expect("a link");
        let invocation = Invocation {
            argv: &case.run,
            stdin: case.stdin.as_bytes(),
            env: &[("PATH".to_owned(), "/usr/bin:/bin".to_owned())],
            root: root.path(),
        };
        let outcome = reference.run(module, Start::Program, &invocation);
        ran += 1;
        let said = format!(
            "{}{}",
            String::from_utf8_lossy(&outcome.stdout),
            String::from_utf8_lossy(&outcome.stderr)
        );
        let ended = match &outcome.end {
            End::Exit(code) => !case.trap && *code == case.exit,
            End::Trap(_) => case.trap,
        };
        if !ended || case.shows.as_ref().is_some_and(|part| !said.contains(part)) {
            wrong.push(format!(
                "{:?}\n  ended: {:?}\n  said: {said}",
                case.run, outcome.end
            ));
        }
    }
    assert!(
        wrong.is_empty(),
        "{} of {ran} cases differ from the table:\n{}",
        wrong.len(),
        wrong.join("\n")
    );
}
