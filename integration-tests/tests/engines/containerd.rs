//! containerd, by `ctr` and the shim `io.containerd.runc.v2`.

use std::time::{Duration, Instant};

use integration_tests::engines::{Containerd, GUEST, Room};

#[track_caller]
fn run(options: &[&str], id: &str, command: &[&str]) -> (i32, String, String) {
    let id = Containerd::id(id);
    let args = [
        &["run", "--rm", "RUNTIME"][..],
        options,
        &[GUEST, &id],
        command,
    ]
    .concat();
    let output = Containerd::shared().run(&args);
    (output.code, output.out(), output.err())
}

#[test]
fn programs_run_with_what_ctr_can_ask_for() {
    let (code, out, err) = run(&[], "plain", &["cat", "/data/word"]);
    assert_eq!((code, out.as_str()), (0, "moon\n"), "{err}");
    for code in ["1", "3", "126", "255"] {
        let id = format!("code-{code}");
        assert_eq!(run(&[], &id, &["exit", code]).0.to_string(), code);
    }
    for (at, options) in [
        "--privileged",
        "--net-host",
        "--memory-limit 64000000",
        "--cpus 0.5",
        "--read-only",
        "--seccomp",
        "--env A=b",
        "--cwd /data",
        "--mount type=bind,src=/etc,dst=/tmp/etc,options=rbind:ro",
    ]
    .into_iter()
    .enumerate()
    {
        let words: Vec<&str> = options.split(' ').collect();
        let (code, _, err) = run(&words, &format!("option-{at}"), &["true"]);
        assert_eq!(code, 0, "{options}: {err}");
    }
}

#[test]
fn what_is_not_there_is_said_in_words() {
    let (code, _, err) = run(&[], "absent", &["nosuch"]);
    assert_ne!(code, 0);
    assert!(
        err.contains("executable file `nosuch` not found in $PATH"),
        "{err}"
    );
    // Nothing is left: the same id serves again.
    assert_eq!(run(&[], "absent", &["true"]).0, 0);
}

#[test]
fn a_task_lives() {
    let containerd = Containerd::shared();
    let task = Containerd::id("task");
    let task = task.as_str();
    let run = ["run", "-d", "RUNTIME", GUEST, task, "/bin/sleep", "1000"];
    containerd.run(&run).success();
    assert!(containerd.becomes(task, "RUNNING"));
    let exec = |id: &str, command: &[&str]| {
        let args = [&["task", "exec", "--exec-id", id, task][..], command].concat();
        containerd.run(&args)
    };
    assert_eq!(exec("e1", &["cat", "/data/word"]).success().out(), "moon\n");
    assert_eq!(exec("e2", &["exit", "7"]).code, 7);
    let absent = exec("e3", &["nosuch"]);
    assert!(
        absent.err().contains("not found in $PATH"),
        "{}",
        absent.err()
    );
    assert!(
        containerd
            .run(&["task", "ps", task])
            .success()
            .out()
            .lines()
            .count()
            >= 2
    );
    let metrics = containerd.run(&["task", "metrics", task]).success().out();
    for part in ["memory.usage_in_bytes", "cpuacct.usage", "pids.current"] {
        assert!(metrics.contains(part), "{metrics}");
    }
    containerd.run(&["task", "pause", task]).success();
    assert!(containerd.becomes(task, "PAUSED"));
    containerd.run(&["task", "resume", task]).success();
    assert!(containerd.becomes(task, "RUNNING"));
    let checkpoint = containerd.run(&["task", "checkpoint", task]);
    assert_ne!(checkpoint.code, 0);
    assert!(
        checkpoint.err().contains("checkpoint"),
        "{}",
        checkpoint.err()
    );
    containerd
        .run(&["task", "kill", "-s", "TERM", task])
        .success();
    assert!(containerd.becomes(task, "STOPPED"));
    // As the engine does when it is not sure.
    containerd.run(&["task", "kill", "--all", "-s", "KILL", task]);
    let removed = containerd.run(&["task", "rm", task]);
    assert!(
        removed.err().contains("143") || removed.code == 0,
        "{}",
        removed.err()
    );
    containerd.run(&["container", "rm", task]).success();
}

/// containerd sees the shim go and has the runtime remove what it left.
#[test]
fn of_a_task_whose_shim_was_killed_nothing_is_left() {
    let (containerd, room) = (Containerd::shared(), Room::shared());
    let task = Containerd::id("shimless");
    let task = task.as_str();
    let run_task = ["run", "-d", "RUNTIME", GUEST, task, "/bin/sleep", "1000"];
    containerd.run(&run_task).success();
    let tasks = containerd.run(&["task", "ls"]).success().out();
    let line = tasks.lines().find(|line| line.starts_with(task)).unwrap();
    let pid: u32 = line.split_whitespace().nth(1).unwrap().parse().unwrap();
    let stat = room.read(&format!("/proc/{pid}/stat"));
    // Behind the name: the state, then the parent.
    let shim = stat.rsplit(')').next().unwrap().split_whitespace().nth(1);
    room.run("kill", &["-9", shim.unwrap()]).success();
    let started = Instant::now();
    while room.alive(pid) {
        assert!(started.elapsed() < Duration::from_secs(20), "{pid} runs on");
        std::thread::sleep(Duration::from_millis(20));
    }
    containerd.run(&["task", "rm", "--force", task]);
    containerd.run(&["container", "rm", task]).success();
    let cgroups = room.run("find", &["/sys/fs/cgroup", "-name", task]);
    assert_eq!(cgroups.out(), "");
    // The same id serves again.
    let (code, out, err) = run(&[], "shimless", &["cat", "/data/word"]);
    assert_eq!((code, out.as_str()), (0, "moon\n"), "{err}");
}
