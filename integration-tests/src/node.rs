//! A node of its own for a test: a key, a configuration, a state directory,
//! and the runtime on them. Everything it made is removed when it is dropped.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::command::{Output, run};
use crate::subject;

/// A node with one trusted key, `test`, and compiled code that all tests share.
pub struct Node {
    dir: tempfile::TempDir,
}

impl Node {
    /// Makes the node.
    ///
    /// # Panics
    ///
    /// When this is not root, or the toolchain cannot make a key.
    pub fn new() -> Self {
        subject::require_root();
        // Below /run only root writes: a configuration elsewhere could be another's.
        let dir = tempfile::Builder::new()
            .prefix("megarun-test-")
            .tempdir_in("/run")
            .expect("a directory below /run");
        let node = Self { dir };
        megabin(
            &["keygen", "--key-id", "test", "--out"],
            &[&node.path("trust")],
        )
        .success();
        let config = format!(
            "trust = [{:?}]\naudit = {:?}\ncache = {:?}\n",
            node.path("trust"),
            node.path("audit.jsonl"),
            subject::artifacts(),
        );
        fs::write(node.path("config.toml"), config).expect("writing the configuration");
        node
    }

    /// A path in this node's directory.
    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// Builds and signs a recipe, and makes a bundle `name` of it that runs
    /// `argv` on a root file system it may write to.
    ///
    /// # Panics
    ///
    /// When the toolchain refuses.
    pub fn bundle(&self, recipe: &Path, name: &str, argv: &[&str]) -> PathBuf {
        let built = self.path(&format!("{name}.built"));
        if !built.exists() {
            let key = self.path("trust").join("test.key");
            megabin(
                &["build", "--key"],
                &[&key, recipe, Path::new("-o"), &built],
            )
            .success();
        }
        let bundle = self.path(name);
        let mut command = Command::new(subject::megabin());
        command.arg("bundle").arg(&built).arg("-o").arg(&bundle);
        command
            .args(["--writable", "--env", "PATH=/usr/bin:/bin", "--"])
            .args(argv);
        run(&mut command).success();
        bundle
    }

    /// The runtime on this node, with `args`.
    pub fn megarun(&self, args: &[&str]) -> Command {
        let mut command = Command::new(subject::megarun());
        command
            .arg("--root")
            .arg(self.path("state"))
            .arg("--config")
            .arg(self.path("config.toml"))
            .args(args);
        command
    }

    /// What stands in the state directory: nothing, when nothing was left behind.
    pub fn containers(&self) -> Vec<String> {
        let Ok(entries) = fs::read_dir(self.path("state")) else {
            return Vec::new();
        };
        let names = entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
        names.filter(|name| !name.starts_with('.')).collect()
    }
}

impl Default for Node {
    fn default() -> Self {
        Self::new()
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        for id in self.containers() {
            let _ = run(&mut self.megarun(&["delete", "--force", &id]));
        }
    }
}

/// Runs the toolchain with `args`, then `paths`.
pub fn megabin(args: &[&str], paths: &[&Path]) -> Output {
    run(Command::new(subject::megabin()).args(args).args(paths))
}
