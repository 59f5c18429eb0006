//! A container as `megabin build` writes it, whose programs `megabin run` runs: the developer's loop.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::command::{Output, run, run_with};
use crate::subject;

/// The programs of a recipe, linked, with the audit of what they execute.
pub struct Linked(tempfile::TempDir);

impl Linked {
    /// Links the recipe at `recipe`.
    pub fn new(recipe: &Path) -> Self {
        let folder = tempfile::tempdir().expect("a temporary directory");
        run(Command::new(subject::megabin())
            .arg("build")
            .arg(recipe)
            .arg("-o")
            .arg(folder.path()))
        .success();
        Self(folder)
    }

    /// Its root file system, which tests may change.
    pub fn root(&self) -> PathBuf {
        self.0.path().join("rootfs")
    }

    /// Every decision so far, one JSON object a line.
    pub fn audit(&self) -> String {
        fs::read_to_string(self.0.path().join("audit")).unwrap_or_default()
    }

    /// The command that runs a program.
    pub fn command(&self, line: &[&str]) -> Command {
        let mut command = Command::new(subject::megabin());
        command
            .args(["run", "--insecure-unsigned", "--audit"])
            .arg(self.0.path().join("audit"))
            .arg("--cache")
            .arg(subject::artifacts())
            .arg(self.0.path())
            .arg("--")
            .args(line);
        command
    }

    /// Runs a program with `stdin` as its standard input.
    pub fn run_with(&self, line: &[&str], stdin: &[u8]) -> Output {
        run_with(&mut self.command(line), stdin)
    }

    /// Runs a program without input.
    pub fn run(&self, line: &[&str]) -> Output {
        self.run_with(line, b"")
    }
}
