//! What whoever starts the runtime hands the container's process through it: the descriptors of
//! `--preserve-fds` and of socket activation (sd_listen_fds(3)), as crun and runc pass them on.

use std::os::fd::RawFd;

use oci_spec::runtime::Process;

use crate::failure::Failure;
use crate::sys::fds;

/// No more are handed on, whatever is said.
const MOST: u32 = 1024;

/// See the module.
#[derive(Debug, Default)]
pub struct Inherited {
    /// Their numbers, which stay theirs.
    pub descriptors: Vec<RawFd>,
    /// `NAME=value`, by which the process is told of those of socket activation.
    variables: Vec<String>,
}

impl Inherited {
    /// Finds them: those of socket activation come first, then `preserve` further ones. To be
    /// called before anything is opened, which would take one of their numbers. Those that are not
    /// open are left out: podman counts some twice.
    pub fn take(preserve: u32) -> Result<Self, Failure> {
        let variable = |name: &str| std::env::var(name).ok();
        let listen = variable("LISTEN_FDS").and_then(|count| count.parse().ok());
        let listen = listen.filter(|count| (1..=MOST).contains(count));
        let count = preserve.saturating_add(listen.unwrap_or(0)).min(2 * MOST);
        Ok(Self {
            descriptors: fds::reserve(count)?,
            variables: listen.map_or_else(Vec::new, |count| {
                listening(count, variable("LISTEN_FDNAMES"))
            }),
        })
    }

    /// Tells the process, unless it has been told.
    pub fn tell(&self, process: &mut Process) {
        let mut env = process.env().clone().unwrap_or_default();
        let before = env.len();
        for variable in &self.variables {
            let name = variable.split_inclusive('=').next().unwrap_or_default();
            if !env[..before].iter().any(|known| known.starts_with(name)) {
                env.push(variable.clone());
            }
        }
        if env.len() > before {
            process.set_env(Some(env));
        }
    }
}

/// The variables of sd_listen_fds(3), to process 1.
fn listening(count: u32, names: Option<String>) -> Vec<String> {
    let names = names.map(|names| format!("LISTEN_FDNAMES={names}"));
    [format!("LISTEN_FDS={count}"), "LISTEN_PID=1".to_owned()]
        .into_iter()
        .chain(names)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_is_told_what_it_has_not_been_told() {
        let process = serde_json::json!({
            "user": {"uid": 0, "gid": 0}, "cwd": "/", "env": ["A=1", "LISTEN_PID=7"],
        });
        let mut process: Process = serde_json::from_value(process).unwrap();
        let inherited = Inherited {
            descriptors: vec![3, 4],
            variables: listening(2, Some("web:admin".to_owned())),
        };
        inherited.tell(&mut process);
        let env = process.env().clone().unwrap();
        assert_eq!(
            env,
            [
                "A=1",
                "LISTEN_PID=7",
                "LISTEN_FDS=2",
                "LISTEN_FDNAMES=web:admin"
            ]
        );
        let before = process.clone();
        Inherited::default().tell(&mut process);
        assert_eq!(process, before);
    }
}
