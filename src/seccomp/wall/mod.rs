//! The second wall: an allowlist of the system calls that the process of a running container makes
//! ([`calls`]), beneath config.json's profile. Any other call kills the process: somebody has
//! broken out of WebAssembly.
//!
//! Compiled code is mapped before the wall stands, and nothing is compiled behind it.

mod calls;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::str::FromStr;

use syscalls::Sysno;

use super::policy::{Condition, Decision, Op, Policy, Ret, Rule};
use super::{Program, SeccompError};
use calls::{CALLS, Call, For};

const KILL: Ret = libc::SECCOMP_RET_KILL_PROCESS;
/// The flags of `clone3` are in memory, where no filter sees them: the C library falls back to
/// `clone` when there is no such call.
const NO_SUCH_CALL: Ret = libc::SECCOMP_RET_ERRNO | libc::ENOSYS as u32;

/// Stands for the process's own pid where the wall is compiled before there is one: no pid is as
/// large (`PID_MAX_LIMIT`), and no other constant of the table is the same.
const ANY_PID: u32 = 0xaced_0001;

/// The wall of the process `pid`, compiled.
#[cfg(target_arch = "x86_64")]
pub fn program(pid: u32) -> Result<Program, SeccompError> {
    // Ahead, since every container and every exec waits for it.
    const COMPILED: &[u8] = include_bytes!("x86_64.bpf");
    let program = Program::from_bytes(COMPILED);
    program.map_or_else(
        || Program::from_policy(&policy(pid)),
        |program| Ok(program.with_constant(ANY_PID, pid)),
    )
}

/// The wall of the process `pid`, compiled.
#[cfg(not(target_arch = "x86_64"))]
pub fn program(pid: u32) -> Result<Program, SeccompError> {
    Program::from_policy(&policy(pid))
}

fn policy(pid: u32) -> Policy {
    let mut policy = Policy {
        default: KILL,
        decisions: BTreeMap::new(),
        beyond: KILL,
        flags: 0,
    };
    for call in CALLS {
        for number in numbers(call) {
            let decision = policy.decisions.entry(number).or_insert(killing());
            match call.arguments {
                [] => decision.otherwise = libc::SECCOMP_RET_ALLOW,
                alternatives => decision.rules.extend(alternatives.iter().map(|all| Rule {
                    conditions: all.to_vec(),
                    ret: libc::SECCOMP_RET_ALLOW,
                })),
            }
        }
    }
    // Signals go to threads of this process and to nobody else.
    let own = Condition {
        index: 0,
        op: Op::Eq,
        value: pid.into(),
    };
    let mut to_itself = killing();
    to_itself.rules.push(Rule {
        conditions: vec![own],
        ret: libc::SECCOMP_RET_ALLOW,
    });
    policy.decisions.insert(number(Sysno::tgkill), to_itself);
    without_clone3(&mut policy);
    policy
}

fn killing() -> Decision {
    Decision {
        rules: Vec::new(),
        otherwise: KILL,
    }
}

/// Says that there is no `clone3`, whatever was said about it before.
fn without_clone3(policy: &mut Policy) {
    let missing = Decision {
        rules: Vec::new(),
        otherwise: NO_SUCH_CALL,
    };
    policy.decisions.insert(number(Sysno::clone3), missing);
}

fn numbers(call: &Call) -> impl Iterator<Item = u32> {
    let known = |name: &&str| Sysno::from_str(name).ok();
    call.names.iter().filter_map(known).map(number)
}

fn number(call: Sysno) -> u32 {
    u32::try_from(call.id()).expect("system call numbers are small and positive")
}

/// Makes config.json's profile one that the kernel's process can live under, or names the system
/// call that it must let through.
pub fn fit(profile: &mut Policy) -> Result<(), SeccompError> {
    without_clone3(profile);
    for call in CALLS {
        let enough: fn(Ret) -> bool = match call.purpose {
            For::Kernel => allows,
            For::Libraries => |ret| allows(ret) || fails(ret),
            For::Guests => continue,
        };
        let names = call.names.iter();
        let known = names.filter_map(|name| Some((name, number(Sysno::from_str(name).ok()?))));
        for (name, number) in known {
            let made = examples(call);
            if !made
                .iter()
                .all(|args| enough(profile.evaluate(number, args)))
            {
                return Err(SeccompError::Missing((*name).to_owned()));
            }
        }
    }
    Ok(())
}

fn allows(ret: Ret) -> bool {
    let action = ret & libc::SECCOMP_RET_ACTION_FULL;
    matches!(action, libc::SECCOMP_RET_ALLOW | libc::SECCOMP_RET_LOG)
}

fn fails(ret: Ret) -> bool {
    ret & libc::SECCOMP_RET_ACTION_FULL == libc::SECCOMP_RET_ERRNO
}

/// Arguments with which the call is made: those of each alternative, zero where it says nothing.
fn examples(call: &Call) -> Vec<[u64; 6]> {
    let of = |all: &&[Condition]| {
        let mut args = [0; 6];
        for condition in *all {
            args[usize::from(condition.index)] = condition.value;
        }
        args
    };
    match call.arguments {
        [] => vec![[0; 6]],
        alternatives => alternatives.iter().map(of).collect(),
    }
}

/// What profiles must let through, and what they must not kill for, for `features`.
pub fn needed() -> (Vec<&'static str>, Vec<&'static str>) {
    let names = |purpose: For| {
        let calls = CALLS.iter().filter(|call| call.purpose == purpose);
        let mut names: Vec<_> = calls.flat_map(|call| call.names).copied().collect();
        names.sort_unstable();
        names.dedup();
        names
    };
    (names(For::Kernel), names(For::Libraries))
}
