//! Whole containers side by side: create + start + delete and exec of
//! `megarun` beside every peer that is installed (crun, runc), with the same
//! config.json and interleaved, so that a noisy host disturbs all alike.
//!
//! Run by `make bench`, as root.

#[allow(dead_code, reason = "each bench uses a part")]
mod contenders;

use std::time::{Duration, Instant};

use contenders::{Contender, Running, SLEEP, TRUE, head, log, race, reap, row};

/// Interleaved rounds behind every figure.
const ROUNDS: usize = 100;
/// The pause before each create in the rows "with gaps".
const GAP: Duration = Duration::from_millis(60);

/// Takes one measurement of a contender in a round.
type Measure<'a> = &'a dyn Fn(&Contender, usize) -> Duration;

fn main() {
    let work = tempfile::tempdir().expect("a temporary directory");
    contenders::isolate();
    let programs = [TRUE, SLEEP];
    let megarun = contenders::megarun(&work.path().join("megarun"), "megarun", &programs, &[]);
    let peers = contenders::peers(work.path(), &megarun, &programs);
    let contenders: Vec<Contender> = [megarun].into_iter().chain(peers).collect();
    let rows: [(&str, Measure); 3] = [
        ("create+start+delete, back to back", &|c, i| cycle(c, i)),
        ("create+start+delete, 60 ms gaps", &|c, i| {
            std::thread::sleep(GAP);
            cycle(c, i)
        }),
        ("exec of true in a running container", &|c, _| exec(c)),
    ];
    println!("{}", head());
    let running: Vec<Running> = contenders.iter().map(Running::start).collect();
    for (name, measure) in rows {
        let spreads = race(name, ROUNDS, &contenders, measure);
        for (contender, spread) in contenders.iter().zip(&spreads) {
            println!("{}", row(name, &contender.name, spread, spreads[0].median));
        }
    }
    drop(running);
}

/// One container that runs `true`, from create until delete has returned.
fn cycle(contender: &Contender, round: usize) -> Duration {
    let id = contender.id(&round.to_string());
    let started = Instant::now();
    let pid = contender.create(&TRUE, &id, log());
    contender.call(&["start", &id]);
    reap(pid);
    contender.call(&["delete", &id]);
    started.elapsed()
}

fn exec(contender: &Contender) -> Duration {
    let started = Instant::now();
    contender.call(&["exec", &contender.long(), "/bin/true"]);
    started.elapsed()
}
