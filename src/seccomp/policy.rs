//! What a profile decides for each system call, independent of BPF.

use std::collections::BTreeMap;
use std::str::FromStr;

use oci_spec::runtime::{
    LinuxSeccomp, LinuxSeccompAction, LinuxSeccompArg, LinuxSeccompFilterFlag,
    LinuxSeccompOperator, LinuxSyscall,
};
use syscalls::Sysno;

use super::SeccompError;

/// A filter's return value: a `SECCOMP_RET_*` action with its data.
pub type Ret = u32;

/// A comparison of one 64-bit argument of a system call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Condition {
    /// Which argument, 0 to 5.
    pub index: u8,
    /// How it is compared.
    pub op: Op,
    /// What it is compared with; the expected bits for [`Op::MaskedEq`].
    pub value: u64,
}

/// The comparison of a [`Condition`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Op {
    /// argument != value
    Ne,
    /// argument < value
    Lt,
    /// argument <= value
    Le,
    /// argument == value
    Eq,
    /// argument >= value
    Ge,
    /// argument > value
    Gt,
    /// argument & mask == value
    MaskedEq(u64),
}

impl Condition {
    /// Whether the arguments of a call satisfy the condition.
    pub fn holds(&self, args: &[u64; 6]) -> bool {
        let arg = args[usize::from(self.index)];
        match self.op {
            Op::Ne => arg != self.value,
            Op::Lt => arg < self.value,
            Op::Le => arg <= self.value,
            Op::Eq => arg == self.value,
            Op::Ge => arg >= self.value,
            Op::Gt => arg > self.value,
            Op::MaskedEq(mask) => arg & mask == self.value,
        }
    }
}

/// What is returned when all conditions hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rule {
    /// Combined by "and"; never empty.
    pub conditions: Vec<Condition>,
    /// The filter's answer.
    pub ret: Ret,
}

/// The decision for one system call: the conditional rules in the order of the
/// profile, the first that holds decides; then the unconditional answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decision {
    /// Conditional rules, in order.
    pub rules: Vec<Rule>,
    /// The answer when none of the rules holds.
    pub otherwise: Ret,
}

/// A profile, resolved for the native architecture.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Policy {
    /// The answer for every number not in `decisions`.
    pub default: Ret,
    /// By system call number.
    pub decisions: BTreeMap<u32, Decision>,
    /// The answer for every number after the last that the profile names.
    pub beyond: Ret,
    /// `SECCOMP_FILTER_FLAG_*` for seccomp(2).
    pub flags: u64,
}

impl Policy {
    /// Resolves a profile. Names that this architecture does not have are
    /// passed over when they are only granted (profiles name the calls of
    /// every architecture), and so are those that get the default anyway.
    pub fn from_profile(profile: &LinuxSeccomp) -> Result<Self, SeccompError> {
        let default = ret(
            "defaultAction",
            profile.default_action(),
            profile.default_errno_ret(),
        )?;
        if default == libc::SECCOMP_RET_USER_NOTIF {
            return Err(unsupported("defaultAction", "SCMP_ACT_NOTIFY"));
        }
        let mut policy = Policy {
            default,
            decisions: BTreeMap::new(),
            beyond: default,
            flags: flags(profile.flags().as_deref().unwrap_or_default())?,
        };
        let syscalls = profile.syscalls().as_deref().unwrap_or_default();
        for (i, entry) in syscalls.iter().enumerate() {
            policy.add(&format!("syscalls[{i}]"), entry)?;
        }
        if !policy.decisions.is_empty() && !passes(default) && profile.default_errno_ret().is_none()
        {
            policy.beyond = libc::SECCOMP_RET_ERRNO | libc::ENOSYS as u32;
        }
        policy.tell(profile)?;
        Ok(policy)
    }

    /// Whether an agent decides some calls.
    pub fn notifies(&self) -> bool {
        let asks = |ret: Ret| ret == libc::SECCOMP_RET_USER_NOTIF;
        self.decisions.values().any(|decision| {
            asks(decision.otherwise) || decision.rules.iter().any(|rule| asks(rule.ret))
        })
    }

    /// Sees to it that the kernel makes a descriptor for the agent, where one decides.
    fn tell(&mut self, profile: &LinuxSeccomp) -> Result<(), SeccompError> {
        if !self.notifies() {
            return Ok(());
        }
        let invalid = |field: &str, reason: &str| SeccompError::Invalid {
            field: field.to_owned(),
            reason: reason.to_owned(),
        };
        let path = profile.listener_path().as_ref();
        if path.is_none_or(|path| path.as_os_str().is_empty()) {
            let reason = "SCMP_ACT_NOTIFY needs the path of an agent's socket";
            return Err(invalid("listenerPath", reason));
        }
        let write = u32::try_from(Sysno::write.id()).unwrap_or_default();
        let otherwise = |nr| self.decisions.get(&nr).map(|decision| decision.otherwise);
        if otherwise(write) == Some(libc::SECCOMP_RET_USER_NOTIF) {
            // With it the process tells where the agent's descriptor is.
            let reason = "SCMP_ACT_NOTIFY cannot be used for the write syscall";
            return Err(invalid("syscalls", reason));
        }
        self.flags &= !libc::SECCOMP_FILTER_FLAG_TSYNC;
        self.flags |= libc::SECCOMP_FILTER_FLAG_NEW_LISTENER;
        Ok(())
    }

    /// The answer for a call: the obvious implementation that the compiled
    /// program is tested against.
    pub fn evaluate(&self, nr: u32, args: &[u64; 6]) -> Ret {
        let Some(decision) = self.decisions.get(&nr) else {
            let last = self.decisions.last_key_value().map(|(last, _)| *last);
            return match last {
                Some(last) if nr > last => self.beyond,
                _ => self.default,
            };
        };
        decision
            .rules
            .iter()
            .find(|rule| rule.conditions.iter().all(|c| c.holds(args)))
            .map_or(decision.otherwise, |rule| rule.ret)
    }

    fn add(&mut self, field: &str, entry: &LinuxSyscall) -> Result<(), SeccompError> {
        let ret = ret(
            &format!("{field}.action"),
            entry.action(),
            entry.errno_ret(),
        )?;
        let alternatives = alternatives(field, entry.args().as_deref().unwrap_or_default())?;
        for name in entry.names() {
            let Ok(sysno) = Sysno::from_str(name) else {
                self.pass_over(field, name, ret)?;
                continue;
            };
            // Where nothing was said, a failed condition means the default.
            let default = self.default;
            let nr = u32::try_from(sysno.id()).expect("system call numbers are small and positive");
            let known = self.decisions.contains_key(&nr);
            let decision = self.decisions.entry(nr).or_insert(Decision {
                rules: Vec::new(),
                otherwise: default,
            });
            if alternatives.is_empty() {
                // The first unconditional entry that says something stands.
                if !known || decision.otherwise == default {
                    decision.otherwise = ret;
                }
            } else {
                decision
                    .rules
                    .extend(alternatives.iter().map(|conditions| Rule {
                        conditions: conditions.clone(),
                        ret,
                    }));
            }
        }
        Ok(())
    }

    /// A name unknown here that the profile grants, or treats as everything
    /// else, costs nothing; one that it means to forbid would stay open.
    fn pass_over(&self, field: &str, name: &str, ret: Ret) -> Result<(), SeccompError> {
        let open_by_default = matches!(
            self.default & libc::SECCOMP_RET_ACTION_FULL,
            libc::SECCOMP_RET_ALLOW | libc::SECCOMP_RET_LOG
        );
        if open_by_default && ret != self.default && !foreign(name) {
            return Err(SeccompError::Invalid {
                field: format!("{field}.names"),
                reason: format!(
                    "`{name}` is to be forbidden but is not a system call known here; correct or remove the name"
                ),
            });
        }
        Ok(())
    }
}

/// Whether the name is a call of i386 or ARM that the native table lacks: it
/// cannot be made here, so forbidding it needs no rule.
fn foreign(name: &str) -> bool {
    syscalls::x86::Sysno::from_str(name).is_ok()
        || syscalls::arm::Sysno::from_str(name).is_ok()
        || syscalls::aarch64::Sysno::from_str(name).is_ok()
        || syscalls::x86_64::Sysno::from_str(name).is_ok()
}

fn unsupported(field: &str, what: &str) -> SeccompError {
    SeccompError::Unsupported {
        field: field.to_owned(),
        what: what.to_owned(),
    }
}

fn ret(field: &str, action: LinuxSeccompAction, data: Option<u32>) -> Result<Ret, SeccompError> {
    let data = || {
        // EPERM, as the specification says for an absent errnoRet.
        let value = data.unwrap_or(libc::EPERM as u32);
        if value > libc::SECCOMP_RET_DATA {
            return Err(SeccompError::Invalid {
                field: field.to_owned(),
                reason: format!("errnoRet {value} is larger than 65535"),
            });
        }
        Ok(value)
    };
    Ok(match action {
        LinuxSeccompAction::ScmpActKill | LinuxSeccompAction::ScmpActKillThread => {
            libc::SECCOMP_RET_KILL_THREAD
        }
        LinuxSeccompAction::ScmpActKillProcess => libc::SECCOMP_RET_KILL_PROCESS,
        LinuxSeccompAction::ScmpActTrap => libc::SECCOMP_RET_TRAP,
        LinuxSeccompAction::ScmpActErrno => libc::SECCOMP_RET_ERRNO | data()?,
        LinuxSeccompAction::ScmpActTrace => libc::SECCOMP_RET_TRACE | data()?,
        LinuxSeccompAction::ScmpActLog => libc::SECCOMP_RET_LOG,
        LinuxSeccompAction::ScmpActAllow => libc::SECCOMP_RET_ALLOW,
        LinuxSeccompAction::ScmpActNotify => libc::SECCOMP_RET_USER_NOTIF,
    })
}

/// Whether calls that nobody has thought of get through, or to a tracer that knows what to do.
/// Where they do not, those that are newer than the profile are answered as by a kernel that does
/// not have them, as runc does: programs then go on without, where EPERM would end them.
fn passes(default: Ret) -> bool {
    matches!(
        default & libc::SECCOMP_RET_ACTION_FULL,
        libc::SECCOMP_RET_ALLOW | libc::SECCOMP_RET_LOG | libc::SECCOMP_RET_TRACE
    )
}

fn flags(names: &[LinuxSeccompFilterFlag]) -> Result<u64, SeccompError> {
    names.iter().try_fold(0, |flags, name| {
        let flag = match name {
            LinuxSeccompFilterFlag::SeccompFilterFlagLog => libc::SECCOMP_FILTER_FLAG_LOG,
            LinuxSeccompFilterFlag::SeccompFilterFlagTsync => libc::SECCOMP_FILTER_FLAG_TSYNC,
            LinuxSeccompFilterFlag::SeccompFilterFlagSpecAllow => {
                libc::SECCOMP_FILTER_FLAG_SPEC_ALLOW
            }
            other => return Err(unsupported("flags", &format!("{other:?}"))),
        };
        Ok(flags | flag)
    })
}

/// The conditions of an entry as alternatives. Several conditions on different
/// arguments are one alternative ("and"); where an argument is named twice
/// each condition is an alternative of its own ("or"), as engines rely on.
fn alternatives(
    field: &str,
    args: &[LinuxSeccompArg],
) -> Result<Vec<Vec<Condition>>, SeccompError> {
    let conditions = args
        .iter()
        .enumerate()
        .map(|(i, arg)| condition(&format!("{field}.args[{i}]"), arg))
        .collect::<Result<Vec<_>, _>>()?;
    let mut seen = [false; 6];
    let repeated = conditions
        .iter()
        .any(|c| std::mem::replace(&mut seen[usize::from(c.index)], true));
    Ok(match conditions {
        none if none.is_empty() => Vec::new(),
        each if repeated => each.into_iter().map(|c| vec![c]).collect(),
        all => vec![all],
    })
}

fn condition(field: &str, arg: &LinuxSeccompArg) -> Result<Condition, SeccompError> {
    let index = u8::try_from(arg.index())
        .ok()
        .filter(|index| *index < 6)
        .ok_or_else(|| SeccompError::Invalid {
            field: format!("{field}.index"),
            reason: format!("{} is not an argument; they are 0 to 5", arg.index()),
        })?;
    let (op, value) = match arg.op() {
        LinuxSeccompOperator::ScmpCmpNe => (Op::Ne, arg.value()),
        LinuxSeccompOperator::ScmpCmpLt => (Op::Lt, arg.value()),
        LinuxSeccompOperator::ScmpCmpLe => (Op::Le, arg.value()),
        LinuxSeccompOperator::ScmpCmpEq => (Op::Eq, arg.value()),
        LinuxSeccompOperator::ScmpCmpGe => (Op::Ge, arg.value()),
        LinuxSeccompOperator::ScmpCmpGt => (Op::Gt, arg.value()),
        LinuxSeccompOperator::ScmpCmpMaskedEq => {
            (Op::MaskedEq(arg.value()), arg.value_two().unwrap_or(0))
        }
    };
    Ok(Condition { index, op, value })
}
