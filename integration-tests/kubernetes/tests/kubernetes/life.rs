//! From RunPodSandbox to RemovePodSandbox.

use integration_tests::engines::GUEST;
use integration_tests::subject;
use k8s_cri::v1 as cri;
use kubernetes_tests::{Kubelet, Pod, PodOptions};

#[test]
fn a_container_writes_its_log_and_exits_by_itself() {
    let pod = Pod::new();
    let container = pod.start(GUEST, &["cat", "/data/word"]);
    let status = container.ended();
    assert_eq!((status.exit_code, status.reason.as_str()), (0, "Completed"));
    assert_eq!(container.log(), ["stdout F moon"]);

    let container = pod.start(GUEST, &["exit", "7"]);
    let status = container.ended();
    assert_eq!((status.exit_code, status.reason.as_str()), (7, "Error"));
    assert!(container.log().is_empty());
}

#[test]
fn what_a_pod_says_of_its_containers_reaches_the_programs() {
    let pod = Pod::new();
    let container = pod.start_with(GUEST, &["env"], |config| {
        config.envs = vec![cri::KeyValue {
            key: "SKY".to_owned(),
            value: "dark".to_owned(),
        }];
        config.args = Vec::new();
    });
    container.ended();
    let log = container.log();
    assert!(log.contains(&"stdout F SKY=dark".to_owned()), "{log:?}");
    assert!(log.contains(&"stdout F HOSTNAME=pod".to_owned()), "{log:?}");

    let (config_map, secret) = (Kubelet::shared().room().path("config"), "tide\n");
    std::fs::write(&config_map, secret).expect("writing a file");
    let container = pod.start_with(GUEST, &["cat", "/data/tide"], |config| {
        config.mounts = vec![cri::Mount {
            container_path: "/data/tide".to_owned(),
            host_path: config_map.display().to_string(),
            readonly: true,
            ..Default::default()
        }];
    });
    container.ended();
    assert_eq!(container.log(), ["stdout F tide"]);
}

#[test]
fn one_that_has_ended_is_started_again_beside_what_is_left_of_it() {
    let pod = Pod::new();
    let first = pod.start(GUEST, &["exit", "1"]);
    assert_eq!(first.ended().exit_code, 1);
    // The kubelet makes the next attempt before it removes the last.
    let second = pod.start(GUEST, &["sleep", "1000"]);
    first.remove();
    assert_eq!(
        second.status().state(),
        cri::ContainerState::ContainerRunning
    );
    let probe = second.exec(&["cat", "/data/word"], 30).unwrap();
    assert_eq!(probe.stdout, b"moon\n");
    second.stop(1);
    second.remove();
}

#[test]
fn pods_have_networks_of_their_own_and_their_containers_share_one() {
    let kubelet = Kubelet::shared();
    let (one, other) = (Pod::new(), Pod::new());
    let address = |pod: &Pod| {
        let status = pod.status().status.expect("a status");
        status.network.expect("a pod has a network").ip
    };
    let (first, second) = (address(&one), address(&other));
    assert!(first.starts_with("10.99.") && second.starts_with("10.99."));
    assert_ne!(first, second);

    let namespace = |pid: u64, kind: &str| {
        let link = format!("/proc/{pid}/ns/{kind}");
        kubelet.room().run("readlink", &[&link]).success().out()
    };
    let container = one.start(GUEST, &["sleep", "1000"]);
    let inside = process(&container.id);
    for kind in ["net", "ipc", "uts"] {
        assert_eq!(
            namespace(inside, kind),
            namespace(one.pid(), kind),
            "{kind}"
        );
        assert_ne!(namespace(inside, kind), namespace(1, kind), "{kind}");
    }
    for kind in ["pid", "mnt"] {
        assert_ne!(
            namespace(inside, kind),
            namespace(one.pid(), kind),
            "{kind}"
        );
    }
}

#[test]
fn a_pod_with_the_nodes_network_has_no_other() {
    let room = Kubelet::shared().room();
    let pod = Pod::with(PodOptions {
        host_network: true,
        ..PodOptions::default()
    });
    let network = |pid: u64| {
        let link = format!("/proc/{pid}/ns/net");
        room.run("readlink", &[&link]).success().out()
    };
    assert_eq!(network(pod.pid()), network(1));
    let container = pod.start(GUEST, &["sleep", "1000"]);
    assert_eq!(network(process(&container.id)), network(1));
}

#[test]
fn the_sandbox_is_the_runtime_itself() {
    // Its image's program is a text: nothing could execute it.
    let pod = Pod::new();
    let room = Kubelet::shared().room();
    let status = room.read(&format!("/proc/{}/status", pod.pid()));
    assert!(status.contains("NoNewPrivs:\t1"), "{status}");
    assert!(status.contains("Seccomp:\t2"), "{status}");
    let program = |path: &str| {
        let identity = room.run("stat", &["-L", "-c", "%d:%i", path]).success();
        identity.out()
    };
    assert_eq!(
        program(&format!("/proc/{}/exe", pod.pid())),
        program(&subject::megarun().to_string_lossy())
    );
}

/// The process of a container, in the room.
#[track_caller]
fn process(id: &str) -> u64 {
    let tasks = Kubelet::shared().ctr(&["task", "ls"]).success().out();
    let line = tasks.lines().find(|line| line.starts_with(id));
    let line = line.unwrap_or_else(|| panic!("no task {id}: {tasks}"));
    let pid = line
        .split_whitespace()
        .nth(1)
        .and_then(|pid| pid.parse().ok());
    pid.unwrap_or_else(|| panic!("no process: {line}"))
}
