//! Containers full of processes: who sees whom, what a bomb comes to, and what thousands of kills
//! leave behind. dash and toybox make the processes; the real runtime runs them.

#![allow(clippy::unwrap_used, reason = "a test ends where it must not go on")]

use std::io::{BufRead, BufReader, Write};
use std::path::PathBuf;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::{Arc, Mutex, Weak};
use std::time::{Duration, Instant};

use integration_tests::command::{Output, run, run_leaving};
use integration_tests::node::Node;
use integration_tests::{scratch, subject};
use serde_json::{Value, json};

const PATIENCE: Duration = Duration::from_secs(60);

/// A node with the container of `guests/recipes/shell.toml`.
struct Shell {
    node: Node,
    bundle: PathBuf,
}

/// One for all tests that run at a time: removed with the last of them.
fn shell() -> Arc<Shell> {
    static SHELL: Mutex<Weak<Shell>> = Mutex::new(Weak::new());
    let mut shell = SHELL.lock().unwrap();
    shell.upgrade().unwrap_or_else(|| {
        let node = Node::new();
        let bundle = node.bundle(&subject::recipe("shell"), "shell", &["/bin/sh"]);
        let made = Arc::new(Shell { node, bundle });
        *shell = Arc::downgrade(&made);
        made
    })
}

/// A container that runs a script, with its ends in hand.
struct Running {
    shell: Arc<Shell>,
    id: String,
    child: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
    bundle: PathBuf,
}

impl Running {
    fn start(name: &str, script: &str, edit: impl FnOnce(&mut Value)) -> Self {
        let shell = shell();
        let id = format!("living-{name}-{}", std::process::id());
        let bundle = shell.node.path(&id);
        scratch::copy(&shell.bundle, &bundle);
        let path = bundle.join("config.json");
        let mut config: Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
        config["process"]["args"] = json!(["/bin/sh", "-c", script]);
        edit(&mut config);
        std::fs::write(&path, config.to_string()).unwrap();
        let place = bundle.to_str().unwrap();
        let mut command = shell.node.megarun(&["run", "--bundle", place, &id]);
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        Self {
            shell,
            id,
            input: child.stdin.take().unwrap(),
            output: BufReader::new(child.stdout.take().unwrap()),
            child,
            bundle,
        }
    }

    /// The next line it says.
    #[track_caller]
    fn line(&mut self) -> String {
        let mut line = String::new();
        self.output.read_line(&mut line).unwrap();
        line.trim_end().to_owned()
    }

    #[track_caller]
    fn says(&mut self, wanted: &str) {
        assert_eq!(self.line(), wanted);
    }

    fn tell(&mut self, line: &str) {
        self.input.write_all(line.as_bytes()).unwrap();
        self.input.write_all(b"\n").unwrap();
    }

    fn megarun(&self, args: &[&str]) -> Command {
        let mut args = args.to_vec();
        args.insert(args.iter().position(|arg| *arg == "ID").unwrap(), &self.id);
        args.retain(|arg| *arg != "ID");
        self.shell.node.megarun(&args)
    }

    fn ask(&self, args: &[&str]) -> Output {
        run(&mut self.megarun(args))
    }

    /// What the host's `ps` shows of the guests.
    fn processes(&self) -> Vec<Value> {
        let shown = self.ask(&["ps", "--virtual", "--format", "json", "ID"]);
        serde_json::from_slice(&shown.success().stdout).unwrap()
    }

    /// The process of the host that its kernel is.
    fn host_pid(&self) -> i64 {
        let state = self.ask(&["state", "ID"]).success();
        let state: Value = serde_json::from_slice(&state.stdout).unwrap();
        state["pid"].as_i64().unwrap()
    }

    /// Its exit code, once it has ended; nothing of it is left then.
    #[track_caller]
    fn ends(mut self) -> i32 {
        drop(self.input);
        let started = Instant::now();
        let status = loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                break status;
            }
            if started.elapsed() > PATIENCE {
                let _ = run(&mut self.shell.node.megarun(&["delete", "--force", &self.id]));
                panic!("it did not end");
            }
            std::thread::sleep(Duration::from_millis(5));
        };
        assert!(!self.shell.node.containers().contains(&self.id));
        std::fs::remove_dir_all(&self.bundle).unwrap();
        status.code().unwrap()
    }
}

#[test]
fn the_guests_processes_are_seen_from_inside_and_from_outside() {
    // The second is called something that would clear a terminal and make a line of its own. By the
    // time of `ps` the shell waits for it, which on a busy host it need not yet when it has begun.
    let mut container = Running::start(
        "ps",
        r#"sh -c '/usr/bin/true & exec sleep 1000' &
           sh -c 'kill -STOP $$; :' "$(printf '\033[2J\n1 0 fake')" &
           echo ready
           read go
           (sleep 0.2; exec ps -e -o PID,PPID,S,CMD)
           ls /proc/2 /proc/self/ | tr '\n' ' '; echo
           for secret in environ fd maps root; do test -e /proc/2/$secret && echo $secret; done
           read go"#,
        |_| {},
    );
    container.says("ready");
    let named = |processes: &[Value], program: &str, state: &str| {
        let fits = |one: &&Value| one["program"] == program && one["state"] == state;
        processes.iter().find(fits).cloned()
    };
    let started = Instant::now();
    let all = loop {
        let all = container.processes();
        let there = all.len() == 4
            && named(&all, "/usr/bin/toybox", "sleeping").is_some()
            && named(&all, "/usr/bin/toybox", "zombie").is_some()
            && named(&all, "/bin/sh", "stopped").is_some();
        if there {
            break all;
        }
        assert!(started.elapsed() < PATIENCE, "never came: {all:?}");
        std::thread::sleep(Duration::from_millis(5));
    };
    let host = container.host_pid();
    let first = &all[0];
    assert_eq!((&first["pid"], &first["ppid"]), (&json!(1), &json!(0)));
    assert_eq!(first["args"][0], "/bin/sh");
    assert!(all.iter().all(|one| one["host_pid"] == host));
    let sleeper = named(&all, "/usr/bin/toybox", "sleeping").unwrap();
    assert_eq!(sleeper["args"], json!(["sleep", "1000"]));
    assert_eq!(sleeper["ppid"], 1);
    let stopped = named(&all, "/bin/sh", "stopped").unwrap();
    assert_eq!(stopped["args"][3], "\u{1b}[2J\n1 0 fake");
    // For people: one line each, and nothing that a terminal would obey.
    let table = container.ask(&["ps", "--virtual", "ID"]).success().out();
    assert_eq!(table.lines().count(), 5, "{table}");
    assert!(!table.contains('\u{1b}'), "{table:?}");
    assert!(
        table.starts_with(" HOST") || table.starts_with("HOST"),
        "{table}"
    );
    // What engines ask for is the host's processes, as ever.
    let plain = container.ask(&["ps", "--format", "json", "ID"]).success();
    assert_eq!(plain.out(), format!("[{host}]\n"));

    // Another kernel: one that `exec` made, gone when that has ended.
    let mut exec = container.megarun(&["exec", "ID", "/bin/sh", "-c", "echo in; read x"]);
    let mut exec = exec
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut said = String::new();
    let mut out = BufReader::new(exec.stdout.take().unwrap());
    out.read_line(&mut said).unwrap();
    let (all, kernels) = (container.processes(), |all: &[Value]| {
        let hosts = all.iter().map(|one| one["host_pid"].as_i64());
        hosts.collect::<std::collections::BTreeSet<_>>().len()
    });
    assert_eq!((all.len(), kernels(&all)), (5, 2), "{all:?}");
    drop(exec.stdin.take());
    exec.wait().unwrap();
    assert_eq!(kernels(&container.processes()), 1);
    for _ in 0..3 {
        container
            .ask(&["exec", "ID", "/bin/sh", "-c", ":"])
            .success();
    }
    let state = container.shell.node.path("state").join(&container.id);
    let sockets = std::fs::read_dir(&state).unwrap();
    let sockets = sockets.filter(|one| {
        let name = one.as_ref().unwrap().file_name();
        name.to_string_lossy().starts_with("ps.")
    });
    // Its own, and that of the last to have ended.
    assert!(sockets.count() <= 2);

    container.ask(&["pause", "ID"]).success();
    let refused = container.ask(&["ps", "--virtual", "ID"]);
    assert_ne!(refused.code, 0);
    assert!(
        refused.err().contains("megarun resume"),
        "{}",
        refused.err()
    );
    container.ask(&["resume", "ID"]).success();

    container.tell("go");
    let rows: Vec<String> = (0..6).map(|_| container.line()).collect();
    let cells = |row: &str| {
        row.split_whitespace()
            .map(str::to_owned)
            .collect::<Vec<_>>()
    };
    assert_eq!(cells(&rows[0]), ["PID", "PPID", "S", "CMD"]);
    let shown: Vec<_> = rows[1..]
        .iter()
        .map(|row| cells(row)[1..].join(" "))
        .collect();
    assert_eq!(shown[0], "0 S sh", "{rows:?}");
    for wanted in ["1 S sleep", "2 Z true", "1 T sh", "1 R ps"] {
        assert!(shown.iter().any(|row| row == wanted), "{rows:?}");
    }
    // Of the others what `ps` needs, of itself its descriptors besides, and nothing of the host's.
    container.says(
        "/proc/2: cmdline comm stat statm status  /proc/self: cmdline comm fd mounts stat statm status",
    );
    assert_eq!(container.ends(), 1);
}

#[test]
fn before_it_starts_a_container_has_no_processes() {
    let shell = shell();
    let (node, bundle) = (&shell.node, shell.bundle.to_str().unwrap());
    let id = format!("living-created-{}", std::process::id());
    run_leaving(&mut node.megarun(&["create", "--bundle", bundle, &id]));
    let shown = run(&mut node.megarun(&["ps", "--virtual", "-f", "json", &id])).success();
    assert_eq!(shown.out(), "[]\n");
    run(&mut node.megarun(&["delete", "--force", &id])).success();
}

#[test]
fn stages_of_a_pipeline_run_side_by_side_and_orphans_are_nobodys_burden() {
    let mut container = Running::start(
        "stages",
        r#"# Each stage waits for something that another does.
           { until [ -e /tmp/last ]; do sleep 0.01; done; echo first; } |
           { : >/tmp/middle; cat; } |
           { until [ -e /tmp/middle ]; do sleep 0.01; done; : >/tmp/last; cat; }
           (sleep 0.05 & (sleep 0.1 &) )
           until set -- /proc/[0-9]*; [ $# = 1 ]; do :; done
           echo alone $*
           wait; echo $?"#,
        |_| {},
    );
    container.says("first");
    container.says("alone /proc/1");
    container.says("0");
    assert_eq!(container.ends(), 0);
}

/// Processes that each start two of their kind and stay: without that the bomb is over where all of
/// them meet the limit at once.
const BOMB: &str = "bomb() { bomb | bomb & sleep 3600; }; bomb 2>/dev/null &";

#[test]
fn a_fork_bomb_meets_the_limit_on_processes_and_the_container_goes_on() {
    let script =
        format!("{BOMB} i=0; while [ $i -lt 100000 ]; do i=$((i+1)); done; echo on; read x");
    let mut container = Running::start("bomb", &script, |config| {
        config["process"]["rlimits"] = json!([{"type": "RLIMIT_NPROC", "soft": 60, "hard": 60}]);
    });
    container.says("on");
    let bombs = container.processes().len();
    assert!((10..=60).contains(&bombs), "{bombs}");
    // Another program finds its place.
    let other = container.ask(&["exec", "ID", "/bin/sh", "-c", "echo $(echo fine)"]);
    assert_eq!(other.success().out(), "fine\n");
    container.tell("enough");
    assert_eq!(container.ends(), 0);
}

#[test]
fn a_fork_bomb_meets_the_cgroups_limit_and_the_container_goes_on() {
    let script =
        format!("{BOMB} i=0; while [ $i -lt 100000 ]; do i=$((i+1)); done; echo on; read x");
    let mut container = Running::start("pids", &script, |config| {
        config["linux"]["resources"] = json!({"pids": {"limit": 40}});
    });
    container.says("on");
    // Every thread of the kernel counts, and the kernel still answers.
    assert!(burden(container.host_pid()).0 <= 40);
    assert!(container.processes().len() > 1);
    container.tell("enough");
    assert_eq!(container.ends(), 0);
}

/// How many threads and descriptors a process of the host has.
fn burden(pid: i64) -> (usize, usize) {
    let count = |what| {
        std::fs::read_dir(format!("/proc/{pid}/{what}"))
            .unwrap()
            .count()
    };
    (count("task"), count("fd"))
}

#[test]
fn thousands_of_kills_of_shells_that_fork_leave_nothing() {
    // What is killed forks, spawns, reads and fills pipes, sleeps, or has ended already.
    let mut container = Running::start(
        "kills",
        r#"# What has lost its parent is ended too.
           sweep() {
             while set -- /proc/[0-9]*; [ $# -gt 1 ]; do
               for p; do [ $p = /proc/1 ] || kill -9 ${p#/proc/}; done
               wait
             done
           }
           storm() {
             i=0
             while [ $i -lt $1 ]; do
               case $((i % 8)) in
                 0) (while :; do (:); done; :) & ;;
                 1) (while :; do true; done; :) & ;;
                 2) (yes | sleep 1000; :) & ;;
                 3) sleep 1000 & ;;
                 4) (x=$(sleep 1000); :) & ;;
                 5) (sleep 1000 | cat; :) & ;;
                 6) (sleep 1000 | (sleep 1000; :); :) & ;;
                 7) : & ;;
               esac
               case $((i / 8 % 3)) in
                 1) true ;;
                 2) (:) ;;
               esac
               kill -$((9 + i % 2 * 6)) $!
               wait $!
               i=$((i + 1))
               [ $((i % 80)) != 0 ] || sweep
             done
             sweep
             echo quiet
           }
           storm 16; read go; storm 2400; read go"#,
        |_| {},
    );
    container.says("quiet");
    let pid = container.host_pid();
    // Threads wait a second for another process before they end.
    let settled = || {
        let mut last = burden(pid);
        let started = Instant::now();
        let mut since = started;
        while since.elapsed() < Duration::from_secs(3) {
            assert!(started.elapsed() < PATIENCE, "it never came to rest");
            std::thread::sleep(Duration::from_millis(100));
            let now = burden(pid);
            if now != last {
                (last, since) = (now, Instant::now());
            }
        }
        last
    };
    let before = settled();
    container.tell("go");
    container.says("quiet");
    assert_eq!(container.processes().len(), 1);
    assert_eq!(settled(), before);
    container.tell("go");
    assert_eq!(container.ends(), 0);
}
