//! Containers as engines lead them: `podman run` and `ctr run` of `true`, with this runtime and with
//! crun under the same engine, interleaved.
//!
//! Run by `make bench`, as root.

#[path = "contenders/table.rs"]
#[allow(dead_code, reason = "each bench uses a part")]
mod table;

use std::process::Command;
use std::time::{Duration, Instant};

use integration_tests::command::run;
use integration_tests::engines::{Containerd, GUEST, NATIVE, Podman, Room};
use table::{head, race, row};

/// Interleaved rounds behind every figure: an engine takes most of each.
const ROUNDS: usize = 40;

/// A runtime under an engine: its name, and the command that runs a container to its end.
type Contender<'a> = (&'a str, &'a dyn Fn(usize) -> Command);

fn main() {
    let room = Room::shared();
    let (megarun, crun) = (Podman::new(room, "megarun"), Podman::new(room, "crun"));
    let containerd = Containerd::shared();
    let archive = room.path("images/native-for-ctr.tar");
    let archive = archive.to_string_lossy();
    crun.run(&["save", "-q", "-o", &archive, NATIVE]).success();
    containerd.run(&["image", "import", &archive]).success();
    let podman = ["run", "--rm", "--network", "none", "IMAGE", "true"];
    let ctr = |runtime: &'static str, image: &'static str, round: usize| {
        let id = Containerd::id(&format!("{}{round}", runtime.to_lowercase()));
        containerd.command(&["run", "--rm", runtime, image, &id, "true"])
    };
    let rows: [(&str, [Contender; 2]); 2] = [
        (
            "podman run --rm",
            [
                ("megarun", &|_| megarun.command(&podman)),
                ("crun", &|_| crun.command(&podman)),
            ],
        ),
        (
            "ctr run --rm",
            [
                ("megarun", &|round| ctr("RUNTIME", GUEST, round)),
                ("crun", &|round| ctr("CRUN", NATIVE, round)),
            ],
        ),
    ];
    println!("{}", head());
    for (name, contenders) in rows {
        // Compiles once, and fills caches.
        for (_, command) in &contenders {
            run(&mut command(ROUNDS)).success();
        }
        let spreads = race(name, ROUNDS, &contenders, |(_, command), round| {
            timed(&mut command(round))
        });
        for ((runtime, _), spread) in contenders.iter().zip(&spreads) {
            println!("{}", row(name, runtime, spread, spreads[0].median));
        }
    }
}

fn timed(command: &mut Command) -> Duration {
    let started = Instant::now();
    run(command).success();
    started.elapsed()
}
