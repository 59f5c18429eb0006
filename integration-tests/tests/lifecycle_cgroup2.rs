//! Containers on a host that has cgroup v2 alone: each command runs in a mount namespace where
//! `/sys/fs/cgroup` is the unified hierarchy and no v1 hierarchy is mounted.

#![allow(clippy::unwrap_used, reason = "a test ends where it must not go on")]

mod containers;

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use containers::{Bundle, Node, Output, unique, wait_until};
use serde_json::{Value, json};

/// Makes `/sys/fs/cgroup` the unified hierarchy alone, then becomes the command.
const V2_ALONE: &str =
    "umount -R -l /sys/fs/cgroup && mount -t cgroup2 cgroup2 /sys/fs/cgroup && exec \"$@\"";

fn on_v2(command: &Command) -> Command {
    let mut wrapped = Command::new("unshare");
    wrapped.args([
        "--mount",
        "--propagation",
        "private",
        "sh",
        "-c",
        V2_ALONE,
        "sh",
    ]);
    wrapped.arg(command.get_program()).args(command.get_args());
    wrapped
}

/// A node with v2 alone and one container on it.
struct Container {
    node: Node,
    id: String,
}

impl Container {
    fn create(name: &str, edit: impl FnOnce(&mut Value)) -> Self {
        let (node, id) = (Node::new(), unique(name));
        let bundle: Bundle = node.bundle("b", &["/bin/loop"]).named(&id);
        bundle.edit(edit);
        let made = Self { node, id };
        let path = bundle.path.display().to_string();
        made.run(&["create", "--bundle", &path]).success();
        made
    }

    /// Runs a command of megarun on the container, whose id comes last.
    #[track_caller]
    fn run(&self, args: &[&str]) -> Output {
        let args = [args, &[self.id.as_str()]].concat();
        self.node.run_command(on_v2(&self.node.command(&args)))
    }

    fn state(&self) -> Value {
        serde_json::from_str(&self.run(&["state"]).success().out).unwrap()
    }

    fn pid(&self) -> u64 {
        self.state()["pid"].as_u64().unwrap()
    }

    /// A file of the container's cgroup, through whichever mount of the hierarchy this host has.
    fn file(&self, name: &str) -> PathBuf {
        let mounts = ["/sys/fs/cgroup/unified", "/sys/fs/cgroup"].map(PathBuf::from);
        let root = mounts
            .into_iter()
            .find(|root| root.join("cgroup.procs").exists())
            .expect("this host has cgroup v2 mounted");
        root.join(format!("megarun-test-{}", self.id)).join(name)
    }
}

impl Drop for Container {
    fn drop(&mut self) {
        // Where it was made: outside, its cgroup is not looked for in this hierarchy.
        let delete = self.node.command(&["delete", "--force", &self.id]);
        self.node.run_command(on_v2(&delete));
        let left = self.file("").exists();
        assert!(!left || std::thread::panicking(), "its cgroup is left");
    }
}

#[test]
fn the_whole_life_of_a_container() {
    let container = Container::create("v2life", |_| {});
    let pid = container.pid();
    let members = fs::read_to_string(container.file("cgroup.procs")).unwrap();
    assert_eq!(members.trim(), pid.to_string());
    let all = fs::read_to_string(format!("/proc/{pid}/cgroup")).unwrap();
    let unified = format!("0::/megarun-test-{}", container.id);
    assert!(all.lines().any(|line| line == unified), "{all}");

    container.run(&["start"]).success();
    assert_eq!(container.state()["status"], "running");
    let listed = container.run(&["ps", "--format", "json"]).success().out;
    assert_eq!(
        serde_json::from_str::<Value>(&listed).unwrap(),
        json!([pid])
    );

    container.run(&["pause"]).success();
    assert_eq!(container.state()["status"], "paused");
    let events = fs::read_to_string(container.file("cgroup.events")).unwrap();
    assert!(events.contains("frozen 1"), "{events}");
    container.run(&["resume"]).success();
    assert_eq!(container.state()["status"], "running");

    container.node.run_command(on_v2(&container.node.command(&[
        "kill",
        &container.id,
        "KILL",
    ])));
    wait_until("it stopped", || container.state()["status"] == "stopped");
    container.run(&["delete"]).success();
    assert!(!container.file("").exists(), "its cgroup is left");
}

#[test]
fn a_paused_container_is_deleted_by_force() {
    let container = Container::create("v2force", |_| {});
    container.run(&["start"]).success();
    container.run(&["pause"]).success();
    let pid = container.pid();
    container.run(&["delete", "--force"]).success();
    assert!(!container.file("").exists(), "its cgroup is left");
    wait_until("its process is gone", || {
        fs::read_to_string(format!("/proc/{pid}/stat")).map_or(true, |stat| stat.contains(") Z "))
    });
}

/// Whether a process of the container's cgroup can open the device.
fn can_open(container: &Container, device: &str) -> bool {
    let script = "echo 0 > \"$1\" && exec 3< \"$2\"";
    let output = Command::new("sh")
        .args(["-c", script, "sh"])
        .arg(container.file("cgroup.procs"))
        .arg(container.node.at(device))
        .output()
        .unwrap();
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(
        output.status.success() || error.contains("Operation not permitted"),
        "{error}"
    );
    output.status.success()
}

#[test]
fn devices_are_filtered_by_a_program() {
    let devices = |rules: Value| {
        let container = Container::create("v2devices", |config| {
            config["linux"]["resources"] = json!({"devices": rules});
        });
        let status = Command::new("mknod")
            .arg(container.node.at("kmsg"))
            .args(["c", "1", "11"])
            .status();
        assert!(status.unwrap().success(), "mknod");
        let zero = Command::new("mknod")
            .arg(container.node.at("zero"))
            .args(["c", "1", "5"])
            .status();
        assert!(zero.unwrap().success(), "mknod");
        (can_open(&container, "zero"), can_open(&container, "kmsg"))
    };
    let none = json!({"allow": false, "access": "rwm"});
    let kmsg = json!({"allow": true, "type": "c", "major": 1, "minor": 11, "access": "r"});
    assert_eq!(devices(json!([])), (true, true), "nothing is denied");
    assert_eq!(devices(json!([none])), (true, false), "all but the usual");
    assert_eq!(devices(json!([none, kmsg])), (true, true), "and one more");
}
