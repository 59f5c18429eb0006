//! Killing create at many points, two creates of one id, no space for state: nothing is left, and
//! the id can be used again.

#![allow(clippy::unwrap_used, reason = "a test ends where it must not go on")]

mod containers;

use std::collections::BTreeSet;
use std::process::Stdio;
use std::sync::Mutex;
use std::time::Duration;

use containers::{Node, cgroups_of, unique, wait_until};

/// Their points in time are worth most when nothing else runs: one at a time.
static ALONE: Mutex<()> = Mutex::new(());

/// Mounts of the host that concern the node's directory.
fn mounts(node: &Node) -> usize {
    let path = node.dir.path().display().to_string();
    let mountinfo = std::fs::read_to_string("/proc/self/mountinfo").unwrap();
    mountinfo
        .lines()
        .filter(|line| line.contains(&path))
        .count()
}

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

#[test]
fn a_create_that_is_killed_at_any_point_leaves_nothing_that_delete_does_not_remove() {
    let _alone = ALONE
        .lock()
        .unwrap_or_else(|poisoned| poisoned.into_inner());
    let node = Node::new();
    let id = unique("killed");
    let bundle = node.bundle("b", &["/bin/loop"]).named(&id);
    // Compiles once, so that the points below lie in create itself.
    node.create(&bundle, &id).success();
    node.run(&["delete", "--force", &id]).success();
    let path = bundle.path.to_str().unwrap();
    let mut outcomes = BTreeSet::new();
    for step in 0..60 {
        let mut create = node
            .command(&["create", "--bundle", path, &id])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        std::thread::sleep(Duration::from_micros(step * 500));
        let _ = create.kill();
        create.wait().unwrap();
        let state = node.run(&["state", &id]);
        outcomes.insert(state.code);
        if state.code != 0 {
            // Not created: whoever waited inside died with its creator.
            wait_until("the process inside is gone", || inside(&id).is_empty());
        }
        if step % 2 == 0 {
            node.run(&["delete", "--force", &id]).success();
        } else if state.code != 0 {
            // Or the next create clears up by itself.
            node.create(&bundle, &id).success();
            node.run(&["delete", "--force", &id]).success();
        } else {
            node.run(&["delete", "--force", &id]).success();
        }
        node.assert_nothing_left(&id);
        wait_until("the process inside is gone", || inside(&id).is_empty());
    }
    assert!(
        outcomes.len() > 1,
        "every create was killed on the same side of its end"
    );
    assert_eq!(mounts(&node), 0);
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
