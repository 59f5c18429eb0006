//! The images that pods are made of, besides those of every engine's tests.

use std::fs;
use std::process::Command;

use integration_tests::command::run;
use integration_tests::engines::{GUEST, NATIVE, Podman};

use crate::Kubelet;

/// The sandbox's image: its program is a text, so that a runtime that executed it would fail.
pub const PAUSE: &str = "localhost/pause:1";
/// [`GUEST`] without its megabinary: what is left are tickets to nothing.
pub const STRIPPED: &str = "localhost/stripped:1";

/// Makes them, and loads all into containerd.
pub fn import(kubelet: &Kubelet) {
    let room = kubelet.room();
    let path = |name: &str| room.path(&format!("images/{name}")).display().to_string();
    let podman = Podman::new(room, "megarun");

    fs::create_dir(room.path("images/pause")).expect("a directory of our own");
    fs::write(room.path("images/pause/pause"), "no program\n").expect("writing a file");
    let mut tar = Command::new("tar");
    tar.args(["-C", &path("pause"), "-cf", &path("pause.tar.in"), "."]);
    run(&mut tar).success();
    let change = ["import", "--change", r#"CMD ["/pause"]"#];
    podman
        .run(&[&change[..], &[&path("pause.tar.in"), PAUSE]].concat())
        .success();

    podman
        .run(&["create", "--name", "whole", GUEST, "true"])
        .success();
    podman
        .run(&["export", "-o", &path("stripped.tar.in"), "whole"])
        .success();
    podman.run(&["rm", "whole"]).success();
    let mut tar = Command::new("tar");
    tar.args(["--delete", "-f", &path("stripped.tar.in"), ".megabinary"]);
    run(&mut tar).success();
    podman
        .run(&["import", &path("stripped.tar.in"), STRIPPED])
        .success();

    for (image, archive) in [
        (PAUSE, "pause.tar"),
        (STRIPPED, "stripped.tar"),
        (NATIVE, "native-image.tar"),
    ] {
        podman
            .run(&["save", "-q", "-o", &path(archive), image])
            .success();
    }
    // The first as `megabin image` wrote it.
    for archive in ["guest.tar", "pause.tar", "stripped.tar", "native-image.tar"] {
        kubelet.ctr(&["images", "import", &path(archive)]).success();
    }
}
