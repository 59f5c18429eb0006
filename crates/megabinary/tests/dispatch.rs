//! The canonical `_dispatch` run by a small interpreter of the few instructions it consists of.
#![allow(clippy::unwrap_used)]

use megabinary::digest::Digest;
use megabinary::dispatch::{RAN, UNKNOWN, canonical_body};
use wasmparser::{BinaryReader, FunctionBody, Operator};

struct Dispatcher {
    body: Vec<u8>,
}

impl Dispatcher {
    fn new(targets: &[(Digest, u32)]) -> Self {
        Self {
            body: canonical_body(targets).into_raw_body(),
        }
    }

    fn code(&self) -> Vec<Operator<'_>> {
        let body = FunctionBody::new(BinaryReader::new(&self.body, 0));
        let operators = body.get_operators_reader().unwrap();
        operators.into_iter().map(Result::unwrap).collect()
    }
}

/// The function called, if any, the result, and the instructions it took.
fn run(code: &[Operator<'_>], id: Digest) -> (Option<u32>, i32, usize) {
    let (mut stack, mut called, mut at, mut steps) = (Vec::<u64>::new(), None, 0, 0);
    while at < code.len() {
        steps += 1;
        let mut pop = || stack.pop().unwrap();
        let value = match &code[at] {
            Operator::LocalGet { local_index } => Some(id.words()[*local_index as usize]),
            Operator::I64Const { value } => Some(value.cast_unsigned()),
            Operator::I32Const { value } => Some(u64::from(value.cast_unsigned())),
            Operator::I64Xor => Some(pop() ^ pop()),
            Operator::I64Or | Operator::I32Or => Some(pop() | pop()),
            Operator::I32And => Some(pop() & pop()),
            Operator::I64Eq => Some(u64::from(pop() == pop())),
            Operator::I64Eqz => Some(u64::from(pop() == 0)),
            // The second operand is on top.
            Operator::I64LtU => Some(u64::from(pop() > pop())),
            Operator::Call { function_index } => {
                assert_eq!(called.replace(*function_index), None, "one call at most");
                None
            }
            Operator::If { .. } => {
                if pop() == 0 {
                    at = matching(code, at, true);
                }
                None
            }
            Operator::Else => {
                at = matching(code, at, false);
                None
            }
            Operator::End => None,
            other => panic!("unexpected instruction {other:?}"),
        };
        stack.extend(value);
        at += 1;
    }
    assert_eq!(stack.len(), 1);
    (called, (stack[0] as u32).cast_signed(), steps)
}

/// The `else` of the `if` at `at`, or the `end` of the `else` at `at`.
fn matching(code: &[Operator<'_>], at: usize, to_else: bool) -> usize {
    let mut depth = 0;
    for (index, operator) in code.iter().enumerate().skip(at + 1) {
        match operator {
            Operator::If { .. } => depth += 1,
            Operator::Else if depth == 0 && to_else => return index,
            Operator::End if depth == 0 => return index,
            Operator::End => depth -= 1,
            _ => {}
        }
    }
    unreachable!("unbalanced")
}

fn check(mut ids: Vec<Digest>, strangers: &[Digest]) {
    ids.sort();
    ids.dedup();
    let targets: Vec<_> = ids.iter().copied().zip(7u32..).collect();
    let dispatcher = Dispatcher::new(&targets);
    let code = dispatcher.code();
    for &(id, function) in &targets {
        let (called, result, _) = run(&code, id);
        assert_eq!((called, result), (Some(function), RAN), "{id}");
    }
    for &id in strangers {
        let known = targets.iter().find(|target| target.0 == id);
        let expected = known.map_or((None, UNKNOWN), |target| (Some(target.1), RAN));
        let (called, result, _) = run(&code, id);
        assert_eq!((called, result), expected, "{id}");
    }
}

fn hashes(range: std::ops::Range<u32>) -> Vec<Digest> {
    range.map(|n| Digest::of(&n.to_le_bytes())).collect()
}

#[test]
fn every_target_starts_its_function_and_strangers_nothing() {
    for count in [0, 1, 2, 3, 4, 5, 8, 31, 100] {
        check(hashes(0..count), &hashes(1000..1100));
    }
}

/// Digests that collide in any prefix of words cannot be made with SHA-256, but a manifest may
/// state them: the search must not depend on luck.
#[test]
fn ids_that_differ_only_in_later_words_are_told_apart() {
    let values = [0, 1, 1 << 63, u64::MAX];
    let mut all = Vec::new();
    for n in 0..256usize {
        all.push(Digest::from_words([
            values[n & 3],
            values[n >> 2 & 3],
            values[n >> 4 & 3],
            values[n >> 6],
        ]));
    }
    check(all.clone(), &all);
    check(all.iter().copied().step_by(2).collect(), &all);
    check(all.iter().copied().skip(1).step_by(3).collect(), &all);
}

#[test]
fn the_search_is_logarithmic() {
    let mut targets: Vec<_> = hashes(0..4096).into_iter().zip(0..).collect();
    targets.sort();
    let dispatcher = Dispatcher::new(&targets);
    let code = dispatcher.code();
    let steps = targets
        .iter()
        .step_by(97)
        .map(|target| run(&code, target.0).2)
        .max()
        .unwrap();
    // Twelve levels of five instructions, a leaf of twenty, and the ends.
    assert!(steps < 12 * 6 + 40, "{steps}");
}

/// The limit on targets keeps the largest `_dispatch` under the size engines allow a function.
#[test]
fn the_largest_dispatcher_fits_a_function() {
    let mut targets: Vec<_> = hashes(0..megabinary::limits::TARGETS as u32)
        .into_iter()
        .map(|d| (d, 999_999))
        .collect();
    targets.sort();
    let bytes = canonical_body(&targets).into_raw_body().len();
    assert!(bytes < 7_654_321, "{bytes}");
}

/// The published bytes: changing them breaks every megabinary there is.
#[test]
fn golden_body() {
    let body = canonical_body(&[
        (Digest::from_words([1, 2, 3, 4]), 5),
        (Digest::from_words([9, 0, 0, 0]), 6),
    ]);
    let hex: String = body
        .into_raw_body()
        .iter()
        .map(|b| format!("{b:02x}"))
        .collect();
    assert_eq!(
        hex,
        concat!(
            "00",
            "2000420954",
            "047f",
            "2000420185",
            "200142028584",
            "200242038584",
            "200342048584",
            "50",
            "047f",
            "1005",
            "4100",
            "05",
            "417f",
            "0b",
            "05",
            "2000420985",
            "200142008584",
            "200242008584",
            "200342008584",
            "50",
            "047f",
            "1006",
            "4100",
            "05",
            "417f",
            "0b",
            "0b",
            "0b",
        )
    );
}
