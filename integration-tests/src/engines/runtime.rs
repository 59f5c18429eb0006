//! A runtime without an engine: this one, crun or runc, each with a bundle of the test programs.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use serde_json::{Value, json};

use super::Room;
use crate::command::{Output, run, run_leaving};
use crate::subject;

/// A runtime with a state directory and a bundle of its own.
pub struct Runtime {
    /// Its name.
    pub name: &'static str,
    program: PathBuf,
    state: PathBuf,
    bundle: PathBuf,
}

impl Runtime {
    /// One with an empty bundle.
    ///
    /// # Panics
    ///
    /// When its directory cannot be made.
    pub fn bare(name: &'static str, test: &str) -> Self {
        let room = Room::shared();
        let path = |kind: &str| room.path(&format!("{kind}-{test}-{name}"));
        let (bundle, state) = (path("bundle"), path("state"));
        fs::create_dir(&bundle).expect("a directory of our own");
        let program = match name {
            "megarun" => subject::megarun(),
            name => name.into(),
        };
        Self {
            name,
            program,
            state,
            bundle,
        }
    }

    /// One with a bundle of the test programs, whose process sleeps.
    ///
    /// # Panics
    ///
    /// When the bundle cannot be made.
    pub fn new(name: &'static str, test: &str) -> Self {
        let (room, runtime) = (Room::shared(), Self::bare(name, test));
        let bundle = runtime.bundle.to_string_lossy().into_owned();
        if name == "megarun" {
            let mut command = Command::new(subject::megabin());
            command.args(["bundle", "-o", &bundle]);
            command.arg(room.path("images/built")).args(["--", "sleep"]);
            run(&mut command).success();
            fs::remove_file(runtime.bundle.join("config.json")).expect("the toolchain wrote it");
        } else {
            let native = room.path("images/native").display().to_string();
            let rootfs = runtime.bundle.join("rootfs").display().to_string();
            room.run("cp", &["-a", &native, &rootfs]).success();
        }
        let mut config = runtime.spec(&[]);
        config["process"]["terminal"] = json!(false);
        config["process"]["args"] = json!(["sleep", "1000"]);
        // No other test program on this machine uses it.
        let cgroup = format!("/megarun-room-{}-{test}-{name}", std::process::id());
        config["linux"]["cgroupsPath"] = json!(cgroup);
        // A host without CAP_SYS_RESOURCE may not raise them.
        config["process"]["rlimits"] = json!([]);
        fs::write(runtime.bundle.join("config.json"), config.to_string())
            .expect("writing config.json");
        runtime
    }

    /// The config.json that `spec` writes with these options.
    ///
    /// # Panics
    ///
    /// When it writes none.
    pub fn spec(&self, options: &[&str]) -> Value {
        let bundle = self.bundle.to_string_lossy();
        self.run(&[&["spec", "--bundle", &bundle][..], options].concat())
            .success();
        let bytes = fs::read(self.bundle.join("config.json")).expect("spec wrote it");
        serde_json::from_slice(&bytes).expect("spec writes JSON")
    }

    /// This runtime, runc and crun, for one test.
    pub fn all(test: &str) -> [Self; 3] {
        ["megarun", "runc", "crun"].map(|name| Self::new(name, test))
    }

    fn command(&self, args: &[&str]) -> Command {
        let root = format!("--root={}", self.state.display());
        Room::shared().command(&self.program, &[&[root.as_str()][..], args].concat())
    }

    /// Runs it with `args`.
    #[track_caller]
    pub fn run(&self, args: &[&str]) -> Output {
        run_leaving(&mut self.command(args))
    }

    /// The JSON document it prints on success.
    ///
    /// # Panics
    ///
    /// When it is none.
    #[track_caller]
    pub fn json(&self, args: &[&str]) -> Value {
        let out = self.run(args).success().out();
        serde_json::from_str(&out).unwrap_or_else(|error| panic!("{}: {error}: {out}", self.name))
    }

    /// Makes and starts a container.
    #[track_caller]
    pub fn start(&self, id: &str) {
        let bundle = self.bundle.to_string_lossy();
        self.run(&["create", "--bundle", &bundle, id]).success();
        self.run(&["start", id]).success();
    }
}
