//! Shorter programs that decide the same. The kernel takes a fifth of a microsecond to check and
//! translate an instruction, for every container and every exec anew.
//!
//! Jumps are threaded: one that leads to a load of what the accumulator holds, or to a comparison
//! whose outcome is known on this way, goes on to where that leads. Equal returns become one, as
//! far as a jump reaches. What nothing leads to any more is left out. Programs only jump forward
//! (seccomp(2)), so one pass in order sees everything that leads to an instruction before it.

use super::program::{AND, Instruction, JA, JEQ, JGE, JGT, LD, RET};

/// Each makes more targets near; what later ones find is not worth their time.
const ROUNDS: usize = 3;

/// A program that returns the same for every `seccomp_data`, and is no longer.
pub(super) fn optimize(mut code: Vec<Instruction>) -> Vec<Instruction> {
    for _ in 0..ROUNDS {
        let before = code.len();
        thread(&mut code);
        share_returns(&mut code);
        code = reachable(&code);
        if code.len() == before {
            break;
        }
    }
    code
}

/// What holds whenever an instruction is reached.
#[derive(Clone, Copy, Debug, Default)]
struct Facts {
    /// The word of `seccomp_data` in the accumulator, by its offset, where it is one as it is.
    accumulator: Option<u32>,
    /// Words that have this value.
    known: Few,
    /// Words that have another value than this.
    different: Few,
}

/// Pairs of a word and a value, the latest few: forgetting one costs an instruction at most.
#[derive(Clone, Copy, Debug, Default)]
struct Few([Option<(u32, u32)>; 4]);

impl Few {
    fn add(&mut self, fact: (u32, u32)) {
        if !self.has(fact) {
            self.0.rotate_right(1);
            self.0[0] = Some(fact);
        }
    }

    fn has(&self, fact: (u32, u32)) -> bool {
        self.0.contains(&Some(fact))
    }

    fn value(&self, word: u32) -> Option<u32> {
        let known = self.0.iter().flatten().find(|(known, _)| *known == word);
        known.map(|(_, value)| *value)
    }

    fn keep_those_of(&mut self, other: &Self) {
        for place in &mut self.0 {
            *place = place.filter(|fact| other.has(*fact));
        }
    }
}

impl Facts {
    /// The accumulator equals `value`.
    fn equal(mut self, value: u32) -> Self {
        if let Some(word) = self.accumulator {
            self.known.add((word, value));
        }
        self
    }

    /// The accumulator does not equal `value`.
    fn unequal(mut self, value: u32) -> Self {
        if let Some(word) = self.accumulator {
            self.different.add((word, value));
        }
        self
    }

    /// Whether a comparison of the word holds, where that is known.
    fn outcome(&self, word: u32, comparison: &Instruction) -> Option<bool> {
        match self.known.value(word) {
            Some(value) => Some(holds(comparison, value)),
            None if comparison.code == JEQ => {
                self.different.has((word, comparison.k)).then_some(false)
            }
            None => None,
        }
    }

    /// What holds on both ways.
    fn meet(&mut self, other: &Self) {
        if self.accumulator != other.accumulator {
            self.accumulator = None;
        }
        self.known.keep_those_of(&other.known);
        self.different.keep_those_of(&other.different);
    }
}

fn is_conditional(code: u16) -> bool {
    matches!(code, JEQ | JGT | JGE)
}

/// Whether the comparison holds for `value`.
fn holds(instruction: &Instruction, value: u32) -> bool {
    match instruction.code {
        JEQ => value == instruction.k,
        JGT => value > instruction.k,
        _ => value >= instruction.k,
    }
}

/// The index that a jump of `distance` from `at` leads to.
fn target(at: usize, distance: u32) -> usize {
    at + 1 + distance as usize
}

fn thread(code: &mut [Instruction]) {
    let mut facts: Vec<Option<Facts>> = vec![None; code.len()];
    facts[0] = Some(Facts::default());
    for at in 0..code.len() {
        let Some(here) = facts[at].take() else {
            continue;
        };
        let Instruction {
            code: op,
            k,
            jt,
            jf,
        } = code[at];
        let mut reach = |to: usize, with: Facts| match &mut facts[to] {
            Some(known) => known.meet(&with),
            empty => *empty = Some(with),
        };
        match op {
            LD => {
                let accumulator = Some(k);
                reach(
                    at + 1,
                    Facts {
                        accumulator,
                        ..here
                    },
                );
            }
            AND => {
                let accumulator = None;
                reach(
                    at + 1,
                    Facts {
                        accumulator,
                        ..here
                    },
                );
            }
            JA => {
                let to = follow(code, target(at, k), &here, usize::MAX);
                code[at].k = (to - at - 1) as u32;
                reach(to, here);
            }
            RET => {}
            // The conditional jumps.
            _ => {
                let (equal, other) = match op {
                    JEQ => (here.equal(k), here.unequal(k)),
                    _ => (here, here),
                };
                let furthest = target(at, u8::MAX.into());
                let yes = follow(code, target(at, jt.into()), &equal, furthest);
                let no = follow(code, target(at, jf.into()), &other, furthest);
                code[at].jt = (yes - at - 1) as u8;
                code[at].jf = (no - at - 1) as u8;
                reach(yes, equal);
                reach(no, other);
            }
        }
    }
}

/// Where a jump to `to` may lead at once, up to `furthest`, with `facts` on the way.
fn follow(code: &[Instruction], mut to: usize, facts: &Facts, furthest: usize) -> usize {
    let mut best = to;
    // What the accumulator would hold if every instruction on the way were carried out.
    let mut accumulator = facts.accumulator;
    loop {
        let instruction = &code[to];
        // An instruction can be jumped to if the accumulator is right, or does not matter to it.
        let right = accumulator == facts.accumulator && accumulator.is_some();
        if to <= furthest && (right || matches!(instruction.code, LD | RET)) {
            best = to;
        }
        to = match instruction.code {
            LD => {
                accumulator = Some(instruction.k);
                to + 1
            }
            JA => target(to, instruction.k),
            op if is_conditional(op) => {
                match accumulator.and_then(|word| facts.outcome(word, instruction)) {
                    Some(true) => target(to, instruction.jt.into()),
                    Some(false) => target(to, instruction.jf.into()),
                    None => return best,
                }
            }
            _ => return best,
        };
    }
}

/// Lets every jump to a return go to the last equal one within its reach.
fn share_returns(code: &mut [Instruction]) {
    // Of each return, the places, last first.
    let mut returns: Vec<(u32, Vec<usize>)> = Vec::new();
    for at in (0..code.len()).rev().filter(|at| code[*at].code == RET) {
        let k = code[at].k;
        match returns.iter_mut().find(|(known, _)| *known == k) {
            Some((_, places)) => places.push(at),
            None => returns.push((k, vec![at])),
        }
    }
    let last = |from: usize, distance: u8| {
        let to = &code[target(from, distance.into())];
        let (_, places) = returns.iter().find(|(k, _)| to.code == RET && *k == to.k)?;
        let place = places.iter().find(|at| **at - from <= 256)?;
        u8::try_from(place - from - 1).ok()
    };
    let changed: Vec<_> = (0..code.len())
        .filter(|at| is_conditional(code[*at].code))
        .map(|at| (at, last(at, code[at].jt), last(at, code[at].jf)))
        .collect();
    for (at, jt, jf) in changed {
        let jump = &mut code[at];
        (jump.jt, jump.jf) = (jt.unwrap_or(jump.jt), jf.unwrap_or(jump.jf));
    }
}

/// The program without what nothing leads to.
fn reachable(code: &[Instruction]) -> Vec<Instruction> {
    let mut reached = vec![false; code.len()];
    reached[0] = true;
    for at in 0..code.len() {
        if !reached[at] {
            continue;
        }
        let instruction = &code[at];
        match instruction.code {
            RET => {}
            JA => reached[target(at, instruction.k)] = true,
            op if is_conditional(op) => {
                reached[target(at, instruction.jt.into())] = true;
                reached[target(at, instruction.jf.into())] = true;
            }
            _ => reached[at + 1] = true,
        }
    }
    // How many that stay come before each.
    let mut places = Vec::with_capacity(code.len());
    let mut kept = 0_usize;
    for stays in &reached {
        places.push(kept);
        kept += usize::from(*stays);
    }
    // Distances only become shorter, so they still fit.
    let distance = |from: usize, to: usize| places[to] - places[from] - 1;
    let short = |from, jump: u8| distance(from, target(from, jump.into())) as u8;
    (0..code.len())
        .filter(|at| reached[*at])
        .map(|at| {
            let mut instruction = code[at];
            match instruction.code {
                JA => instruction.k = distance(at, target(at, instruction.k)) as u32,
                op if is_conditional(op) => {
                    instruction.jt = short(at, instruction.jt);
                    instruction.jf = short(at, instruction.jf);
                }
                _ => {}
            }
            instruction
        })
        .collect()
}
