//! docker, with its prestart hook for the network, and its init.

use integration_tests::command::Output;
use integration_tests::engines::{Docker, GUEST};

#[track_caller]
fn run(options: &str, command: &[&str]) -> Output {
    let options: Vec<&str> = options.split_whitespace().collect();
    let args = [
        &["run", "--rm", "--runtime", "megarun"][..],
        &options,
        &[GUEST],
        command,
    ]
    .concat();
    Docker::shared().run(&args)
}

#[test]
fn programs_run_with_what_docker_can_ask_for() {
    assert_eq!(run("", &["cat", "/data/word"]).success().out(), "moon\n");
    for code in ["1", "126", "143", "255"] {
        assert_eq!(
            run("--network none", &["exit", code]).code.to_string(),
            code
        );
    }
    for options in [
        "--network bridge",
        "--network host",
        "--network none --init",
        "--network none --read-only --tmpfs /tmp",
        "--network none --user 1000:1000 --cap-drop ALL",
        "--network none --memory 64m --cpus 0.5 --pids-limit 50 --cpu-shares 300",
        "--network none --privileged",
        "--network none --security-opt seccomp=unconfined",
        "--network none --security-opt no-new-privileges",
        "--network none --env A=b --workdir /data --hostname other",
        "--network none --ulimit core=0:0 --shm-size 8m",
        "--network none --pid host --ipc host",
        "--network none --volume named:/data",
        "--network none --device /dev/fuse",
        "--network none --workdir /new/directory",
    ] {
        run(options, &["true"]).success();
    }
    let absent = run("--network none", &["nosuch"]);
    assert_eq!(absent.code, 127, "{}", absent.err());
    assert_eq!(run("--network none", &["/data/word"]).code, 126);
    assert!(
        absent
            .err()
            .contains("executable file `nosuch` not found in $PATH"),
        "{}",
        absent.err()
    );
    // What the init would have started is the container's process.
    assert_eq!(run("--network none --init", &["exit", "5"]).code, 5);
}

#[test]
fn a_container_lives() {
    let docker = Docker::shared();
    let args = [
        "run",
        "-d",
        "--name",
        "life",
        "--runtime",
        "megarun",
        GUEST,
        "sleep",
        "1000",
    ];
    docker.run(&args).success();
    assert_eq!(docker.says(&["exec", "life", "cat", "/data/word"]), "moon");
    assert_eq!(docker.run(&["exec", "life", "exit", "7"]).code, 7);
    let absent = docker.run(&["exec", "life", "nosuch"]);
    assert!(absent.code == 126 || absent.code == 127, "{}", absent.err());
    assert!(docker.says(&["top", "life"]).contains("sleep 1000"));
    let stats = docker.says(&["stats", "--no-stream", "--format", "{{.MemUsage}}", "life"]);
    assert!(stats.contains("iB / "), "{stats}");
    docker
        .run(&["update", "--memory", "50m", "--memory-swap", "50m", "life"])
        .success();
    let status = || {
        docker.says(&[
            "inspect",
            "--format",
            "{{.State.Status}} {{.State.ExitCode}}",
            "life",
        ])
    };
    docker.run(&["pause", "life"]).success();
    assert_eq!(status(), "paused 0");
    docker.run(&["unpause", "life"]).success();
    docker.run(&["stop", "-t", "20", "life"]).success();
    assert_eq!(status(), "exited 143");
    docker.run(&["start", "life"]).success();
    docker.run(&["restart", "-t", "20", "life"]).success();
    docker.run(&["kill", "life"]).success();
    assert_eq!(docker.says(&["wait", "life"]), "137");
    docker.run(&["rm", "-f", "life"]).success();
}
