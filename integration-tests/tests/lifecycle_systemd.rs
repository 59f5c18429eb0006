//! `--systemd-cgroup` against a systemd that the tests start: the first process of a pid namespace,
//! with its own `/run`, nothing but a target to reach, and a cgroup of every hierarchy to rule.

#![allow(clippy::unwrap_used, reason = "a test ends where it must not go on")]

mod containers;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use containers::{Node, Output, unique, wait_until};
use serde_json::{Value, json};

/// What `/sys/fs/cgroup` of the machine is.
#[derive(Clone, Copy, PartialEq)]
enum Hierarchies {
    /// Those of v1, with v2 for processes alone, as the tests' host has them.
    Hybrid,
    /// v2 alone.
    Unified,
}

/// A machine with systemd.
struct Systemd {
    unshare: Child,
    /// The cgroup that is the machine's root, by name.
    cgroup: String,
    node: Node,
}

/// $1 is the cgroup's name, $2 a folder with units and generators, $3 what mounts hierarchies.
const BOOT: &str = r#"
for at in /sys/fs/cgroup /sys/fs/cgroup/*; do
  [ -e "$at/cgroup.procs" ] || continue
  mkdir "$at/$1"
  for file in cpuset.cpus cpuset.mems; do
    [ -e "$at/$1/$file" ] && cat "$at/$file" >"$at/$1/$file"
  done
  echo 0 >"$at/$1/cgroup.procs"
done
exec unshare --mount --propagation private --pid --fork --kill-child --cgroup sh -ec '
  mount -t proc proc /proc
  hierarchies=$(sed -n "s/^[0-9]*:\([^:]*\):.*/\1/p" /proc/self/cgroup)
  umount -R -l /sys/fs/cgroup
  eval "$2"
  mount -t tmpfs -o mode=755 tmpfs /run
  exec env -i PATH="$PATH" container=other SYSTEMD_UNIT_PATH="$1/units" \
    SYSTEMD_GENERATOR_PATH="$1/generators" SYSTEMD_ENVIRONMENT_GENERATOR_PATH="$1/generators" \
    /lib/systemd/systemd --system --unit=wait.target --log-target=console
' sh "$2" "$3"
"#;

const HYBRID: &str = r#"
  mount -t tmpfs -o mode=755 tmpfs /sys/fs/cgroup
  for one in $hierarchies; do
    case $one in name=*) options=none,$one ;; *) options=$one ;; esac
    at=/sys/fs/cgroup/${one#name=}
    mkdir "$at"
    mount -t cgroup -o "$options" cgroup "$at"
  done
  mkdir /sys/fs/cgroup/unified
  mount -t cgroup2 cgroup2 /sys/fs/cgroup/unified
"#;

const UNIFIED: &str = "mount -t cgroup2 cgroup2 /sys/fs/cgroup";

impl Systemd {
    fn boot(hierarchies: Hierarchies) -> Self {
        assert!(
            Path::new("/lib/systemd/systemd").exists(),
            "systemd is not installed: apt-get install systemd"
        );
        let node = Node::new();
        let units = node.at("units");
        fs::create_dir_all(&units).unwrap();
        fs::create_dir_all(node.at("generators")).unwrap();
        fs::write(units.join("wait.target"), "[Unit]\nDescription=Nothing\n").unwrap();
        let cgroup = unique("megarun-test-systemd");
        let mounts = match hierarchies {
            Hierarchies::Hybrid => HYBRID,
            Hierarchies::Unified => UNIFIED,
        };
        let log = fs::File::create(node.at("systemd.log")).unwrap();
        let mut boot = Command::new("sh");
        boot.args(["-ec", BOOT, "sh", &cgroup]);
        boot.arg(node.dir.path()).arg(mounts);
        boot.stdin(Stdio::null());
        boot.stdout(log.try_clone().unwrap()).stderr(log);
        let unshare = boot.spawn().unwrap();
        let machine = Self {
            unshare,
            cgroup,
            node,
        };
        wait_until("systemd runs", || {
            // One that gave up has no children.
            let Some(first) = machine.first() else {
                return false;
            };
            Path::new(&format!("/proc/{first}/root/run/systemd/private")).exists()
        });
        // While it starts it tidies up the hierarchies, as no machine does that runs containers.
        wait_until("systemd has started", || {
            let mut running = Command::new("systemctl");
            running.arg("is-system-running");
            machine.run(&running).out == "running\n"
        });
        machine
    }

    /// The host's number of systemd's process.
    fn first(&self) -> Option<u32> {
        let pid = self.unshare.id();
        let children = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).ok()?;
        children.split_whitespace().next()?.parse().ok()
    }

    /// Runs a command on the machine.
    #[track_caller]
    fn run(&self, command: &Command) -> Output {
        let log = || fs::read_to_string(self.node.at("systemd.log")).unwrap();
        let first = self
            .first()
            .unwrap_or_else(|| panic!("systemd has ended: {}", log()));
        let mut inside = Command::new("nsenter");
        inside.args(["--target", &first.to_string()]);
        inside.args(["--mount", "--pid", "--cgroup", "--"]);
        inside.arg(command.get_program()).args(command.get_args());
        self.node.run_command(inside)
    }

    #[track_caller]
    fn megarun(&self, args: &[&str]) -> Output {
        let mut command = self.node.command(&["--systemd-cgroup"]);
        command.args(args);
        self.run(&command)
    }

    /// A property of a unit, as systemd tells it.
    #[track_caller]
    fn property(&self, unit: &str, name: &str) -> String {
        let mut show = Command::new("systemctl");
        show.args(["show", "--property", name, unit]);
        let line = self.run(&show).success().out;
        let value = line.trim_end().strip_prefix(&format!("{name}="));
        value.unwrap_or_else(|| panic!("{line}")).to_owned()
    }

    /// Whether systemd has the unit.
    fn has(&self, unit: &str) -> bool {
        self.property(unit, "LoadState") == "loaded"
    }

    /// Which of the cgroups the machine has are called this.
    fn cgroups(&self, name: &str) -> Vec<PathBuf> {
        self.folders()
            .into_iter()
            .filter(|at| at.file_name().is_some_and(|own| own == name))
            .collect()
    }

    /// Every cgroup of the machine, children first.
    fn folders(&self) -> Vec<PathBuf> {
        fn below(at: &Path, into: &mut Vec<PathBuf>) {
            for entry in fs::read_dir(at).into_iter().flatten().flatten() {
                if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                    below(&entry.path(), into);
                    into.push(entry.path());
                }
            }
        }
        let mut all = Vec::new();
        let mounted = fs::read_dir("/sys/fs/cgroup").into_iter().flatten();
        let roots = mounted.flatten().map(|entry| entry.path());
        for root in std::iter::once("/sys/fs/cgroup".into()).chain(roots) {
            let own = root.join(&self.cgroup);
            if own.is_dir() {
                below(&own, &mut all);
                all.push(own);
            }
        }
        all
    }
}

impl Drop for Systemd {
    fn drop(&mut self) {
        // With it goes the first process of the pid namespace, and with that all others.
        let _ = self.unshare.kill();
        let _ = self.unshare.wait();
        let gone = || {
            let folders = self.folders();
            folders
                .iter()
                .filter(|at| fs::remove_dir(at).is_err())
                .count()
                == 0
        };
        if !std::thread::panicking() {
            wait_until("the machine's cgroups are gone", gone);
        } else {
            gone();
        }
    }
}

impl Systemd {
    /// `create` of a container that does not end, in the cgroup that `linux.cgroupsPath` says.
    #[track_caller]
    fn create(&self, id: &str, cgroup: &str, edit: impl FnOnce(&mut Value)) -> Output {
        let bundle = self.node.bundle(&unique("b"), &["/bin/loop"]);
        bundle.edit(|config| {
            config["linux"]["cgroupsPath"] = json!(cgroup);
            config["linux"]["resources"] = json!({});
            edit(config);
        });
        self.megarun(&["create", "--bundle", bundle.path.to_str().unwrap(), id])
    }

    #[track_caller]
    fn status(&self, id: &str) -> String {
        let state = self.megarun(&["state", id]).success().out;
        let state: Value = serde_json::from_str(&state).unwrap();
        state["status"].as_str().unwrap().to_owned()
    }
}

/// The scope's life: made with its limits, changed, and gone with the container.
#[test]
fn a_container_is_a_scope_with_its_limits() {
    let machine = Systemd::boot(Hierarchies::Hybrid);
    let resources = json!({
        "memory": { "limit": 67_108_864 },
        "pids": { "limit": 50 },
        "cpu": { "shares": 1000, "quota": 50_000, "period": 100_000 },
    });
    let limited = |config: &mut Value| config["linux"]["resources"] = resources;
    machine
        .create("life", "machine.slice:tests:life", limited)
        .success();
    let scope = "tests-life.scope";
    let limits = || {
        let names = ["TasksMax", "MemoryLimit", "CPUShares", "CPUQuotaPerSecUSec"];
        names.map(|name| machine.property(scope, name))
    };
    let about = ["ActiveState", "Slice", "Delegate", "ControlGroup"];
    assert_eq!(
        about.map(|name| machine.property(scope, name)),
        [
            "active",
            "machine.slice",
            "yes",
            "/machine.slice/tests-life.scope"
        ]
    );
    assert_eq!(limits(), ["50", "67108864", "1000", "500ms"]);
    // One cgroup in each hierarchy, and the process that waits is in all of them.
    let cgroups = machine.cgroups(scope);
    assert!(cgroups.len() > 2, "{cgroups:?}");
    for cgroup in &cgroups {
        let members = fs::read_to_string(cgroup.join("cgroup.procs")).unwrap();
        assert_eq!(members.lines().count(), 1, "{}", cgroup.display());
    }
    machine.megarun(&["start", "life"]).success();
    let inside = machine.megarun(&["exec", "life", "/bin/hello"]);
    assert_eq!(inside.success().out, "hello\n");

    let update = [
        "update",
        "--memory",
        "134217728",
        "--pids-limit",
        "60",
        "life",
    ];
    machine.megarun(&update).success();
    assert_eq!(limits(), ["60", "134217728", "1000", "500ms"]);
    let memory = (cgroups.iter()).find(|at| at.join("memory.limit_in_bytes").exists());
    let limit = fs::read_to_string(memory.unwrap().join("memory.limit_in_bytes")).unwrap();
    assert_eq!(limit, "134217728\n");

    machine.megarun(&["kill", "life", "KILL"]).success();
    machine.megarun(&["delete", "--force", "life"]).success();
    assert!(!machine.has(scope));
    assert_eq!(machine.cgroups(scope), Vec::<PathBuf>::new());
}

#[test]
fn an_operator_stops_the_scope() {
    let machine = Systemd::boot(Hierarchies::Unified);
    machine
        .create("stopped", "machine.slice:tests:stopped", |_| {})
        .success();
    machine.megarun(&["start", "stopped"]).success();
    let scope = "tests-stopped.scope";
    assert_eq!(machine.cgroups(scope).len(), 1);
    let mut stop = Command::new("systemctl");
    stop.args(["stop", scope]);
    machine.run(&stop).success();
    wait_until("it has stopped", || machine.status("stopped") == "stopped");
    machine.megarun(&["delete", "stopped"]).success();
    assert!(!machine.has(scope));
    assert_eq!(machine.cgroups(scope), Vec::<PathBuf>::new());
}

/// What a create that fails leaves: no scope, no state.
#[test]
fn a_scope_goes_with_a_create_that_fails() {
    let machine = Systemd::boot(Hierarchies::Unified);
    machine
        .create("first", "machine.slice:tests:first", |_| {})
        .success();
    // The scope is another container's, also where its name is all that they share.
    for cgroup in ["machine.slice:tests:first", "other.slice:tests:first"] {
        let taken = machine.create("second", cgroup, |_| {});
        taken.refused(&["tests-first.scope"]);
    }
    machine
        .megarun(&["state", "second"])
        .refused(&["second", "does not exist"]);
    assert!(machine.has("tests-first.scope"));
    assert_eq!(machine.status("first"), "created");

    let failed = machine.create("late", "machine.slice:tests:late", |config| {
        config["mounts"].as_array_mut().unwrap().push(json!({
            "destination": "/data", "type": "bind", "source": "/does/not/exist", "options": ["bind"],
        }));
    });
    failed.refused(&["/does/not/exist"]);
    wait_until("its scope is gone", || !machine.has("tests-late.scope"));
    assert!(!machine.node.at("run/late").exists());

    let failed = machine.create("odd", "/not/three/parts", |_| {});
    failed.refused(&["linux.cgroupsPath", "/not/three/parts"]);
    machine.megarun(&["delete", "--force", "first"]).success();
}

#[test]
fn without_systemd_the_error_says_so() {
    let node = Node::new();
    let bundle = node.bundle("b", &["/bin/loop"]);
    bundle.edit(|config| config["linux"]["cgroupsPath"] = json!("machine.slice:tests:none"));
    let mut create = node.command(&["--systemd-cgroup", "create", "--bundle"]);
    create.arg(&bundle.path).arg("none");
    // Nobody listens there, also where the tests' host has a systemd.
    create.env("DBUS_SYSTEM_BUS_ADDRESS", "unix:path=/nobody/listens");
    let said = ["--systemd-cgroup", "/nobody/listens", "cgroupfs"];
    node.run_command(create).refused(&said);
    assert!(!node.at("run/none").exists());
}
