//! The fuzz targets' invariants on mutations of the test vectors, on a stable compiler and always
//! the same ones. `MEGARUN_MUTATE_SECONDS=180` makes it run that long for each parser, with a seed
//! of its own, and print counts.
#![allow(clippy::unwrap_used)]

mod support;

use std::path::Path;
use std::time::{Duration, Instant};

use support::invariants;

/// xorshift64*: no cryptography, the same sequence everywhere.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    fn below(&mut self, limit: usize) -> usize {
        (self.next() % limit.max(1) as u64) as usize
    }
}

/// Bytes that mean something to one of the parsers.
const TOKENS: &[&[u8]] = &[
    b"\"",
    b"\\",
    b"\\u",
    b"\\ud83d\\ude00",
    b"{",
    b"}",
    b"[",
    b"]",
    b":",
    b",",
    b"null",
    b"1e308",
    b"-0",
    b"9007199254740991",
    b"\"signatures\"",
    b"\"critical\"",
    b"sha256:",
    b"..",
    b"\0",
    b"\x80",
    b"\xff\xff\xff\xff\x0f",
    b"\x81",
    b"\x85",
    b"megabinary",
    b"\x00",
    b"\x0b",
    b"\x7f",
    b"\xef\xbb\xbf",
    b"\xed\xa0\x80",
];

fn mutate(random: &mut Random, seeds: &[Vec<u8>]) -> Vec<u8> {
    let mut bytes = seeds[random.below(seeds.len())].clone();
    for _ in 0..=random.below(6) {
        let at = random.below(bytes.len() + 1);
        let end = (at + random.below(24)).min(bytes.len());
        match random.below(8) {
            0 if at < bytes.len() => bytes[at] ^= 1 << random.below(8),
            1 if at < bytes.len() => bytes[at] = random.next() as u8,
            2 => drop(bytes.drain(at..end)),
            3 => {
                let copy = bytes[at..end].to_vec();
                let to = random.below(bytes.len() + 1);
                bytes.splice(to..to, copy);
            }
            4 => bytes.truncate(at),
            5 => {
                let other = &seeds[random.below(seeds.len())];
                let from = random.below(other.len() + 1);
                let piece = other[from..(from + random.below(200)).min(other.len())].to_vec();
                bytes.splice(at..end, piece);
            }
            6 if at < bytes.len() => {
                bytes[at] = bytes[at]
                    .wrapping_add(random.below(3) as u8)
                    .wrapping_sub(1)
            }
            _ => {
                let token = TOKENS[random.below(TOKENS.len())];
                bytes.splice(at..at, token.iter().copied());
            }
        }
    }
    bytes
}

fn seeds(folders: &[&str]) -> Vec<Vec<u8>> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../runtime-spec/vectors");
    let mut seeds = Vec::new();
    for folder in folders {
        let mut files: Vec<_> = root
            .join(folder)
            .read_dir()
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .collect();
        files.sort();
        seeds.extend(files.iter().map(|file| std::fs::read(file).unwrap()));
    }
    assert!(seeds.len() > 5);
    seeds
}

fn run(name: &str, folders: &[&str], check: fn(&[u8])) {
    let seeds = seeds(folders);
    let seconds = std::env::var("MEGARUN_MUTATE_SECONDS")
        .ok()
        .map(|text| text.parse().unwrap());
    let start = Instant::now();
    let seed = match seconds {
        None => 0x6d65_6761,
        Some(_) => std::time::UNIX_EPOCH.elapsed().unwrap().as_nanos() as u64 | 1,
    };
    let mut random = Random(seed);
    let mut count = 0u64;
    loop {
        let done = match seconds {
            None => count >= 20_000,
            Some(seconds) => start.elapsed() >= Duration::from_secs(seconds),
        };
        if done {
            break;
        }
        let bytes = mutate(&mut random, &seeds);
        let outcome = std::panic::catch_unwind(|| check(&bytes));
        if outcome.is_err() {
            let file = std::env::temp_dir().join(format!("megabinary-{name}-finding"));
            std::fs::write(&file, &bytes).unwrap();
            panic!(
                "{name}: mutation {count} of seed {seed} broke an invariant; input in {}",
                file.display()
            );
        }
        count += 1;
    }
    println!(
        "{name}: {count} mutations in {:?}, seed {seed}",
        start.elapsed()
    );
}

#[test]
fn json() {
    run(
        "json",
        &["manifest", "canonical", "signature"],
        invariants::json,
    );
}

#[test]
fn manifest() {
    run(
        "manifest",
        &["manifest", "signature", "agreement"],
        invariants::manifest,
    );
}

#[test]
fn section() {
    run("section", &["section"], invariants::section);
}

#[test]
fn module() {
    run("module", &["module"], invariants::module);
}
