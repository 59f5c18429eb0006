//! What a recipe's author would regret, said while the container is built.

use megabinary::capability::{self, HostCall, SyscallSet};
use megabinary::manifest::{ExecPolicy, GlobalPolicies, Overrides};
use megabinary::names::BinaryPath;

use super::modules::Program;

/// How many names a warning lists.
const SHOWN: usize = 5;

/// Where the rights that `place` has do not fit what its program imports. `given` is what the
/// recipe says of it.
pub(super) fn rights(
    place: &str,
    policies: &GlobalPolicies,
    overrides: &Overrides,
    given: &Option<SyscallSet>,
    program: &Program,
) -> Vec<String> {
    let mut warnings = Vec::new();
    if let Some(given) = given {
        let more = given.difference(program.needed);
        if !more.is_empty() {
            warnings.push(format!(
                "{place} has rights that it cannot use: {}",
                list(&more)
            ));
        }
        warnings.extend(denied(place, policies, given, program));
    }
    if !overrides.exec.is_empty() && policies.exec == ExecPolicy::Any {
        warnings.push(format!(
            "{place}: `exec` binds nothing while policies.exec is \"any\"; set it to \"listed\""
        ));
    }
    warnings
}

/// The imported functions that nothing permits, in any use.
fn denied(
    place: &str,
    policies: &GlobalPolicies,
    given: &SyscallSet,
    program: &Program,
) -> Option<String> {
    let permitted = capability::permitted(&policies.default_syscalls.union(*given));
    let denied: Vec<&(String, String)> = program
        .imports
        .iter()
        .filter(|(module, function)| {
            HostCall::from_import(module, function)
                .is_some_and(|calls| !calls.iter().any(|call| permitted.contains(call)))
        })
        .collect();
    if denied.is_empty() {
        return None;
    }
    let names: Vec<&str> = denied.iter().map(|(_, name)| name.as_str()).collect();
    let missing = denied
        .iter()
        .filter_map(|(module, function)| capability::needed(module, function))
        .fold(SyscallSet::EMPTY, SyscallSet::union);
    Some(format!(
        "{place} imports what its rights never permit, and gets errors where it calls it: {} \
         (`syscalls` that permit it: {})",
        some(&names),
        list(&missing)
    ))
}

/// Where the defaults give a program more than it can use.
pub(super) fn defaults<'a>(
    policies: &GlobalPolicies,
    binaries: impl Iterator<Item = (&'a BinaryPath, &'a Overrides)>,
) -> Vec<String> {
    binaries
        .filter_map(|(path, overrides)| {
            let more = policies.default_syscalls.difference(overrides.syscalls);
            (!more.is_empty()).then(|| {
                format!(
                    "policies.default_syscalls gives {path} more than it needs: {}",
                    list(&more)
                )
            })
        })
        .collect()
}

/// Executable files of the root file system that the manifest does not know.
pub(super) fn unknown_executables(paths: &[String]) -> Option<String> {
    let names: Vec<&str> = paths.iter().map(String::as_str).collect();
    (!names.is_empty()).then(|| {
        format!(
            "executable, but in no [[binary]], so that executing it is refused: {} (a script is a \
             [[binary]] with `file` and `interpreter`)",
            some(&names)
        )
    })
}

/// The first few of many names.
fn some(names: &[&str]) -> String {
    let shown = names[..names.len().min(SHOWN)].join(", ");
    match names.len().saturating_sub(SHOWN) {
        0 => shown,
        more => format!("{shown} and {more} more"),
    }
}

/// Names of a set, for messages.
fn list(set: &SyscallSet) -> String {
    set.iter().map(|s| s.name()).collect::<Vec<_>>().join(", ")
}
