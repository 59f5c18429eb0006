//! The validation programs of the OCI runtime-tools.

use std::fs;
use std::path::Path;

use integration_tests::engines::Room;

use crate::list::{List, built, native};

/// Whether a program says that everything holds, and that there was something to hold.
fn passes(dir: &Path, program: &str, runtime: &Path) -> bool {
    let room = Room::shared();
    let name = runtime.file_name().expect("a runtime has a name");
    let scratch = room.path(&format!("conformance-{}-{program}", name.to_string_lossy()));
    fs::create_dir_all(&scratch).expect("a directory of our own");
    let script = "cd \"$1\" && RUNTIME=$2 TMPDIR=$3 exec \"bin/$4\"";
    let (dir, runtime, scratch) = (
        dir.to_string_lossy(),
        runtime.to_string_lossy(),
        scratch.to_string_lossy(),
    );
    let args = ["-c", script, "sh", &dir, &runtime, &scratch, program];
    let output = room.run("sh", &args);
    let out = output.out();
    let results = |wanted: &str| {
        let lines = out.lines().filter(|line| line.starts_with(wanted));
        let counted = lines.filter(|line| !line.contains("# TODO") && !line.contains("# SKIP"));
        counted.count()
    };
    output.code == 0 && results("ok ") > 0 && results("not ok ") == 0
}

#[test]
fn the_validation_programs_pass_but_for_those_on_the_list() {
    let dir = built("runtime-tools");
    let native = native(Room::shared());
    let names = fs::read_dir(dir.join("bin")).expect("the programs are built");
    let names = names.map(|entry| entry.expect("our own directory").file_name());
    let mut names: Vec<String> = names.map(|name| name.to_string_lossy().into()).collect();
    names.sort();
    assert_eq!(names.len(), 58);
    let list = include_str!("../../conformance/runtime-tools/not-passed.toml");
    let list = List::read(list, &names);

    let wrong = list.differences(&names, |name, peer| match peer {
        Some(peer) => passes(&dir, name, Path::new(peer)),
        None => {
            // `killsig` signals a shell that may not have set its trap yet: who starts fast loses.
            let tries = if list.get(name).is_none() { 5 } else { 1 };
            (0..tries).any(|_| passes(&dir, name, native))
        }
    });
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
