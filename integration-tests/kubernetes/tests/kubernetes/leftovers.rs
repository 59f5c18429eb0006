//! What is left of pods that are gone: nothing.

use integration_tests::engines::GUEST;
use kubernetes_tests::{Kubelet, Pod, cgroups};

#[test]
fn a_pod_that_was_removed_leaves_nothing() {
    let kubelet = Kubelet::shared();
    let room = kubelet.room();
    // Of other tests nothing is counted: what is asked is whether anything names this pod.
    let pod = Pod::new();
    let id = pod.id.clone();
    let container = pod.start(GUEST, &["sleep", "1000"]);
    let inner = container.id.clone();
    container.exec(&["true"], 30).unwrap();
    let failed = pod.create(GUEST, &["nosuch"], |_| ());
    if let Ok(failed) = failed {
        assert!(failed.start().is_err());
    }
    let mentions = |name: &str| {
        let mounts = room.read("/proc/self/mountinfo");
        let processes = room.run("ps", &["-eo", "args"]).success().out();
        let state = room.run(
            "find",
            &[
                "/run/containerd",
                "/run/megarun",
                &room.path("cri.state").to_string_lossy(),
                "-name",
                name,
            ],
        );
        [
            mounts.contains(name),
            processes.contains(name),
            !state.out().is_empty(),
        ]
    };
    assert_ne!(mentions(&inner), [false; 3]);
    assert!(!cgroups::below(pod.cgroup()).is_empty());

    pod.stop();
    let cgroup = pod.cgroup().to_owned();
    assert_eq!(cgroups::below(&cgroup), Vec::<std::path::PathBuf>::new());
    drop(pod);
    for name in [&id, &inner] {
        assert_eq!(mentions(name), [false; 3], "{name}");
    }
}
