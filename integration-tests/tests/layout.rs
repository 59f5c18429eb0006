//! What commands execute lies together in the runtime's file: a command's start is part of the
//! product, and most of it is to map what it touches.

use std::collections::BTreeSet;
use std::path::Path;

use integration_tests::{layout, subject};

/// How many of those that `layout.ld` lists may be gone before it has to be written again: names
/// change with the code.
const GONE: f64 = 0.25;
/// How much may lie between those that it lists, to what they take themselves.
const SPREAD: f64 = 0.1;

#[test]
fn what_commands_execute_lies_together() {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../layout.ld");
    let script = std::fs::read_to_string(script).expect("layout.ld");
    let listed: BTreeSet<&str> = script
        .lines()
        .filter_map(|line| line.trim().strip_prefix("*(.text*.")?.strip_suffix(')'))
        .collect();
    assert!(listed.len() > 1000, "layout.ld lists {}", listed.len());
    let mut functions = layout::functions(&subject::megarun());
    functions.dedup_by_key(|function| function.start);
    let mut found = BTreeSet::new();
    let (mut bytes, mut first, mut end) = (0, u64::MAX, 0);
    for function in &functions {
        let Some(pattern) = layout::pattern(&function.name) else {
            continue;
        };
        if let Some(pattern) = listed.get(&*pattern) {
            found.insert(pattern);
            bytes += function.size;
            first = first.min(function.start);
            end = end.max(function.start + function.size);
        }
    }
    let gone = listed.len() - found.len();
    assert!(
        gone as f64 <= listed.len() as f64 * GONE,
        "{gone} of {} functions of layout.ld are gone: `make layout` lists them again, in some ten \
         minutes, then `make build`",
        listed.len()
    );
    let between = (end - first - bytes) as f64;
    assert!(
        between <= bytes as f64 * SPREAD,
        "between {} KiB of what commands execute lie {} KiB of other things: was the runtime built \
         by `make build`?",
        bytes >> 10,
        between as u64 >> 10
    );
}
