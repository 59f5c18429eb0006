//! procfs and sysfs, by every way there.

use crate::room::{ALL, Kind, MOUNTED, each, gives_nothing};
use crate::support::{Calls, rights};

/// What a process directory has that a guest must not get.
const SECRETS: &[&str] = &[
    "mem",
    "exe",
    "root",
    "root/etc/passwd",
    "cwd",
    "cwd/etc",
    "ns",
    "ns/mnt",
    "maps",
    "smaps",
    "environ",
    "auxv",
    "pagemap",
    "map_files",
    "task",
    "task/1/mem",
    "attr/current",
    "oom_score_adj",
    "clear_refs",
    "fdinfo",
    "fdinfo/1",
    "net/tcp",
    "syscall",
    "stack",
    "timerslack_ns",
    "uid_map",
    "setgroups",
    "mountinfo",
    "cgroup",
    "coredump_filter",
    "fd/../mem",
    "fd/3/../../proc/self/mem",
];

/// Other entries of a procfs.
const GLOBAL: &[&str] = &[
    "kcore",
    "sysrq-trigger",
    "sys/kernel/core_pattern",
    "sys",
    "kallsyms",
    "kmsg",
    "keys",
    "modules",
    "interrupts",
    "irq",
    "fs",
    "bus",
    "driver",
    "config.gz",
    "partitions",
    "key-users",
    "2/mem",
    "sys/kernel/hostname",
    "cmdline",
    "vmallocinfo",
    "self/../kcore",
];

fn nothing(_: &std::path::Path) {}

#[test]
fn a_process_has_no_secrets_by_any_way() {
    each(ALL, nothing, |kind, guest| {
        let host = std::process::id();
        let ways: &[&str] = &[
            "/proc",
            "/etc/absolute",
            "/etc/relative",
            "/etc/../proc",
            "//proc/./self/..",
        ];
        let elsewhere: &[&str] = &["/mnt/proc", "/etc/elsewhere", "/mnt/proc/self/.."];
        let elsewhere = if kind == Kind::Plain { &[] } else { elsewhere };
        for way in ways.iter().chain(elsewhere) {
            assert!(
                guest.stat(&format!("{way}/self/status")).is_ok(),
                "{way} leads there at all"
            );
            for secret in SECRETS {
                for process in ["self", "1", "thread-self"] {
                    gives_nothing(guest, &format!("{way}/{process}/{secret}"));
                }
                gives_nothing(guest, &format!("{way}/{host}/{secret}"));
            }
            for entry in GLOBAL {
                gives_nothing(guest, &format!("{way}/{entry}"));
            }
        }
        gives_nothing_but_links(guest);
    });
}

/// Links that the image made itself may be removed; what they lead to gives nothing.
fn gives_nothing_but_links(guest: &mut crate::support::Ours) {
    for path in ["/etc/memory", "/etc/twice/mem"] {
        assert!(guest.open(path, 0, rights::READ).is_err(), "{path}");
        assert!(guest.open(path, 1, rights::WRITE).is_err(), "{path}");
        assert!(guest.stat(path).is_err(), "{path}");
    }
}

#[test]
fn everything_the_hosts_procfs_has_is_hidden_but_for_the_list() {
    each(MOUNTED, nothing, |_, guest| {
        let open = [
            "cpuinfo",
            "loadavg",
            "meminfo",
            "mounts",
            "uptime",
            "version",
            "self",
            "stat",
            "thread-self",
            "vkernel",
            "1",
        ];
        let names = |dir: &str| -> Vec<String> {
            let listed = std::fs::read_dir(dir).unwrap();
            listed
                .map(|entry| entry.unwrap().file_name().into_string().unwrap())
                .collect()
        };
        let real = if std::path::Path::new("/mnt/proc/self").exists() {
            "/mnt/proc"
        } else {
            "/proc"
        };
        assert!(names(real).len() > 40);
        for name in names(real) {
            let found = guest.stat(&format!("/proc/{name}")).is_ok();
            assert_eq!(found, open.contains(&name.as_str()), "{name}");
        }
        let own = ["cmdline", "comm", "fd", "mounts", "stat", "statm", "status"];
        for name in names(&format!("{real}/self")) {
            let found = guest.stat(&format!("/proc/self/{name}")).is_ok();
            assert_eq!(found, own.contains(&name.as_str()), "{name}");
        }
        assert_eq!(guest.names("/proc").unwrap().len(), open.len());
        assert_eq!(guest.names("/mnt/proc/self").unwrap(), own);
    });
}

#[test]
fn parts_of_a_procfs_mounted_on_their_own_give_nothing() {
    each(MOUNTED, nothing, |_, guest| {
        for path in [
            "/mnt/self/mem",
            "/mnt/self/status",
            "/mnt/self/fd/1",
            "/mnt/status",
        ] {
            gives_nothing(guest, path);
        }
        assert!(guest.open_dir("/mnt/self").is_err());
        assert!(guest.names("/mnt").unwrap().contains(&"self".into()));
    });
}

#[test]
fn opened_directories_are_no_way_in() {
    each(ALL, nothing, |_, guest| {
        for (dir, path) in [
            ("/proc", "self/mem"),
            ("/proc", "1/exe"),
            ("/proc/self", "mem"),
            ("/proc/self", "../sysrq-trigger"),
            ("/proc/self/fd", "../mem"),
            ("/proc/self/fd", "../../self/root/etc"),
            ("/", "proc/self/mem"),
            ("/etc", "../proc/self/mem"),
            ("/etc", "memory"),
            ("/dev", "fd/../mem"),
        ] {
            let fd = guest
                .open_dir(dir)
                .unwrap_or_else(|error| panic!("{dir}: {error}"));
            for wanted in [rights::READ, rights::WRITE] {
                let got = guest.open_full(fd, 1, path.as_bytes(), 0, wanted, 0);
                assert!(got.is_err(), "{dir} then {path}");
            }
            assert!(
                guest.stat_at(fd, path.as_bytes(), true).is_err(),
                "{dir} then {path}"
            );
            assert!(
                guest.one_path("path_create_directory", fd, b"x").is_err()
                    || !dir.starts_with("/proc")
            );
            // The way out of the virtual tree ends at the root.
            let up = guest
                .open_full(fd, 1, b"../../../../etc/passwd", 0, rights::READ, 0)
                .unwrap();
            assert_eq!(guest.read(up, 100), Ok(b"the container's".to_vec()));
            for open in [fd, up] {
                guest.close(open).unwrap();
            }
        }
    });
}

#[test]
fn renaming_around_a_procfs_changes_nothing() {
    each(MOUNTED, nothing, |_, guest| {
        assert!(guest.rename("/proc", "/p").is_err());
        assert!(guest.rename("/mnt/proc", "/p").is_err());
        assert!(guest.rmdir("/mnt/proc").is_err());
        let inside = guest.open_dir("/mnt").unwrap();
        guest.rename("/mnt", "/moved").unwrap();
        for path in [
            "/moved/proc/self/mem",
            "/moved/proc/sysrq-trigger",
            "/moved/self/mem",
        ] {
            gives_nothing(guest, path);
        }
        assert!(
            guest
                .open_full(inside, 1, b"proc/self/mem", 0, rights::READ, 0)
                .is_err()
        );
        assert!(
            guest
                .open_full(inside, 1, b"proc/self/status", 0, rights::READ, 0)
                .is_ok()
        );
        guest.rename("/etc/memory", "/tmp/innocent").unwrap();
        assert!(guest.open("/tmp/innocent", 0, rights::READ).is_err());
        guest.symlink("/moved/proc/self", "/tmp/s").unwrap();
        gives_nothing(guest, "/tmp/s/mem");
        gives_nothing(guest, "/tmp/s/exe");
    });
}

#[test]
fn sysfs_and_control_groups_are_empty_wherever_they_are() {
    each(MOUNTED, nothing, |_, guest| {
        for dir in ["/sys", "/mnt/sys"] {
            assert_eq!(guest.names(dir), Ok(vec![]), "{dir}");
            for path in [
                "kernel/uevent_helper",
                "kernel",
                "fs/cgroup",
                "fs/cgroup/cpu/tasks",
                "power/state",
                "class",
            ] {
                gives_nothing(guest, &format!("{dir}/{path}"));
            }
            assert!(guest.mkdir(&format!("{dir}/x")).is_err());
            assert!(guest.open(&format!("{dir}/x"), 1, rights::WRITE).is_err());
            let fd = guest.open_dir(dir).unwrap();
            assert!(
                guest
                    .open_full(fd, 1, b"kernel", 2, rights::READ, 0)
                    .is_err()
            );
            assert!(guest.one_path("path_create_directory", fd, b"x").is_err());
        }
    });
}
