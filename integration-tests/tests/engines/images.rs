//! Image archives of `megabin image` in the hands of those who load them.

use integration_tests::engines::{Containerd, Docker, GUEST, Podman, Room};
use integration_tests::node::megabin;

#[test]
fn every_loader_takes_both_formats() {
    let room = Room::shared();
    let built = room.path("images/built");
    for format in ["oci", "docker"] {
        let archive = room.path(&format!("images/{format}.tar"));
        let tag = format!("localhost/by-{format}:2");
        megabin(
            &["image", "--format", format, "-t", &tag, "-o"],
            &[&archive, &built],
        )
        .success();
        let archive = archive.to_string_lossy();
        let inspected = room.run(
            "skopeo",
            &["inspect", &format!("{format}-archive:{archive}")],
        );
        let inspected: serde_json::Value =
            serde_json::from_slice(&inspected.success().stdout).unwrap();
        assert_eq!(inspected["Architecture"], "amd64");
        assert_eq!(inspected["Layers"].as_array().unwrap().len(), 3);
        assert_eq!(
            inspected["Labels"]["org.opencontainers.image.title"],
            "guest"
        );

        let podman = Podman::new(room, "megarun");
        let loaded = podman.says(&["load", "-q", "-i", &archive]);
        assert_eq!(loaded, format!("Loaded image: {tag}"));
        assert_eq!(
            podman.says(&[
                "run",
                "--rm",
                "--network",
                "none",
                &tag,
                "cat",
                "/data/word"
            ]),
            "moon"
        );
        podman.run(&["rmi", &tag]).success();

        let containerd = Containerd::shared();
        containerd.run(&["image", "import", &archive]).success();
        let images = containerd.run(&["image", "ls", "-q"]).success().out();
        assert!(images.lines().any(|line| line == tag), "{images}");
        assert!(images.lines().any(|line| line == GUEST), "{images}");
        let id = Containerd::id(format);
        let run = ["run", "--rm", "RUNTIME", &tag, &id, "cat", "/data/word"];
        assert_eq!(containerd.run(&run).success().out(), "moon\n");
    }
    // Debian's docker reads its own format.
    let archive = room.path("images/docker.tar");
    let (tag, docker) = ("localhost/by-docker:2", Docker::shared());
    let loaded = docker.says(&["load", "-q", "-i", &archive.to_string_lossy()]);
    assert_eq!(loaded, format!("Loaded image: {tag}"));
    let platform = ["inspect", "--format", "{{.Os}}/{{.Architecture}}", tag];
    assert_eq!(docker.says(&platform), "linux/amd64");
    let run = [
        "run",
        "--rm",
        "--runtime",
        "megarun",
        "--network",
        "none",
        tag,
        "cat",
        "/data/word",
    ];
    assert_eq!(docker.says(&run), "moon");
}

#[test]
fn an_image_can_be_built_upon() {
    let room = Room::shared();
    let context = room.path("context");
    std::fs::create_dir(&context).unwrap();
    std::fs::write(context.join("word"), "sun\n").unwrap();
    let file = format!("FROM {GUEST}\nCOPY word /data/word\nCMD [\"cat\", \"/data/word\"]\n");
    std::fs::write(context.join("Containerfile"), file).unwrap();
    let podman = Podman::new(room, "megarun");
    podman
        .run(&[
            "build",
            "-q",
            "-t",
            "localhost/upon:1",
            &context.to_string_lossy(),
        ])
        .success();
    assert_eq!(
        podman.says(&["run", "--rm", "--network", "none", "localhost/upon:1"]),
        "sun"
    );
    podman.run(&["rmi", "localhost/upon:1"]).success();
}
