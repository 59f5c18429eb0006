//! config.json of a bundle, as `runc spec` would write it, with the process of the caller.

use megabinary::manifest::Manifest;
use serde_json::{Value, json};

/// What the container's first process is.
#[derive(Debug, Clone)]
pub struct Process {
    /// Path and arguments.
    pub args: Vec<String>,
    /// `NAME=value`, added to PATH and TERM.
    pub env: Vec<String>,
    /// Working directory.
    pub cwd: String,
    /// Whether it gets a terminal.
    pub terminal: bool,
    /// Whether the root file system can be written to.
    pub writable: bool,
}

/// Folders that the mounts of the configuration need in the root file system.
pub(super) const MOUNT_POINTS: &[&str] = &["/proc", "/dev", "/sys"];

const MASKED: &[&str] = &[
    "/proc/acpi",
    "/proc/asound",
    "/proc/kcore",
    "/proc/keys",
    "/proc/latency_stats",
    "/proc/timer_list",
    "/proc/timer_stats",
    "/proc/sched_debug",
    "/sys/firmware",
    "/proc/scsi",
];

const READONLY: &[&str] = &[
    "/proc/bus",
    "/proc/fs",
    "/proc/irq",
    "/proc/sys",
    "/proc/sysrq-trigger",
];

/// Where programs without a `/` are looked for.
pub const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// The bytes of config.json.
pub(super) fn config(process: &Process, manifest: &Manifest) -> Vec<u8> {
    let name = manifest
        .name
        .as_ref()
        .map_or("megarun", |name| name.as_str());
    // A host name has no `/`; container names may.
    let hostname: String = name
        .chars()
        .map(|c| if c == '/' || c == '_' { '-' } else { c })
        .collect();
    let config = json!({
        "ociVersion": "1.2.0",
        "process": self::process(process),
        "root": { "path": "rootfs", "readonly": !process.writable },
        "hostname": hostname.chars().take(63).collect::<String>(),
        "mounts": mounts(),
        "linux": {
            "resources": { "devices": [{ "allow": false, "access": "rwm" }] },
            "namespaces": [
                { "type": "pid" },
                { "type": "network" },
                { "type": "ipc" },
                { "type": "uts" },
                { "type": "mount" },
                { "type": "cgroup" },
            ],
            "maskedPaths": MASKED,
            "readonlyPaths": READONLY,
        },
    });
    let mut bytes = serde_json::to_vec_pretty(&config).expect("a JSON value has a text");
    bytes.push(b'\n');
    bytes
}

fn process(process: &Process) -> Value {
    let capabilities = ["CAP_AUDIT_WRITE", "CAP_KILL", "CAP_NET_BIND_SERVICE"];
    json!({
        "terminal": process.terminal,
        "user": { "uid": 0, "gid": 0 },
        "args": process.args,
        "env": environment(&process.env),
        "cwd": process.cwd,
        "capabilities": {
            "bounding": capabilities,
            "effective": capabilities,
            "permitted": capabilities,
        },
        "rlimits": [{ "type": "RLIMIT_NOFILE", "hard": 1024, "soft": 1024 }],
        "noNewPrivileges": true,
    })
}

/// The default environment with the caller's in its place where names are equal.
fn environment(own: &[String]) -> Vec<String> {
    let name = |variable: &str| variable.split('=').next().map(str::to_owned);
    let kept = |variable: &String| own.iter().all(|o| name(o) != name(variable));
    let defaults = [format!("PATH={PATH}"), "TERM=xterm".to_owned()];
    defaults
        .into_iter()
        .filter(kept)
        .chain(own.iter().cloned())
        .collect()
}

fn mounts() -> Value {
    json!([
        { "destination": "/proc", "type": "proc", "source": "proc" },
        {
            "destination": "/dev", "type": "tmpfs", "source": "tmpfs",
            "options": ["nosuid", "strictatime", "mode=755", "size=65536k"],
        },
        {
            "destination": "/dev/pts", "type": "devpts", "source": "devpts",
            "options": ["nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620", "gid=5"],
        },
        {
            "destination": "/dev/shm", "type": "tmpfs", "source": "shm",
            "options": ["nosuid", "noexec", "nodev", "mode=1777", "size=65536k"],
        },
        {
            "destination": "/dev/mqueue", "type": "mqueue", "source": "mqueue",
            "options": ["nosuid", "noexec", "nodev"],
        },
        {
            "destination": "/sys", "type": "sysfs", "source": "sysfs",
            "options": ["nosuid", "noexec", "nodev", "ro"],
        },
        {
            "destination": "/sys/fs/cgroup", "type": "cgroup", "source": "cgroup",
            "options": ["nosuid", "noexec", "nodev", "relatime", "ro"],
        },
    ])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_callers_environment_wins() {
        let env = environment(&["TERM=dumb".into(), "A=b=c".into()]);
        assert_eq!(env, [&format!("PATH={PATH}"), "TERM=dumb", "A=b=c"]);
    }
}
