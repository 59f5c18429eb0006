//! A container's life through the real programs, as an engine leads it.

#![allow(clippy::unwrap_used, reason = "a test ends where it must not go on")]

mod containers;

use std::fs;
use std::io::Write;
use std::os::unix::process::CommandExt;

use containers::{Bundle, Node, unique, wait_until};

#[test]
fn create_start_kill_delete() {
    let (node, id) = (Node::new(), unique("life"));
    let bundle = node.bundle("b", &["/bin/loop"]).named(&id);
    let pid_file = node.at("pid");
    node.run(&[
        "create",
        "--bundle",
        bundle.path.to_str().unwrap(),
        "--pid-file",
        pid_file.to_str().unwrap(),
        &id,
    ])
    .success();
    let state = node.state(&id);
    assert_eq!(state["status"], "created");
    assert_eq!(state["bundle"], bundle.path.to_str().unwrap());
    assert_eq!(
        state["pid"].to_string(),
        std::fs::read_to_string(&pid_file).unwrap()
    );
    // As with runc and crun: its namespaces are there.
    node.run(&["exec", &id, "/bin/hello"]).success();

    node.run(&["start", &id]).success();
    assert_eq!(node.status(&id), "running");
    node.run(&["start", &id]).refused(&["running"]);
    node.run(&["delete", &id]).refused(&["running", "--force"]);

    node.run(&["kill", &id, "KILL"]).success();
    node.wait_for(&id, "stopped");
    node.run(&["kill", &id, "TERM"])
        .refused(&["container not running"]);
    node.run(&["kill", "--all", &id, "9"]).success();
    node.run(&["exec", &id, "/bin/hello"]).refused(&["stopped"]);
    node.run(&["start", &id]).refused(&["stopped"]);
    node.run(&["delete", &id]).success();
    node.assert_nothing_left(&id);
    node.run(&["delete", &id]).refused(&["does not exist"]);
    node.run(&["delete", "--force", &id]).success();
    node.run(&["state", &id]).refused(&["does not exist"]);
    node.run(&["kill", &id, "9"]).refused(&["does not exist"]);

    // One that only waits needs no force, as with crun and runc.
    node.create(&bundle, &id).success();
    node.run(&["delete", &id]).success();
    node.assert_nothing_left(&id);
}

#[test]
fn containers_are_removed_by_a_pattern() {
    let node = Node::new();
    let ids = ["one", "two", "other"].map(|name| unique(&format!("by-pattern-{name}")));
    for (number, id) in ids.iter().enumerate() {
        let bundle = node.bundle(&format!("b{number}"), &["/bin/loop"]).named(id);
        node.create(&bundle, id).success();
    }
    node.run(&["start", &ids[1]]).success();
    let pattern = "^by-pattern-(one|two)-";
    // One of the two runs: it is said, and the other goes all the same.
    node.run(&["delete", "--regex", pattern])
        .refused(&["running", "--force"]);
    assert_eq!(node.status(&ids[1]), "running");
    node.assert_nothing_left(&ids[0]);
    node.run(&["kill", "--regex", pattern, "KILL"]).success();
    node.run(&["delete", "--regex", "--force", pattern])
        .success();
    node.assert_nothing_left(&ids[1]);
    assert_eq!(node.status(&ids[2]), "created");
    node.run(&["delete", "--regex", "by-pattern-(other"])
        .refused(&["--regex"]);
    node.run(&["delete", "--regex", "no-such"]).success();
    node.run(&["delete", &ids[2]]).success();
}

/// Else the first files that the runtime opens would be the container's standard streams, and its
/// messages would be written to them.
#[test]
fn streams_that_the_engine_has_closed_are_dev_null() {
    let (node, id) = (Node::new(), unique("closed"));
    let bundle = node.bundle("b", &["/bin/loop"]).named(&id);
    let mut create = node.command(&["create", "--bundle", bundle.path.to_str().unwrap(), &id]);
    // SAFETY: between fork and exec it only closes numbers, which is async-signal-safe.
    unsafe {
        create.pre_exec(|| {
            for stream in 0..=2 {
                libc::close(stream);
            }
            Ok(())
        });
    }
    assert!(create.status().unwrap().success());
    for stream in 0..=2 {
        let file = format!("/proc/{}/fd/{stream}", node.pid(&id));
        assert_eq!(fs::read_link(file).unwrap().to_str(), Some("/dev/null"));
    }
    node.run(&["delete", "--force", &id]).success();
    node.assert_nothing_left(&id);
}

#[test]
fn run_gives_the_programs_output_and_exit_code() {
    let node = Node::new();
    for (program, code, out) in [
        ("/bin/hello", 0, "hello\n"),
        ("hello", 0, "hello\n"),
        ("/bin/exit7", 7, ""),
        ("/bin/trap", 134, ""),
    ] {
        let id = unique("run");
        let output = node.run_bundle(&node.bundle(&id, &[program]).named(&id), &id);
        assert_eq!(
            (output.code, output.out.as_str()),
            (code, out),
            "{program}: {}",
            output.err
        );
        node.assert_nothing_left(&id);
    }
}

#[test]
fn what_is_not_in_the_manifest_does_not_run() {
    let node = Node::new();
    let id = unique("denied");
    let bundle = node.bundle("missing", &["/bin/none"]).named(&id);
    let output = node.run_bundle(&bundle, &id);
    assert_eq!(output.code, 127);
    assert!(
        output.err.contains("executable file `/bin/none` not found"),
        "{}",
        output.err
    );

    let bundle = node.bundle("native", &["/bin/sh"]).named(&id);
    std::fs::copy("/bin/sh", bundle.at("rootfs/bin/sh")).unwrap();
    let output = node.run_bundle(&bundle, &id);
    assert_eq!(output.code, 126);
    assert!(output.err.contains("permission denied"), "{}", output.err);

    let bundle = node.bundle("modified", &["/bin/hello"]).named(&id);
    std::fs::write(bundle.at("rootfs/bin/hello"), "#!something else\n").unwrap();
    let output = node.run_bundle(&bundle, &id);
    assert_eq!(output.code, 126);
    assert_eq!(output.err.matches("sha256:").count(), 3, "{}", output.err);
    node.assert_nothing_left(&id);
}

#[test]
fn the_audit_has_every_decision_once() {
    let (node, id) = (Node::new(), unique("audit"));
    let bundle = node.bundle("b", &["/bin/loop"]).named(&id);
    let changed = node.bundle("changed", &["/bin/hello"]);
    let edit = |bundle: &Bundle, path: &str| {
        let path = bundle.at("rootfs/bin").join(path);
        fs::OpenOptions::new()
            .append(true)
            .open(path)
            .and_then(|mut file| file.write_all(b"x"))
            .unwrap();
    };
    edit(&changed, "hello");
    node.create(&changed, &unique("refused"))
        .refused(&["modified"]);

    node.create(&bundle, &id).success();
    node.run(&["start", &id]).success();
    node.run(&["exec", &id, "hello"]).success();
    edit(&bundle, "hello");
    node.run(&["exec", &id, "hello"]).refused(&["modified"]);
    fs::copy("/bin/true", bundle.at("rootfs/bin/stranger")).unwrap();
    node.run(&["exec", &id, "stranger"])
        .refused(&["not in the manifest"]);
    node.run(&["exec", &id, "nothing"]).refused(&["not found"]);
    node.run(&["exec", "--tool", "nobody", &id])
        .refused(&["nobody"]);

    let audit = fs::read_to_string(node.at("audit.jsonl")).unwrap();
    let decisions: Vec<(String, String)> = audit
        .lines()
        .map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap())
        .map(|record| {
            let text = |field: &str| record[field].as_str().unwrap().to_owned();
            (text("decision"), text("path"))
        })
        .collect();
    let expected = [
        ("modified", "/bin/hello"),
        ("allowed", "/bin/loop"),
        ("allowed", "/bin/hello"),
        ("modified", "/bin/hello"),
        ("unknown", "/bin/stranger"),
        ("unknown", "nobody"),
    ];
    let expected = expected.map(|(decision, path)| (decision.to_owned(), path.to_owned()));
    assert_eq!(decisions, expected);
}

#[test]
fn every_signal_that_ends_a_process_ends_a_loop_and_a_blocked_read() {
    let node = Node::new();
    for (program, signal, code) in [
        ("/bin/loop", "TERM", 143),
        ("/bin/loop", "2", 130),
        ("/bin/cat", "HUP", 129),
    ] {
        let id = unique("signal");
        let bundle = node.bundle(&id, &[program]).named(&id);
        let mut command = node.command(&["run", "--bundle", bundle.path.to_str().unwrap(), &id]);
        // A terminal's side of a pipe that nobody writes to: the read blocks.
        let mut child = command.stdin(std::process::Stdio::piped()).spawn().unwrap();
        wait_until("it runs", || {
            node.run(&["state", &id]).out.contains("\"running\"")
        });
        std::thread::sleep(std::time::Duration::from_millis(50));
        node.run(&["kill", &id, signal]).success();
        wait_until("run returns", || child.try_wait().unwrap().is_some());
        assert_eq!(
            child.wait().unwrap().code(),
            Some(code),
            "{program} {signal}"
        );
        node.assert_nothing_left(&id);
    }
}

#[test]
fn exec_runs_more_programs_of_the_same_manifest() {
    let (node, id) = (Node::new(), unique("exec"));
    let bundle = node.bundle("b", &["/bin/loop"]).named(&id);
    node.create(&bundle, &id).success();
    node.run(&["start", &id]).success();
    assert_eq!(
        node.run(&["exec", &id, "/bin/hello"]).success().out,
        "hello\n"
    );
    assert_eq!(
        node.run(&["exec", "--tool", "greeter", &id]).success().out,
        "hello\n"
    );
    assert_eq!(
        node.run(&["exec", "--user", "1000:1000", &id, "hello"])
            .success()
            .out,
        "hello\n"
    );
    assert_eq!(node.run(&["exec", &id, "/bin/exit7"]).code, 7);
    assert_eq!(node.run(&["exec", &id, "/bin/none"]).code, 127);
    assert_eq!(node.run(&["exec", "--tool", "none", &id]).code, 127);
    assert_eq!(node.run(&["exec", &id, "/proc/self/exe"]).code, 126);

    let process = node.at("process.json");
    let text = r#"{"user":{"uid":0,"gid":0},"args":["/bin/exit7"],"cwd":"/","env":["A=b"]}"#;
    std::fs::write(&process, text).unwrap();
    let process = process.to_str().unwrap();
    assert_eq!(node.run(&["exec", "--process", process, &id]).code, 7);

    // Detached: with its pid on record, in the container's cgroup, listed, and ended with it.
    let pid_file = node.at("exec.pid");
    std::fs::write(node.at("process.json"), text.replace("exit7", "loop")).unwrap();
    node.run(&[
        "exec",
        "--process",
        process,
        "--detach",
        "--pid-file",
        pid_file.to_str().unwrap(),
        &id,
    ])
    .success();
    let pid = std::fs::read_to_string(&pid_file).unwrap();
    let listed = node.run(&["ps", "--format", "json", &id]).success().out;
    let pids: Vec<i32> = serde_json::from_str(&listed).unwrap();
    assert!(
        pids.contains(&pid.parse().unwrap()) && pids.len() == 2,
        "{listed}"
    );
    let table = node.run(&["ps", &id, "-o", "pid,args"]).success().out;
    let mut lines = table.lines();
    assert!(
        lines.next().is_some_and(|head| head.contains("PID")),
        "{table}"
    );
    assert_eq!(lines.count(), 2, "{table}");
    node.run(&["delete", "--force", &id]).success();
    node.assert_nothing_left(&id);
}

#[test]
fn exec_takes_its_own_directory_and_environment() {
    let (node, id) = (Node::new(), unique("execdir"));
    let bundle = node.bundle("b", &["/bin/loop"]).named(&id);
    node.create(&bundle, &id).success();
    node.run(&["start", &id]).success();
    let there = node.run(&["exec", "--cwd", "/bin", &id, "./hello"]);
    assert_eq!(there.success().out, "hello\n");
    let elsewhere = node.run(&["exec", "--cwd", "/dev", &id, "./hello"]);
    assert_eq!(elsewhere.code, 127, "{}", elsewhere.err);
    node.run(&["exec", "--cwd", "/none", &id, "/bin/hello"])
        .refused(&["/none", "No such file or directory"]);
    node.run(&["exec", "--cwd", "bin", &id, "./hello"])
        .refused(&["bin", "absolute"]);

    let searched = node.run(&["exec", "--env", "PATH=/dev", &id, "hello"]);
    assert_eq!(searched.code, 127, "{}", searched.err);
}

#[test]
fn the_list_shows_all_in_each_form() {
    let node = Node::new();
    assert_eq!(node.run(&["list", "-f", "json"]).success().out.trim(), "[]");
    let ids = [unique("list-a"), unique("list-b")];
    for id in &ids {
        node.create(&node.bundle(id, &["/bin/hello"]).named(id), id)
            .success();
    }
    let out = node.run(&["list", "-q"]).success().out;
    assert_eq!(out.lines().collect::<Vec<_>>(), ids);
    let rows: Vec<serde_json::Value> =
        serde_json::from_str(&node.run(&["list", "--format", "json"]).success().out).unwrap();
    assert_eq!(rows.len(), 2);
    assert_eq!(rows[0]["status"], "created");
    assert!(node.run(&["list"]).success().out.starts_with("ID "));
}

#[test]
fn pause_stops_the_clock_and_force_delete_still_works() {
    let (node, id) = (Node::new(), unique("pause"));
    node.create(&node.bundle("b", &["/bin/loop"]).named(&id), &id)
        .success();
    node.run(&["resume", &id]).refused(&["created"]);
    node.run(&["start", &id]).success();
    node.run(&["pause", &id]).success();
    assert_eq!(node.status(&id), "paused");
    node.run(&["exec", &id, "/bin/hello"]).refused(&["paused"]);
    node.run(&["resume", &id]).success();
    assert_eq!(node.status(&id), "running");
    node.run(&["pause", &id]).success();
    node.run(&["delete", "--force", &id]).success();
    node.assert_nothing_left(&id);
}

#[test]
fn a_pod_sandbox_runs_nothing_and_ends_on_a_signal() {
    let (node, id) = (Node::new(), unique("sandbox"));
    let bundle = node.bundle("b", &["/pause"]).named(&id);
    // No megabinary at all: the runtime itself waits.
    std::fs::remove_file(bundle.at("manifest.json")).unwrap();
    std::fs::remove_file(bundle.at("container.wasm")).unwrap();
    node.create(&bundle, &id)
        .refused(&["no megabinary", "native"]);
    bundle.edit(|config| {
        config["annotations"] = serde_json::json!({"io.kubernetes.cri.container-type": "sandbox"});
    });
    node.create(&bundle, &id).success();
    node.run(&["start", &id]).success();
    node.run(&["exec", &id, "/bin/hello"])
        .refused(&["pod sandbox"]);

    // Another container joins its namespaces, as a pod's do.
    let (pid, member) = (node.pid(&id), unique("member"));
    let joined = node.bundle("member", &["/bin/loop"]).named(&member);
    joined.edit(|config| {
        for namespace in config["linux"]["namespaces"].as_array_mut().unwrap() {
            let file = match namespace["type"].as_str().unwrap() {
                "network" => "net",
                "ipc" => "ipc",
                "uts" => "uts",
                _ => continue,
            };
            namespace["path"] = format!("/proc/{pid}/ns/{file}").into();
        }
        config.as_object_mut().unwrap().remove("hostname");
    });
    node.create(&joined, &member).success();
    for file in ["net", "ipc", "uts"] {
        let of = |pid: i32| std::fs::read_link(format!("/proc/{pid}/ns/{file}")).unwrap();
        assert_eq!(of(pid), of(node.pid(&member)), "{file}");
    }
    node.run(&["delete", "--force", &member]).success();
    node.run(&["kill", &id, "TERM"]).success();
    node.wait_for(&id, "stopped");
    node.run(&["delete", &id]).success();
    node.assert_nothing_left(&id);
}
