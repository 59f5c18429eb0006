//! What the container is made of, seen from the host: mounts, devices, limits, credentials, hooks,
//! terminal, descriptors.

#![allow(clippy::unwrap_used, reason = "a test ends where it must not go on")]

mod containers;

use std::fs;
use std::io::{Read, Seek, Write};
use std::os::fd::AsRawFd;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::os::unix::net::UnixListener;
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};

use containers::{Node, cgroups_of, unique, wait_until};
use serde_json::json;

/// Mount points of a process with their options, in order.
fn mounts(pid: i32) -> Vec<(String, String)> {
    fs::read_to_string(format!("/proc/{pid}/mountinfo"))
        .unwrap()
        .lines()
        .map(|line| {
            let fields: Vec<&str> = line.split(' ').collect();
            (fields[4].to_owned(), fields[5].to_owned())
        })
        .collect()
}

/// Whether a descriptor's target is a socket that leads to somebody: one that only listens, for `ps`, does not.
fn connected(pid: i32, target: &str) -> bool {
    let Some(inode) = target.strip_prefix("socket:[") else {
        return false;
    };
    let inode = inode.trim_end_matches(']');
    let listens = |line: &str| {
        let fields: Vec<&str> = line.split_whitespace().collect();
        fields.get(6) == Some(&inode) && fields[3] == "00010000"
    };
    ![pid.to_string(), "self".to_owned()].iter().any(|process| {
        let sockets = fs::read_to_string(format!("/proc/{process}/net/unix"));
        sockets.unwrap_or_default().lines().any(listens)
    })
}

fn status_field(pid: i32, name: &str) -> String {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix(&format!("{name}:")));
    line.unwrap()
        .split_whitespace()
        .collect::<Vec<_>>()
        .join(" ")
}

#[test]
fn mounts_devices_and_hidden_paths() {
    let (node, id) = (Node::new(), unique("mounts"));
    let bundle = node.bundle("b", &["/bin/loop"]).named(&id);
    fs::write(node.at("file"), "from the host").unwrap();
    // Links of the image lead nowhere outside it.
    std::os::unix::fs::symlink("/etc", bundle.at("rootfs/link")).unwrap();
    fs::create_dir(bundle.at("rootfs/etc")).unwrap();
    let marker = format!("marker-{id}");
    bundle.edit(|config| {
        config["root"]["readonly"] = json!(true);
        let mounts = config["mounts"].as_array_mut().unwrap();
        mounts.push(json!({"destination": "/data/f", "type": "bind", "source": node.at("file"), "options": ["bind", "ro", "nosuid"]}));
        mounts.push(json!({"destination": format!("/link/{marker}"), "type": "tmpfs", "source": "tmpfs", "options": ["nodev", "size=64k"]}));
        config["linux"]["maskedPaths"] = json!(["/proc/keys", "/sys/firmware", "/none"]);
        config["linux"]["readonlyPaths"] = json!(["/proc/sys", "/none"]);
    });
    node.create(&bundle, &id).success();
    let pid = node.pid(&id);
    let all = mounts(pid);
    let options = |point: &str| {
        let found = all.iter().rev().find(|(at, _)| at == point);
        found
            .unwrap_or_else(|| panic!("{point} is not mounted: {all:?}"))
            .1
            .clone()
    };
    assert!(options("/").starts_with("ro"));
    assert!(options("/data/f").starts_with("ro,nosuid"));
    assert!(options("/proc/sys").starts_with("ro"));
    assert!(options("/sys/firmware").starts_with("ro"));
    assert!(options("/proc").starts_with("rw"));
    assert!(
        options(&format!("/etc/{marker}")).contains("nodev"),
        "the link was followed inside"
    );
    assert!(
        !std::path::Path::new("/etc").join(&marker).exists(),
        "and not outside"
    );

    let root = std::path::PathBuf::from(format!("/proc/{pid}/root"));
    assert_eq!(
        fs::read_to_string(root.join("data/f")).unwrap(),
        "from the host"
    );
    let null = fs::metadata(root.join("dev/null")).unwrap();
    assert!(null.file_type().is_char_device() && null.rdev() == libc::makedev(1, 3));
    assert_eq!(null.mode() & 0o777, 0o666);
    let keys = fs::metadata(root.join("proc/keys")).unwrap();
    assert_eq!(keys.rdev(), libc::makedev(1, 3), "masked by /dev/null");
    assert_eq!(
        fs::read_link(root.join("dev/ptmx")).unwrap().to_str(),
        Some("pts/ptmx")
    );

    // Once it runs, no descriptor leads to the state directory or to another process.
    node.run(&["start", &id]).success();
    let state = node.at("run").display().to_string();
    wait_until("it holds nothing of the host's", || {
        let fds = fs::read_dir(format!("/proc/{pid}/fd")).unwrap().flatten();
        let targets = fds.filter_map(|fd| fs::read_link(fd.path()).ok());
        !targets
            .map(|target| target.display().to_string())
            .any(|target| target.starts_with(&state) || connected(pid, &target))
    });
    // And the program cannot be written through the process.
    let exe = fs::OpenOptions::new()
        .write(true)
        .open(format!("/proc/{pid}/exe"));
    assert!(
        exe.is_err(),
        "the runtime's program can be written through /proc/{pid}/exe"
    );
}

#[test]
fn identity_capabilities_and_limits() {
    let (node, id) = (Node::new(), unique("identity"));
    let bundle = node.bundle("b", &["/bin/loop"]).named(&id);
    bundle.edit(|config| {
        config["process"]["user"] = json!({"uid": 1000, "gid": 1001, "additionalGids": [7, 8], "umask": 63});
        // Nothing in the virtual kernel can make use of CAP_KILL.
        let all = json!(["CAP_KILL", "CAP_CHOWN", "CAP_FOWNER"]);
        let some = json!(["CAP_KILL", "CAP_FOWNER"]);
        config["process"]["capabilities"] = json!({
            "bounding": all, "permitted": all, "effective": all, "inheritable": some, "ambient": some
        });
        config["process"]["rlimits"] = json!([{"type": "RLIMIT_NOFILE", "soft": 100, "hard": 100}, {"type": "RLIMIT_CORE", "soft": 0, "hard": 0}]);
        config["process"]["oomScoreAdj"] = json!(500);
        config["hostname"] = json!("inside");
        config["domainname"] = json!("inside.example");
        config["linux"]["sysctl"] = json!({"net.ipv4.ip_forward": "1"});
        config["linux"]["resources"] = json!({
            "memory": {"limit": 268435456}, "pids": {"limit": 99}, "cpu": {"shares": 512, "quota": 50000, "period": 100000},
            "devices": [{"allow": false, "access": "rwm"}]
        });
    });
    node.create(&bundle, &id).success();
    let pid = node.pid(&id);
    assert_eq!(status_field(pid, "Uid"), "1000 1000 1000 1000");
    assert_eq!(status_field(pid, "Gid"), "1001 1001 1001 1001");
    assert_eq!(status_field(pid, "Groups"), "7 8");
    assert_eq!(status_field(pid, "Umask"), "0077");
    // A user keeps the ambient ones alone, as after an exec.
    for (set, expected) in [
        ("CapEff", 1 << 3),
        ("CapPrm", 1 << 3),
        ("CapBnd", 1 << 3 | 1),
        ("CapInh", 0),
        ("CapAmb", 0),
    ] {
        assert_eq!(status_field(pid, set), format!("{expected:016x}"), "{set}");
    }
    assert_eq!(status_field(pid, "NoNewPrivs"), "1");
    assert_eq!(
        fs::read_to_string(format!("/proc/{pid}/oom_score_adj"))
            .unwrap()
            .trim(),
        "500"
    );
    let limits = fs::read_to_string(format!("/proc/{pid}/limits")).unwrap();
    assert!(
        limits
            .lines()
            .any(|line| line.starts_with("Max core file size        0 ")),
        "{limits}"
    );
    let forward = std::process::Command::new("nsenter")
        .args([
            "-t",
            &pid.to_string(),
            "-n",
            "cat",
            "/proc/sys/net/ipv4/ip_forward",
        ])
        .output()
        .unwrap();
    assert_eq!(forward.stdout, b"1\n");
    let name = std::process::Command::new("nsenter")
        .args(["-t", &pid.to_string(), "-u", "hostname"])
        .output()
        .unwrap();
    assert_eq!(name.stdout, b"inside\n");

    // In whichever hierarchy has the file.
    let value = |files: &[&str]| {
        let dirs = cgroups_of(&id);
        let found = dirs
            .iter()
            .flat_map(|dir| files.iter().map(move |file| dir.join(file)));
        found
            .filter_map(|path| fs::read_to_string(path).ok())
            .next()
            .map(|text| text.trim().to_owned())
    };
    assert_eq!(
        value(&["memory.limit_in_bytes", "memory.max"]).as_deref(),
        Some("268435456")
    );
    assert_eq!(value(&["pids.max"]).as_deref(), Some("99"));
    assert!(matches!(
        value(&["cpu.cfs_quota_us", "cpu.max"]).as_deref(),
        Some("50000" | "50000 100000")
    ));
    for dir in cgroups_of(&id) {
        let procs = fs::read_to_string(dir.join("cgroup.procs")).unwrap();
        assert_eq!(procs.trim(), pid.to_string(), "{}", dir.display());
    }
    fs::write(node.at("update.json"), r#"{"pids": {"limit": 77}}"#).unwrap();
    node.run(&[
        "update",
        "--resources",
        node.at("update.json").to_str().unwrap(),
        &id,
    ])
    .success();
    assert_eq!(value(&["pids.max"]).as_deref(), Some("77"));
    node.run(&["start", &id]).success();
    assert_eq!(
        node.run(&["exec", &id, "/bin/hello"]).success().out,
        "hello\n"
    );
}

#[test]
fn a_user_namespace() {
    let (node, id) = (Node::new(), unique("userns"));
    let bundle = node.bundle("b", &["/bin/hello"]).named(&id);
    bundle.edit(|config| {
        let map = json!([{"containerID": 0, "hostID": 100000, "size": 65536}]);
        config["linux"]["namespaces"]
            .as_array_mut()
            .unwrap()
            .push(json!({"type": "user"}));
        config["linux"]["uidMappings"] = map.clone();
        config["linux"]["gidMappings"] = map;
        // In a user namespace nobody may make a node, and the host has none of this name.
        let device = json!({"path": "/dev/disk/of-its-own", "type": "b", "major": 1, "minor": 5, "uid": 10, "gid": 11, "fileMode": 0o640});
        config["linux"]["devices"] = json!([device]);
    });
    let owned = std::process::Command::new("chown")
        .args(["-hR", "100000:100000"])
        .arg(bundle.at("rootfs"))
        .status();
    assert!(owned.unwrap().success());
    node.create(&bundle, &id).success();
    let pid = node.pid(&id);
    assert_eq!(status_field(pid, "Uid"), "100000 100000 100000 100000");
    let device = fs::metadata(format!("/proc/{pid}/root/dev/disk/of-its-own")).unwrap();
    assert_eq!((device.uid(), device.gid()), (100_010, 100_011));
    assert_eq!(device.mode(), libc::S_IFBLK | 0o640);
    assert_eq!(device.rdev(), libc::makedev(1, 5));
    node.run(&["delete", "--force", &id]).success();
    assert_eq!(node.run_bundle(&bundle, &id).success().out, "hello\n");

    bundle.edit(|config| config["process"]["args"] = json!(["/bin/loop"]));
    node.create(&bundle, &id).success();
    node.run(&["start", &id]).success();
    assert_eq!(
        node.run(&["exec", &id, "/bin/hello"]).success().out,
        "hello\n"
    );
    node.run(&["delete", "--force", &id]).success();
    node.assert_nothing_left(&id);
}

#[test]
fn a_seccomp_profile_holds_the_process() {
    let (node, id) = (Node::new(), unique("seccomp"));
    let bundle = node.bundle("b", &["/bin/hello"]).named(&id);
    bundle.edit(|config| {
        config["linux"]["seccomp"] = json!({
            "defaultAction": "SCMP_ACT_ALLOW", "architectures": ["SCMP_ARCH_X86_64"],
            "syscalls": [{"names": ["ptrace", "mount", "kexec_load"], "action": "SCMP_ACT_ERRNO", "errnoRet": 1}]
        });
    });
    node.create(&bundle, &id).success();
    assert_eq!(status_field(node.pid(&id), "Seccomp"), "2");
    node.run(&["delete", "--force", &id]).success();
    assert_eq!(node.run_bundle(&bundle, &id).success().out, "hello\n");
}

#[test]
fn hooks_run_in_order_with_the_state_on_their_input() {
    let (node, id) = (Node::new(), unique("hooks"));
    let bundle = node.bundle("b", &["/bin/loop"]).named(&id);
    let log = node.at("hooks.log");
    bundle.edit(|config| {
        let hook = |name: &str| {
            let script = format!(
                "printf '%s ' {name} >> {log}; sed 's/.*\"status\":\"\\([a-z]*\\)\".*/\\1/' >> {log}; echo >> {log}",
                log = log.display()
            );
            json!([{"path": "/bin/sh", "args": ["sh", "-c", script], "env": ["PATH=/usr/bin:/bin"], "timeout": 10}])
        };
        config["hooks"] = json!({
            "prestart": hook("prestart"), "createRuntime": hook("createRuntime"),
            "createContainer": hook("createContainer"), "poststart": hook("poststart"), "poststop": hook("poststop"),
        });
    });
    node.create(&bundle, &id).success();
    node.run(&["start", &id]).success();
    node.run(&["delete", "--force", &id]).success();
    let text = fs::read_to_string(&log).unwrap();
    let lines: Vec<&str> = text.lines().filter(|line| !line.is_empty()).collect();
    assert_eq!(
        lines,
        [
            "prestart created",
            "createRuntime creating",
            "createContainer creating",
            "poststart running",
            "poststop stopped"
        ]
    );
}

/// What the runtime has others do for a container is the host's, as is the runtime, also where the
/// container is in the pid namespace of another.
#[test]
fn hooks_run_in_the_runtimes_own_pid_namespace() {
    let (node, first, second) = (Node::new(), unique("pid-first"), unique("pid-second"));
    let bundle = node.bundle("a", &["/bin/loop"]).named(&first);
    node.create(&bundle, &first).success();
    let shared = format!("/proc/{}/ns/pid", node.pid(&first));
    let bundle = node.bundle("b", &["/bin/loop"]).named(&second);
    let log = node.at("hooks.log");
    bundle.edit(|config| {
        for namespace in config["linux"]["namespaces"].as_array_mut().unwrap() {
            if namespace["type"] == "pid" {
                namespace["path"] = json!(shared);
            }
        }
        let script = format!("readlink /proc/self/ns/pid >> {}", log.display());
        let hook = json!([{"path": "/bin/sh", "args": ["sh", "-c", script]}]);
        config["hooks"] = json!({"createRuntime": hook, "poststop": hook});
    });
    node.create(&bundle, &second).success();
    let namespace = |path: &str| fs::read_link(path).unwrap();
    let inside = format!("/proc/{}/ns/pid", node.pid(&second));
    assert_eq!(namespace(&inside), namespace(&shared));
    node.run(&["start", &second]).success();
    let exec = node.run(&["exec", &second, "/bin/hello"]);
    assert_eq!(exec.success().out, "hello\n");
    for id in [&second, &first] {
        node.run(&["delete", "--force", id]).success();
    }
    let own = namespace("/proc/self/ns/pid").display().to_string();
    let ran = fs::read_to_string(&log).unwrap();
    assert_eq!(ran.lines().collect::<Vec<_>>(), [&own, &own]);
}

#[test]
fn a_terminal_goes_to_the_console_socket() {
    let (node, id) = (Node::new(), unique("tty"));
    let bundle = node.bundle("b", &["/bin/cat"]).named(&id);
    bundle.edit(|config| {
        config["process"]["terminal"] = json!(true);
        config["process"]["consoleSize"] = json!({"height": 33, "width": 77});
    });
    node.create(&bundle, &id).refused(&["--console-socket"]);
    let path = node.at("console");
    let listener = UnixListener::bind(&path).unwrap();
    let bundle_path = bundle.path.to_str().unwrap();
    node.run(&[
        "create",
        "--bundle",
        bundle_path,
        "--console-socket",
        path.to_str().unwrap(),
        &id,
    ])
    .success();
    let (stream, _) = listener.accept().unwrap();
    let mut master = receive_descriptor(&stream);
    node.run(&["start", &id]).success();
    master.write_all(b"echoed\n").unwrap();
    let mut seen = String::new();
    while seen.matches("echoed").count() < 2 {
        let mut buffer = [0; 256];
        let length = master.read(&mut buffer).unwrap();
        seen += &String::from_utf8_lossy(&buffer[..length]);
    }
    let pid = node.pid(&id);
    let stdin = fs::read_link(format!("/proc/{pid}/fd/0")).unwrap();
    assert!(
        stdin.to_str().unwrap().starts_with("/dev/pts/"),
        "{stdin:?}"
    );
    assert!(mounts(pid).iter().any(|(at, _)| at == "/dev/console"));
    // The terminal's own end-of-file key ends it.
    master.write_all(b"\x04").unwrap();
    node.wait_for(&id, "stopped");
}

#[test]
fn run_and_exec_relay_a_terminal_of_their_own() {
    let (node, id) = (Node::new(), unique("relay"));
    let bundle = node.bundle("b", &["/bin/hello"]).named(&id);
    bundle.edit(|config| config["process"]["terminal"] = json!(true));
    // A terminal writes \r\n.
    assert_eq!(node.run_bundle(&bundle, &id).success().out, "hello\r\n");
    let bundle = node.bundle("c", &["/bin/loop"]).named(&id);
    node.create(&bundle, &id).success();
    node.run(&["start", &id]).success();
    assert_eq!(
        node.run(&["exec", "--tty", &id, "/bin/hello"])
            .success()
            .out,
        "hello\r\n"
    );
    node.run(&["exec", "--tty", "--detach", &id, "/bin/hello"])
        .refused(&["--console-socket"]);
}

#[test]
fn preserved_descriptors_reach_the_guest_and_leaked_ones_do_not() {
    let (node, id) = (Node::new(), unique("fds"));
    let bundle = node.bundle("b", &["/bin/passed"]).named(&id);
    fs::write(node.at("given"), "through descriptor 3").unwrap();
    let file = fs::File::open(node.at("given")).unwrap();
    let path = bundle.path.to_str().unwrap();
    let with_three = |args: &[&str], listening: Option<&str>| {
        // Whoever reads it moves on in it for all.
        (&file).rewind().unwrap();
        let mut command = node.command(args);
        command.envs(listening.map(|count| ("LISTEN_FDS", count)));
        let number = file.as_raw_fd();
        // SAFETY: both calls are async-signal-safe. The result has no close-on-exec flag.
        unsafe {
            command.pre_exec(move || {
                let done = match number {
                    3 => libc::fcntl(3, libc::F_SETFD, 0) == 0,
                    number => libc::dup2(number, 3) == 3,
                };
                if done {
                    Ok(())
                } else {
                    Err(std::io::Error::last_os_error())
                }
            })
        };
        node.run_command(command)
    };
    // More than there are too: podman counts those of socket activation twice.
    for number in ["1", "5"] {
        let given = with_three(
            &["run", "--preserve-fds", number, "--bundle", path, &id],
            None,
        );
        assert_eq!(given.success().out, "through descriptor 3");
    }
    let activated = with_three(&["run", "--bundle", path, &id], Some("1"));
    assert_eq!(activated.success().out, "through descriptor 3");
    // An engine's descriptor that nobody asked to keep: the program finds none (exit code 9).
    assert_eq!(with_three(&["run", "--bundle", path, &id], None).code, 9);
    wait_until("it is gone", || cgroups_of(&id).is_empty());
}

fn receive_descriptor(stream: &std::os::unix::net::UnixStream) -> fs::File {
    use std::os::fd::FromRawFd;
    let mut byte = [0u8; 64];
    let mut control = [0u8; 64];
    let mut part = libc::iovec {
        iov_base: byte.as_mut_ptr().cast(),
        iov_len: byte.len(),
    };
    // SAFETY: the header is plain data, and all its pointers are to buffers that outlive the call.
    let fd = unsafe {
        let mut header: libc::msghdr = std::mem::zeroed();
        header.msg_iov = &raw mut part;
        header.msg_iovlen = 1;
        header.msg_control = control.as_mut_ptr().cast();
        header.msg_controllen = control.len();
        assert!(libc::recvmsg(stream.as_raw_fd(), &raw mut header, 0) > 0);
        let first = libc::CMSG_FIRSTHDR(&raw const header);
        assert!(!first.is_null() && (*first).cmsg_type == libc::SCM_RIGHTS);
        libc::CMSG_DATA(first).cast::<i32>().read_unaligned()
    };
    // SAFETY: the kernel has just made it for this process.
    unsafe { fs::File::from_raw_fd(fd) }
}

#[test]
fn every_thread_has_given_up_the_same_and_stands_behind_the_second_wall() {
    let (node, id) = (Node::new(), unique("threads"));
    let bundle = node.bundle("b", &["/bin/loop"]).named(&id);
    bundle.edit(|config| {
        config["process"]["user"] = json!({"uid": 1000, "gid": 1000});
        config["linux"].as_object_mut().unwrap().remove("seccomp");
    });
    node.create(&bundle, &id).success();
    node.run(&["start", &id]).success();
    let pid = node.pid(&id);
    wait_until("it runs", || {
        fs::read_dir(format!("/proc/{pid}/task")).unwrap().count() > 1
    });
    for task in fs::read_dir(format!("/proc/{pid}/task")).unwrap() {
        let status = fs::read_to_string(task.unwrap().path().join("status")).unwrap();
        let field = |name: &str| {
            let line = status
                .lines()
                .find_map(|line| line.strip_prefix(name))
                .unwrap();
            line.split_whitespace().collect::<Vec<_>>().join(" ")
        };
        assert_eq!(field("Uid:"), "1000 1000 1000 1000");
        assert_eq!(field("CapEff:"), "0000000000000000");
        assert_eq!(field("NoNewPrivs:"), "1");
        // Without a profile of config.json there is the runtime's own filter.
        assert_eq!(
            (field("Seccomp:"), field("Seccomp_filters:")),
            ("2".into(), "1".into())
        );
    }
}

#[test]
fn exec_enters_the_containers_root_also_where_the_runtime_has_another_than_its_namespace() {
    let (node, id) = (Node::new(), unique("chroot"));
    let bundle = node.bundle("b", &["/bin/loop"]).named(&id);
    let root = node.at("root");
    fs::create_dir(&root).unwrap();
    // The same files, on a mount below the root of the mount namespace.
    let script = "mount --rbind / \"$0\" && exec chroot \"$0\" \"$@\"";
    let run = |args: &[&str]| {
        let command = node.command(args);
        let mut inside = Command::new("unshare");
        inside.args(["--mount", "sh", "-c", script]).arg(&root);
        inside.arg(command.get_program()).args(command.get_args());
        inside.stdin(Stdio::null());
        node.run_command(inside)
    };
    run(&["create", "--bundle", bundle.path.to_str().unwrap(), &id]).success();
    run(&["start", &id]).success();
    let said = run(&["exec", &id, "/bin/hello"]).success();
    assert_eq!(said.out, "hello\n");
    run(&["delete", "--force", &id]).success();
}

#[test]
fn cgroups_that_may_not_be_written_are_an_error_or_none() {
    const READ_ONLY: &str = r#"
        for at in /sys/fs/cgroup/* /sys/fs/cgroup; do
            mountpoint -q "$at" && mount -o remount,bind,ro "$at"
        done
        exec "$@""#;
    let node = Node::new();
    let id = unique("read-only");
    let bundle = node.bundle("b", &["/bin/hello"]).named(&id);
    let run = |rootless: &str| {
        let bundle = bundle.path.to_str().unwrap();
        let run = node.command(&["--rootless", rootless, "run", "--bundle", bundle, &id]);
        let mut command = Command::new("unshare");
        command.args(["--mount", "sh", "-c", READ_ONLY, "sh"]);
        command.arg(run.get_program()).args(run.get_args());
        node.run_command(command)
    };
    // Root can make cgroups, unless somebody says otherwise.
    for rootless in ["auto", "false"] {
        run(rootless).refused(&["/sys/fs/cgroup/", "Read-only file system"]);
        node.assert_nothing_left(&id);
    }
    assert_eq!(run("true").success().out, "hello\n");
}

#[test]
fn mounts_of_the_host_may_have_any_name() {
    let (node, id) = (Node::new(), unique("odd"));
    let bundle = node.bundle("b", &["/bin/hello"]).named(&id);
    let run = node.command(&["run", "--bundle", bundle.path.to_str().unwrap(), &id]);
    // Neither UTF-8 nor one word.
    let script = r#"
        at=$1/$(printf 'a \351')
        shift
        mkdir "$at" && mount -t tmpfs tmpfs "$at" && exec "$@""#;
    let mut command = Command::new("unshare");
    command.args(["--mount", "sh", "-c", script, "sh"]);
    command.arg(node.at("."));
    command.arg(run.get_program()).args(run.get_args());
    assert_eq!(node.run_command(command).success().out, "hello\n");
}
