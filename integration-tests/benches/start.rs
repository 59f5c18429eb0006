//! How long until a guest's first instruction, through the real programs: from the start of
//! `megarun exec`, and of the `megarun start` of a container's init, to the first byte that the
//! guest writes; with compiled code of several sizes, beside crun and runc with a static native
//! program in the same container set-up. Interleaved; run by `make bench`, as root.

#[allow(dead_code, reason = "each bench uses a part")]
mod contenders;

use std::io::{PipeReader, Read, pipe};
use std::path::PathBuf;
use std::process::Stdio;
use std::time::{Duration, Instant};

use contenders::table::{head, race, row};
use contenders::{Contender, Running, SAYS, SLEEP, TRUE, reap};

const ROUNDS: usize = 60;

/// How much of the modules in `guests/.cache` is linked beside the three small programs, smallest
/// first, in bytes: for compiled code of about 0.2, 3 and 30 MB.
const BUDGETS: [u64; 3] = [60_000, 1_600_000, 14_000_000];

type Measure<'a> = &'a dyn Fn(&Contender, usize) -> Duration;

fn main() {
    let work = tempfile::tempdir().expect("a temporary directory");
    let state = work.path().join("state");
    contenders::isolate(&state);
    let programs = [TRUE, SLEEP, SAYS];
    let mut all: Vec<Contender> = Vec::new();
    for budget in BUDGETS {
        let folder = work.path().join(budget.to_string());
        all.push(contenders::megarun(
            &folder,
            &state,
            "",
            &programs,
            &guests(budget),
        ));
    }
    all.extend(contenders::peers(work.path(), &state, &all[0], &programs));
    let running: Vec<Running> = all.iter().map(Running::start).collect();
    // Now that each has its code.
    let names: Vec<String> = all.iter().map(name).collect();
    println!("{}", head());
    let rows: [(&str, Measure); 2] = [
        ("exec, to the first byte of its guest", &|c, _| exec(c)),
        ("start of an init, to its first byte", &init),
    ];
    for (what, measure) in rows {
        let spreads = race(what, ROUNDS, &all, measure);
        for (name, spread) in names.iter().zip(&spreads) {
            println!("{}", row(what, name, spread, spreads[0].median));
        }
    }
    drop(running);
}

/// As many of the guests' modules as the budget allows.
fn guests(budget: u64) -> Vec<PathBuf> {
    let folder = std::env::var_os("GUESTS_DIR").expect("GUESTS_DIR is not set: run `make bench`");
    let folder = PathBuf::from(folder).join(".cache/wasm");
    let entries = std::fs::read_dir(&folder).expect("guests are built: run `make bench`");
    let mut modules: Vec<(u64, PathBuf)> = entries
        .map(|entry| {
            let entry = entry.expect("a folder's entry");
            let size = entry.metadata().expect("an entry has a size").len();
            (size, entry.path())
        })
        .collect();
    modules.sort();
    let mut sum = 0;
    let fits = |(size, _): &(u64, PathBuf)| {
        sum += size;
        sum <= budget
    };
    let modules = modules.into_iter().take_while(fits);
    modules.map(|(_, module)| module).collect()
}

/// A contender's name: `megarun` with the size of its compiled code.
fn name(contender: &Contender) -> String {
    if !contender.name.is_empty() {
        return contender.name.clone();
    }
    let entries = std::fs::read_dir(&contender.cache).expect("megarun compiled");
    let sizes = entries.map(|entry| entry.and_then(|entry| entry.metadata()));
    let size: u64 = sizes.map(|meta| meta.map_or(0, |meta| meta.len())).sum();
    format!("mega {:.1} MB", size as f64 / 1e6)
}

fn first_byte(mut from: PipeReader) {
    let mut byte = [0];
    from.read_exact(&mut byte).expect("the guest writes a byte");
}

fn exec(contender: &Contender) -> Duration {
    let (read, write) = pipe().expect("a pipe");
    let mut command = contender.command(&["exec", &contender.long(), "/bin/says"]);
    command.stdin(Stdio::null()).stdout(write);
    let started = Instant::now();
    let mut child = command.spawn().expect("the runtime starts");
    // This side's end for writing goes with it.
    drop(command);
    first_byte(read);
    let elapsed = started.elapsed();
    assert!(child.wait().is_ok_and(|status| status.success()));
    elapsed
}

fn init(contender: &Contender, round: usize) -> Duration {
    let id = contender.id(&round.to_string());
    let (read, write) = pipe().expect("a pipe");
    let pid = contender.create(&SAYS, &id, write.into());
    let mut command = contender.command(&["start", &id]);
    command.stdin(Stdio::null()).stdout(contender.log());
    let started = Instant::now();
    let mut child = command.spawn().expect("the runtime starts");
    first_byte(read);
    let elapsed = started.elapsed();
    assert!(child.wait().is_ok_and(|status| status.success()));
    reap(pid);
    contender.call(&["delete", &id]);
    elapsed
}
