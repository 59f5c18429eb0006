//! What does not pass, and the runtime that is asked.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use integration_tests::command::run;
use integration_tests::engines::Room;
use integration_tests::subject;
use serde::Deserialize;

/// Whom results are compared with.
pub const PEERS: [&str; 2] = ["crun", "runc"];

/// Why a test does not pass.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NotPassed {
    peers: Vec<String>,
    reason: String,
    /// Whether chance decides: then it may pass too, and nobody is asked.
    #[serde(default)]
    pub by_chance: bool,
}

/// The tests that do not pass, by name.
pub struct List(BTreeMap<String, NotPassed>);

impl List {
    /// Reads a list, all of whose tests must be among `names`.
    pub fn read(text: &str, names: &[String]) -> Self {
        let list: BTreeMap<String, NotPassed> = toml::from_str(text).expect("a list with reasons");
        for (name, entry) in &list {
            assert!(!entry.reason.is_empty(), "{name} has no reason");
            assert!(names.contains(name), "the suite has no test {name}");
            let known = entry.peers.iter().all(|peer| PEERS.contains(&&**peer));
            assert!(known, "{name} names somebody else than {PEERS:?}");
        }
        Self(list)
    }

    /// What is said of a test that does not pass.
    pub fn get(&self, name: &str) -> Option<&NotPassed> {
        self.0.get(name)
    }

    /// What is not as listed: `passes` says of a test whether this runtime passes it, where no peer
    /// is named, or else that peer, who is asked of listed tests only.
    pub fn differences(
        &self,
        names: &[String],
        mut passes: impl FnMut(&str, Option<&str>) -> bool,
    ) -> Vec<String> {
        let mut wrong = Vec::new();
        for name in names {
            let listed = self.get(name);
            if listed.is_some_and(|entry| entry.by_chance) {
                continue;
            }
            if passes(name, None) != listed.is_none() {
                wrong.push(format!("megarun {name}: not as listed"));
            }
            let Some(listed) = listed else { continue };
            for peer in PEERS {
                if passes(name, Some(peer)) != listed.peers.iter().any(|own| own == peer) {
                    wrong.push(format!("{peer} {name}: not as listed"));
                }
            }
        }
        wrong
    }
}

/// The runtime under test as an operator installs it for native containers: a handler with its own
/// configuration.
pub fn native(room: &Room) -> &'static Path {
    static HANDLER: OnceLock<PathBuf> = OnceLock::new();
    HANDLER.get_or_init(|| {
        let (config, handler) = (room.path("native.toml"), room.path("megarun-native"));
        fs::write(&config, "native = \"allow\"\n").expect("writing the configuration");
        let (megarun, config) = (subject::megarun(), config.display().to_string());
        let megarun = megarun.display();
        let script = format!("#!/bin/sh\nexec {megarun} --config {config} \"$@\"\n");
        fs::write(&handler, script).expect("writing the handler");
        fs::set_permissions(&handler, fs::Permissions::from_mode(0o755)).expect("setting a mode");
        handler
    })
}

/// Where a suite is: `make test` builds it, and again when its script has changed.
pub fn built(suite: &str) -> PathBuf {
    let dir = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("conformance/{suite}"));
    let script = format!("conformance/{suite}/build.sh");
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join(script);
    let mut build = Command::new("timeout");
    // A test's own patience is shorter than the first build.
    build.arg("110").arg(script).arg(&dir);
    run(&mut build).success();
    dir
}
