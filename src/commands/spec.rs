//! `megarun spec`.

use std::path::Path;

use serde_json::{Value, json};

use super::CommandError;
use crate::cli::SpecArgs;
use crate::failure::Doing;

/// Writes a config.json; one that is there stays.
pub fn run(args: &SpecArgs) -> Result<(), CommandError> {
    let path = args
        .bundle
        .join(args.file.as_deref().unwrap_or(Path::new("config.json")));
    let mut document = document();
    if args.rootless {
        for_ordinary_users(&mut document);
    }
    let text = serde_json::to_string_pretty(&document).expect("a JSON value has a text") + "\n";
    let mut file = std::fs::File::create_new(&path)
        .doing(|| format!("making `{}`, which must not exist", path.display()))?;
    std::io::Write::write_all(&mut file, text.as_bytes())
        .doing(|| format!("writing `{}`", path.display()))?;
    Ok(())
}

/// What a user other than root may have: themselves as root of a user namespace, the host's
/// network, no cgroups.
fn for_ordinary_users(document: &mut Value) {
    let mapping = |host: u32| json!([{"containerID": 0, "hostID": host, "size": 1}]);
    let linux = &mut document["linux"];
    linux["uidMappings"] = mapping(rustix::process::geteuid().as_raw());
    linux["gidMappings"] = mapping(rustix::process::getegid().as_raw());
    linux["resources"] = json!({});
    if let Some(namespaces) = linux["namespaces"].as_array_mut() {
        namespaces
            .retain(|namespace| !matches!(namespace["type"].as_str(), Some("network" | "cgroup")));
        namespaces.push(json!({"type": "user"}));
    }
    if let Some(mounts) = document["mounts"].as_array_mut() {
        mounts.retain(|mount| mount["type"] != "cgroup");
        for mount in mounts {
            match mount["type"].as_str() {
                // Neither a group that is not mapped nor a sysfs of another's network.
                Some("devpts") => {
                    mount["options"] = json!([
                        "nosuid",
                        "noexec",
                        "newinstance",
                        "ptmxmode=0666",
                        "mode=0620"
                    ])
                }
                Some("sysfs") => {
                    mount["type"] = json!("none");
                    mount["source"] = json!("/sys");
                    mount["options"] = json!(["rbind", "nosuid", "noexec", "nodev", "ro"]);
                }
                _ => {}
            }
        }
    }
}

/// A container with namespaces and mounts of its own and few capabilities: what crun and runc
/// write.
fn document() -> Value {
    let capabilities = json!(["CAP_AUDIT_WRITE", "CAP_KILL", "CAP_NET_BIND_SERVICE"]);
    let mount = |destination: &str, kind: &str, source: &str, options: &[&str]| json!({"destination": destination, "type": kind, "source": source, "options": options});
    json!({
        "ociVersion": "1.0.2",
        "process": {
            "terminal": true,
            "user": {"uid": 0, "gid": 0},
            "args": ["sh"],
            "env": [
                "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "TERM=xterm"
            ],
            "cwd": "/",
            "capabilities": {
                "bounding": capabilities, "effective": capabilities, "permitted": capabilities,
                "ambient": capabilities
            },
            "rlimits": [{"type": "RLIMIT_NOFILE", "hard": 1024, "soft": 1024}],
            "noNewPrivileges": true
        },
        "root": {"path": "rootfs", "readonly": true},
        "hostname": "megarun",
        "mounts": [
            {"destination": "/proc", "type": "proc", "source": "proc"},
            mount("/dev", "tmpfs", "tmpfs", &["nosuid", "strictatime", "mode=755", "size=65536k"]),
            mount("/dev/pts", "devpts", "devpts",
                &["nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620", "gid=5"]),
            mount("/dev/shm", "tmpfs", "shm",
                &["nosuid", "noexec", "nodev", "mode=1777", "size=65536k"]),
            mount("/dev/mqueue", "mqueue", "mqueue", &["nosuid", "noexec", "nodev"]),
            mount("/sys", "sysfs", "sysfs", &["nosuid", "noexec", "nodev", "ro"]),
            mount("/sys/fs/cgroup", "cgroup", "cgroup",
                &["nosuid", "noexec", "nodev", "relatime", "ro"])
        ],
        "linux": {
            "resources": {"devices": [{"allow": false, "access": "rwm"}]},
            "namespaces": [
                {"type": "pid"}, {"type": "network"}, {"type": "ipc"}, {"type": "uts"},
                {"type": "mount"}
            ],
            "maskedPaths": [
                "/proc/acpi", "/proc/asound", "/proc/kcore", "/proc/keys", "/proc/latency_stats",
                "/proc/timer_list", "/proc/timer_stats", "/proc/sched_debug", "/sys/firmware",
                "/proc/scsi"
            ],
            "readonlyPaths": [
                "/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"
            ]
        }
    })
}

#[cfg(test)]
mod tests {
    use crate::lifecycle::plan::Plan;
    use crate::sandbox::cgroup::Manager;

    #[test]
    fn what_it_writes_is_what_create_accepts() {
        let spec = serde_json::from_value(super::document()).unwrap();
        Plan::new(&spec, &"c1".parse().unwrap(), Manager::Nobody).unwrap();
        let mut document = super::document();
        super::for_ordinary_users(&mut document);
        let spec = serde_json::from_value(document).unwrap();
        Plan::new(&spec, &"c1".parse().unwrap(), Manager::Nobody).unwrap();
    }
}
