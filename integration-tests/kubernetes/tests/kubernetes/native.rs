//! Native sidecars, under a handler whose configuration allows them.

use integration_tests::engines::{GUEST, NATIVE};
use kubernetes_tests::kubelet;
use kubernetes_tests::stream::STDIN;
use kubernetes_tests::{Pod, PodOptions};

fn pod() -> Pod {
    Pod::with(PodOptions {
        handler: kubelet::NATIVE,
        ..PodOptions::default()
    })
}

#[test]
fn a_native_sidecar_runs_beside_a_megabinary() {
    let pod = pod();
    let app = pod.start(GUEST, &["sleep", "1000"]);
    let sidecar = pod.start(NATIVE, &["sleep", "1000"]);
    for container in [&app, &sidecar] {
        let probe = container.exec(&["cat", "/data/word"], 30).unwrap();
        assert_eq!((probe.exit_code, probe.stdout), (0, b"moon\n".to_vec()));
        assert_eq!(container.exec(&["exit", "3"], 30).unwrap().exit_code, 3);
    }
    // The handler allows native code, not code that a megabinary does not name.
    let shell = app.exec(&["sh", "-c", "true"], 30).unwrap_err();
    assert!(shell.message().contains("not found"), "{shell}");
    let shell = sidecar.exec(&["sh", "-c", "exit 4"], 30).unwrap();
    assert_eq!(shell.exit_code, 4);
    let absent = sidecar.exec(&["nosuch"], 30).unwrap_err();
    assert!(
        absent
            .message()
            .contains("executable file `nosuch` not found in $PATH"),
        "{absent}"
    );
    // The shell in the way of it is process 1, and takes no SIGTERM.
    sidecar.stop(1);
    assert_eq!(sidecar.ended().exit_code, 137);
}

#[test]
fn ports_are_forwarded_to_what_listens_in_the_pod() {
    let pod = pod();
    let serve = [
        "busybox",
        "nc",
        "-ll",
        "-p",
        "8080",
        "-e",
        "cat",
        "/data/word",
    ];
    let server = pod.start(NATIVE, &serve);
    let probe = [
        "sh",
        "-c",
        "until busybox netstat -tln | grep -q :8080; do :; done",
    ];
    assert_eq!(server.exec(&probe, 30).unwrap().exit_code, 0);
    // What the stream begins with is the port's number.
    pod.forward(8080).read_until(STDIN, "moon\n");
}
