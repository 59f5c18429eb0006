//! A container's life under podman.

use std::time::{Duration, Instant};

use integration_tests::engines::{Container, Podman, Room};
use integration_tests::subject;

fn podman() -> Podman<'static> {
    Podman::new(Room::shared(), "megarun")
}

fn sleeper(options: &[&str]) -> Container<'static> {
    podman().start(
        &[&["--network", "none"][..], options].concat(),
        &["sleep", "1000"],
    )
}

#[test]
fn stop_start_restart_kill_and_wait() {
    let container = sleeper(&[]);
    assert_eq!(container.inspect(".State.Status"), "running");
    assert_eq!(container.inspect(".OCIRuntime"), "megarun");
    // SIGTERM ends it: nobody waits for the grace period.
    let started = Instant::now();
    container.run(&["stop", "-t", "20", "IT"]).success();
    assert!(started.elapsed() < Duration::from_secs(10));
    assert_eq!(container.inspect(".State.ExitCode"), "143");
    container.run(&["start", "IT"]).success();
    let before = container.pid();
    container.run(&["restart", "-t", "20", "IT"]).success();
    assert_ne!(container.pid(), before);
    for (signal, code) in [("INT", "130"), ("USR1", "138"), ("KILL", "137")] {
        container.run(&["kill", "-s", signal, "IT"]).success();
        assert_eq!(container.says(&["wait", "IT"]), code);
        container.run(&["start", "IT"]).success();
    }
    let id = container.inspect(".Id");
    assert!(states().contains(&id));
    container.run(&["rm", "-f", "-t", "0", "IT"]).success();
    assert!(!states().contains(&id));
}

/// The containers that the runtime knows.
fn states() -> String {
    Room::shared().run("ls", &["/run/megarun"]).success().out()
}

/// Without conmon podman ends the program, but does not ask the runtime to delete the container;
/// whoever does that finds all of it.
#[test]
fn of_a_container_whose_monitor_was_killed_nothing_is_left() {
    let container = sleeper(&[]);
    let (id, pid) = (container.inspect(".Id"), container.pid());
    let monitor = container.inspect(".State.ConmonPid");
    Room::shared().run("kill", &["-9", &monitor]).success();
    assert!(Room::shared().alive(pid));
    assert!(states().contains(&id));
    container.run(&["rm", "-f", "-t", "0", "IT"]).success();
    assert!(!Room::shared().alive(pid));
    assert!(states().contains(&id));
    let runtime = subject::megarun();
    let delete = ["delete", "--force", &id];
    Room::shared().run(runtime, &delete).success();
    assert!(!states().contains(&id));
    let cgroups = Room::shared().run("find", &["/sys/fs/cgroup", "-name", &format!("*{id}*")]);
    assert_eq!(cgroups.out(), "");
}

#[test]
fn pause_and_unpause() {
    let container = sleeper(&[]);
    container.run(&["pause", "IT"]).success();
    assert_eq!(container.inspect(".State.Status"), "paused");
    assert_ne!(container.run(&["exec", "IT", "true"]).code, 0);
    container.run(&["unpause", "IT"]).success();
    container.run(&["exec", "IT", "true"]).success();
    // One that is removed while it is frozen goes too.
    container.run(&["pause", "IT"]).success();
    container.run(&["rm", "-f", "-t", "0", "IT"]).success();
}

#[test]
fn limits_are_updated_and_statistics_read() {
    let container = sleeper(&["--memory", "64m"]);
    let stats = container.says(&[
        "stats",
        "--no-stream",
        "--format",
        "{{.MemUsage}} {{.PIDs}}",
        "IT",
    ]);
    assert!(stats.contains("67.11MB"), "{stats}");
    container
        .run(&["update", "--memory", "32m", "--cpus", "0.5", "IT"])
        .success();
    let pid = container.pid();
    let of = |controller: &str, file: &str| {
        let cgroups = Room::shared().read(&format!("/proc/{pid}/cgroup"));
        let line = cgroups
            .lines()
            .find(|line| line.contains(&format!(":{controller}:")))
            .unwrap();
        let path = line.splitn(3, ':').nth(2).unwrap();
        Room::shared().read(&format!("/sys/fs/cgroup/{controller}{path}/{file}"))
    };
    assert_eq!(
        of("memory", "memory.limit_in_bytes").trim(),
        (32 << 20).to_string()
    );
    assert_eq!(of("cpu", "cpu.cfs_quota_us").trim(), "50000");
}

#[test]
fn output_is_in_the_log() {
    let container = podman().start(&["--network", "none"], &["echo", "for the log"]);
    container.run(&["wait", "IT"]).success();
    assert_eq!(container.says(&["logs", "IT"]), "for the log");
}

#[test]
fn one_that_removes_itself_leaves_nothing() {
    let container = podman().start(&["--rm", "--network", "none"], &["true"]);
    let deadline = Instant::now() + Duration::from_secs(20);
    while container.run(&["container", "exists", "IT"]).code == 0 {
        assert!(Instant::now() < deadline, "it is still there");
    }
}

#[test]
fn one_that_takes_too_much_memory_is_killed_and_reported_as_under_crun() {
    // Whether conmon notices is the host's matter: it is the same for both.
    let [ours, theirs] = ["megarun", "crun"].map(|runtime| {
        let limits = [
            "--network",
            "none",
            "--memory",
            "48m",
            "--memory-swap",
            "48m",
        ];
        let container = Podman::new(Room::shared(), runtime).start(&limits, &["hog"]);
        let code = container.says(&["wait", "IT"]);
        (code, container.inspect(".State.OOMKilled"))
    });
    assert_eq!(ours.0, "137");
    assert_eq!(ours, theirs);
}

#[test]
fn restart_policies_and_commits() {
    let failing = podman().start(
        &["--network", "none", "--restart", "on-failure:2"],
        &["false"],
    );
    let deadline = Instant::now() + Duration::from_secs(20);
    while failing.inspect(".RestartCount") != "2" {
        assert!(Instant::now() < deadline, "it was not started again");
    }
    let container = sleeper(&[]);
    container
        .run(&["exec", "IT", "touch", "/data/new"])
        .success();
    container
        .run(&["commit", "-q", "IT", "localhost/committed:1"])
        .success();
    let ls = [
        "run",
        "--rm",
        "--network",
        "none",
        "localhost/committed:1",
        "ls",
        "/data",
    ];
    assert_eq!(podman().says(&ls), "new\nword");
    podman().run(&["rmi", "localhost/committed:1"]).success();
}

#[test]
fn a_checkpoint_is_refused_in_words() {
    let container = sleeper(&[]);
    let refused = container.run(&["container", "checkpoint", "IT"]);
    assert_ne!(refused.code, 0);
    assert_eq!(container.inspect(".State.Status"), "running");
}
