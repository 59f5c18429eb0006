//! `linux.sysctl`: only those that belong to a namespace of the container's own.

use std::collections::HashMap;

use thiserror::Error;

use super::namespaces::Namespaces;
use crate::failure::{Doing, Failure};

/// A sysctl that may not be set.
#[derive(Debug, Error, PartialEq, Eq)]
#[error("config.json, linux.sysctl `{name}`: {reason}")]
pub struct SysctlError {
    name: String,
    reason: &'static str,
}

const IPC: [&str; 8] = [
    "kernel.msgmax",
    "kernel.msgmnb",
    "kernel.msgmni",
    "kernel.sem",
    "kernel.shmall",
    "kernel.shmmax",
    "kernel.shmmni",
    "kernel.shm_rmid_forced",
];

/// Checks each against the namespaces, sorted by name. Names may have dots or slashes.
pub fn check(
    config: &HashMap<String, String>,
    namespaces: &Namespaces,
) -> Result<Vec<(String, String)>, SysctlError> {
    let mut out = Vec::new();
    for (name, value) in config {
        let wrong = |reason| {
            Err(SysctlError {
                name: name.escape_debug().to_string(),
                reason,
            })
        };
        // An interface's name may hold dots, where the rest has slashes.
        let path = match name.find(['.', '/']).map(|at| name.as_bytes()[at]) {
            Some(b'/') => name.clone(),
            _ => name.replace('.', "/"),
        };
        if path
            .split('/')
            .any(|part| part.is_empty() || part == "." || part == "..")
        {
            return wrong("is not the name of a kernel setting");
        }
        let dotted = path.replace('/', ".");
        let (needed, missing) = if IPC.contains(&dotted.as_str()) || path.starts_with("fs/mqueue/")
        {
            (
                libc::CLONE_NEWIPC,
                "needs an ipc namespace of the container's own",
            )
        } else if path.starts_with("net/") {
            (
                libc::CLONE_NEWNET,
                "needs a network namespace of the container's own",
            )
        } else if dotted == "kernel.domainname" {
            (
                libc::CLONE_NEWUTS,
                "needs a uts namespace of the container's own",
            )
        } else {
            return wrong("belongs to the host, not to a namespace; remove it");
        };
        if !namespaces.separates(needed) {
            return wrong(missing);
        }
        out.push((path, value.clone()));
    }
    out.sort();
    Ok(out)
}

/// Writes them through the host's procfs, from inside the container's namespaces.
pub fn write(settings: &[(String, String)]) -> Result<(), Failure> {
    for (path, value) in settings {
        std::fs::write(format!("/proc/sys/{path}"), value)
            .doing(|| format!("setting linux.sysctl `{path}` to `{value}`"))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check_one(name: &str, namespaces: u32) -> Result<String, SysctlError> {
        let config = HashMap::from([(name.to_owned(), "1".to_owned())]);
        let namespaces = Namespaces {
            new: namespaces,
            join: vec![],
        };
        check(&config, &namespaces).map(|out| out[0].0.clone())
    }

    #[test]
    fn only_with_a_namespace_of_its_own() {
        let (ipc, net) = (libc::CLONE_NEWIPC as u32, libc::CLONE_NEWNET as u32);
        assert_eq!(
            check_one("net.ipv4.ip_forward", net).unwrap(),
            "net/ipv4/ip_forward"
        );
        assert!(check_one("net.ipv4.ip_forward", ipc).is_err());
        assert_eq!(check_one("kernel.shmmax", ipc).unwrap(), "kernel/shmmax");
        assert_eq!(
            check_one("net/ipv4/conf/eth0.1/rp_filter", net).unwrap(),
            "net/ipv4/conf/eth0.1/rp_filter"
        );
    }

    #[test]
    fn nothing_of_the_hosts_and_nothing_outside() {
        for name in [
            "kernel.core_pattern",
            "vm.overcommit_memory",
            "fs.file-max",
            "",
            "net/../kernel/x",
            "net//x",
        ] {
            assert!(check_one(name, u32::MAX).is_err(), "{name}");
        }
    }
}
