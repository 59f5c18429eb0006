//! How containers end.

use std::time::{Duration, Instant};

use integration_tests::engines::GUEST;
use k8s_cri::v1 as cri;
use kubernetes_tests::Pod;

#[test]
fn one_that_ends_when_asked_to_does_so_before_its_grace_is_over() {
    let pod = Pod::new();
    let container = pod.start(GUEST, &["sleep", "1000"]);
    let asked = Instant::now();
    container.stop(600);
    // A test never fails on time, but containerd's answer would take ten minutes otherwise.
    assert!(asked.elapsed() < Duration::from_secs(300));
    assert_eq!(container.ended().exit_code, 143);
}

#[test]
fn one_that_does_not_listen_is_killed_when_its_grace_is_over() {
    let pod = Pod::new();
    let container = pod.start(GUEST, &["stubborn"]);
    while container.log() != ["stdout F deaf"] {
        std::thread::sleep(Duration::from_millis(10));
    }
    let asked = Instant::now();
    container.stop(2);
    let status = container.ended();
    assert_eq!(status.exit_code, 137, "{status:?} {:?}", container.log());
    assert!(asked.elapsed() >= Duration::from_secs(2));
}

#[test]
fn one_that_takes_too_much_memory_is_reported_so() {
    let pod = Pod::new();
    let container = pod.start_with(GUEST, &["hog"], |config| {
        let linux = config.linux.as_mut().expect("every container here has it");
        linux.resources = Some(cri::LinuxContainerResources {
            memory_limit_in_bytes: 64 << 20,
            ..Default::default()
        });
    });
    let status = container.ended();
    assert_eq!(
        (status.exit_code, status.reason.as_str()),
        (137, "OOMKilled"),
        "{status:?}"
    );
    // The pod goes on.
    assert_eq!(pod.start(GUEST, &["true"]).ended().exit_code, 0);
}

#[test]
fn stopping_a_pod_ends_its_containers() {
    let pod = Pod::new();
    let container = pod.start(GUEST, &["stubborn"]);
    pod.stop();
    assert_ne!(container.ended().exit_code, 0);
    let state = pod.status().status.expect("a status").state();
    assert_eq!(state, cri::PodSandboxState::SandboxNotready);
}
