//! What may not run says so in words that reach podman's user.

use integration_tests::engines::{NATIVE, Podman, Room};

fn podman() -> Podman<'static> {
    Podman::new(Room::shared(), "megarun")
}

#[test]
fn an_image_of_native_programs() {
    let refused = podman().run(&["run", "--rm", "--network", "none", NATIVE, "true"]);
    assert_eq!(refused.code, 126);
    for part in ["no megabinary", "/.megabinary/manifest.json", "native"] {
        assert!(
            refused.err().contains(part),
            "no `{part}` in: {}",
            refused.err()
        );
    }
}

#[test]
fn a_program_that_was_brought_into_the_container() {
    let container = podman().start(&["--network", "none"], &["sleep", "1000"]);
    let brought = format!("{}:/bin/brought", container.name);
    container.run(&["cp", "/bin/busybox", &brought]).success();
    let refused = container.run(&["exec", "IT", "/bin/brought", "true"]);
    assert_eq!(refused.code, 126, "{}", refused.err());
    assert!(
        refused.err().contains("not in the manifest"),
        "{}",
        refused.err()
    );

    let replaced = format!("{}:/bin/exit", container.name);
    container.run(&["cp", "/bin/busybox", &replaced]).success();
    let refused = container.run(&["exec", "IT", "exit", "0"]);
    assert_eq!(refused.code, 126, "{}", refused.err());
    assert!(refused.err().contains("was modified"), "{}", refused.err());
}

#[test]
fn an_image_without_its_megabinary() {
    let podman = podman();
    let container = podman.start(&["--network", "none"], &["sleep", "1000"]);
    let overlay = container.inspect(".GraphDriver.Data.MergedDir");
    let manifest = format!("{overlay}/.megabinary/manifest.json");
    // What runs was pinned by create.
    Room::shared().run("rm", &[&manifest]).success();
    container.run(&["exec", "IT", "true"]).success();
    container
        .run(&["commit", "-q", "IT", "localhost/stripped:1"])
        .success();
    let refused = podman.run(&[
        "run",
        "--rm",
        "--network",
        "none",
        "localhost/stripped:1",
        "true",
    ]);
    assert_eq!(refused.code, 126);
    assert!(refused.err().contains("no megabinary"), "{}", refused.err());
    podman.run(&["rmi", "localhost/stripped:1"]).success();
}
