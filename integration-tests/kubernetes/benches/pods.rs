//! Pods as a kubelet makes them: sandboxes and containers of containerd's CRI, with this runtime and
//! with crun under the same containerd, interleaved.
//!
//! Run by `make bench`, as root.

#[path = "../../benches/contenders/table.rs"]
#[allow(dead_code, reason = "each bench uses a part")]
mod table;

use std::fs;
use std::process::Command;
use std::time::Instant;

use integration_tests::command::run;
use integration_tests::engines::{GUEST, NATIVE, Podman};
use kubernetes_tests::kubelet::{CRUN, MEGARUN};
use kubernetes_tests::{Container, Kubelet, PAUSE, Pod, PodOptions};
use table::{head, race, row};

/// Interleaved rounds behind every figure: containerd takes most of each.
const ROUNDS: usize = 30;

/// A handler, and the image that it runs.
const CONTENDERS: [(&str, &str); 2] = [(MEGARUN, GUEST), (CRUN, NATIVE)];

fn main() {
    a_program_that_pauses(Kubelet::shared());
    println!("{}", head());
    let spreads = race("RunPodSandbox", ROUNDS, &CONTENDERS, |(handler, _), _| {
        let started = Instant::now();
        let pod = pod(handler);
        let took = started.elapsed();
        drop(pod);
        took
    });
    print("RunPodSandbox", &spreads);
    let pods: Vec<(Pod, &str)> = CONTENDERS
        .iter()
        .map(|(handler, image)| (pod(handler), *image))
        .collect();
    // Compiles once, and fills caches.
    for pod in &pods {
        created(&pod.0, pod.1).start().expect("it starts");
    }
    let spreads = race("StartContainer", ROUNDS, &pods, |pod, _| {
        let container = created(&pod.0, pod.1);
        let started = Instant::now();
        container.start().expect("it starts");
        started.elapsed()
    });
    print("StartContainer", &spreads);
}

fn created<'p>(pod: &'p Pod, image: &str) -> Container<'p> {
    let created = pod.create(image, &["/bin/true"], |_| ());
    created.expect("a container")
}

fn pod(handler: &'static str) -> Pod {
    Pod::with(PodOptions {
        handler,
        host_network: true,
    })
}

fn print(name: &str, spreads: &[table::Spread]) {
    for ((handler, _), spread) in CONTENDERS.iter().zip(spreads) {
        println!("{}", row(name, handler, spread, spreads[0].median));
    }
}

/// Puts one into the image of sandboxes, for a runtime that executes it.
fn a_program_that_pauses(kubelet: &Kubelet) {
    let room = kubelet.room();
    let path = |name: &str| room.path(&format!("images/{name}")).display().to_string();
    fs::create_dir(path("pauses")).expect("a directory of our own");
    let source = "#include <unistd.h>\nint main(void){for(;;)pause();}\n";
    fs::write(path("pause.c"), source).expect("writing a program");
    let mut cc = Command::new("cc");
    cc.args([
        "-O2",
        "-static",
        "-o",
        &path("pauses/pause"),
        &path("pause.c"),
    ]);
    run(&mut cc).success();
    let mut tar = Command::new("tar");
    tar.args(["-C", &path("pauses"), "-cf", &path("pauses.tar.in"), "."]);
    run(&mut tar).success();
    let podman = Podman::new(room, "megarun");
    let (from, to) = (path("pauses.tar.in"), path("pauses.tar"));
    let change = ["import", "--change", r#"CMD ["/pause"]"#];
    let import = [&change[..], &[&from, PAUSE]].concat();
    podman.run(&import).success();
    podman.run(&["save", "-q", "-o", &to, PAUSE]).success();
    kubelet.ctr(&["images", "import", &to]).success();
}
