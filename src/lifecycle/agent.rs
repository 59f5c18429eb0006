//! The agent of `linux.seccomp.listenerPath`: a process of the host's that decides the system calls
//! which the profile gives SCMP_ACT_NOTIFY.

use std::io::IoSlice;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;

use oci_spec::runtime::Linux;
use rustix::net::{
    AddressFamily, SendAncillaryBuffer, SendAncillaryMessage, SendFlags, SocketAddrUnix,
    SocketFlags, SocketType,
};
use serde::Serialize;

use super::LifecycleError;
use super::spawn::Inside;
use crate::container::record::StateDocument;
use crate::container::{Record, Status};
use crate::failure::{Doing, Failure};
use crate::init::channel::Message;
use crate::seccomp::Program;

/// See the module.
pub struct Agent {
    connection: OwnedFd,
    metadata: String,
}

/// What an agent is told, by the specification's name.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ContainerProcessState<'a> {
    oci_version: &'a str,
    fds: [&'static str; 1],
    pid: i32,
    metadata: &'a str,
    state: StateDocument<'a>,
}

impl Agent {
    /// Connects to the agent, where the filter leaves it something to decide.
    pub fn connect(
        linux: Option<&Linux>,
        filter: Option<&Program>,
    ) -> Result<Option<Self>, Failure> {
        let profile = linux.and_then(|linux| linux.seccomp().as_ref());
        let profile = profile.filter(|_| filter.is_some_and(Program::notifies));
        let Some((profile, path)) =
            profile.and_then(|profile| Some((profile, profile.listener_path().as_ref()?)))
        else {
            return Ok(None);
        };
        Ok(Some(Self {
            connection: connect(path)?,
            metadata: profile.listener_metadata().clone().unwrap_or_default(),
        }))
    }

    /// Hands it the descriptor of the process inside, which waits for that.
    pub fn tell(
        self,
        inside: &mut Inside,
        record: &Record,
        status: Status,
    ) -> Result<(), LifecycleError> {
        let listener = inside.listener()?;
        let state = ContainerProcessState {
            oci_version: &record.oci_version,
            fds: ["seccompFd"],
            pid: inside.process.pid,
            metadata: &self.metadata,
            state: record.document(status),
        };
        let state = serde_json::to_vec(&state).expect("a state document has only texts");
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
        let mut control = SendAncillaryBuffer::new(&mut space);
        let fds = [listener.as_fd()];
        control.push(SendAncillaryMessage::ScmRights(&fds));
        let parts = [IoSlice::new(&state)];
        rustix::net::sendmsg(&self.connection, &parts, &mut control, SendFlags::NOSIGNAL)
            .doing(|| "handing the seccomp agent its descriptor")?;
        drop(listener);
        inside.send(&Message::Told)
    }
}

fn connect(path: &Path) -> Result<OwnedFd, Failure> {
    let doing = || {
        let path = path.display();
        format!("failed to connect with seccomp agent (linux.seccomp.listenerPath `{path}`)")
    };
    let flags = SocketFlags::CLOEXEC;
    let connection = rustix::net::socket_with(AddressFamily::UNIX, SocketType::STREAM, flags, None)
        .doing(doing)?;
    let address = SocketAddrUnix::new(path).doing(doing)?;
    rustix::net::connect(&connection, &address).doing(doing)?;
    Ok(connection)
}
