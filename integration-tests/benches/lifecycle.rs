//! Whole containers side by side: create, start, delete and exec of `megarun` beside every peer that
//! is installed (crun, runc, youki), with the same config.json and interleaved, so that a noisy host
//! disturbs all alike; and the memory of a process that waits, and of one that is idle.
//!
//! Run by `make bench`, as root.

#[allow(dead_code, reason = "each bench uses a part")]
mod contenders;

use std::time::{Duration, Instant};

use contenders::profile;
use contenders::table::{head, race, row, size_row};
use contenders::{Contender, Running, SLEEP, TRUE, reap};

/// Interleaved rounds behind every figure.
const ROUNDS: usize = 100;
/// The pause before each create in the rows "with gaps".
const GAP: Duration = Duration::from_millis(60);
/// Until a container that was started does nothing any more.
const SETTLED: Duration = Duration::from_millis(200);
/// The bundle with it.
const FILTERED: &str = "true-filtered";

/// Takes one measurement of a contender in a round.
type Measure<'a> = &'a dyn Fn(&Contender, usize) -> Duration;

fn main() {
    let work = tempfile::tempdir().expect("a temporary directory");
    let state = work.path().join("state");
    contenders::isolate(&state);
    let programs = [TRUE, SLEEP];
    let path = work.path().join("megarun");
    let megarun = contenders::megarun(&path, &state, "megarun", &programs, &[]);
    let peers = contenders::peers(work.path(), &state, &megarun, &programs);
    let contenders: Vec<Contender> = [megarun].into_iter().chain(peers).collect();
    let mut rows: Vec<(&str, Measure)> = vec![
        ("create+start+delete, back to back", &|c, i| cycle(c, i)),
        ("create+start+delete, 60 ms gaps", &|c, i| {
            std::thread::sleep(GAP);
            cycle(c, i)
        }),
        ("exec of true in a running container", &|c, _| exec(c)),
    ];
    match profile::of_podman() {
        Some(profile) => {
            for contender in &contenders {
                contender.vary(&TRUE, FILTERED, |config| {
                    config["linux"]["seccomp"] = profile.clone();
                });
            }
            rows.push(("create with podman's seccomp profile", &create_filtered));
            rows.push(("the same, 60 ms gaps", &|c, i| {
                std::thread::sleep(GAP);
                create_filtered(c, i)
            }));
        }
        None => eprintln!(
            "{} is missing (apt-get install podman): no rows with it",
            profile::PATH
        ),
    }
    println!("{}", head());
    let running: Vec<Running> = contenders.iter().map(Running::start).collect();
    for (name, measure) in rows {
        let spreads = race(name, ROUNDS, &contenders, measure);
        for (contender, spread) in contenders.iter().zip(&spreads) {
            println!("{}", row(name, &contender.name, spread, spreads[0].median));
        }
    }
    // While another container of each has what they share.
    memory(&contenders);
    drop(running);
}

/// One container that runs `true`, from create until delete has returned.
fn cycle(contender: &Contender, round: usize) -> Duration {
    let id = contender.id(&round.to_string());
    let started = Instant::now();
    let pid = contender.create(&TRUE, &id, contender.log().into());
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

/// Create alone, with the profile.
fn create_filtered(contender: &Contender, round: usize) -> Duration {
    let id = contender.id(&format!("filtered{round}"));
    let started = Instant::now();
    let pid = contender.create_of(FILTERED, &id, contender.log().into());
    let took = started.elapsed();
    end(contender, &id, pid);
    took
}

/// Removes a container whose process nobody has reaped.
fn end(contender: &Contender, id: &str, pid: i32) {
    // SAFETY: a signal to a child of ours that nobody has reaped: the pid is still its.
    unsafe { libc::kill(pid, libc::SIGKILL) };
    reap(pid);
    contender.call(&["delete", "--force", id]);
}

/// The private memory of the process of a container that was created, and of one that sleeps.
fn memory(contenders: &[Contender]) {
    let sizes: Vec<(u64, u64)> = contenders
        .iter()
        .map(|contender| {
            let id = contender.id("memory");
            let pid = contender.create(&SLEEP, &id, contender.log().into());
            std::thread::sleep(SETTLED);
            let waiting = private(pid);
            contender.call(&["start", &id]);
            std::thread::sleep(SETTLED);
            let idle = private(pid);
            end(contender, &id, pid);
            (waiting, idle)
        })
        .collect();
    let idle = |at: &(u64, u64)| at.1;
    let waiting = |at: &(u64, u64)| at.0;
    type Of<'a> = &'a dyn Fn(&(u64, u64)) -> u64;
    let rows: [(&str, Of); 2] = [
        ("private memory, waiting for start", &waiting),
        ("private memory, idle (sleep)", &idle),
    ];
    for (name, of) in rows {
        for (contender, size) in contenders.iter().zip(&sizes) {
            println!(
                "{}",
                size_row(name, &contender.name, of(size), of(&sizes[0]))
            );
        }
    }
}

/// What a process alone has in memory, in KiB.
fn private(pid: i32) -> u64 {
    let path = format!("/proc/{pid}/smaps_rollup");
    let text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{path}: {error}"));
    let lines = text.lines().filter(|line| line.starts_with("Private_"));
    let sizes = lines.filter_map(|line| line.split_whitespace().nth(1)?.parse::<u64>().ok());
    sizes.sum()
}
