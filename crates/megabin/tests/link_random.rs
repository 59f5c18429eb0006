//! Random valid programs do linked what they do alone, with every way to fold: the same ends and
//! values, the same globals, the same memory and its size.
//!
//! `MEGABIN_RANDOM_PROGRAMS` sets how many are tried; each number is a seed, so a failure's number
//! brings it back. The fuzz target `link` goes on for as long as one likes.
#![allow(clippy::unwrap_used, missing_docs)]

#[path = "support/random.rs"]
mod random;

use std::ops::Range;

use random::{Numbers, Tally, compare, engine, program};

const PROGRAMS: u64 = 160;

fn compare_all(seeds: Range<u64>) -> Tally {
    let engine = engine();
    let mut tally = Tally::default();
    let seeded = |seed: u64| program(seed, &Numbers(seed).bytes(20_000));
    for seed in seeds {
        let stranger = seeded(seed + 1_000_000);
        if let Some(wasm) = seeded(seed) {
            compare(&engine, seed, &wasm, stranger.as_deref(), &mut tally);
        }
    }
    tally
}

#[test]
fn random_programs_do_linked_what_they_do_alone() {
    let programs =
        std::env::var("MEGABIN_RANDOM_PROGRAMS").map_or(PROGRAMS, |n| n.parse().unwrap());
    let threads = std::thread::available_parallelism().map_or(1, usize::from) as u64;
    let tallies = std::thread::scope(|scope| {
        let work: Vec<_> = (0..threads)
            .map(|n| {
                scope.spawn(move || {
                    compare_all(programs * n / threads..programs * (n + 1) / threads)
                })
            })
            .collect();
        work.into_iter()
            .map(|t| t.join().unwrap())
            .collect::<Vec<_>>()
    });
    let sum = |part: fn(&Tally) -> u32| tallies.iter().map(part).sum::<u32>();
    let ran = sum(|t| t.trapped + t.ended);
    assert!(
        u64::from(ran) * 2 > programs,
        "most of them are linked: {tallies:?}"
    );
    assert!(sum(|t| t.ended) > 0, "some end well: {tallies:?}");
    assert!(sum(|t| t.trapped) > 0, "some trap: {tallies:?}");
    assert!(sum(|t| t.threw) > 0, "some throw: {tallies:?}");
}
