//! Folding: what is written once, that each program still does what it did, and that no program
//! gets at another's functions or constants.
#![allow(clippy::unwrap_used, missing_docs)]

mod calls;
mod constants;
#[path = "../support/mod.rs"]
mod support;

use std::collections::BTreeMap;

use calls::pointing;
use constants::addressing;
use megabin::link::{Folding, Linked};
use megabinary::digest::Digest;
use support::{
    FOLDINGS, Guest, Outcome, Setup, engine, link_folded, run_linked, run_original, wat,
};
use wasmparser::{KnownCustom, Name, Operator, Parser, Payload};
use wasmtime::Module;

const SETUP: Setup<'_> = Setup {
    args: &["prog"],
    stdin: "",
    dir: None,
};

const EXIT: &str = r#"(import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
  (memory (export "memory") 2)"#;

/// Names of the functions that have code.
fn functions(linked: &Linked) -> Vec<String> {
    let mut names = Vec::new();
    for payload in Parser::new(0).parse_all(&linked.wasm) {
        let Payload::CustomSection(section) = payload.unwrap() else {
            continue;
        };
        let KnownCustom::Name(section) = section.as_known() else {
            continue;
        };
        for name in section {
            if let Name::Function(map) = name.unwrap() {
                names.extend(map.into_iter().map(|n| n.unwrap().name.to_owned()));
            }
        }
    }
    names
}

fn count(linked: &Linked, name: &str) -> usize {
    functions(linked)
        .iter()
        .filter(|n| n.ends_with(name))
        .count()
}

/// Every program does with every folding what it does alone; returns the ends, and what each
/// folding linked.
fn ends(programs: &[(&str, &[u8])]) -> (Vec<Result<i32, String>>, BTreeMap<u8, Linked>) {
    let engine = engine();
    let originals: Vec<Outcome> = programs
        .iter()
        .map(|(_, wasm)| run_original(&engine, wasm, &SETUP))
        .collect();
    let mut all = BTreeMap::new();
    for (folding, key) in FOLDINGS.into_iter().zip(0..) {
        let linked = link_folded(programs, folding);
        let module = Module::new(&engine, &linked.wasm).unwrap();
        for ((name, wasm), original) in programs.iter().zip(&originals) {
            let outcome = run_linked(&engine, &module, &Digest::of(wasm), &SETUP);
            match (&original.end, &outcome.end) {
                (Ok(a), Ok(b)) => assert_eq!(a, b, "{name}, {folding:?}"),
                (Err(_), Err(_)) => {}
                (a, b) => panic!("{name}, {folding:?}: alone {a:?}, linked {b:?}"),
            }
        }
        all.insert(key, linked);
    }
    (originals.into_iter().map(|o| o.end).collect(), all)
}

const NONE: u8 = 0;
const EXACT: u8 = 1;
const FULL: u8 = 2;

/// The programs with names.
fn named(programs: &[Vec<u8>]) -> Vec<(&str, &[u8])> {
    let names = ["a", "b", "c", "d", "e", "f", "g", "h", "i"];
    assert!(programs.len() <= names.len());
    let bytes = programs.iter().map(|program| &program[..]);
    names.into_iter().zip(bytes).collect()
}

#[test]
fn the_output_depends_on_nothing_but_the_programs() {
    let mut programs: Vec<Vec<u8>> = [2000, 3000, 70_000].map(addressing).into();
    programs.push(pointing(1, 2, ""));
    programs.push(pointing(2, 2, ""));
    let programs = named(&programs);
    let mut turned = programs.clone();
    turned.rotate_left(2);
    for folding in FOLDINGS {
        let one = link_folded(&programs, folding);
        assert!(one.wasm == link_folded(&programs, folding).wasm);
        assert!(one.wasm == link_folded(&turned, folding).wasm);
    }
}
