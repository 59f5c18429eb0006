//! containerd on directories of the room, driven with `ctr`.

use std::fs::{self, File};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use super::Room;
use crate::command::{Output, run};
use crate::subject;

/// A containerd that runs.
pub struct Containerd {
    room: &'static Room,
    /// Ends with the room.
    _daemon: Child,
}

impl Containerd {
    /// The one of this test program, started when it is first asked for, with the guests' image.
    ///
    /// # Panics
    ///
    /// When it does not answer.
    pub fn shared() -> &'static Self {
        static SHARED: OnceLock<Containerd> = OnceLock::new();
        SHARED.get_or_init(|| Self::start(Room::shared()))
    }

    fn start(room: &'static Room) -> Self {
        let path = |name: &str| room.path(name).display().to_string();
        let config = format!(
            "version = 2\nroot = \"{}\"\nstate = \"{}\"\n\
             disabled_plugins = [\"io.containerd.grpc.v1.cri\"]\n\
             [grpc]\naddress = \"{}\"\n[ttrpc]\naddress = \"{}\"\n",
            path("containerd.root"),
            path("containerd.state"),
            path("containerd.sock"),
            path("containerd.ttrpc"),
        );
        fs::write(room.path("containerd.toml"), config).expect("writing the configuration");
        let log = File::create(room.path("containerd.log")).expect("a log of our own");
        let daemon = room
            .daemon("containerd", &["--config", &path("containerd.toml")])
            .stdin(Stdio::null())
            .stdout(log.try_clone().expect("one more descriptor"))
            .stderr(log)
            .spawn()
            .expect("starting containerd");
        let containerd = Self {
            room,
            _daemon: daemon,
        };
        let started = Instant::now();
        while containerd.run(&["version"]).code != 0 {
            let log = fs::read_to_string(room.path("containerd.log")).unwrap_or_default();
            assert!(
                started.elapsed() < Duration::from_secs(30),
                "containerd is silent: {log}"
            );
            std::thread::sleep(Duration::from_millis(50));
        }
        containerd
            .run(&["image", "import", &path("images/guest.tar")])
            .success();
        containerd
    }

    /// A task's id that no other test program on this machine uses: cgroups are named by it.
    pub fn id(name: &str) -> String {
        format!("{name}-{}", std::process::id())
    }

    /// `ctr` with `args`, in which `RUNTIME` stands for the options that choose the runtime under
    /// test, and `CRUN` for those that choose crun.
    pub fn command(&self, args: &[&str]) -> Command {
        let (socket, megarun) = (self.room.path("containerd.sock"), subject::megarun());
        let (socket, megarun) = (socket.to_string_lossy(), megarun.to_string_lossy());
        let mut words = vec!["--address", &socket];
        for arg in args {
            match *arg {
                "RUNTIME" | "CRUN" => {
                    let program = match *arg {
                        "CRUN" => "/usr/bin/crun",
                        _ => &megarun,
                    };
                    let runtime = ["--runtime", "io.containerd.runc.v2"];
                    words.extend(runtime.into_iter().chain(["--runc-binary", program]));
                }
                arg => words.push(arg),
            }
        }
        self.room.command("ctr", &words)
    }

    /// Runs it.
    #[track_caller]
    pub fn run(&self, args: &[&str]) -> Output {
        run(&mut self.command(args))
    }

    /// Whether a task has this status, soon.
    pub fn becomes(&self, id: &str, status: &str) -> bool {
        let started = Instant::now();
        loop {
            let tasks = self.run(&["task", "ls"]).success().out();
            let line = tasks.lines().find(|line| line.starts_with(id));
            if line.is_some_and(|line| line.contains(status)) {
                return true;
            }
            if started.elapsed() > Duration::from_secs(20) {
                return false;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}
