//! `podman exec`, health checks and `podman cp`.

use integration_tests::engines::{Podman, Room};

#[test]
fn programs_in_a_running_container() {
    for runtime in ["megarun", "crun"] {
        let podman = Podman::new(Room::shared(), runtime);
        let container = podman.start(&["--network", "none"], &["sleep", "1000"]);
        assert_eq!(container.says(&["exec", "IT", "cat", "/data/word"]), "moon");
        for code in ["0", "1", "126", "143", "255"] {
            assert_eq!(
                container
                    .run(&["exec", "IT", "exit", code])
                    .code
                    .to_string(),
                code
            );
        }
        let absent = container.run(&["exec", "IT", "nosuch"]);
        assert_eq!(absent.code, 127, "{}", absent.err());
        let nowhere = container.run(&["exec", "-w", "/nosuch", "IT", "true"]);
        assert_eq!(nowhere.code, 127, "{}", nowhere.err());
        let env = container.says(&["exec", "-e", "A=b", "IT", "env"]);
        assert!(env.lines().any(|line| line == "A=b"), "{env}");
        let sorted = container.run_with(&["exec", "-i", "IT", "sort"], b"b\na\n");
        assert_eq!(sorted.success().out(), "a\nb\n");
        // podman itself may lose what a terminal shows last, with crun too.
        let shown = || container.on_terminal(&["exec", "-it", "IT", "ls", "/dev/pts"]);
        assert!((0..5).any(|_| shown().success().out().contains("ptmx\r\n")));
        assert_eq!(
            container
                .on_terminal(&["exec", "-it", "IT", "exit", "9"])
                .code,
            9
        );
        container
            .run(&["exec", "-u", "1000:1000", "IT", "touch", "/tmp/mine"])
            .success();
        let refused = container.run(&["exec", "-u", "1000:1000", "IT", "touch", "/data/mine"]);
        assert_eq!(refused.code, 1, "{}", refused.err());
        container
            .run(&["exec", "-d", "IT", "sleep", "1000"])
            .success();
        let processes = container.says(&["top", "IT", "pid", "args"]);
        assert_eq!(processes.matches("sleep 1000").count(), 2, "{processes}");
    }
}

#[test]
fn files_are_copied_in_and_out() {
    let room = Room::shared();
    let podman = Podman::new(room, "megarun");
    let container = podman.start(&["--network", "none"], &["sleep", "1000"]);
    let (from, to) = (room.path("copy.in"), room.path("copy.out"));
    std::fs::write(&from, "copied\n").unwrap();
    let inside = format!("{}:/tmp/copy", container.name);
    container
        .run(&["cp", &from.to_string_lossy(), &inside])
        .success();
    assert_eq!(
        container.says(&["exec", "IT", "cat", "/tmp/copy"]),
        "copied"
    );
    container
        .run(&["cp", &inside, &to.to_string_lossy()])
        .success();
    assert_eq!(std::fs::read_to_string(&to).unwrap(), "copied\n");
}

#[test]
fn a_health_check_runs_as_an_exec() {
    for (runtime, command, healthy) in [
        ("megarun", "CMD true", true),
        ("megarun", "CMD false", false),
        ("crun", "CMD true", true),
        ("crun", "CMD false", false),
    ] {
        let podman = Podman::new(Room::shared(), runtime);
        let options = [
            "--network",
            "none",
            "--health-cmd",
            command,
            "--health-interval",
            "disable",
            "--health-retries",
            "1",
        ];
        let container = podman.start(&options, &["sleep", "1000"]);
        assert_eq!(
            container.run(&["healthcheck", "run", "IT"]).code == 0,
            healthy
        );
        let status = container.inspect(".State.Health.Status");
        assert_eq!(status, if healthy { "healthy" } else { "unhealthy" });
    }
}
