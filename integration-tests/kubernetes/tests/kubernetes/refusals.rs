//! What must not run under the handler `megarun`.

use integration_tests::engines::{GUEST, NATIVE};
use k8s_cri::v1 as cri;
use kubernetes_tests::{Pod, PodOptions, STRIPPED};

/// Asks for a container and its start, and returns the words of the refusal.
#[track_caller]
fn refused(pod: &Pod, image: &str, command: &[&str]) -> String {
    let made = pod.create(image, command, |_| ());
    let error = made.and_then(|container| {
        let started = container.start();
        assert_ne!(
            container.status().state(),
            cri::ContainerState::ContainerRunning
        );
        started
    });
    error.expect_err("it runs").message().to_owned()
}

#[test]
fn native_programs_do_not_run() {
    let pod = Pod::new();
    let words = refused(&pod, NATIVE, &["sleep", "1000"]);
    assert!(
        words.contains("no megabinary") && words.contains("native"),
        "{words}"
    );
    // The pod is none the worse.
    assert_eq!(pod.start(GUEST, &["true"]).ended().exit_code, 0);
}

#[test]
fn an_image_whose_megabinary_was_taken_away_does_not_run() {
    let words = refused(&Pod::new(), STRIPPED, &["cat", "/data/word"]);
    assert!(words.contains("no megabinary"), "{words}");
}

#[test]
fn a_program_that_is_not_there_is_said_in_words() {
    let words = refused(&Pod::new(), GUEST, &["nosuch"]);
    assert!(
        words.contains("executable file `nosuch` not found in $PATH"),
        "{words}"
    );
}

#[test]
fn a_handler_that_the_node_does_not_have_is_refused() {
    let options = PodOptions {
        handler: "nosuch",
        ..PodOptions::default()
    };
    assert!(Pod::run(options).is_err());
}
