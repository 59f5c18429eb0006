//! A [`Policy`] as classic BPF over `struct seccomp_data` (seccomp(2)).

use super::SeccompError;
use super::optimize::optimize;
use super::policy::{Condition, Decision, Op, Policy, Ret};

/// The kernel's limit, `BPF_MAXINSNS`.
const MAX_INSTRUCTIONS: usize = 4096;

/// Offsets in `struct seccomp_data`.
const NR: u32 = 0;
const ARCH: u32 = 4;
const ARGS: u32 = 16;

#[cfg(target_arch = "x86_64")]
const NATIVE_ARCH: u32 = 0xc000_003e; // AUDIT_ARCH_X86_64
#[cfg(target_arch = "aarch64")]
const NATIVE_ARCH: u32 = 0xc000_00b7; // AUDIT_ARCH_AARCH64

/// Numbers from here up are x32 calls on x86-64, and nothing elsewhere.
const X32: u32 = 0x4000_0000;

/// `BPF_LD | BPF_W | BPF_ABS`, `BPF_ALU | BPF_AND | BPF_K`, the jumps with a
/// constant, and `BPF_RET | BPF_K`.
pub(super) const LD: u16 = 0x20;
pub(super) const AND: u16 = 0x54;
pub(super) const JA: u16 = 0x05;
pub(super) const JEQ: u16 = 0x15;
pub(super) const JGT: u16 = 0x25;
pub(super) const JGE: u16 = 0x35;
pub(super) const RET: u16 = 0x06;

/// One instruction, in the kernel's layout (`struct sock_filter`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(C)]
pub struct Instruction {
    /// Operation.
    pub code: u16,
    /// Instructions to skip when a jump's comparison holds.
    pub jt: u8,
    /// Instructions to skip when it does not.
    pub jf: u8,
    /// Constant.
    pub k: u32,
}

/// A compiled filter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Program {
    pub(super) instructions: Vec<Instruction>,
    /// `SECCOMP_FILTER_FLAG_*` for seccomp(2).
    pub(super) flags: u64,
}

impl Program {
    /// Compiles a policy.
    pub fn from_policy(policy: &Policy) -> Result<Self, SeccompError> {
        let mut code = vec![
            load(ARCH),
            jump(JEQ, NATIVE_ARCH, 1, 0),
            ret(libc::SECCOMP_RET_KILL_PROCESS),
            load(NR),
            jump(JGE, X32, 0, 1),
            ret(libc::SECCOMP_RET_KILL_PROCESS),
        ];
        code.extend(search(&ranges(policy)));
        let code = optimize(code);
        if code.len() > MAX_INSTRUCTIONS {
            return Err(SeccompError::TooLong(code.len()));
        }
        Ok(Program {
            instructions: code,
            flags: policy.flags,
        })
    }

    /// Whether loading it makes a descriptor for an agent that decides some calls.
    pub fn notifies(&self) -> bool {
        self.flags & libc::SECCOMP_FILTER_FLAG_NEW_LISTENER != 0
    }

    /// The program that compares with `new` wherever this one compares with `old`.
    pub(super) fn with_constant(mut self, old: u32, new: u32) -> Self {
        let equal =
            |instruction: &&mut Instruction| instruction.code == JEQ && instruction.k == old;
        self.instructions
            .iter_mut()
            .filter(equal)
            .for_each(|instruction| instruction.k = new);
        self
    }
}

/// A run of numbers, up to the next range's start, with one decision.
struct Range<'a> {
    start: u32,
    leaf: Leaf<'a>,
}

#[derive(Clone, Copy)]
enum Leaf<'a> {
    Answer(Ret),
    Rules(&'a Decision),
}

/// All numbers from 0 as ranges; neighbours with the same answer are one.
fn ranges(policy: &Policy) -> Vec<Range<'_>> {
    fn push<'a>(ranges: &mut Vec<Range<'a>>, start: u32, leaf: Leaf<'a>) {
        if let (
            Some(Range {
                leaf: Leaf::Answer(last),
                ..
            }),
            Leaf::Answer(new),
        ) = (ranges.last(), &leaf)
            && last == new
        {
            return;
        }
        ranges.push(Range { start, leaf });
    }
    let mut ranges = Vec::new();
    let mut next = 0;
    for (nr, decision) in &policy.decisions {
        if *nr > next {
            push(&mut ranges, next, Leaf::Answer(policy.default));
        }
        let leaf = if decision.rules.is_empty() {
            Leaf::Answer(decision.otherwise)
        } else {
            Leaf::Rules(decision)
        };
        push(&mut ranges, *nr, leaf);
        next = nr + 1;
    }
    push(&mut ranges, next, Leaf::Answer(policy.beyond));
    ranges
}

/// Binary search for the range of the number in the accumulator.
fn search(ranges: &[Range<'_>]) -> Vec<Instruction> {
    if let [only] = ranges {
        return match only.leaf {
            Leaf::Answer(answer) => vec![ret(answer)],
            Leaf::Rules(decision) => rules(decision),
        };
    }
    let (low, high) = ranges.split_at(ranges.len() / 2);
    let low_code = search(low);
    let mut code = Vec::with_capacity(2 * low_code.len() + 2);
    // A conditional jump reaches 255 instructions; further ones go by `ja`.
    match u8::try_from(low_code.len()) {
        Ok(distance) => code.push(jump(JGE, high[0].start, distance, 0)),
        Err(_) => {
            code.push(jump(JGE, high[0].start, 0, 1));
            let distance = u32::try_from(low_code.len()).expect("checked against 4096 later");
            code.push(jump(JA, distance, 0, 0));
        }
    }
    code.extend(low_code);
    code.extend(search(high));
    code
}

/// A call's conditional rules in order, then its unconditional answer.
fn rules(decision: &Decision) -> Vec<Instruction> {
    let mut code = Vec::new();
    for rule in &decision.rules {
        let mut rule_code = vec![ret(rule.ret)];
        for condition in rule.conditions.iter().rev() {
            // What follows a failed condition starts right after this rule.
            let mut with = compare(condition, rule_code.len());
            with.append(&mut rule_code);
            rule_code = with;
        }
        code.append(&mut rule_code);
    }
    code.push(ret(decision.otherwise));
    code
}

/// Falls through when the condition holds, else skips `rest` more instructions.
///
/// A rule has at most 6 conditions of at most 6 instructions each, so every
/// distance fits the 8 bits of a jump.
fn compare(condition: &Condition, rest: usize) -> Vec<Instruction> {
    let low_half = ARGS + 8 * u32::from(condition.index); // little endian
    let high_half = low_half + 4;
    let low = condition.value as u32;
    let high = (condition.value >> 32) as u32;
    let fail =
        |after: usize| u8::try_from(rest + after).expect("a rule is at most 37 instructions");
    match condition.op {
        Op::Eq => vec![
            load(high_half),
            jump(JEQ, high, 0, fail(2)),
            load(low_half),
            jump(JEQ, low, 0, fail(0)),
        ],
        Op::Ne => vec![
            load(high_half),
            jump(JEQ, high, 0, 2),
            load(low_half),
            jump(JEQ, low, fail(0), 0),
        ],
        Op::Ge => at_least(JGE, low_half, low, high, &fail),
        Op::Gt => at_least(JGT, low_half, low, high, &fail),
        Op::Lt => below(JGE, low_half, low, high, &fail),
        Op::Le => below(JGT, low_half, low, high, &fail),
        Op::MaskedEq(mask) => {
            let mut code = Vec::with_capacity(6);
            // A half of which no bit counts is no matter.
            if (mask >> 32, high) != (0, 0) {
                code.push(load(high_half));
                code.push(and((mask >> 32) as u32));
                code.push(jump(JEQ, high, 0, fail(3)));
            }
            code.push(load(low_half));
            code.push(and(mask as u32));
            code.push(jump(JEQ, low, 0, fail(0)));
            code
        }
    }
}

/// `>=` or `>`, as `op` compares the low halves.
fn at_least(
    op: u16,
    low_half: u32,
    low: u32,
    high: u32,
    fail: &dyn Fn(usize) -> u8,
) -> Vec<Instruction> {
    vec![
        load(low_half + 4),
        jump(JGT, high, 3, 0),
        jump(JEQ, high, 0, fail(2)),
        load(low_half),
        jump(op, low, 0, fail(0)),
    ]
}

/// `<` or `<=`: what `op` holds for, fails.
fn below(
    op: u16,
    low_half: u32,
    low: u32,
    high: u32,
    fail: &dyn Fn(usize) -> u8,
) -> Vec<Instruction> {
    vec![
        load(low_half + 4),
        jump(JGT, high, fail(3), 0),
        jump(JEQ, high, 0, 2),
        load(low_half),
        jump(op, low, fail(0), 0),
    ]
}

const fn load(offset: u32) -> Instruction {
    jump(LD, offset, 0, 0)
}

const fn and(mask: u32) -> Instruction {
    jump(AND, mask, 0, 0)
}

const fn ret(answer: Ret) -> Instruction {
    jump(RET, answer, 0, 0)
}

const fn jump(code: u16, k: u32, jt: u8, jf: u8) -> Instruction {
    Instruction { code, jt, jf, k }
}
