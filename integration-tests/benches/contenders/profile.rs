//! The seccomp profile that podman gives every container.

use serde_json::{Value, json};

/// Where podman has it.
pub const PATH: &str = "/usr/share/containers/seccomp.json";

/// What podman puts into config.json: its profile's rules for a container with the capabilities of
/// the bundles here, on this machine; none where podman is not installed.
pub fn of_podman() -> Option<Value> {
    let text = std::fs::read_to_string(PATH).ok()?;
    let whole: Value = serde_json::from_str(&text).expect("a profile is JSON");
    let has = |list: &Value, ours: &[&str]| {
        let list = list.as_array();
        list.is_some_and(|list| list.iter().any(|one| ours.iter().any(|our| one == our)))
    };
    let given = |value: &Value| value.as_array().is_some_and(|list| !list.is_empty());
    let (capabilities, machines) = (["CAP_AUDIT_WRITE", "CAP_KILL"], ["amd64", "x86"]);
    let applies = |rule: &&Value| {
        let (only, not) = (&rule["includes"], &rule["excludes"]);
        (!given(&only["caps"]) || has(&only["caps"], &capabilities))
            && (!given(&only["arches"]) || has(&only["arches"], &machines))
            && !has(&not["caps"], &capabilities)
            && !has(&not["arches"], &machines)
    };
    let rules = whole["syscalls"].as_array().expect("a profile has rules");
    let rules = rules.iter().filter(applies).map(|rule| {
        let mut rule = rule.clone();
        let fields = rule.as_object_mut().expect("a rule is an object");
        for field in ["includes", "excludes", "comment", "errno"] {
            fields.remove(field);
        }
        fields.retain(|_, value| !value.is_null());
        rule
    });
    Some(json!({
        "defaultAction": whole["defaultAction"],
        "defaultErrnoRet": 38,
        "architectures": ["SCMP_ARCH_X86_64", "SCMP_ARCH_X86", "SCMP_ARCH_X32"],
        "syscalls": rules.collect::<Vec<_>>(),
    }))
}
