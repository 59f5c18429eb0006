//! Pods of podman: the sandbox is built in, podman's native pause program does not run.

use integration_tests::engines::{Podman, Room};

#[test]
fn a_pod_lives_and_shares_its_namespaces() {
    let room = Room::shared();
    let podman = Podman::new(room, "megarun");
    podman
        .run(&["pod", "create", "--name", "pod", "--network", "none"])
        .success();
    let run = |name: &str| {
        podman
            .run(&[
                "run", "-d", "--pod", "pod", "--name", name, "IMAGE", "sleep", "1000",
            ])
            .success();
        podman.says(&["inspect", "--format", "{{.State.Pid}}", name])
    };
    let (one, two) = (run("pod-one"), run("pod-two"));
    for kind in ["net", "ipc", "uts"] {
        let of = |pid: &str| {
            room.run("readlink", &[&format!("/proc/{pid}/ns/{kind}")])
                .success()
                .out()
        };
        assert_eq!(of(&one), of(&two), "{kind}");
        assert_ne!(of(&one), of("1"), "{kind}");
    }
    // What waits is this runtime itself.
    let infra = podman.says(&["pod", "inspect", "--format", "{{.InfraContainerID}}", "pod"]);
    let pid = podman.says(&["inspect", "--format", "{{.State.Pid}}", &infra]);
    let program = |pid: &str| {
        room.run("readlink", &[&format!("/proc/{pid}/exe")])
            .success()
            .out()
    };
    assert_eq!(program(&pid), program(&one));

    podman.run(&["exec", "pod-one", "true"]).success();
    podman.run(&["pod", "pause", "pod"]).success();
    podman.run(&["pod", "unpause", "pod"]).success();
    podman.run(&["pod", "restart", "pod"]).success();
    podman.run(&["exec", "pod-two", "true"]).success();
    podman.run(&["pod", "stop", "-t", "20", "pod"]).success();
    let status = podman.says(&["pod", "inspect", "--format", "{{.State}}", "pod"]);
    assert_eq!(status, "Exited");
    podman.run(&["pod", "rm", "-f", "pod"]).success();
}
