//! `megarun features`: the OCI features document.

use serde_json::{Value, json};

use super::{CommandError, print_json};
use crate::sandbox::mounts::options;

/// Prints what this runtime supports.
pub fn run() -> Result<(), CommandError> {
    Ok(print_json(&document())?)
}

fn document() -> Value {
    let (vital, spare) = crate::seccomp::wall::needed();
    json!({
        "ociVersionMin": "1.0.0",
        "ociVersionMax": "1.2.0",
        "hooks": ["prestart", "createRuntime", "createContainer", "poststart", "poststop"],
        "mountOptions": options::names(),
        "linux": {
            "namespaces": ["cgroup", "ipc", "mount", "network", "pid", "user", "uts"],
            "capabilities": crate::sandbox::capabilities::names(),
            "cgroup": {"v1": true, "v2": true, "systemd": true, "systemdUser": true, "rdma": false},
            "seccomp": {
                "enabled": true,
                "actions": [
                    "SCMP_ACT_ALLOW", "SCMP_ACT_ERRNO", "SCMP_ACT_KILL", "SCMP_ACT_KILL_PROCESS",
                    "SCMP_ACT_KILL_THREAD", "SCMP_ACT_LOG", "SCMP_ACT_TRAP"
                ],
                "operators": [
                    "SCMP_CMP_EQ", "SCMP_CMP_GE", "SCMP_CMP_GT", "SCMP_CMP_LE", "SCMP_CMP_LT",
                    "SCMP_CMP_MASKED_EQ", "SCMP_CMP_NE"
                ]
            },
            "apparmor": {"enabled": true},
            "selinux": {"enabled": true},
            "intelRdt": {"enabled": false},
            "mountExtensions": {"idmap": {"enabled": true}}
        },
        "annotations": {
            "dev.megarun.version": env!("CARGO_PKG_VERSION"),
            "dev.megarun.vkernel": megabinary::VKERNEL_VERSION,
            // What a seccomp profile must let through, and what it may deny but not kill for.
            "dev.megarun.seccomp.needed": vital.join(","),
            "dev.megarun.seccomp.notKilled": spare.join(",")
        }
    })
}

#[cfg(test)]
mod tests {
    use oci_spec::runtime::Features;

    #[test]
    fn the_document_is_the_specifications() {
        let features: Features = serde_json::from_value(super::document()).unwrap();
        let linux = features.linux().as_ref().unwrap();
        assert_eq!(linux.namespaces().as_ref().unwrap().len(), 7);
        assert_eq!(linux.capabilities().as_ref().unwrap().len(), 41);
        assert!(
            features
                .mount_options()
                .as_ref()
                .unwrap()
                .iter()
                .any(|name| name == "rbind")
        );
    }
}
