//! podman on directories of the room.

use std::fs;
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};

use super::{GUEST, NATIVE, Room};
use crate::command::{Output, run, run_with};
use crate::subject;

/// podman with one runtime.
#[derive(Clone, Copy)]
pub struct Podman<'r> {
    room: &'r Room,
    runtime: &'static str,
}

impl<'r> Podman<'r> {
    /// podman that uses `runtime`: `megarun` or `crun`.
    ///
    /// # Panics
    ///
    /// When the room's directory cannot be written.
    pub fn new(room: &'r Room, runtime: &'static str) -> Self {
        let config = room.path("containers.conf");
        if !config.exists() {
            let path = |name: &str| room.path(name).display().to_string();
            // Limits that a host without CAP_SYS_RESOURCE can set.
            let text = format!(
                "[containers]\ndefault_ulimits = [\"nofile=20000:20000\", \"nproc=20000:20000\"]\n\
                 [engine]\ncgroup_manager = \"cgroupfs\"\nevents_logger = \"file\"\n\
                 events_logfile_path = \"{}\"\ntmp_dir = \"{}\"\n\
                 runtime_supports_json = [\"crun\", \"megarun\"]\n\
                 runtime_supports_nocgroup = [\"crun\", \"megarun\"]\n\
                 [engine.runtimes]\ncrun = [\"/usr/bin/crun\"]\nmegarun = [\"{}\"]\n\
                 [network]\nnetwork_backend = \"cni\"\nnetwork_config_dir = \"{}\"\n\
                 cni_plugin_dirs = [\"/usr/lib/cni\"]\n",
                path("podman.events"),
                path("podman.tmp"),
                subject::megarun().display(),
                path("podman.net"),
            );
            fs::write(&config, text).expect("writing the configuration");
            let storage = format!(
                "[storage]\ndriver = \"overlay\"\ngraphroot = \"{}\"\nrunroot = \"{}\"\n",
                path("podman.root"),
                path("podman.run"),
            );
            fs::write(room.path("storage.conf"), storage).expect("writing the configuration");
        }
        Self { room, runtime }
    }

    /// The image of the test programs for this runtime.
    pub fn image(&self) -> &'static str {
        match self.runtime {
            "crun" => NATIVE,
            _ => GUEST,
        }
    }

    /// `podman` with `args`, in which `IMAGE` stands for this runtime's image.
    pub fn command(&self, args: &[&str]) -> Command {
        let args = args.iter().map(|arg| match *arg {
            "IMAGE" => self.image(),
            arg => arg,
        });
        let args: Vec<&str> = ["--runtime", self.runtime]
            .into_iter()
            .chain(args)
            .collect();
        let mut command = self.room.command("podman", &args);
        command
            .env("CONTAINERS_CONF", self.room.path("containers.conf"))
            .env("CONTAINERS_STORAGE_CONF", self.room.path("storage.conf"));
        command
    }

    /// Runs it with nothing on standard input.
    #[track_caller]
    pub fn run(&self, args: &[&str]) -> Output {
        run(&mut self.command(args))
    }

    /// Runs it with `stdin`.
    #[track_caller]
    pub fn run_with(&self, args: &[&str], stdin: &[u8]) -> Output {
        run_with(&mut self.command(args), stdin)
    }

    /// Runs it on a terminal.
    #[track_caller]
    pub fn on_terminal(&self, args: &[&str]) -> Output {
        let inner = self.command(args);
        let words = std::iter::once(inner.get_program()).chain(inner.get_args());
        let line: Vec<String> = words
            .map(|word| format!("'{}'", word.to_string_lossy()))
            .collect();
        let mut script = Command::new("script");
        script.args(["-qec", &line.join(" "), "/dev/null"]);
        for (name, value) in inner.get_envs() {
            script.env(name, value.unwrap_or_default());
        }
        run(&mut script)
    }

    /// What it prints on success, without the last newline.
    #[track_caller]
    pub fn says(&self, args: &[&str]) -> String {
        self.run(args).success().out().trim_end().to_owned()
    }

    /// A container that runs in the background, with options and command.
    #[track_caller]
    pub fn start(&self, options: &[&str], command: &[&str]) -> Container<'r> {
        self.start_of("IMAGE", options, command)
    }

    /// The same, of an image of the caller's.
    #[track_caller]
    pub fn start_of(&self, image: &str, options: &[&str], command: &[&str]) -> Container<'r> {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let name = format!("{}-{}", self.runtime, NEXT.fetch_add(1, Ordering::Relaxed));
        let args = [
            &["run", "-d", "--name", &name][..],
            options,
            &[image],
            command,
        ]
        .concat();
        self.run(&args).success();
        Container {
            podman: *self,
            name,
        }
    }
}

/// A container by its name; removed when dropped.
pub struct Container<'r> {
    podman: Podman<'r>,
    /// Its name.
    pub name: String,
}

impl Container<'_> {
    /// `podman` with `args`, in which `IT` stands for this container.
    pub fn command(&self, args: &[&str]) -> Command {
        self.podman.command(&self.named(args))
    }

    /// Runs it with nothing on standard input.
    #[track_caller]
    pub fn run(&self, args: &[&str]) -> Output {
        self.run_with(args, b"")
    }

    /// The same with `stdin`.
    #[track_caller]
    pub fn run_with(&self, args: &[&str], stdin: &[u8]) -> Output {
        self.podman.run_with(&self.named(args), stdin)
    }

    /// The same on a terminal.
    #[track_caller]
    pub fn on_terminal(&self, args: &[&str]) -> Output {
        self.podman.on_terminal(&self.named(args))
    }

    /// What it prints on success, without the last newline.
    #[track_caller]
    pub fn says(&self, args: &[&str]) -> String {
        self.run(args).success().out().trim_end().to_owned()
    }

    /// A field of `podman inspect`.
    #[track_caller]
    pub fn inspect(&self, field: &str) -> String {
        self.says(&["inspect", "--format", &format!("{{{{{field}}}}}"), "IT"])
    }

    /// The pid of its process, in the room.
    #[track_caller]
    pub fn pid(&self) -> u32 {
        self.inspect(".State.Pid").parse().expect("a pid")
    }

    fn named<'a>(&'a self, args: &[&'a str]) -> Vec<&'a str> {
        let name = |arg: &&'a str| if *arg == "IT" { &self.name } else { *arg };
        args.iter().map(name).collect()
    }
}

impl Drop for Container<'_> {
    fn drop(&mut self) {
        let _ = run(&mut self.podman.command(&["rm", "-f", "-t", "0", &self.name]));
    }
}
