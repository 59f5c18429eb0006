//! Commands in running containers: probes, and what a person types.

use std::time::{Duration, Instant};

use integration_tests::engines::GUEST;
use kubernetes_tests::{Kubelet, Pod};
use tonic::Code;

#[test]
fn a_probe_tells_by_its_exit_code() {
    let pod = Pod::new();
    let container = pod.start(GUEST, &["sleep", "1000"]);
    let probe = container.exec(&["cat", "/data/word"], 30).unwrap();
    assert_eq!(
        (probe.exit_code, probe.stdout, probe.stderr),
        (0, b"moon\n".to_vec(), Vec::new())
    );
    assert_eq!(container.exec(&["exit", "3"], 30).unwrap().exit_code, 3);
    let absent = container.exec(&["cat", "/nosuch"], 30).unwrap();
    assert_eq!(absent.exit_code, 1);
    assert!(!absent.stderr.is_empty() && absent.stdout.is_empty());
}

#[test]
fn a_probe_of_a_program_that_nobody_signed_fails_in_words() {
    let pod = Pod::new();
    let container = pod.start(GUEST, &["sleep", "1000"]);
    let refused = container.exec(&["nosuch"], 30).unwrap_err();
    assert!(
        refused
            .message()
            .contains("executable file `nosuch` not found in $PATH"),
        "{refused}"
    );
    let refused = container.exec(&["/data/word"], 30).unwrap_err();
    assert!(refused.message().contains("ermission denied"), "{refused}");
}

#[test]
fn a_probe_that_takes_too_long_is_ended() {
    let pod = Pod::new();
    let container = pod.start(GUEST, &["sleep", "1000"]);
    let refused = container.exec(&["sleep", "1000"], 1).unwrap_err();
    assert!(
        matches!(refused.code(), Code::DeadlineExceeded | Code::Unknown),
        "{refused}"
    );
    // Nothing of it is left in the container.
    let started = Instant::now();
    while container.cgroup("pids", "cgroup.procs").lines().count() > 1 {
        assert!(
            started.elapsed() < Duration::from_secs(60),
            "the probe goes on"
        );
        std::thread::sleep(Duration::from_millis(10));
    }
}

#[test]
fn probes_by_the_hundred_leave_nothing_behind() {
    let pod = Pod::new();
    let container = pod.start(GUEST, &["sleep", "1000"]);
    let room = Kubelet::shared().room();
    let (pid, shim) = (
        container.cgroup("pids", "cgroup.procs"),
        format!("containerd-shim.*{}", pod.id),
    );
    let count = || {
        let descriptors = room.run("ls", &[&format!("/proc/{}/fd", host_to_room(&pid))]);
        let shims = room.run("pgrep", &["-c", "-f", &shim]).out();
        (descriptors.success().out().lines().count(), shims)
    };
    let before = count();
    // Four probes at once, as a node with several containers has.
    std::thread::scope(|scope| {
        for prober in 0..4 {
            let container = &container;
            scope.spawn(move || {
                for probe in 0..25 {
                    let code = format!("{}", (prober * 25 + probe) % 3);
                    let answer = container.exec(&["exit", &code], 30).unwrap();
                    assert_eq!(answer.exit_code.to_string(), code);
                }
            });
        }
    });
    assert_eq!(count(), before);
    assert_eq!(container.cgroup("pids", "cgroup.procs"), pid);
}

/// A pid of a cgroup file read on the host, as the room numbers it.
#[track_caller]
fn host_to_room(pid: &str) -> String {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).expect("it runs");
    let line = status.lines().find_map(|line| line.strip_prefix("NSpid:"));
    // The host's number first, then the room's.
    let number = line.and_then(|line| line.split_whitespace().nth(1));
    number.expect("the room is a namespace").to_owned()
}
