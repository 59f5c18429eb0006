//! A hostile guest, with real tools and a root file system it may write to,
//! tries to reach the virtual kernel's own process and the host: it gets
//! nothing. What a program may legitimately find under the same names works.

use std::fs;
use std::sync::atomic::{AtomicU32, Ordering};

use integration_tests::command::{Output, run, run_leaving, run_with};
use integration_tests::node::Node;
use integration_tests::subject;

/// A running container of the guests.
struct Running {
    node: Node,
    /// Its own, since cgroups are named by it.
    id: String,
}

impl Running {
    fn new() -> Self {
        let node = Node::new();
        static MADE: AtomicU32 = AtomicU32::new(0);
        let made = MADE.fetch_add(1, Ordering::Relaxed);
        let id = format!("attack-{}-{made}", std::process::id());
        let bundle = node.bundle(
            &subject::recipe("demo"),
            "bundle",
            &["/usr/bin/9sleep", "3600"],
        );
        // procfs and sysfs a second time, where nobody would look for them.
        let config = bundle.join("config.json");
        let mut spec: serde_json::Value =
            serde_json::from_slice(&fs::read(&config).expect("a bundle has one")).expect("JSON");
        let mounts = spec["mounts"].as_array_mut().expect("mounts");
        for (kind, place) in [("proc", "/mnt/p"), ("sysfs", "/mnt/s")] {
            mounts.push(serde_json::json!({ "destination": place, "type": kind, "source": kind }));
        }
        fs::write(&config, spec.to_string()).expect("writing the bundle");
        let path = bundle.to_str().expect("our own path").to_owned();
        run_leaving(&mut node.megarun(&["create", "--bundle", &path, &id])).success();
        run(&mut node.megarun(&["start", &id])).success();
        Self { node, id }
    }

    fn exec(&self, line: &[&str]) -> Output {
        self.exec_with(line, b"")
    }

    fn exec_with(&self, line: &[&str], stdin: &[u8]) -> Output {
        let mut command = self.node.megarun(&["exec", &self.id]);
        run_with(command.args(line), stdin)
    }

    /// It fails and prints nothing on standard output.
    #[track_caller]
    fn gets_nothing(&self, line: &[&str]) {
        let output = self.exec(line);
        assert_ne!(output.code, 0, "{line:?} succeeded: {}", output.out());
        assert_eq!(output.out(), "", "{line:?} got something");
    }
}

#[test]
fn a_guest_cannot_reach_the_process_that_runs_it() {
    let container = Running::new();
    let own = [
        "mem",
        "environ",
        "exe",
        "maps",
        "root/etc/hostname",
        "cwd/etc/passwd",
        "ns/mnt",
        "pagemap",
    ];
    for procfs in ["/proc", "/mnt/p"] {
        for who in ["self", "1", "thread-self"] {
            for what in own {
                container.gets_nothing(&["cat", &format!("{procfs}/{who}/{what}")]);
            }
        }
        container.gets_nothing(&["cat", &format!("{procfs}/kcore")]);
        container.gets_nothing(&["cat", &format!("{procfs}/sys/kernel/core_pattern")]);
        container.gets_nothing(&[
            "tee",
            &format!("{procfs}/sysrq-trigger"),
            &format!("{procfs}/self/mem"),
        ]);
        container.gets_nothing(&["readlink", &format!("{procfs}/self/exe")]);
    }
    for device in ["/dev/mem", "/dev/kmem", "/dev/kmsg", "/dev/port"] {
        container.gets_nothing(&["cat", device]);
    }
}

#[test]
fn nor_by_links_dots_renames_or_opened_directories() {
    let container = Running::new();
    for (target, link) in [
        ("/proc/self/mem", "/tmp/m"),
        ("/proc/self", "/tmp/self"),
        ("/proc", "/tmp/p"),
        ("../proc/1/environ", "/tmp/e"),
        ("/mnt/p/1", "/tmp/one"),
    ] {
        container.exec(&["ln", "-s", target, link]).success();
    }
    for path in [
        "/tmp/m",
        "/tmp/self/mem",
        "/tmp/p/1/mem",
        "/tmp/p/self/environ",
        "/tmp/e",
        "/tmp/one/environ",
        "/data/../proc/self/mem",
        "/proc/../proc/./1/../1/mem",
        "/mnt/p/../p/1/environ",
        "/../../../../proc/1/environ",
    ] {
        container.gets_nothing(&["cat", path]);
    }
    // By a directory that is opened first, and its entries from there.
    let walk = "import os\n\
        for top in ('/proc', '/mnt/p', '/tmp/p'):\n\
        \x20   for name in ('self', '1'):\n\
        \x20       try:\n\
        \x20           d = os.open(top + '/' + name, os.O_RDONLY | os.O_DIRECTORY)\n\
        \x20           print(top, name, os.read(os.open('environ', os.O_RDONLY, dir_fd=d), 99))\n\
        \x20       except (OSError, NotImplementedError):\n\
        \x20           pass\n\
        for a, b in (('/proc/self/mem', '/tmp/x'), ('/mnt/p/1/mem', '/tmp/y'), ('/proc', '/tmp/z')):\n\
        \x20   for move in (os.rename, os.link):\n\
        \x20       try:\n\
        \x20           move(a, b)\n\
        \x20           print('moved', a)\n\
        \x20       except (OSError, NotImplementedError):\n\
        \x20           pass\n";
    let output = container
        .exec_with(&["python3", "-"], walk.as_bytes())
        .success();
    assert_eq!(output.out(), "");
}

#[test]
fn sysfs_cannot_be_written() {
    let container = Running::new();
    for path in [
        "/sys/kernel/profiling",
        "/mnt/s/kernel/profiling",
        "/sys/power/state",
        "/mnt/s/power/state",
    ] {
        let output = container.exec_with(&["tee", path], b"1\n");
        assert_ne!(output.code, 0, "writing {path} succeeded");
    }
    let output = container.exec(&["ls", "/sys/fs/cgroup"]);
    assert!(!output.out().contains("release_agent") || output.code != 0);
}

#[test]
fn its_own_descriptors_are_there_under_their_usual_names() {
    let container = Running::new();
    let output = container
        .exec_with(&["cat", "/dev/stdin"], b"by name\n")
        .success();
    assert_eq!(output.out(), "by name\n");
    let output = container
        .exec_with(&["cat", "/dev/fd/0"], b"by number\n")
        .success();
    assert_eq!(output.out(), "by number\n");
    let output = container
        .exec_with(&["9tee", "/dev/stdout"], b"twice\n")
        .success();
    assert_eq!(output.out(), "twice\ntwice\n");
    let output = container.exec(&["ls", "/proc/self/fd"]).success();
    for number in ["0", "1", "2"] {
        assert!(
            output.out().lines().any(|line| line == number),
            "no {number} in {}",
            output.out()
        );
    }
}

#[test]
fn a_copy_of_native_code_never_runs() {
    let container = Running::new();
    let rootfs = container.node.path("bundle").join("rootfs");
    for (from, name) in [("/bin/true", "true2"), ("/bin/sh", "sh")] {
        fs::copy(from, rootfs.join("usr/bin").join(name)).expect("the host has it");
        let output = container.exec(&[name]);
        assert_eq!(output.code, 126, "{}", output.err());
        assert!(
            output.err().contains("permission denied"),
            "{}",
            output.err()
        );
    }
    fs::write(
        rootfs.join("usr/bin/script"),
        "#!/usr/bin/python3\nprint(1)\n",
    )
    .expect("writing");
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    fs::set_permissions(rootfs.join("usr/bin/script"), mode).expect("setting a mode");
    let output = container.exec(&["script"]);
    assert_eq!(
        (output.code, output.out().as_str()),
        (126, ""),
        "{}",
        output.err()
    );
}
