//! Native programs, where the node's configuration allows them and nowhere else.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::PathBuf;

use integration_tests::command::{Output, run, run_leaving};
use integration_tests::node::Node;
use serde_json::{Value, json};

/// A node with a bundle of busybox.
struct Native {
    node: Node,
}

impl Native {
    fn new() -> Self {
        let native = Self { node: Node::new() };
        let bin = native.node.path("bundle/rootfs/bin");
        fs::create_dir_all(&bin).expect("a directory of our own");
        fs::create_dir(native.node.path("bundle/rootfs/etc")).expect("a directory of our own");
        fs::copy("/bin/busybox", bin.join("busybox"))
            .unwrap_or_else(|error| panic!("/bin/busybox: {error}; run `scripts/setup.sh test`"));
        symlink("busybox", bin.join("sh")).expect("making a link");
        let users = "root:x:0:0::/root:/bin/sh\nalice:x:1000:1000::/home/alice:/bin/sh\n";
        fs::write(native.node.path("bundle/rootfs/etc/passwd"), users).expect("writing a file");
        native.allow("allow");
        native
    }

    /// Sets what the node's configuration says.
    fn allow(&self, native: &str) {
        let text = format!(
            "native = \"{native}\"\ntrust = [{:?}]\n",
            self.node.path("trust")
        );
        fs::write(self.node.path("config.toml"), text).expect("writing the configuration");
    }

    /// Writes config.json for a shell that runs `script`.
    fn script(&self, script: &str, change: impl FnOnce(&mut Value)) -> &Self {
        let bundle = self.bundle();
        let mut spec = self.node.megarun(&["spec", "--bundle", &bundle]);
        let _ = fs::remove_file(self.config());
        run(&mut spec).success();
        let text = fs::read_to_string(self.config()).expect("spec wrote it");
        let mut config: Value = serde_json::from_str(&text).expect("spec writes JSON");
        config["process"]["terminal"] = json!(false);
        config["process"]["rlimits"] = json!([]);
        config["process"]["args"] = json!(["sh", "-c", script]);
        config["root"]["readonly"] = json!(false);
        change(&mut config);
        fs::write(self.config(), config.to_string()).expect("writing config.json");
        self
    }

    fn config(&self) -> PathBuf {
        self.node.path("bundle/config.json")
    }

    fn bundle(&self) -> String {
        self.node.path("bundle").display().to_string()
    }

    #[track_caller]
    fn run(&self, id: &str) -> Output {
        run(&mut self.node.megarun(&["run", "--bundle", &self.bundle(), id]))
    }
}

#[test]
fn a_native_program_runs_where_it_is_allowed_and_nowhere_else() {
    let native = Native::new();
    native.script("echo moon; exit 7", |_| ());
    let output = native.run("allowed");
    assert_eq!(
        (output.code, output.out().as_str()),
        (7, "moon\n"),
        "{}",
        output.err()
    );

    native.allow("deny");
    let output = native.run("denied");
    assert_ne!(output.code, 0);
    let words = output.err();
    assert!(
        words.contains("no megabinary") && words.contains("native"),
        "{words}"
    );
    assert!(native.node.containers().is_empty());
}

#[test]
fn a_manifest_that_does_not_hold_is_no_reason_to_run_natively() {
    let native = Native::new();
    native.script("echo moon", |_| ());
    let image = native.node.path("bundle/rootfs/.megabinary");
    fs::create_dir(&image).expect("a directory of our own");
    for text in ["", "{}", "not JSON"] {
        fs::write(image.join("manifest.json"), text).expect("writing a file");
        let output = native.run("damaged");
        assert_ne!(output.code, 0, "{text}");
        assert!(output.err().contains("manifest.json"), "{}", output.err());
        assert!(output.out().is_empty());
    }
    fs::remove_file(image.join("manifest.json")).expect("our own file");
    symlink("/nosuch", image.join("manifest.json")).expect("making a link");
    let output = native.run("linked");
    assert_ne!(output.code, 0);
    assert!(output.out().is_empty());
}

/// Whether the kernel mounts on what is attached nowhere: since Linux 6.15.
fn mounts_nowhere() -> bool {
    let release = fs::read_to_string("/proc/sys/kernel/osrelease").expect("procfs");
    let mut numbers = release
        .split(['.', '-'])
        .map(|part| part.parse().unwrap_or(0));
    let version: (u32, u32) = (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0));
    version >= (6, 15)
}

#[test]
fn without_a_mount_namespace_nothing_is_mounted_on_the_host() {
    let native = Native::new();
    let mounts = || fs::read_to_string("/proc/self/mountinfo").expect("procfs");
    let before = mounts();
    let script = "exec >/log 2>&1; busybox readlink /proc/self/ns/mnt; busybox ls /; \
                  echo x >/proc/sys/kernel/domainname; echo all; busybox sleep 1000";
    native.script(script, |config| {
        let namespaces = config["linux"]["namespaces"]
            .as_array_mut()
            .expect("a list");
        namespaces.retain(|namespace| namespace["type"] != "mount");
    });
    let bundle = native.bundle();
    let create = ["create", "--bundle", &bundle, "mountless"];
    let output = run_leaving(&mut native.node.megarun(&create));
    if !mounts_nowhere() {
        assert_ne!(output.code, 0);
        assert!(output.err().contains("6.15"), "{}", output.err());
        assert_eq!(mounts(), before);
        return;
    }
    output.success();
    run(&mut native.node.megarun(&["start", "mountless"])).success();
    let log = native.node.path("bundle/rootfs/log");
    let said = || fs::read_to_string(&log).unwrap_or_default();
    let mut waits = 0;
    while !said().ends_with("all\n") {
        assert!(waits < 1000, "{}", said());
        std::thread::sleep(std::time::Duration::from_millis(10));
        waits += 1;
    }
    let own = fs::read_link("/proc/self/ns/mnt").expect("procfs");
    let expected = format!(
        "{}\nbin\ndev\netc\nlog\nproc\nsys\nsh: can't create /proc/sys/kernel/domainname: Read-only file system\nall\n",
        own.display()
    );
    assert_eq!(said(), expected);
    assert_eq!(mounts(), before, "while it runs");
    let exec = ["exec", "mountless", "/bin/busybox", "ls", "/"];
    let output = run(&mut native.node.megarun(&exec));
    assert_eq!(
        output.out(),
        "bin\ndev\netc\nlog\nproc\nsys\n",
        "{}",
        output.err()
    );
    run(&mut native.node.megarun(&["delete", "--force", "mountless"])).success();
    assert_eq!(mounts(), before, "afterwards");
}

#[test]
fn it_has_what_config_json_gives_it() {
    let native = Native::new();
    let script = "echo $HOME; umask; ulimit -n; busybox id -u; \
                  busybox grep -E 'NoNewPrivs|CapBnd' /proc/self/status";
    native.script(script, |config| {
        let process = &mut config["process"];
        process["user"] = json!({"uid": 1000, "gid": 1000, "umask": 0o27});
        process["noNewPrivileges"] = json!(false);
        process["rlimits"] = json!([{"type": "RLIMIT_NOFILE", "soft": 100, "hard": 200}]);
        process["capabilities"] = json!({"bounding": ["CAP_CHOWN"]});
    });
    let output = native.run("given");
    let expected = "/home/alice\n0027\n100\n1000\nCapBnd:\t0000000000000001\nNoNewPrivs:\t0\n";
    assert_eq!(output.out(), expected, "{}", output.err());

    native.script(
        "busybox grep NoNewPrivs /proc/self/status; busybox uname -m",
        |config| {
            config["process"]["noNewPrivileges"] = json!(true);
            config["linux"]["personality"] = json!({"domain": "LINUX32"});
        },
    );
    assert_eq!(native.run("bound").out(), "NoNewPrivs:\t1\ni686\n");

    native.script("", |config| {
        let status = "/proc/self/status";
        config["process"]["args"] = json!(["busybox", "grep", "-E", "Sig(Ign|Blk)", status]);
    });
    let none = "0000000000000000";
    let expected = format!("SigBlk:\t{none}\nSigIgn:\t{none}\n");
    assert_eq!(native.run("signals").out(), expected);
}

#[test]
fn a_filter_holds_whether_or_not_it_may_gain_privileges() {
    let native = Native::new();
    for no_new_privileges in [true, false] {
        native.script("busybox mkdir /made; echo $?", |config| {
            config["process"]["noNewPrivileges"] = json!(no_new_privileges);
            config["linux"]["seccomp"] = json!({
                "defaultAction": "SCMP_ACT_ALLOW",
                "syscalls": [{
                    "names": ["mkdir", "mkdirat"], "action": "SCMP_ACT_ERRNO", "errnoRet": 1
                }]
            });
        });
        assert_eq!(native.run("filtered").out(), "1\n", "{no_new_privileges}");
    }
}

#[test]
fn hooks_in_the_container_run_before_its_program() {
    let native = Native::new();
    let hook = |script: &str| json!([{"path": "/bin/sh", "args": ["sh", "-c", script]}]);
    native.script("busybox cat /hook", |config| {
        config["hooks"] = json!({"startContainer": hook("echo before > /hook")});
    });
    assert_eq!(native.run("hooked").out(), "before\n");

    native.script("echo ran", |config| {
        config["hooks"] = json!({"startContainer": hook("echo no bridge >&2; exit 3")});
    });
    let output = native.run("failed");
    assert_ne!(output.code, 0);
    assert_eq!(output.out(), "");
    assert!(output.err().contains("no bridge"), "{}", output.err());
}

#[test]
fn what_cannot_be_executed_is_said_when_it_is_created() {
    let native = Native::new();
    for (program, code, words) in [
        (
            "nosuch",
            127,
            "executable file `nosuch` not found in $PATH: no such file",
        ),
        (
            "/etc/passwd",
            126,
            "executing `/etc/passwd`: permission denied",
        ),
        ("/etc", 126, "permission denied"),
    ] {
        native.script("", |config| config["process"]["args"] = json!([program]));
        let output = native.run("absent");
        assert_eq!(output.code, code, "{}", output.err());
        assert!(output.err().contains(words), "{}", output.err());
    }
    assert!(native.node.containers().is_empty());
}

#[test]
fn programs_are_executed_in_it_where_that_is_still_allowed() {
    let native = Native::new();
    native.script("while :; do busybox sleep 1; done", |_| ());
    let bundle = native.bundle();
    run_leaving(
        &mut native
            .node
            .megarun(&["create", "--bundle", &bundle, "inside"]),
    )
    .success();
    run(&mut native.node.megarun(&["start", "inside"])).success();
    let exec = |args: &[&str]| run(&mut native.node.megarun(&[&["exec", "inside"], args].concat()));
    let output = exec(&["sh", "-c", "echo $$; exit 5"]);
    assert_eq!(output.code, 5, "{}", output.err());
    // Another process of the same container.
    assert_ne!(output.out(), "1\n");
    let absent = exec(&["nosuch"]);
    assert_eq!(absent.code, 255);
    assert!(
        absent.err().contains("not found in $PATH"),
        "{}",
        absent.err()
    );

    native.allow("deny");
    let refused = exec(&["sh", "-c", "echo ran"]);
    assert_ne!(refused.code, 0);
    assert!(
        refused.err().contains("native = \"allow\""),
        "{}",
        refused.err()
    );
    assert_eq!(refused.out(), "");
    run(&mut native.node.megarun(&["delete", "--force", "inside"])).success();
}

#[test]
fn a_container_without_a_process_is_created_and_does_not_start() {
    let native = Native::new();
    native.script("", |config| {
        config.as_object_mut().expect("an object").remove("process");
    });
    let bundle = native.bundle();
    run_leaving(
        &mut native
            .node
            .megarun(&["create", "--bundle", &bundle, "empty"]),
    )
    .success();
    let started = run(&mut native.node.megarun(&["start", "empty"]));
    assert_ne!(started.code, 0);
    assert!(started.err().contains("no process"), "{}", started.err());
    run(&mut native.node.megarun(&["delete", "--force", "empty"])).success();
    assert!(native.node.containers().is_empty());
}
