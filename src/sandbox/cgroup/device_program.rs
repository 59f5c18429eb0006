//! Device rules as cgroup v2 takes them: an eBPF program that the kernel asks about every access.
//!
//! For each access asked for (read, write, make a node) the last rule that names it decides, as
//! writing the rules one after the other to a v1 controller would have it; what no rule names is
//! allowed. The program goes through the rules backwards and refuses at the first denied access.

use super::devices::DeviceRule;
use crate::sys::bpf::Instruction;

// `struct bpf_cgroup_dev_ctx`: byte offsets, and what its first field packs.
const CTX_ACCESS_TYPE: i16 = 0;
const CTX_MAJOR: i16 = 4;
const CTX_MINOR: i16 = 8;
const KIND_MASK: i32 = 0xffff;
const ACCESS_SHIFT: i32 = 16;
const KIND_BLOCK: i32 = 1;
const KIND_CHAR: i32 = 2;
const ACCESS_MAKE: i32 = 1;
const ACCESS_READ: i32 = 2;
const ACCESS_WRITE: i32 = 4;

// Registers of the program.
const RESULT: u8 = 0;
const CONTEXT: u8 = 1;
/// Accesses asked for on which no rule has decided yet.
const OPEN: u8 = 2;
const KIND: u8 = 3;
const MAJOR: u8 = 4;
const MINOR: u8 = 5;

// Operations: class, operation and source in one byte (linux/bpf.h, linux/bpf_common.h).
const LOAD_U32: u8 = 0x61;
const MOV_CONST: u8 = 0xb7;
const MOV_REG: u8 = 0xbf;
const AND_CONST: u8 = 0x57;
const SHR_CONST: u8 = 0x77;
const JUMP_EQ_32: u8 = 0x16;
const JUMP_NE_32: u8 = 0x56;
const EXIT: u8 = 0x95;

/// The program for `rules`, which are in the order of config.json.
pub fn compile(rules: &[DeviceRule]) -> Vec<Instruction> {
    let mut program = vec![
        load(KIND, CTX_ACCESS_TYPE),
        op_reg(MOV_REG, OPEN, KIND),
        op(AND_CONST, KIND, KIND_MASK),
        op(SHR_CONST, OPEN, ACCESS_SHIFT),
        load(MAJOR, CTX_MAJOR),
        load(MINOR, CTX_MINOR),
    ];
    for rule in rules.iter().rev() {
        append(rule, &mut program);
    }
    program.extend(answer(true));
    program
}

fn append(rule: &DeviceRule, program: &mut Vec<Instruction>) {
    let mut body = Vec::new();
    if rule.allow {
        body.push(op(AND_CONST, OPEN, !access(rule)));
        body.push(skip_unless(JUMP_EQ_32, OPEN, 0, 2));
        body.extend(answer(true));
    } else {
        body.push(op_reg(MOV_REG, RESULT, OPEN));
        body.push(op(AND_CONST, RESULT, access(rule)));
        body.push(skip_unless(JUMP_NE_32, RESULT, 0, 2));
        body.extend(answer(false));
    }
    let kind = match rule.kind {
        'b' => Some(KIND_BLOCK),
        'c' => Some(KIND_CHAR),
        _ => None,
    };
    // A device number is 32 bits for the comparison, whatever sign the constant then has.
    let number = |number: Option<u32>| number.map(u32::cast_signed);
    let conditions: Vec<(u8, i32)> = [
        (KIND, kind),
        (MAJOR, number(rule.major)),
        (MINOR, number(rule.minor)),
    ]
    .into_iter()
    .filter_map(|(register, wanted)| Some((register, wanted?)))
    .collect();
    for (index, &(register, wanted)) in conditions.iter().enumerate() {
        let left = conditions.len() - index - 1 + body.len();
        program.push(skip_unless(JUMP_EQ_32, register, wanted, left));
    }
    program.extend(body);
}

fn access(rule: &DeviceRule) -> i32 {
    rule.access.chars().fold(0, |set, access| {
        set | match access {
            'm' => ACCESS_MAKE,
            'r' => ACCESS_READ,
            _ => ACCESS_WRITE,
        }
    })
}

/// Goes on when the comparison holds, else skips the next `count` instructions.
fn skip_unless(comparison: u8, register: u8, constant: i32, count: usize) -> Instruction {
    let opposite = match comparison {
        JUMP_EQ_32 => JUMP_NE_32,
        _ => JUMP_EQ_32,
    };
    let offset = i16::try_from(count).expect("a rule has fewer than ten instructions");
    Instruction {
        offset,
        ..op(opposite, register, constant)
    }
}

fn answer(allow: bool) -> [Instruction; 2] {
    [op(MOV_CONST, RESULT, i32::from(allow)), op(EXIT, 0, 0)]
}

fn load(register: u8, offset: i16) -> Instruction {
    Instruction {
        offset,
        ..op_reg(LOAD_U32, register, CONTEXT)
    }
}

fn op(code: u8, register: u8, immediate: i32) -> Instruction {
    Instruction {
        code,
        registers: register,
        offset: 0,
        immediate,
    }
}

fn op_reg(code: u8, to: u8, from: u8) -> Instruction {
    Instruction {
        code,
        registers: to | from << 4,
        offset: 0,
        immediate: 0,
    }
}

#[cfg(test)]
mod tests {
    use super::super::devices;
    use super::*;
    use crate::sys::bpf::load_device_program;

    #[derive(Clone, Copy, Debug)]
    struct Request {
        kind: i32,
        major: u32,
        minor: u32,
        access: i32,
    }

    /// Runs a program as the kernel would, for the operations used here.
    fn run(program: &[Instruction], request: Request) -> bool {
        let mut registers = [0u64; 16];
        let mut at = 0;
        loop {
            let it = program[at];
            let (to, from) = (
                usize::from(it.registers & 15),
                usize::from(it.registers >> 4),
            );
            let constant = i64::from(it.immediate).cast_unsigned();
            #[expect(clippy::cast_possible_truncation, reason = "a 32-bit comparison")]
            let equal = registers[to] as u32 == it.immediate.cast_unsigned();
            at += 1;
            let mut jump = |taken: bool| {
                if taken {
                    at += usize::try_from(it.offset).unwrap();
                }
            };
            match it.code {
                LOAD_U32 => {
                    registers[to] = match it.offset {
                        CTX_ACCESS_TYPE => u64::from(
                            (request.access << ACCESS_SHIFT | request.kind).cast_unsigned(),
                        ),
                        CTX_MAJOR => u64::from(request.major),
                        _ => u64::from(request.minor),
                    }
                }
                MOV_CONST => registers[to] = constant,
                MOV_REG => registers[to] = registers[from],
                AND_CONST => registers[to] &= constant,
                SHR_CONST => registers[to] >>= constant,
                JUMP_EQ_32 => jump(equal),
                JUMP_NE_32 => jump(!equal),
                EXIT => return registers[0] != 0,
                other => panic!("operation {other:#x}"),
            }
        }
    }

    /// The same question answered the obvious way.
    fn obvious(rules: &[DeviceRule], request: Request) -> bool {
        [ACCESS_MAKE, ACCESS_READ, ACCESS_WRITE]
            .into_iter()
            .filter(|bit| request.access & bit != 0)
            .all(|bit| {
                rules
                    .iter()
                    .rfind(|rule| {
                        let kind = match rule.kind {
                            'b' => request.kind == KIND_BLOCK,
                            'c' => request.kind == KIND_CHAR,
                            _ => true,
                        };
                        kind && rule.major.is_none_or(|major| major == request.major)
                            && rule.minor.is_none_or(|minor| minor == request.minor)
                            && access(rule) & bit != 0
                    })
                    .is_none_or(|rule| rule.allow)
            })
    }

    fn every_request() -> impl Iterator<Item = Request> {
        let numbers = [0, 1, 3, 5, 8, 136, 4095, u32::MAX];
        [KIND_BLOCK, KIND_CHAR].into_iter().flat_map(move |kind| {
            numbers.into_iter().flat_map(move |major| {
                numbers.into_iter().flat_map(move |minor| {
                    (1..8).map(move |access| Request {
                        kind,
                        major,
                        minor,
                        access,
                    })
                })
            })
        })
    }

    fn compare(rules: &[DeviceRule]) {
        let program = compile(rules);
        for request in every_request() {
            assert_eq!(
                run(&program, request),
                obvious(rules, request),
                "{rules:?} {request:?}"
            );
        }
    }

    #[test]
    fn random_rules_answer_as_the_obvious_reading_does() {
        let mut state = 7u64;
        let mut random = |below: u64| {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            (state >> 33) % below
        };
        let numbers = [None, Some(0), Some(1), Some(5), Some(u32::MAX)];
        for _ in 0..300 {
            let rules: Vec<DeviceRule> = (0..random(9))
                .map(|_| DeviceRule {
                    allow: random(2) == 0,
                    kind: ['a', 'b', 'c'][usize::try_from(random(3)).unwrap()],
                    major: numbers[usize::try_from(random(5)).unwrap()],
                    minor: numbers[usize::try_from(random(5)).unwrap()],
                    access: ["r", "w", "m", "rw", "rwm"][usize::try_from(random(5)).unwrap()]
                        .to_owned(),
                })
                .collect();
            compare(&rules);
        }
    }

    #[test]
    fn what_engines_write_lets_null_through_and_disks_not() {
        let config = serde_json::json!([
            {"allow": false, "access": "rwm"},
            {"allow": true, "type": "c", "major": 10, "minor": 200, "access": "rw"},
        ]);
        let rules = devices::rules(&serde_json::from_value::<Vec<_>>(config).unwrap()).unwrap();
        let program = compile(&rules);
        let ask = |kind, major, minor, access| {
            run(
                &program,
                Request {
                    kind,
                    major,
                    minor,
                    access,
                },
            )
        };
        assert!(ask(KIND_CHAR, 1, 3, ACCESS_READ | ACCESS_WRITE));
        assert!(ask(KIND_CHAR, 10, 200, ACCESS_READ | ACCESS_WRITE));
        assert!(ask(KIND_BLOCK, 8, 0, ACCESS_MAKE));
        assert!(!ask(KIND_BLOCK, 8, 0, ACCESS_READ));
        assert!(!ask(KIND_CHAR, 1, 1, ACCESS_READ));
    }

    #[test]
    fn the_kernels_verifier_takes_it() {
        let rules: Vec<DeviceRule> = (0..300)
            .map(|minor| DeviceRule {
                allow: minor % 3 != 0,
                kind: ['a', 'b', 'c'][minor as usize % 3],
                major: Some(minor * 7),
                minor: Some(minor),
                access: "rw".to_owned(),
            })
            .collect();
        for rules in [&rules[..], &rules[..1], &[]] {
            load_device_program(&compile(rules)).expect("loaded (root only)");
        }
    }
}
