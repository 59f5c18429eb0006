//! GNU make, whose recipes the container's shell runs, beside this machine's.

use std::fs;
use std::path::Path;
use std::process::Command;

use integration_tests::command::{Output, run};
use integration_tests::linked::Linked;
use integration_tests::subject;

const MAKEFILE: &str = "\
WORDS := $(shell printf 'b\\na\\nc\\n' | sort | tr '\\n' ' ')
all: out.txt count.txt
\t@echo \"words: $(WORDS)\"
%.up: %.in
\ttr a-z A-Z <$< >$@
out.txt: a.up b.up
\tcat $^ >$@
count.txt: out.txt
\twc -l <$< | { read n; echo \"$$n lines\" >$@; }
fails: half
half:
\t@echo before >$@; exit 3; echo never
.DELETE_ON_ERROR:
ignored:
\t-@false
\t@echo went on; echo $(notdir $(wildcard *.in))
both: first second
first:
\t@mkfifo pipe; echo from the first >pipe
second:
\t@while ! test -p pipe; do :; done; cat pipe; rm pipe
deep:
\t@$(MAKE) -s ignored
one:
\t@echo 'not made' && cd / && pwd
clean:
\t@rm -f *.up *.txt
";

/// What is asked for, one after the other. `both` ends only if two recipes run at a time.
const GOALS: &[&[&str]] = &[
    &["-n"],
    &[],
    &[],
    &["-j2"],
    &["fails"],
    &["-k", "fails", "one"],
    &["ignored"],
    &["-j2", "both"],
    &["deep"],
    &["nothing-like-that"],
    &["-s", "clean", "all"],
    &["-q"],
];

fn prepare(folder: &Path) {
    fs::write(folder.join("Makefile"), MAKEFILE).expect("writing a file of our own");
    for (name, text) in [("a.in", "one\n"), ("b.in", "two\n")] {
        fs::write(folder.join(name), text).expect("writing a file of our own");
    }
}

/// All goals, with a change of one source in between, as far as everybody must agree on them.
fn outcomes(folder: &Path, mut make: impl FnMut(&[&str]) -> Output) -> Vec<(i32, String)> {
    prepare(folder);
    let mut outcomes = Vec::new();
    let mut note = |output: Output| outcomes.push((output.code, output.out()));
    for goals in GOALS {
        note(make(goals));
    }
    fs::write(folder.join("b.in"), "changed\n").expect("writing a file of our own");
    note(make(&["-s", "-q"]));
    note(make(&[]));
    let made = fs::read_to_string(folder.join("out.txt")).expect("it was made");
    assert_eq!(made, "ONE\nCHANGED\n");
    assert!(!folder.join("half").exists());
    outcomes
}

#[test]
fn make_does_what_the_machines_own_does() {
    let native = tempfile::tempdir().expect("a temporary directory");
    let theirs = outcomes(native.path(), |goals| {
        let mut command = Command::new("make");
        command
            .args(["--no-print-directory"])
            .args(goals)
            .current_dir(native.path())
            .env_clear()
            .env("PATH", "/usr/bin:/bin");
        run(&mut command)
    });
    let container = Linked::new(&subject::recipe("shell"));
    let folder = container.root().join("tmp/make");
    fs::create_dir(&folder).expect("a directory of our own");
    let ours = outcomes(&folder, |goals| {
        let line = ["make", "--no-print-directory", "-C", "/tmp/make"];
        container.run(&[&line[..], goals].concat())
    });
    assert_eq!(ours, theirs);
    // The recipes are the manifest's programs, each by its digest.
    let audit = container.audit();
    for path in ["/usr/bin/make", "/bin/sh", "/usr/bin/toybox"] {
        assert!(audit.contains(&format!(r#""path":"{path}""#)), "{path}");
    }
}
