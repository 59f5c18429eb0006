//! The process of a container, looked at from outside, beside crun's with the same options.

use std::collections::BTreeMap;

use integration_tests::engines::{Container, Podman, Room};

fn started(runtime: &'static str, options: &str) -> Container<'static> {
    let podman = Podman::new(Room::shared(), runtime);
    let options: Vec<&str> = options.split_whitespace().collect();
    podman.start(
        &[&["--network", "none"][..], &options].concat(),
        &["sleep", "1000"],
    )
}

/// What the kernel says of the process, as far as a container decides it.
fn facts(container: &Container<'_>) -> BTreeMap<String, String> {
    let (room, pid) = (Room::shared(), container.pid());
    let proc = |file: &str| room.read(&format!("/proc/{pid}/{file}"));
    let mut facts = BTreeMap::new();
    let mut note = |name: String, value: &str| {
        let value = value.split_whitespace().collect::<Vec<_>>().join(" ");
        facts.insert(name, value);
    };
    for line in proc("status").lines() {
        let (name, value) = line.split_once(':').unwrap();
        // no_new_privs is always set here: nothing in the container executes a file.
        if matches!(
            name,
            "Uid" | "Gid" | "Groups" | "CapBnd" | "CapEff" | "CapPrm" | "CapInh" | "CapAmb"
        ) {
            note(name.to_owned(), value);
        }
    }
    for line in proc("limits").lines().filter(|line| {
        ["Max core", "Max processes", "Max locked", "Max cpu"]
            .iter()
            .any(|name| line.starts_with(name))
    }) {
        note(line[..20].to_owned(), &line[20..]);
    }
    note("oom_score_adj".to_owned(), &proc("oom_score_adj"));
    note("uid_map".to_owned(), &proc("uid_map"));
    note("cmdline".to_owned(), &proc("cmdline").replace('\0', " "));
    note("comm".to_owned(), &proc("comm").replace("busybox", "sleep"));
    for kind in ["pid", "net", "ipc", "uts", "mnt", "cgroup", "user"] {
        let link = |who: &str| {
            room.run("readlink", &[&format!("/proc/{who}/ns/{kind}")])
                .success()
                .out()
        };
        let shared = link("1") == link(&pid.to_string());
        note(
            format!("{kind} namespace"),
            if shared { "shared" } else { "own" },
        );
    }
    // Mount points in their order, with what may be done there.
    let mounts: Vec<String> = proc("mountinfo")
        .lines()
        .map(|line| {
            let fields: Vec<&str> = line.split(' ').collect();
            let kind = line.split(" - ").nth(1).unwrap().split(' ').next().unwrap();
            let mut options: Vec<&str> = fields[5].split(',').collect();
            options.retain(|option| *option != "relatime");
            format!("{} {kind} {}", fields[4], options.join(","))
        })
        .collect();
    let mut sorted: Vec<&String> = mounts
        .iter()
        // Which of masked paths are there to mask is the host's; each runtime masks in its own way.
        .filter(|line| {
            !line.starts_with("/proc/")
                && !line.starts_with("/sys/f")
                && !line.starts_with("/sys/dev")
        })
        .collect();
    sorted.sort();
    for line in sorted {
        note(format!("mount {line}"), "");
    }
    for line in proc("cgroup").lines() {
        let mut fields = line.splitn(3, ':').skip(1);
        let (controllers, path) = (fields.next().unwrap(), fields.next().unwrap());
        let files: &[&str] = match controllers {
            "memory" => &["memory.limit_in_bytes", "memory.soft_limit_in_bytes"],
            "cpu" => &["cpu.shares", "cpu.cfs_quota_us", "cpu.cfs_period_us"],
            "cpuset" => &["cpuset.cpus", "cpuset.mems"],
            "pids" => &["pids.max"],
            "devices" => &["devices.list"],
            _ => &[],
        };
        for file in files {
            let text = room.read(&format!("/sys/fs/cgroup/{controllers}{path}/{file}"));
            let mut lines: Vec<&str> = text.lines().collect();
            lines.sort_unstable();
            lines.dedup();
            note(file.to_string(), &lines.join("; "));
        }
    }
    facts
}

/// What the virtual kernel's process keeps of a set: what guests' files and sockets can need, which
/// is chown, dac_override, dac_read_search, fowner and net_bind_service. It executes nothing, so it
/// inherits nothing either.
fn without_useless(set: &str, value: &str) -> String {
    let useful = match set {
        "CapInh" | "CapAmb" => 0,
        _ => 0b1111 | 1 << 10,
    };
    let value = u64::from_str_radix(value, 16).expect("the kernel writes hexadecimal");
    format!("{:016x}", value & useful)
}

#[test]
fn is_what_crun_makes_of_it() {
    for options in [
        "",
        "--user 1000:1001",
        "--user 1000 --group-add 7 --cap-drop ALL --cap-add NET_BIND_SERVICE",
        "--cap-add SYS_ADMIN --cap-add SYS_PTRACE --cap-drop CHOWN --umask 077",
        "--privileged",
        "--memory 64m --memory-reservation 32m --cpus 0.5 --cpu-shares 300 --cpuset-cpus 0 --pids-limit 77",
        "--ulimit core=0:0 --ulimit nproc=5000:6000 --ulimit memlock=4096:4096 --ulimit nofile=900:1000",
        "--oom-score-adj 321",
        "--uidmap 0:100000:65536 --gidmap 0:100000:65536",
        "--pid host --ipc host --uts host",
        "--cgroupns private",
        "--read-only --tmpfs /data:mode=700,size=1m",
        "--device /dev/fuse:/dev/other:r",
        "--shm-size 8m --hostname other",
    ] {
        let (ours, theirs) = (started("megarun", options), started("crun", options));
        let (ours, mut theirs) = (facts(&ours), facts(&theirs));
        theirs.extend(
            ["CapBnd", "CapEff", "CapPrm", "CapInh", "CapAmb"]
                .map(|name| (name.to_owned(), without_useless(name, &theirs[name]))),
        );
        for name in ours.keys().chain(theirs.keys()) {
            assert_eq!(ours.get(name), theirs.get(name), "{name}, with `{options}`");
        }
    }
}
