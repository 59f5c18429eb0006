//! What of config.json this runtime does. The rest is refused by name: ignoring a request for
//! isolation or a limit would be a lie.
//!
//! Properties that the specification does not know are passed over, as it demands of a runtime.

use std::path::{Component, Path};

use oci_spec::runtime::{Linux, Process, Spec};
use thiserror::Error;

use crate::sandbox::labels::{Modules, UNCONFINED};

/// A part of config.json that cannot be honoured.
#[derive(Debug, Error, PartialEq, Eq)]
#[error("config.json, {field}: {reason}")]
pub struct Unsupported {
    field: &'static str,
    reason: String,
}

fn refuse<T>(field: &'static str, reason: impl Into<String>) -> Result<T, Unsupported> {
    Err(Unsupported {
        field,
        reason: reason.into(),
    })
}

const NOT_DONE: &str = "is not supported; remove it";

/// Annotation of a pod sandbox: containerd's and CRI-O's.
const SANDBOX: [&str; 2] = [
    "io.kubernetes.cri.container-type",
    "io.kubernetes.cri-o.ContainerType",
];

/// What podman's pods wait in: it sets no annotation that says so. (`io.container.manager` is.)
const PODMAN_PAUSES: [&[&str]; 2] = [&["/catatonit", "-P"], &["/pause"]];

/// Whether the bundle is a pod's sandbox: it holds the namespaces and runs nothing.
///
/// Nothing is gained by passing for one: a sandbox executes nothing at all.
pub fn is_sandbox(spec: &Spec) -> bool {
    let says = |name: &str, value: &str| {
        let annotations = spec.annotations().as_ref();
        annotations
            .and_then(|all| all.get(name))
            .map(String::as_str)
            == Some(value)
    };
    let args = spec
        .process()
        .as_ref()
        .and_then(|process| process.args().as_deref());
    let pauses = || {
        PODMAN_PAUSES
            .iter()
            .any(|pause| args.is_some_and(|args| args == *pause))
    };
    SANDBOX.iter().any(|name| says(name, "sandbox"))
        || says("io.container.manager", "libpod") && pauses()
}

/// Checks everything that can be checked without looking at the host.
pub fn check(spec: &Spec) -> Result<(), Unsupported> {
    let version = spec.version();
    if version.split('.').next() != Some("1") {
        return refuse(
            "ociVersion",
            format!("`{version}` is not a version 1 of the specification"),
        );
    }
    for (field, present) in [
        ("solaris", spec.solaris().is_some()),
        ("windows", spec.windows().is_some()),
        ("vm", spec.vm().is_some()),
        ("zos", spec.zos().is_some()),
    ] {
        if present {
            return refuse(field, "is for another platform; remove it");
        }
    }
    // The specification wants a container without one to be created, and not to start.
    if let Some(process) = spec.process() {
        self::process(process, !is_sandbox(spec))?;
    }
    match spec.linux() {
        Some(linux) => self::linux(linux),
        None => refuse(
            "linux",
            "is missing: the container would have no namespaces",
        ),
    }
}

/// What waits where config.json has no process: a user without rights.
pub fn no_process() -> Process {
    let nobody = serde_json::json!({"user": {"uid": 65534, "gid": 65534}, "cwd": "/"});
    serde_json::from_value(nobody).expect("a process needs no more")
}

/// The label for mounts of `linux.mountLabel`. Where the host has no SELinux, it has nothing that it could mean.
pub fn mount_label(linux: &Linux, host: Modules) -> Option<&str> {
    let label = linux.mount_label().as_deref();
    let label = label.filter(|label| !label.is_empty())?;
    if !host.selinux {
        log::warn!("linux.mountLabel `{label}` has no effect: this host has no SELinux");
    }
    host.selinux.then_some(label)
}

/// Checks that the host can confine a process, config.json's or exec's, as it is to be.
pub fn labels(process: &Process, host: Modules) -> Result<(), Unsupported> {
    let profile = process.apparmor_profile().as_deref().unwrap_or_default();
    if !host.apparmor && !matches!(profile, "" | UNCONFINED) {
        return refuse(
            "process.apparmorProfile",
            format!("`{profile}`: this host has no AppArmor; remove it or use {UNCONFINED}"),
        );
    }
    let label = process.selinux_label().as_deref().unwrap_or_default();
    if !host.selinux && !label.is_empty() {
        return refuse(
            "process.selinuxLabel",
            format!("`{label}`: this host has no SELinux; remove it"),
        );
    }
    Ok(())
}

/// Checks what only a container of native programs may have.
pub fn without_native(spec: &Spec) -> Result<(), Unsupported> {
    let hooks = spec.hooks().as_ref();
    let start_container = hooks.and_then(|hooks| hooks.start_container().as_deref());
    match start_container.unwrap_or_default() {
        [] => Ok(()),
        _ => refuse(
            "hooks.startContainer",
            "would run a native program of the image, which this container never does; use \
             createContainer or poststart",
        ),
    }
}

/// Checks a process, config.json's or exec's.
pub fn process(process: &Process, needs_args: bool) -> Result<(), Unsupported> {
    let args = process.args().as_deref().unwrap_or_default();
    if needs_args && args.first().is_none_or(String::is_empty) {
        return refuse("process.args", "must name the program to run");
    }
    for text in args.iter().chain(process.env().iter().flatten()) {
        if text.contains('\0') {
            return refuse("process", "an argument or variable holds a zero byte");
        }
    }
    let cwd = process.cwd();
    if !cwd.is_absolute() || cwd.components().any(|part| part == Component::ParentDir) {
        let cwd = cwd.display();
        return refuse(
            "process.cwd",
            format!("`{cwd}` must be an absolute path without `..`"),
        );
    }
    for (field, present) in [
        ("process.commandLine", process.command_line().is_some()),
        ("process.ioPriority", process.io_priority().is_some()),
        ("process.scheduler", process.scheduler().is_some()),
        (
            "process.execCPUAffinity",
            process.exec_cpu_affinity().is_some(),
        ),
        ("process.user.username", process.user().username().is_some()),
    ] {
        if present {
            return refuse(field, NOT_DONE);
        }
    }
    Ok(())
}

fn linux(linux: &Linux) -> Result<(), Unsupported> {
    let personality = linux.personality().as_ref();
    let flags = personality.and_then(|personality| personality.flags().as_deref());
    for (field, present) in [
        ("linux.intelRdt", linux.intel_rdt().is_some()),
        ("linux.memoryPolicy", linux.memory_policy().is_some()),
        (
            "linux.netDevices",
            linux
                .net_devices()
                .as_ref()
                .is_some_and(|all| !all.is_empty()),
        ),
        (
            "linux.timeOffsets",
            linux
                .time_offsets()
                .as_ref()
                .is_some_and(|all| !all.is_empty()),
        ),
        (
            "linux.personality.flags",
            !flags.unwrap_or_default().is_empty(),
        ),
    ] {
        if present {
            return refuse(field, NOT_DONE);
        }
    }
    let propagation = linux.rootfs_propagation().as_deref().unwrap_or_default();
    if !propagation.is_empty()
        && crate::sandbox::mounts::options::propagation(propagation).is_none()
    {
        return refuse(
            "linux.rootfsPropagation",
            format!("`{propagation}` is not a propagation type"),
        );
    }
    for path in linux
        .masked_paths()
        .iter()
        .chain(linux.readonly_paths())
        .flatten()
    {
        if !Path::new(path).is_absolute() {
            return refuse(
                "linux.maskedPaths or readonlyPaths",
                format!("`{path}` must be absolute"),
            );
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    #[test]
    fn podmans_pause_is_a_sandbox_and_nothing_else_is() {
        let is = |args: &[&str], manager: &str| {
            let mut spec = base();
            spec["process"]["args"] = json!(args);
            spec["annotations"] = json!({"io.container.manager": manager});
            is_sandbox(&serde_json::from_value(spec).unwrap())
        };
        assert!(is(&["/catatonit", "-P"], "libpod"));
        assert!(is(&["/pause"], "libpod"));
        assert!(!is(&["/catatonit", "-P"], "other"));
        assert!(!is(&["/catatonit", "-P", "x"], "libpod"));
        assert!(!is(&["/catatonit"], "libpod"));
        assert!(!is(&["ls"], "libpod"));
    }

    fn base() -> Value {
        json!({
            "ociVersion": "1.0.2-dev",
            "process": {"user": {"uid": 0, "gid": 0}, "args": ["true"], "cwd": "/"},
            "root": {"path": "rootfs"},
            "linux": {"namespaces": [{"type": "mount"}]}
        })
    }

    fn check_with(path: &str, value: Value) -> Result<(), Unsupported> {
        let mut config = base();
        let (parent, name) = path.rsplit_once('/').unwrap();
        config.pointer_mut(parent).unwrap()[name] = value;
        check(&serde_json::from_value(config).unwrap())
    }

    #[test]
    fn what_is_not_done_is_refused_by_its_name() {
        for (path, value, name) in [
            ("/ociVersion", json!("2.0.0"), "ociVersion"),
            ("/vm", json!({"kernel": {"path": "/x"}}), "vm"),
            ("/process/args", json!([]), "process.args"),
            ("/process/args", json!([""]), "process.args"),
            ("/process/args", json!(["a\u{0}b"]), "process"),
            ("/process/cwd", json!("relative"), "process.cwd"),
            ("/process/cwd", json!("/a/../.."), "process.cwd"),
            (
                "/process/scheduler",
                json!({"policy": "SCHED_IDLE"}),
                "process.scheduler",
            ),
            ("/linux/intelRdt", json!({}), "linux.intelRdt"),
            (
                "/linux/personality",
                json!({"domain": "LINUX", "flags": ["ADDR_NO_RANDOMIZE"]}),
                "linux.personality",
            ),
            (
                "/linux/rootfsPropagation",
                json!("upwards"),
                "linux.rootfsPropagation",
            ),
            ("/linux/maskedPaths", json!(["proc/x"]), "maskedPaths"),
            (
                "/linux/timeOffsets",
                json!({"boottime": {"secs": 1}}),
                "linux.timeOffsets",
            ),
        ] {
            let message = check_with(path, value).unwrap_err().to_string();
            assert!(message.contains(name), "{message}");
        }
        let mut config = base();
        config["hooks"] = json!({"startContainer": [{"path": "/x"}]});
        let spec = serde_json::from_value(config).unwrap();
        let message = without_native(&spec).unwrap_err().to_string();
        assert!(message.contains("hooks.startContainer"), "{message}");
    }

    #[test]
    fn a_label_needs_the_module_that_knows_it() {
        let (none, both) = (
            Modules {
                apparmor: false,
                selinux: false,
            },
            Modules {
                apparmor: true,
                selinux: true,
            },
        );
        let mut linux: Linux = serde_json::from_value(json!({"mountLabel": "a:b"})).unwrap();
        assert_eq!(mount_label(&linux, both), Some("a:b"));
        assert_eq!(mount_label(&linux, none), None);
        linux.set_mount_label(Some(String::new()));
        assert_eq!(mount_label(&linux, both), None);
        for (field, value) in [
            ("apparmorProfile", "docker-default"),
            ("selinuxLabel", "a:b"),
        ] {
            let mut process = base()["process"].clone();
            process[field] = json!(value);
            let process = serde_json::from_value(process).unwrap();
            assert_eq!(labels(&process, both), Ok(()));
            let message = labels(&process, none).unwrap_err().to_string();
            assert!(
                message.contains(field) && message.contains(value),
                "{message}"
            );
        }
        let mut process = base()["process"].clone();
        process["apparmorProfile"] = json!(UNCONFINED);
        assert_eq!(
            labels(&serde_json::from_value(process).unwrap(), none),
            Ok(())
        );
    }

    #[test]
    fn values_that_mean_nothing_are_accepted() {
        for (path, value) in [
            ("/process/apparmorProfile", json!("unconfined")),
            ("/process/selinuxLabel", json!("")),
            ("/linux/mountLabel", json!("")),
            ("/linux/personality", json!({"domain": "LINUX"})),
            ("/linux/personality", json!({"domain": "LINUX32"})),
            ("/linux/timeOffsets", json!({})),
            ("/hooks", json!({"startContainer": []})),
            ("/unknownToTheSpecification", json!({"a": 1})),
        ] {
            assert_eq!(check_with(path, value), Ok(()), "{path}");
        }
    }

    #[test]
    fn a_sandbox_needs_no_program() {
        let mut config = base();
        config["annotations"] = json!({"io.kubernetes.cri.container-type": "sandbox"});
        config["process"]["args"] = json!([]);
        let spec: Spec = serde_json::from_value(config).unwrap();
        assert!(is_sandbox(&spec));
        assert_eq!(check(&spec), Ok(()));
    }
}
