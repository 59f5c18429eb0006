//! The connection to systemd: over a bus, or straight to it where there is none.

use std::collections::VecDeque;
use std::io::{BufRead, Read, Write};
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixStream};
use std::path::PathBuf;
use std::time::Duration;

use thiserror::Error;

use super::wire::{self, Argument, Malformed, Received, Target};
use crate::failure::{Doing, Failure};

/// systemd answers in milliseconds, or never.
const PATIENCE: Duration = Duration::from_secs(30);
/// Signals that nobody waits for are forgotten beyond this.
const MOST_SIGNALS: usize = 1024;

const SYSTEM_BUS: &str = "unix:path=/run/dbus/system_bus_socket";
/// Where systemd itself listens, for root alone.
const SYSTEMD: &str = "unix:path=/run/systemd/private";

const BUS: Target = Target {
    destination: Some("org.freedesktop.DBus"),
    path: "/org/freedesktop/DBus",
    interface: "org.freedesktop.DBus",
};
const MANAGER: &str = "org.freedesktop.systemd1.Manager";
const JOB_REMOVED: &str =
    "type='signal',interface='org.freedesktop.systemd1.Manager',member='JobRemoved'";

/// Why systemd did not do what it was asked for.
#[derive(Debug, Error)]
pub enum BusError {
    /// No socket answers.
    #[error(
        "--systemd-cgroup: no systemd answers at {0}; without systemd have the engine use cgroupfs \
         (podman: --cgroup-manager=cgroupfs; containerd: SystemdCgroup = false)"
    )]
    Nobody(String),
    /// The bus does not let this user in.
    #[error("--systemd-cgroup: the bus refused this user: {0}")]
    Refused(String),
    /// systemd answered with an error.
    #[error("systemd refused {member}: {text} ({name})")]
    Answered {
        /// What it was asked for.
        member: &'static str,
        /// The error's name.
        name: String,
        /// Its words.
        text: String,
    },
    /// A job did not end as it should.
    #[error(
        "systemd's job for `{unit}` ended with `{result}`; `systemctl status {unit}` may say why"
    )]
    Job {
        /// The unit.
        unit: String,
        /// What came of it.
        result: String,
    },
    /// The scope is there, but its process is not in it.
    #[error(
        "systemd made `{0}`, but put no process into a cgroup of that name that is mounted here; \
         is /sys/fs/cgroup the host's?"
    )]
    Elsewhere(String),
    /// It is no bus.
    #[error(transparent)]
    Malformed(#[from] Malformed),
    /// The system refused.
    #[error(transparent)]
    System(#[from] Failure),
}

impl BusError {
    /// Whether it is the error of this name.
    pub fn is(&self, wanted: &str) -> bool {
        matches!(self, Self::Answered { name, .. } if name.ends_with(wanted))
    }
}

/// Whose systemd.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub enum Whose {
    /// The machine's.
    System,
    /// The user's own.
    User,
}

impl Whose {
    /// Root's is the machine's. Root of a user namespace is a user.
    pub fn own() -> Self {
        match vkernel::identity::is_host_root() {
            true => Self::System,
            false => Self::User,
        }
    }

    /// Where to look for it, in order.
    fn addresses(self) -> Vec<String> {
        let variable = |name: &str| std::env::var(name).ok().filter(|text| !text.is_empty());
        match self {
            Self::System => match variable("DBUS_SYSTEM_BUS_ADDRESS") {
                Some(address) => vec![address],
                // Straight to it: that needs no other program.
                None => vec![SYSTEMD.to_owned(), SYSTEM_BUS.to_owned()],
            },
            Self::User => {
                // The session's own address, or where it always is.
                let session = variable("DBUS_SESSION_BUS_ADDRESS");
                let runtime = variable("XDG_RUNTIME_DIR");
                let user = rustix::process::geteuid().as_raw();
                let runtime = runtime.unwrap_or_else(|| format!("/run/user/{user}"));
                let known = ["systemd/private", "bus"];
                let known = known.map(|name| format!("unix:path={runtime}/{name}"));
                session.into_iter().chain(known).collect()
            }
        }
    }
}

/// A connection.
pub struct Bus {
    socket: UnixStream,
    serial: u32,
    /// Straight to systemd, with no bus between.
    direct: bool,
    signals: VecDeque<Received>,
}

impl Bus {
    /// Connects, and asks to be told of jobs that end.
    pub fn connect(whose: Whose) -> Result<Self, BusError> {
        let addresses = whose.addresses();
        let opened = addresses.iter().find_map(|address| {
            let socket = open(address)?;
            Some((socket, address.ends_with("systemd/private")))
        });
        let (socket, direct) = opened.ok_or_else(|| BusError::Nobody(addresses.join(", ")))?;
        let mut bus = Self {
            socket,
            serial: 0,
            direct,
            signals: VecDeque::new(),
        };
        bus.authenticate()?;
        if !direct {
            bus.call(BUS, "Hello", &[])?;
            bus.call(BUS, "AddMatch", &[Argument::Text(JOB_REMOVED)])?;
            bus.manager("Subscribe", &[])?;
        }
        Ok(bus)
    }

    /// As who the socket's other end sees: in a user namespace this process does not know.
    fn authenticate(&mut self) -> Result<(), BusError> {
        let doing = || "introducing itself to the bus";
        for direction in [UnixStream::set_read_timeout, UnixStream::set_write_timeout] {
            direction(&self.socket, Some(PATIENCE)).doing(doing)?;
        }
        // All at once, as systemd's own clients: one that says BEGIN later, and goes on at once, may
        // not be heard before it says something else.
        let greeting = b"\0AUTH EXTERNAL\r\nDATA\r\nBEGIN\r\n";
        self.socket.write_all(greeting).doing(doing)?;
        // Nothing follows these lines before this side has called.
        let mut lines = std::io::BufReader::with_capacity(512, &self.socket);
        loop {
            let mut line = String::new();
            (&mut lines).take(512).read_line(&mut line).doing(doing)?;
            match line.split_whitespace().next() {
                Some("DATA") => {}
                Some("OK") => break,
                _ => return Err(BusError::Refused(line.trim().to_owned())),
            }
        }
        Ok(())
    }

    /// Calls systemd's manager.
    pub fn manager(
        &mut self,
        member: &'static str,
        arguments: &[Argument<'_>],
    ) -> Result<Received, BusError> {
        let target = Target {
            destination: (!self.direct).then_some("org.freedesktop.systemd1"),
            path: "/org/freedesktop/systemd1",
            interface: MANAGER,
        };
        self.call(target, member, arguments)
    }

    /// Calls the manager for a job of `unit`'s, and waits for the job's end.
    pub fn job(
        &mut self,
        member: &'static str,
        unit: &str,
        arguments: &[Argument<'_>],
    ) -> Result<(), BusError> {
        let answer = self.manager(member, arguments)?;
        let job = answer
            .texts()?
            .first()
            .copied()
            .ok_or(Malformed)?
            .to_owned();
        loop {
            let signal = match self.signals.pop_front() {
                Some(signal) => signal,
                None => self.receive(member)?,
            };
            match signal.texts()?[..] {
                [of, _, result] if signal.member == "JobRemoved" && of == job => {
                    return match result {
                        "done" => Ok(()),
                        result => Err(BusError::Job {
                            unit: unit.to_owned(),
                            result: result.to_owned(),
                        }),
                    };
                }
                _ => {}
            }
        }
    }

    fn call(
        &mut self,
        target: Target,
        member: &'static str,
        arguments: &[Argument<'_>],
    ) -> Result<Received, BusError> {
        self.serial += 1;
        let message = wire::call(self.serial, target, member, arguments);
        self.socket
            .write_all(&message)
            .doing(|| format!("asking systemd for {member}"))?;
        loop {
            let received = self.receive(member)?;
            match (received.kind, received.answers) {
                (2, Some(serial)) if serial == self.serial => return Ok(received),
                (3, Some(serial)) if serial == self.serial => {
                    let text = received.texts().unwrap_or_default();
                    return Err(BusError::Answered {
                        member,
                        text: text.first().copied().unwrap_or_default().to_owned(),
                        name: received.error.clone(),
                    });
                }
                (4, _) if self.signals.len() < MOST_SIGNALS => self.signals.push_back(received),
                _ => {}
            }
        }
    }

    fn receive(&mut self, member: &str) -> Result<Received, BusError> {
        let doing = || format!("waiting for systemd to answer {member}");
        let mut start = [0; 16];
        self.socket.read_exact(&mut start).doing(doing)?;
        let mut message = vec![0; wire::whole(&start)?.max(16)];
        message[..16].copy_from_slice(&start);
        self.socket.read_exact(&mut message[16..]).doing(doing)?;
        Ok(wire::read(&message)?)
    }
}

/// Connects to the first of the addresses that answers.
fn open(addresses: &str) -> Option<UnixStream> {
    addresses.split(';').find_map(|address| {
        let keys = address.strip_prefix("unix:")?;
        keys.split(',').find_map(|key| match key.split_once('=')? {
            ("path", path) => UnixStream::connect(PathBuf::from(unescape(path))).ok(),
            ("abstract", name) => {
                let name = SocketAddr::from_abstract_name(unescape(name)).ok()?;
                UnixStream::connect_addr(&name).ok()
            }
            _ => None,
        })
    })
}

/// Undoes `%20` and the like in an address.
fn unescape(text: &str) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('%') {
        out.push_str(before);
        let byte = after
            .get(..2)
            .and_then(|hex| u8::from_str_radix(hex, 16).ok());
        match byte {
            Some(byte) => {
                out.push(byte.into());
                rest = &after[2..];
            }
            None => {
                out.push('%');
                rest = after;
            }
        }
    }
    out + rest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_unescaped() {
        assert_eq!(unescape("/run/a%20b/%5fx%"), "/run/a b/_x%");
        assert_eq!(unescape("/plain"), "/plain");
    }

    #[test]
    fn the_first_address_that_answers_is_taken() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("bus");
        let _listener = std::os::unix::net::UnixListener::bind(&path).unwrap();
        let address = format!(
            "tcp:host=x;unix:path=/nonexistent;unix:guid=1,path={}",
            path.display()
        );
        assert!(open(&address).is_some());
        assert!(open("unix:path=/nonexistent").is_none());
        assert!(open("").is_none());
    }
}
