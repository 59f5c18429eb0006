//! The compiled program against the obvious evaluation of the same policy, on
//! an emulator of the kernel's BPF, and once on the kernel itself.

use std::collections::BTreeSet;

use oci_spec::runtime::LinuxSeccomp;
use serde_json::json;

use super::optimize::optimize;
use super::policy::Policy;
use super::program::{Instruction, Program};
use super::{SeccompError, compile};
use crate::sandbox::credentials::Runs;

/// Runs a program as the kernel does; `None` when it leaves its bounds.
fn emulate(program: &[Instruction], arch: u32, nr: u32, args: &[u64; 6]) -> Option<u32> {
    let word = |offset: u32| match offset {
        0 => nr,
        4 => arch,
        _ => {
            let arg = args[((offset - 16) / 8) as usize];
            if offset.is_multiple_of(8) {
                arg as u32
            } else {
                (arg >> 32) as u32
            }
        }
    };
    let (mut pc, mut acc) = (0_usize, 0_u32);
    loop {
        let i = program.get(pc)?;
        pc += 1;
        let branch = |holds: bool| usize::from(if holds { i.jt } else { i.jf });
        match i.code {
            0x20 => acc = word(i.k),
            0x54 => acc &= i.k,
            0x05 => pc += i.k as usize,
            0x15 => pc += branch(acc == i.k),
            0x25 => pc += branch(acc > i.k),
            0x35 => pc += branch(acc >= i.k),
            0x06 => return Some(i.k),
            _ => return None,
        }
    }
}

fn profile(value: serde_json::Value) -> LinuxSeccomp {
    serde_json::from_value(value).expect("a profile of the specification's shape")
}

const NATIVE: u32 = if cfg!(target_arch = "x86_64") {
    0xc000_003e
} else {
    0xc000_00b7
};

/// Every number up to 600, every argument value next to a boundary of any
/// condition, in every argument.
fn assert_equal_everywhere(policy: &Policy) {
    let program = Program::from_policy(policy).expect("compiles");
    let mut values = BTreeSet::from([0, 1, u64::from(u32::MAX), 1 << 32, u64::MAX]);
    for condition in policy
        .decisions
        .values()
        .flat_map(|d| &d.rules)
        .flat_map(|r| &r.conditions)
    {
        for v in [condition.value, condition.value ^ (1 << 32)] {
            values.extend([v.wrapping_sub(1), v, v.wrapping_add(1)]);
        }
    }
    for nr in (0..600).chain([0x3fff_ffff]) {
        for &value in &values {
            for index in 0..6 {
                for rest in [0, value] {
                    let mut args = [rest; 6];
                    args[index] = value;
                    assert_eq!(
                        emulate(&program.instructions, NATIVE, nr, &args),
                        Some(policy.evaluate(nr, &args)),
                        "system call {nr} with {args:x?}"
                    );
                }
            }
        }
    }
}

#[test]
fn every_operator_decides_as_written() {
    for (op, two) in [
        ("NE", 0),
        ("LT", 0),
        ("LE", 0),
        ("EQ", 0),
        ("GE", 0),
        ("GT", 0),
        ("MASKED_EQ", 0x0000_0001_0000_0010_u64),
    ] {
        for value in [
            0_u64,
            5,
            0xffff_ffff,
            0x1_0000_0000,
            0x1_0000_0010,
            u64::MAX,
        ] {
            let policy = Policy::from_profile(&profile(json!({
                "defaultAction": "SCMP_ACT_ERRNO", "defaultErrnoRet": 38,
                "syscalls": [
                    {"names": ["read", "write", "close"], "action": "SCMP_ACT_ALLOW"},
                    {"names": ["ioctl"], "action": "SCMP_ACT_ALLOW", "args": [
                        {"index": 1, "value": value, "valueTwo": two, "op": format!("SCMP_CMP_{op}")},
                        {"index": 2, "value": 7, "op": "SCMP_CMP_GE"}]},
                    {"names": ["ioctl"], "action": "SCMP_ACT_LOG", "args": [
                        {"index": 5, "value": value, "valueTwo": two, "op": format!("SCMP_CMP_{op}")}]}
                ]
            })))
            .expect("valid");
            assert_equal_everywhere(&policy);
        }
    }
}

#[test]
fn a_long_profile_with_far_jumps_decides_as_written() {
    let conditions: Vec<_> = (0..400)
        .map(|v| {
            json!({"names": ["personality", "clone"], "action": "SCMP_ACT_ALLOW",
            "args": [{"index": 0, "value": v * 3, "op": "SCMP_CMP_EQ"}]})
        })
        .collect();
    let policy = Policy::from_profile(&profile(json!({
        "defaultAction": "SCMP_ACT_KILL_PROCESS", "syscalls": conditions
    })))
    .expect("valid");
    assert!(
        Program::from_policy(&policy)
            .expect("compiles")
            .instructions
            .len()
            > 600
    );
    assert_equal_everywhere(&policy);
}

/// Small random programs, in which jumps, loads and comparisons meet in every way.
#[test]
fn a_shorter_program_decides_the_same() {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut random = |below: usize| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 32) as usize % below
    };
    let words = [0, 16, 20, 24];
    let (mut before, mut after) = (0, 0);
    for _ in 0..20_000 {
        let length = 2 + random(24);
        let mut program = Vec::new();
        for at in 0..length {
            let left = length - at - 1;
            let (code, k, jt, jf) = match random(8) {
                _ if left == 0 => (0x06, random(3), 0, 0),
                0 => (0x06, random(3), 0, 0),
                1..=3 => (0x20, words[random(words.len())], 0, 0),
                4 => (0x54, random(4), 0, 0),
                5 => (0x05, random(left), 0, 0),
                _ => {
                    let code = [0x15, 0x15, 0x25, 0x35][random(4)];
                    (code, random(3), random(left), random(left))
                }
            };
            program.push(Instruction {
                code,
                k: k as u32,
                jt: jt as u8,
                jf: jf as u8,
            });
        }
        let shorter = optimize(program.clone());
        before += program.len();
        after += shorter.len();
        for _ in 0..16 {
            let args = [0; 6].map(|_: u64| (random(4) | random(2) << 32) as u64);
            let nr = random(4) as u32;
            let (want, got) = (
                emulate(&program, NATIVE, nr, &args),
                emulate(&shorter, NATIVE, nr, &args),
            );
            assert!(want.is_some());
            assert_eq!(want, got, "{nr} {args:x?}\n{program:?}\n{shorter:?}");
        }
    }
    assert!(after * 2 < before, "{after} of {before}");
}

/// What a rule costs once and again: the kernel takes time for each instruction.
#[test]
fn rules_of_one_argument_share_what_they_can() {
    let rules = |values: u64| {
        let rules: Vec<_> = (0..values)
            .map(|v| {
                json!({"names": ["personality"], "action": "SCMP_ACT_ALLOW",
                "args": [{"index": 0, "value": v * 3, "op": "SCMP_CMP_EQ"}]})
            })
            .collect();
        let program = compile(&profile(
            json!({"defaultAction": "SCMP_ACT_ERRNO", "syscalls": rules}),
        ));
        program.expect("compiles").instructions.len()
    };
    assert_eq!(rules(31) - rules(1), 30);
}

#[test]
fn other_architectures_and_x32_are_killed_even_where_the_default_allows() {
    let program = compile(&profile(json!({"defaultAction": "SCMP_ACT_ALLOW",
        "architectures": ["SCMP_ARCH_X86_64", "SCMP_ARCH_X86", "SCMP_ARCH_X32"]})))
    .expect("valid");
    let run = |arch, nr| emulate(&program.instructions, arch, nr, &[0; 6]);
    assert_eq!(run(NATIVE, 1), Some(libc::SECCOMP_RET_ALLOW));
    assert_eq!(run(0x4000_0003, 1), Some(libc::SECCOMP_RET_KILL_PROCESS));
    assert_eq!(
        run(NATIVE, 0x4000_0001),
        Some(libc::SECCOMP_RET_KILL_PROCESS)
    );
    assert_eq!(run(NATIVE, u32::MAX), Some(libc::SECCOMP_RET_KILL_PROCESS));
}

#[test]
fn an_agent_is_asked_where_it_decides_something() {
    let compiled = |action: &str, runs| {
        let profile = profile(json!({
            "defaultAction": "SCMP_ACT_ALLOW", "listenerPath": "/run/agent.sock",
            "flags": ["SECCOMP_FILTER_FLAG_TSYNC"],
            "syscalls": [{"names": ["mkdirat"], "action": action}]
        }));
        super::compile_for(&profile, runs)
    };
    let asks = compiled("SCMP_ACT_NOTIFY", Runs::Native).unwrap();
    assert!(asks.notifies());
    // The kernel takes only one of the two.
    assert_eq!(asks.flags & libc::SECCOMP_FILTER_FLAG_TSYNC, 0);
    let number = libc::SYS_mkdirat as u32;
    let decided = emulate(&asks.instructions, NATIVE, number, &[0; 6]);
    assert_eq!(decided, Some(libc::SECCOMP_RET_USER_NOTIF));
    let asks_not = compiled("SCMP_ACT_ERRNO", Runs::Native).unwrap();
    assert!(!asks_not.notifies());
    // The calls of guests are not their own.
    let refused = compiled("SCMP_ACT_NOTIFY", Runs::Guests).unwrap_err();
    assert!(refused.to_string().contains("agent"), "{refused}");
}

#[test]
fn calls_newer_than_a_profile_that_denies_are_not_there() {
    let answer = |mut profile_of: serde_json::Value, nr: u32| {
        profile_of["syscalls"] =
            json!([{"names": ["openat2", "read"], "action": "SCMP_ACT_ALLOW"}]);
        let policy = Policy::from_profile(&profile(profile_of)).unwrap();
        assert_equal_everywhere(&policy);
        policy.evaluate(nr, &[0; 6])
    };
    let (before, after) = (libc::SYS_statx as u32, libc::SYS_openat2 as u32 + 1);
    let errno = |number: i32| libc::SECCOMP_RET_ERRNO | number as u32;
    let denies = json!({"defaultAction": "SCMP_ACT_ERRNO"});
    assert_eq!(answer(denies.clone(), before), errno(libc::EPERM));
    assert_eq!(answer(denies, after), errno(libc::ENOSYS));
    let kills = json!({"defaultAction": "SCMP_ACT_KILL_PROCESS"});
    assert_eq!(answer(kills, after), errno(libc::ENOSYS));
    // Who says which error means it for all, and who allows or asks, allows and asks.
    let says = json!({"defaultAction": "SCMP_ACT_ERRNO", "defaultErrnoRet": libc::ENXIO});
    assert_eq!(answer(says, after), errno(libc::ENXIO));
    let allows = json!({"defaultAction": "SCMP_ACT_ALLOW"});
    assert_eq!(answer(allows, after), libc::SECCOMP_RET_ALLOW);
}

#[test]
fn what_cannot_be_honoured_is_refused_by_name() {
    let cases = [
        (
            json!({"defaultAction": "SCMP_ACT_NOTIFY"}),
            "SCMP_ACT_NOTIFY",
        ),
        (
            json!({"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [
            {"names": ["mkdirat"], "action": "SCMP_ACT_NOTIFY"}]}),
            "listenerPath",
        ),
        (
            json!({"defaultAction": "SCMP_ACT_ALLOW", "listenerPath": "/run/agent.sock",
            "syscalls": [{"names": ["write"], "action": "SCMP_ACT_NOTIFY"}]}),
            "SCMP_ACT_NOTIFY cannot be used for the write syscall",
        ),
        (
            json!({"defaultAction": "SCMP_ACT_ERRNO", "defaultErrnoRet": 70000}),
            "70000",
        ),
        (
            json!({"defaultAction": "SCMP_ACT_ERRNO", "syscalls": [{"names": ["read"],
            "action": "SCMP_ACT_ALLOW", "args": [{"index": 6, "value": 0, "op": "SCMP_CMP_EQ"}]}]}),
            "syscalls[0].args[0].index",
        ),
        (
            json!({"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [
            {"names": ["no_such_call"], "action": "SCMP_ACT_ERRNO"}]}),
            "no_such_call",
        ),
    ];
    for (value, expected) in cases {
        let error = compile(&profile(value)).expect_err(expected).to_string();
        assert!(error.contains(expected), "{error}");
    }
}

#[test]
fn names_of_other_architectures_are_passed_over() {
    let program = compile(&profile(
        json!({"defaultAction": "SCMP_ACT_ERRNO", "syscalls": [
        {"names": ["_llseek", "socketcall", "no_such_call"], "action": "SCMP_ACT_ALLOW"}]}),
    ));
    assert!(program.is_ok());
}

#[test]
fn too_many_conditions_are_an_error_not_a_truncated_filter() {
    let args: Vec<_> = (0..4200)
        .map(|v| {
            json!({"names": ["ioctl"], "action": "SCMP_ACT_ALLOW",
            "args": [{"index": 1, "value": v, "op": "SCMP_CMP_EQ"}]})
        })
        .collect();
    let error = compile(&profile(
        json!({"defaultAction": "SCMP_ACT_ERRNO", "syscalls": args}),
    ));
    assert!(matches!(error, Err(SeccompError::TooLong(_))));
}

#[test]
fn the_kernel_takes_and_enforces_the_filter() {
    let program = compile(&profile(
        json!({"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [
        {"names": ["getppid"], "action": "SCMP_ACT_ERRNO", "errnoRet": 77}]}),
    ))
    .expect("valid");
    // A filter binds the thread that loads it, so the test runner stays free.
    std::thread::spawn(move || {
        // SAFETY: prctl with constant arguments changes only this thread.
        let locked = unsafe { libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) };
        assert_eq!(locked, 0);
        super::load(&program).expect("the kernel takes it");
        // SAFETY: getppid takes no arguments and touches no memory.
        let result = unsafe { libc::syscall(libc::SYS_getppid) };
        assert_eq!(result, -1);
        assert_eq!(std::io::Error::last_os_error().raw_os_error(), Some(77));
    })
    .join()
    .expect("the filtered thread");
}
