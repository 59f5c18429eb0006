//! The runtime killed at each step of create, start, exec, run and delete, and the process inside
//! at each of its own: `delete --force`, or the next create, leaves nothing. What there is is
//! counted before and after: processes, mounts, cgroups, descriptors, files.

#![allow(clippy::unwrap_used, reason = "a test ends where it must not go on")]

mod containers;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Mutex, MutexGuard, PoisonError};

use containers::{Bundle, Node, cgroups_of, unique, wait_until};
use integration_tests::stepper::calls::{self, Stepped, Whom};
use serde_json::json;

/// Orphans are whose process they are left to: one at a time.
fn alone() -> MutexGuard<'static, ()> {
    static ALONE: Mutex<()> = Mutex::new(());
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Everything that a container can leave behind.
#[derive(Debug, PartialEq, Eq)]
struct Traces {
    /// This process takes over every orphan, so whatever is left is its child.
    processes: Vec<String>,
    mounts: Vec<String>,
    descriptors: usize,
    files: BTreeSet<PathBuf>,
    cgroups: Vec<PathBuf>,
}

impl Traces {
    fn of(node: &Node, id: &str) -> Self {
        let dir = node.dir.path();
        let mountinfo = std::fs::read_to_string("/proc/self/mountinfo").unwrap();
        let path = dir.display().to_string();
        let concerns = |line: &&str| line.contains(&path) || line.contains(id);
        let mut files = BTreeSet::new();
        list(dir, &mut files);
        // What was audited stays.
        files.remove(&node.at("audit.jsonl"));
        Self {
            processes: children(),
            mounts: mountinfo
                .lines()
                .filter(concerns)
                .map(str::to_owned)
                .collect(),
            descriptors: std::fs::read_dir("/proc/self/fd").unwrap().count(),
            files,
            cgroups: cgroups_of(id),
        }
    }
}

fn list(dir: &Path, files: &mut BTreeSet<PathBuf>) {
    for entry in std::fs::read_dir(dir).into_iter().flatten().flatten() {
        files.insert(entry.path());
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            list(&entry.path(), files);
        }
    }
}

/// Children of this process that live, after those that have ended are reaped.
fn children() -> Vec<String> {
    let mut status = 0;
    // SAFETY: a status that outlives the call; no child is waited for elsewhere meanwhile.
    while unsafe { libc::waitpid(-1, &raw mut status, libc::WNOHANG) } > 0 {}
    let own = std::process::id().to_string();
    let processes = std::fs::read_dir("/proc").unwrap().flatten();
    processes
        .filter_map(|entry| std::fs::read_to_string(entry.path().join("stat")).ok())
        .filter(|stat| {
            let after_name = stat.rsplit(") ").next().unwrap_or_default();
            after_name.split(' ').nth(1) == Some(&own)
        })
        .collect()
}

/// Calls that change nothing outside the process: killing before one is killing after the one
/// before. Of these every few are tried all the same.
const QUIET: [i64; 30] = [
    libc::SYS_read,
    libc::SYS_pread64,
    libc::SYS_mmap,
    libc::SYS_munmap,
    libc::SYS_mremap,
    libc::SYS_mprotect,
    libc::SYS_madvise,
    libc::SYS_brk,
    libc::SYS_fstat,
    libc::SYS_newfstatat,
    libc::SYS_statx,
    libc::SYS_fstatfs,
    libc::SYS_statfs,
    libc::SYS_lseek,
    libc::SYS_rt_sigaction,
    libc::SYS_rt_sigprocmask,
    libc::SYS_sigaltstack,
    libc::SYS_getrandom,
    libc::SYS_futex,
    libc::SYS_poll,
    libc::SYS_ppoll,
    libc::SYS_clock_gettime,
    libc::SYS_prlimit64,
    libc::SYS_readlink,
    libc::SYS_readlinkat,
    libc::SYS_getdents64,
    libc::SYS_close,
    libc::SYS_prctl,
    libc::SYS_fcntl,
    libc::SYS_capget,
];
const EVERY: usize = 16;
/// What the process inside makes is in namespaces that end with it: of its calls every few.
const EVERY_INSIDE: usize = 3;

fn points(whom: Whom, calls: &[i64]) -> Vec<usize> {
    let quiet = |at: usize| QUIET.contains(&calls[at]);
    let loud = |at: usize| at.is_multiple_of(EVERY) || !quiet(at) || (at > 0 && !quiet(at - 1));
    let every = match whom {
        Whom::Runtime => 1,
        Whom::Inside => EVERY_INSIDE,
    };
    (0..calls.len())
        .filter(|at| loud(*at))
        .step_by(every)
        .collect()
}

struct Scene {
    node: Node,
    bundle: Bundle,
    id: String,
}

impl Scene {
    fn new(name: &str) -> Self {
        // SAFETY: no pointers.
        unsafe { libc::prctl(libc::PR_SET_CHILD_SUBREAPER, 1) };
        let (node, id) = (Node::new(), unique(name));
        let bundle = node.bundle("b", &["/bin/loop"]).named(&id);
        bundle.edit(|config| {
            config["linux"]["resources"] = json!({
                "memory": {"limit": 268_435_456}, "pids": {"limit": 99}, "cpu": {"shares": 512}
            });
        });
        // Compiles once, and makes the state directory.
        node.create(&bundle, &id).success();
        node.run(&["delete", "--force", &id]).success();
        Self { node, bundle, id }
    }

    fn create(&self) -> Command {
        let pid_file = self.node.at("pid");
        self.quiet(&[
            "create",
            "--bundle",
            self.bundle.path.to_str().unwrap(),
            "--pid-file",
            pid_file.to_str().unwrap(),
            &self.id,
        ])
    }

    fn quiet(&self, args: &[&str]) -> Command {
        let mut command = self.node.command(args);
        command.stdout(Stdio::null()).stderr(Stdio::null());
        command
    }

    /// Runs what `command` gives after `prepare`, killed at each step; `check` says what must hold
    /// right afterwards. Then everything is removed, by delete and by create in turns, and compared.
    fn each_step(
        &self,
        whom: Whom,
        prepare: impl Fn(),
        command: impl Fn() -> Command,
        check: impl Fn(&Stepped),
    ) {
        let before = Traces::of(&self.node, &self.id);
        prepare();
        let whole = calls::run(&mut command(), whom, None);
        assert_eq!(whole.code, Some(0), "{whole:?}");
        self.remove(&before, "unkilled");
        let points = points(whom, &whole.calls);
        for (turn, at) in points.into_iter().enumerate() {
            prepare();
            let stepped = calls::run(&mut command(), whom, Some(at));
            let last = stepped.calls.last().unwrap();
            let what = format!("{whom:?} killed before call {at} ({last})");
            check(&stepped);
            if turn % 4 == 3 {
                // Whatever there is must go before the id is free again, or goes by itself.
                if self.node.run(&["state", &self.id]).code == 0 {
                    self.delete(&what);
                }
                let mut create = self.create();
                assert!(
                    create.status().unwrap().success(),
                    "{what}: the next create"
                );
            }
            self.remove(&before, &what);
        }
    }

    fn delete(&self, what: &str) {
        let output = self.node.run(&["delete", "--force", &self.id]);
        assert_eq!(output.code, 0, "{what}: {}", output.err);
    }

    fn remove(&self, before: &Traces, what: &str) {
        self.delete(what);
        let _ = std::fs::remove_file(self.node.at("pid"));
        let _ = std::fs::remove_file(self.node.at(".pid.new"));
        wait_until(&format!("{what}: every process has gone"), || {
            children().is_empty()
        });
        assert_eq!(&Traces::of(&self.node, &self.id), before, "{what}");
    }
}

fn started(scene: &Scene) {
    assert!(scene.create().status().unwrap().success());
    scene.node.run(&["start", &scene.id]).success();
}

#[test]
fn a_killed_create_leaves_nothing() {
    let _alone = alone();
    let scene = &Scene::new("create");
    // There is a container, or there is none; the process inside does not outlive it uncommitted.
    scene.each_step(Whom::Runtime, || (), || scene.create(), |_| ());
}

#[test]
fn a_create_whose_process_inside_is_killed_clears_up_by_itself() {
    let _alone = alone();
    let scene = &Scene::new("inside");
    scene.each_step(
        Whom::Inside,
        || (),
        || scene.create(),
        |stepped| {
            // The runtime lives, and says so.
            if stepped.code != Some(0) {
                assert_ne!(scene.node.run(&["state", &scene.id]).code, 0);
                assert!(cgroups_of(&scene.id).is_empty());
                assert!(!scene.node.at("run").join(&scene.id).exists());
            }
        },
    );
}

#[test]
fn a_killed_start_leaves_a_container_that_can_be_told_what_to_do() {
    let _alone = alone();
    let scene = &Scene::new("start");
    scene.each_step(
        Whom::Runtime,
        || assert!(scene.create().status().unwrap().success()),
        || scene.quiet(&["start", &scene.id]),
        |_| {
            // Created still, or started.
            if scene.node.status(&scene.id) == "created" {
                scene.node.run(&["start", &scene.id]);
            }
            let state = scene.node.run(&["state", &scene.id]).success().out;
            assert!(
                state.contains("created") || state.contains("running"),
                "{state}"
            );
        },
    );
}

#[test]
fn a_killed_exec_leaves_the_container_as_it_was() {
    let _alone = alone();
    let scene = &Scene::new("exec");
    for whom in [Whom::Runtime, Whom::Inside] {
        scene.each_step(
            whom,
            || started(scene),
            || scene.quiet(&["exec", &scene.id, "/bin/hello"]),
            |_| {
                assert_eq!(scene.node.status(&scene.id), "running");
                scene.node.run(&["exec", &scene.id, "/bin/hello"]).success();
            },
        );
    }
}

#[test]
fn what_a_killed_delete_leaves_the_next_removes() {
    let _alone = alone();
    let scene = &Scene::new("delete");
    scene.each_step(
        Whom::Runtime,
        || started(scene),
        || scene.quiet(&["delete", "--force", &scene.id]),
        |_| (),
    );
}
