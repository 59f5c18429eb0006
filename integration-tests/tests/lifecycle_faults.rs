//! Two creates of one id, create beside delete, no space for state, a state directory that cannot be
//! written, hooks that fail, cgroups that vanish, many containers: nothing is left, and the id can be
//! used again. Being killed is `lifecycle_killed.rs`.

#![allow(clippy::unwrap_used, reason = "a test ends where it must not go on")]

mod containers;

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::process::Stdio;
use std::sync::Mutex;

use containers::{Node, cgroups_of, unique, wait_until};

/// Their points in time are worth most when nothing else runs: one at a time.
static ALONE: Mutex<()> = Mutex::new(());

/// Pids of a container's processes that live, the waiting one included.
fn inside(id: &str) -> BTreeSet<String> {
    std::fs::read_dir("/proc")
        .unwrap()
        .flatten()
        .filter(|entry| {
            let line = std::fs::read(entry.path().join("cmdline")).unwrap_or_default();
            let cgroup = std::fs::read_to_string(entry.path().join("cgroup")).unwrap_or_default();
            line.starts_with(b"megarun\0init\0") && cgroup.contains(id)
        })
        .map(|entry| entry.file_name().to_string_lossy().into_owned())
        .collect()
}

/// The namespaces of a process, by the names that the kernel has for them; none of one that is gone.
fn namespaces_of(process: &str) -> BTreeSet<PathBuf> {
    let all = std::fs::read_dir(format!("/proc/{process}/ns"));
    let all = all.into_iter().flatten().flatten();
    all.filter_map(|entry| std::fs::read_link(entry.path()).ok())
        .collect()
}

#[test]
fn of_two_creates_of_one_id_one_succeeds() {
    let _alone = ALONE
        .lock()
        .unwrap_or_else(|poisoned| poisoned.into_inner());
    let node = Node::new();
    for _ in 0..10 {
        let id = unique("twice");
        let bundle = node.bundle(&id, &["/bin/loop"]).named(&id);
        let path = bundle.path.to_str().unwrap();
        let start = || {
            node.command(&["create", "--bundle", path, &id])
                .stdout(Stdio::null())
                .stderr(Stdio::null())
                .spawn()
                .unwrap()
        };
        let mut both = [start(), start(), start()];
        let codes: Vec<_> = both
            .iter_mut()
            .map(|one| one.wait().unwrap().code())
            .collect();
        let succeeded = codes.iter().filter(|code| **code == Some(0)).count();
        assert_eq!(succeeded, 1, "{codes:?}");
        assert_eq!(node.status(&id), "created");
        node.run(&["delete", "--force", &id]).success();
        node.assert_nothing_left(&id);
    }
}

#[test]
fn without_space_for_its_state_create_fails_and_leaves_nothing() {
    let _alone = ALONE
        .lock()
        .unwrap_or_else(|poisoned| poisoned.into_inner());
    let node = Node::new();
    let id = unique("full");
    let bundle = node.bundle("b", &["/bin/loop"]).named(&id);
    let root = node.at("run");
    std::fs::create_dir_all(&root).unwrap();
    let mount = |args: &[&str]| {
        assert!(
            std::process::Command::new(args[0])
                .args(&args[1..])
                .status()
                .unwrap()
                .success()
        );
    };
    // So many blocks that each of the files fails in turn.
    for blocks in 1..6 {
        let size = format!("size={}k,mode=700", blocks * 4);
        mount(&[
            "mount",
            "-t",
            "tmpfs",
            "-o",
            &size,
            "tmpfs",
            root.to_str().unwrap(),
        ]);
        let output = node.create(&bundle, &id);
        if output.code != 0 {
            assert!(output.err.contains("No space left"), "{}", output.err);
            node.assert_nothing_left(&id);
            assert!(inside(&id).is_empty());
        } else {
            node.run(&["delete", "--force", &id]).success();
        }
        mount(&["umount", root.to_str().unwrap()]);
    }
}

#[test]
fn a_create_that_fails_late_unmakes_everything() {
    let _alone = ALONE
        .lock()
        .unwrap_or_else(|poisoned| poisoned.into_inner());
    let node = Node::new();
    for (what, change) in [
        (
            "mount",
            serde_json::json!({"destination": "/x", "type": "tmpfs", "source": "tmpfs", "options": ["nonsense=1"]}),
        ),
        (
            "source",
            serde_json::json!({"destination": "/x", "type": "bind", "source": "/nonexistent"}),
        ),
        (
            "type",
            serde_json::json!({"destination": "/x", "type": "nosuchfs", "source": "x"}),
        ),
    ] {
        let id = unique("late");
        let bundle = node.bundle(&id, &["/bin/loop"]).named(&id);
        bundle.edit(|config| config["mounts"].as_array_mut().unwrap().push(change));
        node.create(&bundle, &id).refused(&[]);
        node.assert_nothing_left(&id);
        assert!(inside(&id).is_empty(), "{what}");
    }
    let id = unique("hook");
    let bundle = node.bundle(&id, &["/bin/loop"]).named(&id);
    let ran = node.at("poststop");
    bundle.edit(|config| {
        config["hooks"] = serde_json::json!({
            "createRuntime": [{"path": "/bin/sh", "args": ["sh", "-c", "echo broken >&2; exit 1"]}],
            "poststop": [{"path": "/bin/sh", "args": ["sh", "-c", format!("touch {}", ran.display())]}],
        });
    });
    node.create(&bundle, &id)
        .refused(&["createRuntime", "broken"]);
    node.assert_nothing_left(&id);
    assert!(
        ran.exists(),
        "what createRuntime made is undone by poststop"
    );
    assert!(cgroups_of(&id).is_empty());
}

#[test]
fn a_state_directory_that_cannot_be_written_is_named() {
    let _alone = ALONE
        .lock()
        .unwrap_or_else(|poisoned| poisoned.into_inner());
    let node = Node::new();
    let id = unique("readonly");
    let bundle = node.bundle("b", &["/bin/loop"]).named(&id);
    let root = node.at("run");
    std::fs::create_dir_all(&root).unwrap();
    let mount = |args: &[&str]| {
        let status = std::process::Command::new(args[0])
            .args(&args[1..])
            .status();
        assert!(status.unwrap().success(), "{args:?}");
    };
    let root_text = root.to_str().unwrap();
    mount(&[
        "mount",
        "-t",
        "tmpfs",
        "-o",
        "ro,mode=700",
        "tmpfs",
        root_text,
    ]);
    let output = node.create(&bundle, &id);
    mount(&["umount", root_text]);
    output.refused(&["Read-only file system", root_text]);
    node.assert_nothing_left(&id);
    assert!(inside(&id).is_empty());
}

/// A cgroup of somebody else's, frozen while this is there.
struct Frozen(PathBuf);

impl Frozen {
    fn new(name: &str) -> Self {
        let dir = PathBuf::from("/sys/fs/cgroup/freezer").join(name);
        std::fs::create_dir(&dir).expect("the host of the tests has the freezer of cgroup v1");
        let frozen = Self(dir);
        frozen.set("FROZEN");
        frozen
    }

    fn set(&self, state: &str) {
        std::fs::write(self.0.join("freezer.state"), state).unwrap();
    }
}

impl Drop for Frozen {
    fn drop(&mut self) {
        self.set("THAWED");
        wait_until("it is removed", || std::fs::remove_dir(&self.0).is_ok());
    }
}

#[test]
fn frozen_cgroups_are_refused_and_nobody_waits_in_them() {
    let _alone = ALONE
        .lock()
        .unwrap_or_else(|poisoned| poisoned.into_inner());
    let (node, id) = (Node::new(), unique("frozen"));
    let bundle = node.bundle("b", &["/bin/loop"]).named(&id);
    let own = format!("megarun-test-{id}");
    {
        let frozen = Frozen::new(&own);
        node.create(&bundle, &id)
            .refused(&["unexpectedly frozen", "linux.cgroupsPath"]);
        // It was there before.
        assert!(frozen.0.is_dir());
    }
    let above = format!("frozen-above-{id}");
    {
        let _frozen = Frozen::new(&above);
        bundle.edit(|config| config["linux"]["cgroupsPath"] = format!("/{above}/{own}").into());
        node.create(&bundle, &id).refused(&["unexpectedly frozen"]);
    }
    for hierarchy in std::fs::read_dir("/sys/fs/cgroup").unwrap().flatten() {
        // Those above a container's own stay, as with crun.
        let _ = std::fs::remove_dir(hierarchy.path().join(&above));
    }
    node.assert_nothing_left(&id);
    assert!(inside(&id).is_empty());
}

#[test]
fn whoever_was_frozen_elsewhere_is_removed_too() {
    let _alone = ALONE
        .lock()
        .unwrap_or_else(|poisoned| poisoned.into_inner());
    let (node, id) = (Node::new(), unique("elsewhere"));
    let bundle = node.bundle("b", &["/bin/loop"]).named(&id);
    node.create(&bundle, &id).success();
    node.run(&["start", &id]).success();
    let pid = node.pid(&id);
    let elsewhere = Frozen::new(&format!("frozen-elsewhere-{id}"));
    std::fs::write(elsewhere.0.join("cgroup.procs"), pid.to_string()).unwrap();
    node.run(&["delete", "--force", &id]).success();
    assert!(!PathBuf::from(format!("/proc/{pid}/exe")).exists());
    node.assert_nothing_left(&id);
}

#[test]
fn cgroups_that_vanish_are_no_obstacle_to_delete() {
    let _alone = ALONE
        .lock()
        .unwrap_or_else(|poisoned| poisoned.into_inner());
    let node = Node::new();
    let id = unique("vanish");
    let bundle = node.bundle("b", &["/bin/exit7"]).named(&id);
    node.create(&bundle, &id).success();
    node.run(&["start", &id]).success();
    node.wait_for(&id, "stopped");
    for dir in cgroups_of(&id) {
        // Threads of a process that has stopped may be there a moment longer.
        wait_until(&format!("{dir:?} is removed"), || {
            std::fs::remove_dir(&dir).is_ok()
        });
    }
    assert_eq!(node.status(&id), "stopped");
    node.run(&["delete", &id]).success();
    node.assert_nothing_left(&id);
}

#[test]
fn a_create_beside_deletes_is_whole_or_nothing() {
    let _alone = ALONE
        .lock()
        .unwrap_or_else(|poisoned| poisoned.into_inner());
    let node = Node::new();
    let id = unique("beside");
    let bundle = node.bundle("b", &["/bin/loop"]).named(&id);
    let path = bundle.path.to_str().unwrap();
    for _ in 0..10 {
        let start = |args: &[&str]| {
            let mut command = node.command(args);
            command.stdout(Stdio::null()).stderr(Stdio::null());
            command.spawn().unwrap()
        };
        let mut all = [
            start(&["create", "--bundle", path, &id]),
            start(&["delete", "--force", &id]),
            start(&["delete", "--force", &id]),
        ];
        let created = all[0].wait().unwrap().success();
        for delete in &mut all[1..] {
            delete.wait().unwrap();
        }
        // Deleted when it was there, or never made: what says it is there can be started.
        if created && node.run(&["state", &id]).code == 0 {
            node.run(&["start", &id]).success();
        }
        node.run(&["delete", "--force", &id]).success();
        node.assert_nothing_left(&id);
        assert!(inside(&id).is_empty());
    }
}

#[test]
fn two_hundred_at_once_and_a_thousand_in_turn_leave_nothing() {
    let _alone = ALONE
        .lock()
        .unwrap_or_else(|poisoned| poisoned.into_inner());
    let node = Node::new();
    let base = unique("many");
    let bundle = node.bundle("b", &["/bin/exit7"]);
    bundle.edit(|config| {
        // Each has its own, of its id.
        config["linux"]
            .as_object_mut()
            .unwrap()
            .remove("cgroupsPath");
    });
    let before = std::fs::read_dir("/proc/self/fd").unwrap().count();
    let turn = |id: &str| {
        node.create(&bundle, id).success();
        node.run(&["start", id]).success();
        node.run(&["delete", "--force", id]).success();
    };
    (0..1000).for_each(|n| turn(&format!("{base}-turn-{n}")));
    let ids: Vec<String> = (0..200).map(|n| format!("{base}-{n}")).collect();
    for id in &ids {
        node.create(&bundle, id).success();
    }
    let listed = node.run(&["list", "-q"]).success().out;
    assert_eq!(listed.lines().count(), ids.len());
    let own = namespaces_of("self");
    let made: Vec<BTreeSet<PathBuf>> = (ids.iter())
        .map(|id| &namespaces_of(&node.pid(id).to_string()) - &own)
        .collect();
    // Mounts, the host's name, queues, processes and the network.
    assert!(made.iter().all(|one| one.len() >= 5), "{made:?}");
    for id in &ids {
        node.run(&["start", id]).success();
    }
    for id in &ids {
        node.run(&["delete", "--force", id]).success();
    }
    let processes = std::fs::read_dir("/proc").unwrap().flatten();
    for process in processes.map(|entry| entry.file_name()) {
        let its = namespaces_of(&process.to_string_lossy());
        // All of one: the kernel gives the number of one that is gone to another.
        let left = made.iter().find(|one| one.is_subset(&its));
        assert_eq!(left, None, "{process:?} is still there");
    }
    let mounts = std::fs::read_to_string("/proc/self/mountinfo").unwrap();
    let work = node.at("");
    assert!(!mounts.contains(work.to_str().unwrap()), "{mounts}");
    assert_eq!(std::fs::read_dir(node.at("run")).unwrap().count(), 0);
    assert_eq!(std::fs::read_dir("/proc/self/fd").unwrap().count(), before);
    for hierarchy in std::fs::read_dir("/sys/fs/cgroup").unwrap().flatten() {
        let left = std::fs::read_dir(hierarchy.path())
            .into_iter()
            .flatten()
            .flatten();
        let left: Vec<_> = left
            .map(|entry| entry.file_name().to_string_lossy().into_owned())
            .filter(|name| name.contains(&base))
            .collect();
        assert!(left.is_empty(), "{left:?}");
    }
}
