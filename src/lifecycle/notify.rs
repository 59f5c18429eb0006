//! Telling the service manager that a container is ready (sd_notify(3)), as crun does it: with
//! `NOTIFY_SOCKET` in the runtime's environment, `create` shows the container a directory at that
//! path and names a socket in it, and `start` and `run` listen there and pass on that it is ready.
//!
//! Nothing else is passed on: what a container says of processes is in its own numbers.

use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};

use oci_spec::runtime::{Mount, MountBuilder, Process, Spec};
use rustix::event::{PollFd, PollFlags};
use rustix::fs::{AtFlags, Mode, OFlags};
use rustix::io::Errno;

use crate::container::ContainerDir;
use crate::failure::{Doing, Failure};

/// By which a service manager says where it listens.
const VARIABLE: &str = "NOTIFY_SOCKET";
/// The directory in the container's state that the container sees, and the socket in it.
const DIR: &str = "notify";
const SOCKET: &str = "notify";
/// What is passed on.
const READY: &[u8] = b"READY=1";
/// Longer messages are cut, which only their last line suffers from.
const LONGEST: usize = 4096;

/// How many messages are read before anything else gets its turn.
const AT_ONCE: usize = 16;

/// Where the service manager listens.
pub fn manager() -> Option<PathBuf> {
    let socket = PathBuf::from(std::env::var_os(VARIABLE)?);
    if socket.as_os_str().is_empty() {
        return None;
    }
    if !socket.is_absolute() {
        let socket = socket.display();
        log::warn!("{VARIABLE} `{socket}` is no path: the container cannot say that it is ready");
        return None;
    }
    Some(socket)
}

/// Makes the directory for a new container and has it mounted where the manager's socket is.
pub fn show(manager: &Path, dir: &ContainerDir, spec: &mut Spec) -> Result<(), Failure> {
    let doing = || "making the directory of the container's notify socket";
    rustix::fs::mkdirat(dir.for_more(), DIR, Mode::from_raw_mode(0o755)).doing(doing)?;
    // Nothing can be written there: it is memory of the host.
    let options = ["bind", "rprivate", "nosuid", "nodev", "noexec", "ro"];
    let mount: Mount = MountBuilder::default()
        .destination(manager)
        .typ("bind")
        .source(dir.path().join(DIR))
        .options(options.map(str::to_owned))
        .build()
        .expect("all that it needs is given");
    let mut mounts = spec.mounts().clone().unwrap_or_default();
    mounts.push(mount);
    spec.set_mounts(Some(mounts));
    Ok(())
}

/// Tells the process where to say it, in place of what it may have been told.
pub fn tell(manager: &Path, process: &mut Process) {
    let mut env = process.env().clone().unwrap_or_default();
    env.retain(|variable| variable.split('=').next() != Some(VARIABLE));
    env.push(format!("{VARIABLE}={}", manager.join(SOCKET).display()));
    process.set_env(Some(env));
}

/// Where a container says that it is ready, and who is to hear of it.
pub struct Readiness {
    socket: UnixDatagram,
    manager: PathBuf,
}

impl Readiness {
    /// Listens, where a manager does and the container was shown where to say it.
    pub fn listen(dir: &ContainerDir) -> Result<Option<Self>, Failure> {
        let doing = || "listening at the container's notify socket";
        let Some(manager) = manager() else {
            return Ok(None);
        };
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let inside = match rustix::fs::openat(dir.for_more(), DIR, flags, Mode::empty()) {
            Err(Errno::NOENT) => return Ok(None),
            opened => opened.doing(doing)?,
        };
        match rustix::fs::unlinkat(&inside, SOCKET, AtFlags::empty()) {
            Ok(()) | Err(Errno::NOENT) => {}
            Err(error) => return Err(Failure::new(doing(), error)),
        }
        // By the directory's descriptor: the whole path may be longer than a socket's can be.
        let path = format!("/proc/self/fd/{}/{SOCKET}", inside.as_raw_fd());
        let socket = UnixDatagram::bind(path).doing(doing)?;
        socket.set_nonblocking(true).doing(doing)?;
        // Whatever user the container's process is.
        rustix::fs::chmodat(
            &inside,
            SOCKET,
            Mode::from_raw_mode(0o777),
            AtFlags::empty(),
        )
        .doing(doing)?;
        Ok(Some(Self { socket, manager }))
    }

    /// Waits until the container has said so or has ended.
    pub fn wait(self, container: &OwnedFd) -> Result<(), Failure> {
        loop {
            let mut ready = [
                PollFd::new(&self.socket, PollFlags::IN),
                PollFd::new(container, PollFlags::IN),
            ];
            match rustix::event::poll(&mut ready, None) {
                Ok(_) | Err(Errno::INTR) => {}
                Err(error) => return Err(Failure::new("waiting for READY=1", error)),
            }
            let ended = !ready[1].revents().is_empty();
            // Also what it said last.
            if self.pass_on() || ended {
                return Ok(());
            }
        }
    }

    /// Reads what has been said. Returns whether the container is ready, which has been passed on.
    pub fn pass_on(&self) -> bool {
        let mut message = [0; LONGEST];
        // No more at once: a container may say more than anybody can read.
        for _ in 0..AT_ONCE {
            let Ok(length) = self.socket.recv(&mut message) else {
                return false;
            };
            if !is_ready(&message[..length]) {
                continue;
            }
            let told = UnixDatagram::unbound().and_then(|own| own.send_to(READY, &self.manager));
            if let Err(error) = told {
                let manager = self.manager.display();
                log::warn!("telling `{manager}` that the container is ready: {error}");
            }
            return true;
        }
        false
    }
}

impl AsFd for Readiness {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

fn is_ready(message: &[u8]) -> bool {
    message
        .split(|byte| *byte == b'\n')
        .any(|line| line == READY)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_line_that_says_so_is_ready() {
        for ready in ["READY=1", "READY=1\n", "STATUS=up\nREADY=1\nMAINPID=7"] {
            assert!(is_ready(ready.as_bytes()), "{ready}");
        }
        for other in [
            "",
            "\n",
            "READY=0",
            "READY=12",
            " READY=1",
            "STATUS=READY=1",
        ] {
            assert!(!is_ready(other.as_bytes()), "{other}");
        }
    }

    #[test]
    fn the_process_is_told_of_its_own_socket_alone() {
        let process = serde_json::json!({
            "user": {"uid": 0, "gid": 0}, "cwd": "/",
            "env": ["NOTIFY_SOCKET=/host", "NOTIFY_SOCKETS=x"],
        });
        let mut process: Process = serde_json::from_value(process).unwrap();
        tell(Path::new("/run/socket"), &mut process);
        let env = process.env().clone().unwrap();
        assert_eq!(
            env,
            ["NOTIFY_SOCKETS=x", "NOTIFY_SOCKET=/run/socket/notify"]
        );
    }
}
