//! docker's daemon on directories of the room.

use std::fs::{self, File};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use super::Room;
use crate::command::{Output, run};
use crate::node::megabin;
use crate::subject;

/// A dockerd that runs.
pub struct Docker {
    room: &'static Room,
    /// Ends with the room.
    _daemon: Child,
}

impl Docker {
    /// The one of this test program, started when it is first asked for, with the guests' image.
    ///
    /// # Panics
    ///
    /// When it does not answer.
    pub fn shared() -> &'static Self {
        static SHARED: OnceLock<Docker> = OnceLock::new();
        SHARED.get_or_init(|| Self::start(Room::shared()))
    }

    fn start(room: &'static Room) -> Self {
        let path = |name: &str| room.path(name).display().to_string();
        let options = [
            format!("--data-root={}", path("docker.root")),
            format!("--exec-root={}", path("docker.exec")),
            format!("--pidfile={}", path("docker.pid")),
            format!("--host=unix://{}", path("docker.sock")),
            format!("--add-runtime=megarun={}", subject::megarun().display()),
            "--exec-opt=native.cgroupdriver=cgroupfs".to_owned(),
            "--storage-driver=overlay2".to_owned(),
            // The room's networks are its own: any will do.
            "--bip=172.30.0.1/24".to_owned(),
        ];
        let log = File::create(room.path("docker.log")).expect("a log of our own");
        let options: Vec<&str> = options.iter().map(String::as_str).collect();
        let daemon = room
            .daemon("dockerd", &options)
            .stdin(Stdio::null())
            .stdout(log.try_clone().expect("one more descriptor"))
            .stderr(log)
            .spawn()
            .expect("starting dockerd");
        let docker = Self {
            room,
            _daemon: daemon,
        };
        let started = Instant::now();
        while docker.run(&["version"]).code != 0 {
            let log = fs::read_to_string(room.path("docker.log")).unwrap_or_default();
            let waited = started.elapsed();
            assert!(waited < Duration::from_secs(60), "docker is silent: {log}");
            std::thread::sleep(Duration::from_millis(100));
        }
        let (archive, built) = (
            room.path("images/for-docker.tar"),
            room.path("images/built"),
        );
        let options = ["image", "--format", "docker", "-t", super::GUEST, "-o"];
        megabin(&options, &[&archive, &built]).success();
        docker
            .run(&["load", "-i", &archive.to_string_lossy()])
            .success();
        docker
    }

    /// `docker` with `args`.
    pub fn command(&self, args: &[&str]) -> Command {
        let host = format!("--host=unix://{}", self.room.path("docker.sock").display());
        self.room
            .command("docker", &[&[host.as_str()][..], args].concat())
    }

    /// Runs it.
    #[track_caller]
    pub fn run(&self, args: &[&str]) -> Output {
        run(&mut self.command(args))
    }

    /// What it prints on success, without the last newline.
    #[track_caller]
    pub fn says(&self, args: &[&str]) -> String {
        self.run(args).success().out().trim_end().to_owned()
    }
}
