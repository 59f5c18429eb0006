//! The OCI runtime-tools' validation programs, on this runtime with native code allowed. What does
//! not pass is listed with its reason in `conformance/not-passed.toml`, and crun and runc are asked
//! the same.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use integration_tests::command::run;
use integration_tests::engines::Room;
use integration_tests::subject;
use serde::Deserialize;

#[derive(Deserialize)]
struct NotPassed {
    peers: Vec<String>,
    reason: String,
    /// Whether chance decides: then it may pass too, and nobody is asked.
    #[serde(default)]
    by_chance: bool,
}

/// Where the programs are: `make test` builds them, and again when their script has changed.
fn programs() -> PathBuf {
    let dir = Path::new(env!("CARGO_TARGET_TMPDIR")).join("conformance");
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("conformance/build.sh");
    let mut build = Command::new("timeout");
    // A test's own patience is shorter than the first build.
    build.arg("110").arg(script).arg(&dir);
    run(&mut build).success();
    dir
}

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
    let list = include_str!("../conformance/not-passed.toml");
    let list: BTreeMap<String, NotPassed> = toml::from_str(list).expect("a list with reasons");
    assert!(list.values().all(|entry| !entry.reason.is_empty()));
    let dir = programs();
    let room = Room::shared();
    let (config, native) = (room.path("native.toml"), room.path("megarun-native"));
    fs::write(&config, "native = \"allow\"\n").expect("writing the configuration");
    let (megarun, config) = (subject::megarun(), config.display().to_string());
    let script = format!(
        "#!/bin/sh\nexec {} --config {config} \"$@\"\n",
        megarun.display()
    );
    fs::write(&native, script).expect("writing the handler");
    fs::set_permissions(&native, fs::Permissions::from_mode(0o755)).expect("setting a mode");

    let names = fs::read_dir(dir.join("bin")).expect("the programs are built");
    let names = names.map(|entry| entry.expect("our own directory").file_name());
    let mut names: Vec<String> = names.map(|name| name.to_string_lossy().into()).collect();
    names.sort();
    assert_eq!(names.len(), 58);
    assert!(list.keys().all(|name| names.contains(name)));

    let mut wrong = Vec::new();
    for name in &names {
        let expected = list.get(name);
        if expected.is_some_and(|entry| entry.by_chance) {
            continue;
        }
        // `killsig` signals a shell that may not have set its trap yet: who starts fast loses.
        let tries = if expected.is_none() { 5 } else { 1 };
        let passed = (0..tries).any(|_| passes(&dir, name, &native));
        if passed != expected.is_none() {
            wrong.push(format!("megarun {name}: not as listed"));
        }
        for peer in ["crun", "runc"] {
            let Some(entry) = expected else { continue };
            if passes(&dir, name, Path::new(peer)) != entry.peers.iter().any(|own| own == peer) {
                wrong.push(format!("{peer} {name}: not as listed"));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
